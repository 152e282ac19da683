//! How is each knob turned on real systems? The lines as one types them.

use super::Fix;

macro_rules! none_yet {
    ($($name:ident),* $(,)?) => { $(pub(super) static $name: &[Fix] = &[];)* };
}
none_yet!(
    COALESCE_WRITES,
    QUICKACK,
    CORK,
    ACK_POLICY,
    ACK_SEGMENTS,
    ACK_DELAY_MIN,
    ACK_DELAY_MAX,
    HZ,
    INITCWND,
    CONGESTION_CONTROL,
    HYSTART,
    SACK,
    TIMESTAMPS,
    WINDOW_SCALING,
    RCVBUF,
    SNDBUF,
    MSS,
    SLOW_START_AFTER_IDLE,
    KEEPALIVE,
    KEEPALIVE_TIME,
    KEEPALIVE_INTERVAL,
    KEEPALIVE_PROBES,
    SYN_RETRIES,
    RTO_MIN,
    RTO_MAX
);

pub(super) static NODELAY: &[Fix] =
    &[Fix { system: "Rust", value: "true", lines: &["stream.set_nodelay(true)?;"] }];
