//! Messages for all rooms of an app, in those whose home is this worker.
//!
//! One is said after the other, so that all rooms hear them in the same order, and each in steps, so that what goes on in rooms goes on.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use sluice_protocol::ErrorCode;
use tokio::sync::oneshot;

use crate::clock::Now;
use crate::identity::{AppIndex, RoomKey, WorkerIndex};
use crate::refusal::Refusal;
use crate::room::Published;
use crate::worker::Worker;
use crate::worker::operator::OVERLOAD_RETRY;

/// Rooms that are told before other tasks get their turn: with 32 KiB to encode for each, a few milliseconds.
const ROOMS_PER_STEP: usize = 100;

/// Announcements that wait for the one under way. An app may make one a second.
const WAITING_MAX: usize = 64;

/// How long to leave workers to themselves that have as much before them as is allowed.
const PAUSE: Duration = Duration::from_millis(10);

/// Announcements that are still to be made.
pub(super) type Announcements = VecDeque<Announcement>;

/// See the module.
#[derive(Debug)]
pub(super) struct Announcement {
    pub app: AppIndex,
    pub message: Published,
    pub message_id: u64,
}

impl Worker {
    /// Takes one in, if there are not too many.
    pub(super) fn take_announcement(&self, next: Announcement, answer: oneshot::Sender<Result<(), Refusal>>) {
        let mut waiting = self.announcements.borrow_mut();
        let taken = if waiting.len() < WAITING_MAX {
            waiting.push_back(next);
            self.announcement_wanted.notify_one();
            Ok(())
        } else {
            Err(Refusal::with_detail(ErrorCode::REQUEST_TOO_FREQUENT, "overload").retry_after(OVERLOAD_RETRY))
        };
        // Nobody takes an answer that comes too late.
        let _ = answer.send(taken);
    }

    /// Says what was taken in, for ever.
    pub(super) async fn announce(self: Rc<Self>) {
        loop {
            loop {
                let Some(next) = self.announcements.borrow_mut().pop_front() else {
                    break;
                };
                // A room that is made from now on came too late for it.
                let rooms = self.rooms.borrow().of_app(next.app);
                for step in rooms.chunks(ROOMS_PER_STEP) {
                    while self.is_anybody_behind() {
                        tokio::time::sleep(PAUSE).await;
                    }
                    let now = Now::read();
                    for room in step {
                        self.say_in(room, &next, now);
                    }
                    // It sends what was posted.
                    self.pump_wanted.notify_one();
                    tokio::task::yield_now().await;
                }
            }
            self.announcement_wanted.notified().await;
        }
    }

    fn say_in(&self, room: &RoomKey, next: &Announcement, now: Now) {
        let said = catch_unwind(AssertUnwindSafe(|| {
            let message = next.message.clone();
            self.rooms.borrow_mut().announce(now, room, message, next.message_id)
        }));
        for effect in said.unwrap_or_else(|_| self.destroy_faulty(room)) {
            self.carry_out(room, None, effect);
        }
    }

    fn is_anybody_behind(&self) -> bool {
        let mailboxes = self.mailboxes.borrow();
        (0..)
            .take(mailboxes.workers())
            .any(|worker| mailboxes.is_full(WorkerIndex(worker)))
    }
}
