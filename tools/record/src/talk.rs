//! What do the two programs do? Requests and answers in parts over real sockets, timed by the client's clock.

use crate::Error;
use crate::scenario::Talk;
use crate::wire::Clock;
use socket2::SockRef;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// Nobody waits longer than this for a byte.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the client's program measured on one connection.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// The client's port.
    pub client_port: u16,
    /// When it began to connect, nanoseconds since 1970.
    pub start_wall_ns: u64,
    /// Connecting.
    pub connect: Duration,
    /// Each request, from its first write to the last byte of its answer; chatter: each message from write to read.
    pub latencies: Vec<Duration>,
    /// From connecting to the last byte of the last answer.
    pub total: Duration,
    /// The client gave up at its deadline.
    pub gave_up: bool,
}

fn milliseconds(value: f64) -> Duration {
    Duration::from_secs_f64(value.max(0.0) / 1e3)
}

fn pause(value_ms: f64) {
    if value_ms > 0.0 {
        thread::sleep(milliseconds(value_ms));
    }
}

/// Writes one message, in its parts or all at once.
fn write_parts(stream: &mut TcpStream, parts: &[usize], together: bool, gap_ms: f64) -> Result<(), Error> {
    let largest = if together { parts.iter().sum() } else { parts.iter().copied().max().unwrap_or(0) };
    let bytes = vec![b'n'; largest];
    if together {
        pause(gap_ms * parts.len().saturating_sub(1) as f64);
        return Ok(stream.write_all(&bytes)?);
    }
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            pause(gap_ms);
        }
        stream.write_all(&bytes[..*part])?;
    }
    Ok(())
}

/// Reads exactly `bytes`; false at the end of the stream.
fn read_message(
    stream: &mut TcpStream,
    bytes: usize,
    quickack: bool,
    buffer: &mut [u8],
) -> Result<bool, Error> {
    let mut left = bytes;
    while left > 0 {
        let most = left.min(buffer.len());
        let got = stream.read(&mut buffer[..most])?;
        if got == 0 {
            return Ok(false);
        }
        left -= got;
        if quickack {
            SockRef::from(&*stream).set_tcp_quickack(true)?;
        }
    }
    Ok(true)
}

/// Serves one connection until the client closes it.
pub fn serve(
    listener: &TcpListener,
    talk: &Talk,
    clock: Instant,
    deadline: Option<Duration>,
) -> Result<Vec<Duration>, Error> {
    let (mut stream, _) = listener.accept()?;
    let patience = deadline.unwrap_or(PATIENCE);
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    stream.set_nodelay(talk.server_nodelay)?;
    if talk.chatter {
        return chat(stream, clock, [&talk.answer, &talk.parts], talk.answer_gap_ms, talk.requests);
    }
    let request: usize = talk.parts.iter().sum();
    let mut buffer = vec![0; 65_536];
    let mut serving = || -> Result<(), Error> {
        while read_message(&mut stream, request, talk.server_quickack, &mut buffer)? {
            pause(talk.server_think_ms);
            write_parts(&mut stream, &talk.answer, talk.server_coalesce, talk.answer_gap_ms)?;
        }
        Ok(())
    };
    match serving() {
        // A client that gives up may reset, or not be heard any more.
        Err(Error::Io(_)) if deadline.is_some() => Ok(Vec::new()),
        result => result.map(|()| Vec::new()),
    }
}

/// Runs the client's program of one connection.
pub fn request(
    server: SocketAddr,
    talk: &Talk,
    clock: Clock,
    zero: Instant,
    deadline: Option<Duration>,
) -> Result<Measured, Error> {
    pause(talk.at_ms);
    let begin = Instant::now();
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    let connect = begin.elapsed();
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(talk.client_nodelay)?;
    let client_port = stream.local_addr()?.port();
    let mut measured =
        Measured { client_port, start_wall_ns: clock.wall_ns(begin), connect, ..Measured::default() };
    if talk.chatter {
        measured.latencies = chat(stream, zero, [&talk.parts, &talk.answer], talk.gap_ms, talk.requests)?;
        measured.total = begin.elapsed();
        return Ok(measured);
    }
    let answer: usize = talk.answer.iter().sum();
    let mut buffer = vec![0; 65_536];
    for index in 0..talk.requests {
        if index > 0 {
            pause(talk.gap_ms);
        }
        let asked = Instant::now();
        if let Some(deadline) = deadline {
            let left = deadline.saturating_sub(begin.elapsed()).max(Duration::from_millis(1));
            stream.set_read_timeout(Some(left))?;
            stream.set_write_timeout(Some(left))?;
            let asking = write_parts(&mut stream, &talk.parts, talk.client_coalesce, talk.part_gap_ms)
                .and_then(|()| read_message(&mut stream, answer, talk.client_quickack, &mut buffer));
            if !matches!(asking, Ok(true)) {
                (measured.gave_up, measured.total) = (true, begin.elapsed());
                return Ok(measured);
            }
            measured.latencies.push(asked.elapsed());
            measured.total = begin.elapsed();
            continue;
        }
        write_parts(&mut stream, &talk.parts, talk.client_coalesce, talk.part_gap_ms)?;
        if !read_message(&mut stream, answer, talk.client_quickack, &mut buffer)? {
            return Err(Error::Setup(format!("port {}: the server closed before its answer", talk.port)));
        }
        measured.latencies.push(asked.elapsed());
        measured.total = begin.elapsed();
    }
    Ok(measured)
}

/// Writes messages at a steady pace and reads the other side's meanwhile: the time of each on its way to here.
fn chat(
    stream: TcpStream,
    zero: Instant,
    [own, other]: [&Vec<usize>; 2],
    gap_ms: f64,
    messages: usize,
) -> Result<Vec<Duration>, Error> {
    let (own, other) = (own.iter().sum::<usize>().max(8), other.iter().sum::<usize>().max(8));
    let mut writer = stream.try_clone()?;
    let gap = milliseconds(gap_ms);
    let writing = thread::spawn(move || -> Result<(), Error> {
        let begin = Instant::now();
        let mut bytes = vec![b'n'; own];
        for index in 0..messages {
            thread::sleep((gap * index as u32).saturating_sub(begin.elapsed()));
            // Both ends run on one clock: a message carries the time of its write.
            let stamp = zero.elapsed().as_nanos() as u64;
            bytes[..8].copy_from_slice(&stamp.to_be_bytes());
            writer.write_all(&bytes)?;
        }
        Ok(())
    });
    let mut reader = stream;
    let mut latencies = Vec::new();
    let mut message = vec![0; other];
    for _ in 0..messages {
        reader.read_exact(&mut message)?;
        let mut stamp = [0; 8];
        stamp.copy_from_slice(&message[..8]);
        let written = Duration::from_nanos(u64::from_be_bytes(stamp));
        latencies.push(zero.elapsed().saturating_sub(written));
    }
    writing.join().map_err(|_| Error::Setup("a writer stopped".to_owned()))??;
    Ok(latencies)
}
