//! What do a script's commands do? sysctl, ip, tc, ethtool, nstat and their like, as settings of our host or questions about it.
//!
//! A command or setting that is not known is an error. One that is known and that the stack has no counterpart for says so,
//! unless the value asked for is what the stack does anyway.

use crate::command::{Simple, split};
use crate::error::ScriptError;
use crate::script::Command;
use crate::settings::set;
use crate::tables::{Tables, grep, is_counter};
use narrows_stack::Knobs;
use narrows_stack::counters::Counters;
use narrows_stack::knob::HyStartKind;
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
    /// The counters when nstat was last asked for them.
    counted: Counters,
    depth: usize,
}

impl Environment {
    /// As a Linux host with HZ=1000 begins.
    #[must_use]
    pub fn new() -> Environment {
        let knobs = Knobs { hz: 1000, ..Knobs::default() };
        Environment {
            knobs,
            drop_all: false,
            route_mtu: None,
            counted: Counters::default(),
            saved: None,
            depth: 0,
        }
    }

    /// Runs commands; `directory` is where paths in them begin.
    ///
    /// # Errors
    /// [`ScriptError`] for what is not known or has no counterpart.
    pub fn run(
        &mut self,
        command: &Command,
        directory: Option<&Path>,
        tables: &Tables,
    ) -> Result<(), ScriptError> {
        for simple in split(&command.text, command.line)? {
            // What follows "||" is for systems that lack something; here everything known works.
            if !simple.otherwise {
                self.one(&simple, directory, tables)?;
            }
        }
        Ok(())
    }

    fn one(
        &mut self,
        command: &Simple,
        directory: Option<&Path>,
        tables: &Tables,
    ) -> Result<(), ScriptError> {
        let words: Vec<&str> = command.words.iter().map(String::as_str).collect();
        let Some((program, arguments)) = words.split_first() else { return Ok(()) };
        let name = program.rsplit('/').next().unwrap_or(program);
        let unknown =
            || ScriptError::syntax(command.line, format!("command \"{}\" is not known", words.join(" ")));
        match (name, arguments) {
            ("sysctl", settings) => {
                for setting in settings.iter().filter(|word| !word.starts_with('-')) {
                    set(&mut self.knobs, setting, command.line)?;
                }
                Ok(())
            }
            ("set_sysctls.py", settings) => {
                self.saved.get_or_insert_with(|| self.knobs.clone());
                settings.iter().try_for_each(|setting| set(&mut self.knobs, setting, command.line))
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
            ("grep" | "nstat", _) => self.look(command, &words, tables),
            (name, []) if name.starts_with("sysctl_restore_") => {
                if let Some(saved) = self.saved.take() {
                    self.knobs = saved;
                }
                Ok(())
            }
            (name, []) if name.ends_with(".sh") => self.file(program, directory, command.line, tables),
            _ => Err(unknown()),
        }
    }

    /// A question about the host: it fails when no line is left of the answer.
    fn look(&mut self, command: &Simple, words: &[&str], tables: &Tables) -> Result<(), ScriptError> {
        let line = command.line;
        let (mut text, mut asks) = match words {
            ["nstat", options @ ..] => {
                if let Some(unknown) = options.iter().find(|word| !matches!(**word, "-n" | "-s")) {
                    return Err(ScriptError::syntax(line, format!("nstat: \"{unknown}\" is not understood")));
                }
                let text = tables.nstat(&self.counted);
                if !options.contains(&"-s") {
                    self.counted = tables.counters.clone();
                }
                (text, false)
            }
            ["grep", arguments @ ..] => {
                let (files, arguments): (Vec<&str>, Vec<&str>) =
                    arguments.iter().partition(|word| word.starts_with("/proc/"));
                let mut text = String::new();
                for file in files {
                    match file {
                        "/proc/net/tcp" => text += &tables.proc_net_tcp(false),
                        "/proc/net/tcp6" => text += &tables.proc_net_tcp(true),
                        other => return Err(ScriptError::missing(line, other)),
                    }
                }
                (grep(&text, &arguments, line)?, true)
            }
            _ => return Err(ScriptError::syntax(line, "nothing is asked")),
        };
        for filter in &command.filters {
            let filter: Vec<&str> = filter.iter().map(String::as_str).collect();
            let ["grep", arguments @ ..] = filter.as_slice() else {
                return Err(ScriptError::syntax(
                    line,
                    format!("\"| {}\" is not understood", filter.join(" ")),
                ));
            };
            let counter = arguments.iter().find(|word| word.starts_with("Tcp"));
            if let Some(name) = counter.filter(|name| words[0] == "nstat" && !is_counter(name)) {
                return Err(ScriptError::missing(line, format!("the counter {name}")));
            }
            text = grep(&text, arguments, line)?;
            asks = true;
        }
        if asks && text.is_empty() {
            let filters = command.filters.iter().map(|filter| format!(" | {}", filter.join(" ")));
            let shown = format!("{}{}", words.join(" "), filters.collect::<String>());
            return Err(ScriptError::mismatch(line, format!("command \"{shown}\" fails: no such line")));
        }
        Ok(())
    }

    /// A shell script of the same kind of commands.
    fn file(
        &mut self,
        path: &str,
        directory: Option<&Path>,
        line: usize,
        tables: &Tables,
    ) -> Result<(), ScriptError> {
        let full = directory.unwrap_or(Path::new(".")).join(path);
        let text = std::fs::read_to_string(&full)
            .map_err(|error| ScriptError::syntax(line, format!("command {path}: {error}")))?;
        self.depth += 1;
        if self.depth > 8 {
            return Err(ScriptError::syntax(line, format!("{path} calls itself")));
        }
        let result = self.run(&Command { line: 1, text }, full.parent(), tables);
        self.depth -= 1;
        result.map_err(|error| ScriptError::syntax(line, format!("in {path}: {error}")))
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
            ("delete" | "del", []) | (_, ["pfifo"]) => {
                self.drop_all = false;
                self.knobs.pacing = false;
            }
            (_, ["pfifo", "limit", "0"]) => self.drop_all = true,
            (_, ["fq"]) => self.knobs.pacing = true,
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
        environment.run(&Command { line: 1, text: text.into() }, None, &Tables::default())?;
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
        for text in ["sysctl -q net.ipv4.tcp_ecn=3", "sysctl -q net.ipv4.tcp_rfc1337=1"] {
            assert!(matches!(run(text), Err(ScriptError::NotApplicable { .. })), "{text}");
        }
    }
}
