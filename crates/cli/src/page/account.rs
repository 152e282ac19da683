//! Where did the time go? One bar per part of the account.

use super::look::{DIM, LOST, left, right};
use super::paper::Paper;
use crate::units;
use anstyle::Style;
use narrows_trace::TimeAccount;
use std::time::Duration;

struct Part {
    label: &'static str,
    time: Duration,
    style: Style,
}

fn parts(account: &TimeAccount) -> [Part; 8] {
    let plain = Style::new();
    let part = |label, time, style| Part { label, time, style };
    [
        part("waiting for delayed ACKs", account.delayed_ack, LOST),
        part("waiting in Nagle", account.nagle, LOST),
        part("retransmission and timeouts", account.recovery, LOST),
        part("network round trips", account.network, plain),
        part("client thinking", account.client_thinking, plain),
        part("server thinking", account.server_thinking, plain),
        part("transmission and slow start", account.transmission, plain),
        part("unexplained", account.unexplained, DIM),
    ]
}

/// The largest part: its share and its name.
pub fn largest(account: &TimeAccount, duration: Duration) -> String {
    let parts = parts(account);
    let largest = parts.iter().max_by_key(|part| part.time).unwrap_or(&parts[0]);
    format!("{} of the time is {}", units::percent(units::share(largest.time, duration)), largest.label)
}

/// The account of `whose` time after an empty line, the largest part first; parts of no time are left out.
pub fn write(paper: &mut Paper, whose: &str, account: &TimeAccount, duration: Duration) {
    let mut parts = parts(account);
    parts.sort_by_key(|part| std::cmp::Reverse(part.time));
    let longest = parts[0].time;
    if longest.is_zero() {
        return;
    }
    paper.blank();
    paper.heading(&format!("Where {whose} {} went", units::duration(duration)));
    let look = paper.look;
    let label_columns = 27;
    let time_columns = 9;
    let room = look.width() - 2 - label_columns - 2 - time_columns - 6;
    for part in parts.iter().filter(|part| !part.time.is_zero()) {
        let bar = left(&look.bar(units::share(part.time, longest), room), room);
        let time = right(&look.spell(&units::duration(part.time)), time_columns);
        let percent = right(&units::percent(units::share(part.time, duration)), 6);
        let label = left(part.label, label_columns);
        let style = part.style;
        paper.line(format_args!("  {label}  {style}{bar}{style:#}{time}{percent}"));
    }
}
