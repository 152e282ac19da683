//! What does one side of a conversation do next on a kernel's socket? The real counterpart of the lab's `Player`.
//!
//! It writes and reads as that one does, call by call: pieces of at most 64 KiB, a read as soon as there is something
//! to read, the next turn when its trigger has come.

use crate::settings::apply_to_socket;
use narrows_lab::{Conversation, Hearing, Pattern, PlayerLog, PlayerOptions, Side, Trigger};
use narrows_stack::knob::QuickAck;
use narrows_stack::{Instant, Knobs};
use nix::poll::PollFlags;
use socket2::{Domain, SockAddr, SockRef, Socket, Type};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

/// One side, and what it says.
#[derive(Clone, Debug)]
pub struct Part {
    /// Which side.
    pub side: Side,
    /// What both sides say.
    pub conversation: Arc<Conversation>,
    /// How its program behaves.
    pub options: PlayerOptions,
    /// Where the server listens.
    pub server: SocketAddr,
    /// The knobs of its host: those of a socket are set on the socket.
    pub knobs: Knobs,
}

enum Stage {
    Waiting(Socket),
    Connecting(TcpStream),
    Listening(TcpListener),
    Open(TcpStream),
    Gone,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Trigger,
    Pause(Instant),
    Room,
}

/// Plays one side of a conversation on a socket of the kernel's.
pub struct Speaker {
    part: Part,
    stage: Stage,
    pattern: Pattern,
    buffer: Vec<u8>,
    log: PlayerLog,
    failure: Option<io::Error>,
    begin_at: Option<Instant>,
    state: State,
    turn: usize,
    write: usize,
    write_taken: u32,
    sent_bytes: u64,
    hearing: Hearing,
    peer_closed: bool,
    close_at: Option<Instant>,
    closing: bool,
    /// When anything was last read, or taken by the kernel.
    moved: Instant,
}

impl Speaker {
    /// Makes the socket, in the calling thread's network; a server listens from then on.
    ///
    /// # Errors
    /// Whatever the kernel says.
    pub fn new(part: Part) -> io::Result<Speaker> {
        let socket = Socket::new(Domain::for_address(part.server), Type::STREAM, None)?;
        apply_to_socket(&socket, &part.knobs)?;
        socket.set_nonblocking(true)?;
        let stage = match part.side {
            Side::Client => Stage::Waiting(socket),
            Side::Server => {
                socket.set_reuse_address(true)?;
                socket.bind(&SockAddr::from(part.server))?;
                socket.listen(128)?;
                Stage::Listening(socket.into())
            }
        };
        let turns = part.conversation.turns.len();
        let log = PlayerLog { written: vec![None; turns], read: vec![None; turns], ..PlayerLog::default() };
        Ok(Speaker {
            stage,
            pattern: Pattern::new(),
            buffer: vec![0; part.options.read_bytes.max(1)],
            log,
            failure: None,
            begin_at: (part.side == Side::Client).then(|| Instant::ZERO + part.options.start_offset),
            state: State::Trigger,
            turn: part.conversation.next_turn_of(part.side, 0),
            write: 0,
            write_taken: 0,
            sent_bytes: 0,
            hearing: Hearing::new(part.side, Arc::clone(&part.conversation)),
            peer_closed: false,
            close_at: None,
            closing: false,
            moved: Instant::ZERO,
            part,
        })
    }

    /// What this side has seen and done.
    #[must_use]
    pub fn log(&self) -> &PlayerLog {
        &self.log
    }

    /// How much it has read.
    pub(crate) fn read_bytes(&self) -> u64 {
        self.hearing.read_bytes()
    }

    /// Why it failed, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<&io::Error> {
        self.failure.as_ref()
    }

    /// Everything said, heard and closed, or failed.
    #[must_use]
    pub fn is_done(&self) -> bool {
        let closed = self.part.conversation.close.is_none() || self.log.closed.is_some();
        self.failure.is_some() || (self.log.finished && closed)
    }

    /// What it waits for on its socket.
    pub(crate) fn interest(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        match &self.stage {
            Stage::Waiting(_) | Stage::Gone => None,
            Stage::Connecting(stream) => Some((stream.as_fd(), PollFlags::POLLOUT)),
            Stage::Listening(listener) => Some((listener.as_fd(), PollFlags::POLLIN)),
            Stage::Open(stream) => {
                let mut flags = PollFlags::empty();
                if !self.peer_closed {
                    flags |= PollFlags::POLLIN;
                }
                if self.state == State::Room {
                    flags |= PollFlags::POLLOUT;
                }
                Some((stream.as_fd(), flags))
            }
        }
    }

    /// When it has something to do without waiting for its socket.
    pub(crate) fn next_time(&self) -> Option<Instant> {
        let pause = match self.state {
            State::Pause(until) => Some(until),
            State::Trigger | State::Room => None,
        };
        self.begin_at.into_iter().chain(pause).chain(self.close_at).chain(self.patience_ends()).min()
    }

    /// When it has waited long enough for the other side.
    fn patience_ends(&self) -> Option<Instant> {
        let waits = matches!(self.stage, Stage::Open(_))
            && !self.log.finished
            && !matches!(self.state, State::Pause(_));
        self.part.options.patience.filter(|_| waits).map(|patience| self.moved + patience)
    }

    /// Does what the time or the socket asks for; what is `ready` on the socket comes from a poll for
    /// [`Speaker::interest`].
    pub(crate) fn step(&mut self, now: impl Fn() -> Instant, ready: PollFlags) {
        if let Err(error) = self.try_step(&now, ready) {
            self.failure.get_or_insert(error);
            self.stage = Stage::Gone;
            (self.begin_at, self.close_at, self.state) = (None, None, State::Trigger);
        }
    }

    fn try_step(&mut self, now: &impl Fn() -> Instant, ready: PollFlags) -> io::Result<()> {
        if self.begin_at.is_some_and(|at| at <= now()) {
            self.begin_at = None;
            self.begin()?;
        }
        self.meet(now, ready)?;
        if self.begin_at.is_some() {
            return Ok(());
        }
        let broken = PollFlags::POLLERR | PollFlags::POLLHUP;
        if ready.intersects(PollFlags::POLLIN | broken) {
            self.read(now)?;
        }
        let pause_over = matches!(self.state, State::Pause(until) if until <= now());
        let room = self.state == State::Room && ready.intersects(PollFlags::POLLOUT | broken);
        if pause_over || room {
            self.write_turn(now)?;
        }
        self.go_on(now)?;
        if self.patience_ends().is_some_and(|at| at <= now()) {
            return Err(io::Error::new(ErrorKind::TimedOut, "the program gave the connection up"));
        }
        if self.close_at.is_some_and(|at| at <= now())
            && let Stage::Open(stream) = &self.stage
        {
            self.close_at = None;
            self.log.closed = Some(now());
            stream.shutdown(Shutdown::Write)?;
        }
        Ok(())
    }

    /// The client begins to connect.
    fn begin(&mut self) -> io::Result<()> {
        let Stage::Waiting(socket) = std::mem::replace(&mut self.stage, Stage::Gone) else { return Ok(()) };
        let in_progress = nix::errno::Errno::EINPROGRESS as i32;
        match socket.connect(&SockAddr::from(self.part.server)) {
            Err(error) if error.raw_os_error() != Some(in_progress) => Err(error),
            _ => {
                self.stage = Stage::Connecting(socket.into());
                Ok(())
            }
        }
    }

    /// The connection comes into being.
    fn meet(&mut self, now: &impl Fn() -> Instant, ready: PollFlags) -> io::Result<()> {
        match std::mem::replace(&mut self.stage, Stage::Gone) {
            Stage::Connecting(stream) if !ready.is_empty() => {
                if let Some(error) = stream.take_error()? {
                    return Err(error);
                }
                self.log.established = Some(now());
                self.moved = now();
                self.stage = Stage::Open(stream);
            }
            Stage::Listening(listener) if self.log.established.is_none() && !ready.is_empty() => {
                self.log.established = Some(now());
                // Looked at again when the time has come to accept.
                self.begin_at = Some(now() + self.part.options.start_offset);
                self.stage = Stage::Listening(listener);
                if self.part.options.start_offset.is_zero() {
                    self.begin_at = None;
                    self.accept(now)?;
                }
            }
            Stage::Listening(listener) if self.log.established.is_some() && self.begin_at.is_none() => {
                self.stage = Stage::Listening(listener);
                self.accept(now)?;
            }
            other => self.stage = other,
        }
        Ok(())
    }

    fn accept(&mut self, now: &impl Fn() -> Instant) -> io::Result<()> {
        let Stage::Listening(listener) = &self.stage else { return Ok(()) };
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(true)?;
                self.moved = now();
                self.stage = Stage::Open(stream);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn read(&mut self, now: &impl Fn() -> Instant) -> io::Result<()> {
        loop {
            let Stage::Open(stream) = &mut self.stage else { return Ok(()) };
            match stream.read(&mut self.buffer) {
                Ok(0) => {
                    self.peer_closed = true;
                    if self.turn >= self.part.conversation.turns.len() {
                        self.give_up(now());
                    }
                    return Ok(());
                }
                Ok(length) => {
                    let time = now();
                    self.moved = time;
                    if self.part.knobs.quickack == QuickAck::Socket {
                        SockRef::from(&*stream).set_tcp_quickack(true)?;
                    }
                    self.log.corrupted |=
                        !self.pattern.matches(self.hearing.read_bytes(), &self.buffer[..length]);
                    self.hearing.read(time, length, &mut self.log);
                    // A short read has emptied the socket; asking again would be one more call than a program makes.
                    if length < self.buffer.len() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn give_up(&mut self, now: Instant) {
        self.log.closed.get_or_insert(now);
        self.stage = Stage::Gone;
    }

    /// Does everything that can be done now.
    fn go_on(&mut self, now: &impl Fn() -> Instant) -> io::Result<()> {
        if !matches!(self.stage, Stage::Open(_)) && self.log.closed.is_none() {
            return Ok(());
        }
        let conversation = Arc::clone(&self.part.conversation);
        while let Some(turn) = conversation.turns.get(self.turn) {
            let come = match turn.trigger {
                Trigger::Connected | Trigger::Own => true,
                Trigger::Received(bytes) => self.hearing.read_bytes() >= bytes,
                Trigger::Closed => self.peer_closed,
            };
            if self.state != State::Trigger || !come {
                return Ok(());
            }
            (self.write, self.write_taken) = (0, 0);
            let pause = turn.think + turn.writes.first().map_or(Duration::ZERO, |write| write.gap);
            self.state = State::Pause(now() + pause);
            if !pause.is_zero() {
                return Ok(());
            }
            self.write_turn(now)?;
        }
        self.maybe_finished(now());
        Ok(())
    }

    /// Goes on with the writes of the present turn until there is a gap, no room, or no write left.
    fn write_turn(&mut self, now: &impl Fn() -> Instant) -> io::Result<()> {
        let conversation = Arc::clone(&self.part.conversation);
        let (Some(turn), Stage::Open(stream)) = (conversation.turns.get(self.turn), &mut self.stage) else {
            return Ok(());
        };
        self.moved = now();
        self.log.written[self.turn].get_or_insert((self.moved, None));
        while let Some(write) = turn.writes.get(self.write) {
            while self.write_taken < write.bytes {
                let data = self.pattern.at(self.sent_bytes, (write.bytes - self.write_taken) as usize);
                match stream.write(&data) {
                    Ok(taken) => {
                        self.moved = now();
                        self.sent_bytes += taken as u64;
                        self.write_taken += taken as u32;
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        self.state = State::Room;
                        return Ok(());
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            self.write += 1;
            self.write_taken = 0;
            if let Some(next) = turn.writes.get(self.write)
                && !next.gap.is_zero()
            {
                self.state = State::Pause(now() + next.gap);
                return Ok(());
            }
        }
        if let Some(written) = &mut self.log.written[self.turn] {
            written.1 = Some(now());
        }
        self.turn = self.part.conversation.next_turn_of(self.part.side, self.turn + 1);
        self.state = State::Trigger;
        Ok(())
    }

    fn maybe_finished(&mut self, now: Instant) {
        let turns = &self.part.conversation.turns;
        let all_said = self.turn >= turns.len();
        self.log.finished = all_said && self.hearing.turn().is_none();
        let nothing_to_hear = self.hearing.turn().is_none_or(|turn| turn.trigger == Trigger::Closed);
        if all_said
            && nothing_to_hear
            && !std::mem::replace(&mut self.closing, true)
            && let Some((side, pause)) = self.part.conversation.close
            && side == self.part.side
        {
            self.close_at = Some(now + pause);
        }
        if all_said && self.peer_closed && matches!(self.stage, Stage::Open(_)) {
            self.give_up(now);
        }
    }
}
