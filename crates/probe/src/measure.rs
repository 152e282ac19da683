//! In which order is a path measured? Who answers; the size to the peer; the size back; the hop; then what it means.

use crate::error::Error;
use crate::http;
use crate::interface::{WayOut, believed_path_mtu, choose};
use crate::line::{Line, Method};
use crate::plain::PlainLine;
use crate::prober::{Event, Landed, Prober, Shot};
use crate::raw::RawLine;
use crate::report::{AskedOnTheWay, Hop, Narrowing, Report, Seen};
use crate::search::Search;
use crate::sparing::Allowance;
use crate::target::{Target, Version, ip_header_bytes};
use crate::tcp::Attempt;
use narrows_stack::path::SMALLEST_IPV6;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// What to measure, and how far one may go.
#[derive(Clone, Debug)]
pub struct Options {
    /// Who is meant.
    pub target: Target,
    /// Which version of IP.
    pub version: Version,
    /// Send HTTP requests to the port: measures both directions with real data, without privileges.
    pub http: bool,
    /// Use raw sockets where they are permitted.
    pub raw: bool,
    /// Give up after this time, and report what is known then.
    pub time_limit: Duration,
}

impl Options {
    /// The usual way to measure a target.
    #[must_use]
    pub fn new(target: Target) -> Options {
        let time_limit = Duration::from_secs(30);
        Options { target, version: Version::Any, http: false, raw: true, time_limit }
    }
}

/// How far a measurement is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub doing: &'static str,
    /// The largest size that is known to arrive; 0 while nothing is.
    pub fits: u32,
    /// The smallest that probably does not.
    pub too_large: u32,
    /// Probes sent so far.
    pub probes: u64,
}

/// A probe that fits every path (RFC 791: 576 bytes; RFC 8200: 1280) and has room for every header.
pub(crate) const SMALL: u32 = 120;
/// Probes of different sizes at once.
pub(crate) const PARALLEL: usize = 12;

/// A measurement under way.
pub(crate) struct Measurement<'a> {
    pub prober: Prober,
    pub peer: SocketAddr,
    pub way: WayOut,
    pub raw: bool,
    /// What is known of the way to the peer.
    pub forward: Search,
    /// Only what this method's probes meet counts for the way to the peer: others take another branch.
    pub only: Option<Method>,
    /// What is known of there and back with packets of the same size.
    pub round_trip: Search,
    /// The largest answer that came whole, and the largest piece of one that did not.
    pub reverse_whole: u32,
    pub reverse_piece: Option<u32>,
    /// Answers were seen that routers may fragment.
    pub answers_may_fragment: Option<bool>,
    pub echo: Seen,
    pub udp: Seen,
    pub time_exceeded: Seen,
    /// The routers that said "too big", and what they named.
    pub too_big: Vec<(IpAddr, u32)>,
    /// What a router named did not fit, or no sender believes it.
    pub useless_words: bool,
    pub limited: bool,
    /// What the peer still grants of "port unreachable".
    pub allowance: Allowance,
    pub attempts: Vec<Attempt>,
    pub open: Option<usize>,
    pub hops: Vec<Hop>,
    pub narrowing: Option<Narrowing>,
    pub method: Option<Method>,
    pub notes: Vec<String>,
    pub asked_on_the_way: Option<AskedOnTheWay>,
    pub host: String,
    pub end: Instant,
    progress: &'a mut dyn FnMut(&Progress),
}

/// Measures the path to a target. `progress` is told before every round of probes.
///
/// # Errors
/// [`Error`]; a path on which something stays unknown is no error, the report says what.
pub fn measure(options: &Options, progress: &mut dyn FnMut(&Progress)) -> Result<Report, Error> {
    let begun = Instant::now();
    let (peer, way, notes) = choose(&options.target.resolve(options.version)?)?;
    let before = believed_path_mtu(peer);
    let (line, raw) = open_line(options, way.source, peer)?;
    let mut measurement = Measurement {
        prober: Prober::new(line),
        peer,
        way,
        raw,
        forward: Search::new(0, way.interface_mtu),
        only: None,
        round_trip: Search::new(0, way.interface_mtu),
        reverse_whole: 0,
        reverse_piece: None,
        answers_may_fragment: None,
        echo: Seen::Unknown,
        udp: Seen::Unknown,
        time_exceeded: Seen::Unknown,
        too_big: Vec::new(),
        useless_words: false,
        limited: false,
        allowance: Allowance::new(begun),
        attempts: Vec::new(),
        open: None,
        hops: Vec::new(),
        narrowing: None,
        method: None,
        notes,
        asked_on_the_way: None,
        host: options.target.host.clone(),
        end: begun + options.time_limit,
        progress,
    };
    measurement.contact()?;
    measurement.find_size_to_peer()?;
    let http = if options.http { http::measure(&mut measurement)? } else { None };
    measurement.find_reverse()?;
    measurement.find_hop()?;
    if measurement.forward.known().is_none() && measurement.prober.distrusts_routers {
        // The hop's probes have shown that a router lied.
        measurement.find_size_to_peer()?;
        measurement.find_hop()?;
    }
    measurement.find_asked()?;
    measurement.report(options, begun, before, http)
}

fn open_line(options: &Options, source: IpAddr, peer: SocketAddr) -> Result<(Box<dyn Line>, bool), Error> {
    if options.raw {
        match RawLine::open(source, peer) {
            Ok(line) => return Ok((Box::new(line), true)),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            Err(error) => return Err(Error::Io { what: "opening raw sockets", source: error }),
        }
    }
    let line = PlainLine::open(source, peer).map_err(Error::io("opening sockets"))?;
    Ok((Box::new(line), false))
}

impl Measurement<'_> {
    pub fn tell(&mut self, doing: &'static str) {
        let fits = self.forward.low();
        let too_large = self.forward.high();
        (self.progress)(&Progress { doing, fits, too_large, probes: self.prober.packets });
    }

    pub fn time_is_up(&self) -> bool {
        Instant::now() >= self.end
    }

    pub fn ip_header(&self) -> u32 {
        ip_header_bytes(self.peer.ip())
    }

    /// Sends a round and draws the conclusions that every round allows.
    pub fn round(&mut self, shots: &[Shot]) -> Result<Vec<Landed>, Error> {
        let landed = self.prober.round(shots)?;
        for one in &landed {
            self.absorb(one);
        }
        Ok(landed)
    }

    /// What a probe's fate says about the sizes.
    pub fn absorb(&mut self, landed: &Landed) {
        let Landed { shot, event } = *landed;
        let large = shot.method.answer_is_large();
        let counts = self.only.is_none_or(|only| only == shot.method);
        match event {
            Event::Answered { largest_fragment, may_fragment } => {
                if counts {
                    self.forward.answered(shot.size);
                    self.notice_lies();
                }
                match shot.method {
                    Method::Echo => {
                        self.echo = Seen::Yes;
                        self.round_trip.answered(shot.size);
                        self.answers_may_fragment = may_fragment.or(self.answers_may_fragment);
                        match largest_fragment {
                            Some(piece) if piece < shot.size => {
                                self.reverse_piece = Some(self.reverse_piece.unwrap_or(0).max(piece));
                            }
                            _ => self.reverse_whole = self.reverse_whole.max(shot.size),
                        }
                    }
                    Method::Udp => {
                        self.udp = Seen::Yes;
                        self.allowance.spend(Instant::now());
                    }
                    Method::Tcp => {}
                }
                if shot.control {
                    self.search_of(large).control(false);
                }
            }
            Event::TooBig { mtu, from } => {
                self.too_big.push((from, mtu));
                // Over IPv4 zero makes the sender guess (RFC 1191 §5), over IPv6 nothing below 1280 is believed (RFC 8201 §4).
                self.useless_words |= mtu >= shot.size || (self.peer.is_ipv6() && mtu < SMALLEST_IPV6);
                if counts {
                    self.forward.refused(shot.size, mtu);
                    self.notice_lies();
                }
                self.round_trip.refused(shot.size, mtu);
            }
            Event::Vanished if !counts && !large => {}
            Event::Vanished if shot.control => self.search_of(large).control(true),
            Event::Vanished => self.search_of(large).vanished(shot.size),
            Event::TimeExceeded { .. } => self.time_exceeded = Seen::Yes,
            Event::Unreachable { .. } | Event::Silent => {}
        }
    }

    /// Where something has arrived that a router has called too big, no router's word counts any more.
    fn notice_lies(&mut self) {
        if self.forward.contradicted() && !self.prober.distrusts_routers {
            self.prober.distrusts_routers = true;
            self.forward.distrust();
            self.round_trip.distrust();
        }
    }

    /// The share of control probes that were lost.
    pub fn loss(&self) -> f64 {
        let (sent, lost) = [&self.forward, &self.round_trip]
            .into_iter()
            .map(Search::controls)
            .fold((0, 0), |(sent, lost), (s, l)| (sent + s, lost + l));
        if sent == 0 { 0.0 } else { f64::from(lost) / f64::from(sent) }
    }

    /// What the fate of probes with large or small answers says something about.
    pub fn search_of(&mut self, large_answer: bool) -> &mut Search {
        if large_answer { &mut self.round_trip } else { &mut self.forward }
    }
}
