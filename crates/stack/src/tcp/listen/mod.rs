//! Who wants to be let in, and who waits to be accepted?

pub(crate) mod accept_queue;
pub(crate) mod request;
pub(crate) mod syn_cookies;
pub(crate) mod syn_queue;

use crate::{Knobs, ListenerId};
use accept_queue::AcceptQueue;
use std::net::SocketAddr;
use std::sync::Arc;
use syn_queue::SynQueue;

/// The longest backlog, whatever the application asks for (Linux's somaxconn).
const LONGEST_BACKLOG: u32 = 4096;

/// A listening socket.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) id: ListenerId,
    pub(crate) local: SocketAddr,
    pub(crate) knobs: Arc<Knobs>,
    pub(crate) queue: AcceptQueue,
    pub(crate) syns: SynQueue,
}

impl Listener {
    pub(crate) fn new(id: ListenerId, local: SocketAddr, backlog: u32, knobs: Arc<Knobs>) -> Listener {
        let backlog = backlog.min(LONGEST_BACKLOG);
        Listener { id, local, knobs, queue: AcceptQueue::new(backlog), syns: SynQueue::new(backlog) }
    }
}
