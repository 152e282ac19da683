//! Who waits for what on a host, and where do its packets go? The stack, its sleepers and its wire behind one lock.
//!
//! A call of a program on a socket does its work at once, as a system call does: what it lets go is on the wire when the call
//! returns.

use crate::buffers::Buffers;
use narrows_stack::{self as stack, Event, Instant, ListenerId, SocketId, Transmit, UdpEvent, UdpSocketId};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

/// What carries a host's packets, and tells it the time.
pub(crate) trait Wire: Send {
    /// The time.
    fn now(&self) -> Instant;
    /// A packet leaves.
    fn transmit(&mut self, now: Instant, transmit: Transmit);
    /// Gives back the memory of datagrams that the device has sent by now; with `awaited`, the host is to be looked at when there is more.
    fn release(&mut self, now: Instant, awaited: bool);
    /// Everything that could leave has left; `next` is when the stack wants to be looked at again.
    fn settled(&mut self, now: Instant, next: Option<Instant>);
    /// The address that a name stands for.
    fn resolve(&self, name: &str) -> Option<IpAddr>;
    /// For the driver that knows which wire it is.
    #[cfg(all(feature = "tun", target_os = "linux"))]
    fn as_any(&mut self) -> &mut dyn std::any::Any;
}

/// Those who wait on one socket.
#[derive(Debug, Default)]
struct Sleepers {
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// Which of a socket's two directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Read,
    Write,
}

/// A host and all that belongs to it.
pub(crate) struct State {
    pub(crate) stack: stack::Host,
    pub(crate) wire: Box<dyn Wire>,
    sleepers: HashMap<SocketId, Sleepers>,
    acceptors: HashMap<ListenerId, Vec<Waker>>,
    /// Those who wait for datagrams: any number of tasks may, on one socket.
    datagram_readers: HashMap<UdpSocketId, Vec<Waker>>,
    /// Those who wait for room in a socket's send buffer.
    datagram_writers: HashMap<UdpSocketId, Vec<Waker>>,
    woken: Vec<Waker>,
    /// Sockets that were closed with SO_LINGER and whose time of waiting is over, with whether everything has arrived.
    lingered: HashMap<SocketId, bool>,
    /// What programs have written lies in these until it is acknowledged.
    pub(crate) written: Arc<Buffers>,
}

/// So much memory for what is written waits to be used again: what one connection may have in flight (tcp_wmem's largest).
const WRITTEN_BYTES: usize = 4 << 20;

impl State {
    fn new(stack: stack::Host, wire: Box<dyn Wire>) -> State {
        State {
            stack,
            wire,
            sleepers: HashMap::new(),
            acceptors: HashMap::new(),
            datagram_readers: HashMap::new(),
            datagram_writers: HashMap::new(),
            woken: Vec::new(),
            lingered: HashMap::new(),
            written: Buffers::new(WRITTEN_BYTES),
        }
    }

    /// Lets all packets go that may go, and finds out who has to be woken.
    pub(crate) fn settle(&mut self, now: Instant) {
        while let Some(transmit) = self.stack.poll_transmit(now) {
            self.wire.transmit(now, transmit);
        }
        while let Some(event) = self.stack.poll_event() {
            self.note(event);
        }
        while let Some(UdpEvent::Readable(socket) | UdpEvent::Error(socket)) = self.stack.poll_udp_event() {
            if let Some(readers) = self.datagram_readers.get_mut(&socket) {
                self.woken.append(readers);
            }
        }
        self.release(now);
        self.wake_writers();
        let next = self.stack.poll_timeout();
        self.wire.settled(now, next);
    }

    /// What the device has sent takes no room any more.
    pub(crate) fn release(&mut self, now: Instant) {
        self.wire.release(now, !self.datagram_writers.is_empty());
    }

    fn wake_writers(&mut self) {
        let (stack, woken) = (&self.stack, &mut self.woken);
        self.datagram_writers.retain(|socket, writers| {
            let waiting = stack.udp_is_writable(*socket) == Ok(false);
            if !waiting {
                woken.append(writers);
            }
            waiting
        });
    }

    /// Those who have to be woken, once the lock is released.
    pub(crate) fn take_woken(&mut self, woken: &mut Vec<Waker>) {
        woken.append(&mut self.woken);
    }

    fn note(&mut self, event: Event) {
        let (socket, read, write) = match event {
            Event::Acceptable(listener) => {
                if let Some(acceptors) = self.acceptors.get_mut(&listener) {
                    self.woken.append(acceptors);
                }
                return;
            }
            Event::Readable(socket) => (socket, true, false),
            Event::Writable(socket) => (socket, false, true),
            Event::Connected(socket) | Event::Closed(socket, _) => (socket, true, true),
            Event::Lingered { socket, complete } => {
                if self.sleepers.contains_key(&socket) {
                    self.lingered.insert(socket, complete);
                }
                (socket, true, true)
            }
        };
        let Some(sleepers) = self.sleepers.get_mut(&socket) else { return };
        let reader = if read { sleepers.reader.take() } else { None };
        let writer = if write { sleepers.writer.take() } else { None };
        self.woken.extend(reader.into_iter().chain(writer));
    }

    /// The task waits until something happens on that side of the socket.
    pub(crate) fn sleep(&mut self, socket: SocketId, side: Side, context: &Context<'_>) {
        let sleepers = self.sleepers.entry(socket).or_default();
        let place = match side {
            Side::Read => &mut sleepers.reader,
            Side::Write => &mut sleepers.writer,
        };
        match place {
            Some(waker) => waker.clone_from(context.waker()),
            None => *place = Some(context.waker().clone()),
        }
    }

    /// The task waits until a connection can be accepted.
    pub(crate) fn sleep_for_accept(&mut self, listener: ListenerId, context: &Context<'_>) {
        join(self.acceptors.entry(listener).or_default(), context);
    }

    /// The task waits until a datagram, or an error, can be read.
    pub(crate) fn sleep_for_datagram(&mut self, socket: UdpSocketId, context: &Context<'_>) {
        join(self.datagram_readers.entry(socket).or_default(), context);
    }

    /// The task waits until there is room to send a datagram.
    pub(crate) fn sleep_for_room(&mut self, socket: UdpSocketId, context: &Context<'_>) {
        join(self.datagram_writers.entry(socket).or_default(), context);
    }

    /// A program holds that UDP socket.
    pub(crate) fn hold_udp(&mut self, socket: UdpSocketId) {
        self.datagram_readers.entry(socket).or_default();
    }

    /// Nobody will wait on that UDP socket any more.
    pub(crate) fn forget_udp(&mut self, socket: UdpSocketId) {
        self.datagram_readers.remove(&socket);
        self.datagram_writers.remove(&socket);
    }

    /// A program holds that socket.
    pub(crate) fn hold(&mut self, socket: SocketId) {
        self.sleepers.entry(socket).or_default();
    }

    /// Nobody will wait on that socket any more.
    pub(crate) fn forget(&mut self, socket: SocketId) {
        self.sleepers.remove(&socket);
        self.lingered.remove(&socket);
    }

    /// Whether waiting for the end of what was closed is over, and if so whether everything has arrived.
    pub(crate) fn lingered(&self, socket: SocketId) -> Option<bool> {
        self.lingered.get(&socket).copied()
    }

    /// Nobody will wait on that listener any more; those who do find out.
    pub(crate) fn forget_listener(&mut self, listener: ListenerId) {
        if let Some(mut acceptors) = self.acceptors.remove(&listener) {
            self.woken.append(&mut acceptors);
        }
    }

    /// Sockets that programs hold.
    pub(crate) fn sockets_in_use(&self) -> usize {
        self.sleepers.len() + self.datagram_readers.len()
    }
}

/// The task joins those who wait, once.
fn join(waiting: &mut Vec<Waker>, context: &Context<'_>) {
    if !waiting.iter().any(|waker| waker.will_wake(context.waker())) {
        waiting.push(context.waker().clone());
    }
}

/// What all sockets of a host share.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Mutex<State>>);

impl Shared {
    pub(crate) fn new(stack: stack::Host, wire: Box<dyn Wire>) -> Shared {
        Shared(Arc::new(Mutex::new(State::new(stack, wire))))
    }

    /// A panic elsewhere leaves a stack that is as good as after a lost call.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a call that may let packets go. Those whom it concerns are woken after the lock is released.
    pub(crate) fn call<T>(&self, call: impl FnOnce(&mut State, Instant) -> T) -> T {
        let mut state = self.lock();
        let now = state.wire.now();
        let result = call(&mut state, now);
        state.settle(now);
        let woken = std::mem::take(&mut state.woken);
        drop(state);
        woken.into_iter().for_each(Waker::wake);
        result
    }
}

/// A host that may be gone.
#[cfg(all(feature = "tun", target_os = "linux"))]
pub(crate) struct WeakShared(std::sync::Weak<Mutex<State>>);

#[cfg(all(feature = "tun", target_os = "linux"))]
impl Shared {
    pub(crate) fn downgrade(&self) -> WeakShared {
        WeakShared(Arc::downgrade(&self.0))
    }
}

#[cfg(all(feature = "tun", target_os = "linux"))]
impl WeakShared {
    pub(crate) fn upgrade(&self) -> Option<Shared> {
        self.0.upgrade().map(Shared)
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").finish_non_exhaustive()
    }
}
