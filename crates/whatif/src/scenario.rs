//! How does a captured connection become a file that the lab can run again? Its model, fitted to the capture, as a
//! scenario.

use crate::fit::fit;
use crate::model::NEVER_ENDED;
use crate::replay::link;
use crate::{Model, Replay, replay};
use narrows_lab::scenario::{ClampMss, HostSpec, LinkSpec, RouterSpec, Scenario, Workload, WorkloadKind};
use narrows_lab::{DirectionConfig, IpVersion, LinkConfig, Side};
use narrows_stack::knob::KNOBS;
use narrows_stack::profile::Profile;
use narrows_trace::Connection;

/// The routers beside client and server.
const NEAR: &str = "near";
const FAR: &str = "far";

/// The world of a connection as a scenario of the lab, and how far its replay is from the capture.
///
/// # Errors
/// Why there is no model, in one sentence.
pub fn scenario_of(connection: &Connection, name: &str) -> Result<(Scenario, Replay), String> {
    let model = Model::of(connection).map_err(|refusal| refusal.to_string())?;
    let (model, found) = fit(&model).ok_or_else(|| NEVER_ENDED.to_owned())?;
    let title = format!("Connection {} of a capture, as found", connection.number);
    let scenario = Scenario {
        name: name.to_owned(),
        title,
        ip_version: if model.ipv6 { IpVersion::V6 } else { IpVersion::V4 },
        hosts: vec![host(&model, Side::Client), host(&model, Side::Server)],
        routers: routers(&model),
        links: links(&model),
        workloads: vec![Workload::new("captured", WorkloadKind::Conversation(model.conversation.clone()))],
        ..Scenario::default()
    };
    Ok((scenario, replay::compare(&model, &found)))
}

/// The routers of the path, where there is more to it than one link.
fn routers(model: &Model) -> Vec<RouterSpec> {
    let Some(between) = model.sizes.between() else { return Vec::new() };
    let clamps = [(NEAR, between.clamp_mss.map(ClampMss::Bytes)), (FAR, None)];
    clamps
        .map(|(name, clamp_mss)| RouterSpec {
            too_big: between.too_big,
            icmp_delay: between.icmp_delay,
            clamp_mss,
            ..RouterSpec::new(name)
        })
        .to_vec()
}

fn links(model: &Model) -> Vec<LinkSpec> {
    let spec = |name: &str, first: &str, second: &str, config: LinkConfig| LinkSpec {
        name: name.to_owned(),
        between: [first, second].map(str::to_owned),
        config,
    };
    let [client, server] = [Side::Client, Side::Server].map(Side::name);
    let mut path = link(model);
    let Some(between) = model.sizes.between() else {
        return vec![spec("path", client, server, path)];
    };
    for direction in [&mut path.forward, &mut path.backward] {
        direction.mtu = between.mtu;
        direction.delay = direction.delay.saturating_sub(between.to_router * 2);
    }
    let own = |side: Side| {
        LinkConfig::symmetric(DirectionConfig {
            mtu: between.interface_mtu[side.index()],
            delay: between.to_router,
            ..DirectionConfig::default()
        })
    };
    vec![
        spec("client-link", client, NEAR, own(Side::Client)),
        spec("path", NEAR, FAR, path),
        spec("server-link", FAR, server, own(Side::Server)),
    ]
}

/// A host with the knobs that are not as its profile ships them.
fn host(model: &Model, side: Side) -> HostSpec {
    let end = &model.ends[side.index()];
    let shipped = Profile::by_name(end.profile).unwrap_or_else(Profile::linux).knobs;
    let mut host = HostSpec::new(side.name(), end.profile);
    host.knobs = KNOBS
        .iter()
        .filter_map(|row| end.knobs.get(row.name).map(|value| (row.name, value)))
        .filter(|(name, value)| shipped.get(name).as_ref() != Some(value))
        .collect();
    host
}

#[cfg(test)]
mod tests;
