//! The notice a member gets of what it missed.

use prost::Message;
use sluice_protocol::{Frame, RoomGap, frame::Body};

use crate::class::Class;
use crate::identity::RoomKey;
use crate::outbox::log::Missed;

pub(super) fn frame(room: &RoomKey, missed: &Missed) -> Vec<u8> {
    let of = |class: Class| missed.by_class[class as usize];
    let gap = RoomGap {
        room_id: room.id.as_str().to_owned(),
        first_sequence: missed.first_sequence,
        last_sequence: missed.last_sequence,
        high: of(Class::High),
        normal: of(Class::Normal),
        low: of(Class::Low),
        barrage: of(Class::Barrage),
    };
    Frame {
        request_id: 0,
        body: Some(Body::RoomGap(gap)),
    }
    .encode_length_delimited_to_vec()
}
