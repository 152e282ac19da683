//! What does `narrows path --json` look like? Schema `narrows.path/1`, SI units in the names; described in `docs/path.md`.

use crate::lab::json_line;
use narrows_probe::{
    Clamping, Direction, Error, Finding, Fix, Hop, Icmp, Likeness, Narrowing, PortState, Report, Seen,
    Sureness, Tcp,
};
use serde::Serialize;
use std::net::IpAddr;

const SCHEMA: &str = "narrows.path/1";
const VERSION: &str = env!("CARGO_PKG_VERSION");

#[derive(Serialize)]
struct Failure<'a> {
    schema: &'static str,
    narrows_version: &'static str,
    host: &'a str,
    error: ErrorOut,
}

#[derive(Serialize)]
struct ErrorOut {
    message: String,
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    narrows_version: &'static str,
    host: &'a str,
    error: Option<ErrorOut>,
    address: IpAddr,
    source_address: IpAddr,
    interface_mtu_bytes: u32,
    to_peer: DirectionOut<'a>,
    from_peer: DirectionOut<'a>,
    round_trip_mtu_bytes: Option<u32>,
    narrowing: Option<NarrowingOut>,
    hops: Vec<HopOut>,
    icmp: IcmpOut,
    tcp: Option<TcpOut<'a>>,
    likenesses: Vec<LikenessOut>,
    findings: Vec<FindingOut<'a>>,
    notes: &'a [String],
    method: Option<&'static str>,
    raw_sockets: bool,
    round_trip_s: Option<f64>,
    loss: f64,
    kernel_path_mtu_before_bytes: Option<u32>,
    kernel_path_mtu_after_bytes: Option<u32>,
    probes: u64,
    probe_bytes: u64,
    duration_s: f64,
}

#[derive(Serialize)]
struct DirectionOut<'a> {
    path_mtu_bytes: Option<u32>,
    exact: bool,
    how: &'a str,
}

#[derive(Serialize)]
struct NarrowingOut {
    after_hop: Option<u8>,
    router_address: Option<IpAddr>,
    before_hop: Option<u8>,
    next_address: Option<IpAddr>,
    router_said_so: bool,
    router_said_mtu_bytes: Option<u32>,
}

#[derive(Serialize)]
struct HopOut {
    number: u8,
    address: Option<IpAddr>,
    large_arrives: bool,
}

#[derive(Serialize)]
struct IcmpOut {
    too_big: Option<bool>,
    echo_reply: Option<bool>,
    port_unreachable: Option<bool>,
    time_exceeded: Option<bool>,
    limited: bool,
}

#[derive(Serialize)]
struct TcpOut<'a> {
    port: u16,
    state: &'static str,
    handshake_s: Option<f64>,
    mss_asked_bytes: Option<u32>,
    mss_asked_on_the_way: Option<OnTheWayOut>,
    mss_received_bytes: Option<u32>,
    mss_received_exact: bool,
    timestamps: bool,
    effective_mss_to_peer_bytes: Option<u32>,
    effective_mss_from_peer_bytes: Option<u32>,
    clamping: &'static str,
    clamping_why: Option<&'a str>,
}

#[derive(Serialize)]
struct OnTheWayOut {
    mss_bytes: u32,
    hop: u8,
    router_address: IpAddr,
}

#[derive(Serialize)]
struct LikenessOut {
    name: &'static str,
    overhead_bytes: u32,
    link_mtu_bytes: u32,
    sureness: &'static str,
}

#[derive(Serialize)]
struct FindingOut<'a> {
    kind: &'static str,
    what: &'a str,
    fixes: Vec<FixOut>,
}

#[derive(Serialize)]
struct FixOut {
    place: &'static str,
    knob: &'static str,
    value: String,
    system: &'static str,
    command: String,
}

/// The document of a report, on one line.
pub fn report(report: &Report) -> String {
    json_line(&Document {
        schema: SCHEMA,
        narrows_version: VERSION,
        host: &report.host,
        error: None,
        address: report.address.ip(),
        source_address: report.source,
        interface_mtu_bytes: report.interface_mtu,
        to_peer: direction(&report.to_peer),
        from_peer: direction(&report.from_peer),
        round_trip_mtu_bytes: report.round_trip_mtu,
        narrowing: report.narrowing.as_ref().map(narrowing),
        hops: report.hops.iter().map(hop).collect(),
        icmp: icmp(&report.icmp),
        tcp: report.tcp.as_ref().map(tcp),
        likenesses: report.likenesses.iter().map(likeness).collect(),
        findings: report.findings.iter().map(finding).collect(),
        notes: &report.notes,
        method: report.method.map(narrows_probe::Method::name),
        raw_sockets: report.raw,
        round_trip_s: report.round_trip.map(|time| time.as_secs_f64()),
        loss: report.loss,
        kernel_path_mtu_before_bytes: report.kernel_path_mtu_before,
        kernel_path_mtu_after_bytes: report.kernel_path_mtu_after,
        probes: report.probes,
        probe_bytes: report.probe_bytes,
        duration_s: report.duration.as_secs_f64(),
    })
}

/// The document of a measurement that did not come about.
pub fn error(host: &str, error: &Error) -> String {
    let error = ErrorOut { message: error.to_string() };
    json_line(&Failure { schema: SCHEMA, narrows_version: VERSION, host, error })
}

fn direction(direction: &Direction) -> DirectionOut<'_> {
    DirectionOut {
        path_mtu_bytes: direction.path_mtu.bytes(),
        exact: direction.path_mtu.exact().is_some(),
        how: &direction.how,
    }
}

fn narrowing(narrowing: &Narrowing) -> NarrowingOut {
    NarrowingOut {
        after_hop: narrowing.after_hop,
        router_address: narrowing.router,
        before_hop: narrowing.before_hop,
        next_address: narrowing.next,
        router_said_so: narrowing.said_so,
        router_said_mtu_bytes: narrowing.said_mtu,
    }
}

fn hop(hop: &Hop) -> HopOut {
    HopOut { number: hop.number, address: hop.address, large_arrives: hop.large_arrives }
}

fn seen(seen: Seen) -> Option<bool> {
    match seen {
        Seen::Yes => Some(true),
        Seen::No => Some(false),
        Seen::Unknown => None,
    }
}

fn icmp(icmp: &Icmp) -> IcmpOut {
    IcmpOut {
        too_big: seen(icmp.too_big),
        echo_reply: seen(icmp.echo_reply),
        port_unreachable: seen(icmp.port_unreachable),
        time_exceeded: seen(icmp.time_exceeded),
        limited: icmp.limited,
    }
}

fn tcp(tcp: &Tcp) -> TcpOut<'_> {
    let (clamping, clamping_why) = match &tcp.clamping {
        Clamping::Yes(why) => ("yes", Some(why.as_str())),
        Clamping::Likely(why) => ("likely", Some(why.as_str())),
        Clamping::No(why) => ("no", Some(why.as_str())),
        Clamping::Unknown => ("unknown", None),
    };
    TcpOut {
        port: tcp.port,
        state: match tcp.state {
            PortState::Open => "open",
            PortState::Closed => "closed",
            PortState::Silent => "silent",
        },
        handshake_s: tcp.handshake.map(|time| time.as_secs_f64()),
        mss_asked_bytes: tcp.mss_asked,
        mss_asked_on_the_way: tcp.mss_asked_on_the_way.map(|there| OnTheWayOut {
            mss_bytes: there.mss,
            hop: there.hop,
            router_address: there.router,
        }),
        mss_received_bytes: tcp.mss_received,
        mss_received_exact: tcp.mss_received_exact,
        timestamps: tcp.timestamps,
        effective_mss_to_peer_bytes: tcp.effective_mss_to_peer,
        effective_mss_from_peer_bytes: tcp.effective_mss_from_peer,
        clamping,
        clamping_why,
    }
}

fn likeness(likeness: &Likeness) -> LikenessOut {
    LikenessOut {
        name: likeness.name,
        overhead_bytes: likeness.overhead,
        link_mtu_bytes: likeness.link_mtu,
        sureness: match likeness.sureness {
            Sureness::High => "high",
            Sureness::Medium => "medium",
            Sureness::Low => "low",
        },
    }
}

fn finding(finding: &Finding) -> FindingOut<'_> {
    let of = |fix: &'_ Fix| -> Vec<FixOut> {
        let (place, knob) = (fix.place, fix.knob);
        fix.commands()
            .into_iter()
            .map(|lines| FixOut {
                place,
                knob,
                value: fix.value.clone(),
                system: lines.system,
                command: lines.lines.join("\n"),
            })
            .collect()
    };
    FindingOut {
        kind: finding.kind.name(),
        what: &finding.what,
        fixes: finding.fixes.iter().flat_map(of).collect(),
    }
}
