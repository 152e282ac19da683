//! What is kept of a connection on which nothing happens? All that it knows, packed: a quarter of what one at work takes.
//!
//! Everything is written down and read back as it was, so that a connection that has rested does what it would have done; only
//! queues are left out, and a connection rests while they are empty. What is one of many (the knobs) stays shared.

use super::connection::{Connection, Due, Owner, State};
use crate::pack::{Pack, Packer, Unpacker};
use crate::socket::demux::FourTuple;
use crate::{Instant, InterfaceId, Knobs, SocketId};
use std::sync::Arc;

/// More than any connection takes when it is packed, bytes; one that took more would stay awake.
const ROOM: usize = 2_048;

/// A connection at rest.
#[derive(Debug)]
pub(crate) struct Resting {
    pub(crate) id: SocketId,
    pub(crate) owner: Owner,
    knobs: Arc<Knobs>,
    deadline: Instant,
    /// The tuple first, then the interface.
    packed: Box<[u8]>,
}

impl Resting {
    /// Packs the connection; `None` when it may not rest.
    pub(crate) fn new(connection: &Connection) -> Option<Resting> {
        if !connection.may_rest() {
            return None;
        }
        let mut room = [0; ROOM];
        let mut packer = Packer::new(&mut room);
        connection.pack(&mut packer);
        let length = packer.finish()?;
        let resting = Resting {
            id: connection.id,
            owner: connection.owner,
            knobs: Arc::clone(&connection.knobs),
            deadline: connection.deadline().unwrap_or(Instant::FAR_FUTURE),
            packed: Box::from(&room[..length]),
        };
        debug_assert_eq!(format!("{connection:?}"), resting.shown_as(connection), "packed is as it was");
        Some(resting)
    }

    /// What is packed, in full, with what the host knows of `connection`.
    fn shown_as(&self, connection: &Connection) -> String {
        let (device_full, is_listed) = (connection.device_full, connection.is_listed);
        format!("{:?}", Connection { device_full, is_listed, ..self.unpack() })
    }

    /// The connection as it was, but for what its host knows: whether the device is full.
    pub(crate) fn unpack(&self) -> Connection {
        Connection::unpack(self)
    }

    /// Its two ends.
    pub(crate) fn tuple(&self) -> FourTuple {
        Unpacker::new(&self.packed).take()
    }

    /// The interface that it uses.
    pub(crate) fn interface(&self) -> InterfaceId {
        let (_, interface): (FourTuple, InterfaceId) = Unpacker::new(&self.packed).take();
        interface
    }

    pub(crate) fn knobs(&self) -> &Knobs {
        &self.knobs
    }

    /// As of the connection.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        (self.deadline != Instant::FAR_FUTURE).then_some(self.deadline)
    }

    /// Memory of all of it, bytes.
    pub(crate) fn memory_bytes(&self) -> u64 {
        (size_of::<Resting>() + self.packed.len()) as u64
    }
}

// The tuple and the interface come first, then everything else but what stays beside them.
macro_rules! pack_connection {
    ($($field:ident),* $(,)?) => {
        impl Connection {
            fn pack(&self, to: &mut Packer<'_>) {
                self.tuple.pack(to);
                self.interface.pack(to);
                $(self.$field.pack(to);)*
            }

            fn unpack(resting: &Resting) -> Connection {
                let mut from = Unpacker::new(&resting.packed);
                Connection {
                    tuple: from.take(),
                    interface: from.take(),
                    $($field: from.take(),)*
                    id: resting.id,
                    owner: resting.owner,
                    knobs: Arc::clone(&resting.knobs),
                    due: Due::default(),
                    device_full: false,
                    time_wait: None,
                    next_route: None,
                    is_listed: false,
                }
            }
        }
    };
}

pack_connection!(
    state,
    passive,
    error,
    tick,
    path,
    interface_mtu,
    mtu_probe,
    loss_by_size,
    suspicion,
    offload,
    offer,
    negotiated,
    timestamps,
    timers,
    rtt,
    ecn,
    snd,
    rcv,
    answers,
    stats,
    chrono,
    reasons,
    unanswered_since,
    probing_since,
    handshake_sent,
    identification,
    mss_floor,
);

impl Connection {
    /// Nothing is under way: all that was sent has arrived, nothing waits to be sent, read or acknowledged.
    fn may_rest(&self) -> bool {
        matches!(self.state, State::Established | State::FinWait2 | State::CloseWait)
            && self.owner != Owner::Nobody
            && self.due == Due::default()
            && self.time_wait.is_none()
            && self.next_route.is_none()
            && !self.snd.in_flight()
            && self.snd.buffer.is_at_rest()
            && self.snd.queue.is_empty()
            && self.snd.recovery.scoreboard().is_at_rest()
            && self.rcv.assembler.is_empty()
            && !self.rcv.ack.is_scheduled()
    }

    /// When anything last came or left.
    pub(crate) fn last_activity(&self) -> Instant {
        self.rcv.last_arrival.max(self.snd.last_transmission)
    }
}
