//! What is true? The part of a scenario's `truth.json` that can be compared with what `explain` says.

use crate::Error;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One scenario's truth.
#[derive(Debug, Deserialize)]
pub struct Truth {
    /// The scenario's name.
    pub scenario: String,
    /// What the values measure.
    pub value: String,
    /// By letter; `a` is the situation as found.
    pub variants: BTreeMap<String, Variant>,
}

/// One variant: some knobs turned.
#[derive(Debug, Deserialize)]
pub struct Variant {
    /// The knobs turned against variant a.
    #[serde(default)]
    pub knobs: Vec<Knob>,
    /// What is wrong.
    #[serde(default)]
    pub phenomena: Vec<String>,
    /// The captures that are kept.
    #[serde(default)]
    pub files: Files,
    /// The measured value's median.
    pub median_s: f64,
    /// The client gave up at a deadline: the median is no measurement.
    #[serde(default)]
    pub median_is_lower_bound: bool,
    /// Per connection with a label of its own: its own measured value's median.
    #[serde(default)]
    pub median_sick_s: BTreeMap<String, f64>,
    /// What the client measured.
    #[serde(default)]
    pub app: App,
    /// The connections by the applications' account.
    #[serde(default)]
    pub connections: Vec<AppConnection>,
    /// The connections by what is in the capture.
    #[serde(default)]
    pub in_capture: Vec<InCapture>,
    /// The path.
    #[serde(default)]
    pub path: Option<PathTruth>,
    /// The IP version; 0 where it is not said.
    #[serde(default)]
    pub family: u32,
}

/// The path between the two ends.
#[derive(Debug, Default, Deserialize)]
pub struct PathTruth {
    /// From client to server.
    #[serde(default)]
    pub c2s: Option<Direction>,
    /// From server to client.
    #[serde(default)]
    pub s2c: Option<Direction>,
}

/// One direction of the path.
#[derive(Debug, Default, Deserialize)]
pub struct Direction {
    /// MTU of the narrowest link, bytes.
    #[serde(default)]
    pub mtu: Option<u32>,
    /// What the MSS option is lowered to.
    #[serde(default)]
    pub mss: Option<u32>,
}

/// The two vantage points' files.
#[derive(Debug, Default, Deserialize)]
pub struct Files {
    /// At the client's interface.
    pub client: Option<String>,
    /// At the server's interface.
    pub server: Option<String>,
}

/// A turned knob.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Knob {
    /// Its name.
    pub knob: String,
    /// `client`, `server`, `both`, `path`.
    pub side: String,
    /// What it was turned to.
    pub value: serde_json::Value,
    /// `socket` or `route`.
    pub by: Option<String>,
    /// The label of the connection on which it was turned, where there are several.
    pub connection: Option<String>,
}

/// What the client measured, where it did several jobs.
#[derive(Debug, Default, Deserialize)]
pub struct App {
    /// The jobs.
    #[serde(default)]
    pub jobs: Vec<Job>,
}

/// One of the client's jobs.
#[derive(Debug, Deserialize)]
pub struct Job {
    /// The connection's label.
    #[serde(default)]
    pub label: String,
    /// What the job's value measures.
    #[serde(default)]
    pub metric: String,
}

/// A connection as its applications know it.
#[derive(Debug, Deserialize)]
pub struct AppConnection {
    /// The client's port.
    pub client_port: u16,
    /// The server's port.
    pub server_port: u16,
    /// How many requests.
    #[serde(default)]
    pub requests: u32,
    /// `healthy`, or a name of its own, where there are several.
    pub label: Option<String>,
    /// What its own value measures.
    pub metric: Option<String>,
}

/// A connection counted in the capture.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct InCapture {
    /// The client's port.
    pub client_port: u16,
    /// The server's port.
    pub server_port: u16,
    /// The client's segments that waited for a delayed ACK.
    #[serde(default)]
    pub nagle_stalls_client: u32,
    /// How long they waited.
    #[serde(default)]
    pub nagle_held_client_s: f64,
    /// The server's segments.
    #[serde(default)]
    pub nagle_stalls_server: u32,
    /// How long they waited.
    #[serde(default)]
    pub nagle_held_server_s: f64,
}

impl Variant {
    /// IP and TCP headers without options, bytes.
    pub fn headers(&self) -> u32 {
        if self.family == 6 { 60 } else { 40 }
    }

    /// The label of a connection by its ports, unless there is only one connection.
    pub fn label(&self, client_port: u16, server_port: u16) -> Option<&str> {
        if self.connections.len() < 2 {
            return None;
        }
        let of = |c: &&AppConnection| c.client_port == client_port && c.server_port == server_port;
        self.connections.iter().find(of)?.label.as_deref()
    }

    /// What the value of the labelled connection measures.
    pub fn metric(&self, label: &str) -> Option<&str> {
        let own = self.connections.iter().find(|c| c.label.as_deref() == Some(label));
        let job = self.app.jobs.iter().find(|j| j.label == label).map(|j| j.metric.as_str());
        own.and_then(|c| c.metric.as_deref()).or(job)
    }
}

/// Reads the truth of every scenario below `folder`, in the order of their names, with the folder of each.
pub fn read_all(folder: &Path) -> Result<Vec<(PathBuf, Truth)>, Error> {
    let unusable =
        |path: &Path, what: &dyn std::fmt::Display| Error::Unusable(format!("{}: {what}", path.display()));
    let entries = std::fs::read_dir(folder).map_err(|e| unusable(folder, &e))?;
    let mut folders = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| unusable(folder, &e))?.path();
        if path.join("truth.json").is_file() {
            folders.push(path);
        }
    }
    folders.sort();
    let mut truths = Vec::with_capacity(folders.len());
    for path in folders {
        let file = path.join("truth.json");
        let text = std::fs::read_to_string(&file).map_err(|e| unusable(&file, &e))?;
        let truth: Truth = serde_json::from_str(&text).map_err(|e| unusable(&file, &e))?;
        if !truth.variants.contains_key("a") {
            return Err(unusable(&file, &"there is no variant a"));
        }
        truths.push((path, truth));
    }
    if truths.is_empty() {
        return Err(unusable(folder, &"no scenario here: each is a folder with a truth.json"));
    }
    Ok(truths)
}
