//! Policies: the rules a room lives by. The two presets `room` and `live` are made from the section `rooms`; an app defines more of
//! them in tables `[[apps.policies]]`, each a preset with some rules of its own.

mod read;

use std::time::Duration;

use sluice_protocol::{RoomPreset, limits};

use super::kind::Kind;
use super::settings::{Default as DefaultValue, IDLE_MAX, IDLE_MIN, MEMBERS_MAX, Setting};
use super::{Budget, Rate, Rooms};

pub(super) use read::{PolicyOrigins, read};

/// Longest that a room may outlive its last member.
const DESTROY_DELAY_MAX: Duration = Duration::from_secs(limits::DESTROY_DELAY_SECONDS as u64);

/// All attributes of a room fit in one frame with room to spare: 100 of 128 + 4096 bytes and an owner's 256.
const ATTRIBUTE_KEYS_MAX: usize = 100;
const ATTRIBUTE_KEY_BYTES_MAX: usize = 128;
const ATTRIBUTE_VALUE_BYTES_MAX: usize = 4096;

/// The rules a room lives by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomPolicy {
    /// What clients and the app's server name it by: that of its family for a preset.
    pub name: String,
    /// The preset it belongs to, which decides what is not said here: who may create such a room, and the class of a message
    /// without a priority.
    pub family: RoomPreset,
    /// Most members at once, those that do not count left out; `None` for no limit.
    pub members_max: Option<usize>,
    /// What ends it.
    pub ends: RoomEnds,
    /// Newest messages it keeps, at most [`limits::ROOM_HISTORY_MESSAGES`].
    pub history_messages: usize,
    /// Messages of one sender: in the family `live` of a user, in the family `room` of each session and type.
    pub message_rate: Rate,
    /// Messages that may be shed which it gives to its members in any 200 ms.
    pub budget: Budget,
    /// How many of those are for class high alone.
    pub budget_for_high: usize,
    /// How many attributes it may have, and how long; `None` for none at all.
    pub attributes: Option<AttributeLimits>,
}

/// What ends a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoomEnds {
    /// So long after the last member has left; at most three hours.
    WhenEmpty {
        /// Zero: at once.
        delay: Duration,
    },
    /// When there was no message and no join for so long.
    WhenIdle {
        /// A minute to seven days.
        after: Duration,
    },
    /// By the app's server alone.
    Never,
}

/// The most that the attributes of a room may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttributeLimits {
    /// Attributes.
    pub keys: usize,
    /// Bytes of one key.
    pub key_bytes: usize,
    /// Bytes of one value.
    pub value_bytes: usize,
    /// Bytes of all keys and values together; `None` for as many as the others allow.
    pub total_bytes: Option<usize>,
}

/// A policy that an app defines: its family, and what differs from that preset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppPolicySettings {
    /// 1 to 64 letters, digits, `-`, `_` and `.`; neither `room` nor `live`.
    pub name: String,
    /// The preset it begins from.
    pub family: RoomPreset,
    /// As in [`RoomPolicy`].
    pub members_max: Option<Option<usize>>,
    /// What ends it, without the time.
    pub ends: Option<EndsKind>,
    /// The delay or the idle time.
    pub ends_after: Option<Duration>,
    /// As in [`RoomPolicy`].
    pub history_messages: Option<usize>,
    /// As in [`RoomPolicy`].
    pub message_rate: Option<Rate>,
    /// As in [`RoomPolicy`].
    pub budget: Option<Budget>,
    /// As in [`RoomPolicy`].
    pub budget_for_high: Option<usize>,
    /// Whether there are attributes at all.
    pub attributes: Option<bool>,
    /// As in [`AttributeLimits`].
    pub attribute_keys: Option<usize>,
    /// As in [`AttributeLimits`].
    pub attribute_key_bytes: Option<usize>,
    /// As in [`AttributeLimits`].
    pub attribute_value_bytes: Option<usize>,
    /// As in [`AttributeLimits`].
    pub attribute_total_bytes: Option<Option<usize>>,
}

/// What ends a room, without the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndsKind {
    /// See [`RoomEnds::WhenEmpty`].
    WhenEmpty,
    /// See [`RoomEnds::WhenIdle`].
    WhenIdle,
    /// See [`RoomEnds::Never`].
    Never,
}

/// The name of a preset as a policy.
#[must_use]
pub fn preset_name(preset: RoomPreset) -> &'static str {
    match preset {
        RoomPreset::Room => "room",
        RoomPreset::Live => "live",
    }
}

impl AppPolicySettings {
    /// A preset under another name.
    #[must_use]
    pub fn new(name: impl Into<String>, family: RoomPreset) -> Self {
        Self {
            name: name.into(),
            family,
            members_max: None,
            ends: None,
            ends_after: None,
            history_messages: None,
            message_rate: None,
            budget: None,
            budget_for_high: None,
            attributes: None,
            attribute_keys: None,
            attribute_key_bytes: None,
            attribute_value_bytes: None,
            attribute_total_bytes: None,
        }
    }

    /// What ends its rooms, without the time.
    pub(super) fn ends_kind(&self) -> EndsKind {
        self.ends.unwrap_or(match self.family {
            RoomPreset::Room => EndsKind::WhenEmpty,
            RoomPreset::Live => EndsKind::WhenIdle,
        })
    }

    /// The times that [`Self::ends_after`] may be, if any.
    pub(super) fn ends_after_range(&self) -> Option<(Duration, Duration)> {
        match self.ends_kind() {
            EndsKind::WhenEmpty => Some((Duration::ZERO, DESTROY_DELAY_MAX)),
            EndsKind::WhenIdle => Some((IDLE_MIN, IDLE_MAX)),
            EndsKind::Never => None,
        }
    }
}

impl Rooms {
    /// A preset as a policy.
    #[must_use]
    pub fn preset(&self, preset: RoomPreset) -> RoomPolicy {
        let name = preset_name(preset).to_owned();
        match preset {
            RoomPreset::Room => RoomPolicy {
                name,
                family: preset,
                members_max: self.room_members_max,
                ends: RoomEnds::WhenEmpty { delay: Duration::ZERO },
                history_messages: limits::ROOM_HISTORY_MESSAGES,
                message_rate: self.room_messages_per_second,
                budget: Budget::Unlimited,
                budget_for_high: 0,
                attributes: Some(AttributeLimits {
                    keys: 20,
                    key_bytes: 16,
                    value_bytes: 1024,
                    total_bytes: Some(5120),
                }),
            },
            RoomPreset::Live => RoomPolicy {
                name,
                family: preset,
                members_max: self.live_members_max,
                ends: RoomEnds::WhenIdle { after: self.live_idle },
                history_messages: limits::ROOM_HISTORY_MESSAGES,
                message_rate: self.live_messages_per_second,
                budget: self.live_budget,
                budget_for_high: self.live_budget_for_high,
                attributes: Some(AttributeLimits {
                    keys: ATTRIBUTE_KEYS_MAX,
                    key_bytes: ATTRIBUTE_KEY_BYTES_MAX,
                    value_bytes: ATTRIBUTE_VALUE_BYTES_MAX,
                    total_bytes: None,
                }),
            },
        }
    }

    /// A policy of an app, with what its preset says where it says nothing itself.
    #[must_use]
    pub fn policy(&self, own: &AppPolicySettings) -> RoomPolicy {
        let preset = self.preset(own.family);
        let ends = match own.ends_kind() {
            EndsKind::WhenEmpty => RoomEnds::WhenEmpty {
                delay: own.ends_after.unwrap_or(Duration::ZERO),
            },
            EndsKind::WhenIdle => RoomEnds::WhenIdle {
                after: own.ends_after.unwrap_or(self.live_idle),
            },
            EndsKind::Never => RoomEnds::Never,
        };
        let budget = own.budget.unwrap_or(preset.budget);
        let budget_for_high = own.budget_for_high.unwrap_or(match budget {
            Budget::Messages(budget) => budget.min(self.live_budget_for_high),
            Budget::Unlimited => 0,
        });
        let attributes = preset.attributes.filter(|_| own.attributes.unwrap_or(true));
        RoomPolicy {
            name: own.name.clone(),
            family: own.family,
            members_max: own.members_max.unwrap_or(preset.members_max),
            ends,
            history_messages: own.history_messages.unwrap_or(preset.history_messages),
            message_rate: own.message_rate.unwrap_or(preset.message_rate),
            budget,
            budget_for_high,
            attributes: attributes.map(|preset| AttributeLimits {
                keys: own.attribute_keys.unwrap_or(preset.keys),
                key_bytes: own.attribute_key_bytes.unwrap_or(preset.key_bytes),
                value_bytes: own.attribute_value_bytes.unwrap_or(preset.value_bytes),
                total_bytes: own.attribute_total_bytes.unwrap_or(preset.total_bytes),
            }),
        }
    }
}

/// The keys of a table `[[apps.policies]]`. A field that is reached is one that is said: only those present are read or shown.
pub(super) const POLICY_SETTINGS: &[Setting<AppPolicySettings>] = &[
    Setting {
        path: "apps.policies.name",
        kind: Kind::Text {
            expected: "1 to 64 letters, digits, \"-\", \"_\" and \".\", but not \"room\" or \"live\"",
            read: |policy, text| {
                let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
                let fits = (1..=limits::POLICY_NAME_BYTES).contains(&text.len())
                    && text.bytes().all(allowed)
                    && !["room", "live"].contains(&text);
                policy.name = Some(text).filter(|_| fits)?.to_owned();
                Some(())
            },
            show: |policy| policy.name.clone(),
        },
        default: DefaultValue::Required,
        meaning: "What clients and the app's server name the policy by. Unique within the app.",
        cost: "",
    },
    Setting {
        path: "apps.policies.family",
        kind: Kind::Text {
            expected: "\"room\" or \"live\"",
            read: |policy, text| {
                policy.family = match text {
                    "room" => RoomPreset::Room,
                    "live" => RoomPreset::Live,
                    _ => return None,
                };
                Some(())
            },
            show: |policy| preset_name(policy.family).to_owned(),
        },
        default: DefaultValue::Required,
        meaning: "The preset it begins from: all that is not said below is as there. Rooms of the family `room` are created by CreateRoom and EnterRoom, those of the family `live` by JoinChatRoom; the app's server creates both.",
        cost: "",
    },
    Setting {
        path: "apps.policies.members_max",
        kind: Kind::Cap {
            max: MEMBERS_MAX,
            field: |policy| policy.members_max.get_or_insert(None),
        },
        default: DefaultValue::Absent,
        meaning: "Most members of a room; beyond it, 23411. Users on the room's allow list and those the app's server put inside neither count nor are refused.",
        cost: "Every message costs one write per member.",
    },
    Setting {
        path: "apps.policies.ends",
        kind: Kind::Text {
            expected: "\"when_empty\", \"when_idle\" or \"never\"",
            read: |policy, text| {
                policy.ends = Some(match text {
                    "when_empty" => EndsKind::WhenEmpty,
                    "when_idle" => EndsKind::WhenIdle,
                    "never" => EndsKind::Never,
                    _ => return None,
                });
                Some(())
            },
            show: |policy| {
                let name = match policy.ends_kind() {
                    EndsKind::WhenEmpty => "when_empty",
                    EndsKind::WhenIdle => "when_idle",
                    EndsKind::Never => "never",
                };
                name.to_owned()
            },
        },
        default: DefaultValue::Absent,
        meaning: "What ends a room: its last member leaving, a time without a message or a join, or the app's server alone.",
        cost: "Rooms that outlive their members take memory, and a row in the store.",
    },
    Setting {
        path: "apps.policies.ends_after",
        kind: Kind::Duration {
            min: Duration::ZERO,
            max: IDLE_MAX,
            field: |policy| policy.ends_after.get_or_insert(Duration::ZERO),
        },
        default: DefaultValue::Absent,
        meaning: "With `when_empty`: how long a room outlives its last member, 0s to 3h. With `when_idle`: the time without a message or a join, 1m to 7d.",
        cost: "Rooms that nobody needs stay for longer.",
    },
    Setting {
        path: "apps.policies.history_messages",
        kind: Kind::Count {
            min: 0,
            max: limits::ROOM_HISTORY_MESSAGES,
            auto: None,
            field: |policy| policy.history_messages.get_or_insert(0),
        },
        default: DefaultValue::Absent,
        meaning: "Newest messages that a room keeps for those who join.",
        cost: "Up to 32 KiB each for every room.",
    },
    Setting {
        path: "apps.policies.messages_per_second",
        kind: Kind::Rate(|policy| policy.message_rate.get_or_insert(Rate::Unlimited)),
        default: DefaultValue::Absent,
        meaning: "Messages a sender may send each second, as `rooms.room_messages_per_second` or `rooms.live_messages_per_second`; beyond it, 20604.",
        cost: "Every message costs one write per member.",
    },
    Setting {
        path: "apps.policies.budget",
        kind: Kind::Budget(|policy| policy.budget.get_or_insert(Budget::Unlimited)),
        default: DefaultValue::Absent,
        meaning: "Messages that a room gives to its members in any 200 ms, as `rooms.live_budget`.",
        cost: "Every message costs one write per member.",
    },
    Setting {
        path: "apps.policies.budget_for_high",
        kind: Kind::Count {
            min: 0,
            max: super::settings::BUDGET_MAX,
            auto: None,
            field: |policy| policy.budget_for_high.get_or_insert(0),
        },
        default: DefaultValue::Absent,
        meaning: "How many of `budget` are for messages of class high alone.",
        cost: "Fewer places for the lower classes.",
    },
    Setting {
        path: "apps.policies.attributes",
        kind: Kind::Boolean(|policy| policy.attributes.get_or_insert(true)),
        default: DefaultValue::Absent,
        meaning: "Whether a room may have attributes; without, 23426.",
        cost: "",
    },
    Setting {
        path: "apps.policies.attribute_keys",
        kind: Kind::Count {
            min: 1,
            max: ATTRIBUTE_KEYS_MAX,
            auto: None,
            field: |policy| policy.attribute_keys.get_or_insert(0),
        },
        default: DefaultValue::Absent,
        meaning: "Most attributes of a room: 20 in the family `room`, 100 in `live`.",
        cost: "Memory for every room, and a row each in the store.",
    },
    Setting {
        path: "apps.policies.attribute_key_bytes",
        kind: Kind::Count {
            min: 1,
            max: ATTRIBUTE_KEY_BYTES_MAX,
            auto: None,
            field: |policy| policy.attribute_key_bytes.get_or_insert(0),
        },
        default: DefaultValue::Absent,
        meaning: "Longest key: 16 bytes in the family `room`, 128 in `live`.",
        cost: "Memory for every room.",
    },
    Setting {
        path: "apps.policies.attribute_value_bytes",
        kind: Kind::Count {
            min: 1,
            max: ATTRIBUTE_VALUE_BYTES_MAX,
            auto: None,
            field: |policy| policy.attribute_value_bytes.get_or_insert(0),
        },
        default: DefaultValue::Absent,
        meaning: "Longest value: 1024 bytes in the family `room`, 4096 in `live`.",
        cost: "Memory for every room.",
    },
    Setting {
        path: "apps.policies.attribute_total_bytes",
        kind: Kind::Cap {
            max: ATTRIBUTE_KEYS_MAX * (ATTRIBUTE_KEY_BYTES_MAX + ATTRIBUTE_VALUE_BYTES_MAX),
            field: |policy| policy.attribute_total_bytes.get_or_insert(None),
        },
        default: DefaultValue::Absent,
        meaning: "Most bytes of all keys and values of a room together: 5120 in the family `room`, unlimited in `live`.",
        cost: "Memory for every room.",
    },
];
