//! Delivering what rooms published: all slices of a worker, and the task that goes round them.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hashbrown::HashMap;

use crate::class::Class;
use crate::fan_out::{Slice, Step};
use crate::identity::RoomKey;
use crate::metrics::Metric;
use crate::outbox::{Moved, SharedOutbox};
use crate::worker::Worker;

/// Members visited before other tasks get their turn: at some microseconds each, a ping waits a fraction of a
/// millisecond.
const MEMBERS_PER_STEP: usize = 32;

/// The slices of all rooms with members on this worker.
pub(super) struct Slices {
    by_room: HashMap<RoomKey, Scheduled>,
    /// Slices with something to deliver, in turn.
    ready: VecDeque<RoomKey>,
    log_bytes_max: usize,
    total: Kept,
}

struct Scheduled {
    slice: Slice,
    /// When it became ready; `None` while it is not in the queue.
    ready_since: Option<Instant>,
    /// Its part of the total.
    counted: Kept,
}

/// What logs keep.
#[derive(Debug, Clone, Copy, Default)]
struct Kept {
    bytes: usize,
    excess_bytes: usize,
}

impl Slices {
    pub(super) fn new(log_bytes_max: usize) -> Self {
        Self {
            by_room: HashMap::new(),
            ready: VecDeque::new(),
            log_bytes_max,
            total: Kept::default(),
        }
    }

    pub(super) fn add(&mut self, room: &RoomKey, outbox: &SharedOutbox) {
        let scheduled = self.by_room.entry(room.clone()).or_insert_with(|| Scheduled {
            slice: Slice::new(room.clone(), self.log_bytes_max),
            ready_since: None,
            counted: Kept::default(),
        });
        scheduled.slice.add(outbox);
    }

    pub(super) fn remove(&mut self, room: &RoomKey, outbox: &SharedOutbox, moved: &mut Moved) {
        if let Some(scheduled) = self.by_room.get_mut(room) {
            scheduled.slice.remove(outbox, moved);
            if scheduled.slice.is_empty() {
                self.take(room);
            } else {
                // What it held back can be forgotten.
                self.on_progress(room);
            }
        }
    }

    /// Takes a room's slice out.
    pub(super) fn take(&mut self, room: &RoomKey) -> Option<Slice> {
        let scheduled = self.by_room.remove(room)?;
        self.total.bytes -= scheduled.counted.bytes;
        self.total.excess_bytes -= scheduled.counted.excess_bytes;
        Some(scheduled.slice)
    }

    /// Adds a frame for the members of `room` on this worker.
    pub(super) fn append(&mut self, room: &RoomKey, frame: &[u8], sequence: u64, class: Class) {
        let Some(scheduled) = self.by_room.get_mut(room) else {
            return;
        };
        scheduled.slice.append(frame, sequence, class);
        count(scheduled, &mut self.total);
        self.schedule(room);
    }

    /// A member of `room` that was blocked went on, or is gone.
    pub(super) fn on_progress(&mut self, room: &RoomKey) {
        if let Some(scheduled) = self.by_room.get_mut(room)
            && scheduled.slice.on_progress()
        {
            self.schedule(room);
        }
    }

    /// Puts a room in the queue, if it is not there.
    fn schedule(&mut self, room: &RoomKey) {
        if let Some(scheduled) = self.by_room.get_mut(room)
            && scheduled.ready_since.is_none()
        {
            scheduled.ready_since = Some(Instant::now());
            self.ready.push_back(room.clone());
        }
    }

    /// Memory that all logs take.
    pub(super) fn log_bytes(&self) -> usize {
        self.total.bytes
    }

    /// How much of that is more than a room may have, all rooms together.
    pub(super) fn excess_bytes(&self) -> usize {
        self.total.excess_bytes
    }

    pub(super) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// How long the room has been waiting or under way that became ready first.
    pub(super) fn lag(&self) -> Duration {
        // The queue goes round, so any of them may be the first; there are as many as have something to deliver just now.
        let since = self.ready.iter().filter_map(|room| self.by_room.get(room)?.ready_since);
        since.min().map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Visits some members of the room whose turn it is. Returns since when a room was ready whose round is over.
    fn step(&mut self, moved: &mut Moved) -> (Step, Option<Instant>) {
        let Some(room) = self.ready.pop_front() else {
            return Default::default();
        };
        let Some(scheduled) = self.by_room.get_mut(&room) else {
            return Default::default();
        };
        let step = scheduled.slice.sweep(MEMBERS_PER_STEP, moved);
        count(scheduled, &mut self.total);
        if step.more {
            self.ready.push_back(room);
            (step, None)
        } else {
            (step, scheduled.ready_since.take())
        }
    }
}

/// Brings the totals up to date with one slice.
fn count(scheduled: &mut Scheduled, total: &mut Kept) {
    let now = Kept {
        bytes: scheduled.slice.log_bytes(),
        excess_bytes: scheduled.slice.excess_bytes(),
    };
    total.bytes = total.bytes - scheduled.counted.bytes + now.bytes;
    total.excess_bytes = total.excess_bytes - scheduled.counted.excess_bytes + now.excess_bytes;
    scheduled.counted = now;
}

impl Worker {
    /// Delivers what rooms have to deliver, a few members at a time, for ever.
    pub(super) async fn sweep(self: Rc<Self>) {
        loop {
            while self.slices.borrow().is_ready() {
                let (step, over) = self.slices.borrow_mut().step(&mut self.moved.borrow_mut());
                if let Some(since) = over {
                    self.metrics
                        .record(Metric::SweepDuration, 0, since.elapsed().as_secs_f64());
                }
                self.metrics.add(Metric::TaskPanics, step.panics);
                for member in step.too_slow {
                    if let Some(connection) = self.connection(member) {
                        self.close_slow(&connection);
                    }
                }
                self.hold_back();
                tokio::task::yield_now().await;
            }
            self.sweep_wanted.notified().await;
        }
    }

    /// Has commands refused while the sweep is behind with more than logs may keep.
    pub(super) fn hold_back(&self) {
        let excess_bytes = self.slices.borrow().excess_bytes();
        self.mailboxes.borrow_mut().hold(excess_bytes);
    }
}
