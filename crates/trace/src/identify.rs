//! Which system does this side look like? Its SYN's options, their order, the window and the hop limit tell.

use narrows_wire::{OptionOrder, TcpOptions};

const NOP: u8 = 1;
const MSS: u8 = 2;
const SCALE: u8 = 3;
const SACK_PERMITTED: u8 = 4;
const STAMPS: u8 = 8;
const END: u8 = 0;
const FAST_OPEN: u8 = 34;
const EXPERIMENTAL: u8 = 254;

/// Linux, with all options, without timestamps, without SACK, without both, and with Fast Open as it is and
/// as it was (RFC 7413 §4.1.1).
const LINUX: [OptionOrder; 6] = [
    OptionOrder::of_kinds(&[MSS, SACK_PERMITTED, STAMPS, NOP, SCALE]),
    OptionOrder::of_kinds(&[MSS, NOP, NOP, SACK_PERMITTED, NOP, SCALE]),
    OptionOrder::of_kinds(&[MSS, NOP, NOP, STAMPS, NOP, SCALE]),
    OptionOrder::of_kinds(&[MSS, NOP, SCALE]),
    OptionOrder::of_kinds(&[MSS, SACK_PERMITTED, STAMPS, NOP, SCALE, FAST_OPEN, NOP, NOP]),
    OptionOrder::of_kinds(&[MSS, SACK_PERMITTED, STAMPS, NOP, SCALE, EXPERIMENTAL]),
];
/// FreeBSD.
const FREEBSD: OptionOrder = OptionOrder::of_kinds(&[MSS, NOP, SCALE, SACK_PERMITTED, STAMPS]);
/// macOS and iOS.
const MACOS: [OptionOrder; 2] = [
    OptionOrder::of_kinds(&[MSS, NOP, SCALE, NOP, NOP, STAMPS, SACK_PERMITTED, END]),
    OptionOrder::of_kinds(&[MSS, NOP, SCALE, NOP, NOP, STAMPS, SACK_PERMITTED, END, END]),
];
/// Windows, without and with timestamps.
const WINDOWS: [OptionOrder; 2] = [
    OptionOrder::of_kinds(&[MSS, NOP, SCALE, NOP, NOP, SACK_PERMITTED]),
    OptionOrder::of_kinds(&[MSS, NOP, SCALE, SACK_PERMITTED, STAMPS]),
];

/// What of a SYN or SYN-ACK tells its system.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Looks<'a> {
    pub(crate) order: OptionOrder,
    pub(crate) options: &'a TcpOptions,
    pub(crate) window: u16,
    pub(crate) hop_limit: u8,
}

impl Looks<'_> {
    /// The system's name, as profiles are named; `None` where several fit or none does.
    pub(crate) fn system(&self) -> Option<&'static str> {
        // Systems start at 64 or 128; paths are shorter than 32 hops.
        let from_64 = (33..=64).contains(&self.hop_limit);
        let from_128 = (97..=128).contains(&self.hop_limit);
        if from_128 && WINDOWS.contains(&self.order) {
            return Some("windows");
        }
        if !from_64 {
            return None;
        }
        if LINUX.contains(&self.order) && self.linux_window() {
            return Some("linux");
        }
        if self.order == FREEBSD && self.window == 65_535 {
            return Some("freebsd");
        }
        (MACOS.contains(&self.order) && self.window == 65_535).then_some("macos")
    }

    /// Linux offers a small multiple of the MSS (as it was before a middlebox clamped it, so the remainder
    /// tells nothing), and less than 65535, which the BSDs offer.
    fn linux_window(&self) -> bool {
        let mss = self.options.mss.unwrap_or(536);
        self.window != 65_535 || mss > 32_767
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn system(order: OptionOrder, window: u16, hop_limit: u8) -> Option<&'static str> {
        let options = TcpOptions { mss: Some(1460), ..TcpOptions::default() };
        Looks { order, options: &options, window, hop_limit }.system()
    }

    #[test]
    fn knows_the_usual_systems() {
        assert_eq!(system(LINUX[0], 64_240, 64), Some("linux"));
        assert_eq!(system(LINUX[0], 65_160, 52), Some("linux"));
        assert_eq!(system(FREEBSD, 65_535, 60), Some("freebsd"));
        assert_eq!(system(MACOS[0], 65_535, 64), Some("macos"));
        assert_eq!(system(WINDOWS[0], 64_240, 117), Some("windows"));
    }

    #[test]
    fn says_nothing_where_the_signs_disagree() {
        assert_eq!(system(LINUX[0], 64_240, 128), None);
        assert_eq!(system(WINDOWS[0], 64_240, 64), None);
        assert_eq!(system(OptionOrder::default(), 64_240, 64), None);
    }
}
