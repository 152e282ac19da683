//! Which knob values does a known system ship with?

use crate::knob::{AckPolicyKind, CongestionControl, Knobs};
use crate::tcp::nagle::NaglePolicy;
use std::time::Duration;

/// A known system.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// `linux`, `freebsd`, `windows`, `macos` or `rfc`.
    pub name: &'static str,
    /// What it ships with.
    pub knobs: Knobs,
}

/// The names that [`Profile::by_name`] knows.
pub const NAMES: &[&str] = &["linux", "freebsd", "windows", "macos", "rfc"];

impl Profile {
    /// Linux 6.x, HZ=250.
    #[must_use]
    pub fn linux() -> Profile {
        Profile { name: "linux", knobs: Knobs::default() }
    }

    /// FreeBSD 14.
    #[must_use]
    pub fn freebsd() -> Profile {
        let knobs = Knobs {
            nagle: NaglePolicy::Rfc896,
            ack_policy: AckPolicyKind::Delayed,
            ack_segments: 2,
            ack_delay_max: Duration::from_millis(40),
            hz: 0,
            hystart: true,
            rto_min: Duration::from_millis(30),
            rto_max: Duration::from_secs(64),
            keepalive: true,
            keepalive_probes: 8,
            syn_retries: 12,
            ..Knobs::default()
        };
        Profile { name: "freebsd", knobs }
    }

    /// Windows 10 and 11, Server 2019 and later.
    #[must_use]
    pub fn windows() -> Profile {
        let knobs = Knobs {
            nagle: NaglePolicy::Rfc896,
            ack_policy: AckPolicyKind::Delayed,
            ack_segments: 2,
            ack_delay_max: Duration::from_millis(40),
            hz: 0,
            timestamps: false,
            rto_min: Duration::from_millis(300),
            keepalive_interval: Duration::from_secs(1),
            keepalive_probes: 10,
            syn_retries: 2,
            ..Knobs::default()
        };
        Profile { name: "windows", knobs }
    }

    /// macOS.
    #[must_use]
    pub fn macos() -> Profile {
        let knobs = Knobs {
            nagle: NaglePolicy::Rfc896,
            ack_policy: AckPolicyKind::Delayed,
            ack_segments: 2,
            ack_delay_max: Duration::from_millis(100),
            hz: 0,
            rto_min: Duration::from_millis(230),
            rto_max: Duration::from_secs(64),
            keepalive_probes: 8,
            ..Knobs::default()
        };
        Profile { name: "macos", knobs }
    }

    /// What the RFCs ask for, where they leave a choice the most usual one.
    #[must_use]
    pub fn rfc() -> Profile {
        let knobs = Knobs {
            nagle: NaglePolicy::Rfc896,
            ack_policy: AckPolicyKind::Delayed,
            ack_segments: 2,
            ack_delay_max: Duration::from_millis(500),
            hz: 0,
            hystart: false,
            congestion_control: CongestionControl::Reno,
            rto_min: Duration::from_secs(1),
            ..Knobs::default()
        };
        Profile { name: "rfc", knobs }
    }

    /// The profile of that name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Profile> {
        match name {
            "linux" => Some(Profile::linux()),
            "freebsd" => Some(Profile::freebsd()),
            "windows" => Some(Profile::windows()),
            "macos" => Some(Profile::macos()),
            "rfc" => Some(Profile::rfc()),
            _ => None,
        }
    }
}
