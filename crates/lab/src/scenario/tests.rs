use super::*;
use crate::conversation::{Conversation, Side, Trigger, Turn, Write};
use crate::link::{CoDelConfig, DirectionConfig, GilbertElliott, Loss, Queue};
use crate::tunnel::{OuterDf, Tunnel};
use proptest::prelude::*;
use proptest::sample::select;

const FULL: &str = r#"
title = "everything at once"
ip = 4
seed = 7
time_limit = "2min"

[host.client]
profile = "freebsd"
knobs = { nodelay = true, rcvbuf = 65536, ack_delay_max = "10ms", coalesce_writes = true }

[host.server]
address = "10.1.2.3"
tick_phase = "1.5ms"
processing = "5us"
wakeup = "0.1ms"

[router.r]
too_big = "silent"
icmp_per_second = 10
icmp_delay = "150ms"

[middlebox.gate]
clamp_mss = "path"
strip = ["sack", "timestamps"]
drop_syn_data = true
nat_outside = "wan"

[link.lan]
between = ["client", "gate"]

[link.wan]
between = ["gate", "r"]
mtu = 1400
rate = "10Mbit/s"
delay = "20ms"
queue_bytes = "64KB"
queue = "codel"
loss = "1%"
[link.wan.backward]
rate = "unlimited"
loss = { gilbert_elliott = { to_bad = 0.01, to_good = 0.3 }, packets = [9, 3, 3] }

[link.far]
between = ["r", "server"]
tunnel = "wireguard"
reorder = { probability = 0.1, by = "3ms" }
duplicate = 0.5

[workload.rpc]
kind = "request-response"
requests = 3
request = [12, "1KB"]
answer = 64
server_think = "2ms"

[workload.down]
kind = "bulk"
bytes = "10MB"
direction = "download"
port = 8000

[workload.talk]
kind = "conversation"
port = 9000
turns = [
  { side = "client", after = "connected", writes = [5, { bytes = 7, gap = "1ms" }] },
  { side = "server", after = { received = 12 }, think = "3ms", writes = [100] },
]
close = { side = "server" }

[workload.telemetry]
kind = "datagrams"
datagrams = 250
size = 1200
interval = "2ms"
port = 9500
"#;

fn error(text: &str) -> String {
    match Scenario::from_toml("x.toml", text) {
        Ok(_) => "no error".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn everything_a_file_may_say_is_read() {
    let scenario = Scenario::from_toml("dir/full.toml", FULL).expect("a scenario");
    assert_eq!(scenario.name, "full");
    assert_eq!(scenario.hosts[0].stack_knobs().rcvbuf, 65_536);
    assert_eq!(scenario.hosts[0].stack_knobs().ack_delay_max, Duration::from_millis(10));
    assert_eq!(scenario.hosts[0].knob("coalesce_writes"), Some("true"));
    assert_eq!(scenario.middleboxes[0].strip, [StripOption::Sack, StripOption::Timestamps]);
    let wan = &scenario.link("wan").expect("a link").config;
    assert_eq!((wan.forward.mtu, wan.backward.mtu), (1_400, 1_400));
    assert_eq!(
        (wan.forward.rate_bits_per_second, wan.backward.rate_bits_per_second),
        (Some(10_000_000), None)
    );
    assert_eq!(wan.forward.loss, Loss::Random(0.01));
    assert_eq!(wan.backward.lose, [3, 9]);
    assert_eq!(wan.forward.queue, Queue::CoDel(CoDelConfig::default()));
    assert_eq!(scenario.link("far").expect("a link").config.forward.tunnel, Some(Tunnel::WireGuard));
    let conversation = scenario.workloads[0].conversation_in(&scenario).expect("a conversation");
    assert_eq!(conversation.turns[0].writes.len(), 1, "coalesced");
    assert_eq!(conversation.bytes_of(Side::Client), 3 * 1_012);
    assert_eq!(
        scenario.workloads[1].conversation().expect("a conversation").bytes_of(Side::Server),
        10_000_000
    );
    assert_eq!(scenario.workloads[3].conversation(), None);
    let datagrams = scenario.workloads[3].datagrams_in(&scenario).expect("datagrams");
    assert_eq!((datagrams.count, datagrams.size, datagrams.interval), (250, 1_200, Duration::from_millis(2)));
    let written = scenario.to_toml();
    assert_eq!(Scenario::from_toml("full.toml", &written), Ok(scenario), "{written}");
}

#[test]
fn a_wrong_file_gives_line_key_and_what_was_expected() {
    let two = "[host.client]\n[host.server]\n";
    let link = |rest: &str| format!("{two}[link.path]\nbetween = [\"client\", \"server\"]\n{rest}");
    let rpc = |rest: &str| format!("{two}[workload.w]\nkind = \"request-response\"\n{rest}");
    let datagrams = |rest: &str| format!("{two}[workload.w]\nkind = \"datagrams\"\n{rest}");
    for (text, expected) in [
        ("seed = ".to_owned(), "x.toml:1:8: this is not TOML"),
        (
            datagrams(""),
            "x.toml:3:1: `workload.w`: the key `datagrams` is missing: expected the number of datagrams",
        ),
        (
            datagrams("datagrams = 0"),
            "x.toml:5:13: `workload.w.datagrams`: found 0, expected a number of datagrams from 1 to 10000000",
        ),
        (
            datagrams("datagrams = 1\nsize = 70000"),
            "x.toml:6:8: `workload.w.size`: found 70000, expected 8 to 65507 bytes",
        ),
        (
            datagrams("datagrams = 1\ninterval = 0"),
            "x.toml:6:12: `workload.w.interval`: found 0, expected a duration of at least \"1us\" between two datagrams",
        ),
        (
            datagrams("datagrams = 1\n[host.client.knobs]\ndatagram_size = 4"),
            "x.toml:3:1: `workload.w`: each datagram bears its number: expected `datagram_size` of its client from 8 to 65507 bytes",
        ),
        ("sead = 1".to_owned(), "x.toml:1:1: `sead`: there is no such key; did you mean `seed`?"),
        (
            link("bit_error_rate = 1.5"),
            "x.toml:5:18: `link.path.bit_error_rate`: found 1.5, expected a probability from 0 to 1",
        ),
        ("seed = -1".to_owned(), "x.toml:1:8: `seed`: found -1, expected a number, 0 or more"),
        ("ip = 5".to_owned(), "x.toml:1:6: `ip`: found 5, expected 4 or 6"),
        ("host = 3".to_owned(), "x.toml:1:8: `host`: found 3, expected tables with names, as [host.NAME]"),
        (
            "[host.client]\nprofile = \"linus\"".to_owned(),
            "x.toml:2:11: `host.client.profile`: found \"linus\"; did you mean `linux`?",
        ),
        (
            "[host.client]\nknobs.nodleay = true".to_owned(),
            "`host.client.knobs.nodleay`: there is no such knob; did you mean `nodelay`?",
        ),
        (
            "[host.client]\nknobs.nodelay = 3".to_owned(),
            "x.toml:2:17: `host.client.knobs.nodelay`: found 3, expected true or false",
        ),
        ("[host.a]\n[router.a]".to_owned(), "x.toml:2:1: `router.a`: there is a host of that name"),
        (link("delay = 20"), "x.toml:5:9: `link.path.delay`: found 20, expected a duration with its unit"),
        (
            link("dealy = \"20ms\""),
            "x.toml:5:1: `link.path.dealy`: there is no such key; did you mean `delay`?",
        ),
        (link("mtu = 20"), "expected 68 to 65535 bytes"),
        (link("rate = \"0Mbit/s\""), "expected a rate with its unit"),
        (link("loss = 2"), "expected a probability (0.01 or \"1%\"), a list"),
        (link("loss = { gilbert_elliot = {} }"), "did you mean `gilbert_elliott`?"),
        (link("queue = \"red\""), "found \"red\"; expected drop-tail or codel"),
        (link("mtu = 110\ntunnel = \"vxlan\""), "x.toml:6:10: `link.path.tunnel`: an MTU of 110 leaves 60"),
        (link("backward = { delay = \"1\" }"), "x.toml:5:22: `link.path.backward.delay`"),
        (
            format!("{two}[link.path]\nbetween = [\"client\", \"sever\"]"),
            "x.toml:4:22: `link.path.between[1]`: there is no host, router or middlebox `sever`; did you mean `server`?",
        ),
        (
            format!("{two}[link.path]\ndelay = \"1ms\""),
            "x.toml:3:1: `link.path`: the key `between` is missing",
        ),
        (rpc("request = []\nanswer = 1"), "expected 1 to 10000 writes"),
        (rpc("request = 1"), "`workload.w`: the key `answer` is missing"),
        (rpc("request = 1\nanswer = 1\nserver = \"sever\""), "did you mean `server`?"),
        (rpc("request = 1\nanswer = 1\nport = 65535\nconnections = 2"), "ports above 65535"),
        (
            format!("{}[workload.v]\nkind = \"bulk\"\nbytes = 1", rpc("request = 1\nanswer = 1\n")),
            "the same ports",
        ),
        (
            format!(
                "{two}[workload.w]\nkind = \"conversation\"\nturns = [{{ side = \"client\", after = \"conected\", writes = [1] }}]"
            ),
            "x.toml:5:37: `workload.w.turns[0].after`: found \"conected\", expected connected, own, closed",
        ),
        (
            format!(
                "{two}[workload.w]\nkind = \"conversation\"\nturns = [{{ side = \"client\", after = {{ received = 9 }}, writes = [1] }}]"
            ),
            "turn 0 waits for 9 bytes, but the server says only 0",
        ),
        (rpc("request = 1\nanswer = 1\npatience = \"0ms\""), "a duration of at least \"1us\""),
        (
            format!("{two}[workload.w]\nkind = \"datagrams\"\ndatagrams = 1\npatience = \"1s\""),
            "expected no patience",
        ),
        (
            format!("{two}[workload.w]\nkind = \"conversation\"\nconversation = \"a.toml\""),
            "x.toml:5:16: `workload.w.conversation`: cannot read `a.toml`",
        ),
    ] {
        let found = error(&text);
        assert!(found.contains(expected), "{text}\n  found    {found}\n  expected {expected}");
    }
}

#[test]
fn a_conversation_may_have_a_file_of_its_own_whose_mistakes_bear_its_name() {
    let text =
        "[host.client]\n[host.server]\n[workload.w]\nkind = \"conversation\"\nconversation = \"a.toml\"";
    let good = |name: &str| match name {
        "a.toml" => Ok("turns = [{ side = \"client\", after = \"connected\", writes = [1] }]".to_owned()),
        _ => Err("no such file".to_owned()),
    };
    let scenario = Scenario::from_toml_with("x.toml", text, &[], &good).expect("a scenario");
    assert_eq!(scenario.workloads[0].conversation().expect("a conversation").turns.len(), 1);
    let bad = |_: &str| Ok("\nturns = [{ side = \"clint\" }]".to_owned());
    let error = Scenario::from_toml_with("x.toml", text, &[], &bad).expect_err("an error").to_string();
    assert!(error.starts_with("a.toml:2:10: `turns[0]`") || error.contains("a.toml:2:"), "{error}");
}

#[test]
fn keys_are_set_from_outside_in_full_or_short() {
    let text = "[host.client]\n[host.server]\n[link.path]\nbetween = [\"client\", \"server\"]\n\
                [workload.rpc]\nkind = \"request-response\"\nrequest = 1\nanswer = 1";
    let set = |changes: &[&str]| {
        let changes: Vec<Override> =
            changes.iter().map(|change| change.parse().expect("KEY=VALUE")).collect();
        Scenario::from_toml_with("x.toml", text, &changes, &|_| Err(String::new()))
            .map_err(|error| error.to_string())
    };
    let scenario = set(&[
        "seed=9",
        "client.nodelay=true",
        "host.server.knobs.rcvbuf=70000",
        "path.delay=20ms",
        "link.path.backward.loss=1%",
        "rpc.request=[12, 180]",
        "server.profile=windows",
        "path.loss={ gilbert_elliott = { to_bad = 0.1, to_good = 0.5 } }",
    ])
    .expect("a scenario");
    assert_eq!(scenario.seed, 9);
    assert_eq!(scenario.hosts[0].knob("nodelay"), Some("true"));
    assert_eq!((scenario.hosts[1].profile, scenario.hosts[1].stack_knobs().rcvbuf), ("windows", 70_000));
    assert_eq!(scenario.links[0].config.forward.delay, Duration::from_millis(20));
    assert_eq!(scenario.links[0].config.backward.loss, Loss::Random(0.01));
    assert!(matches!(scenario.links[0].config.forward.loss, Loss::GilbertElliott(_)));
    assert_eq!(scenario.workloads[0].conversation().expect("a conversation").turns[0].writes.len(), 2);
    for (change, expected) in [
        ("sead=9", "there is no such key; did you mean `seed`?"),
        ("clint.nodelay=true", "there is nothing called `clint`; did you mean `client`?"),
        ("link.pat.delay=1ms", "there is no link `pat`; did you mean `path`?"),
        (
            "client.nodleay=true",
            "--set: `host.client.knobs.nodleay`: there is no such knob; did you mean `nodelay`?",
        ),
        ("path.delay=soon", "--set: `link.path.delay`: found \"soon\", expected a duration"),
        ("path.dealy=1ms", "--set: `link.path.dealy`: there is no such key; did you mean `delay`?"),
        ("path.queue={ codel = { taget = 1 } }", "--set: `link.path.queue.codel.taget`"),
    ] {
        let error = set(&[change]).expect_err(change);
        assert!(error.contains(expected), "{change}: {error}");
    }
    assert!("nodelay".parse::<Override>().is_err());
}

fn probability() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), Just(1.0), 0.0..=1.0f64]
}

fn time() -> impl Strategy<Value = Duration> {
    prop_oneof![Just(0), 0u64..10_000_000_000_000].prop_map(Duration::from_nanos)
}

fn loss() -> impl Strategy<Value = Loss> {
    prop_oneof![
        Just(Loss::None),
        (1e-9..=1.0f64).prop_map(Loss::Random),
        [probability(), probability(), probability(), probability()].prop_map(
            |[to_bad, to_good, good, bad]| {
                Loss::GilbertElliott(GilbertElliott { to_bad, to_good, loss_in_good: good, loss_in_bad: bad })
            }
        ),
    ]
}

fn direction() -> impl Strategy<Value = DirectionConfig> {
    let queue = prop_oneof![
        Just(Queue::DropTail),
        Just(Queue::CoDel(CoDelConfig::default())),
        (time(), time(), any::<bool>()).prop_map(|(target, more, ecn)| {
            Queue::CoDel(CoDelConfig { target, interval: more + Duration::from_nanos(1), ecn })
        }),
        any::<u64>().prop_map(|above_bytes| Queue::Mark { above_bytes }),
    ];
    // SIT needs a network of IPv6.
    let kinds: Vec<Tunnel> = Tunnel::ALL.into_iter().filter(|kind| *kind != Tunnel::Sit).collect();
    let df = proptest::option::of(select(OuterDf::ALL.to_vec()));
    let tunnel = proptest::option::of((select(kinds), prop_oneof![Just(0), 1_280u32..=65_535], df));
    let shape = (1_400u32..=65_535, proptest::option::of(1..=u64::MAX), any::<u64>(), 0..=65_535u32);
    let lose = proptest::collection::btree_set(any::<u64>(), 0..4);
    let chance = (loss(), lose, [probability(), probability(), probability()], any::<bool>());
    (shape, [time(), time(), time()], queue, tunnel, chance).prop_map(
        |(
            (mtu, rate, queue_bytes, frame),
            [delay, jitter, by],
            queue,
            tunnel,
            (loss, lose, [bit_error_rate, reorder, duplicate], bleach_ecn),
        )| {
            DirectionConfig {
                mtu,
                rate_bits_per_second: rate,
                delay,
                jitter,
                queue_bytes,
                queue,
                frame_overhead_bytes: frame,
                tunnel: tunnel.map(|(kind, ..)| kind),
                tunnel_mtu: tunnel.map_or(0, |(_, mtu, _)| mtu),
                tunnel_df: tunnel.and_then(|(.., df)| df),
                loss,
                bit_error_rate,
                lose: lose.into_iter().collect(),
                reorder,
                reorder_by: by,
                duplicate,
                bleach_ecn,
            }
        },
    )
}

fn conversation() -> impl Strategy<Value = Conversation> {
    let write = (any::<u32>(), time(), time()).prop_map(|(bytes, gap, more)| Write {
        bytes,
        gap,
        gap_latest: gap + more,
    });
    let side = || select(vec![Side::Client, Side::Server]);
    let trigger = prop_oneof![
        Just(Trigger::Connected),
        Just(Trigger::Own),
        Just(Trigger::Closed),
        Just(Trigger::Received(0)),
    ];
    let turn = (side(), trigger, time(), proptest::collection::vec(write, 0..3))
        .prop_map(|(side, trigger, think, writes)| Turn { side, trigger, think, writes });
    (proptest::collection::vec(turn, 0..6), proptest::option::of((side(), time())), any::<bool>())
        .prop_map(|(turns, close, cut)| Conversation { turns, close, cut })
}

fn kind() -> impl Strategy<Value = WorkloadKind> {
    let pieces = || proptest::collection::vec(1u32..1 << 30, 1..4);
    prop_oneof![
        (1u64..1 << 40, any::<bool>()).prop_map(|(bytes, down)| WorkloadKind::Bulk {
            bytes,
            direction: if down { BulkDirection::Download } else { BulkDirection::Upload },
        }),
        (1u32..1_000_000, pieces(), pieces(), [time(), time(), time()]).prop_map(
            |(requests, request, answer, [client_think, server_think, gap])| {
                let asking = RequestResponse { requests, request, answer, client_think, server_think, gap };
                WorkloadKind::RequestResponse(asking)
            }
        ),
        conversation().prop_map(WorkloadKind::Conversation),
    ]
}

fn host(name: &'static str) -> impl Strategy<Value = HostSpec> {
    let knobs = proptest::collection::btree_set(select((0..knob::KNOBS.len()).collect::<Vec<_>>()), 0..5);
    (select(narrows_stack::profile::NAMES.to_vec()), knobs, any::<u64>(), proptest::option::of(time()))
        .prop_map(move |(profile, knobs, number, tick_phase)| {
            let mut host = HostSpec::new(name, profile);
            for index in knobs {
                let value = match knob::KNOBS[index].kind {
                    knob::Kind::Bool => (number % 2 == 0).to_string(),
                    knob::Kind::Integer { min, max, zero, .. } => match zero {
                        Some(word) if number % 3 == 0 => word.to_owned(),
                        _ => (min + number % (max - min)).to_string(),
                    },
                    knob::Kind::Choice(words) => words[number as usize % words.len()].to_owned(),
                    knob::Kind::Milliseconds { min, max } => {
                        format!("{}us", min * 1_000 + number % (max * 1_000 - min * 1_000))
                    }
                };
                host.set(knob::KNOBS[index].name, &value).expect("a value of the knob");
            }
            host.address = (number % 5 == 0).then(|| IpAddr::from((number as u32).to_be_bytes()));
            host.tick_phase = tick_phase;
            host.times.processing = tick_phase.unwrap_or_default();
            host.times.wakeup = tick_phase.filter(|_| number % 2 == 0).unwrap_or_default();
            host
        })
}

prop_compose! {
    fn scenario()(
        title in "\\PC{0,20}|[\"\\\\\n\t\u{7f}]{0,4}", seed in 0..=u64::MAX, time_limit in time(),
        client in host("client"), server in host("server"),
        (too_big, limit) in (select(vec![TooBig::Fragment, TooBig::Icmp, TooBig::Silent]), any::<Option<u32>>()),
        icmp_delay in time(),
        strip in proptest::sample::subsequence(StripOption::ALL.to_vec(), 0..5),
        (clamp, drop_syn_data, nat) in (0u16..3, any::<bool>(), any::<bool>()),
        forward in direction(), backward in direction(), same: bool,
        kinds in proptest::collection::vec((kind(), 1u16..10, time(), time()), 0..3),
    ) -> Scenario {
        let backward = if same { forward.clone() } else { backward };
        let link = |name: &str, between: [&str; 2]| LinkSpec {
            name: name.to_owned(),
            between: between.map(str::to_owned),
            config: LinkConfig { forward: forward.clone(), backward: backward.clone(), over_network: false },
        };
        let clamp_mss = [None, Some(ClampMss::Path), Some(ClampMss::Bytes(1_200))][usize::from(clamp)];
        Scenario {
            name: "x".to_owned(), title, ip_version: IpVersion::V4, seed, time_limit,
            hosts: vec![client, server],
            routers: vec![RouterSpec { name: "r".to_owned(), too_big, icmp_per_second: limit, icmp_delay, clamp_mss }],
            middleboxes: vec![MiddleboxSpec {
                name: "gate".to_owned(), clamp_mss, strip, drop_syn_data,
                nat_outside: nat.then(|| "out".to_owned()),
            }],
            links: vec![link("in", ["client", "gate"]), link("out", ["gate", "r"]), link("far", ["r", "server"])],
            workloads: kinds.into_iter().enumerate().map(|(number, (kind, connections, start, every))| Workload {
                port: 1_000 * (number as u16 + 1), connections, start, every,
                patience: Some(every).filter(|every| *every > start),
                ..Workload::new(&format!("w{number}"), kind)
            }).collect(),
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(scenario in scenario()) {
        let text = scenario.to_toml();
        prop_assert_eq!(Scenario::from_toml("x.toml", &text), Ok(scenario), "{}", text);
    }

    #[test]
    fn no_text_is_too_strange(text in "\\PC{0,200}") {
        let _ = Scenario::from_toml("x.toml", &text);
    }

    #[test]
    fn no_change_of_a_letter_is_too_strange(at in any::<proptest::sample::Index>(), with in "[\\[\\]{}=\".,0-9a-z\n#-]{0,3}", drop in 0usize..4) {
        let mut text = FULL.to_owned();
        let at = at.index(text.len());
        let end = (at + drop).min(text.len());
        text.replace_range(at..end, &with);
        let _ = Scenario::from_toml("x.toml", &text);
    }
}
