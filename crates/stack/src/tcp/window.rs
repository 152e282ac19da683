//! How much may the peer send? The receive window: its size, its growth, its advertisement.
//!
//! The right edge never moves to the left (RFC 9293 §3.8.6), small windows are not advertised (RFC 9293 §3.8.6.2.2), and
//! the buffer grows with what the application reads per round trip, as Linux's receive buffer autotuning does.

use super::send_buffer::Position;
use crate::Instant;
use narrows_wire::Seq;
use std::time::Duration;

/// A shift of the window field, at most 14 (RFC 7323 §2.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct WindowScale(u8);

crate::pack::pack!(WindowScale { 0 });

impl WindowScale {
    /// `shift`, or 14 if it is larger.
    #[must_use]
    pub fn new(shift: u8) -> WindowScale {
        WindowScale(shift.min(14))
    }

    /// The shift.
    #[must_use]
    pub fn shift(self) -> u8 {
        self.0
    }

    /// The smallest shift with which `bytes` can be advertised.
    #[must_use]
    pub fn for_window(bytes: u32) -> WindowScale {
        WindowScale::new(bytes.checked_ilog2().unwrap_or(0).saturating_sub(15) as u8)
    }
}

/// The receive window. Linux counts half of the buffer as bookkeeping until the first full segment shows what a segment
/// really costs; so does this one.
#[derive(Debug)]
pub(crate) struct ReceiveWindow {
    buffer: u32,
    buffer_limit: u32,
    /// How much of the buffer is window, in 256ths (Linux's scaling_ratio).
    ratio: u32,
    /// The largest segment seen, bytes.
    largest_segment: u32,
    /// What may be advertised at most at present (Linux's rcv_ssthresh); grows as segments arrive.
    threshold: u32,
    /// The shift that the window field of our segments has.
    pub(crate) scale: WindowScale,
    /// Whether the scale is in force (both sides offered it).
    pub(crate) scaled: bool,
    /// The largest window that the buffer is thought to be worth (Linux's window_clamp).
    window_clamp: u32,
    /// First position beyond every window that was advertised; what the peer sends before it was promised room once.
    right_edge: Position,
    /// First position beyond the window as it is. Before `right_edge` only where a promise was taken back for want of memory.
    open_edge: Position,
    /// The next window to be advertised is closed: there was no room for data that came.
    short_of_memory: bool,
    /// The window as it was advertised last, bytes (Linux's rcv_wnd).
    advertised: u32,
    autotune: Autotune,
}

crate::pack::pack!(ReceiveWindow {
    buffer,
    buffer_limit,
    ratio,
    largest_segment,
    threshold,
    scale,
    scaled,
    window_clamp,
    right_edge,
    advertised,
    autotune,
    open_edge,
    short_of_memory,
});

/// Measures what the application reads per round trip.
#[derive(Debug, Default)]
struct Autotune {
    round_trip: Option<Duration>,
    since: Instant,
    read_then: Position,
    read_per_round_trip: u64,
    /// For peers without timestamps: a window's worth of data takes a round trip.
    window_since: Instant,
    window_end: Position,
    last_echo: u32,
}

crate::pack::pack!(Autotune {
    round_trip,
    since,
    read_then,
    read_per_round_trip,
    window_since,
    window_end,
    last_echo,
});

impl ReceiveWindow {
    /// A window for a buffer of `buffer` bytes that may grow to `buffer_limit`.
    pub(crate) fn new(buffer: u32, buffer_limit: u32) -> ReceiveWindow {
        let buffer_limit = buffer_limit.max(buffer);
        ReceiveWindow {
            buffer,
            buffer_limit,
            ratio: 128,
            largest_segment: 0,
            threshold: buffer / 2,
            // A fixed buffer needs no more than its own half; one that grows is ready for the whole (as Linux chooses).
            scale: WindowScale::for_window(if buffer_limit > buffer { buffer_limit } else { buffer / 2 }),
            scaled: false,
            window_clamp: buffer / 2,
            right_edge: 0,
            open_edge: 0,
            short_of_memory: false,
            advertised: 0,
            autotune: Autotune::default(),
        }
    }

    /// The buffer's size in bytes.
    pub(crate) fn buffer(&self) -> u32 {
        self.buffer
    }

    /// What the application is thought to read per round trip, bytes (Linux's rcvq_space).
    pub(crate) fn read_per_round_trip(&self) -> u32 {
        u32::try_from(self.autotune.read_per_round_trip).unwrap_or(u32::MAX)
    }

    /// SO_RCVBUF on a connection that is open: the buffer has that size, and does not grow any more. What was promised stays so.
    pub(crate) fn set_buffer(&mut self, bytes: u32) {
        self.buffer = bytes;
        self.buffer_limit = bytes;
    }

    /// The end of the largest window that was ever advertised.
    pub(crate) fn right_edge(&self) -> Position {
        self.right_edge
    }

    /// The end of the window as it is.
    pub(crate) fn open_edge(&self) -> Position {
        self.open_edge
    }

    /// Bytes from `next` to the end of the window.
    pub(crate) fn open(&self, next: Position) -> u32 {
        self.open_edge.saturating_sub(next) as u32
    }

    fn full_space(&self) -> u32 {
        self.window_of(self.buffer)
    }

    /// The memory that `held` bytes take as they came.
    pub(crate) fn memory_of_held(&self, held: u64) -> u64 {
        held * 256 / u64::from(self.ratio.max(1))
    }

    /// A window may promise so many bytes more than there is room for, because its field has not each value.
    pub(crate) fn rounding(&self) -> u64 {
        2 << self.shift()
    }

    /// Less than half of the buffer is free.
    pub(crate) fn is_crowded(&self, held: u64) -> bool {
        let free = u64::from(self.full_space()).saturating_sub(held);
        free < u64::from(self.full_space().min(self.window_clamp) / 2)
    }

    /// More has come than there is room for (Linux's tcp_clamp_window): a buffer that may grow does, and for another the window starts
    /// small again.
    pub(crate) fn squeeze(&mut self, mss: u32, held: u64) {
        let used = self.memory_of_held(held);
        self.buffer = self.buffer.max(used.min(u64::from(self.buffer_limit)) as u32);
        if used > u64::from(self.buffer) {
            self.threshold = self.window_clamp.min(2 * mss);
        }
    }

    /// Data from `next` on found no room: what was promised is taken back, and the next ACK says so.
    pub(crate) fn close(&mut self, next: Position) {
        self.open_edge = next;
        self.short_of_memory = true;
    }

    fn window_of(&self, buffer: u32) -> u32 {
        (u64::from(buffer) * u64::from(self.ratio) / 256) as u32
    }

    /// The window of SYN and SYN-ACK, which is never scaled (RFC 7323 §2.2) and so shows at most 65535 bytes: full segments of
    /// `mss` bytes. A larger buffer shows in full from the first scaled window on, as on Linux.
    pub(crate) fn initial(&mut self, now: Instant, mss: u32, initial_packets: u32) -> u16 {
        let space = self.full_space();
        let window = if space > mss { space - space % mss.max(1) } else { space };
        self.threshold = window;
        self.right_edge = u64::from(window);
        self.open_edge = self.right_edge;
        self.advertised = window;
        self.autotune.read_per_round_trip = u64::from(window.min(initial_packets.saturating_mul(mss)));
        self.autotune.since = now;
        window.min(65_535) as u16
    }

    /// The handshake is over: were windows scaled by both sides? Without, no window is meant to be larger than its field, until
    /// the first full segment shows what the buffer really holds.
    pub(crate) fn agree(&mut self, scaled: bool) {
        self.scaled = scaled;
        if !scaled {
            self.threshold = self.threshold.min(65_535);
            self.window_clamp = self.window_clamp.min(65_535);
        }
    }

    /// Data may come from now on: of the buffer, room for one segment of `mss` bytes is kept back, until the first full segment shows
    /// what the buffer really holds (Linux's tcp_init_buffer_space).
    pub(crate) fn open_for_data(&mut self, mss: u32) {
        let full = self.full_space();
        let clamp = self.window_clamp.min(full);
        if clamp > 2 * mss && clamp + mss > full {
            self.window_clamp = (2 * mss).max(full.saturating_sub(mss));
        }
        self.threshold = self.threshold.min(self.window_clamp);
    }

    /// The window to have after now, in bytes, before the right edge is considered (Linux's __tcp_select_window).
    fn desired(&self, held: u64, segment: u32) -> u32 {
        let allowed = self.full_space();
        let full = allowed.min(self.window_clamp);
        let segment = segment.min(full);
        let mut free = u64::from(allowed).saturating_sub(held) as u32;
        let unit = 1u32 << self.shift();
        if free < full / 2 {
            free -= free % unit;
            if free < allowed / 16 || free < segment {
                return 0;
            }
        }
        free = free.min(self.threshold);
        if self.shift() > 0 {
            return free.div_ceil(unit) * unit;
        }
        let window = self.advertised;
        if window <= free.saturating_sub(segment) || window > free {
            free - free % segment.max(1)
        } else {
            window
        }
    }

    fn shift(&self) -> u8 {
        if self.scaled { self.scale.shift() } else { 0 }
    }

    /// The window field for a segment that leaves now, and moves the right edge accordingly. `held`: bytes in the
    /// buffer; `segment`: the peer's usual segment size.
    pub(crate) fn advertise(&mut self, next: Position, held: u64, segment: u32) -> u16 {
        if std::mem::take(&mut self.short_of_memory) {
            self.advertised = 0;
            return 0;
        }
        let unit = 1u32 << self.shift();
        let current = self.open(next);
        let mut window = self.desired(held, segment);
        if window < current {
            window = current.div_ceil(unit) * unit;
        }
        // What the field cannot say counts as offered all the same, as in Linux.
        self.advertised = window;
        self.open_edge = self.open_edge.max(next + u64::from(window));
        self.right_edge = self.right_edge.max(self.open_edge);
        (window.min(65_535 << self.shift()) >> self.shift()) as u16
    }

    /// The window, in bytes, that a segment leaving now would advertise.
    pub(crate) fn after_advertising(&self, next: Position, held: u64, segment: u32) -> u32 {
        self.desired(held, segment).max(self.open(next))
    }

    /// The largest window that the buffer is thought to be worth.
    pub(crate) fn clamp(&self) -> u32 {
        self.window_clamp
    }

    /// More is held than the buffer's window.
    pub(crate) fn is_overfull(&self, held: u64) -> bool {
        held > u64::from(self.full_space())
    }

    /// A data segment of `length` bytes, merged from segments of `segment` bytes, has been queued in one piece; the window may
    /// open further (Linux's tcp_grow_window). True when it did.
    pub(crate) fn on_data(&mut self, length: u32, segment: u32, mss: u32, held: u64) -> bool {
        // A segment below the assumed minimum says nothing about full ones.
        if segment > self.largest_segment && segment >= 536 {
            self.largest_segment = segment;
            let length = length.max(segment).min(1 << 17);
            self.ratio = 256 * length / memory_of(length);
            self.set_clamp(self.full_space());
        }
        let free = u64::from(self.full_space()).saturating_sub(held) as u32;
        let room = self.window_clamp.min(free).saturating_sub(self.threshold);
        // A segment much smaller than its bookkeeping does not justify a larger window.
        let grows = room > 0 && length >= 128;
        if grows {
            self.threshold += room.min((2 * mss).max(2 * length));
        }
        grows
    }

    /// The buffer turns out to be worth another window (tcp_set_window_clamp).
    fn set_clamp(&mut self, clamp: u32) {
        if clamp > self.window_clamp {
            self.threshold = self.threshold.max(self.advertised.min(clamp));
        } else {
            self.threshold = self.threshold.min(clamp);
        }
        self.window_clamp = clamp;
    }

    /// A round trip as the receiver sees it: the echo of a timestamp that we sent `elapsed` ago.
    pub(crate) fn on_echo(&mut self, echo: u32, elapsed: Duration) {
        if echo == self.autotune.last_echo {
            return;
        }
        self.autotune.last_echo = echo;
        self.sample(elapsed.max(Duration::from_micros(1)));
    }

    /// For peers without timestamps: data up to `next` has arrived.
    pub(crate) fn on_progress(&mut self, now: Instant, next: Position) {
        if next < self.autotune.window_end {
            return;
        }
        if self.autotune.window_end > 0 {
            let elapsed = now.since(self.autotune.window_since).max(Duration::from_micros(1));
            let shorter = self.autotune.round_trip.is_none_or(|known| elapsed < known);
            if shorter {
                self.autotune.round_trip = Some(elapsed);
            }
        }
        self.autotune.window_since = now;
        self.autotune.window_end = self.right_edge;
    }

    fn sample(&mut self, elapsed: Duration) {
        let smoothed = match self.autotune.round_trip {
            None => elapsed,
            // The shortest is taken at once, so that a queue on the path is not answered with a larger buffer.
            Some(known) if elapsed < known => elapsed,
            Some(known) => known - known / 8 + elapsed / 8,
        };
        self.autotune.round_trip = Some(smoothed);
    }

    /// The application has read up to `position`; `unread` bytes are left in order, and `beyond` is how far what waits out of order
    /// reaches. Grows the buffer when more than ever before was read in a round trip.
    pub(crate) fn on_read(&mut self, now: Instant, position: Position, unread: u64, beyond: u64) {
        let tune = &mut self.autotune;
        let Some(round_trip) = tune.round_trip else { return };
        let elapsed = now.since(tune.since);
        // What came in one piece is measured when it has been read, unless that takes the application as long again.
        if elapsed < round_trip || unread > 0 && elapsed < 2 * round_trip {
            return;
        }
        // An application that does not keep up needs no larger buffer.
        let read = (position - tune.read_then).saturating_sub(unread);
        tune.read_then = position;
        tune.since = now;
        if read > tune.read_per_round_trip {
            let before = std::mem::replace(&mut tune.read_per_round_trip, read).max(1);
            // The peer's timestamps decide how long a round trip is: any number of bytes may have been read in it.
            let growth = 4 * u128::from(read) * u128::from(read - before.min(read)) / u128::from(before);
            let growth = u64::try_from(growth).unwrap_or(u64::MAX);
            self.grow(read.saturating_mul(2).saturating_add(growth).saturating_add(beyond));
        }
    }

    /// Data waits beyond a gap, as far as `beyond` bytes: it needs room on top.
    pub(crate) fn on_out_of_order(&mut self, beyond: u64) {
        self.grow(self.autotune.read_per_round_trip.saturating_mul(2).saturating_add(beyond));
    }

    /// Twice what was read, since the measurement is a round trip late, and for a sender in slow start in proportion to its growth
    /// (Linux's tcp_rcvbuf_grow).
    fn grow(&mut self, window: u64) {
        let wanted = window.saturating_mul(256) / u64::from(self.ratio);
        let wanted = wanted.min(u64::from(self.buffer_limit)) as u32;
        if wanted > self.buffer {
            self.buffer = wanted;
            self.window_clamp = self.full_space();
        }
    }

    /// The receiver's estimate of the round trip.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.autotune.round_trip
    }
}

/// What Linux spends on a packet that holds `length` bytes: a power of two with room for headers and the fragment table, or
/// whole pages, and the packet's descriptor.
fn memory_of(length: u32) -> u32 {
    const PAGE: u32 = 4096;
    const HEADERS: u32 = 104;
    if length + HEADERS > PAGE {
        return (length + HEADERS).next_multiple_of(PAGE) + 256;
    }
    (length + 380).next_power_of_two() + 256
}

/// What the peer allows us to send: SND.WND with its bookkeeping (RFC 9293 §3.10.7.4).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PeerWindow {
    pub(crate) bytes: u32,
    /// The largest window ever seen (RFC 9293 §3.8.6.2.1: sender's silly window avoidance).
    pub(crate) largest: u32,
    /// SND.WL1 and SND.WL2: segment number and acknowledgment of the last update.
    updated_seq: Seq,
    updated_ack: Seq,
}

crate::pack::pack!(PeerWindow { bytes, largest, updated_seq, updated_ack });

impl PeerWindow {
    /// The window of a SYN or SYN-ACK.
    pub(crate) fn start(bytes: u32, seq: Seq, ack: Seq) -> PeerWindow {
        PeerWindow { bytes, largest: bytes, updated_seq: seq, updated_ack: ack }
    }

    /// Takes the window from a segment, if the segment is not older than the last update. True when it changed.
    pub(crate) fn update(&mut self, bytes: u32, seq: Seq, ack: Seq) -> bool {
        let newer = self.updated_seq.is_before(seq)
            || self.updated_seq == seq
                && (self.updated_ack.is_before(ack)
                    || self.updated_ack == ack && (bytes > self.bytes || bytes == 0))
            || self.updated_ack.is_before(ack);
        if !newer {
            return false;
        }
        let changed = self.bytes != bytes;
        self.bytes = bytes;
        self.largest = self.largest.max(bytes);
        self.updated_seq = seq;
        self.updated_ack = ack;
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_buffer_gives_the_windows_that_linux_shows() {
        let mut window = ReceiveWindow::new(131_072, 6_291_456);
        assert_eq!(window.scale.shift(), 7);
        assert_eq!(window.initial(Instant::ZERO, 1460, 10), 64_240);
        window.scaled = true;
        assert_eq!(window.advertise(0, 0, 1460), 502);
        assert_eq!(ReceiveWindow::new(131_072, 6_291_456).initial(Instant::ZERO, 1448, 10), 65_160);
        assert_eq!(ReceiveWindow::new(131_072, 6_291_456).initial(Instant::ZERO, 1440, 10), 64_800);
    }

    #[test]
    fn small_segments_do_not_open_a_window_of_which_one_segment_is_kept_back() {
        let mut window = ReceiveWindow::new(131_072, 6_291_456);
        window.initial(Instant::ZERO, 1460, 10);
        window.scaled = true;
        window.open_for_data(1448);
        let first = window.advertise(0, 0, 1448);
        assert_eq!(first, 502);
        assert!(!window.on_data(512, 512, 1448, 512));
        assert_eq!(window.advertise(512, 512, 512), first - 1, "its field is a multiple of 128 bytes");
        assert!(window.on_data(1448, 1448, 1448, 1960), "a full one shows what the buffer holds");
    }

    #[test]
    fn the_right_edge_never_moves_to_the_left() {
        let mut window = ReceiveWindow::new(131_072, 131_072);
        window.initial(Instant::ZERO, 1460, 10);
        window.scaled = true;
        let mut edge = 0;
        for next in (0..60_000u64).step_by(1000) {
            window.advertise(next, next, 1460);
            assert!(window.right_edge() >= edge);
            edge = window.right_edge();
        }
        assert!(window.right_edge() <= 65_536 + 128);
    }

    #[test]
    fn a_window_smaller_than_a_segment_is_closed_and_opens_with_room_for_much() {
        let mut window = ReceiveWindow::new(20_000, 20_000);
        window.initial(Instant::ZERO, 1460, 10);
        let edge = window.right_edge();
        assert_eq!(window.advertise(edge, edge, 1460), 0);
        assert_eq!(window.after_advertising(edge, edge - 100, 1460), 0);
        assert!(window.after_advertising(edge, 1000, 1460) > 8000);
    }

    #[test]
    fn full_segments_open_the_window_as_on_linux() {
        let mut window = ReceiveWindow::new(131_072, 33_554_432);
        assert_eq!(window.scale.shift(), 10);
        window.initial(Instant::ZERO, 1460, 10);
        window.scaled = true;
        let mut shown = vec![window.advertise(0, 0, 536)];
        for count in 1..8u64 {
            window.on_data(1448, 1448, 1448, 0);
            shown.push(window.advertise(1448 * count, 0, 1448));
        }
        // Linux 6.18 shows 63, 66, 69, 72, 75, 78, 79, 79.
        assert_eq!(shown[..5], [63, 66, 69, 72, 75]);
        assert!((77..=78).contains(&shown[5]), "{shown:?}");
        assert!(shown[6..].iter().all(|window| (79..=80).contains(window)), "{shown:?}");
    }

    #[test]
    fn the_buffer_grows_with_what_is_read_per_round_trip() {
        let mut window = ReceiveWindow::new(131_072, 6_291_456);
        window.initial(Instant::ZERO, 1460, 10);
        let mut position = 0;
        for round in 1..12u64 {
            window.on_echo(round as u32, Duration::from_millis(50));
            position += 14_600 << round;
            window.on_read(Instant::from_millis(50 * round), position, 0, 0);
        }
        assert_eq!(window.buffer(), 6_291_456);
    }

    #[test]
    fn an_older_segment_does_not_change_the_peer_window() {
        let mut window = PeerWindow::start(1000, Seq(10), Seq(20));
        assert!(window.update(2000, Seq(11), Seq(20)));
        assert!(!window.update(500, Seq(10), Seq(20)));
        assert_eq!((window.bytes, window.largest), (2000, 2000));
        assert!(!window.update(500, Seq(11), Seq(20)));
    }
}
