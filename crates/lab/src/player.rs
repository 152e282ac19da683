//! What does one side of a conversation do next? An application that says its turns when their time has come.

use crate::app::{App, AppEvent, Io};
use crate::conversation::{Conversation, Side, Trigger};
use crate::hearing::Hearing;
use crate::pattern::Pattern;
use narrows_stack::{Instant, ListenerId, SendFlags, SocketError, SocketId, TcpInfo};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How one side's application behaves besides what the conversation says.
///
/// Whether it sets TCP_QUICKACK after each read is the knob `quickack=socket` of its host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlayerOptions {
    /// How long the application takes to read what has become readable.
    pub read_latency: Duration,
    /// The most bytes that one read takes.
    pub read_bytes: usize,
    /// The client: when it opens the connection. The server: how long it takes to accept it.
    pub start_offset: Duration,
    /// It gives the connection up when it has waited this long, to hear the other side or for room to write, and nothing has
    /// moved.
    pub patience: Option<Duration>,
}

impl Default for PlayerOptions {
    /// Reads at once, up to 64 KiB; starts at once; never gives up.
    fn default() -> PlayerOptions {
        PlayerOptions {
            read_latency: Duration::ZERO,
            read_bytes: 65_536,
            start_offset: Duration::ZERO,
            patience: None,
        }
    }
}

/// What one side has seen and done, by its own calls.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlayerLog {
    /// When the connection was established for this side.
    pub established: Option<Instant>,
    /// For each turn of the conversation that is this side's own: message begun, last byte taken by the stack.
    pub written: Vec<Option<(Instant, Option<Instant>)>>,
    /// For each turn of the conversation that is the peer's: first byte read, last byte read.
    pub read: Vec<Option<(Instant, Option<Instant>)>>,
    /// When anything was last read, the end of the stream not counted.
    pub last_read: Option<Instant>,
    /// When this side closed its end.
    pub closed: Option<Instant>,
    /// Every turn of its own is written and every byte of the peer's is read.
    pub finished: bool,
    /// Bytes that were not what the peer had written: never, unless the stack is wrong.
    pub corrupted: bool,
    /// Why the connection failed for this side.
    pub error: Option<SocketError>,
    /// The connection's inner values when it was given up.
    pub info: Option<TcpInfo>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// For the next turn's trigger.
    Trigger,
    /// For the time of this turn's write to come.
    Pause,
    /// For room to write.
    Room,
}

/// What a timer is for; its token.
const START: u64 = 0;
const ACCEPT: u64 = 1;
const WRITE: u64 = 2;
const READ: u64 = 3;
const CLOSE: u64 = 4;
const PATIENCE: u64 = 5;

/// Plays one side of a [`Conversation`] over one connection.
#[derive(Debug)]
pub struct Player {
    side: Side,
    conversation: Arc<Conversation>,
    options: PlayerOptions,
    /// The server's address; its port for the server itself.
    server: SocketAddr,
    pattern: Pattern,
    log: PlayerLog,
    listener: Option<ListenerId>,
    socket: Option<SocketId>,
    state: State,
    /// The next turn of this side's own, the write in it, and how much of that is written.
    turn: usize,
    turn_begins: Instant,
    write: usize,
    write_taken: u32,
    sent_bytes: u64,
    hearing: Hearing,
    read_pending: bool,
    peer_closed: bool,
    closing: bool,
    shut: bool,
    /// When anything was last read, or taken by the stack.
    moved: Instant,
}

impl Player {
    /// One side; `server` is where the server listens.
    #[must_use]
    pub fn new(
        side: Side,
        conversation: Arc<Conversation>,
        options: PlayerOptions,
        server: SocketAddr,
    ) -> Player {
        let turns = conversation.turns.len();
        let log = PlayerLog { written: vec![None; turns], read: vec![None; turns], ..PlayerLog::default() };
        Player {
            turn: conversation.next_turn_of(side, 0),
            hearing: Hearing::new(side, Arc::clone(&conversation)),
            side,
            conversation,
            options,
            server,
            pattern: Pattern::new(),
            log,
            listener: None,
            socket: None,
            state: State::Trigger,
            turn_begins: Instant::ZERO,
            write: 0,
            write_taken: 0,
            sent_bytes: 0,
            read_pending: false,
            peer_closed: false,
            closing: false,
            shut: false,
            moved: Instant::ZERO,
        }
    }

    /// What this side has seen and done.
    #[must_use]
    pub fn log(&self) -> &PlayerLog {
        &self.log
    }

    /// Bytes that it has read.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.hearing.read_bytes()
    }

    /// Its connection, as long as it has one.
    #[must_use]
    pub fn socket(&self) -> Option<SocketId> {
        self.socket
    }

    fn begin(&mut self, io: &mut Io<'_>, socket: SocketId) {
        self.socket = Some(socket);
        self.log.established.get_or_insert(io.now());
        self.moved = io.now();
        self.wait_on(io);
        self.readable(io);
        self.go_on(io);
    }

    /// Looks again when the patience would be at its end.
    fn wait_on(&mut self, io: &mut Io<'_>) {
        if let Some(patience) = self.options.patience {
            io.set_timer(self.moved + patience, PATIENCE);
        }
    }

    fn judge_patience(&mut self, io: &mut Io<'_>) {
        let (Some(socket), Some(patience)) =
            (self.socket.filter(|_| !self.log.finished), self.options.patience)
        else {
            return;
        };
        if self.state == State::Pause {
            self.moved = io.now();
        }
        if io.now() < self.moved + patience {
            return self.wait_on(io);
        }
        self.fail(SocketError::TimedOut);
        self.give_up(io, socket);
    }

    fn readable(&mut self, io: &mut Io<'_>) {
        if self.options.read_latency.is_zero() {
            self.read(io);
        } else if !std::mem::replace(&mut self.read_pending, true) {
            io.set_timer(io.now() + self.options.read_latency, READ);
        }
    }

    fn read(&mut self, io: &mut Io<'_>) {
        while let Some(socket) = self.socket {
            match io.recv(socket, self.options.read_bytes.max(1)) {
                Ok(data) if data.is_empty() => return self.end_of_stream(io, socket),
                Ok(data) => {
                    self.moved = io.now();
                    self.log.corrupted |= !self.pattern.matches(self.hearing.read_bytes(), &data);
                    self.hearing.read(io.now(), data.len(), &mut self.log);
                }
                Err(SocketError::WouldBlock) => return,
                Err(error) => return self.fail(error),
            }
        }
    }

    fn end_of_stream(&mut self, io: &mut Io<'_>, socket: SocketId) {
        // Whoever closes second has nothing left to wait for but its own last words, and whoever closed first is done.
        self.peer_closed = true;
        if self.turn >= self.conversation.turns.len() {
            self.give_up(io, socket);
        }
    }

    fn give_up(&mut self, io: &mut Io<'_>, socket: SocketId) {
        self.log.closed.get_or_insert(io.now());
        self.log.info = io.info(socket).ok();
        self.socket = None;
        // The connection may be gone already; then there is nothing to give up.
        let _ = io.close(socket);
    }

    fn fail(&mut self, error: SocketError) {
        self.log.error.get_or_insert(error);
    }

    /// Does everything that can be done now.
    fn go_on(&mut self, io: &mut Io<'_>) {
        // A server's connection is established some time before the application has accepted it.
        let may_speak =
            self.log.established.is_some() && (self.socket.is_some() || self.log.closed.is_some());
        if !may_speak || self.log.error.is_some() {
            return;
        }
        let conversation = Arc::clone(&self.conversation);
        while let Some(turn) = conversation.turns.get(self.turn) {
            if self.state != State::Trigger {
                return;
            }
            let come = match turn.trigger {
                Trigger::Connected | Trigger::Own => true,
                Trigger::Received(bytes) => self.hearing.read_bytes() >= bytes,
                Trigger::Closed => self.peer_closed,
            };
            if !come {
                return;
            }
            self.write = 0;
            self.write_taken = 0;
            let gap = turn.writes.first().map_or(Duration::ZERO, |write| write.gap);
            // The message is begun when the thinking is over, also where its pieces are collected for one write.
            self.turn_begins = io.now() + turn.think;
            self.pause(io, turn.think + gap);
        }
        self.maybe_finished(io);
    }

    /// Waits, and then writes; without a pause at once.
    fn pause(&mut self, io: &mut Io<'_>, pause: Duration) {
        self.state = State::Pause;
        if pause.is_zero() {
            self.write_turn(io);
        } else {
            io.set_timer(io.now() + pause, WRITE);
        }
    }

    /// Goes on with the writes of the present turn until there is a gap, no room, or no write left.
    fn write_turn(&mut self, io: &mut Io<'_>) {
        let conversation = Arc::clone(&self.conversation);
        let (Some(turn), Some(socket)) = (conversation.turns.get(self.turn), self.socket) else { return };
        self.log.written[self.turn].get_or_insert((self.turn_begins, None));
        while let Some(write) = turn.writes.get(self.write) {
            while self.write_taken < write.bytes {
                let left = (write.bytes - self.write_taken) as usize;
                let data = self.pattern.at(self.sent_bytes, left);
                // One write of the application, however many pieces it is made of here.
                let flags = SendFlags { more: data.len() < left, ..SendFlags::default() };
                match io.send_with(socket, data, flags) {
                    Ok(taken) => {
                        self.moved = io.now();
                        self.sent_bytes += taken as u64;
                        self.write_taken += taken as u32;
                    }
                    Err(SocketError::WouldBlock) => {
                        self.state = State::Room;
                        return;
                    }
                    Err(error) => return self.fail(error),
                }
            }
            self.write += 1;
            self.write_taken = 0;
            if let Some(next) = turn.writes.get(self.write)
                && !next.gap.is_zero()
            {
                self.state = State::Pause;
                io.set_timer(io.now() + next.gap, WRITE);
                return;
            }
        }
        if let Some(written) = &mut self.log.written[self.turn] {
            written.1 = Some(io.now());
        }
        self.turn = self.conversation.next_turn_of(self.side, self.turn + 1);
        self.state = State::Trigger;
    }

    fn maybe_finished(&mut self, io: &mut Io<'_>) {
        let turns = &self.conversation.turns;
        let all_said = self.turn >= turns.len();
        self.log.finished = all_said && self.hearing.turn().is_none();
        // What the peer says only after this end has closed is no reason to wait with closing.
        let nothing_to_hear = self.hearing.turn().is_none_or(|turn| turn.trigger == Trigger::Closed);
        if all_said
            && nothing_to_hear
            && !std::mem::replace(&mut self.closing, true)
            && let Some((side, pause)) = self.conversation.close
            && side == self.side
        {
            io.set_timer(io.now() + pause, CLOSE);
        }
        if let Some(socket) = self.socket.filter(|_| all_said && self.peer_closed) {
            self.give_up(io, socket);
        }
    }

    fn on_timer(&mut self, io: &mut Io<'_>, token: u64) {
        match token {
            START => match io.connect(self.server) {
                Ok(socket) => self.socket = Some(socket),
                Err(error) => self.fail(error),
            },
            ACCEPT => {
                if self.log.established.is_some()
                    && self.socket.is_none()
                    && let Some(socket) = self.listener.and_then(|listener| io.accept(listener))
                {
                    self.begin(io, socket);
                }
            }
            WRITE => self.write_turn(io),
            READ => {
                self.read_pending = false;
                self.read(io);
            }
            PATIENCE => self.judge_patience(io),
            CLOSE => {
                if let Some(socket) = self.socket
                    && !std::mem::replace(&mut self.shut, true)
                {
                    self.log.closed = Some(io.now());
                    if let Err(error) = io.shutdown(socket) {
                        self.fail(error);
                    }
                }
            }
            _ => {}
        }
    }
}

impl App for Player {
    fn on_event(&mut self, io: &mut Io<'_>, event: AppEvent) {
        match event {
            AppEvent::Start => match self.side {
                Side::Client => io.set_timer(io.now() + self.options.start_offset, START),
                Side::Server => match io.listen(self.server.port()) {
                    Ok(listener) => self.listener = Some(listener),
                    Err(error) => self.fail(error),
                },
            },
            AppEvent::Timer(token) => self.on_timer(io, token),
            AppEvent::Connected(socket) => self.begin(io, socket),
            AppEvent::Acceptable(_) => {
                self.log.established.get_or_insert(io.now());
                io.set_timer(io.now() + self.options.start_offset, ACCEPT);
            }
            AppEvent::Readable(_) => self.readable(io),
            AppEvent::Writable(_) => {
                if self.state == State::Room {
                    self.state = State::Pause;
                    self.write_turn(io);
                }
            }
            AppEvent::Closed(_, error) => {
                if let Some(socket) = self.socket.take() {
                    self.log.info = io.info(socket).ok().or(self.log.info.take());
                }
                if let Some(error) = error {
                    self.fail(error);
                }
            }
            AppEvent::Datagrams(_) | AppEvent::DatagramError(_) => {}
        }
        self.go_on(io);
    }
}
