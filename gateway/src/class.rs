//! How much a message matters when not all can be delivered.

use sluice_protocol::{MessageType, Priority, RoomPreset};

/// Classes from the ones that are never shed to the one that goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// Events about the room itself.
    Control,
    /// Messages of senders the app relies on.
    Protected,
    High,
    Normal,
    Low,
    Barrage,
}

/// What an app has said of a message's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TypeLevel {
    /// The app relies on messages of this type.
    Allowed,
    /// Nothing.
    High,
    /// It is the lower of two levels.
    Low,
}

/// Whether an app relies on a sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sender {
    Ordinary,
    Protected,
}

impl Class {
    /// How many there are, for tables indexed by class.
    pub(crate) const COUNT: usize = 6;

    /// The class of a message: of a sender or a type the app relies on it is protected; barrage is its own; the rest takes the lower of
    /// its priority and the level of its type, where a message without a priority takes the default of the room's preset.
    pub(crate) fn of_message(
        kind: MessageType,
        priority: Priority,
        preset: RoomPreset,
        level: TypeLevel,
        sender: Sender,
    ) -> Self {
        if sender == Sender::Protected || level == TypeLevel::Allowed {
            return Self::Protected;
        }
        if kind == MessageType::Barrage {
            return Self::Barrage;
        }
        let by_priority = match priority {
            Priority::High => Self::High,
            Priority::Medium => Self::Normal,
            Priority::Low => Self::Low,
            Priority::Default => match preset {
                RoomPreset::Room => Self::Low,
                RoomPreset::Live => Self::High,
            },
        };
        match level {
            TypeLevel::Allowed | TypeLevel::High => by_priority,
            // The later, the sooner it goes.
            TypeLevel::Low => by_priority.max(Self::Low),
        }
    }

    /// Whether some may miss it so that others or they themselves get more important things.
    pub(crate) fn may_be_shed(self) -> bool {
        self > Self::Protected
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: MessageType, priority: Priority, preset: RoomPreset) -> Class {
        Class::of_message(kind, priority, preset, TypeLevel::High, Sender::Ordinary)
    }

    #[test]
    fn barrage_is_lowest_whatever_its_priority() {
        let barrage = of(MessageType::Barrage, Priority::High, RoomPreset::Live);
        assert_eq!(barrage, Class::Barrage);
    }

    #[test]
    fn a_message_without_a_priority_takes_the_default_of_its_room() {
        let text = |priority, preset| of(MessageType::Text, priority, preset);
        assert_eq!(text(Priority::Default, RoomPreset::Room), Class::Low);
        assert_eq!(text(Priority::Default, RoomPreset::Live), Class::High);
        assert_eq!(text(Priority::Medium, RoomPreset::Live), Class::Normal);
    }

    #[test]
    fn of_priority_and_level_the_lower_counts() {
        let like =
            |kind, priority| Class::of_message(kind, priority, RoomPreset::Live, TypeLevel::Low, Sender::Ordinary);
        assert_eq!(like(MessageType::Custom, Priority::High), Class::Low);
        assert_eq!(like(MessageType::Custom, Priority::Default), Class::Low);
        assert_eq!(like(MessageType::Barrage, Priority::High), Class::Barrage);
    }

    #[test]
    fn a_type_the_app_relies_on_is_never_shed_whatever_its_priority() {
        for priority in [Priority::Default, Priority::Low] {
            let class = Class::of_message(
                MessageType::Custom,
                priority,
                RoomPreset::Room,
                TypeLevel::Allowed,
                Sender::Ordinary,
            );
            assert_eq!(class, Class::Protected);
        }
    }

    #[test]
    fn what_a_protected_sender_says_is_never_shed() {
        for kind in [MessageType::Custom, MessageType::Barrage] {
            let class = Class::of_message(kind, Priority::Low, RoomPreset::Room, TypeLevel::Low, Sender::Protected);
            assert_eq!(class, Class::Protected);
            assert!(!class.may_be_shed());
        }
    }
}
