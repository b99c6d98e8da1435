//! Logout.

use sluice_protocol::{LogoutResult, reply};

use crate::frames;
use crate::session::dispatch::Action;

pub(super) fn handle(request_id: u32) -> Action {
    let answer = frames::reply(request_id, reply::Result::Logout(LogoutResult {}));
    Action::LogOut { answer }
}
