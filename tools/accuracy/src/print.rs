//! How does a score look? A row for each capture, and below it one for each prediction.

use crate::findings::FindingsScore;
use crate::predictions::PredictionsScore;
use narrows_trace::PathMtu;
use std::fmt::Write as _;

/// The lines of one capture.
pub fn capture(name: &str, findings: &FindingsScore, predictions: &PredictionsScore) -> String {
    let mut words: Vec<String> = (findings.phenomena.iter())
        .map(|(name, found)| format!("{name} {}", if *found { "found" } else { "MISSING" }))
        .collect();
    words.extend(findings.wrong.iter().map(|wrong| format!("FALSE {wrong}")));
    for size in &findings.sizes {
        let PathMtu { least, most } = size.told;
        let verdict = if size.right() { "" } else { " WRONG" };
        words.push(format!("{} {least}-{most}/{}{verdict}", size.cause, size.truth));
    }
    for stalls in &findings.stalls {
        words.push(format!(
            "stalls {}/{} lost {:.3}/{:.3} s ({:+.1}%)",
            stalls.count.0,
            stalls.count.1,
            stalls.lost_s.0,
            stalls.lost_s.1,
            stalls.lost_error() * 100.0
        ));
    }
    for model in &predictions.models {
        words.extend(model.error.map(|error| format!("model error {:+.1}%", error * 100.0)));
        words.extend(model.refused.iter().map(|why| format!("refused: {why}")));
    }
    if words.is_empty() {
        words.push("nothing named, nothing to name".to_owned());
    }
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{name:<36} {}", words.join("; "));
    for bound in predictions.made.iter().filter(|made| made.at_least) {
        let held = if bound.respects_bound() { "holds" } else { "DOES NOT HOLD" };
        let (least, measured) = (bound.estimate.low.as_secs_f64() * 1e3, bound.measured_s * 1e3);
        let _ = writeln!(
            text,
            "    {} {:<32} at least {least:.3} ms, measured {measured:>9.3} ms: {held}",
            bound.variant, bound.turning,
        );
    }
    for made in predictions.made.iter().filter(|made| !made.at_least) {
        let ms = |time: std::time::Duration| time.as_secs_f64() * 1e3;
        let _ = writeln!(
            text,
            "    {} {:<32} {:>9.3} ms ({:.3} to {:.3}), measured {:>9.3} ms: {:+.1}%, {}{}",
            made.variant,
            made.turning,
            ms(made.estimate.after),
            ms(made.estimate.low),
            ms(made.estimate.high),
            made.measured_s * 1e3,
            made.error() * 100.0,
            if made.inside() { "inside" } else { "OUTSIDE" },
            if made.wrong_sign() { ", WRONG SIGN" } else { "" },
        );
    }
    for missing in &predictions.missing {
        let _ = writeln!(text, "    {missing} NOT PREDICTED");
    }
    text
}
