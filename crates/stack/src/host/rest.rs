//! Which connections rest? Those on which nothing has happened for a while, beside the ones used last.
//!
//! Nothing wakes the host for this: whenever it is asked for a packet and has none, it looks at two of them at most. A
//! connection wakes by whatever happens to it, and does then what it would have done without the rest.

use super::{Host, Slot, SocketId};
use crate::Instant;
use crate::tcp::connection::Connection;
use crate::tcp::rest::Resting;
use std::collections::VecDeque;
use std::time::Duration;

/// So many connections stay awake whatever happens: a host that has no more has nothing to gain.
const ALWAYS_AWAKE: usize = 64;
/// How long nothing must have happened: as long as the shortest delayed ACK takes, so that an exchange is not cut in two.
const SILENCE: Duration = Duration::from_millis(40);
/// Connections that one call looks at.
const AT_ONCE: usize = 2;

/// Pieces of memory kept for connections that wake.
const SPARE: usize = 16;

/// The connections that are awake.
#[derive(Debug)]
pub(super) struct Awake {
    /// With the time of the latest look, in its order.
    looked_at: VecDeque<(SocketId, Instant)>,
    /// Memory of connections that have been packed away, for those that wake next.
    #[expect(clippy::vec_box, reason = "the boxes are what is kept")]
    spare: Vec<Box<Connection>>,
    always: usize,
    silence: Duration,
}

impl Default for Awake {
    fn default() -> Awake {
        Awake { looked_at: VecDeque::new(), spare: Vec::new(), always: ALWAYS_AWAKE, silence: SILENCE }
    }
}

impl Awake {
    pub(super) fn memory_bytes(&self) -> u64 {
        (self.looked_at.capacity() * size_of::<(SocketId, Instant)>()) as u64
    }
}

impl Host {
    /// How many connections stay ready for their next packet at least (64 unless told), and after which silence the others are packed
    /// away (40 ms). Packed, one takes about a quarter of the memory, and two microseconds more for its next packet; nothing else changes.
    pub fn set_awake(&mut self, always: usize, silence: Duration) {
        self.awake.always = always;
        self.awake.silence = silence;
    }

    /// A connection has nothing more to send for now.
    pub(super) fn settle(&mut self, now: Instant, slot: usize) {
        if let Slot::Connection(connection) = &mut self.slots[slot]
            && !std::mem::replace(&mut connection.is_listed, true)
        {
            self.awake.looked_at.push_back((connection.id, now));
        }
        self.let_some_rest(now);
    }

    /// Looks at those that were looked at longest ago.
    pub(super) fn let_some_rest(&mut self, now: Instant) {
        for _ in 0..AT_ONCE {
            if self.awake.looked_at.len() <= self.awake.always {
                return;
            }
            match self.awake.looked_at.front() {
                Some((id, looked)) if now.since(*looked) >= self.awake.silence => {
                    let id = *id;
                    self.awake.looked_at.pop_front();
                    self.look_at(now, id);
                }
                _ => return,
            }
        }
    }

    /// Packs the connection away, or puts it at the end of the queue.
    fn look_at(&mut self, now: Instant, id: SocketId) {
        let slot = super::table::slot_of(id);
        let Some(Slot::Connection(connection)) = self.slots.get(slot) else { return };
        if connection.id != id {
            return;
        }
        let silent = now.since(connection.last_activity()) >= self.awake.silence && !self.is_ready[slot];
        match silent.then(|| Resting::new(connection)).flatten() {
            Some(resting) => {
                let before = std::mem::replace(&mut self.slots[slot], Slot::Resting(Box::new(resting)));
                if let Slot::Connection(connection) = before
                    && self.awake.spare.len() < SPARE
                {
                    self.awake.spare.push(connection);
                }
            }
            None => self.awake.looked_at.push_back((id, now)),
        }
    }

    /// Something is about to happen to a connection: if it rests, it rests no longer.
    pub(super) fn wake(&mut self, now: Instant, slot: usize) {
        let Some(Slot::Resting(resting)) = self.slots.get(slot) else { return };
        let mut connection = self.unpacked(resting);
        connection.is_listed = true;
        self.awake.looked_at.push_back((connection.id, now));
        let boxed = match self.awake.spare.pop() {
            Some(mut spare) => {
                *spare = connection;
                spare
            }
            None => Box::new(connection),
        };
        self.slots[slot] = Slot::Connection(boxed);
    }

    /// What a connection at rest is when awake.
    pub(super) fn unpacked(&self, resting: &Resting) -> Connection {
        let mut connection = resting.unpack();
        connection.device_full = self.is_full(connection.interface);
        connection
    }
}
