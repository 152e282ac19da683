//! Why can this capture not be read (any further)?

use std::io;

/// Why a capture cannot be read, or not beyond some byte. Offsets are in the capture itself; in a gzip or zstd file that is the
/// decompressed stream.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be opened.
    #[error("cannot open {file}: {source}")]
    Open {
        /// The file.
        file: String,
        /// What the system says.
        source: io::Error,
    },
    /// Neither pcap nor pcapng.
    #[error("{file}: this is not a capture: {begins}; narrows reads pcap and pcapng, also in gzip or zstd")]
    NotACapture {
        /// The file.
        file: String,
        /// How it begins, in words.
        begins: String,
    },
    /// The system or the decompressor gives no more bytes.
    #[error("{file}: cannot read beyond byte {offset}{}: {source}{}", if *.compressed { " of the decompressed capture" } else { "" }, advice(source, *.compressed))]
    Io {
        /// The file.
        file: String,
        /// How many bytes there were.
        offset: u64,
        /// The file is compressed: it may be damaged or cut.
        compressed: bool,
        /// What the system or the decompressor says.
        source: io::Error,
    },
    /// The file ends within something.
    #[error("{file}: expected {expected} at byte {offset}, but the file ends at byte {end}")]
    Truncated {
        /// The file.
        file: String,
        /// Where the incomplete part begins.
        offset: u64,
        /// What should have been there.
        expected: String,
        /// Where the file ends.
        end: u64,
    },
    /// Bytes that cannot be right, so that what follows cannot be found.
    #[error("{file}: expected {expected} at byte {offset}, found {found}")]
    Damaged {
        /// The file.
        file: String,
        /// Where.
        offset: u64,
        /// What should have been there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A link type that narrows does not read.
    #[error(
        "{file}: its packets have link type {link_type}, which narrows does not read; it reads Ethernet, Linux cooked, \
         loopback and raw IP (capture on another interface, or convert the file)"
    )]
    UnknownLinkType {
        /// The file.
        file: String,
        /// The link type (a LINKTYPE_ value).
        link_type: u32,
    },
}

impl ReadError {
    /// Where reading ended, bytes from the start of the (decompressed) capture; `None` when it did not begin.
    #[must_use]
    pub fn offset(&self) -> Option<u64> {
        match self {
            ReadError::Io { offset, .. }
            | ReadError::Truncated { offset, .. }
            | ReadError::Damaged { offset, .. } => Some(*offset),
            ReadError::Open { .. } | ReadError::NotACapture { .. } | ReadError::UnknownLinkType { .. } => {
                None
            }
        }
    }
}

/// What ends the reading within a format, before the file's name is put to it.
#[derive(Debug)]
pub(super) enum Stop {
    Io(io::Error),
    Truncated { offset: u64, expected: String, end: u64 },
    Damaged { offset: u64, expected: String, found: String },
    UnknownLinkType(u32),
}

impl Stop {
    #[cold]
    pub(super) fn damaged(offset: u64, expected: impl Into<String>, found: impl ToString) -> Stop {
        Stop::Damaged { offset, expected: expected.into(), found: found.to_string() }
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        Stop::Io(error)
    }
}

/// What to do about it, where that is known.
fn advice(source: &io::Error, compressed: bool) -> &'static str {
    match source.kind() {
        io::ErrorKind::IsADirectory => "; name the files in it",
        _ if compressed => "; the file is damaged or not yet whole: what came before is shown",
        _ => "",
    }
}
