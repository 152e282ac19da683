//! Do the predictions come true? Turned knobs as predicted from variant a, against the other variants' measurements.

use crate::analyse::Analyst;
use crate::findings::{NAMEABLE, relative};
use crate::measure::Measure;
use crate::truth::{Knob, Truth, Variant};
use narrows_trace::Connection;
use narrows_whatif::{Estimate, KnobSide, Turning};

/// A change smaller than this share of the value as found has no sign.
const NO_CHANGE: f64 = 0.03;

/// The score of the predictions from one capture.
#[derive(Debug, Default)]
pub struct PredictionsScore {
    /// The model error of each connection that was replayed, and why nothing was predicted, if so.
    pub models: Vec<ModelScore>,
    /// The predictions that were made.
    pub made: Vec<PredictionScore>,
    /// Variants with knobs that can be turned, of which nothing was predicted.
    pub missing: Vec<String>,
}

/// One connection's replay as found.
#[derive(Debug)]
pub struct ModelScore {
    /// Something was found in the connection: its replay is one that `explain` shows.
    pub found: bool,
    /// Signed relative error, when it was replayed.
    pub error: Option<f64>,
    /// Why nothing was predicted.
    pub refused: Option<String>,
}

/// One prediction against its measurement.
#[derive(Debug)]
pub struct PredictionScore {
    /// The variant's letter.
    pub variant: String,
    /// The turning, spelled out.
    pub turning: String,
    /// In the measure of the truth.
    pub estimate: Estimate,
    /// The measured median.
    pub measured_s: f64,
    /// The measured median of variant a.
    pub measured_before_s: f64,
    /// It is a lower bound.
    pub at_least: bool,
}

impl ModelScore {
    /// The error counts: that of a connection without findings, of which `explain` says that it cannot be replayed,
    /// misleads nobody.
    pub fn counted(&self) -> Option<f64> {
        self.error.filter(|_| self.found || self.refused.is_none())
    }
}

impl PredictionScore {
    /// Relative error, signed.
    pub fn error(&self) -> f64 {
        relative(self.estimate.after.as_secs_f64(), self.measured_s)
    }

    /// The measured value is not below the predicted bound.
    pub fn respects_bound(&self) -> bool {
        self.measured_s >= self.estimate.low.as_secs_f64()
    }

    /// The measured value lies in the predicted range.
    pub fn inside(&self) -> bool {
        self.estimate.low.as_secs_f64() <= self.measured_s
            && self.measured_s <= self.estimate.high.as_secs_f64()
    }

    /// The prediction says faster and it became slower, or the other way round.
    pub fn wrong_sign(&self) -> bool {
        let predicted = relative(self.estimate.after.as_secs_f64(), self.estimate.before.as_secs_f64());
        let measured = relative(self.measured_s, self.measured_before_s);
        predicted.abs() > NO_CHANGE && measured.abs() > NO_CHANGE && (predicted < 0.0) != (measured < 0.0)
    }
}

/// Scores what is predicted from the connections of a capture of variant a.
///
/// Only situations of which every cause can be named are replayed: nobody predicts from a cause that is not seen.
pub fn score(analyst: &dyn Analyst, truth: &Truth, connections: &[Connection]) -> PredictionsScore {
    let mut score = PredictionsScore::default();
    let Some(found) = truth.variants.get("a") else { return score };
    let nameable = |p: &String| NAMEABLE.iter().any(|c| c.name() == p);
    if !found.phenomena.iter().all(nameable) {
        return score;
    }
    for connection in connections {
        let (client_port, server_port) = (connection.client.port(), connection.server.port());
        let label = found.label(client_port, server_port);
        if label == Some("healthy") {
            continue;
        }
        let requests = found
            .connections
            .iter()
            .find(|c| (c.client_port, c.server_port) == (client_port, server_port))
            .map_or(connection.exchanges, |c| c.requests);
        let asked: Vec<(&String, Turning, Measured)> = (truth.variants.iter())
            .filter(|(letter, _)| *letter != "a")
            .filter_map(|(letter, variant)| {
                let measured = measured(truth, found, variant, label, requests)?;
                let turning = turning(&variant.knobs)?;
                analyst.can_turn(connection, &turning).then_some((letter, turning, measured))
            })
            .collect();
        let turnings: Vec<Turning> = asked.iter().map(|(_, turning, _)| turning.clone()).collect();
        let what_if = analyst.predict(connection, &turnings);
        score.models.push(ModelScore {
            found: !connection.findings.is_empty(),
            error: what_if.replay.map(|replay| replay.error),
            refused: what_if.refused.clone(),
        });
        for (letter, turning, measured) in asked {
            let prediction = what_if.predictions.iter().find(|p| p.turning == turning);
            match prediction.and_then(|p| measured.measure.estimate(connection, p)) {
                Some(estimate) => score.made.push(PredictionScore {
                    at_least: prediction.is_some_and(|p| p.at_least),
                    variant: letter.clone(),
                    turning: spell(&turning),
                    estimate,
                    measured_s: measured.after_s,
                    measured_before_s: measured.before_s,
                }),
                None => score.missing.push(format!("{letter} {}", spell(&turning))),
            }
        }
    }
    score
}

/// What was measured of a variant, on one connection.
pub struct Measured {
    /// By which words.
    pub measure: Measure,
    /// Of variant a, seconds.
    pub before_s: f64,
    /// Of the variant, seconds.
    pub after_s: f64,
}

/// What was measured of `variant`, on one connection; `None` where that is nothing that a replay tells.
pub fn measured(
    truth: &Truth,
    found: &Variant,
    variant: &Variant,
    label: Option<&str>,
    requests: u32,
) -> Option<Measured> {
    if variant.median_is_lower_bound || variant.knobs.is_empty() {
        return None;
    }
    let Some(label) = label else {
        let measure = Measure::of(&truth.value, requests)?;
        return Some(Measured { measure, before_s: found.median_s, after_s: variant.median_s });
    };
    // Among several connections only the one whose knob was turned tells anything.
    if variant.knobs.iter().any(|k| k.connection.as_deref() != Some(label)) {
        return None;
    }
    Some(Measured {
        measure: Measure::of(found.metric(label)?, requests)?,
        before_s: *found.median_sick_s.get(label)?,
        after_s: *variant.median_sick_s.get(label)?,
    })
}

/// The knobs of a variant as one turning: one knob, or the same on both sides.
pub fn turning(knobs: &[Knob]) -> Option<Turning> {
    let side = |knob: &Knob| {
        [KnobSide::Client, KnobSide::Server, KnobSide::Both, KnobSide::Path]
            .into_iter()
            .find(|side| side.name() == knob.side)
    };
    let (first, side) = match knobs {
        [one] => (one, side(one)?),
        [one, two] => {
            let same = (&one.knob, &one.value, &one.by) == (&two.knob, &two.value, &two.by);
            let both = same && one.side != two.side;
            (one, both.then_some(KnobSide::Both)?)
        }
        _ => return None,
    };
    let value = match &first.value {
        serde_json::Value::String(text) => text.clone(),
        // No clamp at all.
        serde_json::Value::Null => "off".to_owned(),
        other => other.to_string(),
    };
    Some(Turning { knob: first.knob.clone(), side, value, by: first.by.clone() })
}

/// `client.nodelay=true`, with `:socket` behind it where there are several ways.
fn spell(turning: &Turning) -> String {
    let by = turning.by.as_ref().map(|by| format!(":{by}")).unwrap_or_default();
    format!("{}.{}={}{by}", turning.side.name(), turning.knob, turning.value)
}
