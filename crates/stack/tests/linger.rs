//! When does whoever has closed a socket with SO_LINGER hear that everything has arrived?

mod raw;

use bytes::Bytes;
use narrows_stack::{Event, SendFlags, SocketId};
use narrows_wire::{TcpFlags, TcpOptions};
use raw::*;
use std::time::Duration;

/// What was told since the last look, about lingering.
fn told(raw: &mut Raw) -> Vec<(SocketId, bool)> {
    let mut told = Vec::new();
    while raw.host.poll_transmit(raw.now).is_some() {}
    while let Some(event) = raw.host.poll_event() {
        if let Event::Lingered { socket, complete } = event {
            told.push((socket, complete));
        }
    }
    told
}

/// A connection with `bytes` written and closed with that patience.
fn closed(bytes: usize, patience: Duration) -> (Raw, SocketId) {
    let (mut raw, socket) = Raw::connected(knobs(), usual());
    let data = Bytes::from(vec![1; bytes]);
    raw.host.tcp_send(raw.now, socket, data, SendFlags::default()).unwrap();
    raw.host.tcp_close_lingering(raw.now, socket, patience).unwrap();
    (raw, socket)
}

fn acknowledge(raw: &mut Raw, bytes: u32) {
    raw.ack += bytes;
    let header = raw.header(ACK, TcpOptions::default());
    let packet = narrows_wire::Packet::tcp(raw.remote.ip(), raw.local.ip(), header, Bytes::new());
    raw.host.handle_packet(raw.now, narrows_stack::InterfaceId(0), packet);
}

#[test]
fn the_end_is_told_once_the_fin_is_acknowledged() {
    let (mut raw, socket) = closed(1000, Duration::from_secs(5));
    assert!(told(&mut raw).is_empty() && raw.host.tcp_is_lingering(socket));
    acknowledge(&mut raw, 1000);
    assert!(told(&mut raw).is_empty(), "the FIN is missing");
    acknowledge(&mut raw, 1);
    assert_eq!(told(&mut raw), [(socket, true)]);
    assert!(!raw.host.tcp_is_lingering(socket));
    raw.advance(Duration::from_secs(100));
    assert!(told(&mut raw).is_empty(), "once");
}

#[test]
fn the_end_is_told_when_the_time_is_up_and_the_data_still_leave() {
    let (mut raw, socket) = closed(1000, Duration::from_millis(1500));
    told(&mut raw);
    assert!(raw.host.poll_timeout().unwrap() <= raw.now + Duration::from_millis(1500));
    raw.now += Duration::from_millis(1500);
    raw.host.handle_timeout(raw.now);
    assert_eq!(told(&mut raw), [(socket, false)]);
    let later = raw.advance(Duration::from_secs(10));
    assert!(later.iter().any(|sent| sent.bytes() == 1000), "sent again in the background");
    assert!(later.iter().all(|sent| !sent.tcp().flags.contains(TcpFlags::RST)));
}

#[test]
fn a_reset_ends_the_waiting_and_an_end_that_was_there_before_is_told_at_once() {
    let (mut raw, socket) = closed(1000, Duration::from_secs(5));
    told(&mut raw);
    let mut reset = raw.header(TcpFlags::RST, TcpOptions::default());
    reset.seq = raw.seq;
    let packet = narrows_wire::Packet::tcp(raw.remote.ip(), raw.local.ip(), reset, Bytes::new());
    raw.host.handle_packet(raw.now, narrows_stack::InterfaceId(0), packet.clone());
    assert_eq!(told(&mut raw), [(socket, false)]);
    let (mut raw, socket) = Raw::connected(knobs(), usual());
    raw.host.handle_packet(raw.now, narrows_stack::InterfaceId(0), packet);
    raw.host.tcp_close_lingering(raw.now, socket, Duration::from_secs(5)).unwrap();
    assert_eq!(told(&mut raw), [(socket, false)]);
    assert!(raw.host.tcp_close_lingering(raw.now, socket, Duration::from_secs(5)).is_err());
    assert!(!raw.host.tcp_is_lingering(socket), "nobody waits for a socket that is gone");
}
