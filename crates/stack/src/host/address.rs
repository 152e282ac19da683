//! Which interface, which address, which port? Routes, and the values that a new connection begins with.

use super::{Host, InterfaceId, Slot, SocketId};
use crate::socket::demux::FourTuple;
use crate::tcp::Begin;
use crate::tcp::connection::Owner;
use crate::{Instant, Knobs};
use narrows_wire::Seq;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Ports for connections that do not ask for one (Linux's ip_local_port_range).
pub(super) const EPHEMERAL_PORTS: std::ops::RangeInclusive<u16> = 32_768..=60_999;

impl Host {
    pub(super) fn is_local(&self, address: IpAddr) -> bool {
        self.interfaces.iter().any(|interface| interface.addresses.contains(&address))
    }

    /// The interface towards `destination` and the address to use there.
    pub(super) fn route(&self, destination: IpAddr) -> Option<(InterfaceId, IpAddr)> {
        let chosen = self
            .routes
            .iter()
            .find(|route| covers(route.network, route.prefix_len, destination))
            .map_or(InterfaceId(0), |route| route.interface);
        let same_family = |address: &&IpAddr| address.is_ipv4() == destination.is_ipv4();
        let interface = self.interfaces.get(chosen.0 as usize)?;
        interface.addresses.iter().find(same_family).map(|address| (chosen, *address))
    }

    /// The interface's device takes packets of `mtu` bytes from now on. Connections that use it learn it when they next ask what they
    /// may send; a path known to be narrower stays so.
    pub fn set_interface_mtu(&mut self, now: Instant, interface: InterfaceId, mtu: u32) {
        self.change_mtu(now, interface, mtu, false);
    }

    /// The routes over the interface have this MTU from now on (Linux: `ip route change … mtu N`). Connections learn it when they next
    /// look the route up, which is when they send: where it is larger now, what they send then still has the size of before.
    ///
    /// Linux 6.18 differs for one burst, and this stack does not follow: a route that was replaced (`ip route replace`, also with the same
    /// MTU) leaves its sockets' old entry on a device that takes 68 bytes, and what is sent before the route is looked up again goes in
    /// segments of 36 bytes (20,000 bytes in 75 packets, in network namespaces). It looks like an oversight, and says nothing of the path.
    pub fn set_route_mtu(&mut self, now: Instant, interface: InterfaceId, mtu: u32) {
        self.change_mtu(now, interface, mtu, true);
    }

    fn change_mtu(&mut self, now: Instant, interface: InterfaceId, mtu: u32, by_route: bool) {
        let Some(device) = self.interfaces.get_mut(interface.0 as usize).filter(|device| device.mtu != mtu)
        else {
            return;
        };
        device.mtu = mtu;
        // Rare, as a path that becomes narrower.
        for slot in 0..self.slots.len() {
            let (used, remote) = match &self.slots[slot] {
                Slot::Connection(connection) => (connection.interface, connection.tuple.remote.ip()),
                Slot::Resting(resting) => (resting.interface(), resting.tuple().remote.ip()),
                Slot::Free | Slot::Request(_) | Slot::TimeWait(_) => continue,
            };
            if used != interface {
                continue;
            }
            let path = self.paths.get(now, remote, mtu);
            if let Some((connection, _)) = self.connection(now, slot) {
                connection.on_mtu_changed(mtu, path, by_route);
            }
        }
    }

    /// What a new connection needs.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn begin(
        &mut self,
        now: Instant,
        id: SocketId,
        tuple: FourTuple,
        interface: InterfaceId,
        owner: Owner,
        knobs: Arc<Knobs>,
        initial_seq: Option<Seq>,
    ) -> Begin {
        let device = self.interfaces.get(interface.0 as usize);
        let interface_mtu = device.map_or(1500, |device| device.mtu);
        let keyed = self.keyed(&tuple);
        // A clock of 64 ns and a secret per pair of ends: later connections of the same ends begin later (RFC 6528).
        let clock = (now.as_nanos() >> 6) as u32;
        Begin {
            id,
            tuple,
            interface,
            path: self.paths.get(now, tuple.remote.ip(), interface_mtu),
            interface_mtu,
            device_full: self.full.get(interface.0 as usize).copied().unwrap_or(false),
            offload: device.is_some_and(|device| device.segmentation_offload),
            owner,
            knobs,
            tick_phase_ns: self.config.tick_phase_ns,
            iss: initial_seq.unwrap_or(Seq(clock.wrapping_add(keyed as u32))),
            timestamp_offset: (keyed >> 32) as u32,
        }
    }

    /// A value that depends on the two ends and the host's secret.
    pub(super) fn keyed(&self, tuple: &FourTuple) -> u64 {
        self.secret.of(tuple.local, tuple.remote)
    }

    /// A port that is free towards `remote`: it begins where the secret says for that destination and goes on from
    /// there (RFC 6056 §3.3.3).
    pub(super) fn ephemeral_port(&mut self, address: IpAddr, remote: SocketAddr) -> Option<u16> {
        let count = u32::from(EPHEMERAL_PORTS.end() - EPHEMERAL_PORTS.start()) + 1;
        let offset = self.keyed(&FourTuple { local: SocketAddr::new(address, 0), remote }) as u32;
        for _ in 0..count {
            let step = offset.wrapping_add(self.next_port) % count;
            self.next_port = self.next_port.wrapping_add(1);
            let port = EPHEMERAL_PORTS.start() + step as u16;
            let local = SocketAddr::new(address, port);
            let free = self.demux.connection(&FourTuple { local, remote }).is_none();
            if free && self.demux.listener(local).is_none() {
                return Some(port);
            }
        }
        None
    }
}

/// True when `network/prefix_len` covers `address`.
fn covers(network: IpAddr, prefix_len: u8, address: IpAddr) -> bool {
    let shared = |a: u128, b: u128, width: u32| {
        let ignored = width.saturating_sub(u32::from(prefix_len));
        ignored >= width || (a ^ b) >> ignored == 0
    };
    match (network, address) {
        (IpAddr::V4(a), IpAddr::V4(b)) => shared(a.to_bits().into(), b.to_bits().into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => shared(a.to_bits(), b.to_bits(), 128),
        _ => false,
    }
}
