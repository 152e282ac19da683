//! What do other tools say of the same path, and how long do they take?

use std::net::IpAddr;
use std::process::Command;
use std::time::{Duration, Instant};

/// One tool's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The tool.
    pub tool: &'static str,
    /// The path MTU that it names.
    pub mtu: Option<u32>,
    /// How long it took; `None` when it was ended after the limit.
    pub time: Option<Duration>,
}

/// The tools and their command lines.
const TOOLS: [(&str, &[&str]); 3] = [
    ("scamper", &["scamper", "-c", "trace -M", "-i"]),
    ("tracepath", &["tracepath", "-n", "-m", "8"]),
    ("traceroute --mtu", &["traceroute", "-n", "--mtu", "-m", "5"]),
];

/// The tools' names.
#[must_use]
pub fn names() -> Vec<&'static str> {
    TOOLS.iter().map(|(name, _)| *name).collect()
}

/// Runs every tool that is installed, one after the other, in the calling thread's network.
#[must_use]
pub fn ask(target: IpAddr, limit: Duration) -> Vec<Answer> {
    TOOLS.iter().filter_map(|(tool, line)| run(tool, line, target, limit)).collect()
}

fn run(tool: &'static str, line: &[&str], target: IpAddr, limit: Duration) -> Option<Answer> {
    let begun = Instant::now();
    let mut command = Command::new("timeout");
    command.arg(limit.as_secs().to_string()).args(line);
    command.arg(target.to_string());
    let output = command.output().ok()?;
    // 126, 127: the tool is not there. 124: ended by the limit.
    if matches!(output.status.code(), Some(126 | 127)) {
        return None;
    }
    let ended = output.status.code() == Some(124);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mtu = match tool {
        "scamper" => last_number_after(&text, "mtu: "),
        "tracepath" => last_number_after(&text, "pmtu "),
        _ => last_number_after(&text, "F="),
    };
    Some(Answer { tool, mtu, time: (!ended).then(|| begun.elapsed()) })
}

/// The last number that follows a word.
fn last_number_after(text: &str, word: &str) -> Option<u32> {
    let (_, rest) = text.rsplit_once(word)?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        assert_eq!(
            last_number_after(" 1: a pmtu 1500\n Resume: pmtu 1400 hops 2 back 2", "pmtu "),
            Some(1400)
        );
        assert_eq!(
            last_number_after("1  10.0.0.1  0.1 ms  F=1500\n2  10.0.0.2  F=1400  0.2 ms", "F="),
            Some(1400)
        );
        let text = " 2  10.99.2.254  0.357 ms [mtu: 1400]\n 3  10.99.9.1  0.399 ms [*mtu: 1400]\n";
        assert_eq!(last_number_after(text, "mtu: "), Some(1400));
        assert_eq!(last_number_after("nothing", "mtu: "), None);
    }
}
