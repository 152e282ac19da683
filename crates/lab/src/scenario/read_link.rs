//! What does a link's table say? Its ends and its settings, for both directions or for each one.

use super::LinkSpec;
use super::error::near;
use super::table::{Item, Result, Section};
use crate::link::{CoDelConfig, DirectionConfig, GilbertElliott, LinkConfig, Loss, Queue};
use crate::tunnel::{OuterDf, Tunnel};
use crate::world::IpVersion;

const LOSS: &str = "a probability (0.01 or \"1%\"), a list of packet numbers from 0, or a table with `random`, \
                    `gilbert_elliott`, `packets`";

pub(super) fn read_link(
    name: String,
    section: &Section<'_>,
    nodes: &[&str],
    version: IpVersion,
) -> Result<LinkSpec> {
    let between = section.need("between", "the names of two nodes, as [\"client\", \"server\"]")?;
    let ends: Vec<String> = between
        .list("the names of two nodes")?
        .iter()
        .map(|item| {
            let name = item.text("the name of a node")?;
            if nodes.contains(&name) {
                return Ok(name.to_owned());
            }
            Err(item.error(format!(
                "there is no host, router or middlebox `{}`; {}",
                name.escape_default(),
                near(name, nodes)
            )))
        })
        .collect::<Result<_>>()?;
    let Ok(ends) = <[String; 2]>::try_from(ends) else {
        return Err(between.error("a link joins two nodes: expected two names"));
    };
    if ends[0] == ends[1] {
        return Err(between.error("a link joins two different nodes"));
    }
    let mut both = DirectionConfig::default();
    read_direction(section, &mut both, version)?;
    let mut config = LinkConfig::symmetric(both);
    config.over_network = section.read("over", |item| item.word(&["link", "network"]))? == Some(1);
    for (key, direction) in [("forward", &mut config.forward), ("backward", &mut config.backward)] {
        if let Some(item) = section.get(key) {
            let inner = item.section("a table with the settings of this direction")?;
            read_direction(&inner, direction, version)?;
            inner.finish()?;
        }
    }
    Ok(LinkSpec { name, between: ends, config })
}

/// Takes over what the table says and leaves the rest as it is.
fn read_direction(section: &Section<'_>, config: &mut DirectionConfig, version: IpVersion) -> Result<()> {
    // RFC 791 and RFC 8200 §5.
    let smallest = if version == IpVersion::V4 { 68 } else { 1_280 };
    let mtu_item = section.get("mtu");
    if let Some(item) = &mtu_item {
        config.mtu = item.size_within(smallest..=65_535)? as u32;
    }
    if let Some(item) = section.get("rate") {
        let unlimited = item.text("").is_ok_and(|word| word == "unlimited");
        config.rate_bits_per_second = if unlimited { None } else { Some(item.rate()?) };
    }
    let duration = |key, place: &mut std::time::Duration| {
        section.read(key, Item::duration).map(|found| *place = found.unwrap_or(*place))
    };
    duration("delay", &mut config.delay)?;
    duration("jitter", &mut config.jitter)?;
    if let Some(item) = section.get("queue_bytes") {
        config.queue_bytes = item.size()?;
    }
    if let Some(item) = section.get("queue") {
        config.queue = read_queue(&item)?;
    }
    if let Some(item) = section.get("frame_overhead_bytes") {
        config.frame_overhead_bytes = item.size_within(0..=65_535)? as u32;
    }
    let tunnel_item = read_tunnel(section, config, version, smallest)?;
    if let (Some(tunnel), Some(item)) = (config.tunnel, tunnel_item.or(mtu_item)) {
        let inner = config.inner_mtu(version == IpVersion::V6);
        if u64::from(inner) < smallest {
            return Err(item.error(format!(
                "an MTU of {} leaves {inner} bytes inside {}: expected at least {smallest}",
                config.mtu,
                tunnel.name()
            )));
        }
    }
    if let Some(item) = section.get("loss") {
        (config.loss, config.lose) = read_loss(&item)?;
    }
    if let Some(item) = section.get("bit_error_rate") {
        config.bit_error_rate = item.probability()?;
    }
    if let Some(item) = section.get("reorder") {
        let inner = item.section("a table, as { probability = 0.01, by = \"5ms\" }")?;
        config.reorder = inner.need("probability", super::units::PROBABILITY_EXPECTED)?.probability()?;
        config.reorder_by = inner.need("by", super::units::DURATION_EXPECTED)?.duration()?;
        inner.finish()?;
    }
    if let Some(item) = section.get("duplicate") {
        config.duplicate = item.probability()?;
    }
    if let Some(item) = section.get("bleach_ecn") {
        config.bleach_ecn = item.boolean()?;
    }
    Ok(())
}

/// What is said of the tunnel; where its kind is said.
fn read_tunnel<'a>(
    section: &Section<'a>,
    config: &mut DirectionConfig,
    version: IpVersion,
    smallest: u64,
) -> Result<Option<Item<'a>>> {
    let kind = section.get("tunnel");
    if let Some(item) = &kind {
        let mut words = vec!["none"];
        words.extend(Tunnel::ALL.map(Tunnel::name));
        config.tunnel = item.word(&words)?.checked_sub(1).map(|number| Tunnel::ALL[number]);
        if config.tunnel == Some(Tunnel::Sit) && version == IpVersion::V4 {
            return Err(item.error("`sit` carries IPv6 in IPv4: expected `ip = 6`, or `ipip`"));
        }
        if config.tunnel.is_none() {
            (config.tunnel_mtu, config.tunnel_df) = (0, None);
        }
    }
    let needs_kind = |item: &Item<'_>| match config.tunnel {
        None => Err(item.error("there is no tunnel here: expected `tunnel`, too")),
        Some(_) => Ok(()),
    };
    if let Some(item) = section.get("tunnel_mtu") {
        needs_kind(&item)?;
        let automatic = item.text("").is_ok_and(|word| word == "auto");
        config.tunnel_mtu = match automatic {
            true => 0,
            false => item
                .size_within(smallest..=65_535)
                .map_err(|_| item.expected(&format!("\"auto\", or {smallest} to 65535 bytes")))?
                as u32,
        };
    }
    if let Some(item) = section.get("tunnel_df") {
        needs_kind(&item)?;
        let mut words = vec!["usual"];
        words.extend(OuterDf::ALL.map(OuterDf::name));
        config.tunnel_df = item.word(&words)?.checked_sub(1).map(|number| OuterDf::ALL[number]);
    }
    Ok(kind)
}

fn read_queue(item: &Item<'_>) -> Result<Queue> {
    if !item.is_table() {
        return Ok(match item.word(&["drop-tail", "codel"])? {
            0 => Queue::DropTail,
            _ => Queue::CoDel(CoDelConfig::default()),
        });
    }
    let outer = item.section("")?;
    if let Some(item) = outer.get("mark") {
        let inner = item.section("{ above = \"30KB\" }")?;
        let above_bytes = inner.need("above", "the bytes that may wait before packets are marked")?.size()?;
        inner.finish()?;
        outer.finish()?;
        return Ok(Queue::Mark { above_bytes });
    }
    let codel =
        outer.need("codel", "{ target = \"5ms\", interval = \"100ms\" }, or `mark`: { above = \"30KB\" }")?;
    let inner = codel.section("{ target = \"5ms\", interval = \"100ms\" }")?;
    let default = CoDelConfig::default();
    let config = CoDelConfig {
        target: inner.read("target", Item::duration)?.unwrap_or(default.target),
        interval: inner.read("interval", Item::duration)?.unwrap_or(default.interval),
        ecn: inner.read("ecn", Item::boolean)?.unwrap_or(default.ecn),
    };
    inner.finish()?;
    outer.finish()?;
    if config.interval.is_zero() {
        return Err(codel.error("the interval must not be zero"));
    }
    Ok(Queue::CoDel(config))
}

fn read_loss(item: &Item<'_>) -> Result<(Loss, Vec<u64>)> {
    let packets = |item: &Item<'_>| -> Result<Vec<u64>> {
        let numbers = item.list("a list of packet numbers, from 0")?;
        let mut numbers: Vec<u64> = numbers
            .iter()
            .map(|number| number.integer(0..=u64::MAX, "a packet's number"))
            .collect::<Result<_>>()?;
        numbers.sort_unstable();
        numbers.dedup();
        Ok(numbers)
    };
    let random = |probability: f64| if probability > 0.0 { Loss::Random(probability) } else { Loss::None };
    if item.is_list() {
        return Ok((Loss::None, packets(item)?));
    }
    if !item.is_table() {
        let probability = item.probability().map_err(|_| item.expected(LOSS))?;
        return Ok((random(probability), Vec::new()));
    }
    let section = item.section(LOSS)?;
    let mut loss = Loss::None;
    if let Some(item) = section.get("random") {
        loss = random(item.probability()?);
    }
    if let Some(item) = section.get("gilbert_elliott") {
        if loss != Loss::None {
            return Err(item.error("expected either `random` or `gilbert_elliott`, not both"));
        }
        loss = Loss::GilbertElliott(read_gilbert_elliott(&item)?);
    }
    let lose = section.read("packets", packets)?.unwrap_or_default();
    section.finish()?;
    Ok((loss, lose))
}

fn read_gilbert_elliott(item: &Item<'_>) -> Result<GilbertElliott> {
    let expected = "{ to_bad = 0.01, to_good = 0.3, loss_in_bad = 1, loss_in_good = 0 }";
    let section = item.section(expected)?;
    let config = GilbertElliott {
        to_bad: section.need("to_bad", super::units::PROBABILITY_EXPECTED)?.probability()?,
        to_good: section.need("to_good", super::units::PROBABILITY_EXPECTED)?.probability()?,
        loss_in_good: section.read("loss_in_good", Item::probability)?.unwrap_or(0.0),
        loss_in_bad: section.read("loss_in_bad", Item::probability)?.unwrap_or(1.0),
    };
    section.finish()?;
    Ok(config)
}
