//! What somebody does not get, and the notice that tells it.

use sluice_protocol::{RoomGap, frame::Body};

use crate::class::Class;
use crate::frames;
use crate::identity::RoomKey;

/// Messages of a room that somebody does not get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Missed {
    pub first_sequence: u64,
    pub last_sequence: u64,
    pub by_class: [u64; Class::COUNT],
}

impl Missed {
    /// One message.
    pub(crate) fn one(sequence: u64, class: Class) -> Self {
        Self::several(sequence, sequence, class, 1)
    }

    /// Some messages of one class, the oldest and the newest of them.
    pub(crate) fn several(first_sequence: u64, last_sequence: u64, class: Class, count: u64) -> Self {
        let mut missed = Self {
            first_sequence,
            last_sequence,
            ..Self::default()
        };
        missed.by_class[class as usize] = count;
        missed
    }

    /// Adds what else was missed.
    pub(crate) fn extend(&mut self, more: &Self) {
        if more.total() == 0 {
            return;
        }
        if self.total() == 0 {
            *self = *more;
            return;
        }
        self.first_sequence = self.first_sequence.min(more.first_sequence);
        self.last_sequence = self.last_sequence.max(more.last_sequence);
        for (sum, more) in self.by_class.iter_mut().zip(more.by_class) {
            *sum += more;
        }
    }

    /// All messages missed, of whatever class.
    pub(crate) fn total(&self) -> u64 {
        self.by_class.iter().sum()
    }

    /// The notice of it.
    pub(crate) fn notice(&self, room: &RoomKey) -> Vec<u8> {
        let of = |class: Class| self.by_class[class as usize];
        frames::event(Body::RoomGap(RoomGap {
            room_id: room.id.as_str().to_owned(),
            first_sequence: self.first_sequence,
            last_sequence: self.last_sequence,
            high: of(Class::High),
            normal: of(Class::Normal),
            low: of(Class::Low),
            barrage: of(Class::Barrage),
        }))
    }
}
