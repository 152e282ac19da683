//! Which setting of the kernel is which knob? sysctl's names.
//!
//! A setting that is not known is an error. One that is known and has no knob is accepted with the value that describes what the
//! stack does anyway; any other value says that the stack has no such thing.

use crate::error::ScriptError;
use narrows_stack::Knobs;
use narrows_stack::knob::{CongestionControl, EcnMode, LossDetection, MtuProbing, SynCookies};
use std::time::Duration;

/// Settings without a knob, and the values with which Linux behaves as the stack does; none: as with any.
const AS_LINUX: [(&str, &[&str]); 29] = [
    // Without effect in Linux itself.
    ("tcp_fack", &[]),
    // Only looked at with accurate ECN, which is refused by itself.
    ("tcp_ecn_option", &[]),
    ("tcp_ecn_option_beacon", &[]),
    ("tcp_ecn_fallback", &["1"]),
    // Fast Open is refused where it is used, not where it is configured.
    ("tcp_fastopen", &[]),
    ("tcp_fastopen_key", &[]),
    ("tcp_fastopen_blackhole_timeout_sec", &[]),
    ("tcp_fastopen_cookies", &[]),
    // A device of a script frees each packet at once, so that nothing is corked by itself or limited by queues.
    ("tcp_autocorking", &[]),
    ("tcp_limit_output_bytes", &[]),
    // Nothing is remembered about peers.
    ("tcp_no_metrics_save", &[]),
    ("tcp_no_ssthresh_metrics_save", &[]),
    ("tcp_frto", &["1", "2"]),
    ("tcp_dsack", &["1"]),
    ("tcp_max_reordering", &["300"]),
    ("tcp_retries1", &["3"]),
    ("tcp_retries2", &["15"]),
    ("tcp_orphan_retries", &["0", "8"]),
    ("tcp_fin_timeout", &["60"]),
    ("tcp_challenge_ack_limit", &["2147483647", "1000"]),
    ("tcp_invalid_ratelimit", &["500"]),
    ("tcp_pingpong_thresh", &["1"]),
    ("tcp_thin_linear_timeouts", &["0"]),
    ("tcp_shrink_window", &["0"]),
    ("tcp_moderate_rcvbuf", &["1"]),
    ("tcp_rfc1337", &["0"]),
    ("tcp_stdurg", &["0"]),
    ("tcp_adv_win_scale", &["1"]),
    ("tcp_comp_sack_nr", &["44"]),
];

/// `name=value`, the name with dots or slashes.
///
/// # Errors
/// A name or value that is not known, or that asks for what the stack does not have.
pub fn set(knobs: &mut Knobs, setting: &str, line: usize) -> Result<(), ScriptError> {
    let bad = |problem: String| ScriptError::syntax(line, problem);
    let (name, value) =
        setting.split_once('=').ok_or_else(|| bad(format!("\"{setting}\": a setting is NAME=VALUE")))?;
    let dotted = name.trim_start_matches("/proc/sys/").replace('/', ".");
    let short = dotted
        .strip_prefix("net.ipv4.")
        .or_else(|| dotted.strip_prefix("net.core.").filter(|core| matches!(*core, "rmem_max" | "wmem_max")));
    let short = short.ok_or_else(|| bad(format!("setting \"{name}\" is not known")))?;
    let numbers: Option<Vec<u64>> = value
        .split_whitespace()
        .map(|word| crate::parser::integer(word).and_then(|number| number.try_into().ok()))
        .collect();
    let numbers = numbers.unwrap_or_default();
    let number = || match numbers.as_slice() {
        [number] => Ok(*number),
        _ => Err(bad(format!("{name} needs one number, not \"{value}\""))),
    };
    let small = || {
        number().and_then(|number| {
            u32::try_from(number).map_err(|_| bad(format!("{name}: {number} is too large")))
        })
    };
    let missing = |what: &str| ScriptError::missing(line, format!("{what} ({short}={value})"));
    let system = &mut knobs.system;
    match short {
        "tcp_rmem" | "tcp_wmem" => {
            let [_, first, most] = numbers[..] else {
                return Err(bad(format!("{name} needs three numbers, not \"{value}\"")));
            };
            let fit = |bytes| u32::try_from(bytes).unwrap_or(u32::MAX);
            let buffer =
                if short == "tcp_rmem" { &mut system.receive_buffer } else { &mut system.send_buffer };
            *buffer = (fit(first), fit(most));
        }
        "tcp_timestamps" => knobs.timestamps = number()? != 0,
        "tcp_sack" => knobs.sack = number()? != 0,
        "tcp_window_scaling" => knobs.window_scaling = number()? != 0,
        "tcp_slow_start_after_idle" => knobs.slow_start_after_idle = number()? != 0,
        "tcp_syn_retries" => knobs.syn_retries = small()?,
        "tcp_synack_retries" => system.syn_ack_retries = small()?,
        "tcp_max_syn_backlog" => system.max_syn_backlog = small()?,
        "tcp_abort_on_overflow" => system.abort_on_overflow = number()? != 0,
        "tcp_syncookies" => {
            let cookies = SynCookies::ALL.into_iter().find(|cookies| cookies.name() == value);
            knobs.syn_cookies = cookies.ok_or_else(|| missing("other SYN cookies"))?;
        }
        "rmem_max" => system.rmem_max = small()?,
        "wmem_max" => system.wmem_max = small()?,
        "tcp_syn_linear_timeouts" => system.syn_linear_timeouts = small()?,
        "tcp_max_orphans" => system.max_orphans = small()?,
        "tcp_max_tw_buckets" => system.max_tw_buckets = small()?,
        "tcp_min_tso_segs" => system.min_tso_segs = small()?,
        "tcp_tso_win_divisor" => system.tso_win_divisor = small()?,
        "tcp_pacing_ss_ratio" => system.pacing_ss_ratio = small()?,
        "tcp_pacing_ca_ratio" => system.pacing_ca_ratio = small()?,
        "tcp_notsent_lowat" => system.notsent_lowat = small()?,
        "tcp_retrans_collapse" => system.retrans_collapse = number()? != 0,
        "tcp_reordering" => system.reordering = small()?,
        "tcp_early_retrans" => system.tail_loss_probe = number()? >= 3,
        "tcp_recovery" => match number()? {
            0 => knobs.recovery = LossDetection::Rfc6675,
            1 => knobs.recovery = LossDetection::RackTlp,
            _ => return Err(missing("another way to find losses")),
        },
        "tcp_keepalive_time" => knobs.keepalive_time = Duration::from_secs(number()?),
        "tcp_keepalive_intvl" => knobs.keepalive_interval = Duration::from_secs(number()?),
        "tcp_keepalive_probes" => knobs.keepalive_probes = small()?,
        "tcp_rto_min_us" => knobs.rto_min = Duration::from_micros(number()?),
        "tcp_rto_max_ms" => knobs.rto_max = Duration::from_millis(number()?),
        "tcp_congestion_control" => {
            knobs.congestion_control = match value {
                "cubic" => CongestionControl::Cubic,
                "reno" => CongestionControl::Reno,
                "bbr" => CongestionControl::Bbr,
                other => return Err(ScriptError::missing(line, format!("congestion control {other}"))),
            }
        }
        "tcp_ecn" => {
            knobs.ecn = match number()? {
                0 => EcnMode::Off,
                1 => EcnMode::On,
                2 => EcnMode::Accept,
                _ => return Err(missing("accurate ECN (RFC 9768)")),
            };
        }
        // Ours: no kernel has it.
        "tcp_mtu_probing" if value == MtuProbing::Search.name() => knobs.mtu_probing = MtuProbing::Search,
        "tcp_mtu_probing" => {
            knobs.mtu_probing = match number()? {
                0 => MtuProbing::Off,
                1 => MtuProbing::BlackHole,
                2 => MtuProbing::Always,
                _ => return Err(missing("another way to probe")),
            };
        }
        "tcp_base_mss" => knobs.base_mss = small()?,
        "tcp_min_snd_mss" => match small()? {
            floor @ 48..=65_535 => system.min_snd_mss = floor,
            _ => return Err(bad(format!("{name}: 48 to 65535, not \"{value}\""))),
        },
        "tcp_mtu_probe_floor" => system.mtu_probe_floor = small()?,
        "tcp_probe_threshold" => knobs.probe_threshold = small()?,
        "tcp_probe_interval" => knobs.probe_interval = Duration::from_secs(number()?),
        other => {
            let known = AS_LINUX.iter().find(|(known, _)| *known == other);
            let (_, values) = known.ok_or_else(|| bad(format!("setting \"{name}\" is not known")))?;
            if !values.is_empty() && !values.contains(&value) {
                return Err(missing("a setting that the stack does not have"));
            }
        }
    }
    Ok(())
}
