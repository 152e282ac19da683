//! Why can these bytes not be read as a packet?

/// What was expected, and at which byte of the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ParseError {
    /// The bytes end too early: the packet was cut by the capture's snap length, or damaged.
    #[error("expected {expected} at byte {offset}, but the packet's bytes end at byte {end}")]
    Truncated {
        /// What should have been there.
        expected: &'static str,
        /// Where it begins, bytes from the packet's start.
        offset: usize,
        /// How many bytes there are.
        end: usize,
    },
    /// Neither 4 nor 6 in the first four bits.
    #[error("expected IP version 4 or 6 at byte 0, found {version}")]
    Version {
        /// What was there instead.
        version: u8,
    },
    /// A length field contradicts the header it stands in, or the packet.
    #[error("{field} at byte {offset} is {value}, expected {least} to {most}")]
    Length {
        /// The field.
        field: &'static str,
        /// Where it stands, bytes from the packet's start.
        offset: usize,
        /// What it says, in bytes.
        value: usize,
        /// The least it may say.
        least: usize,
        /// The most it may say.
        most: usize,
    },
    /// The checksum does not match.
    #[error("{of} checksum at byte {offset} does not match")]
    Checksum {
        /// Whose checksum.
        of: &'static str,
        /// Where it stands, bytes from the packet's start.
        offset: usize,
    },
}

/// `bytes[offset..offset + N]`, or the error that says what is missing; `base` is where `bytes` begins in the packet.
#[inline]
pub(crate) fn expect<'a, const N: usize>(
    bytes: &'a [u8],
    offset: usize,
    base: usize,
    expected: &'static str,
) -> Result<&'a [u8; N], ParseError> {
    match bytes.get(offset..).and_then(<[u8]>::first_chunk::<N>) {
        Some(chunk) => Ok(chunk),
        None => Err(ParseError::Truncated { expected, offset: base + offset, end: base + bytes.len() }),
    }
}
