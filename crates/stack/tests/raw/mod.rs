//! One host, and a peer that is the test's own words: segments as one likes, whatever a TCP would say.
#![allow(dead_code)]

use bytes::Bytes;
use narrows_stack::{
    Host, HostConfig, Instant, Interface, InterfaceId, Knobs, ListenerId, SendFlags, SocketId,
};
use narrows_wire::{Packet, SackBlocks, Seq, TcpFlags, TcpHeader, TcpOptions, Timestamps, Transport};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

pub const HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
pub const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
pub const ACK: TcpFlags = TcpFlags::ACK;

pub fn tcp(packet: &Packet) -> &TcpHeader {
    match &packet.transport {
        Transport::Tcp(header) => header,
        other => panic!("not TCP: {other:?}"),
    }
}

/// What the host sent, and when.
#[derive(Clone, Debug)]
pub struct Sent {
    pub at: Instant,
    pub packet: Packet,
}

impl Sent {
    pub fn tcp(&self) -> &TcpHeader {
        tcp(&self.packet)
    }
    pub fn bytes(&self) -> usize {
        self.packet.payload.len()
    }
}

pub struct Raw {
    pub host: Host,
    pub now: Instant,
    pub local: SocketAddr,
    pub remote: SocketAddr,
    /// The peer's next sequence number.
    pub seq: Seq,
    /// The host's next sequence number, as far as the peer acknowledges.
    pub ack: Seq,
    pub window: u16,
    pub listener: ListenerId,
    /// The peer's timestamp clock, where it uses timestamps: value and last echo.
    pub clock: Option<(u32, u32)>,
}

pub fn knobs() -> Knobs {
    Knobs { hz: 0, ..Knobs::default() }
}

/// The options of a usual SYN.
pub fn usual() -> TcpOptions {
    TcpOptions { mss: Some(1460), window_scale: Some(7), sack_permitted: true, ..TcpOptions::default() }
}

pub fn host(seed: u64) -> Host {
    let mut host = Host::new(HostConfig { knobs: knobs(), seed, tick_phase_ns: 0 });
    host.add_interface(Interface { addresses: vec![HOST], mtu: 1500, segmentation_offload: false });
    host
}

impl Raw {
    /// A host that listens on port 80 with `backlog`.
    pub fn listening(knobs: Knobs, backlog: u32) -> Raw {
        let mut host = host(7);
        let local = SocketAddr::new(HOST, 80);
        let listener = host.tcp_listen(local, backlog, knobs).expect("a free port");
        Raw {
            host,
            now: Instant::from_millis(1000),
            local,
            remote: SocketAddr::new(PEER, 4000),
            seq: Seq(10_000),
            ack: Seq(0),
            window: 65_535,
            listener,
            clock: None,
        }
    }

    /// A connection that the peer has opened with `options`, accepted.
    pub fn connected(knobs: Knobs, options: TcpOptions) -> (Raw, SocketId) {
        let mut raw = Raw::listening(knobs, 16);
        let socket = raw.open(options);
        (raw, socket)
    }

    pub fn open(&mut self, options: TcpOptions) -> SocketId {
        self.clock = options.timestamps.map(|timestamps| (timestamps.value, 0));
        let syn_ack = self.say(TcpFlags::SYN, options, b"");
        let answer = syn_ack.first().expect("a SYN-ACK").tcp().clone();
        if let (Some(clock), Some(timestamps)) = (&mut self.clock, answer.options.timestamps) {
            clock.1 = timestamps.value;
        }
        self.seq += 1;
        self.ack = answer.seq + 1;
        self.advance(Duration::from_millis(10));
        self.say(ACK, TcpOptions::default(), b"");
        self.host.tcp_accept(self.listener).expect("a connection")
    }

    /// A segment of the peer that is as it should be, with the flags and options given.
    pub fn header(&self, flags: TcpFlags, options: TcpOptions) -> TcpHeader {
        let mut options = options;
        if let Some((value, echo)) = self.clock {
            options.timestamps = options.timestamps.or(Some(Timestamps { value, echo }));
        }
        let ack = if flags.contains(ACK) { self.ack } else { Seq(0) };
        TcpHeader {
            source_port: self.remote.port(),
            destination_port: self.local.port(),
            seq: self.seq,
            ack,
            flags,
            window: self.window,
            urgent: 0,
            options,
        }
    }

    /// Sends exactly this; what the host answers at once.
    pub fn inject(&mut self, header: TcpHeader, payload: &[u8]) -> Vec<Sent> {
        let packet = Packet::tcp(self.remote.ip(), self.local.ip(), header, Bytes::copy_from_slice(payload));
        self.deliver(packet)
    }

    pub fn deliver(&mut self, packet: Packet) -> Vec<Sent> {
        self.host.handle_packet(self.now, InterfaceId(0), packet);
        self.drain()
    }

    /// Sends what comes next in the peer's stream; the caller moves `seq` on.
    pub fn say(&mut self, flags: TcpFlags, options: TcpOptions, payload: &[u8]) -> Vec<Sent> {
        let header = self.header(flags, options);
        self.inject(header, payload)
    }

    /// Data, in order.
    pub fn data(&mut self, payload: &[u8]) -> Vec<Sent> {
        let answers = self.say(ACK | TcpFlags::PSH, TcpOptions::default(), payload);
        self.seq += payload.len() as u32;
        answers
    }

    /// An ACK with SACK blocks, as distances from `ack`.
    pub fn sack(&mut self, blocks: &[(u32, u32)]) -> Vec<Sent> {
        let mut sack = SackBlocks::default();
        for (left, right) in blocks {
            sack.push(self.ack + *left, self.ack + *right);
        }
        self.say(ACK, TcpOptions { sack, ..TcpOptions::default() }, b"")
    }

    /// A bare ACK `ahead` bytes beyond what was acknowledged before.
    pub fn acknowledge(&mut self, ahead: u32) -> Vec<Sent> {
        self.ack += ahead;
        self.say(ACK, TcpOptions::default(), b"")
    }

    pub fn drain(&mut self) -> Vec<Sent> {
        let mut sent = Vec::new();
        while let Some(transmit) = self.host.poll_transmit(self.now) {
            sent.push(Sent { at: self.now, packet: transmit.packet });
        }
        while self.host.poll_event().is_some() {}
        sent
    }

    /// Lets time pass; what the host sent meanwhile.
    pub fn advance(&mut self, length: Duration) -> Vec<Sent> {
        let end = self.now + length;
        let mut sent = self.drain();
        while let Some(due) = self.host.poll_timeout()
            && due <= end
        {
            assert!(due >= self.now, "a timer lies in the past");
            self.now = due;
            self.host.handle_timeout(due);
            assert!(self.host.poll_timeout().is_none_or(|next| next > due), "a timer is due again at once");
            sent.extend(self.drain());
        }
        self.now = end;
        sent
    }

    pub fn write(&mut self, socket: SocketId, bytes: usize) -> Vec<Sent> {
        let data = Bytes::from(vec![0x5a; bytes]);
        self.host.tcp_send(self.now, socket, data, SendFlags::default()).expect("room");
        self.drain()
    }

    pub fn read(&mut self, socket: SocketId) -> Vec<u8> {
        let mut all = Vec::new();
        while let Ok(bytes) = self.host.tcp_recv(self.now, socket, 65_536)
            && !bytes.is_empty()
        {
            all.extend_from_slice(&bytes);
        }
        self.drain();
        all
    }

    pub fn state(&self, socket: SocketId) -> &'static str {
        self.host.tcp_info(socket).map_or("gone", |info| info.state.name())
    }
}

/// A stream of numbers for tests.
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 16
    }
}

pub fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}
