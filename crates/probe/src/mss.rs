//! What do the two MSS say? What was asked, what arrived, what is left of it on this path, and whether somebody rewrites it.

use crate::measure::Measurement;
use crate::report::{Clamping, Direction, PortState, Size, Tcp};
use crate::tcp::{Attempt, State, TCP_HEADER_BYTES, TIMESTAMPS_BYTES};

/// What is known of the connection.
pub(crate) fn tcp(
    measurement: &mut Measurement<'_>,
    to_peer: &Direction,
    from_peer: &Direction,
) -> Option<Tcp> {
    let headers = measurement.ip_header() + TCP_HEADER_BYTES;
    let refused = |attempt: &mut Attempt| matches!(attempt.state(), State::Refused { .. });
    let refused = measurement.attempts.iter_mut().position(refused);
    let index = measurement.open.or(refused).unwrap_or(0);
    let attempt = measurement.attempts.get_mut(index)?;
    let state = attempt.state();
    let mut tcp = Tcp {
        port: attempt.peer.port(),
        state: match state {
            State::Open { .. } => PortState::Open,
            State::Refused { .. } => PortState::Closed,
            State::Waiting | State::Failed => PortState::Silent,
        },
        handshake: match state {
            State::Open { round_trip } | State::Refused { round_trip } => Some(round_trip),
            State::Waiting | State::Failed => None,
        },
        mss_asked: None,
        mss_asked_on_the_way: None,
        mss_received: None,
        mss_received_exact: false,
        timestamps: false,
        effective_mss_to_peer: None,
        effective_mss_from_peer: None,
        clamping: Clamping::Unknown,
    };
    if tcp.state != PortState::Open {
        return Some(tcp);
    }
    let syn_ack = attempt.local_port().and_then(|port| measurement.prober.line.syn_ack(port));
    let told = attempt.told()?;
    tcp.mss_asked = Some(told.advertised_mss);
    tcp.timestamps = told.timestamps;
    (tcp.mss_received, tcp.mss_received_exact) = match syn_ack.map(|syn_ack| syn_ack.mss) {
        Some(mss) => (mss.map(u32::from), true),
        None => {
            let (mss, exact) = told.peer_mss(attempt.peer);
            (Some(mss), exact)
        }
    };
    tcp.mss_asked_on_the_way = measurement.asked_on_the_way;
    let options = if tcp.timestamps { TIMESTAMPS_BYTES } else { 0 };
    tcp.effective_mss_to_peer = effective(tcp.mss_received, to_peer.path_mtu, headers, options);
    let asked = tcp.mss_asked_on_the_way.map_or(told.advertised_mss, |on_the_way| on_the_way.mss);
    tcp.effective_mss_from_peer = effective(Some(asked), from_peer.path_mtu, headers, options);
    tcp.clamping = clamping(&tcp, to_peer, headers, measurement.way.interface_mtu);
    Some(tcp)
}

/// Bytes of data per segment: what is asked for, as far as the path carries it, without the options of every segment.
fn effective(asked: Option<u32>, path_mtu: Size, headers: u32, options: u32) -> Option<u32> {
    let asked = asked?;
    let mss = match path_mtu {
        Size::Exact(size) => asked.min(size.saturating_sub(headers)),
        Size::AtLeast(size) if asked + headers <= size => asked,
        _ => return None,
    };
    Some(mss.saturating_sub(options))
}

fn clamping(tcp: &Tcp, to_peer: &Direction, headers: u32, interface_mtu: u32) -> Clamping {
    if let (Some(asked), Some(there)) = (tcp.mss_asked, tcp.mss_asked_on_the_way)
        && there.mss != asked
    {
        return Clamping::Yes(format!(
            "our SYN asks for {asked}, and router {} at hop {} got it as {}",
            there.router, there.hop, there.mss
        ));
    }
    let (Some(received), true) = (tcp.mss_received, tcp.mss_received_exact) else { return Clamping::Unknown };
    let Some(path) = to_peer.path_mtu.exact() else { return Clamping::Unknown };
    let full = received + headers;
    if full > path {
        return Clamping::No(format!(
            "the peer asks for {received}, which makes packets of {full} bytes, more than fit"
        ));
    }
    if full < path {
        return Clamping::Likely(format!(
            "the peer takes packets of {path} bytes but asks for {received}, which makes {full}: rewritten on the way, or set so at the peer"
        ));
    }
    if path < interface_mtu {
        return Clamping::Likely(format!(
            "the peer asks for {received}, exactly what the path carries: rewritten on the way, or the peer's own interface is that narrow"
        ));
    }
    Clamping::No(format!("the peer asks for {received}, which is what a link of {path} bytes suggests"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::AskedOnTheWay;

    fn tcp(received: u32, exact: bool) -> Tcp {
        Tcp {
            port: 80,
            state: PortState::Open,
            handshake: None,
            mss_asked: Some(1460),
            mss_asked_on_the_way: None,
            mss_received: Some(received),
            mss_received_exact: exact,
            timestamps: true,
            effective_mss_to_peer: None,
            effective_mss_from_peer: None,
            clamping: Clamping::Unknown,
        }
    }

    fn path(path_mtu: Size) -> Direction {
        Direction { path_mtu, how: String::new() }
    }

    #[test]
    fn a_smaller_mss_than_the_path_carries_is_suspicious() {
        let judge = |received, size| clamping(&tcp(received, true), &path(size), 40, 1500);
        assert!(matches!(judge(1360, Size::Exact(1500)), Clamping::Likely(_)));
        assert!(matches!(judge(1360, Size::Exact(1400)), Clamping::Likely(_)));
        assert!(matches!(judge(1460, Size::Exact(1400)), Clamping::No(_)));
        assert!(matches!(judge(1460, Size::Exact(1500)), Clamping::No(_)));
        assert_eq!(judge(1360, Size::AtLeast(1400)), Clamping::Unknown);
        assert_eq!(clamping(&tcp(1360, false), &path(Size::Exact(1500)), 40, 1500), Clamping::Unknown);
    }

    #[test]
    fn what_a_router_quotes_is_proof() {
        let mut tcp = tcp(1460, true);
        tcp.mss_asked_on_the_way = Some(AskedOnTheWay { mss: 1360, hop: 3, router: [192, 0, 2, 1].into() });
        let judged = clamping(&tcp, &path(Size::Unknown), 40, 1500);
        assert!(matches!(judged, Clamping::Yes(why) if why.contains("1360") && why.contains("hop 3")));
    }

    #[test]
    fn options_and_path_reduce_what_is_asked() {
        assert_eq!(effective(Some(1460), Size::Exact(1400), 40, 12), Some(1348));
        assert_eq!(effective(Some(1360), Size::Exact(1500), 40, 0), Some(1360));
        assert_eq!(effective(Some(1360), Size::AtLeast(1400), 40, 12), Some(1348));
        assert_eq!(effective(Some(1460), Size::AtLeast(1400), 40, 12), None);
        assert_eq!(effective(None, Size::Exact(1400), 40, 12), None);
    }
}
