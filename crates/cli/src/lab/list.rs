//! Which scenarios come with narrows?

use super::json::line;
use crate::page::Look;
use crate::page::paper::Paper;
use narrows_lab::scenario::{BUILTINS, Scenario};
use serde::Serialize;

#[derive(Serialize)]
struct Document {
    schema: &'static str,
    scenarios: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    name: String,
    title: String,
}

/// All of them, with their titles.
pub fn render(json: bool, look: Look) -> String {
    let read =
        |builtin: &narrows_lab::scenario::Builtin| Scenario::from_toml(builtin.name, builtin.toml).ok();
    let scenarios: Vec<Entry> = BUILTINS
        .iter()
        .filter_map(read)
        .map(|scenario| Entry { name: scenario.name, title: scenario.title })
        .collect();
    if json {
        return line(&Document { schema: "narrows.lab.list/1", scenarios });
    }
    let mut paper = Paper::new(look);
    let longest = scenarios.iter().map(|entry| entry.name.len()).max().unwrap_or(0);
    for entry in &scenarios {
        paper.paragraph("", &format!("{:longest$}  ", entry.name), &entry.title, anstyle::Style::new());
    }
    paper.finish()
}
