//! Frames for everybody who is logged in to an app, on this worker.
//!
//! One goes out after the other, so that all clients get them in the same order, and each in steps, so that pings and messages go on.

use std::collections::VecDeque;
use std::rc::Rc;

use bytes::Bytes;
use sluice_protocol::ErrorCode;
use tokio::sync::oneshot;

use crate::identity::{AppIndex, ConnectionKey};
use crate::refusal::Refusal;
use crate::worker::Worker;
use crate::worker::connection::Connection;
use crate::worker::operator::OVERLOAD_RETRY;

/// Connections that are given a frame before other tasks get their turn: a few milliseconds.
const CONNECTIONS_PER_STEP: usize = 1000;

/// Broadcasts that wait for the one under way. More than this is nothing that anybody reads.
const WAITING_MAX: usize = 64;

/// Broadcasts that are still to go out.
pub(super) type Broadcasts = VecDeque<Broadcast>;

/// See the module.
#[derive(Debug)]
pub(super) struct Broadcast {
    app: AppIndex,
    frame: Bytes,
}

impl Worker {
    /// Takes one in, if there are not too many.
    pub(super) fn take_broadcast(&self, app: AppIndex, frame: Bytes, answer: oneshot::Sender<Result<(), Refusal>>) {
        let mut waiting = self.broadcasts.borrow_mut();
        let taken = if waiting.len() < WAITING_MAX {
            waiting.push_back(Broadcast { app, frame });
            self.broadcast_wanted.notify_one();
            Ok(())
        } else {
            Err(Refusal::with_detail(ErrorCode::REQUEST_TOO_FREQUENT, "overload").retry_after(OVERLOAD_RETRY))
        };
        // Nobody takes an answer that comes too late.
        let _ = answer.send(taken);
    }

    /// Delivers what was taken in, for ever.
    pub(super) async fn broadcast(self: Rc<Self>) {
        loop {
            loop {
                let Some(next) = self.broadcasts.borrow_mut().pop_front() else {
                    break;
                };
                // Whoever logs in from now on came too late for it.
                let keys: Vec<ConnectionKey> = self.connections.borrow().keys().collect();
                for step in keys.chunks(CONNECTIONS_PER_STEP) {
                    for key in step {
                        if let Some(connection) = self.connection(*key).filter(|to| is_of(to, next.app)) {
                            self.contain(*key, || self.push_event(&connection, &next.frame));
                        }
                    }
                    tokio::task::yield_now().await;
                }
            }
            self.broadcast_wanted.notified().await;
        }
    }
}

fn is_of(connection: &Connection, app: AppIndex) -> bool {
    let state = connection.state.borrow();
    state.session.online().is_some_and(|online| online.user.app == app)
}
