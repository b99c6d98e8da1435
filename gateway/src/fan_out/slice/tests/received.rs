//! What came through to a client.

use super::*;

#[derive(Debug, Clone, Copy)]
pub(super) enum Received {
    Item(Item),
    Gap {
        first: u64,
        until: u64,
        by_class: [u64; Class::COUNT],
    },
}

impl Received {
    pub(super) fn item(&self) -> Option<Item> {
        match self {
            Self::Item(item) => Some(*item),
            Self::Gap { .. } => None,
        }
    }
}

/// What came through to one client.
#[derive(Debug, Default)]
pub(super) struct Got {
    pub(super) private: Vec<Private>,
    /// By the number of the stay.
    pub(super) stays: Vec<(u32, Vec<Received>)>,
}

impl Got {
    /// Takes the bytes apart. Anything but whole frames fails, and so does a room's frame outside a stay.
    pub(super) fn read(bytes: &[u8], may_end_within_a_frame: bool) -> Self {
        let mut buffer = FrameBuffer::new(limits::SERVER_FRAME_BYTES);
        buffer.push(bytes);
        let mut got = Self::default();
        let mut inside = [None; ROOMS];
        while let Some(body) = buffer.next_frame().expect("whole frames") {
            let frame = open_server_frame(&body).expect("frames that can be read");
            match frame.body.expect("a body") {
                Body::Reply(reply) => match reply.result.expect("a result") {
                    reply::Result::Pong(pong) => got.private.push(Private::Pong(pong.server_time_ms.cast_unsigned())),
                    reply::Result::RoomEntered(entered) => {
                        got.private.push(Private::Entered(frame.request_id));
                        inside[room_number(&entered.room.expect("a room").room_id)] = Some(got.stays.len());
                        got.stays.push((frame.request_id, Vec::new()));
                    }
                    reply::Result::LeaveRoom(left) => {
                        got.private.push(Private::Left(frame.request_id));
                        inside[room_number(&left.room_id)] = None;
                    }
                    other => panic!("{other:?}"),
                },
                Body::Close(_) => got.private.push(Private::Close),
                Body::RoomMessage(message) => {
                    let expected = content(message.sequence, message.content.len());
                    assert_eq!(message.content, expected, "frames are not mixed");
                    let item = Received::Item(Item::Message(message.sequence));
                    got.keep(inside[room_number(&message.room_id)], item);
                }
                Body::RoomMemberCount(count) => {
                    let item = Received::Item(Item::Control(count.member_count));
                    got.keep(inside[room_number(&count.room_id)], item);
                }
                Body::RoomGap(gap) => {
                    let mut by_class = [0; Class::COUNT];
                    by_class[Class::High as usize] = gap.high;
                    by_class[Class::Normal as usize] = gap.normal;
                    by_class[Class::Low as usize] = gap.low;
                    by_class[Class::Barrage as usize] = gap.barrage;
                    let gap_received = Received::Gap {
                        first: gap.first_sequence,
                        until: gap.last_sequence,
                        by_class,
                    };
                    got.keep(inside[room_number(&gap.room_id)], gap_received);
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(may_end_within_a_frame || buffer.is_empty(), "no half frame at the end");
        got
    }

    fn keep(&mut self, stay: Option<usize>, received: Received) {
        let stay = stay.expect("a room's frames come while inside");
        self.stays[stay].1.push(received);
    }
}
