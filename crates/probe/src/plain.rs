//! How are probes sent without any privilege? Datagrams and ping sockets, with the kernel's error queue (ip(7): IP_RECVERR).
//!
//! `IP_PMTUDISC_PROBE` sets DF and ignores what the kernel remembers of the path. What a router then says about a probe the kernel
//! remembers as it would for any program.

use crate::line::{FIRST_PORT, Heard, Line, Method, Outgoing, QuotedSyn, SynAck, judge, payload};
use crate::socket::{Discovery, Queued, queue_errors, receive, set_discovery, tell_fragments};
use crate::target::ip_header_bytes;
use narrows_wire::{IcmpMessage, Protocol};
use socket2::{Domain, Protocol as SocketProtocol, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd as _, BorrowedFd};

/// Unprivileged sockets to one peer.
pub(crate) struct PlainLine {
    udp: Socket,
    /// Where `net.ipv4.ping_group_range` allows it.
    ping: Option<Socket>,
    peer: SocketAddr,
    buffer: Vec<u8>,
}

impl PlainLine {
    pub fn open(source: IpAddr, peer: SocketAddr) -> io::Result<PlainLine> {
        let ipv4 = peer.is_ipv4();
        let domain = if ipv4 { Domain::IPV4 } else { Domain::IPV6 };
        let prepare = |socket: Socket| {
            socket.set_nonblocking(true)?;
            set_discovery(&socket, ipv4, Discovery::Probe)?;
            queue_errors(&socket, ipv4)?;
            tell_fragments(&socket, ipv4);
            socket.bind(&SocketAddr::new(source, 0).into())?;
            Ok::<Socket, io::Error>(socket)
        };
        let udp = prepare(Socket::new(domain, Type::DGRAM, Some(SocketProtocol::UDP))?)?;
        let icmp = if ipv4 { SocketProtocol::ICMPV4 } else { SocketProtocol::ICMPV6 };
        let ping = Socket::new(domain, Type::DGRAM, Some(icmp)).and_then(prepare).ok();
        Ok(PlainLine { udp, ping, peer, buffer: vec![0; 65_536] })
    }

    /// The bytes that an ICMP socket takes: message and payload; the kernel sets identifier and checksum.
    fn echo(&self, number: u16, data_bytes: usize) -> Vec<u8> {
        let kind = if self.peer.is_ipv4() { 8 } else { 128 };
        let [high, low] = number.to_be_bytes();
        let mut bytes = vec![kind, 0, 0, 0, 0, 0, high, low];
        bytes.extend_from_slice(&payload(data_bytes));
        bytes
    }

    fn hear_errors(&mut self, method: Method, heard: &mut Vec<Heard>) {
        let mut buffer = std::mem::take(&mut self.buffer);
        let peer = self.peer.ip();
        let socket = match method {
            Method::Udp => Some(&self.udp),
            _ => self.ping.as_ref(),
        };
        while let Some(received) = socket.and_then(|socket| receive(socket, &mut buffer, true)) {
            let (Some(error), Some(to)) = (received.error, received.peer) else { continue };
            let Some(from) = error.offender.filter(|_| !error.local && to.ip() == peer) else { continue };
            let number = match method {
                Method::Udp => to.port().wrapping_sub(FIRST_PORT),
                // What is quoted begins with the ICMP header.
                _ => match buffer[..received.bytes].get(6..8) {
                    Some(sequence) => u16::from_be_bytes([sequence[0], sequence[1]]),
                    None => continue,
                },
            };
            heard.extend(judge(message(&error, peer), from, peer, method, number));
        }
        self.buffer = buffer;
    }

    fn hear_replies(&mut self, heard: &mut Vec<Heard>) {
        let Some(ping) = &self.ping else { return };
        let protocol = if self.peer.is_ipv4() { Protocol::Icmp } else { Protocol::Icmpv6 };
        while let Some(received) = receive(ping, &mut self.buffer, false) {
            let from_peer = received.peer.is_some_and(|from| from.ip() == self.peer.ip());
            let parsed = IcmpMessage::parse(protocol, &self.buffer[..received.bytes], 0);
            if let (true, Ok(IcmpMessage::EchoReply { sequence, .. })) = (from_peer, parsed) {
                heard.push(Heard::Answer {
                    method: Method::Echo,
                    number: sequence,
                    largest_fragment: received.largest_fragment,
                    may_fragment: None,
                });
            }
        }
    }
}

/// The ICMP message behind an entry of the error queue.
fn message(error: &Queued, peer: IpAddr) -> IcmpMessage {
    match (peer.is_ipv4(), error.kind, error.code) {
        (true, 3, 4) | (false, 2, _) => IcmpMessage::PacketTooBig { mtu: error.info },
        (true, 3, code) | (false, 1, code) => IcmpMessage::Unreachable { code },
        (true, 11, code) | (false, 3, code) => IcmpMessage::TimeExceeded { code },
        (_, kind, code) => IcmpMessage::Other { kind, code, rest: [0; 4] },
    }
}

impl Line for PlainLine {
    fn offers(&self, method: Method) -> bool {
        match method {
            Method::Udp => true,
            Method::Echo => self.ping.is_some(),
            Method::Tcp => false,
        }
    }

    fn send(&mut self, probe: &Outgoing) -> io::Result<()> {
        let ip = ip_header_bytes(self.peer.ip());
        let data = probe.size.checked_sub(ip + 8).ok_or(io::ErrorKind::InvalidInput)? as usize;
        let mut to = self.peer;
        let (socket, bytes) = match probe.method {
            Method::Udp => {
                to.set_port(FIRST_PORT.wrapping_add(probe.number));
                (&self.udp, payload(data).to_vec())
            }
            Method::Echo => {
                to.set_port(0);
                (self.ping.as_ref().ok_or(io::ErrorKind::Unsupported)?, self.echo(probe.number, data))
            }
            Method::Tcp => return Err(io::ErrorKind::Unsupported.into()),
        };
        if self.peer.is_ipv4() {
            socket.set_ttl_v4(u32::from(probe.hop_limit))?;
        } else {
            socket.set_unicast_hops_v6(u32::from(probe.hop_limit))?;
        }
        // What ICMP has reported about an earlier probe is also told to the next call, once.
        for _ in 0..3 {
            match socket.send_to(&bytes, &to.into()) {
                Ok(_) => return Ok(()),
                Err(error) if is_about_an_earlier_one(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn hear(&mut self, heard: &mut Vec<Heard>) {
        self.hear_replies(heard);
        self.hear_errors(Method::Udp, heard);
        self.hear_errors(Method::Echo, heard);
    }

    fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        std::iter::once(&self.udp).chain(&self.ping).map(|socket| socket.as_fd()).collect()
    }

    fn syn_ack(&self, _local_port: u16) -> Option<SynAck> {
        None
    }

    fn use_connection(&mut self, _syn_ack: SynAck) {}

    fn use_closed_port(&mut self, _port: u16) {}

    fn send_syn(&mut self, _port: u16, _hop_limit: u8, _mss: u16) -> io::Result<bool> {
        Ok(false)
    }

    fn quoted_syns(&self) -> &[QuotedSyn] {
        &[]
    }
}

fn is_about_an_earlier_one(error: &io::Error) -> bool {
    use nix::errno::Errno;
    [
        Errno::ECONNREFUSED,
        Errno::EHOSTUNREACH,
        Errno::ENETUNREACH,
        Errno::EMSGSIZE,
        Errno::EPROTO,
        Errno::EACCES,
    ]
    .iter()
    .any(|errno| error.raw_os_error() == Some(*errno as i32))
}
