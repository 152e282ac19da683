//! How does a thread get a network of its own?
//!
//! The namespace has no name: it lives as long as something open holds it, so the kernel takes it away however this
//! process ends.

use crate::error::{Error, joined};
use nix::sched::{CloneFlags, setns, unshare};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd, AsRawFd as _};
use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Stdio};
use std::thread;

/// A network of its own.
#[derive(Debug)]
pub struct Namespace {
    net: File,
}

impl Namespace {
    /// Makes a network and runs something in it.
    ///
    /// # Errors
    /// [`Error::NotPermitted`], and whatever `what` reports.
    pub fn new<T: Send, E: From<Error> + Send>(
        what: impl FnOnce() -> Result<T, E> + Send,
    ) -> Result<(Namespace, T), E> {
        let made = thread::scope(|scope| {
            let maker = scope.spawn(|| {
                unshare(CloneFlags::CLONE_NEWNET)
                    .map_err(|e| Error::NotPermitted(format!("a new network namespace (unshare: {e})")))?;
                let done = what()?;
                Ok((Namespace { net: File::open("/proc/thread-self/ns/net").map_err(Error::from)? }, done))
            });
            maker.join()
        });
        joined(made)
    }

    /// Runs something in this network; threads that it starts and sockets that it opens belong there, too.
    ///
    /// # Errors
    /// Whatever `what` reports, and [`Error::Io`] when the network cannot be entered.
    pub fn run<T: Send, E: From<Error> + Send>(
        &self,
        what: impl FnOnce() -> Result<T, E> + Send,
    ) -> Result<T, E> {
        let done = thread::scope(|scope| {
            let inside = scope.spawn(|| {
                setns(self.net.as_fd(), CloneFlags::CLONE_NEWNET).map_err(Error::from)?;
                what()
            });
            inside.join()
        });
        joined(done)
    }

    /// The file descriptor that holds the network, for `/proc/PID/fd/N`.
    #[must_use]
    pub fn descriptor(&self) -> i32 {
        self.net.as_raw_fd()
    }

    /// Its number: the inode of its file, the same in `/proc/PID/ns/net` of every program in it.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.net.metadata().map_or(0, |file| file.ino())
    }

    /// The TCP counters that are not zero, as `/proc/net/snmp` and `/proc/net/netstat` call them.
    ///
    /// # Errors
    /// [`Error::Io`] when the network cannot be entered.
    pub fn counters(&self) -> Result<BTreeMap<String, u64>, Error> {
        self.run(|| Ok(counters()))
    }
}

/// Runs `ip` on a batch of lines, in the calling thread's namespace.
///
/// # Errors
/// [`Error::Setup`] with what `ip` says.
pub fn ip(batch: &str) -> Result<(), Error> {
    let mut child = Command::new("ip")
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| Error::Setup(format!("the command `ip` of iproute2 is needed: {e}")))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(batch.as_bytes())?;
    }
    let out = child.wait_with_output()?;
    if out.status.success() {
        return Ok(());
    }
    Err(Error::Setup(format!("ip -batch: {}", String::from_utf8_lossy(&out.stderr).trim())))
}

/// Sets a sysctl of the calling thread's namespace, by its path below `/proc/sys`.
///
/// # Errors
/// [`Error::Setup`] with the key and what the kernel says.
pub fn sysctl(key: &str, value: &str) -> Result<(), Error> {
    std::fs::write(format!("/proc/sys/{key}"), value)
        .map_err(|e| Error::Setup(format!("sysctl {}={value}: {e}", key.replace('/', "."))))
}

fn counters() -> BTreeMap<String, u64> {
    let mut counters = BTreeMap::new();
    for file in ["snmp", "netstat"] {
        let text = std::fs::read_to_string(format!("/proc/thread-self/net/{file}")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        for pair in lines.chunks_exact(2) {
            let (Some((group, names)), Some((_, values))) =
                (pair[0].split_once(':'), pair[1].split_once(':'))
            else {
                continue;
            };
            if group != "Tcp" && group != "TcpExt" {
                continue;
            }
            for (name, value) in names.split_whitespace().zip(values.split_whitespace()) {
                let setting = matches!(name, "RtoAlgorithm" | "RtoMin" | "RtoMax" | "MaxConn" | "CurrEstab");
                if let Ok(value @ 1..) = value.parse::<u64>()
                    && !setting
                {
                    counters.insert(format!("{group}{name}"), value);
                }
            }
        }
    }
    counters
}
