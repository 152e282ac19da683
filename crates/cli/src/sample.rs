//! What do the view's tests show? Hand-made connections, as a capture would give them.

use crate::report::{Damage, Examined, FileReport};
use narrows_lab::{Conversation, Side};
use narrows_stack::Instant;
use narrows_trace::{
    AckTimer, Cause, Confidence, Connection, DatagramFlow, DatagramSide, Finding, RoundTrip, SideSummary,
    TimeAccount, TunnelKind, Vantage,
};
use narrows_whatif::{Estimate, KnobSide, Prediction, Replay, Turning, WhatIf};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

fn micros(value: u64) -> Duration {
    Duration::from_micros(value)
}

fn side(last_octet: u8, port: u16) -> SideSummary {
    SideSummary {
        address: Some(address(last_octet, port)),
        packets: 253,
        payload_bytes: 30_000,
        largest_payload: 200,
        segment_bytes: 1448,
        data_packets: 200,
        pure_acks: 50,
        hop_limit: Some(64),
        looks_like: Some("linux"),
        fin: true,
        ..SideSummary::default()
    }
}

fn address(last_octet: u8, port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(192, 0, 2, last_octet), port))
}

fn connection(duration: Duration, account: TimeAccount) -> Connection {
    Connection {
        number: 1,
        client: address(1, 35770),
        server: address(2, 7000),
        first_packet: 1,
        last_packet: 507,
        start: Instant::from_micros(1_795_397_715_026_650),
        duration,
        handshake_seen: true,
        vantage: Vantage::Client,
        round_trip: RoundTrip {
            client_leg: Some(micros(12)),
            server_leg: Some(micros(20_400)),
            path: Some(micros(20_412)),
            samples: 101,
        },
        rate_bits_per_second: [None, Some(40_000_000)],
        sides: [side(1, 35770), SideSummary { packets: 254, ..side(2, 7000) }],
        conversation: Conversation::default(),
        exchanges: 100,
        mean_exchange: Some(duration / 100),
        account,
        findings: Vec::new(),
        tunnel: None,
        limits: Vec::new(),
    }
}

fn estimate(before_us: u64, after_us: u64, low_us: u64, high_us: u64) -> Estimate {
    Estimate {
        before: micros(before_us),
        after: micros(after_us),
        low: micros(low_us),
        high: micros(high_us),
    }
}

fn prediction(knob: &str, side: KnobSide, by: Option<&str>, duration: Estimate) -> Prediction {
    Prediction {
        turning: Turning { knob: knob.to_owned(), side, value: "true".to_owned(), by: by.map(str::to_owned) },
        duration,
        exchange: Some(Estimate {
            before: duration.before / 100,
            after: duration.after / 100,
            low: duration.low / 100,
            high: duration.high / 100,
        }),
        packets: (507, 407),
        at_least: false,
    }
}

/// 100 exchanges of which each waits for a delayed ACK.
pub fn nagle() -> Examined {
    let account = TimeAccount {
        network: micros(2_061_000),
        delayed_ack: micros(6_319_000),
        client_thinking: micros(3_000),
        server_thinking: micros(57_000),
        transmission: micros(18_000),
        unexplained: micros(2_000),
        ..TimeAccount::default()
    };
    let mut connection = connection(micros(8_460_000), account);
    connection.sides[1].ack_timer =
        AckTimer { count: 100, min: micros(40_100), median: micros(43_000), max: micros(44_200) };
    connection.findings.push(Finding {
        cause: Cause::NagleDelayedAck,
        side: Side::Client,
        count: 100,
        lost: micros(6_319_000),
        evidence: (0..100).map(|index| 6 + 5 * index).collect(),
        confidence: Confidence::High,
        why: "100 times, 100 bytes were sent and the next 200 bytes left less than 0.2 ms after the peer's ACK, which \
              came 63 ms later: round trip 20 ms and delayed-ACK timer 43 ms"
            .to_owned(),
        path_mtu: None,
    });
    let what_if = WhatIf {
        replay: Some(Replay {
            duration: (micros(8_460_000), micros(8_410_000)),
            exchange: Some((micros(84_600), micros(84_100))),
            error: -0.0059,
        }),
        predictions: vec![
            prediction(
                "nodelay",
                KnobSide::Client,
                None,
                estimate(8_460_000, 2_100_000, 2_060_000, 2_350_000),
            ),
            prediction(
                "coalesce_writes",
                KnobSide::Client,
                None,
                estimate(8_460_000, 2_110_000, 2_060_000, 2_600_000),
            ),
            prediction(
                "quickack",
                KnobSide::Server,
                Some("socket"),
                estimate(8_460_000, 5_500_000, 4_200_000, 6_000_000),
            ),
        ],
        ..WhatIf::default()
    };
    Examined { connection, what_if: Some(what_if) }
}

/// A UDP flow with this finding.
pub fn datagram_flow(finding: Finding) -> DatagramFlow {
    DatagramFlow {
        number: 1,
        client: address(1, 41_855),
        server: address(2, 6000),
        first_packet: 1,
        start: Instant::from_micros(1_795_397_715_026_650),
        duration: micros(558_688),
        sides: [
            DatagramSide {
                datagrams: 133,
                fragmented: 129,
                incomplete: 30,
                packets: 938,
                fragments: 934,
                missing_fragments: 32,
                payload_bytes: 1_032_128,
                largest_datagram: 8000,
                largest_packet: 1500,
                most_pieces: 6,
            },
            DatagramSide { datagrams: 2, packets: 2, largest_datagram: 4, ..DatagramSide::default() },
        ],
        tunnel: Some(TunnelKind::WireGuard),
        findings: vec![finding],
    }
}

/// The same, but the replay is too far from the capture.
pub fn refused() -> Examined {
    let mut examined = nagle();
    examined.what_if = Some(WhatIf {
        replay: Some(Replay {
            duration: (micros(8_460_000), micros(10_400_000)),
            exchange: Some((micros(84_600), micros(104_000))),
            error: 0.229,
        }),
        refused: Some(
            "the replay is 22.9 % from the capture, more than the 10 % up to which it is trusted".to_owned(),
        ),
        ..WhatIf::default()
    });
    examined
}

/// Exchanges of one round trip each.
pub fn healthy() -> Examined {
    let account = TimeAccount {
        network: micros(2_040_000),
        client_thinking: micros(4_000),
        server_thinking: micros(51_000),
        transmission: micros(5_000),
        ..TimeAccount::default()
    };
    Examined { connection: connection(micros(2_100_000), account), what_if: None }
}

/// Exchanges in which the server's application takes most of the time.
pub fn application() -> Examined {
    let account = TimeAccount {
        network: micros(820_000),
        client_thinking: micros(4_000),
        server_thinking: micros(4_840_000),
        transmission: micros(5_000),
        ..TimeAccount::default()
    };
    let mut connection = connection(micros(5_669_000), account);
    connection.exchanges = 40;
    connection.mean_exchange = Some(micros(141_600));
    connection.findings.push(Finding {
        cause: Cause::ServerThinkTime,
        side: Side::Server,
        count: 40,
        lost: micros(4_840_000),
        evidence: (0..40).map(|index| 5 + 3 * index).collect(),
        confidence: Confidence::High,
        why: "40 times, the answer began 121 ms after the request had arrived".to_owned(),
        path_mtu: None,
    });
    Examined { connection, what_if: None }
}

/// A connection that loses time to retransmissions, which narrows does not name.
pub fn lossy() -> Examined {
    let mut examined = healthy();
    let connection = &mut examined.connection;
    connection.duration += micros(1_400_000);
    connection.account.recovery = micros(1_400_000);
    connection.sides[0].retransmissions = 7;
    connection.sides[0].timeouts = 2;
    examined
}

/// A file with these connections, numbered in this order.
pub fn file(mut connections: Vec<Examined>) -> FileReport {
    for (number, examined) in (1..).zip(&mut connections) {
        examined.connection.number = number;
    }
    let tcp_packets = 507 * connections.len() as u64;
    FileReport {
        name: "slow.pcapng".to_owned(),
        packets: tcp_packets,
        tcp_packets,
        udp_packets: 0,
        datagram_flows: Vec::new(),
        other_captures: Vec::new(),
        skipped: Vec::new(),
        notes: Vec::new(),
        damage: None,
        connections,
    }
}

/// The sick connection's file with packets that were skipped, broken off.
pub fn damaged() -> FileReport {
    let mut report = file(vec![nagle()]);
    report.packets += 14;
    report.skipped = vec![("ARP".to_owned(), 12), ("UDP".to_owned(), 2)];
    report.notes = vec!["the capturing program lost 3 packets".to_owned()];
    report.damage = Some(Damage {
        offset_bytes: Some(40_960),
        message: "slow.pcapng: damaged at byte 40960: a packet of 1,073,741,824 bytes is announced"
            .to_owned(),
    });
    report
}
