//! Is this packet what was sent? The Internet checksum (RFC 1071).
