//! How does a host of a world become a real one? A namespace with a TUN device per link end, addresses, routes, settings.

use crate::error::Error;
use crate::namespace::{Namespace, ip, sysctl};
use crate::settings::{Settings, settings};
use narrows_lab::{OutsideHost, World};
use std::fmt::Write as _;
use std::net::IpAddr;
use tun_rs::{DeviceBuilder, SyncDevice};

/// A real host in a world's place for it.
pub struct RealHost {
    /// What the world says about it.
    pub place: OutsideHost,
    /// Its network.
    pub namespace: Namespace,
    /// What its knobs have become.
    pub settings: Settings,
    /// By interface.
    pub(crate) devices: Vec<SyncDevice>,
}

impl std::fmt::Debug for RealHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RealHost").field("place", &self.place).finish_non_exhaustive()
    }
}

/// Packets that a device holds for the wire: more than any sender's burst, so that nothing is lost but by a link.
const QUEUE_PACKETS: u32 = 10_000;

/// Takes the hosts out of a world and makes a real one for each.
///
/// # Errors
/// [`Error::NotPermitted`] without the right to do so, [`Error::Setup`] when a setting is refused.
pub fn open_hosts(world: &mut World) -> Result<Vec<RealHost>, Error> {
    world.hosts().into_iter().filter_map(|host| world.open_host(host)).map(open_host).collect()
}

fn open_host(place: OutsideHost) -> Result<RealHost, Error> {
    let settings = settings(&place.knobs);
    let (namespace, devices) = Namespace::new(|| set_up(&place, &settings)).map_err(|error| match error {
        Error::Setup(why) => Error::Setup(format!("host `{}`: {why}", place.name)),
        other => other,
    })?;
    Ok(RealHost { place, namespace, settings, devices })
}

/// The name of an interface.
fn device_name(number: usize) -> String {
    format!("eth{number}")
}

/// Gives the calling thread's new network its devices and settings.
fn set_up(place: &OutsideHost, settings: &Settings) -> Result<Vec<SyncDevice>, Error> {
    let is_v6 = place.address.is_ipv6();
    for (key, value) in &settings.sysctls {
        sysctl(key, value)?;
    }
    let mut devices = Vec::with_capacity(place.interfaces.len());
    let mut batch = String::from("link set lo up\n");
    let (prefix, nodad) = prefix(place.address);
    for (number, interface) in place.interfaces.iter().enumerate() {
        let name = device_name(number);
        // Without offloads: what a capture shows, and what a link carries, is what travels.
        let device = DeviceBuilder::new()
            .name(&name)
            .enable(false)
            .build_sync()
            .map_err(|e| Error::NotPermitted(format!("a TUN device (/dev/net/tun: {e})")))?;
        device.set_nonblocking(true)?;
        // Nothing but what programs say belongs on the links: no neighbour or router discovery, no waiting for addresses.
        if is_v6 {
            for (key, value) in [("addr_gen_mode", "1"), ("accept_dad", "0"), ("router_solicitations", "0")] {
                sysctl(&format!("net/ipv6/conf/{name}/{key}"), value)?;
            }
        } else {
            // A kernel without IPv6 has no such key, and nothing to be silenced.
            let _ = sysctl(&format!("net/ipv6/conf/{name}/disable_ipv6"), "1");
        }
        let _ = writeln!(
            batch,
            "link set {name} mtu {} txqueuelen {QUEUE_PACKETS} up",
            interface.mtu.min(65_535)
        );
        let _ = writeln!(batch, "address add {}/{prefix} dev {name}{nodad}", place.address);
        devices.push(device);
    }
    for (destination, interface) in &place.routes {
        let name = device_name(interface.0 as usize);
        let _ = writeln!(
            batch,
            "route add {destination}/{prefix} dev {name} src {} {}",
            place.address, settings.route
        );
    }
    // What has no route of its own (the address of a translator, say) goes by the first interface.
    if !devices.is_empty() {
        let _ = writeln!(batch, "route add default dev {} {}", device_name(0), settings.route);
    }
    ip(&batch)?;
    Ok(devices)
}

fn prefix(address: IpAddr) -> (u8, &'static str) {
    if address.is_ipv6() { (128, " nodad") } else { (32, "") }
}
