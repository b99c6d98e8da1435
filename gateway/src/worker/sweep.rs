//! Delivering what rooms published: all slices of a worker, and the task that goes round them.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Instant;

use hashbrown::HashMap;

use crate::class::Class;
use crate::fan_out::{Behind, Slice, Step};
use crate::identity::RoomKey;
use crate::metrics::Metric;
use crate::outbox::SharedOutbox;
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
}

struct Scheduled {
    slice: Slice,
    /// When it became ready; `None` while it is not in the queue.
    ready_since: Option<Instant>,
}

impl Slices {
    pub(super) fn new(log_bytes_max: usize) -> Self {
        Self {
            by_room: HashMap::new(),
            ready: VecDeque::new(),
            log_bytes_max,
        }
    }

    pub(super) fn add(&mut self, room: &RoomKey, outbox: &SharedOutbox) {
        let scheduled = self.by_room.entry(room.clone()).or_insert_with(|| Scheduled {
            slice: Slice::new(room.clone(), self.log_bytes_max),
            ready_since: None,
        });
        scheduled.slice.add(outbox);
    }

    pub(super) fn remove(&mut self, room: &RoomKey, outbox: &SharedOutbox) {
        if let Some(scheduled) = self.by_room.get_mut(room) {
            scheduled.slice.remove(outbox);
            if scheduled.slice.is_empty() {
                self.by_room.remove(room);
            }
        }
    }

    /// Adds a frame for the members of `room` on this worker. Returns the members that lag too far.
    pub(super) fn append(&mut self, room: &RoomKey, frame: &[u8], sequence: u64, class: Class) -> Vec<Behind> {
        let Some(scheduled) = self.by_room.get_mut(room) else {
            return Vec::new();
        };
        let behind = scheduled.slice.append(frame, sequence, class);
        self.schedule(room);
        behind
    }

    /// Puts a room in the queue, if it is not there.
    pub(super) fn schedule(&mut self, room: &RoomKey) {
        if let Some(scheduled) = self.by_room.get_mut(room)
            && scheduled.ready_since.is_none()
        {
            scheduled.ready_since = Some(Instant::now());
            self.ready.push_back(room.clone());
        }
    }

    /// Bytes that all logs keep.
    pub(super) fn log_bytes(&self) -> usize {
        self.by_room.values().map(|scheduled| scheduled.slice.log_bytes()).sum()
    }

    pub(super) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Visits some members of the room whose turn it is. Returns since when a room was ready whose round is over.
    fn step(&mut self) -> (Step, Option<Instant>) {
        let Some(room) = self.ready.pop_front() else {
            return Default::default();
        };
        let Some(scheduled) = self.by_room.get_mut(&room) else {
            return Default::default();
        };
        let step = scheduled.slice.sweep(MEMBERS_PER_STEP);
        if step.more {
            self.ready.push_back(room);
            (step, None)
        } else {
            (step, scheduled.ready_since.take())
        }
    }
}

impl Worker {
    /// Delivers what rooms have to deliver, a few members at a time, for ever.
    pub(super) async fn sweep(self: Rc<Self>) {
        loop {
            while self.slices.borrow().is_ready() {
                let (step, over) = self.slices.borrow_mut().step();
                self.count_moved(step.moved);
                if let Some(since) = over {
                    self.metrics
                        .record(Metric::SweepDuration, 0, since.elapsed().as_secs_f64());
                }
                tokio::task::yield_now().await;
            }
            self.sweep_wanted.notified().await;
        }
    }
}
