//! What would no stack at all need? Packets are answered from what stands in them: SYN by SYN-ACK, data by the same data.

use bytes::Bytes;
use narrows_wire::{Packet, Seq, TcpFlags, TcpHeader, TcpOptions, Transport};
use smoltcp::phy::{Device, RxToken, TunTapInterface, TxToken, wait};
use smoltcp::time::{Duration, Instant};
use std::os::fd::AsRawFd;

pub fn serve(mut device: TunTapInterface, over: impl Fn() -> bool) {
    let descriptor = device.as_raw_fd();
    let mut out = Vec::new();
    while !over() {
        let now = Instant::now();
        while let Some((received, free)) = device.receive(now) {
            let answer = received.consume(|bytes| {
                let packet = Packet::parse(Bytes::copy_from_slice(bytes)).ok()?;
                answer(&packet)
            });
            if let Some(answer) = answer {
                out.clear();
                answer.emit(&mut out);
                free.consume(out.len(), |room| room.copy_from_slice(&out));
            }
        }
        wait(descriptor, Some(Duration::from_millis(20))).expect("to wait");
    }
}

fn answer(packet: &Packet) -> Option<Packet> {
    let Transport::Tcp(header) = &packet.transport else { return None };
    let syn = header.flags.contains(TcpFlags::SYN);
    if !syn && packet.payload.is_empty() {
        return None;
    }
    let answer = TcpHeader {
        source_port: header.destination_port,
        destination_port: header.source_port,
        seq: if syn { Seq(0) } else { header.ack },
        ack: header.seq + (packet.payload.len() as u32 + u32::from(syn)),
        flags: if syn { TcpFlags::SYN | TcpFlags::ACK } else { TcpFlags::ACK | TcpFlags::PSH },
        window: u16::MAX,
        urgent: 0,
        options: TcpOptions::default(),
    };
    Some(Packet::tcp(packet.ip.destination, packet.ip.source, answer, packet.payload.clone()))
}
