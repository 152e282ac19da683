//! How does a captured connection become a file that the lab can run again? Its model, fitted to the capture, as a
//! scenario.

use crate::fit::fit;
use crate::model::NEVER_ENDED;
use crate::replay::link;
use crate::{Model, Replay, replay};
use narrows_lab::scenario::{HostSpec, LinkSpec, Scenario, Workload, WorkloadKind};
use narrows_lab::{IpVersion, Side};
use narrows_stack::knob::KNOBS;
use narrows_stack::profile::Profile;
use narrows_trace::Connection;

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
        links: vec![LinkSpec {
            name: "path".to_owned(),
            between: [Side::Client, Side::Server].map(|side| side.name().to_owned()),
            config: link(&model),
        }],
        workloads: vec![Workload::new("captured", WorkloadKind::Conversation(model.conversation.clone()))],
        ..Scenario::default()
    };
    Ok((scenario, replay::compare(&model, &found)))
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
