//! How does a packet get into the kernel and out of it? One TUN device, with or without offloads.

use super::offload::{self, HEADER_BYTES};
use bytes::Bytes;
use narrows_wire::{ChecksumState, Packet};
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, PoisonError};
use tun_rs::{SyncDevice, VirtioNetHdr};

/// The largest packet there is, and its header.
const LARGEST: usize = HEADER_BYTES + 65_535;
/// Shorter packets are copied out of the buffer that they were read into; it is read into again.
const COPIED: usize = 8_192;
/// At most so many buffers wait to be used again.
const KEPT_BUFFERS: usize = 64;

/// A device of the kernel; reading and writing never wait.
pub(super) struct Device {
    device: SyncDevice,
    offload: bool,
    free: Arc<Buffers>,
}

/// What came of reading.
pub(super) enum Read {
    Packet(Packet),
    /// Something that is no packet, or not one that its header describes.
    Unreadable,
    /// Nothing there.
    Empty,
}

impl Device {
    pub(super) fn new(device: SyncDevice, offload: bool) -> io::Result<Device> {
        device.set_nonblocking(true)?;
        Ok(Device { device, offload, free: Arc::default() })
    }

    pub(super) fn offload(&self) -> bool {
        self.offload
    }

    /// The next packet.
    pub(super) fn read(&self) -> io::Result<Read> {
        let mut buffer = self.free.take();
        let length = match self.device.recv(&mut buffer) {
            Ok(length) => length,
            Err(error) => {
                self.free.give(buffer);
                return if error.kind() == io::ErrorKind::WouldBlock { Ok(Read::Empty) } else { Err(error) };
            }
        };
        let begin = if self.offload { HEADER_BYTES } else { 0 };
        let header =
            if self.offload { VirtioNetHdr::decode(&buffer).ok() } else { Some(VirtioNetHdr::default()) };
        let bytes = if length <= COPIED {
            let bytes = Bytes::copy_from_slice(buffer.get(begin..length).unwrap_or_default());
            self.free.give(buffer);
            bytes
        } else {
            let shared = Bytes::from_owner(Lent { buffer, home: Arc::clone(&self.free) });
            shared.slice(begin..length)
        };
        Ok(match header.map(|header| offload::read(&header, bytes)) {
            Some(Ok(packet)) => Read::Packet(packet),
            Some(Err(_)) | None => Read::Unreadable,
        })
    }

    /// Writes a packet; `scratch` is used for its headers.
    pub(super) fn write(&self, packet: &mut Packet, scratch: &mut Vec<u8>) -> io::Result<()> {
        scratch.clear();
        if self.offload {
            packet.offload.checksum = ChecksumState::Device;
            scratch.resize(HEADER_BYTES, 0);
            offload::describe(packet).encode(scratch)?;
        }
        packet.emit_headers(scratch);
        if packet.payload.is_empty() {
            self.device.send(scratch)?;
        } else {
            self.device.send_vectored(&[IoSlice::new(scratch), IoSlice::new(&packet.payload)])?;
        }
        Ok(())
    }
}

impl AsFd for Device {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }
}

/// Buffers that can be read into, so that large packets need neither fresh memory nor a copy.
#[derive(Default)]
struct Buffers(Mutex<Vec<Vec<u8>>>);

impl Buffers {
    fn take(&self) -> Vec<u8> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.unwrap_or_else(|| vec![0; LARGEST])
    }

    fn give(&self, buffer: Vec<u8>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT_BUFFERS {
            kept.push(buffer);
        }
    }
}

/// A buffer that a packet lies in; it goes home when the packet is gone.
struct Lent {
    buffer: Vec<u8>,
    home: Arc<Buffers>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.home.give(std::mem::take(&mut self.buffer));
    }
}
