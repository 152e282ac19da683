//! Which knobs fit a finding, and what does turning one change in the world?

use crate::path::fitting_mss;
use crate::{KnobSide, Model, Narrow, Turning};
use narrows_lab::{Conversation, Side, Trigger, Turn, Write};
use narrows_stack::knob::{self, AckPolicyKind, KnobError, QuickAck, Value};
use narrows_trace::{Cause, Finding};
use std::time::Duration;

/// Pauses up to this between two writes of one turn are the application building one message; a longer one is
/// thinking, and "one write instead of several" would not bridge it.
const ONE_MESSAGE: Duration = Duration::from_millis(10);

/// Why a knob cannot be turned.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TurnError {
    /// The table has no such knob, or the value does not fit it.
    #[error(transparent)]
    Knob(#[from] KnobError),
    /// The knob belongs to the path or a system that a replay of one connection does not contain.
    #[error("{knob} cannot be turned in a replay of one connection: {why}")]
    NotInReplay {
        /// The knob.
        knob: String,
        /// Why not.
        why: &'static str,
    },
    /// The turning's text is not `SIDE.KNOB=VALUE`.
    #[error("`{text}` is not of the form SIDE.KNOB=VALUE (for example client.nodelay=true)")]
    Form {
        /// What was given.
        text: String,
    },
}

impl std::str::FromStr for Turning {
    type Err = TurnError;

    /// Reads `SIDE.KNOB=VALUE`, optionally `SIDE.KNOB=VALUE:BY` (`server.quickack=true:socket`).
    fn from_str(text: &str) -> Result<Turning, TurnError> {
        let form = || TurnError::Form { text: text.to_owned() };
        let (place, value) = text.split_once('=').ok_or_else(form)?;
        let (side, name) = place.split_once('.').ok_or_else(form)?;
        let side = match side.trim() {
            "client" => KnobSide::Client,
            "server" => KnobSide::Server,
            "both" => KnobSide::Both,
            "path" => KnobSide::Path,
            _ => return Err(form()),
        };
        let (value, by) = match value.trim().split_once(':') {
            Some((value, by)) => (value.trim(), Some(by.trim())),
            // The table's own words for `quickack` say by which means.
            None if value.trim() == "route" || value.trim() == "socket" => ("true", Some(value.trim())),
            None => (value.trim(), None),
        };
        let turning = Turning {
            knob: name.trim().to_owned(),
            side,
            value: value.to_owned(),
            by: by.map(str::to_owned),
        };
        turning.check()?;
        Ok(turning)
    }
}

impl Turning {
    /// The value in the words of the table of knobs.
    fn table_value(&self) -> &str {
        match (self.knob.as_str(), self.value.as_str(), self.by.as_deref()) {
            ("quickack", "true", by) => by.unwrap_or("route"),
            ("quickack", "false", _) => "off",
            (_, value, _) => value,
        }
    }

    fn check(&self) -> Result<Value, TurnError> {
        let row = knob::look_up(&self.knob)?;
        if self.by.is_some() && row.name != "quickack" {
            return Err(TurnError::NotInReplay {
                knob: self.knob.clone(),
                why: "there is only one way to turn it",
            });
        }
        Ok(row.parse(self.table_value())?)
    }
}

/// The turnings worth trying for a finding, in the order in which one would try them; `ipv6` is the connection's version.
#[must_use]
pub fn turnings_for(finding: &Finding, ipv6: bool) -> Vec<Turning> {
    let turning = |knob: &str, side: Side, value: &str, by: Option<&str>| Turning {
        knob: knob.to_owned(),
        side: side.into(),
        value: value.to_owned(),
        by: by.map(str::to_owned),
    };
    let on_path =
        |knob: &str, value: String| Turning { knob: knob.to_owned(), side: KnobSide::Path, value, by: None };
    let writer = finding.side;
    let reader = writer.peer();
    match finding.cause {
        Cause::NagleDelayedAck => vec![
            turning("nodelay", writer, "true", None),
            turning("coalesce_writes", writer, "true", None),
            turning("quickack", reader, "true", Some("route")),
            turning("quickack", reader, "true", Some("socket")),
            turning("ack_delay_max", reader, "10", None),
        ],
        Cause::NagleWithoutDelayedAck => {
            vec![turning("nodelay", writer, "true", None), turning("coalesce_writes", writer, "true", None)]
        }
        Cause::ServerThinkTime => vec![turning("server_think_ms", Side::Server, "0", None)],
        Cause::PathMtuBlackHole => {
            let mut turnings = vec![
                turning("mtu_probing", writer, "1", None),
                turning("mtu_probing", writer, "2", None),
                on_path("icmp_allowed", "true".to_owned()),
            ];
            if let Some(path_mtu) = finding.path_mtu {
                let mss = fitting_mss(path_mtu, ipv6).to_string();
                turnings.push(turning("advmss", reader, &mss, None));
                turnings.push(on_path("mss_clamp", mss));
            }
            turnings
        }
        Cause::PathMtuDiscovery => finding
            .path_mtu
            .map(|path_mtu| on_path("mss_clamp", fitting_mss(path_mtu, ipv6).to_string()))
            .into_iter()
            .collect(),
        Cause::OuterFragmentation => finding
            .path_mtu
            .map(|path_mtu| on_path("tunnel_mtu", path_mtu.least.to_string()))
            .into_iter()
            .collect(),
        // Whether a narrow link needs the clamp a replay does not know: it is only turned where it costs.
        Cause::MssClamped if !finding.lost.is_zero() => vec![on_path("mss_clamp", "off".to_owned())],
        // What probing finds is in the black hole's turnings; the others cost nothing, or nothing that a replay of a
        // connection shows.
        Cause::MtuProbingRecovers
        | Cause::MssClamped
        | Cause::IpFragmentation
        | Cause::SmallSegments
        | Cause::JumboUnused
        | Cause::SynOptionRemoved
        | Cause::LostOnTheWay => Vec::new(),
    }
}

impl Model {
    /// The same world with one knob turned.
    ///
    /// # Errors
    /// [`TurnError`] when the knob is unknown, the value does not fit, or the replay has no such thing.
    pub fn turned(&self, turning: &Turning) -> Result<Model, TurnError> {
        let mut model = self.clone();
        let sides: &[Side] = match turning.side {
            KnobSide::Client => &[Side::Client],
            KnobSide::Server => &[Side::Server],
            KnobSide::Both => &[Side::Client, Side::Server],
            KnobSide::Path => {
                model.turn_path(turning)?;
                return Ok(model);
            }
        };
        let value = turning.check()?;
        for &side in sides {
            match (turning.knob.as_str(), value) {
                ("coalesce_writes", Value::Bool(true)) => coalesce_writes(&mut model.conversation, side),
                ("coalesce_writes", _) => {}
                ("client_think_ms", Value::Duration(think)) => {
                    set_think(&mut model.conversation, Side::Client, think);
                }
                ("server_think_ms", Value::Duration(think)) => {
                    set_think(&mut model.conversation, Side::Server, think);
                }
                ("mtu", Value::Integer(mtu)) => {
                    model.sizes.interface_mtu[side.index()] = u32::try_from(mtu).unwrap_or(u32::MAX);
                }
                ("datagram_size", _) => {
                    return Err(not_in_replay(turning, "a connection has segments, and no datagrams"));
                }
                (name, _) => {
                    let knobs = &mut model.end_mut(side).knobs;
                    knobs.set(name, turning.table_value())?;
                    // A side modelled by the timer that was seen of it has no other way to acknowledge at once.
                    if knobs.quickack != QuickAck::Off && knobs.ack_policy == AckPolicyKind::Delayed {
                        knobs.ack_policy = AckPolicyKind::Immediate;
                    }
                }
            }
        }
        Ok(model)
    }
}

impl Model {
    /// Turns a knob of the path.
    fn turn_path(&mut self, turning: &Turning) -> Result<(), TurnError> {
        let unknown = "the path of a replay is the path of the capture";
        match (turning.knob.as_str(), turning.check()?) {
            ("mss_clamp", Value::Integer(bytes)) => {
                self.sizes.clamp = u16::try_from(bytes).ok().filter(|bytes| *bytes > 0);
            }
            ("icmp_allowed", Value::Bool(allowed)) => match &mut self.sizes.narrow {
                Some(narrow) => narrow.icmp = allowed,
                None => return Err(not_in_replay(turning, "the capture shows no link that takes less")),
            },
            ("tunnel_mtu", Value::Integer(bytes)) => {
                let mtu = u32::try_from(bytes).unwrap_or(u32::MAX);
                let icmp = self.sizes.narrow.is_none_or(|narrow| narrow.icmp);
                self.sizes.narrow = (mtu > 0).then_some(Narrow { mtu, icmp });
            }
            _ => return Err(not_in_replay(turning, unknown)),
        }
        Ok(())
    }
}

fn not_in_replay(turning: &Turning, why: &'static str) -> TurnError {
    TurnError::NotInReplay { knob: turning.knob.clone(), why }
}

/// Each turn's pieces in one write: it leaves when the last piece is ready.
fn coalesce_writes(conversation: &mut Conversation, side: Side) {
    for turn in conversation.turns.iter_mut().filter(|turn| turn.side == side) {
        let mut writes: Vec<Write> = Vec::with_capacity(1);
        for write in turn.writes.drain(..) {
            match writes.last_mut() {
                Some(last) if write.gap <= ONE_MESSAGE => {
                    last.bytes = last.bytes.saturating_add(write.bytes);
                    last.gap += write.gap;
                    last.gap_latest += write.gap_latest;
                }
                _ => writes.push(write),
            }
        }
        turn.writes = writes;
    }
}

/// Every turn of `side` that answers the peer thinks for `think`, and as much longer as it did beyond its quickest answer:
/// what a host adds to its program's own time stays.
fn set_think(conversation: &mut Conversation, side: Side, think: Duration) {
    let answers = |turn: &&mut Turn| turn.side == side && matches!(turn.trigger, Trigger::Received(_));
    let quickest =
        conversation.turns.iter_mut().filter(answers).map(|turn| turn.think).min().unwrap_or_default();
    for turn in conversation.turns.iter_mut().filter(answers) {
        turn.think = think + turn.think.saturating_sub(quickest);
    }
}

#[cfg(test)]
mod tests;
