//! Orders about rooms themselves: making and ending them, who is inside.

use sluice_protocol::ErrorCode;

use crate::clock::Now;
use crate::identity::RoomKey;
use crate::refusal::Refusal;
use crate::room::{Order, Ordered, Rooms};

impl Rooms {
    pub(super) fn keep_house(&mut self, _now: Now, _key: &RoomKey, _order: Order) -> Ordered {
        Ordered::refuse(Refusal::new(ErrorCode::OPERATION_NOT_SUPPORTED))
    }
}
