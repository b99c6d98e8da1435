//! Attributes of a room: short texts by key, each with an owner and a version.

use sluice_protocol::ErrorCode;

use crate::clock::Now;
use crate::identity::RoomKey;
use crate::refusal::Refusal;
use crate::room::{Order, Ordered, Rooms};

/// What somebody wants written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Write {
    Set {
        /// Key and value.
        entries: Vec<(String, String)>,
        /// Overwrites what belongs to somebody else.
        force: bool,
        /// What is overwritten changes its owner.
        take_over: bool,
        delete_on_leave: bool,
        /// Only what has this version.
        if_version: Option<u64>,
    },
    Delete {
        keys: Vec<String>,
        force: bool,
        if_version: Option<u64>,
    },
}

impl Rooms {
    pub(super) fn order_attributes(&mut self, _now: Now, _key: &RoomKey, _order: Order) -> Ordered {
        Ordered::refuse(Refusal::new(ErrorCode::OPERATION_NOT_SUPPORTED))
    }
}
