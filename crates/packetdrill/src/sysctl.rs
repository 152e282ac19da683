//! What do a script's commands set? sysctl, ip, tc, ethtool and their like, as settings of our host.
//!
//! A command or setting that is not known is an error. One that is known and that the stack has no counterpart for says so,
//! unless the value asked for is what the stack does anyway.

use crate::command::{Simple, split};
use crate::error::ScriptError;
use crate::script::Command;
use narrows_stack::Knobs;
use narrows_stack::knob::{CongestionControl, EcnMode, HyStartKind};
use std::path::Path;

/// What commands have set.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Defaults of new sockets.
    pub knobs: Knobs,
    /// The device takes no packet.
    pub drop_all: bool,
    /// The MTU of the route, when one was set.
    pub route_mtu: Option<u32>,
    saved: Option<Knobs>,
    depth: usize,
}

/// Settings whose value changes nothing that a script can see here, and why.
const WITHOUT_EFFECT: [&str; 15] = [
    // The stack does not tell these apart: it always behaves as with the default, and scripts set no other value.
    "tcp_fack",
    "tcp_frto",
    "tcp_ecn_option",
    "tcp_dsack",
    "tcp_recovery",
    "tcp_syncookies",
    "tcp_autocorking",
    // Fast Open is refused where it is used, not where it is configured.
    "tcp_fastopen",
    "tcp_fastopen_key",
    "tcp_fastopen_blackhole_timeout_sec",
    "tcp_fastopen_cookies",
    // Nothing is remembered about peers.
    "tcp_no_metrics_save",
    // Limits that no script reaches.
    "tcp_challenge_ack_limit",
    "tcp_max_syn_backlog",
    "tcp_limit_output_bytes",
];

impl Environment {
    /// As a Linux host with HZ=1000 begins.
    #[must_use]
    pub fn new() -> Environment {
        let knobs = Knobs { hz: 1000, ..Knobs::default() };
        Environment { knobs, drop_all: false, route_mtu: None, saved: None, depth: 0 }
    }

    /// Runs commands; `directory` is where paths in them begin.
    ///
    /// # Errors
    /// [`ScriptError`] for what is not known or has no counterpart.
    pub fn run(&mut self, command: &Command, directory: Option<&Path>) -> Result<(), ScriptError> {
        for simple in split(&command.text, command.line)? {
            // What follows "||" is for systems that lack something; here everything known works.
            if !simple.otherwise {
                self.one(&simple, directory)?;
            }
        }
        Ok(())
    }

    fn one(&mut self, command: &Simple, directory: Option<&Path>) -> Result<(), ScriptError> {
        let words: Vec<&str> = command.words.iter().map(String::as_str).collect();
        let Some((program, arguments)) = words.split_first() else { return Ok(()) };
        let name = program.rsplit('/').next().unwrap_or(program);
        let unknown =
            || ScriptError::syntax(command.line, format!("command \"{}\" is not known", words.join(" ")));
        match (name, arguments) {
            ("sysctl", settings) => {
                for setting in settings.iter().filter(|word| !word.starts_with('-')) {
                    self.set(setting, command.line)?;
                }
                Ok(())
            }
            ("set_sysctls.py", settings) => {
                self.saved.get_or_insert_with(|| self.knobs.clone());
                settings.iter().try_for_each(|setting| self.set(setting, command.line))
            }
            ("ip", ["tcp_metrics", "flush", ..]) => Ok(()),
            ("ip", ["route" | "-6", rest @ ..]) => self.route(rest, command.line),
            ("tc", ["qdisc", verb @ ("add" | "replace" | "delete" | "del"), "dev", _, "root", rest @ ..]) => {
                self.queue(verb, rest, command.line)
            }
            ("ethtool", ["-K", _, switches @ ..]) => {
                let pairs = switches.chunks(2).all(|pair| {
                    matches!(pair, ["tso" | "gso" | "gro" | "lro" | "sg" | "tx" | "rx", "on" | "off"])
                });
                // The device of a script never cuts segments, so that turning this off changes nothing.
                if pairs { Ok(()) } else { Err(unknown()) }
            }
            ("echo", [value, file]) if file.starts_with('>') => self.module(value, &file[1..], command.line),
            ("grep", _) if arguments.contains(&"/proc/net/tcp") => {
                Err(ScriptError::missing(command.line, "/proc/net/tcp"))
            }
            ("nstat", _) => Err(ScriptError::missing(command.line, "nstat")),
            (name, []) if name.starts_with("sysctl_restore_") => {
                if let Some(saved) = self.saved.take() {
                    self.knobs = saved;
                }
                Ok(())
            }
            (name, []) if name.ends_with(".sh") => self.file(program, directory, command.line),
            _ => Err(unknown()),
        }
    }

    /// A shell script of the same kind of commands.
    fn file(&mut self, path: &str, directory: Option<&Path>, line: usize) -> Result<(), ScriptError> {
        let full = directory.unwrap_or(Path::new(".")).join(path);
        let text = std::fs::read_to_string(&full)
            .map_err(|error| ScriptError::syntax(line, format!("command {path}: {error}")))?;
        self.depth += 1;
        if self.depth > 8 {
            return Err(ScriptError::syntax(line, format!("{path} calls itself")));
        }
        let result = self.run(&Command { line: 1, text }, full.parent());
        self.depth -= 1;
        result.map_err(|error| ScriptError::syntax(line, format!("in {path}: {error}")))
    }

    /// `name=value`, the name with dots or slashes.
    fn set(&mut self, setting: &str, line: usize) -> Result<(), ScriptError> {
        let bad = |problem: String| ScriptError::syntax(line, problem);
        let (name, value) =
            setting.split_once('=').ok_or_else(|| bad(format!("\"{setting}\": a setting is NAME=VALUE")))?;
        let dotted = name.trim_start_matches("/proc/sys/").replace('/', ".");
        let short = dotted
            .strip_prefix("net.ipv4.")
            .ok_or_else(|| bad(format!("setting \"{name}\" is not known")))?;
        let numbers: Vec<u64> = value
            .split_whitespace()
            .filter_map(|word| crate::parser::integer(word)?.try_into().ok())
            .collect();
        let number = || match numbers.as_slice() {
            [number] => Ok(*number),
            _ => Err(bad(format!("{name} needs one number, not \"{value}\""))),
        };
        let small = || number().map(|number| u32::try_from(number).unwrap_or(u32::MAX));
        let knobs = &mut self.knobs;
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
            "tcp_syn_linear_timeouts" => system.syn_linear_timeouts = small()?,
            "tcp_min_tso_segs" => system.min_tso_segs = small()?,
            "tcp_tso_win_divisor" => system.tso_win_divisor = small()?,
            "tcp_pacing_ss_ratio" => system.pacing_ss_ratio = small()?,
            "tcp_pacing_ca_ratio" => system.pacing_ca_ratio = small()?,
            "tcp_notsent_lowat" => system.notsent_lowat = small()?,
            "tcp_reordering" => system.reordering = small()?,
            "tcp_early_retrans" => system.tail_loss_probe = number()? >= 3,
            "tcp_keepalive_time" => knobs.keepalive_time = std::time::Duration::from_secs(number()?),
            "tcp_keepalive_intvl" => knobs.keepalive_interval = std::time::Duration::from_secs(number()?),
            "tcp_keepalive_probes" => knobs.keepalive_probes = small()?,
            "tcp_congestion_control" => {
                knobs.congestion_control = match value {
                    "cubic" => CongestionControl::Cubic,
                    "reno" => CongestionControl::Reno,
                    "bbr" => CongestionControl::Bbr,
                    other => {
                        return Err(ScriptError::missing(line, format!("congestion control {other}")));
                    }
                }
            }
            "tcp_ecn" => {
                self.knobs.ecn = match number()? {
                    0 => EcnMode::Off,
                    1 => EcnMode::On,
                    2 => EcnMode::Accept,
                    _ => return Err(ScriptError::missing(line, format!("AccECN (tcp_ecn={value})"))),
                };
            }
            "tcp_mtu_probing" if number()? == 0 => {}
            "tcp_mtu_probing" => return Err(ScriptError::missing(line, "MTU probing")),
            "tcp_base_mss" => {}
            known if WITHOUT_EFFECT.contains(&known) => {}
            _ => return Err(bad(format!("setting \"{name}\" is not known"))),
        }
        Ok(())
    }

    /// `ip route change ADDRESS via ADDRESS dev DEVICE [advmss N] [mtu [lock] N] [initcwnd N]`.
    fn route(&mut self, words: &[&str], line: usize) -> Result<(), ScriptError> {
        let bad = || ScriptError::syntax(line, format!("\"ip route {}\" is not understood", words.join(" ")));
        let mut words = words.iter().copied().skip_while(|word| *word == "route");
        if !matches!(words.next(), Some("change" | "replace" | "add")) {
            return Err(bad());
        }
        words.next().ok_or_else(bad)?;
        while let Some(attribute) = words.next() {
            let mut value = words.next().ok_or_else(bad)?;
            if attribute == "mtu" && value == "lock" {
                value = words.next().ok_or_else(bad)?;
            }
            let number = value.parse::<u32>();
            match attribute {
                "via" | "dev" => {}
                "advmss" => self.knobs.advmss = number.map_err(|_| bad())?,
                "mtu" => self.route_mtu = Some(number.map_err(|_| bad())?),
                "initcwnd" => self.knobs.initcwnd = number.map_err(|_| bad())?,
                "quickack" => {
                    self.knobs.quickack = if value == "1" {
                        narrows_stack::knob::QuickAck::Route
                    } else {
                        narrows_stack::knob::QuickAck::Off
                    };
                }
                _ => return Err(bad()),
            }
        }
        Ok(())
    }

    /// A queueing discipline: fq would pace, pfifo with no room loses everything.
    fn queue(&mut self, verb: &str, words: &[&str], line: usize) -> Result<(), ScriptError> {
        match (verb, words) {
            ("delete" | "del", []) | (_, ["pfifo"]) => self.drop_all = false,
            (_, ["pfifo", "limit", "0"]) => self.drop_all = true,
            (_, ["fq"]) => return Err(ScriptError::missing(line, "pacing by fq")),
            _ => {
                let problem = format!("queueing discipline \"{}\" is not known", words.join(" "));
                return Err(ScriptError::syntax(line, problem));
            }
        }
        Ok(())
    }

    fn module(&mut self, value: &str, file: &str, line: usize) -> Result<(), ScriptError> {
        match (file, value) {
            ("/sys/module/tcp_cubic/parameters/hystart_detect", "3") => {
                self.knobs.hystart = HyStartKind::Linux
            }
            ("/sys/module/tcp_cubic/parameters/hystart", "0" | "1") => {
                self.knobs.hystart = if value == "1" { HyStartKind::Linux } else { HyStartKind::Off };
            }
            _ => {
                return Err(ScriptError::syntax(line, format!("\"echo {value} > {file}\" is not known")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str) -> Result<Environment, ScriptError> {
        let mut environment = Environment::new();
        environment.run(&Command { line: 1, text: text.into() }, None)?;
        Ok(environment)
    }

    #[test]
    fn settings_become_knobs() {
        let environment = run("sysctl -q net.ipv4.tcp_timestamps=0 net/ipv4/tcp_rmem=\"4096 1000 2000\"\n\
                 ip route change 192.0.2.1 via 192.168.0.2 dev tun0 advmss 600 mtu lock 640 initcwnd 11")
        .unwrap();
        assert!(!environment.knobs.timestamps);
        assert_eq!(environment.knobs.system.receive_buffer, (1000, 2000));
        assert_eq!((environment.knobs.initcwnd, environment.route_mtu), (11, Some(640)));
    }

    #[test]
    fn what_is_saved_is_restored() {
        let text = "./set_sysctls.py /proc/sys/net/ipv4/tcp_sack=0\n";
        assert!(!run(text).unwrap().knobs.sack);
        assert!(run(&format!("{text}/tmp/sysctl_restore_${{PPID}}.sh")).unwrap().knobs.sack);
    }

    #[test]
    fn unknown_commands_and_settings_are_errors_and_missing_features_are_named() {
        for text in
            ["rm x", "sysctl -q net.ipv4.tcp_nonsense=1", "sysctl net.core.x=1", "ip link set x", "x.sh"]
        {
            assert!(matches!(run(text), Err(ScriptError::Syntax { .. })), "{text}");
        }
        for text in ["sysctl -q net.ipv4.tcp_ecn=3", "tc qdisc replace dev tun0 root fq"] {
            assert!(matches!(run(text), Err(ScriptError::NotApplicable { .. })), "{text}");
        }
    }
}
