//! How many segments, and how many bytes, per second does a host handle? One bulk connection through two hosts in memory, both in one
//! core. smoltcp's sockets on its loopback device in the same run are the peer of the rows that carry bytes.

use bytes::Bytes;
use divan::counter::{BytesCount, ItemsCount};
use narrows_stack::{Event, Host, HostConfig, Instant, Interface, InterfaceId, Knobs, SendFlags, SocketId};
use narrows_wire::Packet;
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

#[path = "bulk/smoltcp_peer.rs"]
mod smoltcp_peer;

fn main() {
    divan::main();
}

const ONLY: InterfaceId = InterfaceId(0);

/// How a packet crosses the link.
enum Carried {
    /// As the value that it is, as the lab and a device with offloads do.
    Packet(Packet),
    /// As its bytes, checksums computed and verified, as a plain device does.
    Bytes(Bytes),
}

struct Bulk {
    hosts: [Host; 2],
    now: Instant,
    /// A link of a fixed delay, in each direction.
    link: [VecDeque<(Instant, Carried)>; 2],
    as_bytes: bool,
    sockets: [SocketId; 2],
    chunk: Bytes,
    /// Where the program reads to.
    room: Vec<u8>,
    segments: u64,
    writable: bool,
}

impl Bulk {
    fn new(others: u32) -> Bulk {
        Bulk::over(1_500, false, false, others)
    }

    fn over(mtu: u32, offload: bool, as_bytes: bool, others: u32) -> Bulk {
        let mut knobs = Knobs::default();
        if as_bytes {
            // As large as the peer's: what is under way fits into the processor's cache.
            for buffer in ["sndbuf", "rcvbuf"] {
                knobs.set(buffer, "524288").expect("a size");
            }
        }
        let addresses = [1, 2].map(|last| IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)));
        let mut hosts = addresses.map(|address| {
            let mut host = Host::new(HostConfig { knobs: knobs.clone(), seed: 1, tick_phase_ns: 0 });
            host.add_interface(Interface { addresses: vec![address], mtu, segmentation_offload: offload });
            host
        });
        let remote = SocketAddr::new(addresses[1], 80);
        let listener = hosts[1].tcp_listen(remote, 1 << 20, knobs.clone()).expect("a free port");
        let mut bulk = Bulk {
            link: [VecDeque::new(), VecDeque::new()],
            as_bytes,
            now: Instant::ZERO,
            sockets: [SocketId(0); 2],
            chunk: Bytes::from(vec![0; 1 << 18]),
            room: vec![0; 1 << 20],
            segments: 0,
            writable: true,
            hosts,
        };
        for _ in 0..=others {
            let socket = bulk.hosts[0].tcp_connect(bulk.now, remote, None, knobs.clone()).expect("a port");
            let accepted = loop {
                assert!(bulk.step(), "nothing happens any more");
                if let Some(accepted) = bulk.hosts[1].tcp_accept(listener) {
                    break accepted;
                }
            };
            bulk.sockets = [socket, accepted];
        }
        while bulk.hosts[0].poll_event().is_some() {}
        bulk.transfer(8 << 20);
        bulk
    }

    fn flush(&mut self) {
        for side in 0..2 {
            while let Some(transmit) = self.hosts[side].poll_transmit(self.now) {
                let size = transmit.packet.offload.segment_bytes.map_or(usize::MAX, usize::from);
                self.segments += transmit.packet.payload.len().div_ceil(size).max(1) as u64;
                let carried = if self.as_bytes {
                    let mut bytes = Vec::new();
                    transmit.packet.emit(&mut bytes);
                    Carried::Bytes(bytes.into())
                } else {
                    Carried::Packet(transmit.packet)
                };
                self.link[side].push_back((self.now + Duration::from_micros(100), carried));
            }
        }
    }

    fn step(&mut self) -> bool {
        self.flush();
        let arrivals = [0, 1].map(|side| self.link[side].front().map(|(at, _)| *at));
        let timers = [self.hosts[0].poll_timeout(), self.hosts[1].poll_timeout()];
        let Some(next) = arrivals.into_iter().chain(timers).flatten().min() else { return false };
        self.now = next;
        for side in 0..2 {
            if timers[side].is_some_and(|due| due <= next) {
                self.hosts[side].handle_timeout(next);
            }
            if arrivals[side].is_some_and(|at| at <= next)
                && let Some((_, carried)) = self.link[side].pop_front()
            {
                let packet = match carried {
                    Carried::Packet(packet) => packet,
                    Carried::Bytes(bytes) => Packet::parse(bytes).expect("what was emitted"),
                };
                self.hosts[1 - side].handle_packet(next, ONLY, packet);
            }
        }
        // Events are told once everything that can leave has left.
        self.flush();
        true
    }

    /// A program's buffer is its own: of what it writes as much is copied as there is room for, and a little more.
    fn copied(&self, wanted: usize) -> Bytes {
        let status = self.hosts[0].tcp_status(self.sockets[0]).expect("a socket");
        let room = status.send_buffer.saturating_sub(status.unacknowledged_bytes) as usize + 65_536;
        Bytes::copy_from_slice(&self.chunk[..wanted.min(room)])
    }

    /// Sends and reads `bytes`; returns the segments that it took, ACKs included.
    fn transfer(&mut self, bytes: usize) -> u64 {
        let begun = self.segments;
        let (mut written, mut read) = (0, 0);
        while read < bytes {
            // As applications do: write until there is no room, then wait until there is.
            while written < bytes && self.writable {
                let wanted = self.chunk.len().min(bytes - written);
                let piece = if self.as_bytes { self.copied(wanted) } else { self.chunk.slice(..wanted) };
                let sent = self.hosts[0].tcp_send(self.now, self.sockets[0], piece, SendFlags::default());
                let sent = sent.unwrap_or(0);
                self.writable = sent == wanted;
                written += sent;
            }
            assert!(self.step(), "nothing happens any more");
            while let Some(event) = self.hosts[1].poll_event() {
                if event == Event::Readable(self.sockets[1]) {
                    while let Ok(data) = self.hosts[1].tcp_recv(self.now, self.sockets[1], 1 << 20) {
                        if self.as_bytes {
                            self.room[..data.len()].copy_from_slice(&data);
                        }
                        read += data.len();
                    }
                }
            }
            while let Some(event) = self.hosts[0].poll_event() {
                self.writable |= event == Event::Writable(self.sockets[0]);
            }
        }
        self.segments - begun
    }
}

const BYTES: usize = 32 << 20;

fn bench(bencher: divan::Bencher<'_, '_>, mut bulk: Bulk, per_segment: bool) {
    let segments = bulk.transfer(BYTES);
    if per_segment {
        bencher.counter(ItemsCount::new(segments)).bench_local(|| bulk.transfer(BYTES));
    } else {
        bencher.counter(BytesCount::new(BYTES)).bench_local(|| bulk.transfer(BYTES));
    }
}

/// Segments per second (data and ACKs, both hosts together) for one connection, segments of 1448 bytes.
#[divan::bench]
fn segments(bencher: divan::Bencher<'_, '_>) {
    bench(bencher, Bulk::new(0), true);
}

/// Bytes per second for the same.
#[divan::bench]
fn bytes(bencher: divan::Bencher<'_, '_>) {
    bench(bencher, Bulk::new(0), false);
}

/// Bytes per second with large segments left whole.
#[divan::bench]
fn bytes_offloaded(bencher: divan::Bencher<'_, '_>) {
    bench(bencher, Bulk::over(1_500, true, false, 0), false);
}

/// Segments per second beside 20,000 idle connections: must be the same as alone.
#[divan::bench]
fn segments_beside_idle_connections(bencher: divan::Bencher<'_, '_>) {
    bench(bencher, Bulk::new(20_000), true);
}

/// Bytes per second when each packet is written out and read again, checksums included. As with a
/// real program and a plain device each byte is copied three times (from the program, into the packet, to the program) and summed twice.
#[divan::bench(args = [1_500, 65_535])]
fn written_out(bencher: divan::Bencher<'_, '_>, mtu: u32) {
    bench(bencher, Bulk::over(mtu, false, true, 0), false);
}

/// The same bytes through smoltcp.
#[divan::bench(args = [1_500, 65_535])]
fn written_out_by_smoltcp(bencher: divan::Bencher<'_, '_>, mtu: usize) {
    let mut peer = smoltcp_peer::Peer::new(mtu);
    peer.transfer(BYTES);
    bencher.counter(BytesCount::new(BYTES)).bench_local(|| peer.transfer(BYTES));
}
