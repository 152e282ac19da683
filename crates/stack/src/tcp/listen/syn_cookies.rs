//! How is a SYN answered of which nothing is kept? SYN cookies (RFC 4987 §3.6), laid out as Linux does.
//!
//! What a listener would have to remember goes out in the SYN-ACK and comes back in the client's ACK: the MSS, as the row of a small
//! table, in the initial sequence number; window scale, SACK and ECN in the six lowest bits of the timestamp, where there is one.
//! Without timestamps they are not agreed on. A cookie depends on both ends, the client's sequence number, a key and the minute, so
//! that nobody can make one up without having got the SYN-ACK, and nobody can use one for long.

use crate::Instant;
use crate::knob::{EcnMode, Knobs};
use crate::random::{Random, Secret};
use crate::socket::demux::FourTuple;
use crate::tcp::options::Mss;
use narrows_wire::{Seq, TcpFlags, TcpHeader, TcpOptions};
use std::time::Duration;

/// Knob `tcp_syncookies` (net.ipv4.tcp_syncookies).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SynCookies {
    /// `0`: a SYN that cannot be remembered is dropped.
    Never,
    /// `1`: when the queue of handshakes is full.
    #[default]
    WhenFull,
    /// `2`: nothing is ever remembered of a SYN.
    Always,
}

impl SynCookies {
    /// All values, in the order of their numbers.
    pub const ALL: [SynCookies; 3] = [SynCookies::Never, SynCookies::WhenFull, SynCookies::Always];

    /// The number in the table of knobs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            SynCookies::Never => "0",
            SynCookies::WhenFull => "1",
            SynCookies::Always => "2",
        }
    }
}

/// The count of time in a cookie goes up so often.
const PERIOD: Duration = Duration::from_secs(60);
/// A cookie of so many periods ago is too old, so that it lives for one to two minutes.
const TOO_OLD: u32 = 2;
/// The count takes the bits above these.
const COUNT_SHIFT: u32 = 24;
const LOW_BITS: u32 = (1 << COUNT_SHIFT) - 1;

/// Which MSS can be told (as Linux's choice: the least, and those that common links have).
const MSS_IPV4: [u16; 4] = [536, 1300, 1440, 1460];
const MSS_IPV6: [u16; 4] = [1220, 1420, 1440, 8940];

/// The bits of a timestamp that carry options.
const OPTION_BITS: u32 = 6;
const OPTIONS: u32 = (1 << OPTION_BITS) - 1;
const SCALE: u32 = 0xf;
const NO_SCALE: u32 = 0xf;
const SACK: u32 = 1 << 4;
const ECN: u32 = 1 << 5;

/// After the last cookie ACKs without a handshake are looked at for so long.
pub(crate) const REMEMBERED: Duration = Duration::from_secs(60 * TOO_OLD as u64);

/// A host's keys for cookies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CookieJar {
    ends: Secret,
    minute: Secret,
}

impl CookieJar {
    pub(crate) fn new(seed: u64) -> CookieJar {
        let mut random = Random::new(seed);
        CookieJar { ends: Secret::new(random.next_u64()), minute: Secret::new(random.next_u64()) }
    }

    /// The initial sequence number that tells `mss`, or the next smaller one of the table, to whoever gets it.
    pub(crate) fn sequence(&self, now: Instant, tuple: &FourTuple, client: Seq, mss: u16) -> Seq {
        let row = table(tuple).iter().rposition(|known| *known <= mss).unwrap_or(0) as u32;
        let count = count_of(now);
        let low = self.low(tuple, count).wrapping_add(row) & LOW_BITS;
        Seq(self.base(tuple, client).wrapping_add(count << COUNT_SHIFT).wrapping_add(low))
    }

    /// The MSS that the cookie tells; `None` when it is none of ours, or too old.
    pub(crate) fn mss(&self, now: Instant, tuple: &FourTuple, client: Seq, cookie: Seq) -> Option<u16> {
        let bare = cookie.0.wrapping_sub(self.base(tuple, client));
        let count = count_of(now);
        let age = count.wrapping_sub(bare >> COUNT_SHIFT) & (u32::MAX >> COUNT_SHIFT);
        if age >= TOO_OLD {
            return None;
        }
        let row = bare.wrapping_sub(self.low(tuple, count.wrapping_sub(age))) & LOW_BITS;
        table(tuple).get(row as usize).copied()
    }

    fn base(&self, tuple: &FourTuple, client: Seq) -> u32 {
        (self.ends.of(tuple.local, tuple.remote) as u32).wrapping_add(client.0)
    }

    fn low(&self, tuple: &FourTuple, count: u32) -> u32 {
        self.minute.of_with(tuple.local, tuple.remote, count) as u32
    }
}

fn table(tuple: &FourTuple) -> &'static [u16; 4] {
    if tuple.local.is_ipv6() { &MSS_IPV6 } else { &MSS_IPV4 }
}

fn count_of(now: Instant) -> u32 {
    (now.as_nanos() / PERIOD.as_nanos() as u64) as u32
}

/// The SYN as far as a cookie can tell it: where timestamps are not agreed on, all options but the MSS are lost.
pub(crate) fn reduced(syn: &TcpHeader, timestamps: bool) -> TcpHeader {
    let mut reduced = syn.clone();
    if !timestamps || syn.options.timestamps.is_none() {
        reduced.options = TcpOptions { mss: syn.options.mss, ..TcpOptions::default() };
        reduced.flags = TcpFlags(syn.flags.0 & !(TcpFlags::ECE | TcpFlags::CWR).0);
    }
    reduced
}

/// The timestamp of a SYN-ACK that would have been `value`: its lowest bits tell what the SYN-ACK agrees to, and it is never later
/// than `value`. `offset` is what the connection's timestamps count from; `scale` the client's.
pub(crate) fn timestamp(value: u32, offset: u32, scale: Option<u8>, syn_ack: &TcpHeader) -> u32 {
    let mut options = scale.map_or(NO_SCALE, u32::from);
    if syn_ack.options.sack_permitted {
        options |= SACK;
    }
    if syn_ack.flags.contains(TcpFlags::ECE) {
        options |= ECN;
    }
    let clock = value.wrapping_sub(offset);
    let told = clock & !OPTIONS | options;
    let told = if told > clock { told.wrapping_sub(1 << OPTION_BITS) } else { told };
    told.wrapping_add(offset)
}

/// The SYN as it is told by the ACK that brings a cookie back; `None` when it would have agreed to what this host does not do.
pub(crate) fn told_syn(ack: &TcpHeader, offset: u32, mss: u16, knobs: &Knobs) -> Option<TcpHeader> {
    let mut options = TcpOptions { mss: Some(mss), ..TcpOptions::default() };
    let mut flags = TcpFlags::SYN;
    if let Some(timestamps) = ack.options.timestamps {
        let told = if timestamps.echo == 0 { 0 } else { timestamps.echo.wrapping_sub(offset) };
        let scale = Some((told & SCALE) as u8).filter(|_| told & SCALE != NO_SCALE);
        let sack = told & SACK != 0;
        if !knobs.timestamps || sack && !knobs.sack || scale.is_some() && !knobs.window_scaling {
            return None;
        }
        if told & ECN != 0 && knobs.ecn != EcnMode::Off {
            flags |= TcpFlags::ECE | TcpFlags::CWR;
        }
        options.timestamps = Some(timestamps);
        options.sack_permitted = sack;
        options.window_scale = scale;
    }
    Some(TcpHeader { seq: ack.seq - 1, ack: Seq(0), flags, options, ..ack.clone() })
}

/// The MSS of a SYN, as a cookie takes it.
pub(crate) fn mss_of(syn: &TcpHeader, ipv6: bool) -> u16 {
    syn.options.mss.map_or(Mss::default_for(ipv6), Mss::new).bytes()
}

#[cfg(test)]
#[path = "syn_cookies_tests.rs"]
mod tests;
