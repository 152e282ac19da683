//! What do both directions carry of real data? HTTP requests and answers in segments of chosen sizes, without any privilege.
//!
//! A connection whose MSS is set (TCP_MAXSEG) before it opens sends no larger segments and asks for none. A request that fills
//! one segment exactly and is acknowledged has shown that the size arrives; an answer whose segments are as large as was asked for
//! shows the same of the way back.

use crate::error::Error;
use crate::measure::Measurement;
use crate::search::Search;
use crate::tcp::{Attempt, State, TCP_HEADER_BYTES, TIMESTAMPS_BYTES, Told};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use std::io::Read as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// What was measured with real data.
pub(crate) struct Http {
    pub to_peer: Search,
    pub from_peer: Search,
    /// The size of the server's largest segments, where it was asked for larger ones and sent plenty without a stall: it was told of
    /// the path's MTU, or somebody lowers the MSS that we ask for. Which of both cannot be seen from here.
    pub server_keeps_to: Option<u32>,
}

impl Http {
    /// Nothing more is to be learnt of the way back.
    fn back_is_settled(&self) -> bool {
        self.from_peer.known().is_some() || self.server_keeps_to.is_some()
    }
}

/// Connections of each kind at once.
const AT_ONCE: usize = 8;
/// The least and the largest MSS that Linux lets one set (`TCP_MIN_MSS`, `MAX_TCP_WINDOW`).
const LEAST_MSS: u32 = 88;
const LARGEST_MSS: u32 = 32_767;
/// No request is larger: servers refuse longer headers, often from 8 KiB on.
const LARGEST_REQUEST: u32 = 8_000;
/// Rounds without any news before it is given up.
const USELESS_ROUNDS: u32 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    There,
    Back,
    /// Known to fit: tells whether the server answers.
    Control,
}

struct Try {
    way: Way,
    size: u32,
    attempt: Attempt,
    sent: u32,
    received: u32,
    /// The server has closed its side.
    ended: bool,
    outcome: Option<Outcome>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Fits,
    /// The peer was told on the way, and sends at most this.
    Smaller(u32),
    /// The answer was too short to tell, or this kernel's own path MTU is in the way.
    Useless,
}

/// Measures both directions with requests to the open port.
pub(crate) fn measure(measurement: &mut Measurement<'_>) -> Result<Option<Http>, Error> {
    let Some(peer) = measurement.open.and_then(|index| Some(measurement.attempts.get(index)?.peer)) else {
        measurement.notes.push("--http needs an open port; there is none.".to_owned());
        return Ok(None);
    };
    let headers = measurement.ip_header() + TCP_HEADER_BYTES;
    let ceiling = measurement.way.interface_mtu.min(LARGEST_MSS + headers);
    let known = measurement.forward.known();
    let least = LEAST_MSS + headers;
    let mut http = Http {
        to_peer: Search::new(known.unwrap_or(least), known.unwrap_or(ceiling.min(LARGEST_REQUEST))),
        from_peer: Search::new(least, ceiling),
        server_keeps_to: None,
    };
    let mut useless = 0;
    let mut round_trip = measurement.prober.least_round_trip().unwrap_or(Duration::from_millis(200));
    while (http.to_peer.known().is_none() || !http.back_is_settled())
        && useless < USELESS_ROUNDS
        && !measurement.time_is_up()
    {
        measurement.tell("measuring with HTTP requests");
        let mut tries = begin(&http, peer)?;
        play(&mut tries, &mut round_trip, measurement)?;
        if !learn(&mut http, &tries) {
            useless += 1;
        }
    }
    if http.from_peer.low() <= least {
        let why = "the answers were too short, or there were none: HOST:PORT of a server with an answer of some kilobytes tells more";
        measurement.notes.push(format!("--http has measured nothing of the way back: {why}."));
    }
    Ok(Some(http))
}

/// Opens the connections of a round.
fn begin(http: &Http, peer: SocketAddr) -> Result<Vec<Try>, Error> {
    let mut wanted: Vec<(Way, u32)> = Vec::new();
    if http.to_peer.known().is_none() {
        wanted.extend(http.to_peer.plan(AT_ONCE).into_iter().map(|size| (Way::There, size)));
    }
    if !http.back_is_settled() {
        wanted.extend(http.from_peer.plan(AT_ONCE).into_iter().map(|size| (Way::Back, size)));
    }
    wanted.extend([(Way::Control, http.from_peer.low()); 2]);
    let headers = crate::target::ip_header_bytes(peer.ip()) + TCP_HEADER_BYTES;
    wanted
        .into_iter()
        .map(|(way, size)| {
            let mss = size.saturating_sub(headers).max(LEAST_MSS);
            let attempt = Attempt::begin_with(peer, |socket| {
                crate::socket::set_discovery(socket, peer.is_ipv4(), crate::socket::Discovery::Do)?;
                socket.set_tcp_nodelay(true)?;
                socket.set_tcp_mss(mss)
            })
            .map_err(Error::io("opening a connection"))?;
            Ok(Try { way, size, attempt, sent: 0, received: 0, ended: false, outcome: None })
        })
        .collect()
}

/// A request of exactly this many bytes, or the shortest there is.
fn request(host: &str, bytes: u32) -> Vec<u8> {
    let host: String = host.chars().filter(|c| c.is_ascii_graphic()).collect();
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let begin =
        format!("GET / HTTP/1.1\r\nHost: {host}\r\nUser-Agent: narrows\r\nConnection: close\r\nX-Padding: ");
    let end = "\r\n\r\n";
    let padding = (bytes as usize).saturating_sub(begin.len() + end.len());
    format!("{begin}{}{end}", "x".repeat(padding)).into_bytes()
}

/// Lets the connections speak until each has said what it can, or has been silent for longer than the others needed.
fn play(tries: &mut [Try], round_trip: &mut Duration, measurement: &Measurement<'_>) -> Result<(), Error> {
    let host = measurement.host.clone();
    let headers = measurement.ip_header() + TCP_HEADER_BYTES;
    let begun = Instant::now();
    let mut settled: Option<Instant> = None;
    loop {
        for one in tries.iter_mut().filter(|one| one.outcome.is_none()) {
            step(one, &host, headers);
        }
        let now = Instant::now();
        let controls = tries.iter().filter(|one| one.way == Way::Control);
        if settled.is_none() && controls.clone().any(|one| one.outcome.is_some()) {
            settled = Some(now);
            *round_trip = (now - begun) / 2;
        }
        // What began with the controls has had its time when they are through, and a quarter of a round trip more.
        let end = match settled {
            Some(at) => at + *round_trip / 4 + Duration::from_millis(20),
            None => begun + (*round_trip * 8).clamp(Duration::from_millis(500), Duration::from_secs(3)),
        };
        if tries.iter().all(|one| one.outcome.is_some()) || now >= end {
            return Ok(());
        }
        let mut waiting: Vec<PollFd<'_>> = Vec::new();
        for one in tries.iter().filter(|one| one.outcome.is_none()) {
            let flags = if one.sent == 0 { PollFlags::POLLOUT } else { PollFlags::POLLIN };
            waiting.push(PollFd::new(one.attempt.descriptor(), flags));
        }
        // An acknowledgment alone wakes nobody: look again soon.
        let patience = (end - now).min(Duration::from_millis(3));
        match ppoll(&mut waiting, Some(TimeSpec::from_duration(patience)), None) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(Error::Io { what: "waiting for answers", source: error.into() }),
        }
    }
}

fn options(told: &Told) -> u32 {
    if told.timestamps { TIMESTAMPS_BYTES } else { 0 }
}

/// Lets one connection go on as far as it can.
fn step(one: &mut Try, host: &str, headers: u32) {
    let State::Open { .. } = one.attempt.state() else {
        if matches!(one.attempt.state(), State::Refused { .. } | State::Failed) {
            one.outcome = Some(Outcome::Useless);
        }
        return;
    };
    let Some(told) = one.attempt.told() else { return };
    let full = one.size.saturating_sub(headers + options(&told));
    if one.sent == 0 {
        let wanted = if one.way == Way::There { full } else { 0 };
        let request = request(host, wanted);
        // A request that does not go out as one segment of this size says nothing about it.
        if one.way == Way::There && (told.send_mss < full || request.len() as u32 != full) {
            one.outcome = Some(Outcome::Useless);
            return;
        }
        match one.attempt.socket.send(&request) {
            Ok(bytes) => one.sent = bytes as u32,
            Err(_) => one.outcome = Some(Outcome::Useless),
        }
        return;
    }
    let mut buffer = [0_u8; 16_384];
    while let Ok(bytes) = (&one.attempt.socket).read(&mut buffer) {
        if bytes == 0 {
            one.ended = true;
            break;
        }
        one.received += bytes as u32;
    }
    let Some(told) = one.attempt.told() else { return };
    match one.way {
        Way::There if told.send_mss < full => {
            let mtu = told.send_mss + options(&told) + headers;
            one.outcome = Some(Outcome::Smaller(mtu));
        }
        Way::There if told.unacknowledged == 0 => one.outcome = Some(Outcome::Fits),
        Way::There => {}
        Way::Back | Way::Control => {
            let largest = told.receive_mss;
            if one.received >= full && largest >= full {
                one.outcome = Some(Outcome::Fits);
            } else if one.received >= 3 * full && largest < full {
                one.outcome = Some(Outcome::Smaller(largest + options(&told) + headers));
            } else if one.ended {
                one.outcome = Some(Outcome::Useless);
            }
        }
    }
}

/// Draws the conclusions of a round; false when there were none.
fn learn(http: &mut Http, tries: &[Try]) -> bool {
    let served = tries.iter().any(|one| one.way == Way::Control && one.outcome == Some(Outcome::Fits));
    let mut news = false;
    for one in tries {
        let search = if one.way == Way::There { &mut http.to_peer } else { &mut http.from_peer };
        match (one.outcome, one.way) {
            (Some(Outcome::Fits), Way::Control) => search.control(false),
            (Some(Outcome::Fits), _) => {
                search.answered(one.size);
                news = true;
            }
            (Some(Outcome::Smaller(mtu)), Way::There) => {
                search.refused(one.size, mtu);
                news = true;
            }
            (Some(Outcome::Smaller(mtu)), Way::Back) => {
                search.answered(mtu);
                http.server_keeps_to = Some(http.server_keeps_to.unwrap_or(0).max(mtu));
                news = true;
            }
            // Only where the server answers others is silence about the size.
            (None, Way::There | Way::Back) if served => {
                search.vanished(one.size);
                news = true;
            }
            _ => {}
        }
    }
    news
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_exactly_as_long_as_asked() {
        for bytes in [200, 536, 1448, 8000] {
            let request = request("example.com", bytes);
            assert_eq!(request.len(), bytes as usize);
            assert!(request.ends_with(b"\r\n\r\n"));
        }
        // A host's name cannot end the header.
        let request = request("a\r\nX: y", 0);
        assert!(String::from_utf8(request).unwrap().contains("Host: [aX:y]\r\n"));
    }
}
