//! Which connections wait to be accepted, and is there room for one more?

use crate::SocketId;
use std::collections::VecDeque;

/// Connections that are established and not yet accepted, oldest first.
#[derive(Debug)]
pub(crate) struct AcceptQueue {
    waiting: VecDeque<SocketId>,
    backlog: u32,
}

impl AcceptQueue {
    pub(crate) fn new(backlog: u32) -> AcceptQueue {
        AcceptQueue { waiting: VecDeque::new(), backlog }
    }

    /// Linux takes one more than the backlog: the queue is full when it is *longer*.
    pub(crate) fn is_full(&self) -> bool {
        self.waiting.len() as u64 > u64::from(self.backlog)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn push(&mut self, socket: SocketId) {
        self.waiting.push_back(socket);
    }

    /// All of them, when nobody will accept any more.
    pub(crate) fn into_waiting(self) -> impl Iterator<Item = SocketId> {
        self.waiting.into_iter()
    }

    pub(crate) fn pop(&mut self) -> Option<SocketId> {
        self.waiting.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backlog_of_n_holds_n_plus_one_in_the_order_of_arrival() {
        let mut queue = AcceptQueue::new(1);
        let mut taken = 0;
        while !queue.is_full() {
            queue.push(SocketId(taken));
            taken += 1;
        }
        assert_eq!(taken, 2);
        assert_eq!(queue.pop(), Some(SocketId(0)));
        assert!(!queue.is_full());
    }
}
