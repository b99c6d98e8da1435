//! What homes decide goes to the store, and what waits for it comes back.

use bytes::Bytes;
use sluice_protocol::ErrorCode;
use tokio::sync::oneshot;

use crate::frames;
use crate::identity::{Caller, ConnectionRef, RoomKey};
use crate::refusal::Refusal;
use crate::room::{self, Effect};
use crate::store::{Change, StoreError};
use crate::worker::Worker;
use crate::worker::mailbox::{Message, OrderResult};
use crate::worker::operator::OVERLOAD_RETRY;

/// What a request came to, its effects sorted by when they are carried out.
struct Sorted {
    now: Vec<Effect>,
    changes: Vec<Change>,
    /// Answers that wait until the changes are kept.
    replies: Vec<(ConnectionRef, Option<Bytes>, ErrorCode)>,
}

impl Worker {
    /// Carries out what a member's request came to. Where something is to be kept, the reply says that it is.
    pub(super) fn carry_out_request(&self, room: &RoomKey, caller: &Caller, effects: Vec<Effect>) {
        let sorted = sort(effects);
        for effect in sorted.now {
            self.carry_out(room, Some(caller), effect);
        }
        if sorted.changes.is_empty() {
            for (to, frame, code) in sorted.replies {
                self.carry_out(room, Some(caller), Effect::Reply { to, frame, code });
            }
            return;
        }
        let (outside, request_id) = (self.outside.clone(), caller.request_id);
        self.keep(sorted.changes, move |kept| {
            for (to, frame, code) in sorted.replies {
                let (frame, code) = match &kept {
                    Ok(()) => (frame, code),
                    Err(refusal) => {
                        let refused = frame.map(|_| frames::refuse(request_id, refusal).into());
                        (refused, refusal.code)
                    }
                };
                let connection = to.key;
                let reply = Message::Reply {
                    connection,
                    frame,
                    code,
                };
                outside.post_always(to.worker, reply);
            }
        });
    }

    /// Carries out what an order came to. One about what is kept is answered when all is kept that it or another before it has changed;
    /// nobody takes the answer to one that took too long.
    pub(super) fn carry_out_order(
        &self,
        room: &RoomKey,
        ordered: room::Ordered,
        about_what_is_kept: bool,
        answer: oneshot::Sender<OrderResult>,
    ) {
        let mut changes = Vec::new();
        for effect in ordered.effects {
            match effect {
                Effect::Keep(change) => changes.push(change),
                effect => self.carry_out(room, None, effect),
            }
        }
        let promises = about_what_is_kept && ordered.answer.is_ok();
        if changes.is_empty() && !promises {
            let _ = answer.send(ordered.answer);
            return;
        }
        self.keep(changes, move |kept| {
            let _ = answer.send(kept.and(ordered.answer));
        });
    }

    /// Gives changes to the store. `then` is told whether they are kept, on a thread of the store.
    pub(super) fn keep(&self, changes: Vec<Change>, then: impl FnOnce(Result<(), Refusal>) + Send + 'static) {
        self.shared
            .store
            .submit(changes, move |kept| then(kept.map_err(|error| refusal(&error))));
    }
}

fn sort(effects: Vec<Effect>) -> Sorted {
    let mut sorted = Sorted {
        now: Vec::new(),
        changes: Vec::new(),
        replies: Vec::new(),
    };
    for effect in effects {
        match effect {
            Effect::Keep(change) => sorted.changes.push(change),
            Effect::Reply { to, frame, code } => sorted.replies.push((to, frame, code)),
            effect => sorted.now.push(effect),
        }
    }
    sorted
}

/// What whoever asked is told of a change that is not kept.
pub(crate) fn refusal(error: &StoreError) -> Refusal {
    tracing::warn!(%error, "a change is not kept");
    match error {
        StoreError::Busy => {
            Refusal::with_detail(ErrorCode::REQUEST_TOO_FREQUENT, "overload").retry_after(OVERLOAD_RETRY)
        }
        _ => Refusal::with_detail(ErrorCode::INTERNAL_ERROR, "store"),
    }
}

#[cfg(test)]
mod tests;
