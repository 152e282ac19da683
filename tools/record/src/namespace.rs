//! How does a thread get a network of its own, with a TUN device in it?

use crate::Error;
use narrows_namespaces::{ip, sysctl};
use std::net::IpAddr;
use tun_rs::{DeviceBuilder, SyncDevice};

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

/// The address of the router that the narrowest link begins at.
pub fn router(family: u8) -> IpAddr {
    if family == 6 { "fd00:6e61::fe" } else { "10.110.0.254" }.parse().expect("a literal address")
}

/// What is set in one end's network.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// MTU of its device, bytes.
    pub mtu: u16,
    /// `quickack 1` on the route.
    pub quickack: bool,
    /// `advmss` on the route, bytes.
    pub advmss: Option<u16>,
    /// net.ipv4.tcp_mtu_probing.
    pub mtu_probing: u8,
}

/// The congestion control of every connection, set on its route, so that what is recorded does not hang on the
/// machine's own default (a namespace may not change its sysctl to one that the machine does not allow to all).
pub const CONGESTION_CONTROL: &str = "cubic";

/// A network of its own, with one TUN device in it.
pub struct Namespace {
    /// The network.
    pub net: narrows_namespaces::Namespace,
    /// The device; what the kernel sends there is read here.
    pub device: SyncDevice,
}

impl Namespace {
    /// Makes the network of the client (0) or the server (1): the device is up, has this side's address, and leads to
    /// the other side by a route with these settings.
    pub fn new(family: u8, side: usize, settings: Settings) -> Result<Namespace, Error> {
        let (net, device) = narrows_namespaces::Namespace::new(|| set_up(family, side, settings))?;
        Ok(Namespace { net, device })
    }
}

/// Gives the calling thread's new network its device.
fn set_up(family: u8, side: usize, settings: Settings) -> Result<SyncDevice, Error> {
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
        sysctl(&key, value)?;
    }
    let (own, peer) = (address(family, side), address(family, 1 - side));
    let bits = if family == 6 { 128 } else { 32 };
    let nodad = if family == 6 { " nodad" } else { "" };
    sysctl("net/ipv4/tcp_mtu_probing", &settings.mtu_probing.to_string())?;
    let router = router(family);
    let quickack = if settings.quickack { " quickack 1" } else { "" };
    let advmss = settings.advmss.map(|advmss| format!(" advmss {advmss}")).unwrap_or_default();
    let mtu = settings.mtu;
    ip(&format!(
        "link set lo up\n\
         link set {name} mtu {mtu} up\n\
         address add {own}/{bits} dev {name}{nodad}\n\
         route add {peer}/{bits} dev {name} src {own} congctl {CONGESTION_CONTROL}{quickack}{advmss}\n\
         route add {router}/{bits} dev {name} src {own}\n"
    ))?;
    Ok(device)
}
