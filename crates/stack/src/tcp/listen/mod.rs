//! Who waits to be accepted? The rooms for the SYN queue (`syn_queue.rs`) and SYN cookies (`syn_cookies.rs`) are here.

pub(crate) mod accept_queue;

use crate::{Knobs, ListenerId};
use accept_queue::AcceptQueue;
use std::net::SocketAddr;

/// A listening socket.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) id: ListenerId,
    pub(crate) local: SocketAddr,
    pub(crate) knobs: Knobs,
    pub(crate) queue: AcceptQueue,
}
