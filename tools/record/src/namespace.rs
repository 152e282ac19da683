//! How does a thread get a network of its own, with a TUN device in it?
//!
//! The namespace has no name: it lives as long as something open holds it, so the kernel takes it away
//! however this program ends.

use crate::Error;
use crate::run::joined;
use nix::sched::{CloneFlags, setns, unshare};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::net::IpAddr;
use std::process::{Command, Stdio};
use std::thread;
use tun_rs::{DeviceBuilder, SyncDevice};

/// MTU of both ends.
pub const MTU: u16 = 1500;

/// The address of the client (0) or the server (1).
pub fn address(family: u8, side: usize) -> IpAddr {
    let text = match (family, side) {
        (6, 0) => "fd00:6e61::1",
        (6, _) => "fd00:6e61::2",
        (_, 0) => "10.110.0.1",
        (_, _) => "10.110.0.2",
    };
    text.parse().expect("a literal address")
}

/// The congestion control of every connection, set on its route, so that what is recorded does not hang on the
/// machine's own default (a namespace may not change its sysctl to one that the machine does not allow to all).
pub const CONGESTION_CONTROL: &str = "cubic";

/// A network of its own, with one TUN device in it.
pub struct Namespace {
    net: File,
    /// The device; what the kernel sends there is read here.
    pub device: SyncDevice,
}

impl Namespace {
    /// Makes the network of the client (0) or the server (1): the device is up, has this side's address, and leads to
    /// the other side; `quickack` sets `quickack 1` on that route.
    pub fn new(family: u8, side: usize, quickack: bool) -> Result<Namespace, Error> {
        let made = thread::scope(|scope| {
            let maker = scope.spawn(|| {
                unshare(CloneFlags::CLONE_NEWNET)
                    .map_err(|e| Error::NotPermitted(format!("a new network namespace (unshare: {e})")))?;
                let device = set_up(family, side, quickack)?;
                Ok(Namespace { net: File::open("/proc/thread-self/ns/net")?, device })
            });
            maker.join()
        });
        joined(made)
    }

    /// Runs something in this network; threads that it starts are there too.
    pub fn run<T: Send>(&self, what: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error> {
        let done = thread::scope(|scope| {
            let inside = scope.spawn(|| {
                setns(&self.net, CloneFlags::CLONE_NEWNET).map_err(std::io::Error::from)?;
                what()
            });
            inside.join()
        });
        joined(done)
    }
}

/// Gives the calling thread's new network its device.
fn set_up(family: u8, side: usize, quickack: bool) -> Result<SyncDevice, Error> {
    let name = if side == 0 { "client" } else { "server" };
    let device = DeviceBuilder::new()
        .name(name)
        .enable(false)
        .build_sync()
        .map_err(|e| Error::NotPermitted(format!("a TUN device (/dev/net/tun: {e})")))?;
    device.set_nonblocking(true)?;
    // Nothing but the connections belongs into the capture: no neighbour or router discovery, no waiting for addresses.
    for (key, value) in [
        (format!("net/ipv6/conf/{name}/addr_gen_mode"), "1"),
        (format!("net/ipv6/conf/{name}/accept_dad"), "0"),
        (format!("net/ipv6/conf/{name}/router_solicitations"), "0"),
    ] {
        std::fs::write(format!("/proc/sys/{key}"), value).map_err(|e| Error::Setup(format!("{key}: {e}")))?;
    }
    let (own, peer) = (address(family, side), address(family, 1 - side));
    let bits = if family == 6 { 128 } else { 32 };
    let nodad = if family == 6 { " nodad" } else { "" };
    let quickack = if quickack { " quickack 1" } else { "" };
    ip(&format!(
        "link set lo up\n\
         link set {name} mtu {MTU} up\n\
         address add {own}/{bits} dev {name}{nodad}\n\
         route add {peer}/{bits} dev {name} src {own} congctl {CONGESTION_CONTROL}{quickack}\n"
    ))?;
    Ok(device)
}

/// Runs `ip` on a batch of lines, in the calling thread's namespace.
fn ip(batch: &str) -> Result<(), Error> {
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

/// The TCP counters of the calling thread's namespace that are not zero.
pub fn counters() -> BTreeMap<String, u64> {
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
