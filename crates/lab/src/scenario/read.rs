//! Which scenario does this TOML text describe?

use super::conversation::read_conversation;
use super::error::{ScenarioError, near};
use super::read_link::read_link;
use super::table::{Item, Result, Section, Source};
use super::workload::{BulkDirection, Datagrams, RequestResponse, Search, Workload, WorkloadKind};
use super::{ClampMss, HostSpec, MiddleboxSpec, Override, RouterSpec, Scenario, StripOption, TooBig, set};
use crate::datagrams::SMALLEST;
use crate::world::IpVersion;
use narrows_stack::knob::{self, PmtuDiscovery};
use narrows_stack::profile;
use std::net::IpAddr;
use std::time::Duration;
use toml::de::DeTable;

/// Gives the text of a file that a scenario refers to, by the name that stands in the scenario.
pub type ReadFile<'a> = &'a dyn Fn(&str) -> std::result::Result<String, String>;

/// More writes than this in one message, or exchanges in one workload, are taken for a mistake.
const MOST_WRITES: usize = 10_000;
const MOST_REQUESTS: u64 = 1_000_000;
const LARGEST_WRITE: u64 = 1 << 30;
const LARGEST_BULK: u64 = 1 << 40;
const MOST_CONNECTIONS: u64 = 10_000;
const MOST_DATAGRAMS: u64 = 10_000_000;

impl Scenario {
    /// Reads a scenario that refers to no other file; `file` is its name for errors, and without the ending its own.
    ///
    /// # Errors
    /// [`ScenarioError`] with line and column, the key, and what was expected.
    pub fn from_toml(file: &str, text: &str) -> Result<Scenario> {
        let none =
            |_: &str| Err("a scenario that is not a file of its own cannot refer to others".to_owned());
        Scenario::from_toml_with(file, text, &[], &none)
    }

    /// Reads a scenario with some of its keys set from outside, before anything is checked.
    ///
    /// # Errors
    /// As [`Scenario::from_toml`]; what was set is named `--set`, and what `read_file` says is passed on.
    pub fn from_toml_with(
        file: &str,
        text: &str,
        overrides: &[Override],
        read_file: ReadFile<'_>,
    ) -> Result<Scenario> {
        let source = Source { file, text };
        let mut table = DeTable::parse(text).map_err(|error| not_toml(source, &error))?;
        for change in overrides {
            set::apply(table.get_mut(), change)?;
        }
        let mut section = Section::new(source, table.get_ref(), 0..0, "");
        let scenario = read_scenario(&mut section, file, read_file)?;
        section.finish()?;
        Ok(scenario)
    }
}

pub(super) fn not_toml(source: Source<'_>, error: &toml::de::Error) -> ScenarioError {
    let message = format!("this is not TOML: {}", error.message().trim());
    source.error(error.span().unwrap_or(0..0), "", message)
}

fn read_scenario(section: &mut Section<'_>, file: &str, read_file: ReadFile<'_>) -> Result<Scenario> {
    let default = Scenario::default();
    let stem = file.rsplit(['/', '\\']).next().unwrap_or(file);
    let mut scenario = Scenario {
        name: match section.get("name") {
            Some(item) => item.text("a name")?.to_owned(),
            None => stem.strip_suffix(".toml").unwrap_or(stem).to_owned(),
        },
        title: section.read("title", |item| item.text("one line of text"))?.unwrap_or_default().to_owned(),
        ip_version: match section.read("ip", |item| item.integer(4..=6, "4 or 6:"))? {
            Some(6) => IpVersion::V6,
            Some(5) => {
                return Err(section.get("ip").map_or(section.error(""), |item| item.expected("4 or 6")));
            }
            _ => IpVersion::V4,
        },
        seed: section.read("seed", |item| item.integer(0..=u64::MAX, "a number"))?.unwrap_or(default.seed),
        time_limit: section.read("time_limit", Item::duration)?.unwrap_or(default.time_limit),
        ..default
    };
    let named = |key: &'static str| -> Result<Vec<(String, Item<'_>, Section<'_>)>> {
        let Some(item) = section.get(key) else { return Ok(Vec::new()) };
        let expected = format!("tables with names, as [{key}.NAME]");
        let mut all = Vec::new();
        for (name, item) in item.section(&expected)?.entries() {
            check_name(name, &item)?;
            let inner = item.section(&format!("a table, as [{key}.{name}]"))?;
            all.push((name.to_owned(), item, inner));
        }
        Ok(all)
    };
    let mut nodes: Vec<(String, &str)> = Vec::new();
    let mut add_node =
        |name: &str, item: &Item<'_>, kind: &'static str| match nodes.iter().find(|(n, _)| n == name) {
            Some((_, other)) => {
                Err(item.error(format!("there is a {other} of that name, too: each node needs its own")))
            }
            None => {
                nodes.push((name.to_owned(), kind));
                Ok(())
            }
        };
    for (name, item, inner) in named("host")? {
        add_node(&name, &item, "host")?;
        scenario.hosts.push(read_host(name, &inner, scenario.ip_version)?);
        inner.finish()?;
    }
    for (name, item, inner) in named("router")? {
        add_node(&name, &item, "router")?;
        scenario.routers.push(read_router(name, &inner)?);
        inner.finish()?;
    }
    let mut nat_items = Vec::new();
    for (name, item, inner) in named("middlebox")? {
        add_node(&name, &item, "middlebox")?;
        nat_items.push(inner.get("nat_outside"));
        scenario.middleboxes.push(read_middlebox(name, &inner)?);
        inner.finish()?;
    }
    let node_names: Vec<&str> = nodes.iter().map(|(name, _)| name.as_str()).collect();
    for (name, _, inner) in named("link")? {
        scenario.links.push(read_link(name, &inner, &node_names, scenario.ip_version)?);
        inner.finish()?;
    }
    for (middlebox, item) in scenario.middleboxes.iter().zip(nat_items) {
        let (Some(item), Some(outside)) = (item, &middlebox.nat_outside) else { continue };
        let own = |link: &&super::LinkSpec| link.between.contains(&middlebox.name);
        let own: Vec<&str> = scenario.links.iter().filter(own).map(|link| link.name.as_str()).collect();
        if !own.contains(&outside.as_str()) {
            return Err(
                item.error(format!("`{outside}` is no link of this middlebox; {}", near(outside, &own)))
            );
        }
    }
    let mut ports: Vec<(String, u32, u32)> = Vec::new();
    for (name, item, inner) in named("workload")? {
        let workload = read_workload(name, &inner, &scenario, read_file)?;
        inner.finish()?;
        let (first, count) = (u32::from(workload.port), u32::from(workload.connections));
        if first + count > 65_536 {
            return Err(item.error("its connections need ports above 65535: lower `port` or `connections`"));
        }
        let taken = |(server, from, to): &&(String, u32, u32)| {
            *server == workload.server && *from < first + count && first < *to
        };
        if ports.iter().any(|other| taken(&other)) {
            return Err(
                item.error("another workload has the same ports at the same server: give it another `port`")
            );
        }
        ports.push((workload.server.clone(), first, first + count));
        scenario.workloads.push(workload);
    }
    Ok(scenario)
}

/// Names are typed in `--set` and become names of files.
fn check_name(name: &str, item: &Item<'_>) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
        return Err(item.error("a name has 1 to 64 letters, digits, - and _"));
    }
    Ok(())
}

fn read_host(name: String, section: &Section<'_>, version: IpVersion) -> Result<HostSpec> {
    let profile =
        section.read("profile", |item| item.word(profile::NAMES))?.map_or("linux", |n| profile::NAMES[n]);
    let mut host = HostSpec::new(&name, profile);
    host.address = section.read("address", |item| {
        let text = item.text("an IP address")?;
        let address: Option<IpAddr> = text.parse().ok();
        address.filter(|address| address.is_ipv4() == (version == IpVersion::V4)).ok_or_else(|| {
            item.expected(if version == IpVersion::V4 { "an IPv4 address" } else { "an IPv6 address" })
        })
    })?;
    host.tick_phase = section.read("tick_phase", Item::duration)?;
    host.times.processing = section.read("processing", Item::duration)?.unwrap_or_default();
    host.times.wakeup = section.read("wakeup", Item::duration)?.unwrap_or_default();
    if let Some(knobs) = section.get("knobs") {
        let table = knobs.section("a table of knobs, as { nodelay = true }")?;
        for (name, item) in table.entries() {
            let Ok(row) = knob::look_up(name) else {
                let names: Vec<&str> = knob::KNOBS.iter().map(|knob| knob.name).collect();
                return Err(item.error(format!("there is no such knob; {}", near(name, &names))));
            };
            let value = item.plain(&row.kind.expected())?;
            host.set(name, &value).map_err(|_| item.expected(&row.kind.expected()))?;
        }
    }
    Ok(host)
}

fn read_router(name: String, section: &Section<'_>) -> Result<RouterSpec> {
    const WORDS: [TooBig; 3] = [TooBig::Fragment, TooBig::Icmp, TooBig::Silent];
    let too_big = section.read("too_big", |item| item.word(&WORDS.map(TooBig::name)))?;
    let limit = |item: &Item<'_>| item.integer(0..=u64::from(u32::MAX), "ICMP messages per second");
    let icmp_per_second = section.read("icmp_per_second", limit)?.map(|limit| limit as u32);
    let icmp_delay = section.read("icmp_delay", Item::duration)?.unwrap_or_default();
    let clamp_mss = section.read("clamp_mss", read_clamp)?;
    let too_big = too_big.map_or(TooBig::default(), |n| WORDS[n]);
    Ok(RouterSpec { name, too_big, icmp_per_second, icmp_delay, clamp_mss })
}

fn read_clamp(item: &Item<'_>) -> Result<ClampMss> {
    if item.text("").is_ok_and(|word| word == "path") {
        return Ok(ClampMss::Path);
    }
    let expected = "\"path\", or 88 to 65495 bytes";
    let bytes = item.integer(88..=65_495, "").map_err(|_| item.expected(expected))?;
    Ok(ClampMss::Bytes(bytes as u16))
}

fn read_middlebox(name: String, section: &Section<'_>) -> Result<MiddleboxSpec> {
    let clamp_mss = section.read("clamp_mss", read_clamp)?;
    let strip = section.read("strip", |item| {
        let word =
            |item: &Item<'_>| Ok(StripOption::ALL[item.word(&StripOption::ALL.map(StripOption::name))?]);
        if item.is_list() { item.list("")?.iter().map(word).collect() } else { Ok(vec![word(item)?]) }
    })?;
    Ok(MiddleboxSpec {
        name,
        clamp_mss,
        strip: strip.unwrap_or_default(),
        drop_syn_data: section.read("drop_syn_data", Item::boolean)?.unwrap_or(false),
        nat_outside: section.read("nat_outside", |item| item.text("the name of a link"))?.map(str::to_owned),
    })
}

fn read_workload(
    name: String,
    section: &Section<'_>,
    scenario: &Scenario,
    read_file: ReadFile<'_>,
) -> Result<Workload> {
    let hosts: Vec<&str> = scenario.hosts.iter().map(|host| host.name.as_str()).collect();
    let host = |key: &'static str| match section.get(key) {
        Some(item) => item.word(&hosts).map(|number| hosts[number].to_owned()),
        None if hosts.contains(&key) => Ok(key.to_owned()),
        None => Err(section.error(format!("the key `{key}` is missing: expected the name of a host"))),
    };
    let (client, server) = (host("client")?, host("server")?);
    if client == server {
        return Err(section.error("client and server are the same host: expected two"));
    }
    let kinds = ["bulk", "request-response", "conversation", "datagrams"];
    let kind = match section.need("kind", &super::error::one_of(&kinds))?.word(&kinds)? {
        0 => WorkloadKind::Bulk {
            bytes: section.need("bytes", units_size())?.size_within(1..=LARGEST_BULK)?,
            direction: match section.read("direction", |item| item.word(&["upload", "download"]))? {
                Some(1) => BulkDirection::Download,
                _ => BulkDirection::Upload,
            },
        },
        1 => WorkloadKind::RequestResponse(read_request_response(section)?),
        2 => WorkloadKind::Conversation(read_conversation(section, read_file)?),
        _ => WorkloadKind::Datagrams(read_datagrams(section, scenario.host(&client))?),
    };
    let duration = |key| Ok(section.read(key, Item::duration)?.unwrap_or(Duration::ZERO));
    Ok(Workload {
        name,
        client,
        server,
        port: section.read("port", |item| item.integer(1..=65_535, "a port"))?.unwrap_or(7_000) as u16,
        connections: section
            .read("connections", |item| item.integer(1..=MOST_CONNECTIONS, "a number of connections"))?
            .unwrap_or(1) as u16,
        start: duration("start")?,
        every: duration("every")?,
        patience: match section.get("patience") {
            Some(item) if matches!(kind, WorkloadKind::Datagrams(_)) => {
                return Err(item.error("datagrams are answered by nobody: expected no patience"));
            }
            Some(item) => match item.duration()? {
                Duration::ZERO => return Err(item.expected("a duration of at least \"1us\"")),
                patience => Some(patience),
            },
            None => None,
        },
        kind,
    })
}

fn read_datagrams(section: &Section<'_>, client: Option<&HostSpec>) -> Result<Datagrams> {
    let default = Datagrams::default();
    let (smallest, largest) = (SMALLEST as u64, u64::from(Datagrams::LARGEST));
    let count = |item: &Item<'_>| item.integer(1..=MOST_DATAGRAMS, "a number of datagrams");
    let interval = section.read("interval", |item| match item.duration()? {
        // Those of one instant would only fill the send buffer.
        Duration::ZERO => Err(item.expected("a duration of at least \"1us\" between two datagrams")),
        interval => Ok(interval),
    })?;
    let knob = client.and_then(|host| host.knob("datagram_size")).and_then(|text| text.parse::<u64>().ok());
    if knob.is_some_and(|size| size < smallest) {
        return Err(section.error(format!(
            "each datagram bears its number: expected `datagram_size` of its client from {smallest} to {largest} bytes"
        )));
    }
    let search = match section.get("search") {
        None => None,
        Some(item) => Some(read_search(&item, client)?),
    };
    Ok(Datagrams {
        search,
        count: count(&section.need("datagrams", "the number of datagrams")?)?,
        size: section
            .read("size", |item| item.size_within(smallest..=largest))?
            .map_or(default.size, |size| size as u32),
        interval: interval.unwrap_or(default.interval),
    })
}

/// `true`, or a table with the timers.
fn read_search(item: &Item<'_>, client: Option<&HostSpec>) -> Result<Search> {
    let mut search = Search::default();
    if item.is_table() {
        let section = item.section("")?;
        search.probe_timer = section.read("probe_timer", Item::duration)?.unwrap_or(search.probe_timer);
        search.raise_timer = section.read("raise_timer", Item::duration)?.unwrap_or(search.raise_timer);
        section.finish()?;
    } else if !item
        .boolean()
        .map_err(|_| item.expected("true, or { probe_timer = \"15s\", raise_timer = \"10min\" }"))?
    {
        return Err(item.expected("true, or nothing at all"));
    }
    // Probes have DF, and the size is the search's to know (RFC 8899 §4.1, §4.6).
    if client.is_none_or(|host| host.stack_knobs().pmtu_discovery != PmtuDiscovery::Probe) {
        return Err(item.error("a search is made with DF and without the stack's own: expected `knobs.pmtu_discovery = \"probe\"` of its client"));
    }
    Ok(search)
}

fn units_size() -> &'static str {
    super::units::SIZE_EXPECTED
}

fn read_request_response(section: &Section<'_>) -> Result<RequestResponse> {
    let default = RequestResponse::default();
    let pieces = |key: &'static str| -> Result<Vec<u32>> {
        let item = section.need(key, "bytes, or a list with the bytes of each write")?;
        let size = |item: &Item<'_>| Ok(item.size_within(1..=LARGEST_WRITE)? as u32);
        if !item.is_list() {
            return Ok(vec![size(&item)?]);
        }
        let list = item.list("")?;
        if list.is_empty() || list.len() > MOST_WRITES {
            return Err(item.error(format!("expected 1 to {MOST_WRITES} writes")));
        }
        list.iter().map(size).collect()
    };
    let duration = |key| Ok(section.read(key, Item::duration)?.unwrap_or(Duration::ZERO));
    let requests = |item: &Item<'_>| item.integer(1..=MOST_REQUESTS, "a number of requests");
    Ok(RequestResponse {
        requests: section.read("requests", requests)?.map_or(default.requests, |number| number as u32),
        request: pieces("request")?,
        answer: pieces("answer")?,
        client_think: duration("client_think")?,
        server_think: duration("server_think")?,
        gap: duration("gap")?,
    })
}
