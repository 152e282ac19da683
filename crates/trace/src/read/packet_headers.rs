//! What do the headers of the capture's IP packets say, one after the other?

use super::{Capture, Counts, Progress, ReadError};
use narrows_stack::Instant;
use narrows_wire::{Headers, link};

/// The headers of one packet of a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderPacket<'a> {
    /// Its number in the capture, from 1; all packets count, as in Wireshark.
    pub number: u64,
    /// When it was captured, since the Unix epoch.
    pub time: Instant,
    /// Its headers.
    pub headers: Headers,
    /// The IP packet, as far as captured, without its link-layer header; [`Headers::payload`] finds the payload in it.
    pub bytes: &'a [u8],
}

/// The headers of all IP packets of a capture; what is not IP or cannot be read is passed over and counted.
#[derive(Debug)]
pub struct PacketHeaders {
    capture: Capture,
    counts: Counts,
    ended: bool,
}

impl PacketHeaders {
    /// Begins to read `capture`.
    #[must_use]
    pub fn new(capture: Capture) -> PacketHeaders {
        PacketHeaders { capture, counts: Counts::default(), ended: false }
    }

    /// The next IP packet whose headers can be read; `None` at the end and after an error.
    ///
    /// A file of several interfaces may have some whose link type narrows does not read: their packets are counted. When all are so,
    /// [`ReadError::UnknownLinkType`] comes at the end.
    #[inline]
    pub fn next_packet(&mut self) -> Option<Result<HeaderPacket<'_>, ReadError>> {
        let (headers, begin, meta) = loop {
            let before = self.capture.last_time;
            let meta = match self.capture.advance() {
                Some(Ok(meta)) => meta,
                Some(Err(error)) => {
                    self.note_end();
                    return Some(Err(error));
                }
                None => return self.note_end().map(Err),
            };
            self.counts.packets += 1;
            if meta.time.is_none() {
                self.counts.without_time += 1;
            } else {
                self.counts.note_time(self.capture.last_time, before);
            }
            let cut = meta.captured < meta.wire_len;
            self.counts.cut_by_snap_length += u64::from(cut);
            let frame = self.capture.bytes(&meta);
            let packet = match link::strip(meta.link_type, frame) {
                Ok(packet) => packet,
                Err(error) => {
                    self.counts.note_link_error(error, cut);
                    continue;
                }
            };
            let begin = frame.len() - packet.len();
            match Headers::parse(packet, meta.wire_len as usize - begin) {
                Ok(headers) => break (headers, begin, meta),
                Err(error) => self.counts.note_parse_error(self.capture.number, error, cut),
            }
        };
        self.counts.note_headers(&headers);
        let frame = self.capture.bytes(&meta);
        Some(Ok(HeaderPacket {
            number: self.capture.number,
            time: self.capture.last_time,
            headers,
            bytes: &frame[begin..],
        }))
    }

    #[cold]
    fn note_end(&mut self) -> Option<ReadError> {
        self.counts.dropped_by_capturer = self.capture.dropped_by_capturer();
        let link_type = self.counts.first_unknown_link_type?;
        let all = self.counts.unreadable.link_type == self.counts.packets;
        let first_time = !std::mem::replace(&mut self.ended, true);
        (all && first_time).then(|| ReadError::UnknownLinkType { file: self.capture.name.clone(), link_type })
    }

    /// What has been read so far, and what was left out. The capturer's losses are complete after the end.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// How far the file has been read.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.capture.progress()
    }

    /// The capture's name, for errors.
    #[must_use]
    pub fn name(&self) -> &str {
        self.capture.name()
    }
}
