//! A minimal reader for the tests: nanosecond and microsecond pcap, raw IP and Ethernet, TCP only.

use narrows_stack::Instant;
use narrows_trace::Segment;
use narrows_wire::{Seq, TcpFlags, TcpOptions, Timestamps};
use std::net::{IpAddr, SocketAddr};

fn u16_at(b: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(b.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(b: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(b.get(at..at + 4)?.try_into().ok()?))
}

pub fn segments(file: &[u8]) -> Vec<Segment> {
    let le = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    let scale = match le(0) {
        0xa1b2_3c4d => 1,
        0xa1b2_c3d4 => 1000,
        other => panic!("not a pcap: {other:x}"),
    };
    let ethernet = le(20) == 1;
    let (mut at, mut number, mut out) = (24, 0, Vec::new());
    while at + 16 <= file.len() {
        number += 1;
        let time = u64::from(le(at)) * 1_000_000_000 + u64::from(le(at + 4)) * scale;
        let length = le(at + 8) as usize;
        let bytes = &file[at + 16..at + 16 + length];
        at += 16 + length;
        let ip = if ethernet { &bytes[14.min(bytes.len())..] } else { bytes };
        out.extend(segment(ip, number, Instant::from_nanos(time)));
    }
    out
}

fn segment(ip: &[u8], number: u64, time: Instant) -> Option<Segment> {
    let (source, destination, hop_limit, header, total): (IpAddr, IpAddr, u8, usize, usize);
    match ip.first()? >> 4 {
        4 if *ip.get(9)? == 6 && u16_at(ip, 6)? & 0x1fff == 0 => {
            source = <[u8; 4]>::try_from(ip.get(12..16)?).ok()?.into();
            destination = <[u8; 4]>::try_from(ip.get(16..20)?).ok()?.into();
            (hop_limit, header) = (ip[8], usize::from(ip[0] & 15) * 4);
            total = usize::from(u16_at(ip, 2)?);
        }
        6 if *ip.get(6)? == 6 => {
            source = <[u8; 16]>::try_from(ip.get(8..24)?).ok()?.into();
            destination = <[u8; 16]>::try_from(ip.get(24..40)?).ok()?.into();
            (hop_limit, header) = (ip[7], 40);
            total = usize::from(u16_at(ip, 4)?) + 40;
        }
        _ => return None,
    }
    let tcp = ip.get(header..)?;
    let length = usize::from(*tcp.get(12)? >> 4) * 4;
    let mut options = TcpOptions::default();
    let mut rest = tcp.get(20..length).unwrap_or(&[]);
    while let Some(&kind) = rest.first() {
        if kind == 1 {
            rest = &rest[1..];
            continue;
        }
        let n = usize::from(*rest.get(1)?);
        if kind == 0 || n < 2 || n > rest.len() {
            break;
        }
        match kind {
            2 => options.mss = u16_at(rest, 2),
            3 => options.window_scale = Some(rest[2]),
            4 => options.sack_permitted = true,
            5 => {
                for block in rest[2..n].chunks_exact(8) {
                    options.sack.push(Seq(u32_at(block, 0)?), Seq(u32_at(block, 4)?));
                }
            }
            8 => options.timestamps = Some(Timestamps { value: u32_at(rest, 2)?, echo: u32_at(rest, 6)? }),
            _ => {}
        }
        rest = &rest[n..];
    }
    Some(Segment {
        number,
        time,
        source: SocketAddr::new(source, u16_at(tcp, 0)?),
        destination: SocketAddr::new(destination, u16_at(tcp, 2)?),
        seq: Seq(u32_at(tcp, 4)?),
        ack: Seq(u32_at(tcp, 8)?),
        flags: TcpFlags(tcp[13]),
        window: u16_at(tcp, 14)?,
        payload_bytes: total.checked_sub(header + length)? as u32,
        options,
        hop_limit,
    })
}
