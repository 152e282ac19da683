//! What is to be recorded? Scenarios as they stand in a TOML file, and what a turned knob changes in them.

use crate::Error;
use crate::each_way::EachWay;
use crate::namespace::Settings;
use crate::narrow::Narrow;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Duration;

/// A file of scenarios.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScenarioFile {
    /// The scenarios, in the order in which they are recorded.
    pub scenario: Vec<Scenario>,
}

/// One situation, recorded as found and once for each turned knob.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Name of the folder.
    pub name: String,
    /// What happens, in one line.
    pub title: String,
    /// What the application's clock measures.
    pub value: Value,
    /// Round trip of the path, both directions together, in milliseconds.
    pub rtt_ms: f64,
    /// Rate of each direction in bit/s; without it the wire is as fast as the machine.
    pub rate: Option<f64>,
    /// Bytes that wait before the bottleneck before packets are dropped.
    pub queue: Option<usize>,
    /// MTU of the path's narrowest link, bytes; 0: it takes all.
    #[serde(default)]
    pub mtu: EachWay<usize>,
    /// Its router's ICMP gets back to the sender of what was too large.
    #[serde(default)]
    pub icmp: EachWay<bool>,
    /// So much later than after the way there and back, milliseconds.
    #[serde(default)]
    pub icmp_late_ms: f64,
    /// At most so many messages a second (RFC 1812 §4.3.2.8); 0: all.
    #[serde(default)]
    pub icmp_per_second: f64,
    /// What the MSS option of SYN and SYN-ACK is lowered to in all variants; 0: to nothing.
    #[serde(default)]
    pub clamp: EachWay<u16>,
    /// Share of packets that the path loses, each direction.
    #[serde(default)]
    pub loss: f64,
    /// MTU of the client's and of the server's interface, bytes.
    #[serde(default = "usual_mtu")]
    pub interface_mtu: [u16; 2],
    /// net.ipv4.tcp_mtu_probing of client and server, unless a variant says otherwise.
    #[serde(default)]
    pub mtu_probing: [u8; 2],
    /// The client gives up after so many seconds.
    pub deadline_s: Option<f64>,
    /// IP version: 4 or 6.
    #[serde(default = "four")]
    pub family: u8,
    /// Bytes kept of each packet; 0 keeps all.
    #[serde(default)]
    pub snaplen: u32,
    /// The captures' file format.
    #[serde(default)]
    pub format: Format,
    /// Keep only the captures of variant a, the client's as `NAME.pcap` in the output folder itself and the rest below
    /// `truth/NAME`.
    #[serde(default)]
    pub plain: bool,
    /// How often each variant is measured.
    #[serde(default = "five")]
    pub repetitions: usize,
    /// The capture begins this many seconds after the first packet.
    #[serde(default)]
    pub cut_s: f64,
    /// The connections, all between the same two hosts.
    pub connection: Vec<Talk>,
    /// Variant a is the situation as found, b, c, … each have knobs turned.
    pub variant: Vec<Variant>,
}

/// A file format.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// pcap with nanoseconds.
    #[default]
    Pcap,
    /// pcapng with nanoseconds.
    Pcapng,
    /// pcapng with microseconds.
    #[serde(rename = "pcapng-us")]
    PcapngMicroseconds,
}

impl Format {
    /// How its files' names end.
    pub fn extension(self) -> &'static str {
        match self {
            Format::Pcap => "pcap",
            Format::Pcapng | Format::PcapngMicroseconds => "pcapng",
        }
    }
}

/// What is measured, by the words of the truth file.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
pub enum Value {
    /// From a request's first write to the last byte of its answer; connecting is left out.
    #[serde(rename = "mean request latency")]
    RequestLatency,
    /// The same, and the first request has connecting in it.
    #[serde(rename = "mean time per request")]
    TimePerRequest,
    /// From connecting to the last byte of the last answer.
    #[serde(rename = "total time")]
    TotalTime,
    /// The same, of a client that sends more than it gets.
    #[serde(rename = "upload time")]
    UploadTime,
    /// The sum, over the connections, of each one's total time without the client's pauses.
    #[serde(rename = "sum of the jobs' own times")]
    SumOfJobs,
    /// From a message's write to its last byte at the reader, both directions.
    #[serde(rename = "mean delivery latency")]
    Delivery,
}

/// What two programs say to each other on one connection.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Talk {
    /// `healthy`, or a name that knobs and results refer to.
    #[serde(default = "healthy")]
    pub label: String,
    /// The server's port; one listener each.
    pub port: u16,
    /// When the client connects, after the recording began.
    #[serde(default)]
    pub at_ms: f64,
    /// How many requests.
    pub requests: usize,
    /// The client's writes of one request, in bytes.
    pub parts: Vec<usize>,
    /// The client works this long between two parts.
    #[serde(default)]
    pub part_gap_ms: f64,
    /// The server's writes of one answer, in bytes.
    pub answer: Vec<usize>,
    /// The server works this long between two writes of an answer.
    #[serde(default)]
    pub answer_gap_ms: f64,
    /// The client pauses this long between an answer and the next request.
    #[serde(default)]
    pub gap_ms: f64,
    /// The server works this long before it answers.
    #[serde(default)]
    pub server_think_ms: f64,
    /// Nobody waits for anybody: each side writes `requests` messages (`parts` the client's, `answer` the server's),
    /// one each `gap_ms` (client) and `answer_gap_ms` (server).
    #[serde(default)]
    pub chatter: bool,
    /// TCP_NODELAY on the client's socket.
    #[serde(default)]
    pub client_nodelay: bool,
    /// TCP_NODELAY on the server's socket.
    #[serde(default)]
    pub server_nodelay: bool,
    /// All parts of a request in one write.
    #[serde(default)]
    pub client_coalesce: bool,
    /// All parts of an answer in one write.
    #[serde(default)]
    pub server_coalesce: bool,
    /// TCP_QUICKACK after each read of the client.
    #[serde(default)]
    pub client_quickack: bool,
    /// TCP_QUICKACK after each read of the server.
    #[serde(default)]
    pub server_quickack: bool,
}

/// The situation with some knobs turned.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// The knobs; none in variant a.
    #[serde(default)]
    pub knobs: Vec<Knob>,
    /// What is wrong in this variant.
    #[serde(default)]
    pub phenomena: Vec<String>,
    /// Marks the controls.
    #[serde(default)]
    pub healthy: bool,
}

/// One turned knob.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Knob {
    /// The knob's name.
    pub knob: String,
    /// `client`, `server` or `path`.
    pub side: String,
    /// What it is turned to.
    pub value: serde_json::Value,
    /// `socket` or `route`, where there are two ways.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Only on the connections of this label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
}

/// A variant with everything set: what one repetition runs.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The connections.
    pub talks: Vec<Talk>,
    /// What is set in the client's and in the server's network.
    pub ends: [Settings; 2],
    /// The path's narrowest link, client to server and server to client.
    pub narrow: [Narrow; 2],
}

impl Scenario {
    /// When the client gives up.
    pub fn deadline(&self) -> Option<Duration> {
        self.deadline_s.map(Duration::from_secs_f64)
    }
}

fn four() -> u8 {
    4
}

fn five() -> usize {
    5
}

fn usual_mtu() -> [u16; 2] {
    [1500; 2]
}

fn healthy() -> String {
    "healthy".to_owned()
}

/// Reads scenarios from the text of a TOML file; `name` is for the error.
pub fn parse(text: &str, name: &Path) -> Result<Vec<Scenario>, Error> {
    let file: ScenarioFile =
        toml::from_str(text).map_err(|e| Error::Scenario(format!("{}: {e}", name.display())))?;
    for scenario in &file.scenario {
        let fail =
            |what: &str| Err(Error::Scenario(format!("{}: {}: {what}", name.display(), scenario.name)));
        if scenario.family != 4 && scenario.family != 6 {
            return fail("family must be 4 or 6");
        }
        if scenario.variant.is_empty() || scenario.variant.len() > 26 || scenario.repetitions == 0 {
            return fail("needs 1 to 26 variants and at least one repetition");
        }
        if scenario.interface_mtu.iter().any(|&mtu| mtu < 576) || !(0.0..1.0).contains(&scenario.loss) {
            return fail("interface_mtu is at least 576 and loss from 0 to less than 1");
        }
        if scenario.connection.iter().any(|t| t.parts.is_empty() || t.answer.is_empty() || t.requests == 0) {
            return fail("a connection needs requests, parts and answer");
        }
        for variant in &scenario.variant {
            setup(scenario, variant)?;
        }
    }
    Ok(file.scenario)
}

/// The connections of a scenario with a variant's knobs turned.
pub fn setup(scenario: &Scenario, variant: &Variant) -> Result<Setup, Error> {
    let (mtu, icmp, clamp) = (scenario.mtu.both(), scenario.icmp.both(), scenario.clamp.both());
    let narrow = [0, 1].map(|way: usize| Narrow {
        mtu: Some(mtu[way]).filter(|&mtu| mtu > 0),
        icmp: icmp[way],
        clamp: Some(clamp[way]).filter(|&mss| mss > 0),
    });
    let ends = [0, 1].map(|side: usize| Settings {
        mtu: scenario.interface_mtu[side],
        mtu_probing: scenario.mtu_probing[side],
        ..Settings::default()
    });
    let mut setup = Setup { talks: scenario.connection.clone(), ends, narrow };
    for knob in &variant.knobs {
        let unknown = || Error::Scenario(format!("{}: no such knob: {knob:?}", scenario.name));
        let number = || knob.value.as_u64().and_then(|n| u16::try_from(n).ok()).ok_or_else(unknown);
        match (knob.side.as_str(), knob.knob.as_str()) {
            ("path", "mss_clamp") => {
                let clamp = Some(number()?).filter(|&mss| mss > 0);
                setup.narrow.iter_mut().for_each(|way| way.clamp = clamp);
                continue;
            }
            ("path", "icmp_allowed") => {
                let icmp = knob.value.as_bool().ok_or_else(unknown)?;
                setup.narrow.iter_mut().for_each(|way| way.icmp = icmp);
                continue;
            }
            ("both", "mtu") => {
                let mtu = number()?;
                setup.ends.iter_mut().for_each(|end| end.mtu = mtu);
                continue;
            }
            _ => {}
        }
        let side = match knob.side.as_str() {
            "client" => 0,
            "server" => 1,
            _ => return Err(unknown()),
        };
        if knob.knob == "quickack" && knob.by.as_deref() == Some("route") {
            setup.ends[side].quickack = knob.value.as_bool().ok_or_else(unknown)?;
            continue;
        }
        if knob.knob == "advmss" {
            setup.ends[side].advmss = Some(number()?);
            continue;
        }
        if knob.knob == "mtu_probing" {
            setup.ends[side].mtu_probing = number()? as u8;
            continue;
        }
        for talk in &mut setup.talks {
            if knob.connection.as_ref().is_some_and(|label| *label != talk.label) {
                continue;
            }
            let flag = match (knob.knob.as_str(), side) {
                ("nodelay", 0) => &mut talk.client_nodelay,
                ("nodelay", _) => &mut talk.server_nodelay,
                ("coalesce_writes", 0) => &mut talk.client_coalesce,
                ("coalesce_writes", _) => &mut talk.server_coalesce,
                ("quickack", 0) => &mut talk.client_quickack,
                ("quickack", _) => &mut talk.server_quickack,
                ("server_think_ms", 1) => {
                    talk.server_think_ms = knob.value.as_f64().ok_or_else(unknown)?;
                    continue;
                }
                _ => return Err(unknown()),
            };
            *flag = knob.value.as_bool().ok_or_else(unknown)?;
        }
    }
    Ok(setup)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RPC: &str = r#"
        [[scenario]]
        name = "x"
        title = "t"
        value = "mean request latency"
        rtt_ms = 1.5
        connection = [{ port = 7001, requests = 3, parts = [12, 180], answer = [64] }]
        variant = [
            { phenomena = ["nagle-delayed-ack"] },
            { knobs = [{ knob = "nodelay", side = "client", value = true }] },
            { knobs = [{ knob = "quickack", side = "server", value = true, by = "route" }] },
        ]
    "#;

    #[test]
    fn a_knob_changes_its_side_only() {
        let scenarios = parse(RPC, Path::new("x.toml")).unwrap();
        let b = setup(&scenarios[0], &scenarios[0].variant[1]).unwrap();
        assert!(b.talks[0].client_nodelay && !b.talks[0].server_nodelay);
        let c = setup(&scenarios[0], &scenarios[0].variant[2]).unwrap();
        assert_eq!(c.ends.map(|end| end.quickack), [false, true]);
        assert!(!c.talks[0].server_quickack);
    }

    #[test]
    fn an_unknown_knob_is_an_error_that_names_it() {
        let text = RPC.replace("\"nodelay\"", "\"warp\"");
        let error = parse(&text, Path::new("x.toml")).unwrap_err().to_string();
        assert!(error.contains("warp"), "{error}");
    }
}
