//! What is the largest packet that comes back from the peer whole?
//!
//! An echo reply is as large as the request. Where it comes in fragments (Linux sends replies over IPv4 without DF, and over IPv6 it fragments
//! once a router has told it), the largest fragment is the path MTU but for the rounding to 8 bytes, and the largest
//! reply that comes whole is it exactly. Where it does not come at all although the request arrives, the search goes on with echoes alone.

use crate::error::Error;
use crate::line::Method;
use crate::measure::{Measurement, SMALL};
use crate::prober::Shot;
use crate::report::{Direction, Seen, Size};

/// Fragments end at multiples of 8 bytes (RFC 791 §3.2).
const ROUNDING: u32 = 8;

impl Measurement<'_> {
    /// Finds the size from the peer, as far as echo replies tell.
    pub fn find_reverse(&mut self) -> Result<(), Error> {
        if self.echo != Seen::Yes {
            return Ok(());
        }
        let largest = self.forward.known().unwrap_or(self.round_trip.low());
        // The first reply that is too large over IPv6 is lost, and tells the peer to fragment the next.
        for _ in 0..2 {
            if self.reverse_whole >= largest || self.reverse_piece.is_some() || self.time_is_up() {
                break;
            }
            self.tell("measuring the way back");
            self.round(&self.whole_replies(largest))?;
        }
        if self.reverse_whole < largest && self.reverse_piece.is_none() {
            self.search(Method::Echo)?;
        }
        if let Some(piece) = self.reverse_piece
            && !self.time_is_up()
        {
            self.tell("measuring the way back");
            let sizes = piece..(piece + ROUNDING).min(largest + 1);
            let shots: Vec<Shot> = sizes.rev().map(|size| Shot::new(Method::Echo, size)).collect();
            self.round(&shots)?;
        }
        Ok(())
    }

    /// Requests for replies of this size, and for some that are known to come.
    pub fn whole_replies(&self, size: u32) -> [Shot; 4] {
        [
            Shot::new(Method::Echo, size),
            Shot::new(Method::Echo, size),
            Shot::control(Method::Echo, self.reverse_whole.max(SMALL)),
            Shot::control(Method::Echo, SMALL),
        ]
    }

    /// What echo replies tell about the way back.
    pub fn reverse_by_echo(&self) -> Direction {
        let whole = self.reverse_whole;
        let exact = |size, how: &str| Direction { path_mtu: Size::Exact(size), how: how.to_owned() };
        if self.echo != Seen::Yes || whole == 0 {
            let how = "no echo reply came back to measure it with".to_owned();
            return Direction { path_mtu: Size::Unknown, how };
        }
        if whole >= self.way.interface_mtu {
            return exact(
                whole,
                "an echo reply of this size came back whole, and nothing larger fits this host's interface",
            );
        }
        if let Some(piece) = self.reverse_piece
            && whole >= piece
            && whole < piece + ROUNDING
        {
            return exact(whole, "echo replies of this size come back whole, larger ones in fragments");
        }
        if self.reverse_piece.is_none()
            && self.round_trip.known() == Some(whole)
            && self.forward.low() > whole
        {
            return exact(
                whole,
                "larger packets reach the peer, but its echo replies of that size do not come back",
            );
        }
        let how =
            "an echo reply of this size came back whole; larger requests do not reach the peer".to_owned();
        Direction { path_mtu: Size::AtLeast(whole), how }
    }
}
