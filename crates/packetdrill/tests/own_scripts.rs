//! Do the stack's own scripts pass, and would they notice if it behaved otherwise?
//!
//! The second question is asked of the interpreter: each expectation of each script is changed a little, one at a time, and then the
//! script must fail.

use narrows_packetdrill::script::{Action, Body, Direction, Script, Time};
use narrows_packetdrill::{IpVersion, ScriptError, Settings, parser, run_parsed};
use narrows_wire::TcpFlags;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn scripts() -> Vec<(PathBuf, Script)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../stack/tests/packetdrill");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(directory)
        .expect("the directory of scripts")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "pkt"))
        .collect();
    paths.sort();
    let read = |path: &PathBuf| std::fs::read_to_string(path).expect("a script");
    let parse = |path: PathBuf| {
        let script = parser::parse(&read(&path), &BTreeMap::new()).expect("a script that can be read");
        (path, script)
    };
    paths.into_iter().map(parse).collect()
}

fn settings(ip_version: IpVersion) -> Settings {
    Settings { ip_version, no_leftovers: true, ..Settings::default() }
}

#[test]
fn every_script_passes_with_ipv4_ipv6_and_mapped_addresses() {
    let scripts = scripts();
    assert!(scripts.len() >= 40, "{} scripts", scripts.len());
    let mut failed = Vec::new();
    for (path, script) in &scripts {
        for version in [IpVersion::Ipv4, IpVersion::Ipv6, IpVersion::Mapped] {
            if let Err(error) = run_parsed(script, path.parent(), &settings(version)) {
                failed.push(format!("{} ({version:?}): {error}", path.display()));
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// All ways to change one expectation of the event at `index`, with a name each.
fn changes(script: &Script, index: usize) -> Vec<(&'static str, Script)> {
    let mut changed = Vec::new();
    let mut change = |name, edit: &dyn Fn(&mut Script)| {
        let mut copy = script.clone();
        edit(&mut copy);
        if &copy != script {
            changed.push((name, copy));
        }
    };
    match &script.events[index].action {
        Action::Packet(packet) if packet.direction == Direction::Outbound => {
            let Body::Tcp(tcp) = &packet.body else { return changed };
            let in_tcp = |edit: &dyn Fn(&mut narrows_packetdrill::script::TcpSpec)| {
                let mut copy = script.clone();
                if let Action::Packet(packet) = &mut copy.events[index].action
                    && let Body::Tcp(tcp) = &mut packet.body
                {
                    edit(tcp);
                }
                copy
            };
            for flag in [TcpFlags::PSH, TcpFlags::FIN, TcpFlags::RST, TcpFlags::ACK, TcpFlags::ECE] {
                changed.push(("flag", in_tcp(&|tcp| tcp.flags.0 ^= flag.0)));
            }
            // The first sequence number of a connection is what the others count from.
            if !tcp.flags.contains(TcpFlags::SYN) {
                changed.push(("seq", in_tcp(&|tcp| tcp.seq += 1)));
            }
            changed.push(("ack", in_tcp(&|tcp| tcp.ack = Some(tcp.ack.unwrap_or(0) + 1))));
            changed.push(("length", in_tcp(&|tcp| tcp.len += 1)));
            changed.push(("urgent", in_tcp(&|tcp| tcp.urgent = 1)));
            for dropped in 0..tcp.options.as_ref().map_or(0, Vec::len) {
                changed.push((
                    "option dropped",
                    in_tcp(&|tcp| drop(tcp.options.as_mut().map(|options| options.remove(dropped)))),
                ));
            }
            changed.push((
                "option",
                in_tcp(&|tcp| {
                    let options = tcp.options.get_or_insert_default();
                    options.push(narrows_packetdrill::script::OptionSpec::Nop);
                }),
            ));
            if tcp.window.is_some() {
                changed.push(("window", in_tcp(&|tcp| tcp.window = tcp.window.map(|window| window ^ 1))));
            }
            for (name, by) in [("later", 5_000_000), ("earlier", -5_000_000)] {
                let mut copy = script.clone();
                let time = &mut copy.events[index].time;
                *time = match *time {
                    Time::Relative(t) => Time::Relative(t + by),
                    Time::RelativeRange(a, b) => Time::RelativeRange(a + by, b + by),
                    other => other,
                };
                changed.push((name, copy));
            }
        }
        Action::Call(call) => {
            // Which number a new file gets is up to the script.
            let opens = ["socket", "accept", "epoll_create"].contains(&call.name.as_str());
            if !opens {
                change("result", &|copy| {
                    if let Action::Call(call) = &mut copy.events[index].action {
                        call.result = call.result.map(|result| result + 1);
                        call.errno = None;
                    }
                });
            }
            if call.errno.is_some() {
                change("error", &|copy| {
                    if let Action::Call(call) = &mut copy.events[index].action {
                        call.errno = Some("EMSGSIZE".into());
                    }
                });
            }
            change("return", &|copy| {
                if let Action::Call(call) = &mut copy.events[index].action {
                    call.returns = call.returns.map(|at| at + 5_000_000);
                }
            });
        }
        Action::Code(text) => {
            change("assertion", &|copy| {
                if let Action::Code(code) = &mut copy.events[index].action {
                    *code = code.replace("assert ", "assert not ");
                }
            });
            // Each number that something is to be equal to, for itself.
            for (at, _) in text.match_indices("== ") {
                let begin = at + 3;
                let digits = text[begin..].bytes().take_while(u8::is_ascii_digit).count();
                let Ok(number) = text[begin..begin + digits].parse::<u64>() else { continue };
                change("asserted number", &|copy| {
                    if let Action::Code(code) = &mut copy.events[index].action {
                        code.replace_range(begin..begin + digits, &(number + 1).to_string());
                    }
                });
            }
        }
        Action::Packet(_) | Action::Command(_) => {}
    }
    changed
}

#[test]
fn a_script_with_one_wrong_expectation_fails() {
    let mut tried = 0;
    let mut passed = Vec::new();
    for (path, script) in scripts() {
        for index in 0..script.events.len() {
            for (what, wrong) in changes(&script, index) {
                tried += 1;
                let outcome = run_parsed(&wrong, path.parent(), &settings(IpVersion::Ipv4));
                if !matches!(outcome, Err(ScriptError::Mismatch { .. })) {
                    let line = script.events[index].line;
                    passed.push(format!("{}, line {line}: {what}: {outcome:?}", path.display()));
                }
            }
        }
    }
    assert!(tried > 1000, "{tried} changes");
    assert!(passed.is_empty(), "{} of {tried} changes went unnoticed:\n{}", passed.len(), passed.join("\n"));
}
