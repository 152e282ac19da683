//! How much of a UDP socket's send buffer does a packet take, and until when? (Linux's sk_wmem_alloc, truesize and sock_wfree.)

use crate::sk_buff::{SHARED_INFO, SK_BUFF, SMALL_HEAD};
use narrows_wire::Packet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What ip_append_data asks for beyond the packet: room for a link's header (16 bytes with Ethernet's) and up to 15 bytes for alignment.
const LINK_ROOM: u64 = 31;

/// A packet's share of its socket's send buffer. It is given back when this is dropped: who sends the packet keeps it until the device
/// has sent it, as Linux keeps the sk_buff.
#[derive(Debug)]
pub struct SendMemory {
    taken: Arc<AtomicU64>,
    bytes: u64,
}

impl Drop for SendMemory {
    fn drop(&mut self) {
        self.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// One socket's send buffer.
#[derive(Debug)]
pub(super) struct SendBuffer {
    pub(super) size: u64,
    taken: Arc<AtomicU64>,
}

impl SendBuffer {
    pub(super) fn new(size: u64) -> SendBuffer {
        SendBuffer { size, taken: Arc::default() }
    }

    pub(super) fn take(&self, bytes: u64) -> Arc<SendMemory> {
        self.taken.fetch_add(bytes, Ordering::Relaxed);
        Arc::new(SendMemory { taken: Arc::clone(&self.taken), bytes })
    }

    fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Whether one more may begin: the last may take more than there is (sock_alloc_send_pskb).
    pub(super) fn has_room(&self) -> bool {
        self.taken() < self.size
    }

    /// Whether those who wait are woken: no more than half is taken (sock_writeable).
    pub(super) fn is_writable(&self) -> bool {
        self.taken() * 2 <= self.size
    }

    /// Whether so much more of a datagram that goes in pieces may be there (__ip_append_data: twice the buffer).
    pub(super) fn has_room_for_pieces(&self, bytes: u64) -> bool {
        self.taken() + bytes <= 2 * self.size
    }
}

/// What a packet takes of the buffer of the socket that sends it, bytes: its memory, in the sizes that Linux's allocator has. Several
/// datagrams in one call count once with all they carry.
pub(crate) fn truesize(packet: &Packet) -> u64 {
    let (headers, payload) = (packet.len() - packet.payload.len(), packet.payload.len() as u64);
    match packet.offload.segment_bytes {
        Some(_) => of_call(payload),
        None => SK_BUFF + head(headers as u64 + payload),
    }
}

/// The same for several datagrams in one call that carry so many bytes together.
pub(crate) fn of_call(payload: u64) -> u64 {
    SK_BUFF + SMALL_HEAD + payload
}

fn head(packet: u64) -> u64 {
    let wanted = (packet + LINK_ROOM).next_multiple_of(64) + SHARED_INFO;
    if wanted <= SMALL_HEAD { SMALL_HEAD } else { wanted.next_power_of_two() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use narrows_wire::UdpHeader;

    /// SIOCOUTQ after one datagram to a neighbour that does not answer (Linux 6.18, veth).
    #[test]
    fn a_datagram_takes_what_it_takes_on_linux() {
        let measured =
            [(0, 832), (100, 832), (200, 1_280), (600, 1_280), (700, 2_304), (1_000, 2_304), (1_472, 2_304)];
        for (bytes, truesize_on_linux) in measured {
            let header = UdpHeader { source_port: 1, destination_port: 2 };
            let payload = Bytes::from(vec![0; bytes]);
            let packet = Packet::udp([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), header, payload);
            assert_eq!(truesize(&packet), truesize_on_linux, "{bytes} bytes");
        }
        assert_eq!([of_call(5_000), of_call(50_000)], [5_832, 50_832]);
    }
}
