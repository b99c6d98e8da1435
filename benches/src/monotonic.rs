//! One clock for all processes of a run: the system's monotonic one, which starts with the system and not with the
//! process.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds since the system started.
pub(crate) fn now_ns() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    // Neither is ever negative on this clock.
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
