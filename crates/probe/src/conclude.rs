//! What does it all mean? From what was measured to the report.

use crate::error::Error;
use crate::finding::findings;
use crate::http::Http;
use crate::interface::believed_path_mtu;
use crate::line::Method;
use crate::measure::{Measurement, Options};
use crate::mss::tcp;
use crate::report::{Direction, Icmp, Report, Seen, Size};
use crate::target::Version;
use crate::tunnel::likenesses;
use narrows_stack::path::SMALLEST_IPV6;
use std::time::Instant;

impl Measurement<'_> {
    pub fn report(
        mut self,
        options: &Options,
        begun: Instant,
        before: Option<u32>,
        http: Option<Http>,
    ) -> Result<Report, Error> {
        for (method, seen) in [(Method::Echo, &mut self.echo), (Method::Udp, &mut self.udp)] {
            if *seen == Seen::Unknown && self.prober.line.offers(method) {
                *seen = Seen::No;
            }
        }
        let to_peer = self.direction_there(http.as_ref());
        let from_peer = self.direction_back(http.as_ref());
        if to_peer.path_mtu == Size::Unknown && from_peer.path_mtu == Size::Unknown && self.open.is_none() {
            return Err(self.nothing(options));
        }
        let interface_mtu = self.way.interface_mtu;
        let narrower = to_peer.path_mtu.exact().is_some_and(|size| size < interface_mtu);
        let too_big = match (self.too_big.is_empty(), narrower) {
            (false, _) => Seen::Yes,
            (true, true) => Seen::No,
            (true, false) => Seen::Unknown,
        };
        let icmp = Icmp {
            too_big,
            echo_reply: self.echo,
            port_unreachable: self.udp,
            time_exceeded: self.time_exceeded,
            limited: self.limited,
        };
        let tcp = tcp(&mut self, &to_peer, &from_peer);
        let narrowest = [to_peer.path_mtu.exact(), from_peer.path_mtu.exact()].into_iter().flatten().min();
        let findings = findings(&to_peer, &from_peer, &icmp, tcp.as_ref(), &self);
        let loss = self.loss();
        let after = believed_path_mtu(self.peer);
        self.add_notes(options, &to_peer, &from_peer, before, after);
        Ok(Report {
            host: options.target.host.clone(),
            address: self.peer,
            source: self.way.source,
            interface_mtu,
            round_trip_mtu: self.round_trip.known(),
            narrowing: self.narrowing,
            hops: self.hops,
            icmp,
            tcp,
            likenesses: narrowest.map(likenesses).unwrap_or_default(),
            findings,
            notes: self.notes,
            method: self.method,
            raw: self.raw,
            round_trip: self.prober.least_round_trip(),
            loss,
            kernel_path_mtu_before: before,
            kernel_path_mtu_after: after,
            probes: self.prober.packets,
            probe_bytes: self.prober.bytes,
            duration: begun.elapsed(),
            to_peer,
            from_peer,
        })
    }

    fn direction_there(&self, http: Option<&Http>) -> Direction {
        let exact = |size, how: String| Direction { path_mtu: Size::Exact(size), how };
        if let Some(size) = self.forward.known() {
            if let Some(direction) = self.answers_that_may_be_too_large(size) {
                return direction;
            }
            let how = if size == self.way.interface_mtu {
                "the largest packet that leaves this host arrives".to_owned()
            } else if self.forward.border_refused() {
                "it arrives, and a router refuses one byte more".to_owned()
            } else {
                let by = self.method.map_or("probes", Method::name);
                format!(
                    "it arrives by {by}; one byte more vanished every time while smaller ones came through"
                )
            };
            return exact(size, how);
        }
        if let Some(size) = http.and_then(|http| http.to_peer.known()) {
            return exact(
                size,
                "requests in segments of this size were acknowledged, larger ones never".to_owned(),
            );
        }
        let low = self.forward.low().max(http.map_or(0, |http| http.to_peer.low()));
        if let Some(both) = self.round_trip.known() {
            let how = format!(
                "echo requests come back up to {both} bytes; whether larger ones are lost on the way there or back cannot be told without TCP or UDP answers"
            );
            return Direction { path_mtu: Size::AtLeast(low), how };
        }
        if low == 0 {
            return Direction {
                path_mtu: Size::Unknown,
                how: "nothing that was sent is answered".to_owned(),
            };
        }
        let how = "nothing larger was answered, and nothing tells why".to_owned();
        Direction { path_mtu: Size::AtLeast(low), how }
    }

    /// Over IPv6 a "port unreachable" quotes the datagram as far as 1280 bytes reach (RFC 4443 §3.1). No link is narrower; where
    /// one seems to be, the answers may be what does not get through.
    fn answers_that_may_be_too_large(&self, size: u32) -> Option<Direction> {
        let quoting = self.method == Some(Method::Udp) && self.peer.is_ipv6();
        let told = self.forward.border_refused() || size == self.way.interface_mtu;
        let how =
            "datagrams of this size are answered; larger ones, or the answers that quote them, are lost";
        (quoting && size < SMALLEST_IPV6 && !told)
            .then(|| Direction { path_mtu: Size::AtLeast(size), how: how.to_owned() })
    }

    fn direction_back(&self, http: Option<&Http>) -> Direction {
        let by_echo = self.reverse_by_echo();
        if by_echo.path_mtu.exact().is_some() {
            return by_echo;
        }
        let Some(http) = http else { return by_echo };
        let search = &http.from_peer;
        if let (Some(size), None) = (search.known(), http.server_keeps_to) {
            let how = "the server's segments of this size arrive, larger ones never".to_owned();
            return Direction { path_mtu: Size::Exact(size), how };
        }
        if search.low() > by_echo.path_mtu.bytes().unwrap_or(0) {
            let how = match http.server_keeps_to {
                Some(_) => {
                    "the server was asked for larger segments and has sent none: it knows of a narrow link, or somebody lowers the MSS that we ask for"
                }
                None => "the server has sent a segment of this size, and none larger",
            };
            let how = how.to_owned();
            return Direction { path_mtu: Size::AtLeast(search.low()), how };
        }
        by_echo
    }

    /// Nothing is known at all.
    fn nothing(&self, options: &Options) -> Error {
        let address = self.peer.ip();
        let mut ports: Vec<String> =
            self.attempts.iter().map(|attempt| attempt.peer.port().to_string()).collect();
        ports.dedup();
        let echo = if self.prober.line.offers(Method::Echo) { "ICMP echo, " } else { "" };
        let tried = format!("{echo}UDP to closed ports, TCP to port {}", ports.join(" and "));
        if !self.raw {
            let why = format!(
                "{address}: nothing comes back ({tried}), and this user may not do more. {}",
                permits(options)
            );
            return Error::NotPermitted { why };
        }
        let more = "Give a TCP port that is open: HOST:PORT".to_owned();
        Error::NoAnswer { address, tried, more }
    }

    /// What the missing privilege costs this very measurement, and what would permit it.
    fn lost_without_raw_sockets(&self, options: &Options, from_peer: &Direction) -> String {
        let mut lost = vec!["that TCP's own packets take the way of the others"];
        if self.forward.known().is_none() {
            lost.push("the size that TCP's packets may have");
        }
        if from_peer.path_mtu == Size::Unknown && !self.prober.line.offers(Method::Echo) {
            lost.push("the way back, by echo replies");
        }
        if self.open.is_some() {
            lost.push("whether a router rewrites the MSS that this host asks for");
        }
        let why = if options.raw { "Without raw sockets" } else { "Without raw sockets (--no-raw)" };
        format!("{why} there is no knowing {}. {}", listed(&lost), permits(options))
    }

    fn add_notes(
        &mut self,
        options: &Options,
        to_peer: &Direction,
        from_peer: &Direction,
        before: Option<u32>,
        after: Option<u32>,
    ) {
        self.note_narrower_branch();
        let known = to_peer.path_mtu.exact().is_some();
        if !self.raw {
            self.notes.push(self.lost_without_raw_sockets(options, from_peer));
        }
        if known && from_peer.path_mtu.exact().is_none() && self.open.is_some() && !options.http {
            self.notes.push(
                "What would permit more: on a port that speaks HTTP, --http measures the way back with the server's own data."
                    .to_owned(),
            );
        }
        if self.limited {
            self.notes.push(
                "Answers stopped coming now and then: their rate is limited, so this took longer.".to_owned(),
            );
        }
        if let (Some(before), Some(after)) = (before, after)
            && before != after
        {
            self.notes.push(format!(
                "This kernel's own path MTU for {} was {before} bytes and is {after} now: a router's \"too big\" is remembered as for any program's packets, until it expires.",
                self.peer.ip()
            ));
        } else if let (Some(believed), Some(size)) = (after, to_peer.path_mtu.exact())
            && believed < size
        {
            self.notes.push(format!(
                "This kernel believes the path MTU to be {believed} bytes, less than what passes: `ip route get {}` shows it, `sudo ip route flush cache` forgets it.",
                self.peer.ip()
            ));
        }
        if self.time_is_up() && !known {
            self.notes.push("The time was up before the size was certain: --timeout gives more.".to_owned());
        }
    }
}

fn listed(parts: &[&str]) -> String {
    match parts {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{}, nor {last}", first.join(", ")),
    }
}

/// What a user may type to be permitted more.
fn permits(options: &Options) -> String {
    let port = options.target.port.map(|port| format!(":{port}")).unwrap_or_default();
    let host = &options.target.host;
    let host = if host.contains(':') && !port.is_empty() { format!("[{host}]") } else { host.clone() };
    let version = match options.version {
        Version::Any => "",
        Version::V4 => "--ipv4 ",
        Version::V6 => "--ipv6 ",
    };
    format!(
        "With raw sockets TCP measures it, too: sudo narrows path {version}{host}{port} (or, once: sudo setcap cap_net_raw+ep \"$(command -v narrows)\"). Echo requests alone need: sudo sysctl -w net.ipv4.ping_group_range=\"0 2147483647\"."
    )
}
