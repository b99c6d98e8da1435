//! Attributes of rooms: short texts by key that all members read and see change.

use sluice_protocol::{DeleteRoomAttributes, ErrorCode, SetRoomAttributes, UserInfo};

/// Attributes to be set by one call of [`Client::set_attributes`](crate::Client::set_attributes), 1 to 10.
///
/// ```
/// use sluice_client::SetAttributes;
///
/// let set = SetAttributes::new("topic", "tea").and("mood", "calm").delete_on_leave();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAttributes {
    command: SetRoomAttributes,
}

impl SetAttributes {
    /// Sets `key` to `value`.
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            command: SetRoomAttributes::default(),
        }
        .and(key, value)
    }

    /// And this one. Each key once.
    #[must_use]
    pub fn and(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.command.keys.push(key.into());
        self.command.values.push(value.into());
        self
    }

    /// Overwrites keys that belong to somebody else, too. Default: they are refused with 23424.
    #[must_use]
    pub fn force(mut self) -> Self {
        self.command.force = true;
        self
    }

    /// Keys that are overwritten belong to this user from now on. Default: to whom they did.
    #[must_use]
    pub fn take_over(mut self) -> Self {
        self.command.take_over = true;
        self
    }

    /// The keys go when their owner leaves the room. Default: they stay.
    #[must_use]
    pub fn delete_on_leave(mut self) -> Self {
        self.command.delete_on_leave = true;
        self
    }

    /// Sets a key only if its version is this one. Default: whatever it is.
    #[must_use]
    pub fn if_version(mut self, version: u64) -> Self {
        self.command.if_version = version;
        self
    }

    pub(crate) fn into_command(mut self, room_id: &str) -> SetRoomAttributes {
        self.command.room_id = room_id.into();
        self.command
    }
}

/// Attributes to be deleted by one call of [`Client::delete_attributes`](crate::Client::delete_attributes), 1 to 10.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteAttributes {
    command: DeleteRoomAttributes,
}

impl DeleteAttributes {
    /// Deletes these keys, each once.
    pub fn new(keys: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            command: DeleteRoomAttributes {
                keys: keys.into_iter().map(Into::into).collect(),
                ..DeleteRoomAttributes::default()
            },
        }
    }

    /// As [`SetAttributes::force`].
    #[must_use]
    pub fn force(mut self) -> Self {
        self.command.force = true;
        self
    }

    /// As [`SetAttributes::if_version`].
    #[must_use]
    pub fn if_version(mut self, version: u64) -> Self {
        self.command.if_version = version;
        self
    }

    pub(crate) fn into_command(mut self, room_id: &str) -> DeleteRoomAttributes {
        self.command.room_id = room_id.into();
        self.command
    }
}

/// What became of attributes that were to be set or deleted. What is done survives a restart of the server, as long as the room does.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AttributesWritten {
    /// The room's version with what was written.
    pub version: u64,
    /// The keys that were refused. All others are done.
    pub refused: Vec<AttributeRefusal>,
}

impl From<sluice_protocol::RoomAttributesWritten> for AttributesWritten {
    fn from(written: sluice_protocol::RoomAttributesWritten) -> Self {
        Self {
            version: written.version,
            refused: written.refused.into_iter().map(AttributeRefusal::from).collect(),
        }
    }
}

/// Why one key was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AttributeRefusal {
    /// The key.
    pub key: String,
    /// 23424: it belongs to somebody else; 23423: the room has as many as it may have; 23427: there is no such key; 23431: its version
    /// is another; 33003: key or value is too long.
    pub code: ErrorCode,
    /// A short stable word that narrows the code; may be empty.
    pub detail: String,
}

impl From<sluice_protocol::AttributeRefusal> for AttributeRefusal {
    fn from(refusal: sluice_protocol::AttributeRefusal) -> Self {
        Self {
            key: refusal.key,
            code: refusal.code.into(),
            detail: refusal.detail,
        }
    }
}

/// One attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attribute {
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
    /// The user it belongs to.
    pub owner_id: String,
    /// The room's version when it was set.
    pub version: u64,
}

impl From<sluice_protocol::RoomAttribute> for Attribute {
    fn from(attribute: sluice_protocol::RoomAttribute) -> Self {
        Self {
            key: attribute.key,
            value: attribute.value,
            owner_id: attribute.owner_id,
            version: attribute.version,
        }
    }
}

fn attributes(attributes: Vec<sluice_protocol::RoomAttribute>) -> Vec<Attribute> {
    attributes.into_iter().map(Attribute::from).collect()
}

/// Attributes of a room as they are now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attributes {
    /// The room.
    pub room_id: String,
    /// Those that exist, by key.
    pub attributes: Vec<Attribute>,
    /// The room's version: an [`AttributesChanged`] with a later one is newer than this.
    pub version: u64,
}

impl From<sluice_protocol::RoomAttributes> for Attributes {
    fn from(answer: sluice_protocol::RoomAttributes) -> Self {
        Self {
            room_id: answer.room_id,
            attributes: attributes(answer.attributes),
            version: answer.version,
        }
    }
}

/// Attributes of a room were set or deleted, by one call, or because their owner left.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AttributesChanged {
    /// The room.
    pub room_id: String,
    /// One more than with the change before. After a step that is larger, ask for all with
    /// [`Client::query_attributes`](crate::Client::query_attributes).
    pub version: u64,
    /// Those that are new or have another value.
    pub set: Vec<Attribute>,
    /// The keys of those that are no more.
    pub deleted: Vec<String>,
    /// Who did it; with the app's server the user it named, or nobody.
    pub by: Option<UserInfo>,
}

impl From<sluice_protocol::RoomAttributesChanged> for AttributesChanged {
    fn from(event: sluice_protocol::RoomAttributesChanged) -> Self {
        Self {
            room_id: event.room_id,
            version: event.version,
            set: attributes(event.set),
            deleted: event.deleted,
            by: event.by.filter(|user| !user.user_id.is_empty()),
        }
    }
}
