//! The newest messages of a room.

use std::collections::VecDeque;

use bytes::Bytes;
use prost::Message;
use sluice_protocol::{MessageType, RoomMessage, frame::Body, limits};

use crate::frames;

/// The newest messages of the types that are kept, up to [`limits::ROOM_HISTORY_MESSAGES`].
#[derive(Debug, Default)]
pub(super) struct History {
    messages: VecDeque<RoomMessage>,
}

impl History {
    /// Keeps `message` if its type is one that is kept, and forgets the oldest beyond the limit.
    pub(super) fn keep(&mut self, message: &RoomMessage) {
        if !is_kept(message.r#type()) {
            return;
        }
        if self.messages.len() == limits::ROOM_HISTORY_MESSAGES {
            self.messages.pop_front();
        }
        self.messages.push_back(message.clone());
    }

    /// The newest `count` as frames, oldest first, counting down to 0. Fewer where they would be more than
    /// [`limits::ROOM_HISTORY_BYTES`].
    pub(super) fn newest(&self, count: usize) -> Vec<Bytes> {
        let mut bytes = 0;
        let newest_first = self.messages.iter().rev().take(count);
        let fitting = newest_first.take_while(|message| {
            bytes += message.encoded_len();
            bytes <= limits::ROOM_HISTORY_BYTES
        });
        let mut frames: Vec<Bytes> = (0..)
            .zip(fitting)
            .map(|(left, message)| {
                let message = RoomMessage {
                    history: true,
                    left,
                    ..message.clone()
                };
                Bytes::from(frames::event(Body::RoomMessage(message)))
            })
            .collect();
        frames.reverse();
        frames
    }
}

/// Commands and barrage are for the moment only.
fn is_kept(kind: MessageType) -> bool {
    match kind {
        MessageType::Text | MessageType::Custom => true,
        MessageType::Command | MessageType::Barrage | MessageType::Unspecified => false,
    }
}
