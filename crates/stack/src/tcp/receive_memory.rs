//! What if more has arrived than the receive buffer holds? (Linux's tcp_try_rmem_schedule and tcp_prune_queue.)
//!
//! The window keeps an honest peer from getting there, unless the buffer has been made smaller than what the window had promised, or
//! what comes are pieces that cost more than their bytes. Then what waits beyond a gap goes first, the farthest before the nearer;
//! data in order are dropped only where others are unread, and the window is closed until there is room.

use super::assembler::Assembler;
use super::connection::{Connection, Context};
use super::send_buffer::Position;
use super::window::ReceiveWindow;
use crate::counters::Counter;

/// Of the buffer, what is dropped at least when something has to be (Linux: an eighth).
const STEP: u64 = 8;

impl Connection {
    /// Makes room in the receive buffer for bytes that begin at `from`; false when there is none.
    pub(super) fn make_room(&mut self, context: &mut Context<'_>, from: Position) -> bool {
        if fits(&self.rcv.assembler, &self.rcv.window) {
            return true;
        }
        context.counters.count(Counter::ReceiveQueuePruned);
        self.rcv.ack.on_crowded();
        self.rcv.window.squeeze(self.advertised_mss(), self.rcv.assembler.held_bytes());
        if fits(&self.rcv.assembler, &self.rcv.window) {
            return true;
        }
        self.prune(context, from);
        fits(&self.rcv.assembler, &self.rcv.window)
    }

    /// Drops what waits beyond a gap and behind `from`, the farthest first. True when something was dropped: then nothing that was
    /// reported as selected counts any more (RFC 2018 §8).
    pub(super) fn prune(&mut self, context: &mut Context<'_>, from: Position) -> bool {
        let window = &self.rcv.window;
        let step = u64::from(window.buffer()) / STEP;
        let pruned = self.rcv.assembler.prune(from, step, |assembler| fits(assembler, window));
        if pruned {
            context.counters.count(Counter::OutOfOrderPruned);
        }
        pruned
    }

    /// Data in order found no room: the peer is told to stop, and the application to read.
    pub(super) fn drop_in_order(&mut self, context: &mut Context<'_>) {
        context.counters.count(Counter::ReceiveQueueDrop);
        self.rcv.window.close(self.rcv.assembler.next());
        self.due.ack = true;
        self.rcv.told_readable = false;
        self.tell_readable(context);
    }
}

/// What is held takes no more than the buffer, packed as densely as it can be.
fn fits(assembler: &Assembler, window: &ReceiveWindow) -> bool {
    let held = assembler.held_bytes();
    // Copied together, bytes fill pages but for a page's own bookkeeping; what came as large segments is as dense as that.
    let packed = held + held / 8 + assembler.pieces_cost();
    let room = u64::from(window.buffer()) + window.rounding();
    packed <= room || window.memory_of_held(held) <= room
}
