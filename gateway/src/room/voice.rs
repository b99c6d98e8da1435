//! What the app's server says in a room, and takes back.

use sluice_protocol::ErrorCode;

use crate::clock::Now;
use crate::identity::RoomKey;
use crate::refusal::Refusal;
use crate::room::{Order, Ordered, Rooms};

impl Rooms {
    pub(super) fn speak(&mut self, _now: Now, _key: &RoomKey, _order: Order) -> Ordered {
        Ordered::refuse(Refusal::new(ErrorCode::OPERATION_NOT_SUPPORTED))
    }
}
