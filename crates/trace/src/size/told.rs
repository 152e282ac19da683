//! What has the network told the sender about the path's MTU? ICMP "fragmentation needed" (RFC 1191) and "packet too big"
//! (RFC 8201) that quote a packet of the connection.

/// Messages whose packet numbers are kept.
const MAX_NUMBERS: usize = 64;

/// The messages about packets of one direction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// The smallest MTU told, bytes.
    pub(crate) mtu: u32,
    pub(crate) count: u32,
    /// When the first came; nanoseconds since the connection's first packet.
    pub(crate) first: u64,
    pub(crate) numbers: Vec<u32>,
}

impl Told {
    /// A message came. An MTU of 0 is a router's from before RFC 1191.
    pub(crate) fn add(&mut self, mtu: u32, time: u64, number: u32) {
        if self.count == 0 {
            self.first = time;
        }
        if mtu > 0 && (self.mtu == 0 || mtu < self.mtu) {
            self.mtu = mtu;
        }
        self.count = self.count.saturating_add(1);
        if self.numbers.len() < MAX_NUMBERS {
            self.numbers.push(number);
        }
    }
}
