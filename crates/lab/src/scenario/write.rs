//! How does a scenario stand in a file? As TOML with only what is not as it is anyway.

use super::conversation::write_conversation;
use super::units::{duration_text, rate_text, size_text};
use super::{BulkDirection, ClampMss, Datagrams, LinkSpec, Scenario, Workload, WorkloadKind};
use crate::link::{CoDelConfig, DirectionConfig, Loss, Queue};
use crate::world::IpVersion;
use narrows_stack::knob::{self, Kind};
use std::fmt::Write as _;
use std::time::Duration;

impl Scenario {
    /// The scenario as TOML, which [`Scenario::from_toml`] reads back to the same value.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut out = String::new();
        line(&mut out, "name", &quoted(&self.name));
        if !self.title.is_empty() {
            line(&mut out, "title", &quoted(&self.title));
        }
        if self.ip_version == IpVersion::V6 {
            line(&mut out, "ip", "6");
        }
        line(&mut out, "seed", &self.seed.to_string());
        duration(&mut out, "time_limit", self.time_limit, Scenario::default().time_limit);
        self.write_nodes(&mut out);
        for link in &self.links {
            write_link(&mut out, link);
        }
        for workload in &self.workloads {
            write_workload(&mut out, workload);
        }
        out
    }

    fn write_nodes(&self, out: &mut String) {
        for host in &self.hosts {
            let _ = writeln!(out, "\n[host.{}]", host.name);
            if host.profile != "linux" {
                line(out, "profile", &quoted(host.profile));
            }
            if let Some(address) = host.address {
                line(out, "address", &quoted(&address.to_string()));
            }
            if let Some(phase) = host.tick_phase {
                line(out, "tick_phase", &quoted(&duration_text(phase)));
            }
            duration(out, "processing", host.times.processing, Duration::ZERO);
            duration(out, "wakeup", host.times.wakeup, Duration::ZERO);
            for (name, value) in &host.knobs {
                line(out, &format!("knobs.{name}"), &knob_text(name, value));
            }
        }
        for router in &self.routers {
            let _ = writeln!(out, "\n[router.{}]", router.name);
            line(out, "too_big", &quoted(router.too_big.name()));
            if let Some(limit) = router.icmp_per_second {
                line(out, "icmp_per_second", &limit.to_string());
            }
            duration(out, "icmp_delay", router.icmp_delay, Duration::ZERO);
            write_clamp(out, router.clamp_mss);
        }
        for middlebox in &self.middleboxes {
            let _ = writeln!(out, "\n[middlebox.{}]", middlebox.name);
            write_clamp(out, middlebox.clamp_mss);
            if !middlebox.strip.is_empty() {
                let words: Vec<String> = middlebox.strip.iter().map(|option| quoted(option.name())).collect();
                line(out, "strip", &format!("[{}]", words.join(", ")));
            }
            if middlebox.drop_syn_data {
                line(out, "drop_syn_data", "true");
            }
            if let Some(link) = &middlebox.nat_outside {
                line(out, "nat_outside", &quoted(link));
            }
        }
    }
}

fn write_clamp(out: &mut String, clamp: Option<ClampMss>) {
    match clamp {
        Some(ClampMss::Bytes(bytes)) => line(out, "clamp_mss", &bytes.to_string()),
        Some(ClampMss::Path) => line(out, "clamp_mss", "\"path\""),
        None => {}
    }
}

fn line(out: &mut String, key: &str, value: &str) {
    let _ = writeln!(out, "{key} = {value}");
}

fn duration(out: &mut String, key: &str, value: Duration, default: Duration) {
    if value != default {
        line(out, key, &quoted(&duration_text(value)));
    }
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            control if control.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(control));
            }
            plain => quoted.push(plain),
        }
    }
    quoted.push('"');
    quoted
}

/// A knob's value: bare where TOML has a type for it.
fn knob_text(name: &str, value: &str) -> String {
    let bare = match knob::find(name).map(|knob| knob.kind) {
        Some(Kind::Bool) => true,
        Some(Kind::Integer { .. }) => value.bytes().all(|byte| byte.is_ascii_digit()),
        _ => false,
    };
    if bare { value.to_owned() } else { quoted(value) }
}

fn write_link(out: &mut String, link: &LinkSpec) {
    let _ = writeln!(out, "\n[link.{}]", link.name);
    line(out, "between", &format!("[{}, {}]", quoted(&link.between[0]), quoted(&link.between[1])));
    let [default, both] = [DirectionConfig::default(), link.config.forward.clone()];
    write_direction(out, &both, &default);
    if link.config.over_network {
        line(out, "over", "\"network\"");
    }
    if link.config.backward != both {
        let _ = writeln!(out, "[link.{}.backward]", link.name);
        write_direction(out, &link.config.backward, &both);
    }
}

/// Writes what is not as it is in `known`.
fn write_direction(out: &mut String, config: &DirectionConfig, known: &DirectionConfig) {
    if config.mtu != known.mtu {
        line(out, "mtu", &config.mtu.to_string());
    }
    if config.rate_bits_per_second != known.rate_bits_per_second {
        let text = config.rate_bits_per_second.map_or("unlimited".to_owned(), rate_text);
        line(out, "rate", &quoted(&text));
    }
    duration(out, "delay", config.delay, known.delay);
    duration(out, "jitter", config.jitter, known.jitter);
    if config.queue_bytes != known.queue_bytes {
        line(out, "queue_bytes", &quoted(&size_text(config.queue_bytes)));
    }
    if config.queue != known.queue {
        let text = match config.queue {
            Queue::DropTail => "\"drop-tail\"".to_owned(),
            Queue::CoDel(codel) if codel == CoDelConfig::default() => "\"codel\"".to_owned(),
            Queue::CoDel(CoDelConfig { target, interval, ecn }) => format!(
                "{{ codel = {{ target = \"{}\", interval = \"{}\", ecn = {ecn} }} }}",
                duration_text(target),
                duration_text(interval)
            ),
            Queue::Mark { above_bytes } => {
                format!("{{ mark = {{ above = \"{}\" }} }}", size_text(above_bytes))
            }
        };
        line(out, "queue", &text);
    }
    if config.frame_overhead_bytes != known.frame_overhead_bytes {
        line(out, "frame_overhead_bytes", &config.frame_overhead_bytes.to_string());
    }
    if config.tunnel != known.tunnel {
        line(out, "tunnel", &quoted(config.tunnel.map_or("none", crate::Tunnel::name)));
    }
    if config.tunnel.is_some() && config.tunnel_mtu != known.tunnel_mtu {
        let text = if config.tunnel_mtu == 0 { "\"auto\"".to_owned() } else { config.tunnel_mtu.to_string() };
        line(out, "tunnel_mtu", &text);
    }
    if config.tunnel.is_some() && config.tunnel_df != known.tunnel_df {
        line(out, "tunnel_df", &quoted(config.tunnel_df.map_or("usual", crate::OuterDf::name)));
    }
    if (config.loss, &config.lose) != (known.loss, &known.lose) {
        line(out, "loss", &loss_text(config));
    }
    if config.bit_error_rate != known.bit_error_rate {
        line(out, "bit_error_rate", &format!("{:?}", config.bit_error_rate));
    }
    if (config.reorder, config.reorder_by) != (known.reorder, known.reorder_by) {
        let by = duration_text(config.reorder_by);
        line(out, "reorder", &format!("{{ probability = {:?}, by = \"{by}\" }}", config.reorder));
    }
    if config.duplicate != known.duplicate {
        line(out, "duplicate", &format!("{:?}", config.duplicate));
    }
    if config.bleach_ecn != known.bleach_ecn {
        line(out, "bleach_ecn", &config.bleach_ecn.to_string());
    }
}

fn loss_text(config: &DirectionConfig) -> String {
    let packets = || {
        let numbers: Vec<String> = config.lose.iter().map(u64::to_string).collect();
        format!("[{}]", numbers.join(", "))
    };
    let own = match config.loss {
        Loss::None => return packets(),
        Loss::Random(probability) if config.lose.is_empty() => return format!("{probability:?}"),
        Loss::Random(probability) => format!("random = {probability:?}"),
        Loss::GilbertElliott(model) => format!(
            "gilbert_elliott = {{ to_bad = {:?}, to_good = {:?}, loss_in_good = {:?}, loss_in_bad = {:?} }}",
            model.to_bad, model.to_good, model.loss_in_good, model.loss_in_bad
        ),
    };
    if config.lose.is_empty() {
        format!("{{ {own} }}")
    } else {
        format!("{{ {own}, packets = {} }}", packets())
    }
}

fn write_workload(out: &mut String, workload: &Workload) {
    let _ = writeln!(out, "\n[workload.{}]", workload.name);
    let kind = match &workload.kind {
        WorkloadKind::Bulk { .. } => "bulk",
        WorkloadKind::RequestResponse(_) => "request-response",
        WorkloadKind::Conversation(_) => "conversation",
        WorkloadKind::Datagrams(_) => "datagrams",
    };
    line(out, "kind", &quoted(kind));
    line(out, "client", &quoted(&workload.client));
    line(out, "server", &quoted(&workload.server));
    line(out, "port", &workload.port.to_string());
    if workload.connections != 1 {
        line(out, "connections", &workload.connections.to_string());
    }
    duration(out, "start", workload.start, Duration::ZERO);
    duration(out, "every", workload.every, Duration::ZERO);
    if let Some(patience) = workload.patience {
        line(out, "patience", &quoted(&duration_text(patience)));
    }
    match &workload.kind {
        WorkloadKind::Bulk { bytes, direction } => {
            line(out, "bytes", &quoted(&size_text(*bytes)));
            if *direction == BulkDirection::Download {
                line(out, "direction", "\"download\"");
            }
        }
        WorkloadKind::RequestResponse(asking) => {
            line(out, "requests", &asking.requests.to_string());
            for (key, pieces) in [("request", &asking.request), ("answer", &asking.answer)] {
                let texts: Vec<String> = pieces.iter().map(u32::to_string).collect();
                let text =
                    if texts.len() == 1 { texts[0].clone() } else { format!("[{}]", texts.join(", ")) };
                line(out, key, &text);
            }
            duration(out, "client_think", asking.client_think, Duration::ZERO);
            duration(out, "server_think", asking.server_think, Duration::ZERO);
            duration(out, "gap", asking.gap, Duration::ZERO);
        }
        WorkloadKind::Conversation(conversation) => write_conversation(out, conversation),
        WorkloadKind::Datagrams(Datagrams { count, size, interval, search }) => {
            line(out, "datagrams", &count.to_string());
            line(out, "size", &size.to_string());
            line(out, "interval", &quoted(&duration_text(*interval)));
            if let Some(search) = search {
                let [probe, raise] = [search.probe_timer, search.raise_timer].map(duration_text);
                line(out, "search", &format!("{{ probe_timer = \"{probe}\", raise_timer = \"{raise}\" }}"));
            }
        }
    }
}
