//! Logout.

use std::num::NonZeroU32;

use sluice_protocol::{LogoutResult, reply};

use crate::frames;

/// The answer, once everything asked before is answered.
pub(crate) fn answer(request_id: NonZeroU32) -> Vec<u8> {
    frames::reply(request_id.get(), reply::Result::Logout(LogoutResult {}))
}
