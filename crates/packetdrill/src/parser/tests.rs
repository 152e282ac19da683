use super::*;
use crate::script::{Body, Direction, OptionSpec, Value, Word};
use proptest::prelude::*;

fn read(text: &str) -> Result<Script, ScriptError> {
    parse(text, &BTreeMap::new())
}

fn one(text: &str) -> Event {
    read(text).unwrap().events.remove(0)
}

#[test]
fn times_are_absolute_relative_ranges_or_any() {
    let time = |text: &str| one(&format!("{text} close(3) = 0")).time;
    assert_eq!(time("0"), Time::Absolute(0));
    assert_eq!(time("+.1"), Time::Relative(100_000));
    assert_eq!(time("+.3~+.4"), Time::RelativeRange(300_000, 400_000));
    assert_eq!(time("1~2.000001"), Time::AbsoluteRange(1_000_000, 2_000_001));
    assert_eq!(time("*"), Time::Any);
    let blocking = one("+0...0.200 read(3, ..., 10) = 10");
    assert!(matches!(blocking.action, Action::Call(Call { returns: Some(200_000), .. })));
}

#[test]
fn a_packet_has_flags_numbers_and_options_in_order() {
    let event = one("+0 > FP. 1:1001(1000) ack 5 win 10 <nop,nop,TS val 1 ecr 2,nop,nop,sack 7:8 9:10>");
    let Action::Packet(packet) = event.action else { panic!("a packet") };
    assert_eq!(packet.direction, Direction::Outbound);
    let Body::Tcp(tcp) = packet.body else { panic!("a segment") };
    assert_eq!((tcp.seq, tcp.len, tcp.ack, tcp.window), (1, 1000, Some(5), Some(10)));
    assert_eq!(tcp.flags.to_string(), "FIN|PSH|ACK");
    let options = tcp.options.unwrap();
    assert_eq!(options[2], OptionSpec::Timestamps { value: 1, echo: 2 });
    assert_eq!(options[5], OptionSpec::Sack(vec![(7, 8), (9, 10)]));
}

#[test]
fn a_call_has_nested_arguments_and_a_result() {
    let event = one("+0 epoll_wait(5, {events=EPOLLIN|EPOLLOUT, fd=4}, 1, 0) = -1 EBADF (Bad file)");
    let Action::Call(call) = event.action else { panic!("a call") };
    assert_eq!((call.result, call.errno.as_deref()), (Some(-1), Some("EBADF")));
    let words = vec![Word::Name("EPOLLIN".into()), Word::Name("EPOLLOUT".into())];
    let fields = vec![
        Value::Field("events".into(), Box::new(Value::Flags(words))),
        Value::Field("fd".into(), Box::new(Value::Integer(4))),
    ];
    assert_eq!(call.arguments[1], Value::Struct(fields));
}

#[test]
fn options_and_commands_stand_around_the_events() {
    let script =
        read("--mss=1000\n--strict_segments // why\n`a`\n 0 close(3) = 0\n+0 `b`\n+0 %{ c }%\n`d`").unwrap();
    assert_eq!(script.options[0].value.as_deref(), Some("1000"));
    assert_eq!(script.init.unwrap().text, "a");
    assert_eq!(script.events.len(), 3);
    assert_eq!(script.cleanup.unwrap().line, 7);
}

#[test]
fn what_cannot_be_read_is_an_error_with_its_line() {
    for text in [
        "",
        "0 close(3)",
        "0 close(3 = 0",
        "0 > X 0:0(0)",
        "0 > S 0:1(0)",
        "0 > S 0:0(0) <mss>",
        "0 > S 0:0(0) <mss 70000>",
        "0 > S 0:0(0) <noop>",
        "0 > S 0:0(0) window 5",
        "0 > .. 0:0(0)",
        "+1~2 close(3) = 0",
        "+0...1 > S 0:0(0)",
        "0 close(3) = 0 EBADF",
        "0 close(3) = 0\n`a`\n+0 close(3) = 0",
        "close(3) = 0",
        "0 < icmp unreachable nonsense",
    ] {
        assert!(matches!(read(text), Err(ScriptError::Syntax { .. })), "{text}");
    }
    assert!(read("0 close(3) = 0\n\n+0 > Q").unwrap_err().to_string().contains("line 3"));
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,200}") {
        let _ = read(&text);
    }

    #[test]
    fn no_damage_to_a_script_makes_the_parser_panic(at in 0usize..100, with in "[ -~]{0,3}") {
        let script = "--mss=1 `a` 0 < [ect0] S. 0:0(0) ack 1 <sack 1:2,FO ab> +0...1 poll([{fd=1}], 1) = -1 E (x)";
        let at = at.min(script.len());
        let _ = read(&format!("{}{with}{}", &script[..at], &script[(at + 1).min(script.len())..]));
    }
}
