//! What conversations are made of, and what is changed of them.

use sluice_protocol::{CreateConversation, CreateGroup, UpdateConversation};

use crate::conversation::{ConversationId, ConversationInfo};

/// A discussion that is to be made: of these users, and the one who makes it.
///
/// ```
/// use sluice_client::NewConversation;
///
/// let lunch = NewConversation::of(["bob", "carol"]).name("Lunch").unique();
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewConversation {
    command: CreateConversation,
}

impl NewConversation {
    /// Of these users, at most 100, besides the one who makes it.
    pub fn of(user_ids: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            command: CreateConversation {
                user_ids: user_ids.into_iter().map(Into::into).collect(),
                ..CreateConversation::default()
            },
        }
    }

    /// At most 100 bytes. Default: empty.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.command.name = name.into();
        self
    }

    /// The app's own, at most 4 KiB. Default: empty.
    #[must_use]
    pub fn attributes(mut self, attributes: impl Into<String>) -> Self {
        self.command.attributes = attributes.into();
        self
    }

    /// Takes the conversation that was made with exactly these members, if there is one and its members never changed. Default: makes a new one.
    #[must_use]
    pub fn unique(mut self) -> Self {
        self.command.unique = true;
        self
    }

    /// It ends by itself after so many seconds, 60 to 604800, and is in no list. Default: it lasts.
    #[must_use]
    pub fn temporary(mut self, seconds: u32) -> Self {
        self.command.temporary_seconds = seconds;
        self
    }

    pub(super) fn into_command(self) -> CreateConversation {
        self.command
    }
}

/// A group that is to be made. Who makes it owns it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewGroup {
    command: CreateGroup,
}

impl NewGroup {
    /// With an id that the server chooses.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            command: CreateGroup {
                name: name.into(),
                ..CreateGroup::default()
            },
        }
    }

    /// 1 to 64 letters, digits, `-` and `_`. Default: the server chooses.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.command.id = id.into();
        self
    }

    /// At most 300 bytes. Default: empty.
    #[must_use]
    pub fn notice(mut self, notice: impl Into<String>) -> Self {
        self.command.notice = notice.into();
        self
    }

    /// The app's own, at most 4 KiB. Default: empty.
    #[must_use]
    pub fn attributes(mut self, attributes: impl Into<String>) -> Self {
        self.command.attributes = attributes.into();
        self
    }

    /// Besides the owner, at most 100. Default: nobody.
    #[must_use]
    pub fn users(mut self, user_ids: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.command.user_ids = user_ids.into_iter().map(Into::into).collect();
        self
    }

    pub(super) fn into_command(self) -> CreateGroup {
        self.command
    }
}

/// A conversation that was made, or found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConversationCreated {
    /// How it is.
    pub info: ConversationInfo,
    /// Whether it was there before, with [`NewConversation::unique`].
    pub existed: bool,
}

impl ConversationCreated {
    pub(super) fn of_wire(result: sluice_protocol::ConversationCreated) -> Option<Self> {
        Some(Self {
            info: ConversationInfo::of_wire(result.conversation?)?,
            existed: result.existed,
        })
    }
}

/// What is to be changed of a conversation. What is not named stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConversationUpdate {
    command: UpdateConversation,
}

impl ConversationUpdate {
    /// At most 100 bytes.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.command.name = Some(name.into());
        self
    }

    /// The app's own, at most 4 KiB.
    #[must_use]
    pub fn attributes(mut self, attributes: impl Into<String>) -> Self {
        self.command.attributes = Some(attributes.into());
        self
    }

    /// Of a group, at most 300 bytes.
    #[must_use]
    pub fn notice(mut self, notice: impl Into<String>) -> Self {
        self.command.notice = Some(notice.into());
        self
    }

    pub(super) fn into_command(self, conversation: &ConversationId) -> UpdateConversation {
        UpdateConversation {
            r#type: conversation.wire_type().into(),
            id: conversation.id.clone(),
            ..self.command
        }
    }
}
