//! What may an application ask of a host? The calls on sockets.

use super::address::EPHEMERAL_PORTS;
use super::table::{id_of, slot_of};
use super::{Host, ListenerId, SendFlags, Slot, SocketError, SocketId};
use crate::counters::Counter;
use crate::socket::demux::FourTuple;
use crate::tcp::connection::{Connection, Owner, State};
use crate::tcp::listen::Listener;
use crate::tcp::{SocketStatus, TcpInfo};
use crate::{Instant, Knobs};
use bytes::Bytes;
use std::net::SocketAddr;

impl Host {
    /// Listens on `local` (unspecified address: all addresses of the host; port 0: any free port).
    ///
    /// # Errors
    /// [`SocketError::AddressInUse`].
    pub fn tcp_listen(
        &mut self,
        local: SocketAddr,
        backlog: u32,
        knobs: Knobs,
    ) -> Result<ListenerId, SocketError> {
        let mut local = local;
        if local.port() == 0 {
            let free = EPHEMERAL_PORTS
                .map(|port| SocketAddr::new(local.ip(), port))
                .find(|candidate| !self.demux.listener_collides(*candidate));
            local = free.ok_or(SocketError::AddressInUse)?;
        }
        if self.demux.listener_collides(local) {
            return Err(SocketError::AddressInUse);
        }
        if !local.ip().is_unspecified() && !self.is_local(local.ip()) {
            return Err(SocketError::Unreachable);
        }
        let id = ListenerId(self.listeners.len() as u64);
        self.demux.add_listener(local, self.listeners.len());
        self.listeners.push(Some(Listener::new(id, local, backlog, self.shared_knobs.share(knobs))));
        Ok(id)
    }

    /// Replaces the knobs of a listener: connections that begin later have them.
    ///
    /// # Errors
    /// [`SocketError::UnknownSocket`].
    pub fn tcp_configure_listener(&mut self, listener: ListenerId, knobs: Knobs) -> Result<(), SocketError> {
        let knobs = self.shared_knobs.share(knobs);
        self.listener_mut(listener).ok_or(SocketError::UnknownSocket)?.knobs = knobs;
        Ok(())
    }

    /// Where the listener listens.
    #[must_use]
    pub fn tcp_listener_address(&self, listener: ListenerId) -> Option<SocketAddr> {
        self.listener(listener).map(|listener| listener.local)
    }

    /// Stops listening. Connections that were not accepted are reset; accepted ones live on, and handshakes that are not
    /// complete are forgotten.
    ///
    /// # Errors
    /// [`SocketError::UnknownSocket`].
    pub fn tcp_close_listener(&mut self, now: Instant, listener: ListenerId) -> Result<(), SocketError> {
        let index = usize::try_from(listener.0).unwrap_or(usize::MAX);
        let gone = self.listeners.get_mut(index).and_then(Option::take);
        let Listener { local, queue, syns, .. } = gone.ok_or(SocketError::UnknownSocket)?;
        self.demux.remove_listener(local);
        let mut slots: Vec<usize> = queue.into_waiting().map(slot_of).collect();
        if !syns.is_empty() {
            let begun = |slot: &Slot| matches!(slot, Slot::Request(request) if request.listener == listener);
            slots.extend((0..self.slots.len()).filter(|slot| begun(&self.slots[*slot])));
        }
        slots.sort_unstable();
        for slot in slots {
            if matches!(&self.slots[slot], Slot::Request(_)) {
                self.release(slot);
                continue;
            }
            if let Some((connection, mut context)) = self.connection(now, slot)
                && connection.owner == Owner::Listener(listener)
            {
                connection.owner = Owner::Nobody;
                connection.abort(&mut context, None);
                self.orphans += 1;
                self.after(slot);
            }
        }
        Ok(())
    }

    /// Takes an established connection off the listener's accept queue.
    pub fn tcp_accept(&mut self, listener: ListenerId) -> Option<SocketId> {
        loop {
            let id = self.listener_mut(listener)?.queue.pop()?;
            // The time does not matter here: nothing is sent.
            if let Some((connection, mut context)) = self.connection(Instant::ZERO, slot_of(id))
                && connection.id == id
            {
                connection.accepted(&mut context);
                return Some(id);
            }
        }
    }

    /// Begins to connect; [`Event::Connected`](super::Event::Connected) or [`Event::Closed`](super::Event::Closed) follows.
    ///
    /// # Errors
    /// [`SocketError::Unreachable`], [`SocketError::AddressInUse`].
    pub fn tcp_connect(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        local: Option<SocketAddr>,
        knobs: Knobs,
    ) -> Result<SocketId, SocketError> {
        let (interface, source) = self.route(remote.ip()).ok_or(SocketError::Unreachable)?;
        let address = match local.map(|local| local.ip()) {
            Some(address) if !address.is_unspecified() => {
                if address.is_ipv4() != remote.is_ipv4() || !self.is_local(address) {
                    return Err(SocketError::Unreachable);
                }
                address
            }
            _ => source,
        };
        let port = match local.map_or(0, |local| local.port()) {
            0 => self.ephemeral_port(address, remote).ok_or(SocketError::AddressInUse)?,
            port => port,
        };
        let tuple = FourTuple { local: SocketAddr::new(address, port), remote };
        if self.demux.connection(&tuple).is_some() {
            return Err(SocketError::AddressInUse);
        }
        self.counters.count(Counter::ActiveOpens);
        let slot = self.allocate();
        let knobs = self.shared_knobs.share(knobs);
        let id = id_of(self.generations[slot], slot);
        let begin = self.begin(now, id, tuple, interface, Owner::Application, knobs, None);
        self.demux.add_connection(&tuple, slot);
        self.slots[slot] = Slot::Connection(Box::new(Connection::connect(now, begin)));
        self.after(slot);
        Ok(id)
    }

    /// One write: takes as much of `data` as there is room for and returns how much. Its end is a write boundary
    /// (PSH, Nagle's small segment).
    ///
    /// # Errors
    /// [`SocketError::WouldBlock`] (then [`Event::Writable`](super::Event::Writable) follows), [`SocketError::BrokenPipe`], …
    pub fn tcp_send(
        &mut self,
        now: Instant,
        socket: SocketId,
        data: Bytes,
        flags: SendFlags,
    ) -> Result<usize, SocketError> {
        self.call(now, socket, |connection, context| connection.write(context, data, flags))?
    }

    /// One read of at most `max` bytes, and at most of what one segment brought, so that nothing is copied: read on
    /// until [`SocketError::WouldBlock`]. Empty at the end of the stream. Reading may send an ACK or a window update: once nothing is
    /// left, or `max` bytes have been read.
    ///
    /// # Errors
    /// [`SocketError::WouldBlock`] when there is nothing yet.
    pub fn tcp_recv(&mut self, now: Instant, socket: SocketId, max: usize) -> Result<Bytes, SocketError> {
        self.check_owned(socket)?;
        let slot = slot_of(socket);
        let (connection, mut context) = self.connection(now, slot).ok_or(SocketError::UnknownSocket)?;
        let read = connection.read(&mut context, max);
        // Most reads give no reason to send anything.
        if connection.has_ack_due() {
            self.after(slot);
        }
        read
    }

    /// Sends FIN after all that has been written (half close).
    ///
    /// # Errors
    /// [`SocketError::InvalidState`].
    pub fn tcp_shutdown(&mut self, now: Instant, socket: SocketId) -> Result<(), SocketError> {
        self.call(now, socket, |connection, _| connection.shutdown())?
    }

    /// Gives the socket up: FIN, or RST when data was left unread (RFC 9293 §3.6) or when the host has too many
    /// connections without an owner (`System::max_orphans`). Its id is invalid afterwards.
    ///
    /// # Errors
    /// [`SocketError::UnknownSocket`].
    pub fn tcp_close(&mut self, now: Instant, socket: SocketId) -> Result<(), SocketError> {
        self.check_owned(socket)?;
        self.orphans += 1;
        let too_many = self.orphans > self.config.knobs.system.max_orphans as usize;
        self.call(now, socket, |connection, context| {
            connection.close(context);
            if too_many && connection.state != State::Closed {
                context.counters.count(Counter::OrphansOverflow);
                connection.abort(context, None);
            }
        })
    }

    /// Resets the connection. Its id is invalid afterwards.
    ///
    /// # Errors
    /// [`SocketError::UnknownSocket`].
    pub fn tcp_abort(&mut self, now: Instant, socket: SocketId) -> Result<(), SocketError> {
        self.check_owned(socket)?;
        self.orphans += 1;
        self.call(now, socket, |connection, context| {
            connection.owner = Owner::Nobody;
            connection.abort(context, None);
        })
    }

    /// Sets one knob of a socket by its name in the table, as setsockopt does (`quickack` is a one-shot there).
    ///
    /// # Errors
    /// [`SocketError::UnknownSocket`], [`SocketError::InvalidKnob`].
    pub fn tcp_set(
        &mut self,
        now: Instant,
        socket: SocketId,
        knob: &str,
        value: &str,
    ) -> Result<(), SocketError> {
        let mut knobs = self.tcp_knobs(socket)?.clone();
        knobs.set(knob, value).map_err(|_| SocketError::InvalidKnob)?;
        let knobs = self.shared_knobs.share(knobs);
        self.call(now, socket, |connection, context| connection.set(context, knob, knobs))
    }

    /// The connection's inner values.
    ///
    /// # Errors
    /// [`SocketError::UnknownSocket`].
    pub fn tcp_info(&self, socket: SocketId) -> Result<TcpInfo, SocketError> {
        self.look(socket, |connection| connection.info(Instant::ZERO))
    }

    /// The connection's inner values at `now`, with those that grow with time.
    ///
    /// # Errors
    /// [`SocketError::UnknownSocket`].
    pub fn tcp_info_at(&self, now: Instant, socket: SocketId) -> Result<TcpInfo, SocketError> {
        self.look(socket, |connection| connection.info(now))
    }

    /// What calls on the socket would find: for poll and select, and for SIOCINQ and SIOCOUTQ.
    ///
    /// # Errors
    /// [`SocketError::UnknownSocket`].
    pub fn tcp_status(&self, socket: SocketId) -> Result<SocketStatus, SocketError> {
        self.look(socket, Connection::status)
    }

    /// The knobs of a socket.
    ///
    /// # Errors
    /// [`SocketError::UnknownSocket`].
    pub fn tcp_knobs(&self, socket: SocketId) -> Result<&Knobs, SocketError> {
        self.check_owned(socket)?;
        match &self.slots[slot_of(socket)] {
            Slot::Connection(connection) => Ok(connection.knobs()),
            Slot::Resting(resting) => Ok(resting.knobs()),
            Slot::Free | Slot::Request(_) | Slot::TimeWait(_) => Err(SocketError::UnknownSocket),
        }
    }

    /// Replaces all knobs of a socket; those that only matter when a connection begins change nothing any more.
    ///
    /// # Errors
    /// [`SocketError::UnknownSocket`].
    pub fn tcp_configure(&mut self, now: Instant, socket: SocketId, knobs: Knobs) -> Result<(), SocketError> {
        let knobs = self.shared_knobs.share(knobs);
        self.call(now, socket, |connection, context| connection.configure(context, knobs))
    }

    /// Whether a connection waits to be accepted.
    #[must_use]
    pub fn tcp_acceptable(&self, listener: ListenerId) -> bool {
        self.listener(listener).is_some_and(|listener| !listener.queue.is_empty())
    }

    /// Connections that their applications have given up and whose last bytes the peer has not acknowledged yet. While there are some,
    /// who stops the host may lose what was written. Looks at every connection.
    #[must_use]
    pub fn tcp_lingering(&self) -> usize {
        let lingers = |slot: &&Slot| matches!(slot, Slot::Connection(connection) if connection.lingers());
        self.slots.iter().filter(lingers).count()
    }

    /// Connections of any kind: those that are being opened, those nobody owns any more, and those in TIME-WAIT among them.
    #[must_use]
    pub fn tcp_connections(&self) -> usize {
        self.slots.iter().filter(|slot| !matches!(slot, Slot::Free)).count()
    }

    /// The connection's two ends: this host's, and the peer's.
    ///
    /// # Errors
    /// [`SocketError::UnknownSocket`].
    pub fn tcp_addresses(&self, socket: SocketId) -> Result<(SocketAddr, SocketAddr), SocketError> {
        self.look(socket, |connection| (connection.tuple.local, connection.tuple.remote))
    }
}
