//! What does a socket's error look like to a tokio program? As the same error of the operating system.

use narrows_stack::SocketError;
use std::io;

/// The error that a program would see from a socket of the operating system.
pub(crate) fn io_error(error: SocketError) -> io::Error {
    let kind = match error {
        SocketError::UnknownSocket | SocketError::InvalidState => io::ErrorKind::NotConnected,
        SocketError::WouldBlock => io::ErrorKind::WouldBlock,
        SocketError::AddressInUse => io::ErrorKind::AddrInUse,
        SocketError::Unreachable => io::ErrorKind::NetworkUnreachable,
        SocketError::Refused => io::ErrorKind::ConnectionRefused,
        SocketError::Reset => io::ErrorKind::ConnectionReset,
        SocketError::TimedOut => io::ErrorKind::TimedOut,
        SocketError::InvalidKnob => io::ErrorKind::InvalidInput,
        SocketError::BrokenPipe => io::ErrorKind::BrokenPipe,
    };
    io::Error::new(kind, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_keeps_its_kind_its_text_and_its_source() {
        let error = io_error(SocketError::Reset);
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(error.to_string(), SocketError::Reset.to_string());
        let source = error.get_ref().and_then(|source| source.downcast_ref::<SocketError>());
        assert_eq!(source, Some(&SocketError::Reset));
    }
}
