//! How is what a connection knows written down in few bytes, and read back as it was?
//!
//! Numbers take as many bytes as they have, and one more from 240 on; instants are written as what lies between them and the one
//! before, because those of one connection lie close together. The bytes never leave the process, so nothing in them says what
//! they are: each type lists its fields once, with [`pack!`] or [`choices!`], and a field that is not listed does not compile.

use crate::Instant;
use narrows_wire::Seq;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::time::Duration;

/// The first number that is not its own byte.
const LARGE: u8 = 240;

/// Writes.
pub(crate) struct Packer<'a> {
    room: &'a mut [u8],
    at: usize,
    before: u64,
    failed: bool,
}

impl Packer<'_> {
    pub(crate) fn new(room: &mut [u8]) -> Packer<'_> {
        Packer { room, at: 0, before: 0, failed: false }
    }

    /// How many bytes were written; `None` when there was no room, or something cannot be written.
    pub(crate) fn finish(self) -> Option<usize> {
        (!self.failed).then_some(self.at)
    }

    fn number(&mut self, value: u64) {
        let Some(place) = self.room.get_mut(self.at..self.at + 9) else {
            self.failed = true;
            return;
        };
        if value < u64::from(LARGE) {
            place[0] = value as u8;
            self.at += 1;
            return;
        }
        let bytes = value.ilog2() as usize / 8 + 1;
        place[0] = LARGE + bytes as u8;
        place[1..].copy_from_slice(&value.to_le_bytes());
        self.at += 1 + bytes;
    }
}

/// Reads what a [`Packer`] has written; beyond its end there are zeros.
pub(crate) struct Unpacker<'a> {
    bytes: &'a [u8],
    at: usize,
    before: u64,
}

impl<'a> Unpacker<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Unpacker<'a> {
        Unpacker { bytes, at: 0, before: 0 }
    }

    pub(crate) fn take<T: Pack>(&mut self) -> T {
        T::unpack(self)
    }

    fn number(&mut self) -> u64 {
        let first = self.bytes.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        if first < LARGE {
            return first.into();
        }
        let bytes = usize::from(first - LARGE);
        let mut word = [0; 8];
        match self.bytes.get(self.at..self.at + 8) {
            Some(eight) => word.copy_from_slice(eight),
            None => word.iter_mut().zip(self.bytes.iter().skip(self.at)).for_each(|(to, from)| *to = *from),
        }
        self.at += bytes;
        u64::from_le_bytes(word) & u64::MAX.checked_shr(64 - 8 * bytes.clamp(1, 8) as u32).unwrap_or(0)
    }
}

/// What can be packed.
pub(crate) trait Pack: Sized {
    fn pack(&self, to: &mut Packer<'_>);
    fn unpack(from: &mut Unpacker<'_>) -> Self;
}

/// A struct with these fields, of a tuple their numbers; those after `empty` are left out, and are the default again.
macro_rules! pack {
    ($name:ident { $($field:tt),* $(,)? } $(empty { $($empty:tt),* $(,)? })?) => {
        impl $crate::pack::Pack for $name {
            #[inline]
            fn pack(&self, to: &mut $crate::pack::Packer<'_>) {
                $($crate::pack::Pack::pack(&self.$field, to);)*
            }
            #[inline]
            fn unpack(from: &mut $crate::pack::Unpacker<'_>) -> $name {
                $name { $($field: from.take(),)* $($($empty: Default::default(),)*)? }
            }
        }
    };
}

/// An enum that is one of these names.
macro_rules! choices {
    ($name:ident { $first:ident $(, $choice:ident)* $(,)? }) => {
        impl $crate::pack::Pack for $name {
            #[inline]
            fn pack(&self, to: &mut $crate::pack::Packer<'_>) {
                match self {
                    $name::$first $(| $name::$choice)* => $crate::pack::Pack::pack(&(*self as u8), to),
                }
            }
            #[inline]
            fn unpack(from: &mut $crate::pack::Unpacker<'_>) -> $name {
                let number: u8 = from.take();
                $(if number == $name::$choice as u8 {
                    return $name::$choice;
                })*
                $name::$first
            }
        }
    };
}

pub(crate) use {choices, pack};

macro_rules! numbers {
    ($($number:ty),*) => {
        $(impl Pack for $number {
            #[inline]
            fn pack(&self, to: &mut Packer<'_>) {
                to.number(*self as u64);
            }
            #[inline]
            fn unpack(from: &mut Unpacker<'_>) -> $number {
                from.number() as $number
            }
        })*
    };
}

numbers!(u8, u16, u32, u64, usize);

impl Pack for i64 {
    fn pack(&self, to: &mut Packer<'_>) {
        to.number(zigzag(*self));
    }
    fn unpack(from: &mut Unpacker<'_>) -> i64 {
        unzigzag(from.number())
    }
}

impl Pack for f64 {
    fn pack(&self, to: &mut Packer<'_>) {
        to.number(self.to_bits());
    }
    fn unpack(from: &mut Unpacker<'_>) -> f64 {
        f64::from_bits(from.number())
    }
}

impl Pack for bool {
    #[inline]
    fn pack(&self, to: &mut Packer<'_>) {
        to.number((*self).into());
    }
    #[inline]
    fn unpack(from: &mut Unpacker<'_>) -> bool {
        from.number() != 0
    }
}

pack!(Seq { 0 });

/// Small numbers of either sign are small.
fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

impl Pack for Instant {
    fn pack(&self, to: &mut Packer<'_>) {
        if *self == Instant::FAR_FUTURE {
            return to.number(0);
        }
        let difference = zigzag(self.as_nanos().wrapping_sub(to.before) as i64);
        to.before = self.as_nanos();
        // Half of all time away from the one before.
        to.failed |= difference == u64::MAX;
        to.number(difference.wrapping_add(1));
    }
    fn unpack(from: &mut Unpacker<'_>) -> Instant {
        match from.number() {
            0 => Instant::FAR_FUTURE,
            number => {
                from.before = from.before.wrapping_add(unzigzag(number - 1) as u64);
                Instant::from_nanos(from.before)
            }
        }
    }
}

impl Pack for Duration {
    fn pack(&self, to: &mut Packer<'_>) {
        if *self == Duration::MAX {
            return to.number(0);
        }
        match u64::try_from(self.as_nanos()).ok().and_then(|nanoseconds| nanoseconds.checked_add(1)) {
            Some(number) => to.number(number),
            None => to.failed = true,
        }
    }
    fn unpack(from: &mut Unpacker<'_>) -> Duration {
        from.number().checked_sub(1).map_or(Duration::MAX, Duration::from_nanos)
    }
}

impl<T: Pack> Pack for Option<T> {
    #[inline]
    fn pack(&self, to: &mut Packer<'_>) {
        self.is_some().pack(to);
        if let Some(value) = self {
            value.pack(to);
        }
    }
    #[inline]
    fn unpack(from: &mut Unpacker<'_>) -> Option<T> {
        bool::unpack(from).then(|| from.take())
    }
}

impl<A: Pack, B: Pack> Pack for (A, B) {
    #[inline]
    fn pack(&self, to: &mut Packer<'_>) {
        self.0.pack(to);
        self.1.pack(to);
    }
    #[inline]
    fn unpack(from: &mut Unpacker<'_>) -> (A, B) {
        (from.take(), from.take())
    }
}

impl<T: Pack> Pack for Range<T> {
    fn pack(&self, to: &mut Packer<'_>) {
        self.start.pack(to);
        self.end.pack(to);
    }
    fn unpack(from: &mut Unpacker<'_>) -> Range<T> {
        from.take()..from.take()
    }
}

/// Which are not as usual, and those.
impl<T: Pack + Copy + Default + PartialEq, const N: usize> Pack for [T; N] {
    fn pack(&self, to: &mut Packer<'_>) {
        const { assert!(N <= 64) };
        let unusual = |value: &T| *value != T::default();
        let mask = self.iter().rev().fold(0, |mask: u64, value| mask << 1 | u64::from(unusual(value)));
        mask.pack(to);
        self.iter().filter(|value| unusual(value)).for_each(|value| value.pack(to));
    }
    fn unpack(from: &mut Unpacker<'_>) -> [T; N] {
        let mask: u64 = from.take();
        std::array::from_fn(|at| if mask >> at & 1 == 1 { from.take() } else { T::default() })
    }
}

impl Pack for SocketAddr {
    fn pack(&self, to: &mut Packer<'_>) {
        match self.ip() {
            IpAddr::V4(address) => (false, address.to_bits()).pack(to),
            IpAddr::V6(address) => {
                let bits = address.to_bits();
                (true, ((bits >> 64) as u64, bits as u64)).pack(to);
            }
        }
        self.port().pack(to);
    }
    fn unpack(from: &mut Unpacker<'_>) -> SocketAddr {
        let address = if from.take() {
            let (high, low): (u64, u64) = from.take();
            IpAddr::V6((u128::from(high) << 64 | u128::from(low)).into())
        } else {
            IpAddr::V4(u32::unpack(from).into())
        };
        SocketAddr::new(address, from.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug, PartialEq)]
    struct All {
        numbers: (u64, (u32, usize)),
        signed: i64,
        real: f64,
        seq: Seq,
        times: [Instant; 4],
        duration: Option<Duration>,
        range: Range<Seq>,
        address: SocketAddr,
        yes: bool,
        queue: Vec<u8>,
    }
    pack!(All { numbers, signed, real, seq, times, duration, range, address, yes } empty { queue });

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Choice {
        One,
        Two,
        Three,
    }
    choices!(Choice { One, Two, Three });

    fn packed<T: Pack>(value: &T) -> Option<Vec<u8>> {
        let mut room = [0; 256];
        let mut packer = Packer::new(&mut room);
        value.pack(&mut packer);
        let length = packer.finish()?;
        Some(room[..length].to_vec())
    }

    proptest! {
        #[test]
        fn what_was_packed_is_unpacked_as_it_was(
            numbers in (any::<u64>(), any::<u32>(), 0..64u32, any::<i64>(), any::<f64>()),
            times in any::<[u64; 4]>(),
            duration in any::<Option<Duration>>(),
            address in any::<(bool, u128, u16)>(),
        ) {
            let number = numbers.0 >> numbers.2;
            let ip = if address.0 { IpAddr::V6(address.1.into()) } else { IpAddr::V4((address.1 as u32).into()) };
            let all = All {
                numbers: (number, (numbers.1, number as usize)),
                signed: numbers.3 >> numbers.2,
                real: if numbers.4.is_nan() { 0.0 } else { numbers.4 },
                seq: Seq(numbers.1),
                times: times.map(Instant::from_nanos),
                duration,
                range: Seq(7)..Seq(numbers.1),
                address: SocketAddr::new(ip, address.2),
                yes: address.0,
                queue: Vec::new(),
            };
            if let Some(bytes) = packed(&all) {
                prop_assert_eq!(All::unpack(&mut Unpacker::new(&bytes)), all);
            } else {
                prop_assert!(duration.is_some_and(|long| long.as_secs() > 500 * 365 * 86_400));
            }
        }

        #[test]
        fn any_bytes_can_be_read(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let mut unpacker = Unpacker::new(&bytes);
            All::unpack(&mut unpacker);
            Choice::unpack(&mut unpacker);
        }
    }

    #[test]
    fn what_is_usual_takes_a_byte() {
        for number in [0, 239] {
            assert_eq!(packed::<u64>(&number).map(|bytes| bytes.len()), Some(1));
        }
        assert_eq!(packed(&Instant::FAR_FUTURE).map(|bytes| bytes.len()), Some(1));
        assert_eq!(packed(&Duration::MAX).map(|bytes| bytes.len()), Some(1));
        assert_eq!(packed(&[0_u32; 15]).map(|bytes| bytes.len()), Some(1));
        let close = (Instant::from_millis(5_000), Instant::from_nanos(5_000_000_100));
        assert_eq!(packed(&close).map(|bytes| bytes.len()), Some(6 + 1));
        for choice in [Choice::One, Choice::Two, Choice::Three] {
            let bytes = packed(&choice).expect("there is room");
            assert_eq!(Choice::unpack(&mut Unpacker::new(&bytes)), choice);
        }
    }

    #[test]
    fn what_does_not_fit_is_not_packed() {
        let mut room = [0; 12];
        let mut packer = Packer::new(&mut room);
        [u64::MAX; 2].pack(&mut packer);
        assert_eq!(packer.finish(), None);
    }
}
