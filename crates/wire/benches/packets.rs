//! How long does it take to read and to write a packet's headers? `cargo bench -p narrows-wire`

use bytes::Bytes;
use divan::{Bencher, black_box};
use narrows_wire::{
    Checksum, Headers, Packet, SackBlocks, Seq, TcpFlags, TcpHeader, TcpOptions, Timestamps, link,
};
use std::net::{IpAddr, Ipv6Addr};

fn main() {
    divan::main();
}

/// What a capture is made of.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Data,
    DataV6,
    PureAck,
    Sack,
    Syn,
}

const KINDS: [Kind; 5] = [Kind::Data, Kind::DataV6, Kind::PureAck, Kind::Sack, Kind::Syn];

fn packet(kind: Kind) -> Packet {
    let timestamps = Some(Timestamps { value: 123_456, echo: 654_321 });
    let mut options = TcpOptions { timestamps, ..TcpOptions::default() };
    let mut flags = TcpFlags::ACK;
    let mut payload = Bytes::new();
    match kind {
        Kind::Data | Kind::DataV6 => payload = Bytes::from(vec![7; 1448]),
        Kind::PureAck => {}
        Kind::Sack => {
            let mut sack = SackBlocks::default();
            sack.push(Seq(100), Seq(200));
            sack.push(Seq(300), Seq(400));
            options.sack = sack;
        }
        Kind::Syn => {
            flags = TcpFlags::SYN;
            options = TcpOptions { mss: Some(1460), window_scale: Some(7), sack_permitted: true, ..options };
        }
    }
    let header = TcpHeader {
        source_port: 40000,
        destination_port: 443,
        seq: Seq(1),
        ack: Seq(2),
        flags,
        window: 501,
        urgent: 0,
        options,
    };
    let (source, destination): (IpAddr, IpAddr) = match kind {
        Kind::DataV6 => (Ipv6Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()),
        _ => ([10, 0, 0, 1].into(), [10, 0, 0, 2].into()),
    };
    Packet::tcp(source, destination, header, payload)
}

fn bytes(kind: Kind) -> Vec<u8> {
    let mut bytes = Vec::new();
    packet(kind).emit(&mut bytes);
    bytes
}

/// Ethernet header and header view, as for each packet of a capture.
#[divan::bench(args = KINDS, sample_size = 10_000)]
fn header_view(bencher: Bencher, kind: Kind) {
    let mut frame = vec![0; 12];
    frame.extend_from_slice(if matches!(kind, Kind::DataV6) { &[0x86, 0xdd] } else { &[8, 0] });
    frame.extend_from_slice(&bytes(kind));
    let wire = frame.len() - 14;
    frame.truncate(128);
    bencher.bench_local(|| {
        let packet = link::strip(link::ETHERNET, black_box(&frame));
        packet.map(|packet| Headers::parse(packet, wire))
    });
}

#[divan::bench(args = KINDS, sample_size = 1_000)]
fn parse_verified(bencher: Bencher, kind: Kind) {
    let bytes = Bytes::from(bytes(kind));
    bencher.bench_local(|| Packet::parse(black_box(&bytes).clone()));
}

#[divan::bench(args = KINDS, sample_size = 1_000)]
fn emit(bencher: Bencher, kind: Kind) {
    let packet = packet(kind);
    let mut out = Vec::with_capacity(2000);
    bencher.bench_local(|| {
        out.clear();
        black_box(&packet).emit(&mut out);
        out.len()
    });
}

#[divan::bench(args = [40, 1500, 65_536], sample_size = 1_000)]
fn checksum(bencher: Bencher, length: usize) {
    let bytes = vec![0x5a; length];
    bencher.counter(divan::counter::BytesCount::new(length)).bench_local(|| {
        let mut sum = Checksum::new();
        sum.add(black_box(&bytes));
        sum.finish()
    });
}
