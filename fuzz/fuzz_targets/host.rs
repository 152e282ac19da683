//! A whole host with open connections, and a stream of commands: packets near what it expects, calls, and time.
//! Run it with `cargo fuzz run host -- -max_len=4096`.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use narrows_stack::{Host, HostConfig, Instant, Interface, InterfaceId, Knobs, SendFlags, SocketId};
use narrows_wire::{Packet, Seq, TcpFlags, TcpHeader, TcpOptions, Timestamps, Transport};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

const HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }
    fn short(&mut self) -> u16 {
        u16::from_le_bytes([self.byte().unwrap_or(0), self.byte().unwrap_or(0)])
    }
    fn word(&mut self) -> u32 {
        u32::from(self.short()) << 16 | u32::from(self.short())
    }
    /// Mostly near zero, sometimes anywhere.
    fn offset(&mut self) -> u32 {
        match self.byte().unwrap_or(0) {
            near @ 0..=199 => (u32::from(near)).wrapping_sub(100),
            200..=249 => u32::from(self.short()).wrapping_sub(1 << 15),
            _ => self.word(),
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let mut script = Script(input);
    let setting = script.byte().unwrap_or(0);
    let knobs = Knobs {
        hz: if setting & 1 == 0 { 0 } else { 250 },
        sack: setting & 2 == 0,
        timestamps: setting & 4 == 0,
        nodelay: setting & 8 != 0,
        rcvbuf: if setting & 16 == 0 { 0 } else { 3_000 },
        keepalive: setting & 32 != 0,
        keepalive_time: Duration::from_secs(1),
        ..Knobs::default()
    };
    let mut host = Host::new(HostConfig { knobs: knobs.clone(), seed: 1, tick_phase_ns: 0 });
    host.add_interface(Interface {
        addresses: vec![HOST],
        mtu: 1500,
        segmentation_offload: setting & 64 != 0,
    });
    let mut now = Instant::ZERO;
    let server = SocketAddr::new(HOST, 80);
    let listener = host.tcp_listen(server, 2, knobs.clone()).expect("a free port");
    let mut sockets: Vec<SocketId> = Vec::new();
    sockets.extend(host.tcp_connect(now, SocketAddr::new(PEER, 90), None, knobs.clone()));
    // What the host said last, by the peer's port.
    let mut said: Vec<TcpHeader> = Vec::new();
    let mut sent = 0u64;
    let mut given = 0u64;
    while let Some(command) = script.byte() {
        match command % 8 {
            0..=3 => {
                let which = usize::from(script.byte().unwrap_or(0));
                let options = script.byte().unwrap_or(0);
                let model = (!said.is_empty()).then(|| said[which % said.len()].clone());
                let (seq, ack) = model.as_ref().map_or((Seq(0), Seq(0)), |model| (model.ack, model.seq));
                let mut header = TcpHeader {
                    source_port: model
                        .as_ref()
                        .map_or(4000 + which as u16 % 4, |model| model.destination_port),
                    destination_port: model.as_ref().map_or(80, |model| model.source_port),
                    seq: Seq(seq.0.wrapping_add(script.offset())),
                    ack: Seq(ack.0.wrapping_add(script.offset())),
                    flags: TcpFlags(match command % 8 {
                        0 => 0x10,
                        1 => 0x18,
                        2 => 0x02,
                        _ => script.byte().unwrap_or(0),
                    }),
                    window: if options & 1 == 0 { 65_535 } else { script.short() },
                    urgent: 0,
                    options: TcpOptions::default(),
                };
                if options & 2 != 0 {
                    header.options.mss = Some(script.short());
                    header.options.window_scale = script.byte();
                    header.options.sack_permitted = options & 4 != 0;
                }
                if options & 8 != 0 {
                    let base = model.as_ref().and_then(|model| model.options.timestamps);
                    header.options.timestamps = Some(Timestamps {
                        value: script.offset().wrapping_add(base.map_or(0, |base| base.echo)),
                        echo: script.offset().wrapping_add(base.map_or(0, |base| base.value)),
                    });
                }
                for _ in 0..(options >> 4) % 5 {
                    let left = Seq(header.ack.0.wrapping_add(script.offset()));
                    header.options.sack.push(left, Seq(left.0.wrapping_add(script.offset())));
                }
                let length = usize::from(script.short()) % 3_000;
                let mut packet = Packet::tcp(PEER, HOST, header, Bytes::from(vec![7; length]));
                if options & 128 != 0 {
                    packet.offload.segment_bytes = Some(script.short());
                }
                given += 1;
                host.handle_packet(now, InterfaceId(0), packet);
            }
            4 => {
                now += Duration::from_micros(u64::from(script.word() >> 6));
                let mut wakeups = 0;
                while let Some(due) = host.poll_timeout().filter(|due| *due <= now) {
                    host.handle_timeout(due);
                    while host.poll_transmit(due).is_some() {}
                    wakeups += 1;
                    assert!(wakeups < 2_000, "it spins");
                }
            }
            5 => {
                sockets.extend(host.tcp_accept(listener));
                let which = usize::from(script.byte().unwrap_or(0));
                if let Some(socket) = sockets.get(which % sockets.len().max(1)) {
                    let data = Bytes::from(vec![1; usize::from(script.short())]);
                    let flags = SendFlags { more: which & 64 != 0, end_of_record: which & 128 != 0 };
                    let _ = host.tcp_send(now, *socket, data, flags);
                }
            }
            6 => {
                for socket in &sockets {
                    let _ = host.tcp_recv(now, *socket, usize::from(script.byte().unwrap_or(0)) * 20);
                }
            }
            _ => {
                let which = usize::from(script.byte().unwrap_or(0));
                if let Some(socket) = sockets.get(which % sockets.len().max(1)) {
                    let _ = match which >> 6 {
                        0 => host.tcp_shutdown(now, *socket),
                        1 => host.tcp_close(now, *socket),
                        2 => host.tcp_abort(now, *socket),
                        _ => {
                            host.tcp_set(now, *socket, "cork", if which & 32 == 0 { "true" } else { "false" })
                        }
                    };
                }
            }
        }
        // What is buffered may leave at once, in segments of 48 bytes where the peer asks for them; more would be a storm.
        let most = 1_000 + host.memory_bytes() as u64 / 48;
        let mut at_once = 0;
        while let Some(transmit) = host.poll_transmit(now) {
            let Transport::Tcp(header) = transmit.packet.transport else { continue };
            at_once += 1;
            said.retain(|known| known.destination_port != header.destination_port);
            said.push(header);
        }
        said.truncate(16);
        sent += at_once;
        assert!(at_once < most, "a storm");
        while host.poll_event().is_some() {}
        assert!(host.poll_timeout().is_none_or(|due| due >= now || {
            host.handle_timeout(now);
            host.poll_timeout().is_none_or(|due| due > now)
        }));
        // Each of the few connections may hold its buffers, and no more.
        assert!(host.memory_bytes() < 40_000_000);
    }
    let _ = (sent, given);
});
