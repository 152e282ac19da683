//! Which settings trade one cost for another? The table of knobs.

/// The values of all knobs of a host, or of one socket.
#[derive(Clone, Debug, PartialEq)]
pub struct Knobs {
    /// TCP_NODELAY.
    pub nodelay: bool,
}
