//! What does a socket's error look like to a tokio program? As the same error of the operating system.

use narrows_stack::{SocketError, UdpError};
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

/// EMSGSIZE, EDESTADDRREQ and ENOBUFS, for which [`io::ErrorKind`] has no names, by their numbers here: programs ask for
/// [`io::Error::raw_os_error`].
#[cfg(any(target_os = "linux", target_os = "android"))]
const NUMBERS: [i32; 3] = [90, 89, 105];
#[cfg(windows)]
const NUMBERS: [i32; 3] = [10_040, 10_039, 10_055];
#[cfg(not(any(target_os = "linux", target_os = "android", windows)))]
const NUMBERS: [i32; 3] = [40, 39, 55];

/// The error that a program would see from a UDP socket of the operating system.
pub(crate) fn udp_error(error: UdpError) -> io::Error {
    let [message_too_long, destination_required, no_buffer_space] = NUMBERS;
    let kind = match error {
        UdpError::UnknownSocket => io::ErrorKind::NotConnected,
        UdpError::WouldBlock => io::ErrorKind::WouldBlock,
        UdpError::AddressInUse => io::ErrorKind::AddrInUse,
        UdpError::InvalidDestination | UdpError::InvalidKnob | UdpError::InvalidSegments => {
            io::ErrorKind::InvalidInput
        }
        UdpError::Unreachable => io::ErrorKind::NetworkUnreachable,
        UdpError::Refused => io::ErrorKind::ConnectionRefused,
        UdpError::NotConnected => return io::Error::from_raw_os_error(destination_required),
        UdpError::NoBufferSpace => return io::Error::from_raw_os_error(no_buffer_space),
        UdpError::MessageTooLong { .. } => return io::Error::from_raw_os_error(message_too_long),
    };
    io::Error::new(kind, error)
}

/// Whether a datagram was refused for its size (EMSGSIZE).
#[cfg(feature = "quinn")]
pub(crate) fn is_message_too_long(error: &io::Error) -> bool {
    error.raw_os_error() == Some(NUMBERS[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(all(feature = "tun", target_os = "linux"))]
    fn errors_of_datagrams_have_the_numbers_that_programs_ask_for() {
        let number = |error| udp_error(error).raw_os_error();
        assert_eq!(number(UdpError::MessageTooLong { mtu: 1_400 }), Some(nix::libc::EMSGSIZE));
        assert_eq!(number(UdpError::NotConnected), Some(nix::libc::EDESTADDRREQ));
        assert_eq!(number(UdpError::NoBufferSpace), Some(nix::libc::ENOBUFS));
        assert_eq!(udp_error(UdpError::Refused).kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn an_error_keeps_its_kind_its_text_and_its_source() {
        let error = io_error(SocketError::Reset);
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(error.to_string(), SocketError::Reset.to_string());
        let source = error.get_ref().and_then(|source| source.downcast_ref::<SocketError>());
        assert_eq!(source, Some(&SocketError::Reset));
    }
}
