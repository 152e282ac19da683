//! Paths whose truth is known, between network namespaces: what does `narrows path` say about them, and what do other tools?
//!
//! A [`Scenario`] is a path and its truth. It is built either of Linux's own routers ([`kernel`]: veth pairs, nft, VXLAN),
//! or of links and routers in user space ([`wire`]: delay, asymmetry, loss). [`scenarios`] are eighty-two of them, [`random`] draws any
//! number of others.

pub mod bed;
pub mod check;
pub mod ethernet;
mod everyday;
pub mod honest;
pub mod kernel;
pub mod others;
pub mod packet;
pub mod random;
pub mod scenario;
pub mod serve;
pub mod wire;

pub use bed::with_bed;
pub use scenario::{Scenario, scenarios};
