//! The newest messages of a room.

use std::collections::VecDeque;

use bytes::Bytes;
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

    /// The newest `count` as frames, oldest first, counting down to 0.
    pub(super) fn newest(&self, count: usize) -> Vec<Bytes> {
        let skip = self.messages.len().saturating_sub(count);
        let left = (0..u32::try_from(self.messages.len() - skip).expect("at most fifty")).rev();
        self.messages
            .range(skip..)
            .zip(left)
            .map(|(message, left)| {
                let message = RoomMessage {
                    history: true,
                    left,
                    ..message.clone()
                };
                Bytes::from(frames::event(Body::RoomMessage(message)))
            })
            .collect()
    }
}

/// Commands and barrage are for the moment only.
fn is_kept(kind: MessageType) -> bool {
    match kind {
        MessageType::Text | MessageType::Custom => true,
        MessageType::Command | MessageType::Barrage | MessageType::Unspecified => false,
    }
}
