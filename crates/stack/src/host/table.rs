//! Where are the host's connections, and what follows when something has happened to one?

use super::{Event, Host, ListenerId, Slot, SocketError, SocketId, Transmit};
use crate::Instant;
use crate::counters::Counter;
use crate::tcp::connection::{Connection, Context, Owner, State};
use crate::tcp::listen::Listener;
use crate::tcp::listen::request::Request;
use crate::tcp::time_wait::TimeWait;

impl Host {
    /// The application has this socket.
    pub(super) fn check_owned(&self, socket: SocketId) -> Result<(), SocketError> {
        let (id, owner) = match self.slots.get(slot_of(socket)) {
            Some(Slot::Connection(connection)) => (connection.id, connection.owner),
            Some(Slot::Resting(resting)) => (resting.id, resting.owner),
            _ => return Err(SocketError::UnknownSocket),
        };
        if id == socket && owner == Owner::Application { Ok(()) } else { Err(SocketError::UnknownSocket) }
    }

    /// What a socket of the application shows of itself.
    pub(super) fn look<T>(
        &self,
        socket: SocketId,
        look: impl FnOnce(&Connection) -> T,
    ) -> Result<T, SocketError> {
        self.check_owned(socket)?;
        match &self.slots[slot_of(socket)] {
            Slot::Connection(connection) => Ok(look(connection)),
            Slot::Resting(resting) => Ok(look(&self.unpacked(resting))),
            Slot::Free | Slot::Request(_) | Slot::TimeWait(_) => Err(SocketError::UnknownSocket),
        }
    }

    /// A call of the application on one of its sockets.
    pub(super) fn call<T>(
        &mut self,
        now: Instant,
        socket: SocketId,
        call: impl FnOnce(&mut Connection, &mut Context<'_>) -> T,
    ) -> Result<T, SocketError> {
        self.check_owned(socket)?;
        let slot = slot_of(socket);
        let (connection, mut context) = self.connection(now, slot).ok_or(SocketError::UnknownSocket)?;
        let result = call(connection, &mut context);
        self.after(slot);
        Ok(result)
    }

    /// A connection together with what it may use of the host.
    pub(super) fn connection(&mut self, now: Instant, slot: usize) -> Option<(&mut Connection, Context<'_>)> {
        self.wake(now, slot);
        let Some(Slot::Connection(connection)) = self.slots.get_mut(slot) else { return None };
        let context = Context {
            now,
            codepoint: self.arriving,
            random: &mut self.random,
            counters: &mut self.counters,
            challenges: &mut self.challenges,
            events: &mut self.events,
            replies: &mut self.replies,
        };
        Some((connection, context))
    }

    /// What a connection outside the table may use of the host.
    pub(super) fn context(&mut self, now: Instant) -> Context<'_> {
        Context {
            now,
            codepoint: self.arriving,
            random: &mut self.random,
            counters: &mut self.counters,
            challenges: &mut self.challenges,
            events: &mut self.events,
            replies: &mut self.replies,
        }
    }

    /// Something has happened to a connection: it may have something to send, wait for another time, or be over.
    pub(super) fn after(&mut self, slot: usize) {
        if !self.lingering.is_empty() {
            self.note_lingering(slot);
        }
        let Slot::Connection(connection) = &mut self.slots[slot] else { return };
        if connection.state != State::Closed {
            if let Some(deadline) = connection.deadline() {
                self.timers.note(slot, deadline);
            }
            if !self.is_ready[slot] {
                self.is_ready[slot] = true;
                self.ready.push_back(slot);
            }
            return;
        }
        let wait = connection.take_time_wait();
        let unowned = connection.owner == Owner::Nobody;
        let tuple = connection.tuple;
        self.demux.remove_connection(&tuple, slot);
        self.timers.remove(slot);
        if unowned {
            self.release(slot);
        }
        if let Some(wait) = wait {
            // The peer that misses the last ACK then hears a RST: the price of bounded memory (as Linux).
            if self.time_waits >= self.config.knobs.system.max_tw_buckets as usize {
                self.counters.count(Counter::TimeWaitOverflow);
                return;
            }
            self.time_waits += 1;
            let slot = self.allocate();
            self.timers.note(slot, wait.until);
            self.demux.add_connection(&wait.tuple, slot);
            self.slots[slot] = Slot::TimeWait(wait);
        }
    }

    pub(super) fn allocate(&mut self) -> usize {
        if let Some(slot) = self.free.pop() {
            return slot;
        }
        self.slots.push(Slot::Free);
        self.generations.push(0);
        self.is_ready.push(false);
        self.slots.len() - 1
    }

    pub(super) fn release(&mut self, slot: usize) {
        let tuple = match &self.slots[slot] {
            Slot::Free => return,
            Slot::Request(request) => {
                let (tuple, listener, young) = (request.tuple, request.listener, request.is_young());
                if let Some(listener) = self.listener_mut(listener) {
                    listener.syns.on_ended(young);
                }
                tuple
            }
            Slot::Connection(connection) => {
                self.orphans -= usize::from(connection.owner == Owner::Nobody);
                connection.tuple
            }
            Slot::Resting(resting) => resting.tuple(),
            Slot::TimeWait(wait) => {
                self.time_waits -= 1;
                wait.tuple
            }
        };
        self.demux.remove_connection(&tuple, slot);
        self.timers.remove(slot);
        self.slots[slot] = Slot::Free;
        // A slot that has been used four thousand million times retires: ids are never used twice.
        if let Some(generation) = self.generations[slot].checked_add(1) {
            self.generations[slot] = generation;
            self.free.push(slot);
        }
    }

    /// Memory of all connections and of what waits to be sent and told, bytes. Looks at every connection: for tests and
    /// for a look now and then.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        let row =
            size_of::<Slot>() + size_of::<u32>() + 1 + size_of::<(Instant, usize)>() + 2 * size_of::<usize>();
        let rows: u64 = self.slots.iter().map(|slot| (row as u64) + slot.memory_bytes()).sum();
        let queues =
            self.replies.capacity() * size_of::<Transmit>() + self.events.capacity() * size_of::<Event>();
        rows + queues as u64 + self.awake.memory_bytes() + self.udp.memory_bytes()
    }

    pub(super) fn listener(&self, id: ListenerId) -> Option<&Listener> {
        self.listeners.get(usize::try_from(id.0).ok()?)?.as_ref()
    }

    pub(super) fn listener_mut(&mut self, id: ListenerId) -> Option<&mut Listener> {
        self.listeners.get_mut(usize::try_from(id.0).ok()?)?.as_mut()
    }
}

impl Slot {
    fn memory_bytes(&self) -> u64 {
        match self {
            Slot::Free => 0,
            Slot::Request(_) => size_of::<Request>() as u64,
            Slot::TimeWait(_) => size_of::<TimeWait>() as u64,
            Slot::Connection(connection) => connection.memory_bytes(),
            Slot::Resting(resting) => resting.memory_bytes(),
        }
    }
}

/// The name of what lives in a row of the table at the row's so many-th use.
pub(super) fn id_of(generation: u32, slot: usize) -> SocketId {
    SocketId(u64::from(generation) << 32 | slot as u64)
}

/// Which row of the table an id names.
pub(super) fn slot_of(socket: SocketId) -> usize {
    (socket.0 & 0xffff_ffff) as usize
}
