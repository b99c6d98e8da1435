//! Giving others their turn from within a `poll`.

use std::pin::pin;
use std::task::Context;

/// Has the task polled again after everybody else, the sockets included. Waking it directly would put it back in the queue before
/// the runtime has looked at any socket, and a few busy connections would keep all others from being read.
pub(crate) fn give(cx: &mut Context<'_>) {
    let waits = pin!(tokio::task::yield_now()).poll(cx);
    debug_assert!(waits.is_pending(), "a fresh yield is never done at once");
}
