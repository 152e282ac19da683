//! What does a packet from outside look like on the wire? A script's packet, with the numbers and addresses of its connection.

use crate::error::ScriptError;
use crate::expect::Mapping;
use crate::script::{IcmpKind, IcmpSpec, OptionSpec, TcpSpec};
use bytes::Bytes;
use narrows_stack::SocketId;
use narrows_wire::{
    FastOpen, IcmpMessage, Packet, SackBlocks, Seq, TcpFlags, TcpHeader, TcpOptions, Timestamps,
};
use std::net::SocketAddr;

/// The other end.
pub(crate) struct Peer {
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    pub(crate) mapping: Mapping,
    /// The socket, once the application has it.
    pub(crate) socket: Option<SocketId>,
}

/// A segment from outside.
pub(crate) fn segment(spec: &TcpSpec, peer: &Peer, line: usize) -> Result<Packet, ScriptError> {
    let mapping = &peer.mapping;
    let ack = match spec.ack {
        Some(ack) => mapping.local_to_wire(ack),
        None if spec.flags.contains(TcpFlags::ACK) => mapping.local_to_wire(0),
        None => Seq(0),
    };
    let mut options = TcpOptions::default();
    let given = spec
        .options
        .as_ref()
        .ok_or_else(|| ScriptError::syntax(line, "an inbound packet needs its options"))?;
    for option in given {
        match option {
            OptionSpec::End | OptionSpec::Nop => {}
            OptionSpec::Mss(mss) => options.mss = Some(*mss),
            OptionSpec::WindowScale(shift) => options.window_scale = Some(*shift),
            OptionSpec::SackPermitted => options.sack_permitted = true,
            OptionSpec::Sack(blocks) => {
                let mut sack = SackBlocks::default();
                for (left, right) in blocks {
                    if !sack.push(mapping.local_to_wire(*left), mapping.local_to_wire(*right)) {
                        return Err(ScriptError::syntax(line, "more than four SACK blocks"));
                    }
                }
                options.sack = sack;
            }
            OptionSpec::Timestamps { value, echo } => {
                options.timestamps = Some(Timestamps { value: *value, echo: mapping.echo_to_wire(*echo) });
            }
            OptionSpec::FastOpen { cookie, experimental } => {
                options.fast_open = FastOpen::new(cookie, *experimental);
            }
            OptionSpec::Md5(_) => options.signed = true,
        }
    }
    let header = TcpHeader {
        source_port: peer.remote.port(),
        destination_port: peer.local.port(),
        seq: Seq(spec.seq),
        ack,
        flags: spec.flags,
        window: spec.window.unwrap_or(0),
        urgent: spec.urgent,
        options,
    };
    let payload = Bytes::from(vec![0; spec.len as usize]);
    Ok(Packet::tcp(peer.remote.ip(), peer.local.ip(), header, payload))
}

/// An ICMP message that quotes a segment of the connection.
pub(crate) fn icmp(spec: &IcmpSpec, peer: &Peer) -> Packet {
    let (seq, len) = spec.quoted;
    let header = TcpHeader {
        source_port: peer.local.port(),
        destination_port: peer.remote.port(),
        seq: peer.mapping.local_to_wire(seq),
        ack: Seq(0),
        flags: TcpFlags::ACK,
        window: 0,
        urgent: 0,
        options: TcpOptions::default(),
    };
    let quoted = Packet::tcp(
        peer.local.ip(),
        peer.remote.ip(),
        header,
        Bytes::from(vec![0; len.min(1 << 14) as usize]),
    );
    let mut bytes = Vec::new();
    quoted.emit(&mut bytes);
    // The IP header and the first eight bytes behind it are always quoted (RFC 792).
    bytes.truncate(quoted.ip.header_len() + 8);
    let message = match spec.kind {
        IcmpKind::Unreachable(code) => IcmpMessage::Unreachable { code },
        IcmpKind::TooBig(mtu) => IcmpMessage::PacketTooBig { mtu },
    };
    Packet::icmp(peer.remote.ip(), peer.local.ip(), message, Bytes::from(bytes))
}
