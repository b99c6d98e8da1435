//! Ping.

use sluice_protocol::{Pong, reply};

use crate::clock::Now;
use crate::frames;
use crate::session::dispatch::Action;

pub(super) fn handle(request_id: u32, now: Now) -> Action {
    Action::Answer(frames::reply(
        request_id,
        reply::Result::Pong(Pong {
            server_time_ms: now.unix_ms,
        }),
    ))
}
