//! Which of two sequence numbers comes first? Arithmetic modulo 2³² (RFC 9293 §3.4).

use std::ops::{Add, AddAssign, Sub};

/// A TCP sequence number.
///
/// Deliberately not `Ord`: "before" is only meaningful within half the sequence space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Seq(pub u32);

impl Seq {
    /// True when `self` comes strictly before `other`.
    #[must_use]
    pub fn is_before(self, other: Seq) -> bool {
        (self.0.wrapping_sub(other.0) as i32) < 0
    }

    /// True when `self` comes before `other` or equals it.
    #[must_use]
    pub fn is_at_or_before(self, other: Seq) -> bool {
        !other.is_before(self)
    }

    /// The distance from `earlier` to `self`, negative when `self` comes first.
    #[must_use]
    pub fn distance_from(self, earlier: Seq) -> i32 {
        self.0.wrapping_sub(earlier.0) as i32
    }

    /// The later of the two.
    #[must_use]
    pub fn latest(self, other: Seq) -> Seq {
        if self.is_before(other) { other } else { self }
    }

    /// The earlier of the two.
    #[must_use]
    pub fn earliest(self, other: Seq) -> Seq {
        if self.is_before(other) { self } else { other }
    }
}

impl Add<u32> for Seq {
    type Output = Seq;
    fn add(self, bytes: u32) -> Seq {
        Seq(self.0.wrapping_add(bytes))
    }
}

impl AddAssign<u32> for Seq {
    fn add_assign(&mut self, bytes: u32) {
        *self = *self + bytes;
    }
}

impl Sub<u32> for Seq {
    type Output = Seq;
    fn sub(self, bytes: u32) -> Seq {
        Seq(self.0.wrapping_sub(bytes))
    }
}

impl Sub<Seq> for Seq {
    type Output = u32;
    /// The forward distance, modulo 2³².
    fn sub(self, earlier: Seq) -> u32 {
        self.0.wrapping_sub(earlier.0)
    }
}
