//! What is turning each knob worth? The table of predictions, and how far the model is from the capture.

use super::look::{DIM, GAIN, LOST};
use super::paper::{Cell, Paper};
use crate::turning;
use crate::units;
use narrows_whatif::{Estimate, Prediction, Replay, WhatIf};

/// The mean exchange is left out where there is no room for it.
const ESSENTIAL_COLUMNS: usize = 4;

/// The predictions of a connection, or why there are none.
pub fn write(paper: &mut Paper, what_if: &WhatIf) {
    if !what_if.predictions.is_empty() {
        paper.blank();
        paper.heading("What turning each knob would be worth (replayed in the lab: median [range])");
        let title = |text: &str| Cell::left(text).styled(DIM);
        let mut rows = vec![vec![
            title("knob"),
            title("connection"),
            title("[range]").close(),
            title("").close(),
            title("exchange"),
        ]];
        if what_if.predictions.iter().all(|prediction| prediction.exchange.is_none()) {
            rows[0].pop();
        }
        rows.extend(what_if.predictions.iter().map(row));
        paper.table("  ", &rows, ESSENTIAL_COLUMNS);
        if what_if.predictions.iter().any(|prediction| prediction.at_least) {
            paper.paragraph(
                "  ",
                "  ",
                "≥: the capture ends before all was said; what it does not have comes on top, before and after.",
                DIM,
            );
        }
    }
    if let Some(reason) = &what_if.refused {
        paper.blank();
        paper.prose(&format!("Nothing is predicted: {reason}."));
    }
}

fn row(prediction: &Prediction) -> Vec<Cell> {
    let Estimate { before, after, low, high } = prediction.duration;
    let style = if after < before { GAIN } else { LOST };
    let factor = units::factor(before, after);
    let style = if factor == "no gain" { DIM } else { style };
    vec![
        Cell::left(turning::spell(&prediction.turning)),
        Cell::left(units::pair(before, if prediction.at_least { " → ≥ " } else { " → " }, after))
            .styled(style),
        Cell::left(if prediction.at_least {
            String::new()
        } else {
            format!("[{}]", units::range(low, high, after))
        }),
        Cell::left(if prediction.at_least { String::new() } else { factor }).styled(style),
        Cell::left(
            prediction
                .exchange
                .map(|exchange| units::pair(exchange.before, " → ", exchange.after))
                .unwrap_or_default(),
        ),
    ]
}

/// How far the replay with nothing turned is from the capture.
pub fn write_model_error(paper: &mut Paper, what_if: &WhatIf) {
    match &what_if.replay {
        Some(replay) => paper.prose(&model_error(replay)),
        None => paper.prose("Model error on this capture: unknown, it could not be replayed."),
    }
}

fn model_error(replay: &Replay) -> String {
    let (captured, replayed) = replay.duration;
    let mut text = format!(
        "Model error on this capture: {}. Replayed unchanged it takes {} instead of {}",
        units::signed_percent(replay.error),
        units::duration(replayed),
        units::duration(captured),
    );
    if let Some((captured, replayed)) = replay.exchange {
        text.push_str(&format!(
            ", a mean exchange {} instead of {}",
            units::duration(replayed),
            units::duration(captured)
        ));
    }
    text.push('.');
    text
}
