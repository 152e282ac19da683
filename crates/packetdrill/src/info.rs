//! What is `tcpi_…`? The names that code sections may use, and their values in our TCP_INFO, in Linux's units.

use narrows_stack::TcpInfo;
use narrows_stack::tcp::{State, recovery};

/// The value of a name, if there is such a name.
#[must_use]
pub fn look_up(name: &str, info: Option<&TcpInfo>) -> Option<i64> {
    if let Some((_, value)) = CONSTANTS.iter().find(|(constant, _)| *constant == name) {
        return Some(*value);
    }
    let info = info?;
    match name {
        "SK_MEMINFO_RCVBUF" => return Some(info.rcv_buffer.into()),
        "SK_MEMINFO_SNDBUF" => return Some(info.snd_buffer as i64),
        _ => {}
    }
    let field = name.strip_prefix("tcpi_")?;
    let microseconds = |nanoseconds: u64| (nanoseconds / 1_000) as i64;
    let milliseconds = |nanoseconds: u64| (nanoseconds / 1_000_000) as i64;
    Some(match field {
        "state" => i64::from(linux_state(info.state)),
        "ca_state" => match info.ca_state {
            recovery::State::Open => 0,
            recovery::State::Disorder => 1,
            recovery::State::Cwr => 2,
            recovery::State::Recovery => 3,
            recovery::State::Loss => 4,
        },
        "retransmits" => info.retransmits.into(),
        "probes" => info.probes.into(),
        "backoff" => info.backoff.into(),
        "options" => options(info),
        "snd_wscale" => info.snd_wscale.into(),
        "rcv_wscale" => info.rcv_wscale.into(),
        "rto" => microseconds(info.rto_ns),
        "ato" => microseconds(info.ato_ns),
        "snd_mss" => info.snd_mss.into(),
        "rcv_mss" => info.rcv_mss.into(),
        "unacked" => info.unacked.into(),
        "sacked" => info.sacked.into(),
        "lost" => info.lost.into(),
        "retrans" => info.retrans.into(),
        "last_data_recv" => milliseconds(info.last_data_recv_ns),
        "pmtu" => info.pmtu.into(),
        "rtt" => microseconds(info.rtt_ns),
        "rttvar" => microseconds(info.rttvar_ns),
        "min_rtt" => microseconds(info.min_rtt_ns),
        "rcv_rtt" => microseconds(info.rcv_rtt_ns),
        "snd_ssthresh" => info.snd_ssthresh.into(),
        "snd_cwnd" => info.snd_cwnd.into(),
        "advmss" => info.advmss.into(),
        "reordering" => info.reordering.into(),
        "reord_seen" => info.reord_seen.into(),
        "rcv_space" => info.rcv_space.into(),
        "total_retrans" => info.total_retrans.into(),
        "notsent_bytes" => info.notsent_bytes as i64,
        "bytes_acked" => info.bytes_acked as i64,
        "bytes_received" => info.bytes_received as i64,
        "bytes_retrans" => info.bytes_retrans as i64,
        "segs_out" => info.segs_out as i64,
        "segs_in" => info.segs_in as i64,
        "data_segs_out" => info.data_segs_out as i64,
        "data_segs_in" => info.data_segs_in as i64,
        "delivered" => info.delivered.into(),
        "snd_wnd" => info.snd_wnd.into(),
        "rcv_wnd" => info.rcv_wnd.into(),
        "busy_time" => microseconds(info.busy_time_ns),
        "rwnd_limited" => microseconds(info.rwnd_limited_ns),
        "sndbuf_limited" => microseconds(info.sndbuf_limited_ns),
        _ => return None,
    })
}

/// TCPI_OPT_TIMESTAMPS, TCPI_OPT_SACK, TCPI_OPT_WSCALE.
fn options(info: &TcpInfo) -> i64 {
    i64::from(info.timestamps) | i64::from(info.sack) << 1 | i64::from(info.window_scaling) << 2
}

pub(crate) fn linux_state(state: State) -> u8 {
    match state {
        State::Established => 1,
        State::SynSent => 2,
        State::SynReceived => 3,
        State::FinWait1 => 4,
        State::FinWait2 => 5,
        State::Closed => 7,
        State::CloseWait => 8,
        State::LastAck => 9,
        State::Closing => 11,
    }
}

const CONSTANTS: [(&str, i64); 26] = [
    ("TCP_ESTABLISHED", 1),
    ("TCP_SYN_SENT", 2),
    ("TCP_SYN_RECV", 3),
    ("TCP_FIN_WAIT1", 4),
    ("TCP_FIN_WAIT2", 5),
    ("TCP_TIME_WAIT", 6),
    ("TCP_CLOSE", 7),
    ("TCP_CLOSE_WAIT", 8),
    ("TCP_LAST_ACK", 9),
    ("TCP_LISTEN", 10),
    ("TCP_CLOSING", 11),
    ("TCP_CA_Open", 0),
    ("TCP_CA_Disorder", 1),
    ("TCP_CA_CWR", 2),
    ("TCP_CA_Recovery", 3),
    ("TCP_CA_Loss", 4),
    ("TCPI_OPT_TIMESTAMPS", 1),
    ("TCPI_OPT_SACK", 2),
    ("TCPI_OPT_WSCALE", 4),
    ("TCPI_OPT_ECN", 8),
    ("TCPI_OPT_ECN_SEEN", 16),
    ("TCPI_OPT_SYN_DATA", 32),
    ("TCP_INFINITE_SSTHRESH", 0x7fff_ffff),
    ("True", 1),
    ("False", 0),
    ("None", 0),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_linux_units_and_unknown_ones_no_value() {
        let info = TcpInfo { rtt_ns: 10_500_000, snd_cwnd: 7, ..TcpInfo::default() };
        assert_eq!(look_up("tcpi_rtt", Some(&info)), Some(10_500));
        assert_eq!(look_up("tcpi_snd_cwnd", Some(&info)), Some(7));
        assert_eq!(look_up("tcpi_nothing", Some(&info)), None);
        assert_eq!(look_up("tcpi_rtt", None), None);
        assert_eq!(look_up("TCP_CA_Recovery", None), Some(3));
    }
}
