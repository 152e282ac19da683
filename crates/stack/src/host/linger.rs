//! How does whoever closes a socket learn that all it wrote has arrived? SO_LINGER with a time.
//!
//! As on Linux the connection itself ends as it would in the background: the application waits until the peer has acknowledged the last
//! byte and the FIN, or until its time is up, and then what is left is still sent (measured on Linux 6.18, where the descriptions of
//! other systems have a RST).

use super::{Event, Host, Slot, SocketError, SocketId};
use crate::Instant;
use crate::tcp::connection::{Connection, State};
use std::time::Duration;

impl Host {
    /// Gives the socket up as [`Host::tcp_close`] does; [`Event::Lingered`] follows when the peer has acknowledged all of it, when the
    /// connection is over, or after `patience`.
    ///
    /// # Errors
    /// [`SocketError::UnknownSocket`].
    pub fn tcp_close_lingering(
        &mut self,
        now: Instant,
        socket: SocketId,
        patience: Duration,
    ) -> Result<(), SocketError> {
        self.check_owned(socket)?;
        self.lingering.insert(socket, now + patience);
        self.tcp_close(now, socket)
    }

    /// Whether somebody still waits for what [`Host::tcp_close_lingering`] closed.
    #[must_use]
    pub fn tcp_is_lingering(&self, socket: SocketId) -> bool {
        self.lingering.contains_key(&socket)
    }

    fn end_lingering(&mut self, socket: SocketId, complete: bool) {
        self.lingering.remove(&socket);
        self.events.push_back(Event::Lingered { socket, complete });
    }

    /// Something has happened to the connection of a slot.
    pub(super) fn note_lingering(&mut self, slot: usize) {
        let Some(Slot::Connection(connection)) = self.slots.get(slot) else { return };
        let (socket, over, complete) = (connection.id, !connection.lingers(), acknowledged(connection));
        if over && self.lingering.contains_key(&socket) {
            self.end_lingering(socket, complete);
        }
    }

    /// When the first of those who wait loses patience.
    pub(super) fn lingering_deadline(&self) -> Option<Instant> {
        self.lingering.values().min().copied()
    }

    /// Those whose time is up go on without an answer.
    pub(super) fn give_up_lingering(&mut self, now: Instant) {
        while let Some(socket) =
            self.lingering.iter().find(|(_, until)| **until <= now).map(|(socket, _)| *socket)
        {
            self.end_lingering(socket, false);
        }
    }
}

/// The peer has acknowledged the FIN.
fn acknowledged(connection: &Connection) -> bool {
    match connection.state {
        State::FinWait2 => true,
        State::Closed => connection.ended_in_order(),
        _ => false,
    }
}
