use super::*;
use crate::conversation::{Trigger, Turn, Write};
use crate::link::{DirectionConfig, Loss};
use proptest::prelude::*;

/// `count` exchanges: a request in these writes, an answer in these.
fn request_response(count: u64, request: &[u32], answer: &[u32]) -> Conversation {
    let writes = |sizes: &[u32]| {
        sizes.iter().map(|&bytes| Write { bytes, gap: Duration::ZERO, gap_latest: Duration::ZERO }).collect()
    };
    let [asked, answered] = [request, answer].map(|sizes| sizes.iter().map(|&b| u64::from(b)).sum::<u64>());
    let mut turns = Vec::new();
    for number in 0..count {
        let trigger = if number == 0 { Trigger::Connected } else { Trigger::Received(number * answered) };
        let think = Duration::ZERO;
        turns.push(Turn { side: Side::Client, trigger, think, writes: writes(request) });
        let trigger = Trigger::Received((number + 1) * asked);
        turns.push(Turn { side: Side::Server, trigger, think, writes: writes(answer) });
    }
    Conversation { turns, close: Some((Side::Client, Duration::ZERO)), cut: false }
}

fn config(round_trip: Duration) -> PlayConfig {
    let link = LinkConfig::with_delay(round_trip / 2);
    PlayConfig { record_packets: true, ..PlayConfig::new(1, Knobs::default(), Knobs::default(), link) }
}

fn played(conversation: &Conversation, config: &PlayConfig) -> Playback {
    let playback = play(conversation, config).expect("a link that makes sense");
    assert_eq!(playback.outcome, Outcome::Completed);
    assert!(!playback.corrupted);
    playback
}

fn milliseconds(playback: &Playback, exchange: usize) -> f64 {
    let (begin, end) = playback.exchanges[exchange];
    end.since(begin).as_secs_f64() * 1e3
}

fn mean_milliseconds(playback: &Playback) -> f64 {
    playback.mean_exchange().expect("exchanges").as_secs_f64() * 1e3
}

const MILLISECOND: Duration = Duration::from_millis(1);

#[test]
fn nagle_and_delayed_acks_stall_every_exchange_but_the_first_as_on_linux() {
    // Measured on Linux 6.18 (HZ=250): mean 43.3 to 45.0 ms, the first in two round trips, 257 packets.
    let playback = played(&request_response(50, &[12, 180], &[64]), &config(MILLISECOND));
    assert_eq!(playback.exchanges.len(), 50);
    assert!((1.9..2.2).contains(&milliseconds(&playback, 0)), "{}", milliseconds(&playback, 0));
    for exchange in 1..50 {
        let time = milliseconds(&playback, exchange);
        assert!((41.0..49.0).contains(&time), "exchange {exchange}: {time} ms");
    }
    assert!((42.0..46.0).contains(&mean_milliseconds(&playback)), "{}", mean_milliseconds(&playback));
    let packets: u64 = playback.sent.iter().map(|sent| sent.packets).sum();
    assert!((255..=261).contains(&packets), "{packets} packets");
}

#[test]
fn nodelay_on_the_writing_side_removes_the_stalls() {
    // Measured: 1.2 ms, 208 packets.
    let mut config = config(MILLISECOND);
    config.client.knobs.nodelay = true;
    let playback = played(&request_response(50, &[12, 180], &[64]), &config);
    assert!((1.0..1.1).contains(&mean_milliseconds(&playback)), "{}", mean_milliseconds(&playback));
    let packets: u64 = playback.sent.iter().map(|sent| sent.packets).sum();
    assert!((206..=210).contains(&packets), "{packets} packets");
}

#[test]
fn one_write_instead_of_two_removes_the_stalls() {
    // Measured: 1.2 ms, 108 packets.
    let playback = played(&request_response(50, &[192], &[64]), &config(MILLISECOND));
    assert!((1.0..1.1).contains(&mean_milliseconds(&playback)), "{}", mean_milliseconds(&playback));
    let packets: u64 = playback.sent.iter().map(|sent| sent.packets).sum();
    assert!((106..=110).contains(&packets), "{packets} packets");
}

#[test]
fn nodelay_on_the_other_side_changes_nothing() {
    let mut config = config(MILLISECOND);
    config.server.knobs.nodelay = true;
    let playback = played(&request_response(50, &[12, 180], &[64]), &config);
    assert!((42.0..46.0).contains(&mean_milliseconds(&playback)), "{}", mean_milliseconds(&playback));
}

#[test]
fn quick_acks_leave_a_round_trip() {
    let mut config = config(MILLISECOND);
    config.server.knobs.set("quickack", "true").expect("a knob");
    let playback = played(&request_response(50, &[12, 180], &[64]), &config);
    assert!((1.9..2.2).contains(&mean_milliseconds(&playback)), "{}", mean_milliseconds(&playback));
}

#[test]
fn quickack_after_each_read_is_the_applications_doing() {
    let mut config = config(MILLISECOND);
    config.server.knobs.set("quickack", "socket").expect("a knob");
    let playback = played(&request_response(50, &[12, 180], &[64]), &config);
    assert!(mean_milliseconds(&playback) < 6.0, "{}", mean_milliseconds(&playback));
}

#[test]
fn the_servers_answer_in_two_writes_stalls_too() {
    // Measured at 20 ms (header and body in two writes): 84.4 to 85.3 ms.
    let playback = played(&request_response(20, &[100], &[30, 200]), &config(Duration::from_millis(20)));
    let mean = mean_milliseconds(&playback);
    assert!((78.0..92.0).contains(&mean), "{mean} ms");
}

#[test]
fn times_and_packets_are_seen_from_both_sides() {
    let delay = Duration::from_millis(7);
    let mut config = config(2 * delay);
    config.client.options.start_offset = Duration::from_millis(100);
    let playback = played(&request_response(1, &[10], &[20]), &config);
    let start = Instant::from_millis(100);
    assert_eq!(playback.established, [Some(start + 2 * delay), Some(start + 3 * delay)]);
    let [request, answer] = playback.turns[..] else { panic!("two turns") };
    assert_eq!(request.first_write, Some(start + 2 * delay));
    assert_eq!(request.last_read, Some(start + 3 * delay));
    assert_eq!(answer.first_write, Some(start + 3 * delay));
    assert_eq!(answer.last_read, Some(start + 4 * delay));
    assert_eq!(playback.exchanges, [(start + 2 * delay, start + 4 * delay)]);
    assert_eq!(playback.duration_to_last_read(), Some(4 * delay));
    for side in [Side::Client, Side::Server] {
        let seen = playback.packets_at(side);
        assert!(seen.windows(2).all(|pair| pair[0].0 <= pair[1].0));
        let (first, last) = (seen[0].0, seen[seen.len() - 1].0);
        assert_eq!(playback.duration_at(side), Some(last.since(first)));
        assert_eq!(first, start + delay * side.index() as u32);
        assert_eq!(seen.len() as u64, playback.sent.iter().map(|sent| sent.packets).sum::<u64>());
    }
    assert_eq!(playback.sent[0].payload_bytes, 10);
    assert_eq!(playback.sent[1].payload_bytes, 20);
    assert!(playback.closed.iter().all(Option::is_some));
    assert!(playback.info.iter().all(Option::is_some));
}

#[test]
fn thinking_gaps_and_read_latency_take_their_time() {
    let mut conversation = request_response(2, &[10, 10], &[20]);
    conversation.turns[0].writes[1].gap = Duration::from_millis(300);
    conversation.turns[1].think = Duration::from_millis(50);
    conversation.turns[2].think = Duration::from_millis(70);
    let mut config = config(2 * MILLISECOND);
    config.client.knobs.nodelay = true;
    config.client.options.read_latency = Duration::from_millis(5);
    let playback = played(&conversation, &config);
    let start = playback.established[0].expect("established");
    let at = |milliseconds| Some(start + Duration::from_millis(milliseconds));
    assert_eq!(playback.turns[0].first_write, at(0));
    assert_eq!(playback.turns[0].last_write, at(300));
    assert_eq!(playback.turns[0].last_read, at(301));
    assert_eq!(playback.turns[1].first_write, at(351));
    assert_eq!(playback.turns[1].last_read, at(357));
    assert_eq!(playback.turns[2].first_write, at(427));
}

#[test]
fn the_same_configuration_gives_the_same_packets() {
    let conversation = request_response(20, &[3_000], &[40_000]);
    let lossy = |seed| {
        let direction = DirectionConfig {
            rate_bits_per_second: Some(20_000_000),
            delay: MILLISECOND,
            loss: Loss::Random(0.05),
            ..DirectionConfig::default()
        };
        let link = LinkConfig::symmetric(direction);
        played(&conversation, &PlayConfig::new(seed, Knobs::default(), Knobs::default(), link))
    };
    let [first, again, other] = [1, 1, 2].map(lossy);
    assert_eq!(first.packet_hash, again.packet_hash);
    assert_eq!(first.exchanges, again.exchanges);
    assert_ne!(first.packet_hash, other.packet_hash);
    assert!(first.sent[1].lost_packets > 0);
    assert!(first.packets.is_empty(), "packets are kept only when asked for");
}

#[test]
fn ipv6_plays_as_ipv4_does() {
    let mut config = config(Duration::from_millis(10));
    config.ip_version = IpVersion::V6;
    let playback = played(&request_response(10, &[30, 100], &[90]), &config);
    assert!(playback.packets.iter().all(|played| played.packet.ip.source.is_ipv6()));
    assert!((45.0..62.0).contains(&mean_milliseconds(&playback)), "{}", mean_milliseconds(&playback));
}

#[test]
fn a_conversation_that_never_ends_says_so() {
    let mut conversation = request_response(2, &[10], &[20]);
    conversation.turns[2].trigger = Trigger::Received(21);
    let playback = play(&conversation, &config(MILLISECOND)).expect("a world");
    assert_eq!(playback.outcome, Outcome::Stuck(2));
    assert_eq!(playback.exchanges.len(), 1);
    let mut slow = request_response(2, &[10], &[20]);
    slow.turns[1].think = Duration::from_secs(4_000);
    let playback = play(&slow, &config(MILLISECOND)).expect("a world");
    assert_eq!(playback.outcome, Outcome::TimeLimit);
}

#[test]
fn a_path_that_carries_nothing_ends_in_a_timeout() {
    let mut config = config(MILLISECOND);
    config.link.forward.loss = Loss::Random(1.0);
    let playback = play(&request_response(1, &[10], &[20]), &config).expect("a world");
    assert_eq!(playback.outcome, Outcome::Failed(Side::Client, SocketError::TimedOut));
    assert_eq!(playback.sent[0].lost_packets, playback.sent[0].packets);
}

#[test]
fn a_conversation_without_close_leaves_the_connection_open() {
    let mut conversation = request_response(3, &[10], &[20]);
    conversation.close = None;
    let playback = played(&conversation, &config(MILLISECOND));
    assert_eq!(playback.closed, [None, None]);
    assert!(playback.info.iter().all(Option::is_some));
}

#[test]
fn large_writes_wait_for_room() {
    let conversation = request_response(1, &[10], &[20_000_000]);
    let direction = DirectionConfig {
        rate_bits_per_second: Some(100_000_000),
        delay: MILLISECOND,
        ..DirectionConfig::default()
    };
    let link = LinkConfig::symmetric(direction);
    let config = PlayConfig::new(1, Knobs::default(), Knobs::default(), link);
    let playback = played(&conversation, &config);
    let answer = playback.turns[1];
    assert!(answer.last_write > answer.first_write, "the stack cannot hold 20 MB at once");
    assert!((1_650.0..1_800.0).contains(&milliseconds(&playback, 0)), "{}", milliseconds(&playback, 0));
}

#[test]
fn what_is_said_after_the_peer_has_closed_is_heard() {
    let mut conversation = request_response(1, &[10], &[20]);
    let write = Write { bytes: 5, gap: Duration::ZERO, gap_latest: Duration::ZERO };
    conversation.turns.push(Turn {
        side: Side::Server,
        trigger: Trigger::Closed,
        think: Duration::from_millis(30),
        writes: vec![write],
    });
    let playback = played(&conversation, &config(2 * MILLISECOND));
    let closed = playback.closed[0].expect("closed");
    assert_eq!(playback.turns[2].first_write, Some(closed + Duration::from_millis(31)));
    assert_eq!(playback.turns[2].last_read, Some(closed + Duration::from_millis(32)));
}

#[test]
fn a_server_that_is_slow_to_accept_answers_later() {
    let mut config = config(2 * MILLISECOND);
    config.server.options.start_offset = Duration::from_millis(40);
    let playback = played(&request_response(1, &[10], &[20]), &config);
    let established = playback.established[1].expect("established");
    assert_eq!(playback.turns[1].first_write, Some(established + Duration::from_millis(40)));
}

/// Conversations in which each turn waits for all that was said before, or follows the side's own last one.
fn any_conversation() -> impl Strategy<Value = Conversation> {
    let write = (0u32..30_000, 0u64..60).prop_map(|(bytes, gap)| {
        // Mostly small ones, and mostly without a gap.
        let gap = Duration::from_millis(if gap > 40 { gap } else { 0 });
        Write { bytes: if bytes % 4 > 0 { bytes % 300 } else { bytes }, gap, gap_latest: gap }
    });
    let turn = (any::<bool>(), 0u64..50, proptest::collection::vec(write, 1..4));
    let close = proptest::option::of((any::<bool>(), 0u64..100));
    (proptest::collection::vec(turn, 1..12), close).prop_map(|(turns, close)| {
        let side = |client| if client { Side::Client } else { Side::Server };
        let mut conversation = Conversation::default();
        for (client, think, writes) in turns {
            let side = side(client);
            let heard = conversation.bytes_of(side.peer());
            let trigger = match heard {
                0 => Trigger::Connected,
                _ if think % 5 == 0 => Trigger::Own,
                _ => Trigger::Received(heard),
            };
            conversation.turns.push(Turn { side, trigger, think: Duration::from_millis(think), writes });
        }
        conversation.close = close.map(|(client, pause)| (side(client), Duration::from_millis(pause)));
        conversation
    })
}

fn any_knobs() -> impl Strategy<Value = Knobs> {
    let nagle = proptest::sample::select(vec!["off", "minshall", "rfc896"]);
    let ack_policy = proptest::sample::select(vec!["immediate", "delayed", "adaptive"]);
    let quickack = proptest::sample::select(vec!["off", "route", "socket"]);
    (any::<bool>(), nagle, ack_policy, quickack, any::<[bool; 3]>()).prop_map(
        |(nodelay, nagle, ack_policy, quickack, offered)| {
            let mut knobs = Knobs { nodelay, ..Knobs::default() };
            for (name, value) in [("nagle", nagle), ("ack_policy", ack_policy), ("quickack", quickack)] {
                knobs.set(name, value).expect("a knob and one of its words");
            }
            [knobs.sack, knobs.timestamps, knobs.window_scaling] = offered;
            knobs
        },
    )
}

proptest! {
    /// Whatever is said, over whatever link, between whatever hosts: all of it is heard, in order, and the end comes.
    #[test]
    fn every_conversation_is_heard_to_its_end(
        conversation in any_conversation(),
        knobs in (any_knobs(), any_knobs()),
        seed: u64,
        loss in proptest::sample::select(vec![0.0, 0.0, 0.01, 0.1]),
        microseconds in 0u64..50_000,
        rate in proptest::option::of(1_000_000u64..1_000_000_000),
    ) {
        let direction = DirectionConfig {
            rate_bits_per_second: rate,
            delay: Duration::from_micros(microseconds),
            loss: if loss > 0.0 { Loss::Random(loss) } else { Loss::None },
            ..DirectionConfig::default()
        };
        let config = PlayConfig::new(seed, knobs.0, knobs.1, LinkConfig::symmetric(direction));
        let playback = play(&conversation, &config).expect("a link that makes sense");
        prop_assert_eq!(playback.outcome, Outcome::Completed, "{:?}", playback.turns);
        prop_assert!(!playback.corrupted);
        for (times, turn) in playback.turns.iter().zip(&conversation.turns) {
            prop_assert!(times.first_write <= times.last_write && times.first_read <= times.last_read);
            if turn.bytes() > 0 {
                let (written, read) = (times.first_write.expect("said"), times.first_read.expect("heard"));
                prop_assert!(read >= written + Duration::from_micros(microseconds));
            }
        }
    }
}
