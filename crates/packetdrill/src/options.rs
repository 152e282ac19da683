//! How is a script run? Options of the command line, which the script's own options override.

use crate::error::ScriptError;
use crate::script::ScriptOption;
use crate::time::TOLERANCE;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::str::FromStr;

/// Which packets travel, and which sockets the application has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IpVersion {
    /// IPv4 packets, IPv4 sockets.
    #[default]
    Ipv4,
    /// IPv6 packets, IPv6 sockets.
    Ipv6,
    /// IPv4 packets, IPv6 sockets with mapped addresses (RFC 4291 §2.5.5.2).
    Mapped,
}

impl FromStr for IpVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<IpVersion, String> {
        match text {
            "ipv4" => Ok(IpVersion::Ipv4),
            "ipv6" => Ok(IpVersion::Ipv6),
            "ipv4-mapped-ipv6" => Ok(IpVersion::Mapped),
            other => Err(format!("\"{other}\" is not ipv4, ipv6 or ipv4-mapped-ipv6")),
        }
    }
}

/// How to run a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Which packets and sockets.
    pub ip_version: IpVersion,
    /// Words that stand for others (`-D NAME=VALUE`).
    pub defines: BTreeMap<String, String>,
    /// How far an event may be off, microseconds.
    pub tolerance: i64,
    /// Do not join packets: each expected packet is one packet.
    pub strict_segments: bool,
    /// Packets that nobody expected are an error at the end of the script.
    pub no_leftovers: bool,
    /// Keep all packets that leave, for [`crate::run_with_packets`].
    pub packets: bool,
    /// Microseconds per unit of the timestamps in the script; `None`: do not check their values.
    pub timestamp_tick: Option<i64>,
    /// Size of the packets that a large inbound segment is made of, bytes of payload.
    pub inbound_segment: Option<u16>,
    /// This host's address.
    pub local: Option<IpAddr>,
    /// The peer's address.
    pub remote: Option<IpAddr>,
    /// The largest IP packet of the interface, bytes.
    pub mtu: Option<u32>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            ip_version: IpVersion::Ipv4,
            defines: BTreeMap::new(),
            tolerance: TOLERANCE,
            strict_segments: false,
            no_leftovers: false,
            packets: false,
            timestamp_tick: None,
            inbound_segment: None,
            local: None,
            remote: None,
            mtu: None,
        }
    }
}

impl Settings {
    /// Packets are IPv6.
    #[must_use]
    pub fn ipv6_packets(&self) -> bool {
        self.ip_version == IpVersion::Ipv6
    }

    /// This host's address.
    #[must_use]
    pub fn local_address(&self) -> IpAddr {
        self.local.unwrap_or_else(|| {
            if self.ipv6_packets() {
                IpAddr::from([0xfd3d, 0x0a0b, 0x17d6, 0, 0, 0, 0, 1])
            } else {
                IpAddr::from([192, 168, 0, 1])
            }
        })
    }

    /// The peer's address.
    #[must_use]
    pub fn remote_address(&self) -> IpAddr {
        self.remote.unwrap_or_else(|| {
            if self.ipv6_packets() {
                IpAddr::from([0xfd3d, 0xfa7b, 0xd17d, 0, 0, 0, 0, 1])
            } else {
                IpAddr::from([192, 0, 2, 1])
            }
        })
    }

    /// The interface's MTU. With IPv6 it is 20 bytes larger, so that the MSS is the same and one script serves both.
    #[must_use]
    pub fn device_mtu(&self) -> u32 {
        self.mtu.unwrap_or(if self.ipv6_packets() { 1520 } else { 1500 })
    }

    /// The options of the script itself, which win.
    ///
    /// # Errors
    /// An option that is not known, or not such a value for it.
    pub fn with_options(&self, options: &[ScriptOption]) -> Result<Settings, ScriptError> {
        let mut settings = self.clone();
        for option in options {
            settings.take(option)?;
        }
        if let (Some(local), Some(remote)) = (settings.local, settings.remote)
            && local.is_ipv4() != remote.is_ipv4()
        {
            let line = options.first().map_or(1, |option| option.line);
            return Err(ScriptError::syntax(line, "one address is of IPv4, the other of IPv6"));
        }
        for address in [&mut settings.local, &mut settings.remote] {
            // A script may be made for one version by its addresses and yet be run for another: then they do not apply.
            *address =
                address.filter(|address| address.is_ipv6() == (settings.ip_version == IpVersion::Ipv6));
        }
        Ok(settings)
    }

    fn take(&mut self, option: &ScriptOption) -> Result<(), ScriptError> {
        let bad = |problem: String| ScriptError::syntax(option.line, problem);
        let value = option.value.as_deref();
        let text = || value.ok_or_else(|| bad(format!("--{} needs a value", option.name)));
        fn number<T: FromStr>(option: &ScriptOption) -> Result<T, ScriptError> {
            option.value.as_deref().and_then(|value| value.parse().ok()).ok_or_else(|| {
                ScriptError::syntax(option.line, format!("--{} needs a number that fits", option.name))
            })
        }
        match option.name.as_str() {
            "ip_version" => self.ip_version = text()?.parse().map_err(bad)?,
            "tolerance_usecs" => self.tolerance = number(option)?,
            "tcp_ts_tick_usecs" => self.timestamp_tick = Some(number(option)?),
            "mss" => self.inbound_segment = Some(number(option)?),
            "mtu" => self.mtu = Some(number(option)?),
            "strict_segments" => self.strict_segments = true,
            "no_leftovers" => self.no_leftovers = true,
            "local_ip" => self.local = Some(text()?.parse().map_err(|_| bad("not an address".into()))?),
            "remote_ip" => self.remote = Some(text()?.parse().map_err(|_| bad("not an address".into()))?),
            // How Linux's buffers are freed has no counterpart.
            "send_omit_free" => {}
            "psp_udp_port" => return Err(ScriptError::missing(option.line, "PSP encryption")),
            "tcp_ts_ecr_scaled" => {
                return Err(ScriptError::missing(option.line, "scaled timestamp echoes"));
            }
            "define" => {
                let definition = text()?;
                let (name, value) =
                    definition.split_once('=').ok_or_else(|| bad("--define=NAME=VALUE".into()))?;
                self.defines.insert(name.into(), value.into());
            }
            other => return Err(bad(format!("--{other} is not an option"))),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn option(name: &str, value: Option<&str>) -> ScriptOption {
        ScriptOption { line: 1, name: name.into(), value: value.map(Into::into) }
    }

    #[test]
    fn the_script_overrides_the_command_line() {
        let settings = Settings { tolerance: 1, ..Settings::default() };
        let options = [option("tolerance_usecs", Some("7000")), option("ip_version", Some("ipv6"))];
        let settings = settings.with_options(&options).unwrap();
        assert_eq!((settings.tolerance, settings.device_mtu()), (7000, 1520));
    }

    #[test]
    fn unknown_options_and_bad_values_are_errors() {
        for bad in [option("tolerance", Some("1")), option("mss", Some("x")), option("mss", None)] {
            assert!(Settings::default().with_options(&[bad]).is_err());
        }
    }
}
