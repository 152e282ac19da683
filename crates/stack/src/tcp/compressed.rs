//! Is the peer told what waits before another piece takes its place in the report? Where ACKs are compressed (RFC 2018 §4 has room for
//! three or four blocks, and an ACK can be lost).

use super::ack::AckReason;
use super::connection::{Connection, Context};

impl Connection {
    /// A segment `[from, end)` of the stream is about to be taken beyond a gap. Where that would move a piece of which no ACK has told yet
    /// to the third place of the SACK blocks, the ACK that waits goes first, without the new segment; that one then waits for others
    /// in its turn (Linux's tcp_sack_compress_send_ack).
    /// One for which there is no room changes no report.
    pub(super) fn report_before(&mut self, context: &mut Context<'_>, from: u64, end: u64) {
        let memory = u64::from(self.rcv.window.buffer());
        let taken =
            from > self.rcv.assembler.next() && self.rcv.assembler.has_room((end - from) as usize, memory);
        if taken && self.rcv.ack.is_compressing() && self.rcv.assembler.hides_reports(from, end) {
            self.reasons.note_ack(AckReason::OutOfOrder);
            let packet = self.ack_packet(context.now);
            self.reply(context, packet);
        }
    }
}
