//! How does a thread get to run when it has to? Ahead of everything that is not in a hurry, where that is allowed.

use thread_priority::unix::{set_thread_priority_and_policy, thread_native_id};
use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
};

/// Above all ordinary threads, and far below the kernel's own.
const PRIORITY: u8 = 10;

/// Lets the calling thread run ahead of all ordinary ones (SCHED_FIFO). Without the right to do so nothing changes but
/// how late packets may be on a busy machine.
pub fn go_first() -> bool {
    let Ok(value) = ThreadPriorityValue::try_from(PRIORITY) else { return false };
    let priority = ThreadPriority::Crossplatform(value);
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    let fine = nix::sys::prctl::set_timerslack(1).is_ok();
    set_thread_priority_and_policy(thread_native_id(), priority, policy).is_ok() && fine
}
