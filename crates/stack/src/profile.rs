//! Which knob values does a known system ship with?

use crate::knob::{AckPolicyKind, CongestionControl, HyStartKind, Knobs, LossDetection};
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

    /// FreeBSD 14: every second segment or 40 ms (tcp(4), `net.inet.tcp.delacktime`), keep-alive on, `rexmit_slop` of 200 ms
    /// on top of the round trip.
    #[must_use]
    pub fn freebsd() -> Profile {
        let knobs = Knobs {
            hystart: HyStartKind::Off,
            recovery: LossDetection::Rfc6675,
            rto_max: Duration::from_secs(64),
            keepalive: true,
            keepalive_probes: 8,
            ..delayed(Duration::from_millis(40))
        };
        Profile { name: "freebsd", knobs }
    }

    /// Windows 10 and later, Server 2019 and later: the `Internet` template of `Get-NetTCPSetting`.
    #[must_use]
    pub fn windows() -> Profile {
        let knobs = Knobs {
            // RFC 9406 §1: the default for all connections.
            hystart: HyStartKind::Rfc9406,
            timestamps: false,
            rto_min: Duration::from_millis(300),
            keepalive_interval: Duration::from_secs(1),
            keepalive_probes: 10,
            syn_retries: 4,
            ..delayed(Duration::from_millis(40))
        };
        Profile { name: "windows", knobs }
    }

    /// macOS: as the BSD it comes from, with a delayed ACK of 100 ms (`net.inet.tcp.delayed_ack=3`).
    #[must_use]
    pub fn macos() -> Profile {
        let knobs = Knobs {
            hystart: HyStartKind::Off,
            rto_max: Duration::from_secs(64),
            keepalive_probes: 8,
            ..delayed(Duration::from_millis(100))
        };
        Profile { name: "macos", knobs }
    }

    /// What the RFCs ask for, where they leave a choice the most usual one.
    #[must_use]
    pub fn rfc() -> Profile {
        let knobs = Knobs {
            hystart: HyStartKind::Off,
            congestion_control: CongestionControl::Reno,
            rto_min: Duration::from_secs(1),
            time_wait: Duration::from_secs(240),
            ..delayed(Duration::from_millis(500))
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

/// What the systems other than Linux have in common: RFC 896's Nagle, and an ACK for every second segment or after `timer`.
fn delayed(timer: Duration) -> Knobs {
    Knobs {
        nagle: NaglePolicy::Rfc896,
        ack_policy: AckPolicyKind::Delayed,
        ack_segments: 2,
        ack_delay_min: timer,
        ack_delay_max: timer,
        hz: 0,
        ..Knobs::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_gives_the_profile_of_that_name_and_no_two_are_alike() {
        let profiles: Vec<Profile> = NAMES.iter().map(|name| Profile::by_name(name).unwrap()).collect();
        for (index, profile) in profiles.iter().enumerate() {
            assert_eq!(profile.name, NAMES[index]);
            for other in &profiles[index + 1..] {
                assert_ne!(profile.knobs, other.knobs);
            }
        }
        assert_eq!(Profile::by_name("plan9"), None);
    }

    #[test]
    fn every_profile_survives_being_written_out_and_read_again() {
        for name in NAMES {
            let profile = Profile::by_name(name).unwrap();
            let mut knobs = Knobs::default();
            for knob in crate::knob::KNOBS {
                if let Some(value) = profile.knobs.get(knob.name) {
                    knobs.set(knob.name, &value).unwrap();
                }
            }
            assert_eq!(knobs, profile.knobs, "{name}");
        }
    }
}
