//! Which packets are in this capture? pcap and pcapng in, packets out, in one streaming pass with bounded memory.
//!
//! [`Capture`] gives the captured bytes with their times; [`PacketHeaders`] on top of it gives the headers of the IP packets in them and
//! counts everything that is left out.
//!
//! ```
//! use narrows_trace::read::{Capture, PacketHeaders};
//!
//! // A pcap file with one raw IPv4 packet, an empty UDP datagram.
//! let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 101, 0, 0, 0];
//! file.extend([7, 0, 0, 0, 9, 0, 0, 0, 28, 0, 0, 0, 28, 0, 0, 0]);
//! file.extend([0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
//! file.extend([0, 53, 0, 53, 0, 8, 0, 0]);
//! let mut packets = PacketHeaders::new(Capture::from_reader(std::io::Cursor::new(file), "example.pcap")?);
//! while let Some(packet) = packets.next_packet() {
//!     let packet = packet?;
//!     assert_eq!((packet.number, packet.time.as_nanos()), (1, 7_000_009_000));
//!     assert_eq!(packet.headers.payload_bytes, 0);
//! }
//! assert_eq!(packets.counts().udp, 1);
//! # Ok::<(), narrows_trace::read::ReadError>(())
//! ```

mod compression;
mod counts;
mod error;
mod packet_headers;
mod pcap;
mod pcapng;
mod source;

pub use counts::{Counts, Unreadable};
pub use error::ReadError;
pub use packet_headers::{HeaderPacket, PacketHeaders};

use error::Stop;
use narrows_stack::Instant;
use pcap::Pcap;
use pcapng::Pcapng;
use source::{Counting, Source};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The longest captured packet that is taken for real, bytes: the largest snap length of tcpdump and Wireshark. More is
/// [`ReadError::Damaged`].
pub const MAX_CAPTURED_BYTES: u32 = 262_144;

/// The longest pcapng block that is looked into, bytes: the longest packet and its options.
const MAX_BLOCK_BYTES: u32 = MAX_CAPTURED_BYTES + 131_072;

/// One packet of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapturedPacket<'a> {
    /// Its number in the capture, from 1; all packets count, as in Wireshark.
    pub number: u64,
    /// When it was captured, since the Unix epoch. A packet without a time of its own has that of the packet before.
    pub time: Instant,
    /// The file gives a time for this packet (pcapng's simple packets have none).
    pub has_time: bool,
    /// The frame, as far as it was kept.
    pub captured: &'a [u8],
    /// How long the frame was, bytes.
    pub wire_len: u32,
    /// What the frame begins with, see [`narrows_wire::link`].
    pub link_type: u32,
    /// Which interface of the section; always 0 in pcap.
    pub interface: u32,
}

/// How far a capture has been read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the (decompressed) capture whose packets have been given out.
    pub capture_bytes: u64,
    /// Bytes read from the file, compressed as it is; ahead of `capture_bytes` by what is buffered.
    pub file_bytes: u64,
    /// The file's size where it is known: not for pipes.
    pub file_size: Option<u64>,
}

/// A packet within the buffer.
#[derive(Clone, Copy, Debug)]
struct Meta {
    time: Option<Instant>,
    /// Where its bytes begin in the buffer.
    data: usize,
    captured: u32,
    wire_len: u32,
    link_type: u32,
    interface: u32,
}

#[derive(Debug)]
enum Format {
    Pcap(Pcap),
    Pcapng(Pcapng),
}

/// A capture being read. Holds 512 KiB and, in a zstd file, the frame's window (at most 100 MiB).
pub struct Capture {
    name: String,
    compressed: bool,
    source: Source,
    format: Format,
    file_bytes: Arc<AtomicU64>,
    file_size: Option<u64>,
    number: u64,
    last_time: Instant,
    ended: bool,
}

impl fmt::Debug for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capture")
            .field("name", &self.name)
            .field("format", &self.format)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

impl Capture {
    /// Opens the capture at `path`; `-` is standard input.
    ///
    /// # Errors
    /// [`ReadError`] when it cannot be opened, is no capture, or has a link type that narrows does not read.
    pub fn open(path: impl AsRef<Path>) -> Result<Capture, ReadError> {
        let path = path.as_ref();
        if path == Path::new("-") {
            return Capture::new(std::io::stdin(), "standard input".into(), None);
        }
        let name = path.display().to_string();
        let opened = File::open(path).and_then(|file| Ok((file.metadata()?, file)));
        match opened {
            Ok((metadata, file)) => {
                let size = metadata.is_file().then_some(metadata.len());
                Capture::new(file, name, size)
            }
            Err(source) => Err(ReadError::Open { file: name, source }),
        }
    }

    /// Reads a capture from `reader`; `name` is for errors.
    ///
    /// # Errors
    /// As [`Capture::open`].
    pub fn from_reader(
        reader: impl Read + Send + 'static,
        name: impl Into<String>,
    ) -> Result<Capture, ReadError> {
        Capture::new(reader, name.into(), None)
    }

    fn new(
        reader: impl Read + Send + 'static,
        name: String,
        file_size: Option<u64>,
    ) -> Result<Capture, ReadError> {
        let (reader, file_bytes) = Counting::new(reader);
        let (reader, compressed) = match compression::open(reader) {
            Ok(opened) => opened,
            Err(source) => return Err(ReadError::Io { file: name, offset: 0, compressed: false, source }),
        };
        let mut source = Source::new(reader);
        match open_format(&mut source) {
            Ok(Some(format)) => Ok(Capture {
                name,
                compressed,
                source,
                format,
                file_bytes,
                file_size,
                number: 0,
                last_time: Instant::ZERO,
                ended: false,
            }),
            Ok(None) => Err(ReadError::NotACapture { file: name, begins: beginning(source.bytes()) }),
            Err(stop) => Err(named(stop, &name, compressed, source.read_position())),
        }
    }

    /// The name for errors: the path, or what [`Capture::from_reader`] was given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The next packet; `None` at the end and after an error. The packet is lent until the next call.
    pub fn next_packet(&mut self) -> Option<Result<CapturedPacket<'_>, ReadError>> {
        match self.advance()? {
            Ok(meta) => Some(Ok(CapturedPacket {
                number: self.number,
                time: self.last_time,
                has_time: meta.time.is_some(),
                captured: self.bytes(&meta),
                wire_len: meta.wire_len,
                link_type: meta.link_type,
                interface: meta.interface,
            })),
            Err(error) => Some(Err(error)),
        }
    }

    /// As [`Capture::next_packet`], without lending the bytes, so that the caller may pass packets over.
    #[inline]
    fn advance(&mut self) -> Option<Result<Meta, ReadError>> {
        if self.ended {
            return None;
        }
        let next = match &mut self.format {
            Format::Pcap(pcap) => pcap.next(&mut self.source),
            Format::Pcapng(pcapng) => pcapng.next(&mut self.source),
        };
        match next {
            Ok(Some(meta)) => {
                self.number += 1;
                if let Some(time) = meta.time {
                    self.last_time = time;
                }
                Some(Ok(meta))
            }
            Ok(None) => {
                self.ended = true;
                None
            }
            Err(stop) => {
                self.ended = true;
                Some(Err(named(stop, &self.name, self.compressed, self.source.read_position())))
            }
        }
    }

    #[inline]
    fn bytes(&self, meta: &Meta) -> &[u8] {
        self.source.lend(meta.data, meta.captured as usize)
    }

    /// How far it has been read.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress {
            capture_bytes: self.source.position(),
            file_bytes: self.file_bytes.load(Ordering::Relaxed),
            file_size: self.file_size,
        }
    }

    /// Packets that the capturing program says it has lost, as far as has been read: pcapng's interface statistics and drop counts. (pcap
    /// has no place for them.)
    #[must_use]
    pub fn dropped_by_capturer(&self) -> u64 {
        match &self.format {
            Format::Pcap(_) => 0,
            Format::Pcapng(pcapng) => pcapng.dropped(),
        }
    }
}

/// The format that the stream begins with, if it is one.
fn open_format(source: &mut Source) -> Result<Option<Format>, Stop> {
    // 16 bytes are for the error's words; a capture is recognised by the first four.
    source.has(16)?;
    let Some(&first) = source.bytes().first_chunk::<4>() else {
        return Ok(None);
    };
    if pcap::is_pcap(first) {
        Ok(Some(Format::Pcap(Pcap::open(source)?)))
    } else if pcapng::is_pcapng(first) {
        Ok(Some(Format::Pcapng(Pcapng::default())))
    } else {
        Ok(None)
    }
}

/// How something that is no capture begins. Says what it looks like instead of quoting it: it may be somebody's secret.
fn beginning(bytes: &[u8]) -> String {
    const KINDS: [(&[u8], &str); 9] = [
        (b"PK\x03\x04", "a zip archive; unpack it first"),
        (b"\xfd7zXZ\0", "an xz file; unpack it first"),
        (b"BZh", "a bzip2 file; unpack it first"),
        (b"snoop\0\0\0", "a snoop file; convert it with editcap -F pcapng"),
        (b"GMBU", "a Network Monitor file; convert it with editcap -F pcapng"),
        (
            b"\x34\xcd\xb2\xa1",
            "a pcap file of the old variant with long records; convert it with editcap -F pcapng",
        ),
        (
            b"\xa1\xb2\xcd\x34",
            "a pcap file of the old variant with long records; convert it with editcap -F pcapng",
        ),
        (b"\x7fELF", "a program"),
        (b"%PDF", "a PDF document"),
    ];
    if bytes.is_empty() {
        return "it is empty".into();
    }
    let hex: Vec<String> = bytes.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let hex = hex.join(" ");
    if let Some((_, kind)) = KINDS.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return format!("it begins with {hex}, as {kind}");
    }
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let is_text = text.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
    match text.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{' | b'[') if is_text => format!("it begins with {hex}, as JSON does (a HAR file?)"),
        Some(b'<') if is_text => format!("it begins with {hex}, as HTML or XML does"),
        _ if is_text => format!("it begins with {hex}, which is text"),
        _ => format!("it begins with {hex}"),
    }
}

#[cold]
fn named(stop: Stop, file: &str, compressed: bool, end: u64) -> ReadError {
    let file = file.to_owned();
    match stop {
        Stop::Io(source) => ReadError::Io { file, offset: end, compressed, source },
        Stop::Truncated { offset, expected, end } => ReadError::Truncated { file, offset, expected, end },
        Stop::Damaged { offset, expected, found } => ReadError::Damaged { file, offset, expected, found },
        Stop::UnknownLinkType(link_type) => ReadError::UnknownLinkType { file, link_type },
    }
}

#[cfg(test)]
mod tests;
