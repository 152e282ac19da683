//! How do packets get from one real host to another? A world's links, run by the clock on the wall.
//!
//! The wire reads what the kernels send, hands it to the [`World`] at the time of reading, lets the world's time go on
//! with the clock, and writes what arrives. All decisions (delay, rate, queue, loss, what routers and middleboxes do)
//! are the world's own.

use crate::clock::Clock;
use crate::error::Error;
use crate::host::RealHost;
use crate::lateness::Lateness;
use crate::punctual::Punctual;
use crate::stage::Stage;
use bytes::Bytes;
use narrows_lab::World;
use narrows_stack::{Instant, InterfaceId};
use narrows_wire::Packet;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tun_rs::SyncDevice;

/// How the wire works.
#[derive(Clone, Copy, Debug)]
pub struct WireOptions {
    /// For how long after the last packet it stays awake: waking takes the machine longer than carrying a packet. Zero: it never
    /// waits awake, for packets neither, since others need the processor.
    pub awake: Duration,
    /// How long it stays between two looks at whether it shall stop.
    pub nap: Duration,
}

impl Default for WireOptions {
    fn default() -> WireOptions {
        WireOptions { awake: Duration::from_micros(300), nap: Duration::from_millis(20) }
    }
}

/// What a wire has done.
#[derive(Clone, Debug, Default)]
pub struct WireReport {
    /// Packets read from the hosts.
    pub packets_in: u64,
    /// Packets written to the hosts.
    pub packets_out: u64,
    /// How much later than they should packets were written.
    pub late: Lateness,
    /// Packets not carried: to a group of hosts (what IPv6 says to its neighbours).
    pub skipped_multicast: u64,
    /// Packets not carried: not IP, or IP with options, which no link of a world knows.
    pub skipped_unreadable: u64,
    /// Packets that a host did not take.
    pub refused: u64,
    /// The wire had the right to run ahead of ordinary threads.
    pub ahead: bool,
}

/// The last part of a wait is spent awake: sleeping is only as precise as the machine's timers.
const AWAKE_BEFORE: Duration = Duration::from_micros(150);
/// The same when much has been spent awake: packets may be that late.
const AWAKE_BEFORE_WHEN_BUSY: Duration = Duration::from_micros(10);
/// At most this many packets are read from one device before the others have their turn.
const BATCH: usize = 32;

/// Carries packets between hosts until `stop`, or until everything is said on the `stage`, if there is one. The calling thread goes ahead of ordinary ones from then on, if it may.
///
/// # Errors
/// [`Error::Io`] when a device fails.
pub fn carry(
    world: &mut World,
    hosts: &[RealHost],
    clock: Clock,
    options: WireOptions,
    stop: &AtomicBool,
    mut stage: Option<&mut Stage>,
) -> Result<WireReport, Error> {
    let mut punctual = Punctual::new();
    let mut report = WireReport { ahead: punctual.is_permitted(), ..WireReport::default() };
    let mut buffer = vec![0_u8; 65_536];
    let mut out = Vec::with_capacity(65_536);
    let mut last_packet = clock.now();
    let places = hosts.iter().map(|host| host.place.node.0 as usize + 1).max().unwrap_or(0);
    let mut host_at = vec![usize::MAX; places];
    for (index, host) in hosts.iter().enumerate() {
        host_at[host.place.node.0 as usize] = index;
    }
    while !stop.load(Ordering::Relaxed) {
        punctual.keep();
        let before = report.packets_in + report.packets_out;
        deliver(world, hosts, &host_at, clock, &mut out, &mut report)?;
        for host in hosts {
            for (number, device) in host.devices.iter().enumerate() {
                for _ in 0..BATCH {
                    let Some(length) = read(device, &mut buffer)? else { break };
                    report.packets_in += 1;
                    let Some(packet) = understand(&buffer[..length], &mut report) else { continue };
                    world.enter(clock.now(), host.place.node, InterfaceId(number as u32), packet);
                }
            }
        }
        let mut acted = false;
        if let Some(stage) = stage.as_deref_mut() {
            acted = stage.step(clock)?;
            if stage.is_over(clock.now()) {
                break;
            }
        }
        let now = clock.now();
        if acted || report.packets_in + report.packets_out > before {
            last_packet = now;
        } else if now.since(last_packet) >= options.awake || !may_wait_awake(&punctual, options) {
            let mut next = world.next_event().unwrap_or(Instant::FAR_FUTURE);
            if let Some(stage) = stage.as_deref() {
                next = next.min(stage.next_time());
            }
            let next = next.since(now);
            let awake_before =
                if may_wait_awake(&punctual, options) { AWAKE_BEFORE } else { AWAKE_BEFORE_WHEN_BUSY };
            if next > awake_before {
                let mut readable: Vec<PollFd<'_>> = hosts
                    .iter()
                    .flat_map(|host| &host.devices)
                    .map(|device| PollFd::new(device.as_fd(), PollFlags::POLLIN))
                    .chain(stage.as_deref().into_iter().flat_map(Stage::interest))
                    .collect();
                let sleep = (next - awake_before).min(options.nap);
                match ppoll(&mut readable, Some(TimeSpec::from_duration(sleep)), None) {
                    Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                    Err(error) => return Err(error.into()),
                }
                // Something has come, or is about to: being ready for what follows costs less than being late.
                last_packet = last_packet.max(clock.now() - options.awake / 2);
            }
        }
    }
    Ok(report)
}

fn may_wait_awake(punctual: &Punctual, options: WireOptions) -> bool {
    !options.awake.is_zero() && punctual.may_wait_awake()
}

/// Writes what has arrived by now.
fn deliver(
    world: &mut World,
    hosts: &[RealHost],
    host_at: &[usize],
    clock: Clock,
    out: &mut Vec<u8>,
    report: &mut WireReport,
) -> Result<(), Error> {
    world.run_until(clock.now());
    while let Some(left) = world.take_left() {
        let host = host_at.get(left.host.0 as usize).and_then(|&index| hosts.get(index));
        let Some(device) = host.and_then(|host| host.devices.get(left.interface.0 as usize)) else {
            report.refused += 1;
            continue;
        };
        out.clear();
        left.packet.emit(out);
        report.late.add(clock.now().since(left.time));
        match device.send(out) {
            Ok(_) => report.packets_out += 1,
            // A full buffer, a device that is down: a host that does not listen is no reason to end.
            Err(error) if transient(&error) => report.refused += 1,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn transient(error: &std::io::Error) -> bool {
    use nix::errno::Errno;
    error.kind() == std::io::ErrorKind::WouldBlock
        || [Errno::EIO, Errno::ENOBUFS, Errno::EINVAL].iter().any(|e| error.raw_os_error() == Some(*e as i32))
}

/// One packet, or `None` when there is none now.
fn read(device: &SyncDevice, buffer: &mut [u8]) -> Result<Option<usize>, Error> {
    match device.recv(buffer) {
        Ok(length) => Ok(Some(length)),
        Err(error) if transient(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The packet, exact to the byte; a transport that would not come out as it went in is carried unread.
fn understand(bytes: &[u8], report: &mut WireReport) -> Option<Packet> {
    let shared = Bytes::copy_from_slice(bytes);
    let read = Packet::parse(shared.clone()).ok().filter(|packet| packet.len() == bytes.len());
    let packet = match read {
        Some(packet) => packet,
        None => match Packet::unread(shared) {
            Some(packet) => packet,
            None => {
                report.skipped_unreadable += 1;
                return None;
            }
        },
    };
    if packet.ip.destination.is_multicast() {
        report.skipped_multicast += 1;
        return None;
    }
    Some(packet)
}

#[cfg(test)]
mod tests {
    use super::*;
    use narrows_wire::{Seq, TcpFlags, TcpHeader, TcpOptions};

    #[test]
    fn options_that_nobody_knows_come_out_as_they_went_in() {
        let header = TcpHeader {
            source_port: 1,
            destination_port: 2,
            seq: Seq(3),
            ack: Seq(4),
            flags: TcpFlags::SYN,
            window: 5,
            urgent: 0,
            options: TcpOptions { mss: Some(1460), ..TcpOptions::default() },
        };
        let packet = Packet::tcp([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), header, Bytes::new());
        let mut bytes = Vec::new();
        packet.emit(&mut bytes);
        let mut report = WireReport::default();
        assert_eq!(understand(&bytes, &mut report), Some(packet));
        // The MSS becomes an option of kind 30 (RFC 8684): the checksum no longer fits, and no reader knows it.
        bytes[40] = 30;
        let carried = understand(&bytes, &mut report).unwrap();
        let mut out = Vec::new();
        carried.emit(&mut out);
        assert_eq!(out, bytes);
        assert!(understand(&bytes[..19], &mut report).is_none());
        assert_eq!(report.skipped_unreadable, 1);
    }
}
