//! The budget of a room: how much of what may be shed it gives to its members in a moment.
//!
//! A million members make each message a million writes, so what a crowd says is bounded for the room as a whole. Some of the
//! places are for class high alone, so the lower classes go first. What found no place is told to the members by one notice.

use std::time::{Duration, Instant};

use crate::class::Class;
use crate::config::{Budget, RoomPolicy};
use crate::missed::Missed;
use crate::rate_limit::SlidingWindow;

/// The moment.
const WINDOW: Duration = Duration::from_millis(200);

/// Whether the members get a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Distribute,
    Shed,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Ingress {
    for_high: SlidingWindow,
    for_all: SlidingWindow,
    untold: Missed,
}

impl Ingress {
    /// Decides about message number `sequence`.
    pub(super) fn judge(&mut self, now: Instant, class: Class, sequence: u64, policy: &RoomPolicy) -> Verdict {
        let Budget::Messages(budget) = policy.budget else {
            return Verdict::Distribute;
        };
        if !class.may_be_shed() {
            return Verdict::Distribute;
        }
        let reserved = policy.budget_for_high;
        let took_reserved = class == Class::High && self.for_high.take_within(now, reserved, WINDOW).is_ok();
        if took_reserved || self.for_all.take_within(now, budget - reserved, WINDOW).is_ok() {
            return Verdict::Distribute;
        }
        self.untold.extend(&Missed::one(sequence, class));
        Verdict::Shed
    }

    /// Whether there is something to tell.
    pub(super) fn is_pending(&self) -> bool {
        self.untold.total() > 0
    }

    /// What the members have to be told before they get anything more.
    pub(super) fn take_untold(&mut self) -> Option<Missed> {
        self.is_pending().then(|| std::mem::take(&mut self.untold))
    }
}
