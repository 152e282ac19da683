//! How far is `explain` from the truth? Scores it on folders of captures with the truth beside them.
//!
//! `accuracy DIR [--check FILE] [--write FILE] [--rebuild FILE]`: DIR has a folder for each scenario, in the format that `record` writes
//! (and that `captures/README.md` describes). It gives `explain` nothing but the captures, compares what it names with what
//! the truth lists, and what it predicts from variant a with what was measured of the others.

mod analyse;
mod figures;
mod findings;
mod measure;
mod predictions;
mod print;
mod rebuilt;
mod sizes;
#[cfg(test)]
mod tests;
mod truth;

use analyse::{Analyst, Explain};
use figures::Figures;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Why there is no score.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Arguments.
    #[error("{0}\nusage: accuracy DIR [--check FILE] [--write FILE] [--rebuild FILE]")]
    Usage(String),
    /// A folder, a truth or a capture that cannot be read.
    #[error("{0}")]
    Unusable(String),
    /// Output.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What is asked.
#[derive(Debug, Default, PartialEq)]
pub struct Arguments {
    /// The folder.
    pub folder: PathBuf,
    /// Compare with these figures.
    pub check: Option<PathBuf>,
    /// Keep the figures there.
    pub write: Option<PathBuf>,
    /// Instead, run scenarios made of the captures, and write the page about them there.
    pub rebuild: Option<PathBuf>,
}

fn main() -> ExitCode {
    let outcome = arguments(std::env::args().skip(1))
        .and_then(|arguments| run(&arguments, &Explain, &mut io::stdout().lock()));
    match outcome {
        Ok(worse) if worse.is_empty() => ExitCode::SUCCESS,
        Ok(worse) => {
            for line in worse {
                eprintln!("accuracy: {line}");
            }
            ExitCode::FAILURE
        }
        Err(Error::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("accuracy: {error}");
            ExitCode::from(2)
        }
    }
}

fn arguments(given: impl Iterator<Item = String>) -> Result<Arguments, Error> {
    let mut arguments = Arguments::default();
    let mut given = given;
    while let Some(argument) = given.next() {
        let place = match argument.as_str() {
            "--check" => &mut arguments.check,
            "--write" => &mut arguments.write,
            "--rebuild" => &mut arguments.rebuild,
            option if option.starts_with('-') => {
                return Err(Error::Usage(format!("unknown option {option}")));
            }
            folder if arguments.folder.as_os_str().is_empty() => {
                arguments.folder = folder.into();
                continue;
            }
            more => return Err(Error::Usage(format!("one folder only, not also {more}"))),
        };
        let missing = || Error::Usage(format!("{argument} needs a file"));
        *place = Some(given.next().ok_or_else(missing)?.into());
    }
    if arguments.folder.as_os_str().is_empty() {
        return Err(Error::Usage("which folder?".to_owned()));
    }
    Ok(arguments)
}

/// Rebuilds the variants of every capture of the folder; what is too far off.
fn rebuild(
    arguments: &Arguments,
    analyst: &dyn Analyst,
    page: &std::path::Path,
    out: &mut dyn Write,
) -> Result<Vec<String>, Error> {
    let mut rows = Vec::new();
    for (folder, truth) in truth::read_all(&arguments.folder)? {
        rows.extend(rebuilt::rebuild(analyst, &folder, &truth)?);
    }
    let text = rebuilt::page(&rows);
    std::fs::write(page, &text)?;
    out.write_all(text.as_bytes())?;
    let far = |row: &&rebuilt::Row| row.misses();
    Ok(rows
        .iter()
        .filter(far)
        .map(|row| format!("more than 10 % from what was measured: {} with {}", row.name, row.set))
        .collect())
}

/// Scores every capture of the folder; what got worse, where that is asked.
fn run(arguments: &Arguments, analyst: &dyn Analyst, out: &mut dyn Write) -> Result<Vec<String>, Error> {
    if let Some(page) = &arguments.rebuild {
        return rebuild(arguments, analyst, page, out);
    }
    let kept = arguments.check.as_deref().map(Figures::read).transpose()?;
    let mut scores = Vec::new();
    for (folder, truth) in truth::read_all(&arguments.folder)? {
        for (letter, variant) in &truth.variants {
            for (vantage, file) in [("client", &variant.files.client), ("server", &variant.files.server)] {
                let Some(file) = file else { continue };
                let seen = analyst.read(&folder.join(file))?;
                let findings = findings::score(variant, &seen);
                let predictions = if letter == "a" {
                    predictions::score(analyst, &truth, &seen.connections)
                } else {
                    predictions::PredictionsScore::default()
                };
                let name = format!("{} {letter} {vantage}", truth.scenario);
                write!(out, "{}", print::capture(&name, &findings, &predictions))?;
                scores.push((findings, predictions));
            }
        }
    }
    let figures = Figures::of(&scores);
    write!(out, "{}", figures.print())?;
    out.flush()?;
    if let Some(path) = &arguments.write {
        figures.write(path)?;
    }
    let Some(kept) = kept else { return Ok(Vec::new()) };
    if kept.captures != figures.captures {
        return Err(Error::Unusable(format!(
            "the kept figures are of {} captures and these are {}: nothing to compare (--write keeps new ones)",
            kept.captures, figures.captures
        )));
    }
    Ok(figures.worse_than(&kept).into_iter().map(|line| format!("worse than kept: {line}")).collect())
}
