//! How does a packet get into the kernel and out of it? One TUN device, with or without offloads.

use super::offload::{self, HEADER_BYTES};
use crate::buffers::Buffers;
use bytes::Bytes;
use narrows_wire::{ChecksumState, Packet, Transport};
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use tun_rs::{SyncDevice, VirtioNetHdr};

/// The largest packet there is, and its header.
const LARGEST: usize = HEADER_BYTES + 65_535;
/// Packets are read one behind the other into one buffer until it holds so many bytes, or so many packets.
const FULL_BYTES: usize = 128 * 1024;
const FULL_PACKETS: usize = 64;
/// Of a buffer that has not become fuller than this, what is in it is copied, and it is read into again.
const COPIED_BYTES: usize = 16 * 1024;
/// A shorter payload is copied: it must not keep a whole buffer while a program does not read it.
const SMALL_PAYLOAD: usize = 1_024;
/// At most so many buffers wait to be used again, and as many hold packets that somebody keeps. What comes then is copied: peers whose
/// data nobody reads cannot make a host keep more than the data.
const MOST_BUFFERS: usize = 64;
/// Up to here one copy is cheaper than handing over headers and payload in two pieces.
const JOINED_PAYLOAD: usize = 4_096;

/// A device of the kernel; reading and writing never wait.
pub(super) struct Device {
    device: SyncDevice,
    offload: bool,
    free: Arc<Buffers>,
}

impl Device {
    pub(super) fn new(device: SyncDevice, offload: bool) -> io::Result<Device> {
        device.set_nonblocking(true)?;
        Ok(Device { device, offload, free: Buffers::new(MOST_BUFFERS * (FULL_BYTES + LARGEST)) })
    }

    pub(super) fn offload(&self) -> bool {
        self.offload
    }

    /// Appends packets until a buffer is full; false when nothing more is there, or the device says that it is down or gone.
    pub(super) fn read(&self, packets: &mut Vec<Packet>) -> bool {
        let mut buffer = self.free.take().unwrap_or_else(|| vec![0; FULL_BYTES + LARGEST]);
        let mut ends = [0; FULL_PACKETS];
        let (mut count, mut used, mut more) = (0, 0, true);
        while count < FULL_PACKETS && used < FULL_BYTES {
            let Ok(length) = self.device.recv(&mut buffer[used..]) else {
                more = false;
                break;
            };
            used += length;
            ends[count] = used;
            count += 1;
        }
        let copied_below = if self.free.lent() >= MOST_BUFFERS { usize::MAX } else { SMALL_PAYLOAD };
        let shared = if used <= COPIED_BYTES {
            let bytes = Bytes::copy_from_slice(&buffer[..used]);
            self.free.give(buffer);
            bytes
        } else {
            self.free.lend(buffer)
        };
        let mut begin = 0;
        for &end in &ends[..count] {
            // Something that is no packet, or not one that its header describes, is as good as lost.
            if let Some(mut packet) = self.packet(shared.slice(begin..end)) {
                if packet.payload.len() < copied_below {
                    packet.payload = Bytes::copy_from_slice(&packet.payload);
                }
                packets.push(packet);
            }
            begin = end;
        }
        more
    }

    fn packet(&self, bytes: Bytes) -> Option<Packet> {
        if !self.offload {
            return Packet::parse(bytes).ok();
        }
        let header = VirtioNetHdr::decode(&bytes).ok()?;
        offload::read(&header, bytes.slice(HEADER_BYTES..)).ok()
    }

    /// Writes a packet; `scratch` is used for its headers.
    pub(super) fn write(&self, packet: &mut Packet, scratch: &mut Vec<u8>) -> io::Result<()> {
        scratch.clear();
        if self.offload {
            // An ICMP error quotes a datagram as the kernel got it, and the stack believes one only that quotes what it has sent: with its
            // checksum, which is therefore not left to the device (RFC 5927 §4.1).
            packet.offload.checksum = match packet.transport {
                Transport::Tcp(_) => ChecksumState::Device,
                _ => ChecksumState::Full,
            };
            scratch.resize(HEADER_BYTES, 0);
            offload::describe(packet).encode(scratch)?;
        }
        packet.emit_headers(scratch);
        if packet.payload.len() <= JOINED_PAYLOAD {
            scratch.extend_from_slice(&packet.payload);
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
