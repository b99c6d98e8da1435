//! What the app's server has decided about a room and its users. It holds whether the room exists or not.

use hashbrown::HashMap;
use sluice_protocol::{ErrorCode, UserId};

use crate::clock::Now;
use crate::identity::RoomKey;
use crate::refusal::Refusal;
use crate::room::{Order, Ordered, Rooms};
use crate::store::{Entry, RoomRules};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Moderation {
    pub(super) rules: RoomRules,
    pub(super) gags: HashMap<UserId, Entry>,
    pub(super) blocks: HashMap<UserId, Entry>,
    pub(super) allowed: HashMap<UserId, Entry>,
    pub(super) mute_exceptions: HashMap<UserId, Entry>,
}

impl Rooms {
    pub(super) fn moderate(&mut self, _now: Now, _key: &RoomKey, _order: Order) -> Ordered {
        Ordered::refuse(Refusal::new(ErrorCode::OPERATION_NOT_SUPPORTED))
    }
}
