//! How do packets get from one end to the other? A wire in user space, with a delay, a rate and a queue.
//!
//! It reads each side's TUN device and writes to the other's, and notes what passes there: that is what a capture at
//! each end's own interface shows.

use crate::Error;
use crate::capture_file::Record;
use crate::narrow::{Fate, Narrow};
use narrows_lab::Random;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::prctl;
use nix::sys::time::TimeSpec;
use serde::Serialize;
use std::collections::VecDeque;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tun_rs::SyncDevice;

/// What the path does to packets.
#[derive(Clone, Copy, Debug)]
pub struct Path {
    /// Delay of each direction.
    pub one_way: Duration,
    /// Bit/s of each direction.
    pub rate: Option<f64>,
    /// Bytes that may wait before the bottleneck.
    pub queue: Option<usize>,
    /// What it does to packets for their size, client to server and server to client.
    pub narrow: [Narrow; 2],
    /// How much later than at once the router's ICMP leaves.
    pub icmp_late: Duration,
    /// Time between two messages of the router at the least.
    pub icmp_interval: Option<Duration>,
    /// Share of packets that are lost, each direction.
    pub loss: f64,
    /// The IP version.
    pub family: u8,
}

/// What happened in one direction.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Direction {
    /// Packets read.
    #[serde(rename = "in")]
    pub packets_in: u64,
    /// Bytes read.
    pub in_bytes: u64,
    /// Packets delivered.
    pub out: u64,
    /// Bytes delivered.
    pub out_bytes: u64,
    /// Packets dropped because the queue was full.
    pub lost_queue: u64,
    /// Packets lost by chance.
    pub lost_random: u64,
    /// Packets dropped because they were too large.
    pub lost_mtu: u64,
    /// ICMP messages about these.
    pub ptb_sent: u64,
    /// MSS options lowered.
    pub mss_clamped: u64,
    /// Longest wait before the bottleneck.
    pub max_queue_ms: f64,
}

/// What a run of the wire leaves.
#[derive(Debug, Default)]
pub struct Recording {
    /// What passed at the client's and at the server's interface.
    pub records: [Vec<Record>; 2],
    /// Client to server, server to client.
    pub directions: [Direction; 2],
    /// Mean and largest time that packets were delivered later than they should.
    pub late: (Duration, Duration),
}

/// The last part of a wait is spent awake: sleeping is only as precise as the machine's timers.
const AWAKE: Duration = Duration::from_micros(60);

struct Flight {
    due: Instant,
    bytes: Arc<[u8]>,
}

/// Maps the monotonic clock to the time of day once, so that the capture's clock never goes back.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    zero: Instant,
    zero_ns: u64,
}

impl Clock {
    /// Reads both clocks.
    pub fn start() -> Clock {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock { zero: Instant::now(), zero_ns: nanoseconds(since) }
    }

    /// Nanoseconds since 1970.
    pub fn wall_ns(&self, at: Instant) -> u64 {
        self.zero_ns + nanoseconds(at.saturating_duration_since(self.zero))
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Carries packets between the devices of client and server until `stop`.
pub fn carry(
    devices: [&SyncDevice; 2],
    path: Path,
    clock: Clock,
    stop: &AtomicBool,
) -> Result<Recording, Error> {
    prctl::set_timerslack(1).map_err(std::io::Error::from)?;
    let mut recording = Recording::default();
    // Per direction: packets on their way, and when the bottleneck is free again.
    let mut flying: [VecDeque<Flight>; 2] = Default::default();
    let mut free = [Instant::now(); 2];
    let mut answers_again = [None; 2];
    // Another repetition loses other packets.
    let mut random = ["up", "down"].map(|name| Random::derive(clock.zero_ns, name));
    let (mut late_sum, mut late_max, mut delivered) = (Duration::ZERO, Duration::ZERO, 0_u32);
    let mut buffer = vec![0_u8; 65_536];
    while !stop.load(Ordering::Relaxed) {
        for direction in 0..2 {
            while let Some(flight) = flying[direction].front() {
                let now = Instant::now();
                if now < flight.due {
                    break;
                }
                let late = now - flight.due;
                late_sum += late;
                late_max = late_max.max(late);
                delivered += 1;
                let bytes = Arc::clone(&flight.bytes);
                let to = 1 - direction;
                // Noted before it is written: the answer to it must not be seen first.
                recording.records[to].push(Record { time_ns: clock.wall_ns(now), bytes: Arc::clone(&bytes) });
                devices[to].send(&bytes)?;
                recording.directions[direction].out += 1;
                recording.directions[direction].out_bytes += bytes.len() as u64;
                flying[direction].pop_front();
            }
            while let Some(length) = read(devices[direction], &mut buffer)? {
                let now = Instant::now();
                let bytes: Arc<[u8]> = buffer[..length].into();
                recording.records[direction]
                    .push(Record { time_ns: clock.wall_ns(now), bytes: Arc::clone(&bytes) });
                let counts = &mut recording.directions[direction];
                counts.packets_in += 1;
                counts.in_bytes += length as u64;
                let clamped = path.narrow[direction].clamp(&mut buffer[..length]);
                counts.mss_clamped += u64::from(clamped);
                let bytes: Arc<[u8]> = if clamped { buffer[..length].into() } else { bytes };
                match path.narrow[direction].fate(&bytes, path.family) {
                    Fate::Passes => {}
                    Fate::Vanishes => {
                        counts.lost_mtu += 1;
                        continue;
                    }
                    Fate::Answered(answer) => {
                        counts.lost_mtu += 1;
                        if answers_again[direction].is_some_and(|again| now < again) {
                            continue;
                        }
                        answers_again[direction] = path.icmp_interval.map(|interval| now + interval);
                        counts.ptb_sent += 1;
                        // From a router half way.
                        let due = now + path.icmp_late + path.one_way;
                        put(&mut flying[1 - direction], Flight { due, bytes: answer.into() });
                        continue;
                    }
                }
                if random[direction].chance(path.loss) {
                    counts.lost_random += 1;
                    continue;
                }
                let begin = free[direction].max(now);
                let mut end = begin;
                if let Some(rate) = path.rate {
                    let waiting = (begin - now).as_secs_f64();
                    if path.queue.is_some_and(|limit| waiting * rate / 8.0 + length as f64 > limit as f64) {
                        counts.lost_queue += 1;
                        continue;
                    }
                    counts.max_queue_ms = counts.max_queue_ms.max(waiting * 1e3);
                    end = begin + Duration::from_secs_f64(length as f64 * 8.0 / rate);
                    free[direction] = end;
                }
                put(&mut flying[direction], Flight { due: end + path.one_way, bytes });
            }
        }
        let next = flying.iter().filter_map(|f| f.front()).map(|f| f.due).min();
        let wait = next.map_or(Duration::from_millis(5), |due| due.saturating_duration_since(Instant::now()));
        if wait > AWAKE {
            let mut readable = devices.map(|d| PollFd::new(d.as_fd(), PollFlags::POLLIN));
            let sleep = (wait - AWAKE).min(Duration::from_millis(5));
            match ppoll(&mut readable, Some(TimeSpec::from_duration(sleep)), None) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(std::io::Error::from(error).into()),
            }
        }
    }
    recording.late = (late_sum / delivered.max(1), late_max);
    Ok(recording)
}

/// Puts a packet on its way behind those that arrive before it.
fn put(flying: &mut VecDeque<Flight>, flight: Flight) {
    let place = flying.partition_point(|earlier| earlier.due <= flight.due);
    flying.insert(place, flight);
}

/// One packet, or `None` when there is none now.
fn read(device: &SyncDevice, buffer: &mut [u8]) -> Result<Option<usize>, Error> {
    match device.recv(buffer) {
        Ok(length) => Ok(Some(length)),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error.into()),
    }
}
