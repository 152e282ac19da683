//! A host on a TUN device of this machine: the kernel, and whoever it forwards for, can talk to tokio programs on narrows' stack.
//!
//! Linux only; making a device needs `CAP_NET_ADMIN`.
//!
//! ```no_run
//! use narrows_net::tun::TunOptions;
//!
//! # async fn serve() -> std::io::Result<()> {
//! // The kernel has 10.7.0.1 on the device, this host 10.7.0.2.
//! let host = TunOptions::new().kernel("10.7.0.1/24").address("10.7.0.2").open()?.host()?;
//! let service = axum::Router::new().route("/", axum::routing::get(|| async { "over a stack of our own\n" }));
//! axum::serve(host.listen(80)?, service).await
//! # }
//! ```

mod device;
mod offload;
mod wire;

use crate::host::Host;
use crate::state::Shared;
use crate::unsent::Unsent;
use device::Device;
use narrows_lab::{DirectionCounters, End, LinkConfig};
use narrows_stack::{HostConfig, Instant, Interface, Knobs};
use nix::sys::timerfd::{ClockId, TimerFd, TimerFlags};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use tokio::io::unix::AsyncFd;
use tun_rs::DeviceBuilder;
use wire::{Between, TunWire};

/// How a TUN device and the host on it shall be.
#[derive(Clone, Debug)]
#[must_use = "options do nothing until they are opened"]
pub struct TunOptions {
    name: Option<String>,
    kernel: Vec<String>,
    addresses: Vec<String>,
    mtu: u16,
    offload: bool,
    knobs: Knobs,
    seed: Option<u64>,
    link: Option<LinkConfig>,
}

impl Default for TunOptions {
    fn default() -> TunOptions {
        TunOptions::new()
    }
}

/// Packets that the kernel keeps for us while we are busy. Its 500 are less than one flow's burst.
const QUEUE_PACKETS: u32 = 2_000;

impl TunOptions {
    /// MTU 1500, with offloads, Linux's knobs, no address yet.
    pub fn new() -> TunOptions {
        TunOptions {
            name: None,
            kernel: Vec::new(),
            addresses: Vec::new(),
            mtu: 1_500,
            offload: true,
            knobs: Knobs::default(),
            seed: None,
            link: None,
        }
    }

    /// The device's name; the kernel chooses one where none is given.
    pub fn name(mut self, name: &str) -> TunOptions {
        self.name = Some(name.to_owned());
        self
    }

    /// An address of the kernel on the device, with its prefix: `10.7.0.1/24`, `fd07::1/64`.
    pub fn kernel(mut self, address: &str) -> TunOptions {
        self.kernel.push(address.to_owned());
        self
    }

    /// An address of the host: `10.7.0.2`, `fd07::2`.
    pub fn address(mut self, address: &str) -> TunOptions {
        self.addresses.push(address.to_owned());
        self
    }

    /// Largest IP packet, bytes.
    pub fn mtu(mut self, bytes: u16) -> TunOptions {
        self.mtu = bytes;
        self
    }

    /// Whether the kernel may hand over large segments and unfinished checksums, and take them (`IFF_VNET_HDR`, TSO, GRO). Many times
    /// as fast; on where nothing else is asked for.
    pub fn offload(mut self, offload: bool) -> TunOptions {
        self.offload = offload;
        self
    }

    /// The knobs of the host's sockets.
    pub fn knobs(mut self, knobs: Knobs) -> TunOptions {
        self.knobs = knobs;
        self
    }

    /// The seed of ports and initial sequence numbers; random where none is given, and best left so outside tests.
    pub fn seed(mut self, seed: u64) -> TunOptions {
        self.seed = Some(seed);
        self
    }

    /// A link between the host (its first end) and the kernel, in real time: a browser meets the service on a bad line. Turns
    /// offloads off: what the link carries are packets.
    pub fn link(mut self, link: impl Into<LinkConfig>) -> TunOptions {
        self.link = Some(link.into());
        self.offload = false;
        self
    }

    /// Makes the device in the calling thread's network.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] names the address that is none; [`io::ErrorKind::PermissionDenied`] without `CAP_NET_ADMIN`.
    pub fn open(self) -> io::Result<Tun> {
        let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidInput, what);
        let mut addresses = Vec::new();
        for text in &self.addresses {
            let address: IpAddr = text
                .parse()
                .map_err(|_| invalid(format!("`{text}` is no address: give one like 10.7.0.2")))?;
            addresses.push(address);
        }
        let mut builder =
            DeviceBuilder::new().mtu(self.mtu).offload(self.offload).tx_queue_len(QUEUE_PACKETS).enable(true);
        if let Some(name) = &self.name {
            builder = builder.name(name);
        }
        for text in &self.kernel {
            let parts = text.split_once('/').and_then(|(address, prefix)| {
                Some((address.parse::<IpAddr>().ok()?, prefix.parse::<u8>().ok()?))
            });
            builder = match parts {
                Some((IpAddr::V4(address), prefix @ 0..=32)) => builder.ipv4(address, prefix, None),
                Some((IpAddr::V6(address), prefix @ 0..=128)) => builder.ipv6(address, prefix),
                _ => return Err(invalid(format!("`{text}` is no network: give one like 10.7.0.1/24"))),
            };
        }
        let ipv6 = addresses.iter().all(IpAddr::is_ipv6);
        let seed = self.seed.unwrap_or_else(random_seed);
        let between = self.link.clone().map(|link| Between::new(link, seed, ipv6)).transpose();
        let between = between.map_err(|error| invalid(error.to_string()))?;
        let device = Device::new(builder.build_sync()?, self.offload)?;
        self.kernel.iter().for_each(|address| wait_for_address(address));
        Ok(Tun { device, between, addresses, seed, options: self })
    }
}

/// The kernel takes a moment until it uses an IPv6 address of its own; until then it would send from another one. A socket that can be
/// bound to the address shows that it is there.
fn wait_for_address(network: &str) {
    let address = network.split('/').next().and_then(|address| address.parse::<IpAddr>().ok());
    let Some(address @ IpAddr::V6(_)) = address else { return };
    for _ in 0..200 {
        if std::net::UdpSocket::bind((address, 0)).is_ok() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// The standard library's hash maps are seeded by the system: the one source of chance without a dependency.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

/// A TUN device. It is gone when this, or the host made of it, is.
pub struct Tun {
    device: Device,
    between: Option<Between>,
    addresses: Vec<IpAddr>,
    seed: u64,
    options: TunOptions,
}

impl Tun {
    /// Puts a host on the device. It lives as long as this handle, its clones and its sockets, and is driven by two tasks of the
    /// calling tokio runtime.
    ///
    /// # Errors
    /// What the operating system says.
    ///
    /// # Panics
    /// Outside a tokio runtime that has I/O enabled, as everything of tokio's that needs one.
    pub fn host(self) -> io::Result<Host> {
        let Tun { device, between, addresses, seed, options } = self;
        let config = HostConfig { knobs: options.knobs, seed, tick_phase_ns: 0 };
        let mut stack = narrows_stack::Host::new(config);
        stack.add_interface(Interface {
            addresses: addresses.clone(),
            mtu: u32::from(options.mtu),
            segmentation_offload: device.offload(),
        });
        let device = Arc::new(device);
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = Arc::new(TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?);
        let readable = watch(Arc::clone(&device))?;
        let ended = watch(Arc::clone(&timer))?;
        let wire = TunWire {
            device,
            timer,
            beginning: std::time::Instant::now(),
            armed: Instant::FAR_FUTURE,
            scratch: Vec::with_capacity(256),
            between,
            unsent: Unsent::default(),
            refused: 0,
            tasks: Vec::new(),
        };
        let shared = Shared::new(stack, Box::new(wire));
        let reader = tokio::spawn(read_device(shared.downgrade(), readable));
        let sleeper = tokio::spawn(wait_for_timer(shared.downgrade(), ended));
        wire::keep(&mut shared.lock(), [reader.abort_handle(), sleeper.abort_handle()]);
        Ok(Host::new(shared, addresses))
    }
}

/// What has happened on the link between a host and its device ([`TunOptions::link`]) to the packets from the host (first end) or from
/// the kernel (second end); `None` where there is none.
#[must_use]
pub fn link_counters(host: &Host, from: End) -> Option<DirectionCounters> {
    wire::counters(&mut host.shared.lock(), from)
}

impl std::fmt::Debug for Tun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tun").field("options", &self.options).finish_non_exhaustive()
    }
}

/// Lets tokio watch what others use, too.
struct SharedFd<T>(Arc<T>);

impl<T: AsFd> AsRawFd for SharedFd<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl<T: AsFd> AsFd for SharedFd<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// tokio has deprecated the safe way to watch a descriptor, because the one that a type hands out might be another each time; ours is
/// the same one, open, as long as the `Arc` lives, and unsafe code is forbidden here.
#[allow(deprecated)]
fn watch<T: AsFd>(watched: Arc<T>) -> io::Result<AsyncFd<SharedFd<T>>> {
    AsyncFd::with_interest(SharedFd(watched), tokio::io::Interest::READABLE)
}

async fn read_device(host: crate::state::WeakShared, device: AsyncFd<SharedFd<Device>>) {
    let mut packets = Vec::new();
    while let Ok(mut ready) = device.readable().await {
        loop {
            let more = wire::read(&device.get_ref().0, &mut packets);
            let Some(host) = host.upgrade() else { return };
            if !packets.is_empty() {
                host.call(|state, now| wire::receive(state, now, &mut packets));
            }
            if !more {
                ready.clear_ready();
                break;
            }
            // Programs have their turn between two batches.
            tokio::task::yield_now().await;
        }
    }
}

async fn wait_for_timer(host: crate::state::WeakShared, timer: AsyncFd<SharedFd<TimerFd>>) {
    while let Ok(mut ready) = timer.readable().await {
        // It has ended, or was set anew just now; either way there is something to look at.
        ready.clear_ready();
        if timer.get_ref().0.wait().is_err() {
            continue;
        }
        let Some(host) = host.upgrade() else { return };
        host.call(wire::on_timer);
    }
}
