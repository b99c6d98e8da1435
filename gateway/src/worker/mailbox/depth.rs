//! How much is before one worker, as all of them see it.
//!
//! The only thing that workers change together while they run. `gateway/tests/depth.rs` tries every order in which that can
//! happen.

use super::sync::{AtomicUsize, Ordering};

/// See the module. What is added must be added before the value it stands for is sent, and subtracted after it was received: the
/// channel orders the two, so that nobody ever sees less than nothing.
#[derive(Debug, Default)]
pub(super) struct Depth(AtomicUsize);

impl Depth {
    pub(super) fn add(&self, weight: usize) {
        // Only the sum matters; whoever acts on it may be a little late.
        self.0.fetch_add(weight, Ordering::Relaxed);
    }

    pub(super) fn subtract(&self, weight: usize) {
        self.0.fetch_sub(weight, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts `now` where `before` was counted.
    pub(super) fn replace(&self, before: usize, now: usize) {
        if now > before {
            self.add(now - before);
        } else if now < before {
            self.subtract(before - now);
        }
    }
}
