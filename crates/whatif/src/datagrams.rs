//! What would a flow of datagrams be like with smaller ones? The flow becomes a world, is replayed as found, and once per size.
//!
//! What is lost is packets; a datagram in pieces is lost with any of them (1-(1-p)^n). The capture shows how many pieces are missing, the lab
//! what that makes of datagrams of another size. Losses that come in bursts hit fewer datagrams: then the replay as found is off, and nothing is
//! predicted.

use crate::{KnobSide, MODEL_ERROR_LIMIT, TurnError, Turning};
use narrows_lab::scenario::{Datagrams, HostSpec, LinkSpec, Scenario, Workload, WorkloadKind};
use narrows_lab::{DirectionConfig, IpVersion, LinkConfig, Loss, Side};
use narrows_trace::{Cause, DatagramFlow, DatagramSide};
use std::time::Duration;

/// Replays of each world, with seeds counted up.
const SEEDS: u64 = 7;
/// Datagrams of a replay, however many the capture has: enough for a share.
const PLAYED_DATAGRAMS: u64 = 2_000;
/// Far enough apart that no send buffer fills: when they leave decides nothing here.
const LEAST_INTERVAL: Duration = Duration::from_millis(1);
/// So many standard deviations of what was counted are the range of what may be.
const DEVIATIONS: f64 = 2.0;
/// IPv4's header and UDP's; IPv6's and UDP's.
const HEADERS: [u32; 2] = [28, 48];

/// The share of something that arrives, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// As captured.
    pub before: f64,
    /// With the knob turned.
    pub after: f64,
    /// The lowest it may become.
    pub low: f64,
    /// The highest it may become.
    pub high: f64,
}

/// What datagrams of another size would give.
#[derive(Clone, Debug, PartialEq)]
pub struct DatagramPrediction {
    /// The knob turned: `datagram_size`.
    pub turning: Turning,
    /// Datagrams sent for the same payload: before, after.
    pub datagrams: (u64, u64),
    /// The share of them that arrives.
    pub delivered: Share,
    /// IP packets sent: before, after.
    pub packets: (u64, u64),
    /// Their bytes, headers counted: before, after.
    pub bytes: (u64, u64),
}

/// Everything that is predicted for one side of a flow.
#[derive(Clone, Debug, PartialEq)]
pub struct DatagramWhatIf {
    /// Who sends.
    pub side: Side,
    /// The share of the datagrams in pieces that arrived, in the capture and in the replay as found.
    pub replay: (f64, f64),
    /// How far the replay is from the capture: the larger of the differences of what arrives and of the packets' number, signed.
    pub error: f64,
    /// No piece is missing here: at the sender that says nothing of what arrives.
    pub nothing_missing: bool,
    /// One per size.
    pub predictions: Vec<DatagramPrediction>,
    /// Why nothing is predicted, in one sentence.
    pub refused: Option<String>,
}

/// The datagrams of one side that went in pieces.
#[derive(Clone, Copy, Debug)]
struct Model {
    ipv6: bool,
    /// How many, whole and incomplete.
    count: u64,
    /// The mean payload, bytes.
    size: u32,
    interval: Duration,
    /// The largest IP packet.
    mtu: u32,
    /// Pieces that came, and those that are missing.
    pieces: (u64, u64),
}

/// What came of a replay.
#[derive(Clone, Copy, Debug, Default)]
struct Outcome {
    delivered: f64,
    packets_per_datagram: f64,
    bytes_per_datagram: f64,
}

/// Predicts for every side of the flow that sends datagrams in pieces: sizes that fit a packet, and `asked` ones.
///
/// # Errors
/// [`TurnError`] for asked turnings that are none of a flow of datagrams.
pub fn predict_datagrams(flow: &DatagramFlow, asked: &[Turning]) -> Result<Vec<DatagramWhatIf>, TurnError> {
    let mut all = Vec::new();
    for side in [Side::Client, Side::Server] {
        let sent = &flow.sides[side.index()];
        let found = flow.findings.iter().any(|f| f.cause == Cause::IpFragmentation && f.side == side);
        let wanted: Vec<&Turning> = asked.iter().filter(|turning| is_of(turning.side, side)).collect();
        if let Some(model) = Model::of(flow, side).filter(|_| found || !wanted.is_empty()) {
            all.push(model.what_if(side, sent, &wanted)?);
        }
    }
    Ok(all)
}

fn is_of(knob_side: KnobSide, side: Side) -> bool {
    knob_side == KnobSide::Both || knob_side == KnobSide::from(side)
}

impl Model {
    fn of(flow: &DatagramFlow, side: Side) -> Option<Model> {
        let sent = &flow.sides[side.index()];
        let count = sent.fragmented + sent.incomplete;
        let whole = u32::try_from(sent.fragmented_payload_bytes.checked_div(sent.fragmented)?).ok()?;
        let interval = flow.duration / u32::try_from(count).unwrap_or(u32::MAX).max(1);
        Some(Model {
            ipv6: flow.client.is_ipv6(),
            count,
            size: whole.min(Datagrams::LARGEST),
            interval: interval.clamp(LEAST_INTERVAL, Duration::from_secs(1)),
            mtu: sent.largest_packet,
            pieces: (sent.fragments, sent.missing_fragments),
        })
    }

    fn what_if(
        &self,
        side: Side,
        sent: &DatagramSide,
        asked: &[&Turning],
    ) -> Result<DatagramWhatIf, TurnError> {
        let captured = sent.fragmented as f64 / self.count.max(1) as f64;
        let (came, missing) = self.pieces;
        let found = self.play(self.size, self.loss());
        let pieces = (came + missing) as f64 / self.count.max(1) as f64;
        let errors =
            [found.delivered / captured.max(1e-9) - 1.0, found.packets_per_datagram / pieces.max(1e-9) - 1.0];
        let error = if errors[0].abs() >= errors[1].abs() { errors[0] } else { errors[1] };
        let mut what_if = DatagramWhatIf {
            side,
            replay: (captured, found.delivered),
            error,
            nothing_missing: missing == 0,
            predictions: Vec::new(),
            refused: None,
        };
        if error.abs() > MODEL_ERROR_LIMIT {
            what_if.refused = Some(format!(
                "replayed unchanged, the model is {:+.0} % off the capture: pieces are not lost independently of each other, or routers cut them again",
                error * 100.0
            ));
            return Ok(what_if);
        }
        let fits = self.mtu.saturating_sub(HEADERS[usize::from(self.ipv6)]);
        let fitting = Turning {
            knob: "datagram_size".to_owned(),
            side: side.into(),
            value: fits.to_string(),
            by: None,
        };
        let asked = asked.iter().map(|turning| (*turning).clone()).filter(|turning| *turning != fitting);
        let turnings: Vec<Turning> = std::iter::once(fitting.clone()).chain(asked).collect();
        for turning in turnings {
            let size = size_of(&turning)?;
            what_if.predictions.push(self.turned(turning, size, captured, found));
        }
        Ok(what_if)
    }

    fn turned(&self, turning: Turning, size: u32, captured: f64, found: Outcome) -> DatagramPrediction {
        // The same payload: whoever has more to say than fits says it in several datagrams.
        let each = self.size.div_ceil(size).max(1);
        let size = self.size.div_ceil(each);
        let turned = self.play(size, self.loss());
        let [least, most] = self.loss_range();
        let ends = [self.play(size, most).delivered, self.play(size, least).delivered];
        let after = self.count * u64::from(each);
        // So many of so many: another time chance has it otherwise.
        let chance = |share: f64| DEVIATIONS * (share * (1.0 - share) / after.max(1) as f64).sqrt();
        let total = |per_datagram: f64, count: u64| (per_datagram * count as f64).round() as u64;
        let (came, missing) = self.pieces;
        DatagramPrediction {
            turning,
            datagrams: (self.count, after),
            delivered: Share {
                before: captured,
                after: turned.delivered,
                low: (ends[0].min(turned.delivered) - chance(ends[0])).max(0.0),
                high: (ends[1].max(turned.delivered) + chance(ends[1])).min(1.0),
            },
            packets: (came + missing, total(turned.packets_per_datagram, after)),
            bytes: (total(found.bytes_per_datagram, self.count), total(turned.bytes_per_datagram, after)),
        }
    }

    fn loss(&self) -> f64 {
        let (came, missing) = self.pieces;
        missing as f64 / (came + missing).max(1) as f64
    }

    /// What the loss may be, by what was counted: Wilson's interval.
    fn loss_range(&self) -> [f64; 2] {
        let (came, missing) = self.pieces;
        let n = (came + missing).max(1) as f64;
        let (p, z) = (missing as f64 / n, DEVIATIONS);
        let centre = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
        let half = z / (1.0 + z * z / n) * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
        // Where nothing is missing, nothing is said of losses.
        if missing == 0 { [0.0, 0.0] } else { [(centre - half).max(0.0), (centre + half).min(1.0)] }
    }

    /// Datagrams of `size` over a link that loses this share of packets: the means of several replays.
    fn play(&self, size: u32, loss: f64) -> Outcome {
        let mut sum = Outcome::default();
        let mut played = 0.0;
        for seed in 1..=SEEDS {
            let Ok(report) = self.scenario(size, loss, seed).run() else { continue };
            let Some(datagrams) = report.workloads.first().and_then(|workload| workload.datagrams) else {
                continue;
            };
            let sent = datagrams.sent.max(1) as f64;
            let Some(host) = report.hosts.first() else { continue };
            sum.delivered += datagrams.delivered();
            sum.packets_per_datagram += host.packets as f64 / sent;
            sum.bytes_per_datagram += host.bytes as f64 / sent;
            played += 1.0;
        }
        let mean = |sum: f64| if played > 0.0 { sum / played } else { 0.0 };
        Outcome {
            delivered: mean(sum.delivered),
            packets_per_datagram: mean(sum.packets_per_datagram),
            bytes_per_datagram: mean(sum.bytes_per_datagram),
        }
    }

    fn scenario(&self, size: u32, loss: f64, seed: u64) -> Scenario {
        let [client, server] = [Side::Client, Side::Server].map(Side::name);
        let mut host = HostSpec::new(client, "linux");
        // What the capture shows in pieces was allowed to be cut. (The knob is of the table: a test sees to it.)
        let _ = host.set("pmtu_discovery", "dont");
        let forward =
            DirectionConfig { mtu: self.mtu, loss: Loss::Random(loss), ..DirectionConfig::default() };
        let backward = DirectionConfig { mtu: self.mtu, ..DirectionConfig::default() };
        let datagrams = Datagrams { count: PLAYED_DATAGRAMS, size, interval: self.interval, search: None };
        Scenario {
            ip_version: if self.ipv6 { IpVersion::V6 } else { IpVersion::V4 },
            seed,
            hosts: vec![host, HostSpec::new(server, "linux")],
            links: vec![LinkSpec {
                name: "path".to_owned(),
                between: [client, server].map(str::to_owned),
                config: LinkConfig { forward, backward, over_network: false },
            }],
            workloads: vec![Workload::new("captured", WorkloadKind::Datagrams(datagrams))],
            ..Scenario::default()
        }
    }
}

fn size_of(turning: &Turning) -> Result<u32, TurnError> {
    let smallest = narrows_lab::datagrams::SMALLEST as u32;
    let size = turning.value.parse::<u32>().ok().filter(|size| *size >= smallest);
    match size {
        Some(size) if turning.knob == "datagram_size" => Ok(size.min(Datagrams::LARGEST)),
        _ => Err(TurnError::NotInReplay {
            knob: turning.knob.clone(),
            why: "datagrams have no knob but datagram_size, from 8 bytes on",
        }),
    }
}

#[cfg(test)]
#[path = "datagrams_tests.rs"]
mod tests;
