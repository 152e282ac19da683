//! What does `narrows lab claims` do? Does the experiments, and shows each claim's numbers beside the measured ones.

use super::Problem;
use super::args::ClaimsArguments;
use super::json::line;
use crate::exit::Outcome;
use crate::page::paper::{Cell, Paper};
use crate::page::{DIM, Look};
use narrows_lab::claims::{CLAIMS, Claim, Evidence, Verdict};
use serde::Serialize;
use std::fmt::Write as _;

const INTRODUCTION: &str = "# Claims, put to the test

What is said about network performance, and what experiments in the lab measure. `narrows lab claims --markdown` prints this page;
a test compares it. Where an experiment contradicts a claim, the experiment wins and the reason is given.
";

#[derive(Serialize)]
struct Document {
    schema: &'static str,
    claims: Vec<ClaimOut>,
}

#[derive(Serialize)]
struct ClaimOut {
    id: &'static str,
    claim: &'static str,
    setting: &'static str,
    holds: bool,
    because: String,
    rows: Vec<RowOut>,
}

#[derive(Serialize)]
struct RowOut {
    what: String,
    claimed: String,
    measured: String,
    holds: bool,
}

/// Does the experiments asked for; the page, JSON or Markdown.
pub fn run(arguments: &ClaimsArguments, look: Look) -> Result<(String, Outcome), Problem> {
    let wanted = |claim: &&Claim| arguments.id.as_ref().is_none_or(|id| id == claim.id);
    let mut shown = Vec::new();
    for claim in CLAIMS.iter().filter(wanted) {
        let evidence = (claim.experiment)()
            .map_err(|error| Problem::unusable(format!("claim {}: {error}", claim.id)))?;
        shown.push((claim, evidence));
    }
    if shown.is_empty() {
        let ids: Vec<&str> = CLAIMS.iter().map(|claim| claim.id).collect();
        return Err(Problem::unusable(format!("there is no such claim; there are {}", ids.join(", "))));
    }
    let text = if arguments.json {
        json(shown)
    } else if arguments.markdown {
        markdown(&shown)
    } else {
        page(&shown, look)
    };
    Ok((text, Outcome::Quiet))
}

fn verdict(evidence: &Evidence) -> &'static str {
    match evidence.verdict() {
        Verdict::Holds => "holds",
        Verdict::DoesNotHoldHere => "does not hold here",
    }
}

fn page(shown: &[(&Claim, Evidence)], look: Look) -> String {
    let mut paper = Paper::new(look);
    for (number, (claim, evidence)) in shown.iter().enumerate() {
        if number > 0 {
            paper.blank();
        }
        paper.heading(&format!("{}: {}", claim.id, verdict(evidence)));
        paper.prose(claim.text);
        paper.paragraph("  ", "", claim.setting, DIM);
        let title = |text: &str| Cell::left(text).styled(DIM);
        let mut rows = vec![vec![title("number"), title("claimed"), title("measured"), title("")]];
        rows.extend(evidence.rows.iter().map(|row| {
            let cells = [&row.what, &row.claimed, &row.measured].map(|text| Cell::left(text.as_str()));
            let mut cells = cells.to_vec();
            cells.push(Cell::left(if row.holds { "" } else { "no" }));
            cells
        }));
        paper.table("  ", &rows, 4);
        if !evidence.because.is_empty() {
            paper.prose(&because(evidence));
        }
    }
    paper.finish()
}

fn because(evidence: &Evidence) -> String {
    match evidence.verdict() {
        Verdict::Holds => evidence.because.clone(),
        Verdict::DoesNotHoldHere => format!("Does not hold here, because: {}", evidence.because),
    }
}

fn markdown(shown: &[(&Claim, Evidence)]) -> String {
    let mut out = String::from(INTRODUCTION);
    for (claim, evidence) in shown {
        let _ = write!(out, "\n## {}: {}\n\n{}\n\n", claim.id, verdict(evidence), claim.text);
        let _ = write!(out, "Measured: {}\n\n", claim.setting);
        out.push_str("| number | claimed | measured | |\n| --- | --- | --- | --- |\n");
        for row in &evidence.rows {
            let sign = if row.holds { "holds" } else { "**does not hold**" };
            let _ = writeln!(out, "| {} | {} | {} | {sign} |", row.what, row.claimed, row.measured);
        }
        if !evidence.because.is_empty() {
            let _ = write!(out, "\n{}\n", because(evidence));
        }
    }
    out
}

fn json(shown: Vec<(&Claim, Evidence)>) -> String {
    let claims = shown.into_iter().map(|(claim, evidence)| ClaimOut {
        id: claim.id,
        claim: claim.text,
        setting: claim.setting,
        holds: evidence.verdict() == Verdict::Holds,
        because: evidence.because,
        rows: evidence
            .rows
            .into_iter()
            .map(|row| RowOut {
                what: row.what,
                claimed: row.claimed,
                measured: row.measured,
                holds: row.holds,
            })
            .collect(),
    });
    line(&Document { schema: "narrows.lab.claims/1", claims: claims.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manuals_page_is_what_the_experiments_show() {
        let arguments = ClaimsArguments { id: None, json: false, markdown: true };
        let (text, _) = run(&arguments, Look::new(80, true)).expect("the experiments");
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/claims.md");
        if std::env::var_os("UPDATE_CLAIMS").is_some() {
            std::fs::write(path, &text).expect("docs/claims.md");
        }
        let kept = std::fs::read_to_string(path).expect("docs/claims.md");
        let differing = kept.lines().zip(text.lines()).find(|(kept, now)| kept != now);
        assert!(
            differing.is_none() && kept.len() == text.len(),
            "UPDATE_CLAIMS=1 writes it; first: {differing:?}"
        );
    }
}
