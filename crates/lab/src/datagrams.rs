//! How many datagrams arrive? A sender that sends at a steady pace over UDP, and a receiver that counts them.

use crate::app::{App, AppEvent, Io};
use bytes::{BufMut, Bytes, BytesMut};
use narrows_stack::{Instant, UdpError, UdpSocketId};
use std::net::SocketAddr;
use std::time::Duration;

/// Each datagram begins with its number, as 8 bytes.
pub const SMALLEST: usize = 8;

/// Sends datagrams one after the other, whatever becomes of them.
#[derive(Debug)]
pub struct DatagramSender {
    remote: SocketAddr,
    count: u64,
    size: usize,
    every: Duration,
    start: Duration,
    sent: u64,
    refused: u64,
    socket: Option<UdpSocketId>,
    error: Option<UdpError>,
}

impl DatagramSender {
    /// Sends `count` datagrams with `size` bytes of payload each (at least [`SMALLEST`]) to `remote`, one every `every`.
    #[must_use]
    pub fn new(remote: SocketAddr, count: u64, size: usize, every: Duration) -> DatagramSender {
        let size = size.max(SMALLEST);
        let start = Duration::ZERO;
        DatagramSender { remote, count, size, every, start, sent: 0, refused: 0, socket: None, error: None }
    }

    /// The same, beginning so much later than the world.
    #[must_use]
    pub fn starting_after(self, start: Duration) -> DatagramSender {
        DatagramSender { start, ..self }
    }

    /// Whether all have been handed to the stack, taken or not.
    #[must_use]
    pub fn finished(&self) -> bool {
        self.sent + self.refused >= self.count
    }

    /// Datagrams that the stack has taken.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Datagrams that it has not taken; they count among the `count`.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// The latest error: of a call, or what the network has reported.
    #[must_use]
    pub fn error(&self) -> Option<UdpError> {
        self.error
    }

    fn send(&mut self, io: &mut Io<'_>) {
        let number = self.sent + self.refused;
        let Some(socket) = self.socket.filter(|_| number < self.count) else { return };
        let mut payload = BytesMut::with_capacity(self.size);
        payload.put_u64(number);
        payload.resize(self.size, 0x5a);
        match io.udp_send(socket, payload.freeze()) {
            Ok(()) => self.sent += 1,
            Err(error) => {
                self.refused += 1;
                self.error = Some(error);
            }
        }
        io.set_timer(io.now() + self.every, 0);
    }
}

impl App for DatagramSender {
    fn on_event(&mut self, io: &mut Io<'_>, event: AppEvent) {
        match event {
            AppEvent::Start => {
                match io.udp_bind(0).and_then(|socket| io.udp_connect(socket, self.remote).map(|()| socket)) {
                    Ok(socket) => self.socket = Some(socket),
                    Err(error) => self.error = Some(error),
                }
                if self.start.is_zero() {
                    self.send(io);
                } else {
                    io.set_timer(io.now() + self.start, 0);
                }
            }
            AppEvent::Timer(_) => self.send(io),
            AppEvent::DatagramError(socket) => self.error = io.udp_recv(socket).err().or(self.error),
            _ => {}
        }
    }
}

/// Reads the datagrams of [`DatagramSender`]s and counts them.
#[derive(Debug)]
pub struct DatagramReceiver {
    port: u16,
    received: u64,
    bytes: u64,
    reordered: u64,
    highest: Option<u64>,
    first: Option<Instant>,
    last: Option<Instant>,
    error: Option<UdpError>,
}

impl DatagramReceiver {
    /// Waits on `port`.
    #[must_use]
    pub fn new(port: u16) -> DatagramReceiver {
        DatagramReceiver {
            port,
            received: 0,
            bytes: 0,
            reordered: 0,
            highest: None,
            first: None,
            last: None,
            error: None,
        }
    }

    /// Datagrams read.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Their payload, bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Of them, those that came after one with the same or a higher number: late, or a second time.
    #[must_use]
    pub fn reordered(&self) -> u64 {
        self.reordered
    }

    /// When the first and the last were read.
    #[must_use]
    pub fn times(&self) -> Option<(Instant, Instant)> {
        self.first.zip(self.last)
    }

    /// Why it could not wait, if so.
    #[must_use]
    pub fn error(&self) -> Option<UdpError> {
        self.error
    }

    fn read(&mut self, now: Instant, payload: &Bytes) {
        self.received += 1;
        self.bytes += payload.len() as u64;
        self.first = self.first.or(Some(now));
        self.last = Some(now);
        let number = payload.first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
        self.reordered += u64::from(number.is_some() && number <= self.highest);
        self.highest = self.highest.max(number);
    }
}

impl App for DatagramReceiver {
    fn on_event(&mut self, io: &mut Io<'_>, event: AppEvent) {
        match event {
            AppEvent::Start => self.error = io.udp_bind(self.port).err(),
            AppEvent::Datagrams(socket) => {
                while let Ok(datagram) = io.udp_recv(socket) {
                    self.read(io.now(), &datagram.payload);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DirectionConfig, HostOptions, HostTimes, IpVersion, LinkConfig, Loss, World};
    use narrows_stack::Knobs;

    /// What arrives of `count` datagrams of `size` bytes over Ethernet that loses each packet with probability `loss`.
    fn arrived(version: IpVersion, count: u64, size: usize, loss: f64, wakeup: Duration) -> u64 {
        let mut builder = World::builder(7);
        builder.ip_version(version);
        let times = HostTimes { wakeup, ..HostTimes::default() };
        let options = HostOptions { times, ..HostOptions::new(Knobs::default()) };
        let client = builder.host_with("client", options.clone());
        let server = builder.host_with("server", options);
        let forward = DirectionConfig {
            delay: Duration::from_millis(5),
            loss: Loss::Random(loss),
            ..DirectionConfig::default()
        };
        builder.link("path", client, server, LinkConfig { forward, ..LinkConfig::default() });
        let remote = SocketAddr::new(builder.address(server).unwrap(), 9_000);
        let sender = builder.app(client, DatagramSender::new(remote, count, size, Duration::from_millis(1)));
        let receiver = builder.app(server, DatagramReceiver::new(9_000));
        let mut world = builder.build().unwrap();
        world.run_until_idle(Instant::from_millis(count + 100_000));
        let sender = world.app::<DatagramSender>(sender).unwrap();
        assert_eq!((sender.sent(), sender.refused(), sender.error()), (count, 0, None));
        let receiver = world.app::<DatagramReceiver>(receiver).unwrap();
        assert_eq!((receiver.error(), receiver.reordered()), (None, 0));
        assert_eq!(receiver.bytes(), receiver.received() * size as u64);
        receiver.received()
    }

    #[test]
    fn the_loss_of_a_datagram_is_that_of_any_of_its_pieces() {
        let (count, loss) = (5_000u64, 0.02f64);
        for version in [IpVersion::V4, IpVersion::V6] {
            for (size, pieces) in [(1_400, 1), (2_800, 2), (8_000, 6), (20_000, 14)] {
                let got = arrived(version, count, size, loss, Duration::ZERO);
                let lost = 1.0 - got as f64 / count as f64;
                let expected = 1.0 - (1.0 - loss).powi(pieces);
                let deviation = (expected * (1.0 - expected) / count as f64).sqrt();
                assert!((lost - expected).abs() < 4.0 * deviation, "{size}: {lost} for {expected}");
            }
        }
    }

    #[test]
    fn all_arrive_where_nothing_is_lost_also_at_a_host_that_takes_time() {
        let wakeup = Duration::from_micros(50);
        assert_eq!(arrived(IpVersion::V4, 500, 4_000, 0.0, wakeup), 500);
    }

    #[test]
    fn a_sender_hears_that_nobody_waits() {
        let mut builder = World::builder(7);
        let client = builder.host("client", Knobs::default());
        let server = builder.host("server", Knobs::default());
        builder.link("path", client, server, LinkConfig::with_delay(Duration::from_millis(1)));
        let remote = SocketAddr::new(builder.address(server).unwrap(), 9_000);
        let sender = builder.app(client, DatagramSender::new(remote, 3, 100, Duration::from_millis(10)));
        let mut world = builder.build().unwrap();
        world.run_until_idle(Instant::from_millis(1_000));
        assert_eq!(world.app::<DatagramSender>(sender).unwrap().error(), Some(UdpError::Refused));
        assert_eq!(world.app::<DatagramSender>(sender).unwrap().sent(), 3);
    }
}
