//! The newest messages of a room.

use std::collections::VecDeque;

use bytes::Bytes;
use prost::Message;
use sluice_protocol::{MessageType, RoomMessage, frame::Body, limits};

use crate::frames;

/// The newest messages of the types that are kept, up to [`limits::ROOM_HISTORY_MESSAGES`] or what the room's policy says.
#[derive(Debug, Default)]
pub(super) struct History {
    messages: VecDeque<RoomMessage>,
    /// As frames, newest first, as far back as somebody asked since the newest came: `left` counts from the newest, so until the next
    /// they are the same for all who join.
    frames: Vec<Bytes>,
    /// What their messages come to, at most [`limits::ROOM_HISTORY_BYTES`].
    frames_bytes: usize,
}

impl History {
    /// Keeps `message` if its type is one that is kept, and forgets the oldest beyond `max`.
    pub(super) fn keep(&mut self, message: &RoomMessage, max: usize) {
        if max == 0 || !is_kept(message.r#type()) {
            return;
        }
        if self.messages.len() >= max {
            self.messages.pop_front();
        }
        self.messages.push_back(message.clone());
        self.frames = Vec::new();
        self.frames_bytes = 0;
    }

    /// Forgets a message, and returns its number if it was kept.
    pub(super) fn take_back(&mut self, message_id: u64) -> Option<u64> {
        let place = self
            .messages
            .iter()
            .position(|message| message.message_id == message_id)?;
        self.frames = Vec::new();
        self.frames_bytes = 0;
        self.messages.remove(place).map(|message| message.sequence)
    }

    /// The newest `count` as frames, oldest first, counting down to 0. Fewer where they would be more than
    /// [`limits::ROOM_HISTORY_BYTES`]. Whoever asks between two messages shares the memory of the others.
    pub(super) fn newest(&mut self, count: usize) -> Vec<Bytes> {
        let wanted = count.min(self.messages.len());
        while self.frames.len() < wanted {
            let left = self.frames.len();
            let message = &self.messages[self.messages.len() - 1 - left];
            let bytes = self.frames_bytes + message.encoded_len();
            if bytes > limits::ROOM_HISTORY_BYTES {
                break;
            }
            let message = RoomMessage {
                history: true,
                left: u32::try_from(left).expect("at most fifty"),
                ..message.clone()
            };
            self.frames.push(frames::event(Body::RoomMessage(message)).into());
            self.frames_bytes = bytes;
        }
        let given = wanted.min(self.frames.len());
        self.frames[..given].iter().rev().cloned().collect()
    }
}

impl History {
    /// Those after message number `sequence` as frames, as [`Self::newest`] gives them.
    pub(super) fn after(&mut self, sequence: u64) -> Vec<Bytes> {
        let newer = self
            .messages
            .iter()
            .rev()
            .take_while(|message| message.sequence > sequence);
        let newer = newer.count();
        self.newest(newer)
    }
}

/// Commands and barrage are for the moment only.
fn is_kept(kind: MessageType) -> bool {
    match kind {
        MessageType::Text | MessageType::Custom => true,
        MessageType::Command | MessageType::Barrage | MessageType::Unspecified => false,
        // Rooms carry none of these.
        MessageType::Image | MessageType::File | MessageType::Audio | MessageType::Video | MessageType::Combined => {
            false
        }
    }
}
