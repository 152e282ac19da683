//! Which programs still run on a lab's hosts, and how do they end? They would keep a network alive that nothing carries packets for.

use crate::state::RunningLab;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant};

/// The variable by which a program on a host tells whose it is.
pub(crate) const MARK: &str = "NARROWS_LAB";

/// How long programs have to end by themselves.
const PATIENCE: Duration = Duration::from_secs(1);

impl RunningLab {
    /// The variable and its value in the environment of this lab's programs: no other lab ever has the same.
    #[must_use]
    pub fn mark(&self) -> (&'static str, String) {
        (MARK, format!("{}-{}", self.pid, self.began))
    }

    /// The programs on its hosts. The number of a network may have been given to another one since the lab ended: then only
    /// those count that bear the lab's mark.
    pub(crate) fn programs(&self) -> Vec<Pid> {
        let runs = self.runs();
        let (name, value) = self.mark();
        let marked = format!("{name}={value}").into_bytes();
        let is_marked = |pid: i32| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == marked)
        };
        let on_a_host = |pid: &i32| {
            fs::metadata(format!("/proc/{pid}/ns/net"))
                .is_ok_and(|net| self.hosts.iter().any(|host| host.network == net.ino()))
        };
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
            .filter(|pid| *pid != self.pid && on_a_host(pid) && (runs || is_marked(*pid)))
            .map(Pid::from_raw)
            .collect()
    }

    /// Ends the programs on its hosts: first they are asked to, then they are ended. How many there were.
    pub(crate) fn end_programs(&self) -> usize {
        let programs = self.programs();
        for program in &programs {
            // What has ended meanwhile needs no signal.
            let _ = kill(*program, Signal::SIGTERM);
        }
        let begin = Instant::now();
        let mut left = programs.clone();
        while !left.is_empty() && begin.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(5));
            let still = self.programs();
            left.retain(|program| still.contains(program));
        }
        for program in left {
            let _ = kill(program, Signal::SIGKILL);
        }
        programs.len()
    }
}
