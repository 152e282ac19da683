//! What would a command print about our host? The counters that nstat shows and the sockets in /proc/net/tcp, and what grep leaves of
//! them.

use crate::error::ScriptError;
use narrows_stack::counters::{Counter, Counters};
use std::fmt::Write;
use std::net::SocketAddr;

/// Linux's counters of which we have the like, with ours.
const COUNTERS: [(&str, Counter); 17] = [
    ("TcpActiveOpens", Counter::ActiveOpens),
    ("TcpPassiveOpens", Counter::PassiveOpens),
    ("TcpRetransSegs", Counter::Retransmitted),
    ("TcpOutRsts", Counter::ResetsOut),
    ("TcpExtSyncookiesSent", Counter::SynCookiesSent),
    ("TcpExtSyncookiesRecv", Counter::SynCookiesReceived),
    ("TcpExtSyncookiesFailed", Counter::SynCookiesFailed),
    ("TcpExtTCPTimeouts", Counter::Timeouts),
    ("TcpExtTCPFastRetrans", Counter::FastRetransmits),
    ("TcpExtTCPLossProbes", Counter::LossProbes),
    ("TcpExtTCPChallengeACK", Counter::ChallengeAcks),
    ("TcpExtTCPWinProbe", Counter::WindowProbes),
    ("TcpExtTCPKeepAlive", Counter::KeepAliveProbes),
    ("TcpExtTCPOFOQueue", Counter::OutOfOrder),
    ("TcpExtBeyondWindow", Counter::BeyondWindow),
    ("TcpExtTCPZeroWindowDrop", Counter::ZeroWindowDrop),
    ("TcpExtTCPMD5Unexpected", Counter::SignatureUnexpected),
];

/// What there is to be printed.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// The host's counters.
    pub counters: Counters,
    /// Listening and connected sockets: local and remote end, Linux's number of the state.
    pub sockets: Vec<(SocketAddr, Option<SocketAddr>, u8)>,
}

impl Tables {
    /// As nstat prints it: what has grown since `before`, without what has not.
    #[must_use]
    pub fn nstat(&self, before: &Counters) -> String {
        let mut text = String::from("#kernel\n");
        for (name, counter) in COUNTERS {
            let grown = self.counters.get(counter).saturating_sub(before.get(counter));
            if grown > 0 {
                let _ = writeln!(text, "{name:<32}{grown:<19}0.0");
            }
        }
        text
    }

    /// As /proc/net/tcp (or tcp6) has it, as far as scripts look at it: the ends and the state.
    #[must_use]
    pub fn proc_net_tcp(&self, ipv6: bool) -> String {
        let mut text = String::from("  sl  local_address rem_address   st\n");
        let end = |address: SocketAddr| match address {
            SocketAddr::V4(v4) => format!("{:08X}:{:04X}", v4.ip().to_bits().swap_bytes(), v4.port()),
            SocketAddr::V6(v6) => {
                let words = v6.ip().octets();
                let hex: String = words
                    .chunks(4)
                    .map(|w| format!("{:08X}", u32::from_le_bytes([w[0], w[1], w[2], w[3]])))
                    .collect();
                format!("{hex}:{:04X}", v6.port())
            }
        };
        for (index, (local, remote, state)) in self.sockets.iter().enumerate() {
            if local.is_ipv6() == ipv6 {
                let none = SocketAddr::new(local.ip(), 0);
                let remote = remote.unwrap_or(none);
                let _ = writeln!(text, "{index:4}: {} {} {state:02X} ", end(*local), end(remote));
            }
        }
        text
    }
}

/// The name is one of Linux's counters that we have.
#[must_use]
pub fn is_counter(name: &str) -> bool {
    COUNTERS.iter().any(|(known, _)| known.contains(name))
}

/// The lines of `text` that grep's `arguments` leave; fixed patterns only.
///
/// # Errors
/// An option that is not known, or a pattern with special characters.
pub fn grep(text: &str, arguments: &[&str], line: usize) -> Result<String, ScriptError> {
    let mut invert = false;
    let mut pattern = None;
    for argument in arguments {
        match (*argument, pattern) {
            ("-q" | "-F" | "-w" | "-s", _) => {}
            ("-v", _) => invert = true,
            (other, None) if !other.starts_with('-') => pattern = Some(other),
            (other, _) => {
                return Err(ScriptError::syntax(line, format!("grep: \"{other}\" is not understood")));
            }
        }
    }
    let pattern = pattern.ok_or_else(|| ScriptError::syntax(line, "grep: the pattern is missing"))?;
    if pattern.contains(['*', '[', ']', '^', '$', '\\', '.', '+', '?']) {
        return Err(ScriptError::syntax(
            line,
            format!("grep: only plain text is searched for, not \"{pattern}\""),
        ));
    }
    Ok(text
        .lines()
        .filter(|found| found.contains(pattern) != invert)
        .fold(String::new(), |all, found| all + found + "\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_found_by_its_state_and_port() {
        let listener = SocketAddr::from(([0, 0, 0, 0], 8080));
        let tables = Tables { sockets: vec![(listener, None, 10)], ..Tables::default() };
        let found = grep(&tables.proc_net_tcp(false), &[" 0A "], 1).unwrap();
        assert!(!grep(&found, &[":1F90"], 1).unwrap().is_empty());
        assert!(grep(&found, &["-q", ":1F91"], 1).unwrap().is_empty());
        assert!(grep(&tables.proc_net_tcp(true), &[" 0A "], 1).unwrap().is_empty());
    }

    #[test]
    fn patterns_that_are_not_plain_text_are_refused() {
        assert!(grep("x", &["a.*b"], 1).is_err());
        assert!(grep("x", &["--colour", "x"], 1).is_err());
    }
}
