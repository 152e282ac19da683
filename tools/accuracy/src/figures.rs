//! How good is it in all? The figures of a whole folder, and whether they got worse.

use crate::Error;
use crate::findings::FindingsScore;
use crate::predictions::PredictionsScore;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::path::Path;

/// Errors may be larger than the kept ones by this many percentage points: about what other captures of the same
/// situations differ by. Counts must not get worse at all.
const TOLERANCE_PERCENT: f64 = 0.5;

/// The figures that are kept in the repository. Errors are percentages, rounded to a tenth.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Figures {
    /// How many captures they are of.
    pub captures: usize,
    /// Phenomena found.
    pub found: usize,
    /// Phenomena that can be named.
    pub phenomena: usize,
    /// Findings that are not true.
    pub false_findings: usize,
    /// Path MTUs told, and how many of them are right.
    #[serde(default)]
    pub sizes: usize,
    /// Right.
    #[serde(default)]
    pub sizes_right: usize,
    /// Error of the number of stalls: median and worst.
    pub stall_count_median_percent: f64,
    /// Worst.
    pub stall_count_worst_percent: f64,
    /// Error of the time lost: median and worst.
    pub stall_time_median_percent: f64,
    /// Worst.
    pub stall_time_worst_percent: f64,
    /// Model error: median and worst.
    pub model_error_median_percent: f64,
    /// Worst.
    pub model_error_worst_percent: f64,
    /// Connections of which nothing is predicted because the model does not contain what decides there.
    pub refused: usize,
    /// Predictions that are only a bound, as the capture ends before all was said, and how many of them hold.
    #[serde(default)]
    pub bounds: usize,
    /// That hold.
    #[serde(default)]
    pub bounds_held: usize,
    /// Predictions made, those left out.
    pub predictions: usize,
    /// Predictions that should have been made and were not.
    pub not_predicted: usize,
    /// Error of the predictions.
    pub prediction_median_percent: f64,
    /// Nine of ten are better.
    pub prediction_p90_percent: f64,
    /// Worst.
    pub prediction_worst_percent: f64,
    /// Measurements inside the predicted range.
    pub inside_range: usize,
    /// Predictions of the wrong sign.
    pub wrong_sign: usize,
}

impl Figures {
    /// Of all captures' scores.
    pub fn of(scores: &[(FindingsScore, PredictionsScore)]) -> Figures {
        let findings = || scores.iter().map(|(f, _)| f);
        let all = || scores.iter().flat_map(|(_, p)| &p.made);
        let made = || all().filter(|p| !p.at_least);
        let bounds = || all().filter(|p| p.at_least);
        let phenomena = || findings().flat_map(|f| &f.phenomena);
        let sizes = || findings().flat_map(|f| &f.sizes);
        let counts = Spread::of(findings().flat_map(|f| &f.stalls).map(|s| s.count_error()));
        let times = Spread::of(findings().flat_map(|f| &f.stalls).map(|s| s.lost_error()));
        let models = Spread::of(scores.iter().flat_map(|(_, p)| &p.models).filter_map(|m| m.counted()));
        let predictions = Spread::of(made().map(|p| p.error()));
        Figures {
            captures: scores.len(),
            found: phenomena().filter(|(_, found)| *found).count(),
            phenomena: phenomena().count(),
            false_findings: findings().map(|f| f.wrong.len()).sum(),
            sizes: sizes().count(),
            sizes_right: sizes().filter(|s| s.right()).count(),
            stall_count_median_percent: counts.median,
            stall_count_worst_percent: counts.worst,
            stall_time_median_percent: times.median,
            stall_time_worst_percent: times.worst,
            model_error_median_percent: models.median,
            model_error_worst_percent: models.worst,
            refused: scores.iter().flat_map(|(_, p)| &p.models).filter(|m| m.refused.is_some()).count(),
            bounds: bounds().count(),
            bounds_held: bounds().filter(|p| p.respects_bound()).count(),
            predictions: made().count(),
            not_predicted: scores.iter().map(|(_, p)| p.missing.len()).sum(),
            prediction_median_percent: predictions.median,
            prediction_p90_percent: predictions.p90,
            prediction_worst_percent: predictions.worst,
            inside_range: made().filter(|p| p.inside()).count(),
            wrong_sign: made().filter(|p| p.wrong_sign()).count(),
        }
    }

    /// The last lines of the output.
    pub fn print(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "stalls: count off by median {:.1}% worst {:.1}%, time lost off by median {:.1}% worst {:.1}%",
            self.stall_count_median_percent,
            self.stall_count_worst_percent,
            self.stall_time_median_percent,
            self.stall_time_worst_percent,
        );
        let _ = writeln!(
            text,
            "path MTUs: {} of {} right; bounds: {} of {} hold",
            self.sizes_right, self.sizes, self.bounds_held, self.bounds,
        );
        let _ = writeln!(
            text,
            "ranges: {} of {} measurements inside the predicted range, {} not predicted, {} connections refused",
            self.inside_range, self.predictions, self.not_predicted, self.refused,
        );
        let _ = writeln!(
            text,
            "accuracy: found {} of {}, false {}, model error median {:.1}% worst {:.1}%, \
             predictions {} median {:.1}% p90 {:.1}% worst {:.1}%, wrong sign {}",
            self.found,
            self.phenomena,
            self.false_findings,
            self.model_error_median_percent,
            self.model_error_worst_percent,
            self.predictions,
            self.prediction_median_percent,
            self.prediction_p90_percent,
            self.prediction_worst_percent,
            self.wrong_sign,
        );
        text
    }

    /// What is worse than in the figures kept before; empty when nothing is.
    pub fn worse_than(&self, kept: &Figures) -> Vec<String> {
        let mut worse = Vec::new();
        let mut count = |name: &str, now: usize, before: usize, more_is_better: bool| {
            if (more_is_better && now < before) || (!more_is_better && now > before) {
                worse.push(format!("{name}: {now}, was {before}"));
            }
        };
        count("found", self.found, kept.found, true);
        count("false findings", self.false_findings, kept.false_findings, false);
        count("path MTUs right", self.sizes_right, kept.sizes_right, true);
        count("path MTUs wrong", self.sizes - self.sizes_right, kept.sizes - kept.sizes_right, false);
        count("refused", self.refused, kept.refused, false);
        count("bounds that hold", self.bounds_held, kept.bounds_held, true);
        count(
            "bounds that do not hold",
            self.bounds - self.bounds_held,
            kept.bounds - kept.bounds_held,
            false,
        );
        count("predictions", self.predictions, kept.predictions, true);
        count("not predicted", self.not_predicted, kept.not_predicted, false);
        count("inside the range", self.inside_range, kept.inside_range, true);
        count("wrong sign", self.wrong_sign, kept.wrong_sign, false);
        let errors = [
            ("stall count, median", self.stall_count_median_percent, kept.stall_count_median_percent),
            ("stall count, worst", self.stall_count_worst_percent, kept.stall_count_worst_percent),
            ("stall time, median", self.stall_time_median_percent, kept.stall_time_median_percent),
            ("stall time, worst", self.stall_time_worst_percent, kept.stall_time_worst_percent),
            ("model error, median", self.model_error_median_percent, kept.model_error_median_percent),
            ("model error, worst", self.model_error_worst_percent, kept.model_error_worst_percent),
            ("prediction, median", self.prediction_median_percent, kept.prediction_median_percent),
            ("prediction, p90", self.prediction_p90_percent, kept.prediction_p90_percent),
            ("prediction, worst", self.prediction_worst_percent, kept.prediction_worst_percent),
        ];
        for (name, now, before) in errors {
            if now > before + TOLERANCE_PERCENT {
                worse.push(format!("{name}: {now:.1}%, was {before:.1}%"));
            }
        }
        worse
    }

    /// Reads kept figures.
    pub fn read(path: &Path) -> Result<Figures, Error> {
        let unusable = |e: &dyn std::fmt::Display| Error::Unusable(format!("{}: {e}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|e| unusable(&e))?;
        toml::from_str(&text).map_err(|e| unusable(&e))
    }

    /// Keeps these figures.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let unusable = |e: &dyn std::fmt::Display| Error::Unusable(format!("{}: {e}", path.display()));
        let table = toml::to_string(self).map_err(|e| unusable(&e))?;
        let text = format!(
            "# Written by `accuracy DIR --write FILE`. `accuracy DIR --check FILE` fails when a count is worse than here, or\n\
             # an error by more than {TOLERANCE_PERCENT} percentage points.\n{table}"
        );
        std::fs::write(path, text).map_err(|e| unusable(&e))
    }
}

/// How large errors are, in percent, without their signs.
struct Spread {
    median: f64,
    p90: f64,
    worst: f64,
}

impl Spread {
    fn of(errors: impl Iterator<Item = f64>) -> Spread {
        let mut percent: Vec<f64> = errors.map(|e| (e.abs() * 1000.0).round() / 10.0).collect();
        percent.sort_by(f64::total_cmp);
        // Nearest rank.
        let rank = |share: f64| {
            let index = (percent.len() as f64 * share).ceil() as usize;
            percent.get(index.saturating_sub(1)).copied().unwrap_or(0.0)
        };
        Spread { median: rank(0.5), p90: rank(0.9), worst: rank(1.0) }
    }
}
