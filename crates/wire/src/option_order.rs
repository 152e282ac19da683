//! In which order did this stack put its options? Stacks differ in it, which tells them apart.

use crate::{RawOptions, option_kind};
use std::fmt;

/// The kinds of the first 16 options of a segment, in order, padding included: four bits each, the first one in the
/// lowest bits. Two segments have the same value when they have the same order.
///
/// ```
/// use narrows_wire::OptionOrder;
/// const LINUX: OptionOrder = OptionOrder::of_kinds(&[2, 4, 8, 1, 3]);
/// let syn = [2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7];
/// assert_eq!(OptionOrder::of_bytes(&syn), LINUX);
/// assert_eq!(LINUX.to_string(), "mss,sackOK,TS,nop,wscale");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OptionOrder(u64);

/// How many options the value has room for.
const ROOM: u32 = 16;
const END: u64 = 15;
const FAST_OPEN: u64 = 14;
const EXPERIMENTAL: u64 = 13;
const UNKNOWN: u64 = 12;

impl OptionOrder {
    /// The order of these option kinds.
    #[must_use]
    pub const fn of_kinds(kinds: &[u8]) -> OptionOrder {
        let mut order = 0;
        let mut n = 0;
        while n < kinds.len() && n < ROOM as usize {
            order |= code(kinds[n]) << (4 * n);
            n += 1;
        }
        OptionOrder(order)
    }

    /// The order of the options in the bytes between TCP's fixed header and its payload, up to the first damage.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> OptionOrder {
        let mut order = 0;
        for (n, option) in RawOptions::new(bytes).take(ROOM as usize).map_while(Result::ok).enumerate() {
            order |= code(option.kind) << (4 * n);
        }
        OptionOrder(order)
    }

    /// True when there was no option.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

const fn code(kind: u8) -> u64 {
    match kind {
        option_kind::END => END,
        option_kind::FAST_OPEN => FAST_OPEN,
        option_kind::EXPERIMENTAL => EXPERIMENTAL,
        option_kind::NOP
        | option_kind::MSS
        | option_kind::WINDOW_SCALE
        | option_kind::SACK_PERMITTED
        | option_kind::SACK
        | option_kind::TIMESTAMPS => kind as u64,
        _ => UNKNOWN,
    }
}

impl fmt::Display for OptionOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let codes = (0..ROOM).map(|n| (self.0 >> (4 * n)) & 15).take_while(|&code| code != 0);
        for (n, code) in codes.enumerate() {
            if n > 0 {
                f.write_str(",")?;
            }
            f.write_str(match code {
                1 => "nop",
                2 => "mss",
                3 => "wscale",
                4 => "sackOK",
                5 => "sack",
                8 => "TS",
                END => "eol",
                FAST_OPEN => "FO",
                EXPERIMENTAL => "exp",
                _ => "unknown",
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_and_unknown_kinds_are_part_of_the_order() {
        let macos = [2, 4, 5, 180, 1, 3, 3, 6, 1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 4, 2, 0, 0];
        assert_eq!(OptionOrder::of_bytes(&macos).to_string(), "mss,nop,wscale,nop,nop,TS,sackOK,eol");
        assert_eq!(OptionOrder::of_bytes(&[30, 4, 0, 0, 34, 2]).to_string(), "unknown,FO");
        assert!(OptionOrder::of_bytes(&[]).is_empty());
    }

    #[test]
    fn damage_ends_the_order_and_too_many_do_not_overflow_it() {
        assert_eq!(OptionOrder::of_bytes(&[4, 2, 8, 10, 0]).to_string(), "sackOK");
        assert_eq!(OptionOrder::of_bytes(&[1; 40]), OptionOrder::of_kinds(&[1; 40]));
        assert_eq!(OptionOrder::of_bytes(&[1; 40]).to_string().split(',').count(), 16);
    }
}
