//! Which scenario is meant? A file, or one that comes with narrows, with what is set from outside.

use super::Problem;
use super::args::ScenarioArguments;
use narrows_lab::scenario::{BUILTINS, Override, Scenario, builtin};
use narrows_stack::knob::edits;
use std::path::{Path, PathBuf};

/// No scenario or conversation is larger than this.
const LARGEST_FILE_BYTES: u64 = 256 << 20;

/// A scenario's text, to be read as often as needed.
#[derive(Debug)]
pub struct Source {
    name: String,
    text: String,
    /// Where the files are that it refers to.
    folder: Option<PathBuf>,
    set: Vec<Override>,
}

impl Source {
    /// Finds what the arguments name.
    pub fn open(arguments: &ScenarioArguments) -> Result<Source, Problem> {
        let mut set = arguments.set.clone();
        set.extend(arguments.seed.map(|seed| Override::new("seed", &seed.to_string())));
        let name = &arguments.scenario;
        let path = Path::new(name);
        if path.components().count() == 1 && !path.exists() {
            if let Some(builtin) = builtin(name) {
                let (name, text) = (builtin.name.to_owned(), builtin.toml.to_owned());
                return Ok(Source { name, text, folder: None, set });
            }
            if path.extension().is_none() {
                return Err(Problem::unusable(unknown(name)));
            }
        }
        let text = read(path).map_err(|error| Problem::io(name, &error))?;
        let folder = path.parent().map(Path::to_owned);
        Ok(Source { name: name.clone(), text, folder, set })
    }

    /// The scenario with `more` set on top.
    pub fn scenario(&self, more: &[Override]) -> Result<Scenario, Problem> {
        let set: Vec<Override> = self.set.iter().chain(more).cloned().collect();
        let read_file = |file: &str| match &self.folder {
            Some(folder) => read(&folder.join(file)).map_err(|error| error.to_string()),
            None => Err("a scenario that comes with narrows has no files beside it".to_owned()),
        };
        Scenario::from_toml_with(&self.name, &self.text, &set, &read_file)
            .map_err(|error| Problem::unusable(error.to_string()))
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    if std::fs::metadata(path)?.len() > LARGEST_FILE_BYTES {
        return Err(std::io::Error::other("larger than 256 MiB: this is no scenario"));
    }
    std::fs::read_to_string(path)
}

fn unknown(name: &str) -> String {
    let near = BUILTINS.iter().map(|builtin| builtin.name).min_by_key(|known| edits(name, known));
    let hint = match near.filter(|known| name.len() <= 64 && edits(name, known) <= 3) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "narrows lab list shows those that there are".to_owned(),
    };
    format!("there is no file and no scenario called `{name}`; {hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(name: &str) -> Result<Source, Problem> {
        Source::open(&ScenarioArguments { scenario: name.to_owned(), set: Vec::new(), seed: Some(9) })
    }

    #[test]
    fn a_name_is_found_and_a_wrong_one_answered_with_its_neighbour() {
        let scenario = open("slow-rpc").and_then(|source| source.scenario(&[])).expect("a scenario");
        assert_eq!((scenario.name.as_str(), scenario.seed), ("slow-rpc", 9));
        let error = open("slow-rcp").expect_err("an error").message;
        assert!(error.contains("did you mean `slow-rpc`?"), "{error}");
        let error = open("zzz.toml").expect_err("an error").message;
        assert!(error.starts_with("zzz.toml: "), "{error}");
    }
}
