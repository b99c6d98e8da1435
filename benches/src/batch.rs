//! What a bare loop sends: the frames of one round, encoded as the gateway would.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use sluice_protocol::{Frame, MessageType, Reply, RoomEntered, RoomMessage, UserInfo, frame, reply};

use crate::messages::Talk;
use crate::stamp::Stamp;

/// The gateway's message ids hold milliseconds above this many bits, which makes them nine bytes on the wire.
const MESSAGE_ID_TIME_SHIFT: u32 = 22;

/// Encodes one round after the other.
pub(crate) struct Batches {
    talk: Talk,
    sequence: u64,
}

impl Batches {
    pub(crate) fn new(talk: Talk) -> Self {
        Self { talk, sequence: 0 }
    }

    /// The next round's messages, whole and in order.
    pub(crate) fn next_round(&mut self) -> Bytes {
        let mut bytes = Vec::new();
        let content = self.talk.content.clone();
        for _ in 0..self.talk.window {
            self.append(&content, &mut bytes);
        }
        bytes.into()
    }

    /// Appends the next message, with a stamp in a content of the usual length.
    pub(crate) fn append_stamped(&mut self, stamp: Stamp, bytes: &mut Vec<u8>) {
        self.append(&stamp.content(self.talk.content.len()), bytes);
    }

    /// Appends the next message, with this content.
    pub(crate) fn append(&mut self, content: &str, bytes: &mut Vec<u8>) {
        let now_ms = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("the clock is past 1970")
            .as_millis() as i64;
        self.sequence += 1;
        let message = RoomMessage {
            room_id: self.talk.room.clone(),
            sequence: self.sequence,
            message_id: (now_ms as u64) << MESSAGE_ID_TIME_SHIFT | self.sequence & 0x3fff,
            server_time_ms: now_ms,
            sender: Some(UserInfo {
                user_id: self.talk.sender.clone(),
                user_name: String::new(),
            }),
            r#type: MessageType::Text.into(),
            content: Bytes::copy_from_slice(content.as_bytes()),
            ..RoomMessage::default()
        };
        let frame = Frame {
            request_id: 0,
            body: Some(frame::Body::RoomMessage(message)),
        };
        sluice_codec::encode_into(&frame, bytes);
    }
}

/// What tells a member of a bare loop that it is inside.
pub(crate) fn welcome() -> Bytes {
    let reply = Reply {
        result: Some(reply::Result::RoomEntered(RoomEntered::default())),
        ..Reply::default()
    };
    sluice_codec::encode(&Frame {
        request_id: 1,
        body: Some(frame::Body::Reply(reply)),
    })
}
