//! Which value has each knob of this host or socket?

use super::value::{KnobError, Value, look_up};
use super::{Knob, Scope, System};
use crate::tcp::ack::{AckConfig, AckPolicy};
use crate::tcp::listen::syn_cookies::SynCookies;
use crate::tcp::mtu_probe::MtuProbing;
use crate::tcp::nagle::NaglePolicy;
use crate::tcp::rtt::RtoLimits;
use crate::tcp::tick::Tick;
use std::time::Duration;

/// Knob `ack_policy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AckPolicyKind {
    /// Every segment at once.
    Immediate,
    /// Every `ack_segments`-th, or after `ack_delay_max`.
    Delayed,
    /// As Linux.
    #[default]
    Adaptive,
}

/// Knob `quickack`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QuickAck {
    /// Not set.
    #[default]
    Off,
    /// `quickack 1` on the route: lasting.
    Route,
    /// The application sets TCP_QUICKACK after each read.
    Socket,
}

/// Knob `congestion_control`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CongestionControl {
    /// RFC 9438.
    #[default]
    Cubic,
    /// RFC 5681.
    Reno,
    /// BBR version 1, as Linux has it.
    Bbr,
}

crate::pack::choices!(CongestionControl { Cubic, Reno, Bbr });

/// Knob `hystart`: what ends slow start before a loss does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HyStartKind {
    /// Trains of ACKs and a growing round trip, with CUBIC only (Linux).
    #[default]
    Linux,
    /// HyStart++.
    Rfc9406,
    /// Nothing.
    Off,
}

crate::pack::choices!(HyStartKind { Linux, Rfc9406, Off });

/// Knob `ecn`: explicit congestion notification.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EcnMode {
    /// Agreed to where the peer asks for it (net.ipv4.tcp_ecn=2).
    #[default]
    Accept,
    /// Asked for, too (1).
    On,
    /// Neither (0).
    Off,
}

crate::pack::choices!(EcnMode { Accept, On, Off });

/// Knob `recovery`: how lost segments are found where there is SACK.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LossDetection {
    /// By time, with probes of the end of a flight (RFC 8985).
    #[default]
    RackTlp,
    /// By counting what has overtaken them (RFC 6675).
    Rfc6675,
}

crate::pack::choices!(LossDetection { RackTlp, Rfc6675 });

/// Knob `pmtu_discovery` (IP_MTU_DISCOVER, IPV6_MTU_DISCOVER).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PmtuDiscovery {
    /// `want`: DF, and what the network reports counts.
    #[default]
    Want,
    /// `dont`: no DF, and reports change nothing for TCP; datagrams go in pieces of the path MTU that is known, as Linux sends them.
    Dont,
    /// `do`: as `want`; a datagram larger than the path is refused instead of being cut.
    Do,
    /// `probe`: DF, and reports change nothing.
    Probe,
    /// `interface`: no DF, packets as large as the interface takes, reports change nothing.
    Interface,
    /// `omit`: as `interface`; larger datagrams are cut.
    Omit,
}

impl PmtuDiscovery {
    /// All modes, in the order of the words.
    pub const ALL: [PmtuDiscovery; 6] = [
        PmtuDiscovery::Want,
        PmtuDiscovery::Dont,
        PmtuDiscovery::Do,
        PmtuDiscovery::Probe,
        PmtuDiscovery::Interface,
        PmtuDiscovery::Omit,
    ];

    /// The word in the table of knobs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            PmtuDiscovery::Want => "want",
            PmtuDiscovery::Dont => "dont",
            PmtuDiscovery::Do => "do",
            PmtuDiscovery::Probe => "probe",
            PmtuDiscovery::Interface => "interface",
            PmtuDiscovery::Omit => "omit",
        }
    }
}

/// The values of all knobs of a host's stack, or of one socket. The default is Linux's.
#[derive(Clone, Debug, PartialEq)]
pub struct Knobs {
    /// TCP_NODELAY.
    pub nodelay: bool,
    /// TCP_CORK.
    pub cork: bool,
    /// Which small segments wait while `nodelay` is off.
    pub nagle: NaglePolicy,
    /// How to acknowledge.
    pub ack_policy: AckPolicyKind,
    /// Data segments per ACK of [`AckPolicyKind::Delayed`].
    pub ack_segments: u32,
    /// First and smallest delay of [`AckPolicyKind::Adaptive`].
    pub ack_delay_min: Duration,
    /// Largest delay of an ACK.
    pub ack_delay_max: Duration,
    /// Whether this side acknowledges at once, and by which means.
    pub quickack: QuickAck,
    /// Timer ticks per second; 0: exact timers.
    pub hz: u32,
    /// Initial congestion window, segments.
    pub initcwnd: u32,
    /// Congestion control.
    pub congestion_control: CongestionControl,
    /// What ends slow start before a loss does.
    pub hystart: HyStartKind,
    /// Explicit congestion notification.
    pub ecn: EcnMode,
    /// Windows leave spread over the round trip.
    pub pacing: bool,
    /// SO_MAX_PACING_RATE, bytes per second; 0: no limit.
    pub max_pacing_rate: u64,
    /// How lost segments are found.
    pub recovery: LossDetection,
    /// Offer and use SACK.
    pub sack: bool,
    /// Offer and use timestamps.
    pub timestamps: bool,
    /// Offer and use window scaling.
    pub window_scaling: bool,
    /// Receive buffer, bytes; 0: the system tunes it.
    pub rcvbuf: u64,
    /// Send buffer, bytes; 0: the system tunes it.
    pub sndbuf: u64,
    /// Largest MSS to announce and to send (TCP_MAXSEG), bytes; 0: what the interface allows.
    pub mss: u32,
    /// Largest MSS to announce (`advmss` on the route), bytes; 0: what the interface allows.
    pub advmss: u32,
    /// Largest packet that the host's interfaces send, bytes; 0: what each of them has.
    pub mtu: u32,
    /// DF, and whether the network's reports count.
    pub pmtu_discovery: PmtuDiscovery,
    /// Whether and when the segment size is searched with probes.
    pub mtu_probing: MtuProbing,
    /// Payload of a full segment that a search begins with, bytes.
    pub base_mss: u32,
    /// After this a search begins anew.
    pub probe_interval: Duration,
    /// A search ends when what is left is narrower than this, bytes.
    pub probe_threshold: u32,
    /// Segments are smaller where loss grows with size.
    pub adaptive_mss: bool,
    /// Begin again with the initial window after a silence of a retransmission timeout.
    pub slow_start_after_idle: bool,
    /// SO_KEEPALIVE.
    pub keepalive: bool,
    /// Silence before the first keep-alive probe.
    pub keepalive_time: Duration,
    /// Time between keep-alive probes.
    pub keepalive_interval: Duration,
    /// Unanswered keep-alive probes that end the connection.
    pub keepalive_probes: u32,
    /// Retransmissions of a SYN before giving up.
    pub syn_retries: u32,
    /// When a SYN is answered without being remembered.
    pub syn_cookies: SynCookies,
    /// Smallest retransmission timeout.
    pub rto_min: Duration,
    /// Largest retransmission timeout.
    pub rto_max: Duration,
    /// What is set beside the knobs of the table.
    pub system: System,
    /// How long the side that closed first remembers a connection (2 MSL).
    pub time_wait: Duration,
}

impl Default for Knobs {
    fn default() -> Knobs {
        Knobs {
            nodelay: false,
            cork: false,
            nagle: NaglePolicy::Minshall,
            ack_policy: AckPolicyKind::Adaptive,
            ack_segments: 2,
            ack_delay_min: Duration::from_millis(40),
            ack_delay_max: Duration::from_millis(200),
            quickack: QuickAck::Off,
            hz: 250,
            initcwnd: 10,
            congestion_control: CongestionControl::Cubic,
            hystart: HyStartKind::Linux,
            ecn: EcnMode::Accept,
            pacing: false,
            max_pacing_rate: 0,
            recovery: LossDetection::RackTlp,
            sack: true,
            timestamps: true,
            window_scaling: true,
            rcvbuf: 0,
            sndbuf: 0,
            mss: 0,
            advmss: 0,
            mtu: 0,
            pmtu_discovery: PmtuDiscovery::Want,
            mtu_probing: MtuProbing::Off,
            base_mss: 1024,
            probe_interval: Duration::from_secs(600),
            probe_threshold: 8,
            adaptive_mss: false,
            slow_start_after_idle: true,
            keepalive: false,
            keepalive_time: Duration::from_secs(7200),
            keepalive_interval: Duration::from_secs(75),
            keepalive_probes: 9,
            syn_retries: 6,
            syn_cookies: SynCookies::WhenFull,
            rto_min: Duration::from_millis(200),
            rto_max: Duration::from_secs(120),
            system: System::default(),
            time_wait: Duration::from_secs(60),
        }
    }
}

impl Knobs {
    /// Sets one knob from text.
    ///
    /// # Errors
    /// [`KnobError`]: unknown name (with its neighbours), a value it does not take, or a knob that is not the stack's.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), KnobError> {
        let knob = look_up(name)?;
        let value = knob.parse(canonical(knob.name, value))?;
        if matches!(knob.scope, Scope::Application | Scope::Path) || !self.assign(knob, value) {
            return Err(KnobError::NotOfTheStack { name: knob.name, scope: knob.scope.name() });
        }
        Ok(())
    }

    /// The value of one knob as text that [`Knobs::set`] reads back; `None` when it is not one of the stack's.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        let knob = super::find(name)?;
        self.value(knob.name).map(|value| knob.kind.text(value))
    }

    /// The clock that timers run on; `phase_ns` is how much of a tick has passed at the origin of time.
    #[must_use]
    pub fn tick(&self, phase_ns: u64) -> Tick {
        Tick::new(self.hz, phase_ns)
    }

    /// The limits of the retransmission timeout.
    #[must_use]
    pub fn rto_limits(&self) -> RtoLimits {
        RtoLimits { min: self.rto_min, max: self.rto_max, ..RtoLimits::default() }
    }

    /// How to acknowledge.
    #[must_use]
    pub fn ack_config(&self, tick: Tick) -> AckConfig {
        AckConfig {
            policy: match self.ack_policy {
                AckPolicyKind::Immediate => AckPolicy::Immediate,
                AckPolicyKind::Delayed => {
                    AckPolicy::Delayed { segments: self.ack_segments, timer: self.ack_delay_max }
                }
                AckPolicyKind::Adaptive => AckPolicy::Adaptive,
            },
            delay_min: self.ack_delay_min,
            delay_max: self.ack_delay_max,
            rto_min: self.rto_min,
            route_quickack: self.quickack == QuickAck::Route,
            quickack_after_read: self.quickack == QuickAck::Socket,
            tick,
            ..AckConfig::default()
        }
    }

    fn assign(&mut self, knob: &Knob, value: Value) -> bool {
        match (knob.name, value) {
            ("nodelay", Value::Bool(v)) => self.nodelay = v,
            ("cork", Value::Bool(v)) => self.cork = v,
            ("pacing", Value::Bool(v)) => self.pacing = v,
            ("adaptive_mss", Value::Bool(v)) => self.adaptive_mss = v,
            ("sack", Value::Bool(v)) => self.sack = v,
            ("timestamps", Value::Bool(v)) => self.timestamps = v,
            ("window_scaling", Value::Bool(v)) => self.window_scaling = v,
            ("slow_start_after_idle", Value::Bool(v)) => self.slow_start_after_idle = v,
            ("keepalive", Value::Bool(v)) => self.keepalive = v,
            ("ack_segments", Value::Integer(v)) => self.ack_segments = small(v),
            ("hz", Value::Integer(v)) => self.hz = small(v),
            ("initcwnd", Value::Integer(v)) => self.initcwnd = small(v),
            ("rcvbuf", Value::Integer(v)) => self.rcvbuf = v,
            ("sndbuf", Value::Integer(v)) => self.sndbuf = v,
            ("pacing_ss_ratio", Value::Integer(v)) => self.system.pacing_ss_ratio = small(v),
            ("pacing_ca_ratio", Value::Integer(v)) => self.system.pacing_ca_ratio = small(v),
            ("max_pacing_rate", Value::Integer(v)) => self.max_pacing_rate = v,
            ("mss", Value::Integer(v)) => self.mss = small(v),
            ("advmss", Value::Integer(v)) => self.advmss = small(v),
            ("mtu", Value::Integer(v)) => self.mtu = small(v),
            ("base_mss", Value::Integer(v)) => self.base_mss = small(v),
            ("probe_interval", Value::Duration(v)) => self.probe_interval = v,
            ("probe_threshold", Value::Integer(v)) => self.probe_threshold = small(v),
            ("keepalive_probes", Value::Integer(v)) => self.keepalive_probes = small(v),
            ("syn_retries", Value::Integer(v)) => self.syn_retries = small(v),
            ("ack_delay_min", Value::Duration(v)) => self.ack_delay_min = v,
            ("ack_delay_max", Value::Duration(v)) => self.ack_delay_max = v,
            ("keepalive_time", Value::Duration(v)) => self.keepalive_time = v,
            ("keepalive_interval", Value::Duration(v)) => self.keepalive_interval = v,
            ("rto_min", Value::Duration(v)) => self.rto_min = v,
            ("rto_max", Value::Duration(v)) => self.rto_max = v,
            ("time_wait", Value::Duration(v)) => self.time_wait = v,
            ("nagle", Value::Choice(word)) => {
                self.nagle = match word {
                    "off" => NaglePolicy::Off,
                    "rfc896" => NaglePolicy::Rfc896,
                    _ => NaglePolicy::Minshall,
                }
            }
            ("pmtu_discovery", Value::Choice(word)) => {
                let mode = PmtuDiscovery::ALL.into_iter().find(|mode| mode.name() == word);
                self.pmtu_discovery = mode.unwrap_or_default();
            }
            ("mtu_probing", Value::Choice(word)) => {
                let probing = MtuProbing::ALL.into_iter().find(|probing| probing.name() == word);
                self.mtu_probing = probing.unwrap_or_default();
            }
            ("tcp_syncookies", Value::Choice(word)) => {
                let cookies = SynCookies::ALL.into_iter().find(|cookies| cookies.name() == word);
                self.syn_cookies = cookies.unwrap_or_default();
            }
            ("ack_policy", Value::Choice(word)) => {
                self.ack_policy = match word {
                    "immediate" => AckPolicyKind::Immediate,
                    "delayed" => AckPolicyKind::Delayed,
                    _ => AckPolicyKind::Adaptive,
                }
            }
            ("quickack", Value::Choice(word)) => {
                self.quickack = match word {
                    "route" => QuickAck::Route,
                    "socket" => QuickAck::Socket,
                    _ => QuickAck::Off,
                }
            }
            ("recovery", Value::Choice(word)) => {
                self.recovery =
                    if word == "rfc6675" { LossDetection::Rfc6675 } else { LossDetection::RackTlp }
            }
            ("congestion_control", Value::Choice(word)) => {
                self.congestion_control = match word {
                    "reno" => CongestionControl::Reno,
                    "bbr" => CongestionControl::Bbr,
                    _ => CongestionControl::Cubic,
                }
            }
            ("ecn", Value::Choice(word)) => {
                self.ecn = match word {
                    "on" => EcnMode::On,
                    "off" => EcnMode::Off,
                    _ => EcnMode::Accept,
                }
            }
            ("hystart", Value::Choice(word)) => {
                self.hystart = match word {
                    "off" => HyStartKind::Off,
                    "rfc9406" => HyStartKind::Rfc9406,
                    _ => HyStartKind::Linux,
                }
            }
            _ => return false,
        }
        true
    }

    fn value(&self, name: &str) -> Option<Value> {
        Some(match name {
            "nodelay" => Value::Bool(self.nodelay),
            "cork" => Value::Bool(self.cork),
            "pacing" => Value::Bool(self.pacing),
            "adaptive_mss" => Value::Bool(self.adaptive_mss),
            "sack" => Value::Bool(self.sack),
            "timestamps" => Value::Bool(self.timestamps),
            "window_scaling" => Value::Bool(self.window_scaling),
            "slow_start_after_idle" => Value::Bool(self.slow_start_after_idle),
            "keepalive" => Value::Bool(self.keepalive),
            "ack_segments" => Value::Integer(self.ack_segments.into()),
            "hz" => Value::Integer(self.hz.into()),
            "initcwnd" => Value::Integer(self.initcwnd.into()),
            "rcvbuf" => Value::Integer(self.rcvbuf),
            "sndbuf" => Value::Integer(self.sndbuf),
            "pacing_ss_ratio" => Value::Integer(self.system.pacing_ss_ratio.into()),
            "pacing_ca_ratio" => Value::Integer(self.system.pacing_ca_ratio.into()),
            "max_pacing_rate" => Value::Integer(self.max_pacing_rate),
            "mss" => Value::Integer(self.mss.into()),
            "advmss" => Value::Integer(self.advmss.into()),
            "mtu" => Value::Integer(self.mtu.into()),
            "pmtu_discovery" => Value::Choice(self.pmtu_discovery.name()),
            "mtu_probing" => Value::Choice(self.mtu_probing.name()),
            "tcp_syncookies" => Value::Choice(self.syn_cookies.name()),
            "base_mss" => Value::Integer(self.base_mss.into()),
            "probe_interval" => Value::Duration(self.probe_interval),
            "probe_threshold" => Value::Integer(self.probe_threshold.into()),
            "keepalive_probes" => Value::Integer(self.keepalive_probes.into()),
            "syn_retries" => Value::Integer(self.syn_retries.into()),
            "ack_delay_min" => Value::Duration(self.ack_delay_min),
            "ack_delay_max" => Value::Duration(self.ack_delay_max),
            "keepalive_time" => Value::Duration(self.keepalive_time),
            "keepalive_interval" => Value::Duration(self.keepalive_interval),
            "rto_min" => Value::Duration(self.rto_min),
            "rto_max" => Value::Duration(self.rto_max),
            "time_wait" => Value::Duration(self.time_wait),
            "nagle" => Value::Choice(match self.nagle {
                NaglePolicy::Off => "off",
                NaglePolicy::Rfc896 => "rfc896",
                NaglePolicy::Minshall => "minshall",
            }),
            "ack_policy" => Value::Choice(match self.ack_policy {
                AckPolicyKind::Immediate => "immediate",
                AckPolicyKind::Delayed => "delayed",
                AckPolicyKind::Adaptive => "adaptive",
            }),
            "quickack" => Value::Choice(match self.quickack {
                QuickAck::Off => "off",
                QuickAck::Route => "route",
                QuickAck::Socket => "socket",
            }),
            "recovery" => Value::Choice(match self.recovery {
                LossDetection::RackTlp => "rack-tlp",
                LossDetection::Rfc6675 => "rfc6675",
            }),
            "congestion_control" => Value::Choice(match self.congestion_control {
                CongestionControl::Cubic => "cubic",
                CongestionControl::Reno => "reno",
                CongestionControl::Bbr => "bbr",
            }),
            "ecn" => Value::Choice(match self.ecn {
                EcnMode::Accept => "accept",
                EcnMode::On => "on",
                EcnMode::Off => "off",
            }),
            "hystart" => Value::Choice(match self.hystart {
                HyStartKind::Linux => "linux",
                HyStartKind::Rfc9406 => "rfc9406",
                HyStartKind::Off => "off",
            }),
            _ => return None,
        })
    }
}

/// In findings and `--turn`, `quickack=true` without more means the lasting one.
pub(super) fn canonical<'a>(name: &str, value: &'a str) -> &'a str {
    match (name, value) {
        ("quickack", "true" | "1" | "on" | "yes") => "route",
        ("quickack", "false" | "0" | "no") => "off",
        // As net.ipv4.tcp_ecn has it.
        ("ecn", "true" | "1" | "yes") => "on",
        ("ecn", "false" | "0" | "no") => "off",
        ("ecn", "2") => "accept",
        ("tcp_syncookies", "true" | "on" | "yes") => "1",
        ("tcp_syncookies", "false" | "off" | "no") => "0",
        ("hystart", "true" | "1" | "on" | "yes") => "linux",
        ("hystart", "false" | "0" | "no") => "off",
        (_, value) => value,
    }
}

/// The table's ranges fit into 32 bits wherever the field does.
fn small(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
#[path = "values_tests.rs"]
mod tests;
