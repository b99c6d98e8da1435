//! How much a message matters when not all can be delivered.

use sluice_protocol::{MessageType, Priority, RoomPreset};

/// Classes from the one that is never dropped to the one that goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// Events about the room itself. Never dropped: a member who cannot take them is closed as slow.
    Control,
    High,
    Normal,
    Low,
    Barrage,
}

impl Class {
    /// How many there are, for tables indexed by class.
    pub(crate) const COUNT: usize = 5;

    /// The class of a member's message: barrage is its own, the rest follows the priority, and a message without one
    /// takes the default of the room's preset.
    pub(crate) fn of_message(kind: MessageType, priority: Priority, preset: RoomPreset) -> Self {
        if kind == MessageType::Barrage {
            return Self::Barrage;
        }
        match priority {
            Priority::High => Self::High,
            Priority::Medium => Self::Normal,
            Priority::Low => Self::Low,
            Priority::Default => match preset {
                RoomPreset::Room => Self::Low,
                RoomPreset::Live => Self::High,
            },
        }
    }

    /// Whether a slow member may miss it.
    pub(crate) fn may_be_dropped(self) -> bool {
        self != Self::Control
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn barrage_is_lowest_whatever_its_priority() {
        assert_eq!(
            Class::of_message(MessageType::Barrage, Priority::High, RoomPreset::Live),
            Class::Barrage
        );
    }

    #[test]
    fn a_message_without_a_priority_takes_the_default_of_its_room() {
        assert_eq!(
            Class::of_message(MessageType::Text, Priority::Default, RoomPreset::Room),
            Class::Low
        );
        assert_eq!(
            Class::of_message(MessageType::Text, Priority::Default, RoomPreset::Live),
            Class::High
        );
        assert_eq!(
            Class::of_message(MessageType::Text, Priority::Medium, RoomPreset::Live),
            Class::Normal
        );
    }
}
