//! Which sockets does an epoll instance watch, and what does it report of them? epoll_ctl, epoll_wait.

use crate::arguments::Arguments;
use crate::error::ScriptError;
use crate::operation::{EPOLLET, EPOLLONESHOT, Outcome, POLLERR, POLLHUP, readiness};
use crate::script::Value;
use crate::world::{File, Watch, World};

/// struct epoll_event: the events, and what the caller knows the socket by, one union under four names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpollEvent {
    pub events: i64,
    pub data: i64,
}

impl EpollEvent {
    pub fn read(a: &Arguments<'_>, value: &Value) -> Result<EpollEvent, ScriptError> {
        const DATA: [&str; 4] = ["fd", "ptr", "u32", "u64"];
        let Value::Struct(fields) = value else { return Err(a.bad("a struct epoll_event was expected")) };
        a.only_fields(fields, &["events", "fd", "ptr", "u32", "u64"])?;
        let events = a.field(fields, "events").ok_or_else(|| a.bad("events is missing"))?;
        let data = DATA.iter().find_map(|name| a.field(fields, name)).map(|value| a.number_of(value));
        Ok(EpollEvent { events: a.number_of(events)?, data: data.transpose()?.unwrap_or(0) })
    }
}

/// epoll_ctl(2).
pub(crate) fn control(world: &mut World, a: &Arguments<'_>) -> Result<Outcome, ScriptError> {
    let (file, command, target) = (a.number(0)?, a.word(1)?, a.number(2)?);
    let event = match (command, a.value(3)?) {
        ("EPOLL_CTL_DEL", Value::Ellipsis) => EpollEvent { events: 0, data: 0 },
        (_, value) => EpollEvent::read(a, value)?,
    };
    if !world.files.contains_key(&target) {
        return Ok(Outcome::error("EBADF"));
    }
    let Some(File::Epoll(watches)) = world.files.get_mut(&file) else {
        return Ok(Outcome::error("EINVAL"));
    };
    let there = watches.contains_key(&target);
    match command {
        "EPOLL_CTL_ADD" if there => return Ok(Outcome::error("EEXIST")),
        "EPOLL_CTL_MOD" | "EPOLL_CTL_DEL" if !there => return Ok(Outcome::error("ENOENT")),
        "EPOLL_CTL_ADD" | "EPOLL_CTL_MOD" => {
            watches.insert(target, Watch { event, reported: None, spent: false });
        }
        "EPOLL_CTL_DEL" => {
            watches.remove(&target);
        }
        other => return Err(a.bad(format!("\"{other}\" is not known"))),
    }
    Ok(Outcome::ok(0))
}

/// epoll_wait(2) of one event. Where nothing is reported the caller's struct stays empty.
pub fn wait(
    world: &mut World,
    file: i64,
    expected: Option<EpollEvent>,
    until: Option<i64>,
) -> Option<Outcome> {
    let Some(File::Epoll(watches)) = world.files.get(&file) else { return Some(Outcome::error("EINVAL")) };
    let mut found = None;
    for (socket, watch) in watches.clone() {
        let asked = watch.event.events;
        let ready = readiness(world, socket).unwrap_or(0) & (asked | POLLERR | POLLHUP);
        let Some(File::Socket(state)) = world.files.get(&socket) else { continue };
        let stale = asked & EPOLLET != 0 && watch.reported == Some(state.wakeups);
        if ready != 0 && !watch.spent && !stale {
            found = Some((socket, EpollEvent { events: ready, data: watch.event.data }, state.wakeups));
            break;
        }
    }
    if found.is_none() && until.is_none_or(|until| world.now() < until) {
        return None;
    }
    let mut seen = EpollEvent { events: 0, data: 0 };
    if let Some((socket, event, wakeups)) = found {
        seen = event;
        if let Some(File::Epoll(watches)) = world.files.get_mut(&file)
            && let Some(watch) = watches.get_mut(&socket)
        {
            watch.reported = Some(wakeups);
            watch.spent = watch.event.events & EPOLLONESHOT != 0;
        }
    }
    let problem = expected.filter(|expected| *expected != seen).map(|expected| {
        format!(
            "events {:#x} with data {} were expected, {:#x} with {} were seen",
            expected.events, expected.data, seen.events, seen.data
        )
    });
    Some(Outcome { value: i64::from(found.is_some()), errno: None, problem })
}
