//! How many segments per second does a host handle? One bulk connection through two hosts in memory, both in one core.

use bytes::Bytes;
use divan::counter::{BytesCount, ItemsCount};
use narrows_stack::{
    Event, Host, HostConfig, Instant, Interface, InterfaceId, Knobs, SendFlags, SocketId, Transmit,
};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

fn main() {
    divan::main();
}

const ONLY: InterfaceId = InterfaceId(0);

struct Bulk {
    hosts: [Host; 2],
    now: Instant,
    /// A link of a fixed delay, in each direction.
    link: [VecDeque<(Instant, Transmit)>; 2],
    sockets: [SocketId; 2],
    chunk: Bytes,
    segments: u64,
    writable: bool,
}

impl Bulk {
    fn new(offload: bool, others: u32) -> Bulk {
        let addresses = [1, 2].map(|last| IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)));
        let mut hosts = addresses.map(|address| {
            let mut host = Host::new(HostConfig { knobs: Knobs::default(), seed: 1, tick_phase_ns: 0 });
            host.add_interface(Interface {
                addresses: vec![address],
                mtu: 1500,
                segmentation_offload: offload,
            });
            host
        });
        let remote = SocketAddr::new(addresses[1], 80);
        let listener = hosts[1].tcp_listen(remote, 1 << 20, Knobs::default()).expect("a free port");
        let mut bulk = Bulk {
            link: [VecDeque::new(), VecDeque::new()],
            now: Instant::ZERO,
            sockets: [SocketId(0); 2],
            chunk: Bytes::from(vec![0; 1 << 20]),
            segments: 0,
            writable: true,
            hosts,
        };
        for _ in 0..=others {
            let socket = bulk.hosts[0].tcp_connect(bulk.now, remote, None, Knobs::default()).expect("a port");
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
                self.link[side].push_back((self.now + Duration::from_micros(100), transmit));
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
                && let Some((_, transmit)) = self.link[side].pop_front()
            {
                self.hosts[1 - side].handle_packet(next, ONLY, transmit.packet);
            }
        }
        true
    }

    /// Sends and reads `bytes`; returns the segments that it took, ACKs included.
    fn transfer(&mut self, bytes: usize) -> u64 {
        let begun = self.segments;
        let (mut written, mut read) = (0, 0);
        while read < bytes {
            // As applications do: write until there is no room, then wait until there is.
            while written < bytes && self.writable {
                let piece = self.chunk.slice(..self.chunk.len().min(bytes - written));
                let sent = self.hosts[0].tcp_send(self.now, self.sockets[0], piece, SendFlags::default());
                let sent = sent.unwrap_or(0);
                self.writable = sent == self.chunk.len().min(bytes - written);
                written += sent;
            }
            assert!(self.step(), "nothing happens any more");
            while let Some(event) = self.hosts[1].poll_event() {
                if event == Event::Readable(self.sockets[1]) {
                    while let Ok(data) = self.hosts[1].tcp_recv(self.now, self.sockets[1], 1 << 20) {
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
    bench(bencher, Bulk::new(false, 0), true);
}

/// Bytes per second for the same.
#[divan::bench]
fn bytes(bencher: divan::Bencher<'_, '_>) {
    bench(bencher, Bulk::new(false, 0), false);
}

/// Bytes per second with large segments left whole.
#[divan::bench]
fn bytes_offloaded(bencher: divan::Bencher<'_, '_>) {
    bench(bencher, Bulk::new(true, 0), false);
}

/// Segments per second beside 20,000 idle connections: must be the same as alone.
#[divan::bench]
fn segments_beside_idle_connections(bencher: divan::Bencher<'_, '_>) {
    bench(bencher, Bulk::new(false, 20_000), true);
}
