//! Which settings does a system have beside the knobs of the table? Limits and choices that belong to the host, the route or one
//! socket, that scripts and profiles set, and that no finding recommends to turn.

use std::time::Duration;

/// The values; the default is Linux's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct System {
    /// Receive buffer at first and at most, bytes (net.ipv4.tcp_rmem; 32 MiB since Linux 6.16, hence the window scale of 10
    /// that captures of 6.18 show).
    pub receive_buffer: (u32, u32),
    /// Send buffer at first and at most, bytes (net.ipv4.tcp_wmem).
    pub send_buffer: (u32, u32),
    /// The largest receive buffer that an application gets, before it is doubled, bytes (net.core.rmem_max; 4 MiB since Linux 6.17).
    pub rmem_max: u32,
    /// The same for send buffers (net.core.wmem_max).
    pub wmem_max: u32,
    /// Retransmissions of a SYN-ACK (net.ipv4.tcp_synack_retries).
    pub syn_ack_retries: u32,
    /// Without SYN cookies a listener keeps no more handshakes than three quarters of this, however long its backlog
    /// (net.ipv4.tcp_max_syn_backlog; Linux chooses it by the host's memory).
    pub max_syn_backlog: u32,
    /// A client whose last ACK finds the accept queue full is reset, instead of being left to try again
    /// (net.ipv4.tcp_abort_on_overflow).
    pub abort_on_overflow: bool,
    /// Retransmissions of a SYN at the first interval, before it doubles (net.ipv4.tcp_syn_linear_timeouts).
    pub syn_linear_timeouts: u32,
    /// Fewest segments in a group when there is enough data (net.ipv4.tcp_min_tso_segs).
    pub min_tso_segs: u32,
    /// The part of a window worth waiting for, as a divisor; 0: do not wait (net.ipv4.tcp_tso_win_divisor).
    pub tso_win_divisor: u32,
    /// Sending rate in slow start, percent of window per round trip (net.ipv4.tcp_pacing_ss_ratio); the knob `pacing_ss_ratio`.
    pub pacing_ss_ratio: u32,
    /// The same in congestion avoidance (net.ipv4.tcp_pacing_ca_ratio); the knob `pacing_ca_ratio`.
    pub pacing_ca_ratio: u32,
    /// A socket is writable only while less than this is unsent, bytes (TCP_NOTSENT_LOWAT).
    pub notsent_lowat: u32,
    /// How long data may stay unacknowledged before the connection is given up; zero: as many retransmissions as usual
    /// (TCP_USER_TIMEOUT, RFC 5482).
    pub user_timeout: Duration,
    /// Tail loss probes (net.ipv4.tcp_early_retrans; RFC 8985 §7).
    pub tail_loss_probe: bool,
    /// Small segments that follow one another are joined when they are sent again (net.ipv4.tcp_retrans_collapse).
    pub retrans_collapse: bool,
    /// Reordering assumed at first, segments (net.ipv4.tcp_reordering).
    pub reordering: u32,
    /// The least segment size, TCP options included, whatever the peer announces or the path takes, bytes; 48 to 65535
    /// (net.ipv4.tcp_min_snd_mss).
    pub min_snd_mss: u32,
    /// A search for the segment size never goes below this, bytes (net.ipv4.tcp_mtu_probe_floor).
    pub mtu_probe_floor: u32,
    /// Connections without an owner that a host keeps; beyond that, who gives one up resets it (net.ipv4.tcp_max_orphans).
    pub max_orphans: u32,
    /// Connections that rest in TIME-WAIT on a host; beyond that they end at once (net.ipv4.tcp_max_tw_buckets).
    pub max_tw_buckets: u32,
    /// DSCP and ECN bits of the packets sent (IP_TOS, IPV6_TCLASS).
    pub traffic_class: u8,
}

impl Default for System {
    fn default() -> System {
        System {
            receive_buffer: (131_072, 33_554_432),
            send_buffer: (16_384, 4_194_304),
            rmem_max: 4 << 20,
            wmem_max: 4 << 20,
            syn_ack_retries: 5,
            max_syn_backlog: 2048,
            abort_on_overflow: false,
            syn_linear_timeouts: 4,
            min_tso_segs: 2,
            tso_win_divisor: 3,
            pacing_ss_ratio: 200,
            pacing_ca_ratio: 120,
            notsent_lowat: u32::MAX,
            user_timeout: Duration::ZERO,
            tail_loss_probe: true,
            retrans_collapse: true,
            reordering: 3,
            min_snd_mss: 48,
            mtu_probe_floor: 48,
            max_orphans: 262_144,
            max_tw_buckets: 262_144,
            traffic_class: 0,
        }
    }
}
