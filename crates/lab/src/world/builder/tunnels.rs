//! Which of a world's links are tunnels, where do they begin and end outside, and by which roads do their packets travel?

use super::{BuildError, IpVersion, next_road_towards, router_address};
use crate::link::LinkConfig;
use crate::tunnel::TunnelDirection;
use crate::world::tunnels::TunnelRoad;
use crate::world::{NodeId, Road};
use std::net::IpAddr;

/// A link as it was described: name, ends, settings.
pub(super) type Link = (String, [NodeId; 2], LinkConfig);
/// For an address, the road by which each node reaches it.
pub(super) type Routes = Vec<(IpAddr, Vec<Option<usize>>)>;

/// Tunnels over the network.
pub(super) struct Overlay {
    /// By node, the roads that come out there.
    pub exits: Vec<Vec<usize>>,
    /// How their ends find each other.
    pub routes: Routes,
}

/// Gives the roads that are tunnels what makes them so.
pub(super) fn lay(
    roads: &mut [Road],
    links: &[Link],
    leaving: &[Vec<usize>],
    version: IpVersion,
    addresses: &[Option<IpAddr>],
    at_host: &dyn Fn(NodeId) -> bool,
) -> Result<Overlay, BuildError> {
    let ipv6 = version == IpVersion::V6;
    let without =
        |roads: &Vec<usize>| roads.iter().copied().filter(|r| !links[r / 2].2.over_network).collect();
    let outside: Vec<Vec<usize>> = leaving.iter().map(without).collect();
    let mut overlay = Overlay { exits: vec![Vec::new(); leaving.len()], routes: Vec::new() };
    for number in 0..roads.len() {
        let (name, ends, config) = &links[number / 2];
        let [from, to] = if number % 2 == 0 { *ends } else { [ends[1], ends[0]] };
        let direction = if number % 2 == 0 { "forward" } else { "backward" };
        let wrong =
            |setting, expected| BuildError::WrongSetting { link: name.clone(), direction, setting, expected };
        let Some(kind) = roads[number].direction.config.tunnel else {
            if config.over_network {
                return Err(wrong("tunnel", "a tunnel, since the link is to go over the network"));
            }
            continue;
        };
        let outer = if kind.is_ipv6_outside(ipv6) { IpVersion::V6 } else { IpVersion::V4 };
        let outer_address = |node: NodeId| router_address(node.0 as usize, outer, addresses);
        let tunnel_ends = [outer_address(from), outer_address(to)];
        let mut carrier = None;
        if config.over_network {
            let ways = next_road_towards(to.0 as usize, roads, &outside);
            let first = ways[from.0 as usize]
                .ok_or_else(|| wrong("over", "`link`, or other links between its two ends"))?;
            roads[number].direction.config.mtu =
                roads[first].direction.config.inner_mtu(outer == IpVersion::V6);
            carrier = Some(first);
            overlay.exits[to.0 as usize].push(number);
            overlay.routes.push((tunnel_ends[1], ways));
        }
        let config = &roads[number].direction.config;
        if let Some((setting, expected)) = config.wrong_setting(ipv6) {
            return Err(wrong(setting, expected));
        }
        let df = config.tunnel_df.unwrap_or_else(|| kind.usual_df());
        let sizes = [config.inner_mtu(ipv6), config.mtu];
        roads[number].tunnel = Some(Box::new(TunnelRoad {
            tunnel: TunnelDirection::new(kind, df, tunnel_ends, sizes),
            carrier,
            at_host: at_host(from),
            speaks_as: router_address(from.0 as usize, version, addresses),
        }));
    }
    Ok(overlay)
}

/// The roads that leave each node with tunnels over the network before others: of ways that are equally long those are taken.
pub(in crate::world) fn tunnels_first(roads: &[Road], leaving: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let over_network = |road: usize| roads[road].tunnel.as_ref().is_some_and(|road| road.carrier.is_some());
    let sorted = |own: &Vec<usize>| {
        let mut own = own.clone();
        own.sort_by_key(|&road| !over_network(road));
        own
    };
    leaving.iter().map(sorted).collect()
}
