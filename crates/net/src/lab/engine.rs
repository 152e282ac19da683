//! What happens when all tasks wait? The world's next event, at its nanosecond.
//!
//! tokio's clock stands still while the runtime is paused, and tokio's timers run on ticks of a millisecond counted from the
//! runtime's beginning. When no task can go on, the runtime calls [`Engine::park`]: it lets tokio's clock go on to the next
//! packet or to the next tick, whichever is first, so that packets keep their nanoseconds and tokio's timers their order with
//! them. `tests/contract.rs` pins what this leans on.

use super::wire::SharedDesk;
use crate::state::Shared;
use narrows_lab::{NodeId, World};
use narrows_stack::Instant;
use std::cell::RefCell;
use std::pin::{Pin, pin};
use std::task::{Context, Waker};
use std::time::Duration;
use tokio::time::Sleep;

/// tokio's ticks, nanoseconds.
const TICK_NS: u64 = 1_000_000;

/// A world together with the hosts that live on tokio's clock.
pub(super) struct Engine {
    pub(super) world: World,
    /// In the order of adding; `of_node` finds them.
    pub(super) hosts: Vec<Shared>,
    pub(super) of_node: Vec<Option<usize>>,
    pub(super) desk: SharedDesk,
    /// tokio's time at the world's beginning.
    pub(super) beginning: tokio::time::Instant,
    /// No task may go on after that.
    pub(super) limit: Instant,
    /// When something last happened in the world.
    pub(super) last_event: Instant,
    /// A timer of tokio's that ends its sleep at the world's next event.
    pub(super) guard: Option<Pin<Box<Sleep>>>,
    pub(super) stop: Option<Stopped>,
    /// The task that runs the lab.
    pub(super) root: Option<Waker>,
}

/// Why a lab was stopped before its future was ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    /// The time limit was reached; `busy` when something was still happening in the world then.
    Limit { busy: bool },
}

thread_local! {
    /// The engine of the lab that runs on this thread.
    pub(super) static ENGINE: RefCell<Option<Engine>> = const { RefCell::new(None) };
}

/// What the runtime calls when all its tasks wait.
pub(super) fn on_park() {
    let woken = ENGINE.with_borrow_mut(|engine| engine.as_mut().map(Engine::park));
    woken.into_iter().flatten().for_each(Waker::wake);
}

impl Engine {
    pub(super) fn now(&self) -> Instant {
        Instant::ZERO + tokio::time::Instant::now().saturating_duration_since(self.beginning)
    }

    /// Lets time go on until a task has to run, or until tokio has to look at its own timers.
    fn park(&mut self) -> Vec<Waker> {
        let mut woken = Vec::new();
        // tokio may have moved its clock since.
        let mut now = self.now();
        loop {
            self.collect(now);
            let next = self.next();
            if now >= self.limit {
                self.stop.get_or_insert(Stopped::Limit { busy: next.is_some() });
                woken.extend(self.root.take());
                return woken;
            }
            match next {
                Some(time) if time.as_nanos() / TICK_NS == now.as_nanos() / TICK_NS || time <= now => {
                    // Within a tick none of tokio's timers can end.
                    now = now.max(time);
                    self.happen(now, &mut woken);
                    if !woken.is_empty() {
                        self.collect(now);
                        self.move_clock(now);
                        return woken;
                    }
                }
                _ if !now.as_nanos().is_multiple_of(TICK_NS) => {
                    // To the tick's end: tokio's timers of that tick come before the packets after it.
                    self.move_clock(Instant::from_nanos((now.as_nanos() / TICK_NS + 1) * TICK_NS));
                    return woken;
                }
                next => {
                    if self.now() < now {
                        // Moving the clock keeps tokio from sleeping; it comes back.
                        self.move_clock(now);
                        return woken;
                    }
                    let wake = next.map_or(self.limit, |time| time.min(self.limit));
                    self.sleep_until(Duration::from_nanos(wake.as_nanos() / TICK_NS * TICK_NS));
                    return woken;
                }
            }
        }
    }

    /// Hands what hosts have sent to the world.
    fn collect(&mut self, now: Instant) {
        let leaving = std::mem::take(&mut self.desk.lock().leaving);
        for (node, transmit) in leaving {
            let sent = self.world.enter(now, node, transmit.interface, transmit.packet);
            if let (Some(sent), Some(host)) = (sent, self.number(node)) {
                self.desk.lock().unsent[host].keep(sent, transmit.memory);
            }
        }
    }

    /// When something happens next: to a packet, or at a host.
    fn next(&self) -> Option<Instant> {
        let deadlines = {
            let desk = self.desk.lock();
            (0..self.hosts.len()).filter_map(|host| desk.due(host)).min()
        };
        let events = self.world.next_event();
        let next = events.into_iter().chain(deadlines).min();
        next.filter(|time| *time < Instant::FAR_FUTURE)
    }

    /// Lets happen what is due at `now`.
    fn happen(&mut self, now: Instant, woken: &mut Vec<Waker>) {
        self.last_event = now;
        self.world.run_until(now);
        while let Some(left) = self.world.take_left() {
            let Some(number) = self.number(left.host) else { continue };
            let mut state = self.hosts[number].lock();
            state.stack.handle_packet(now, left.interface, left.packet);
            state.settle(now);
            state.take_woken(woken);
        }
        for (number, host) in self.hosts.iter().enumerate() {
            let due = self.desk.lock().due(number).is_some_and(|due| due <= now);
            if !due {
                continue;
            }
            let mut state = host.lock();
            state.stack.handle_timeout(now);
            state.settle(now);
            state.take_woken(woken);
            // A stack that asks for the past again would stop the world's time.
            let again = &mut self.desk.lock().deadlines[number];
            *again = again.map(|deadline| deadline.max(now + Duration::from_nanos(1)));
        }
    }

    fn number(&self, node: NodeId) -> Option<usize> {
        self.of_node.get(node.0 as usize).copied().flatten()
    }

    /// Moves tokio's clock forward, and lets tokio look at its timers without sleeping.
    fn move_clock(&self, to: Instant) {
        let step = to.since(self.now());
        // The first poll moves the clock; what follows only gives other tasks their turn.
        let _ = pin!(tokio::time::advance(step)).poll(&mut Context::from_waker(Waker::noop()));
    }

    /// tokio goes on to its next timer, but no further than to this time after the beginning.
    fn sleep_until(&mut self, time: Duration) {
        let deadline = self.beginning + time;
        let guard = self.guard.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        guard.as_mut().reset(deadline);
        let _ = guard.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }
}
