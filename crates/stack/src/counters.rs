//! What has the host done and dropped, and how often? Every drop and every decision has one counter, named once.

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// One thing that is counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Counter { $($(#[$doc])* $name,)* }

        impl Counter {
            /// All counters, in the order of the table.
            pub const ALL: &'static [Counter] = &[$(Counter::$name,)*];

            /// The name used in reports.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Counter::$name => $text,)* }
            }
        }
    };
}

counters! {
    /// TCP segments that arrived.
    SegmentsIn = "segments_in",
    /// TCP segments that left (a large segment counts once for each segment it will be cut into).
    SegmentsOut = "segments_out",
    /// Segments sent again, for whatever reason.
    Retransmitted = "retransmitted",
    /// Connections begun by this host.
    ActiveOpens = "active_opens",
    /// Connections begun by others.
    PassiveOpens = "passive_opens",
    /// Dropped: a protocol this host does not speak, or a fragment.
    NotForUs = "not_for_us",
    /// Dropped: the destination is not an address of this host.
    WrongDestination = "wrong_destination",
    /// Dropped: no honest packet has these addresses (RFC 1122 §3.2.1.3).
    Martian = "martian",
    /// Segments for which there was no socket (answered with RST, unless they carried one).
    NoSocket = "no_socket",
    /// RSTs sent.
    ResetsOut = "resets_out",
    /// Connections ended by the peer's RST.
    ResetsIn = "resets_in",
    /// RST ignored because it was not exactly at RCV.NXT (RFC 5961 §3.2).
    ResetIgnored = "reset_ignored",
    /// SYN dropped because the accept queue was full.
    SynDroppedQueueFull = "syn_dropped_queue_full",
    /// SYN dropped because too many handshakes were under way at the listener.
    SynDroppedHalfOpen = "syn_dropped_half_open",
    /// SYNs answered with a cookie and not remembered (Linux's SyncookiesSent).
    SynCookiesSent = "syn_cookies_sent",
    /// Cookies that came back and opened a connection, or would have (SyncookiesRecv).
    SynCookiesReceived = "syn_cookies_received",
    /// ACKs without a handshake, soon after cookies were sent, that carry none of them (SyncookiesFailed; answered with RST).
    SynCookiesFailed = "syn_cookies_failed",
    /// The handshake's last ACK ignored because the accept queue was full.
    AckDroppedQueueFull = "ack_dropped_queue_full",
    /// Dropped: outside the receive window.
    OutOfWindow = "out_of_window",
    /// Dropped: an old timestamp (RFC 7323 §5, PAWS).
    Paws = "paws",
    /// Dropped: acknowledges something too old or never sent (RFC 5961 §5.2).
    BadAck = "bad_ack",
    /// Dropped: ends beyond the receive window.
    BeyondWindow = "beyond_window",
    /// Dropped: data for a window that is closed.
    ZeroWindowDrop = "zero_window_drop",
    /// Dropped: signed (RFC 2385, RFC 5925), and this host has agreed on no key.
    SignatureUnexpected = "signature_unexpected",
    /// Dropped: neither SYN nor RST nor ACK set.
    NoFlags = "no_flags",
    /// Dropped: a SYN within an open connection (RFC 5961 §4.2).
    SynInWindow = "syn_in_window",
    /// Challenge ACKs sent (RFC 5961).
    ChallengeAcks = "challenge_acks",
    /// Challenge ACKs not sent because of the limit (RFC 5961 §7).
    ChallengeAcksLimited = "challenge_acks_limited",
    /// Answers to unacceptable segments not sent because of the limit.
    DuplicateAcksLimited = "duplicate_acks_limited",
    /// Data that had already arrived.
    DuplicateData = "duplicate_data",
    /// Segments kept beyond a gap.
    OutOfOrder = "out_of_order",
    /// Dropped: too many small pieces beyond a gap.
    OutOfOrderRefused = "out_of_order_refused",
    /// Data for a socket that nobody can read any more (answered with RST).
    DataAfterClose = "data_after_close",
    /// Retransmission timeouts.
    Timeouts = "timeouts",
    /// Losses noticed by duplicate or selective acknowledgments.
    FastRetransmits = "fast_retransmits",
    /// Probes of the end of a flight sent (RFC 8985 §7).
    LossProbes = "loss_probes",
    /// ICMP messages that arrived for this host.
    IcmpIn = "icmp_in",
    /// Echo requests answered.
    EchoReplies = "echo_replies",
    /// ICMP errors ignored: they quote nothing that is in flight, or nothing of ours (RFC 5927).
    IcmpNotBelieved = "icmp_not_believed",
    /// ICMP errors without effect: the connection goes on (RFC 1122 §4.2.3.9).
    IcmpSoftErrors = "icmp_soft_errors",
    /// Connection attempts that an ICMP error ended.
    IcmpHardErrors = "icmp_hard_errors",
    /// Reports "packet too big" that lowered a path's MTU.
    PathMtuLowered = "path_mtu_lowered",
    /// Reports "packet too big" that did not: no lower than what is known.
    PathMtuNotLowered = "path_mtu_not_lowered",
    /// Times that segments in flight went again because the path takes only smaller ones.
    ResentForSize = "resent_for_size",
    /// Pieces of datagrams that arrived.
    FragmentsIn = "fragments_in",
    /// Pieces of datagrams that this host has cut.
    FragmentsOut = "fragments_out",
    /// Datagrams put together from pieces.
    Reassembled = "reassembled",
    /// Pieces that had come before.
    FragmentsDuplicate = "fragments_duplicate",
    /// Pieces of datagrams whose pieces contradict each other (RFC 5722).
    FragmentsOverlapping = "fragments_overlapping",
    /// Pieces that cannot be right: too short, not a multiple of 8 bytes, too far away.
    FragmentsMalformed = "fragments_malformed",
    /// Incomplete datagrams given up because the rest did not come in time.
    ReassemblyTimeouts = "reassembly_timeouts",
    /// Incomplete datagrams given up for want of memory.
    ReassemblyEvicted = "reassembly_evicted",
    /// UDP datagrams that arrived and were kept for a socket.
    DatagramsIn = "datagrams_in",
    /// UDP datagrams sent (one that goes in pieces counts once).
    DatagramsOut = "datagrams_out",
    /// UDP datagrams for which there was no socket (answered with ICMP "port unreachable").
    DatagramsNoSocket = "datagrams_no_socket",
    /// UDP datagrams dropped because the socket's receive queue was full.
    DatagramsQueueFull = "datagrams_queue_full",
    /// ICMP errors sent.
    IcmpErrorsOut = "icmp_errors_out",
    /// ICMP errors not sent because of the limit.
    IcmpErrorsLimited = "icmp_errors_limited",
    /// Black holes suspected: large segments seem to vanish (RFC 4821).
    MtuBlackHoles = "mtu_black_holes",
    /// Probes for a larger segment size sent (RFC 4821).
    MtuProbes = "mtu_probes",
    /// Of those, acknowledged.
    MtuProbesAcknowledged = "mtu_probes_acknowledged",
    /// Of those, lost.
    MtuProbesLost = "mtu_probes_lost",
    /// Packets that the device did not take.
    DeviceFull = "device_full",
    /// Delayed ACKs sent by their timer.
    DelayedAcks = "delayed_acks",
    /// Zero-window probes sent.
    WindowProbes = "window_probes",
    /// Keep-alive probes sent.
    KeepAliveProbes = "keep_alive_probes",
    /// Connections given up because the peer did not answer.
    TimedOut = "timed_out",
    /// Connections that went through TIME-WAIT.
    TimeWait = "time_wait",
    /// TIME-WAIT ended early by a RST at exactly RCV.NXT.
    TimeWaitKilled = "time_wait_killed",
    /// TIME-WAIT ended early by a new connection (RFC 6191).
    TimeWaitReused = "time_wait_reused",
    /// Resting in FIN-WAIT-2 without an owner for too long.
    OrphanTimedOut = "orphan_timed_out",
    /// Connections reset when they were given up, because too many others are without an owner (Linux's TCPAbortOnMemory).
    OrphansOverflow = "orphans_overflow",
    /// TIME-WAIT left out because too many connections rest in it (Linux's TCPTimeWaitOverflow).
    TimeWaitOverflow = "time_wait_overflow",
}

/// The counters of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters([u64; Counter::ALL.len()]);

impl Default for Counters {
    fn default() -> Counters {
        Counters([0; Counter::ALL.len()])
    }
}

impl Counters {
    /// How often it has happened.
    #[must_use]
    pub fn get(&self, counter: Counter) -> u64 {
        self.0[counter as usize]
    }

    /// Those that are not zero, in the order of the table.
    pub fn nonzero(&self) -> impl Iterator<Item = (Counter, u64)> + '_ {
        Counter::ALL.iter().map(|counter| (*counter, self.get(*counter))).filter(|(_, count)| *count > 0)
    }

    pub(crate) fn add(&mut self, counter: Counter, count: u64) {
        self.0[counter as usize] += count;
    }

    pub(crate) fn count(&mut self, counter: Counter) {
        self.add(counter, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_has_a_name_of_its_own_and_a_place_of_its_own() {
        let names: std::collections::BTreeSet<_> = Counter::ALL.iter().map(|c| c.name()).collect();
        assert_eq!(names.len(), Counter::ALL.len());
        let mut counters = Counters::default();
        for counter in Counter::ALL {
            counters.count(*counter);
        }
        assert!(counters.nonzero().all(|(_, count)| count == 1));
    }
}
