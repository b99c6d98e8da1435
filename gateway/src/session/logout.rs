//! Logout.

use sluice_protocol::{ErrorCode, LogoutResult, reply};

use crate::frames;
use crate::refusal::Refusal;
use crate::session::dispatch::Action;

pub(super) fn handle(request_id: u32) -> Action {
    let answer = frames::reply(request_id, reply::Result::Logout(LogoutResult {}));
    Action::Close {
        answer,
        refusal: Refusal::new(ErrorCode::NO_ERROR),
    }
}
