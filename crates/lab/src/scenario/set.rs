//! How is one key of a scenario set from outside? `KEY=VALUE`, with short ways to what has a name.

use super::error::{ScenarioError, near};
use super::table::SET;
use narrows_stack::knob;
use std::borrow::Cow;
use std::str::FromStr;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Tables of named things.
const SECTIONS: [&str; 5] = ["host", "router", "middlebox", "link", "workload"];
const TOP_KEYS: [&str; 5] = ["name", "title", "ip", "seed", "time_limit"];
const HOST_KEYS: [&str; 6] = ["profile", "knobs", "address", "tick_phase", "processing", "wakeup"];

/// One key and the value that it gets.
///
/// The key is its path in the file (`link.path.delay`, `host.client.knobs.nodelay`), or shorter: the section may be left
/// out where only one thing has the name (`path.delay`), and so may `knobs` (`client.nodelay`). The value is TOML; what
/// is not is taken for a text (`20ms`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// The key.
    pub key: String,
    /// The value, as typed.
    pub value: String,
}

impl Override {
    /// This key with this value.
    #[must_use]
    pub fn new(key: &str, value: &str) -> Override {
        Override { key: key.trim().to_owned(), value: value.trim().to_owned() }
    }
}

impl FromStr for Override {
    type Err = String;

    fn from_str(text: &str) -> Result<Override, String> {
        match text.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => Ok(Override::new(key, value)),
            _ => Err("expected KEY=VALUE, as link.path.delay=20ms or client.nodelay=true".to_owned()),
        }
    }
}

/// Sets the key in a scenario's table.
pub(super) fn apply<'a>(root: &mut DeTable<'a>, change: &'a Override) -> Result<(), ScenarioError> {
    let path = resolve(root, &change.key).map_err(|message| ScenarioError {
        file: "--set".to_owned(),
        place: None,
        key: change.key.clone(),
        message,
    })?;
    let mut table = root;
    let (last, parents) = path.split_last().ok_or_else(|| ScenarioError {
        file: "--set".to_owned(),
        place: None,
        key: change.key.clone(),
        message: "expected a key".to_owned(),
    })?;
    for parent in parents {
        let missing = !matches!(table.get(parent.as_str()).map(Spanned::get_ref), Some(DeValue::Table(_)));
        if missing {
            table.insert(spanned(Cow::Owned(parent.clone())), spanned(DeValue::Table(DeTable::new())));
        }
        match table.get_mut(parent.as_str()).map(Spanned::get_mut) {
            Some(DeValue::Table(inner)) => table = inner,
            _ => return Ok(()),
        }
    }
    table.insert(spanned(Cow::Owned(last.clone())), spanned(value(&change.value)));
    Ok(())
}

fn spanned<T>(value: T) -> Spanned<T> {
    Spanned::new(SET..SET, value)
}

fn value(text: &str) -> DeValue<'_> {
    match DeValue::parse(text) {
        Ok(value) => value.into_inner(),
        Err(_) => DeValue::String(Cow::Borrowed(text)),
    }
}

/// The whole path of a key.
fn resolve(root: &DeTable<'_>, key: &str) -> Result<Vec<String>, String> {
    let parts: Vec<&str> = key.split('.').map(str::trim).collect();
    if parts.iter().any(|part| part.is_empty()) {
        return Err("expected a key, as link.path.delay".to_owned());
    }
    if parts.len() == 1 && TOP_KEYS.contains(&parts[0]) {
        return Ok(vec![parts[0].to_owned()]);
    }
    let names_in = |section: &str| -> Vec<&str> {
        match root.get(section).map(Spanned::get_ref) {
            Some(DeValue::Table(table)) => table.keys().map(|key| key.get_ref().as_ref()).collect(),
            _ => Vec::new(),
        }
    };
    let (section, name, rest) = match parts.as_slice() {
        [section, name, rest @ ..] if SECTIONS.contains(section) && !rest.is_empty() => {
            let names = names_in(section);
            if !names.contains(name) {
                return Err(format!("there is no {section} `{name}`; {}", near(name, &names)));
            }
            (*section, *name, rest)
        }
        [name, rest @ ..] if !rest.is_empty() => {
            let known: Vec<&str> =
                SECTIONS.into_iter().filter(|section| names_in(section).contains(name)).collect();
            match known.as_slice() {
                [section] => (*section, *name, rest),
                [] => {
                    let all: Vec<&str> = SECTIONS.iter().flat_map(|section| names_in(section)).collect();
                    return Err(format!("there is nothing called `{name}`; {}", near(name, &all)));
                }
                several => {
                    let ways: Vec<String> =
                        several.iter().map(|section| format!("{section}.{key}")).collect();
                    return Err(format!("this may be {}: write which", ways.join(" or ")));
                }
            }
        }
        _ => return Err(format!("there is no such key; {}", near(parts[0], &TOP_KEYS))),
    };
    let mut path = vec![section.to_owned(), name.to_owned()];
    if section == "host"
        && !HOST_KEYS.contains(&rest[0])
        && (knob::find(rest[0]).is_some() || rest.len() == 1)
    {
        path.push("knobs".to_owned());
    }
    path.extend(rest.iter().map(|part| (*part).to_owned()));
    Ok(path)
}
