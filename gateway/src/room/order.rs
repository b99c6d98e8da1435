//! What the app's server asks of a room, and what it is answered. Unlike a member it has no connection, and it is never outside.

use std::sync::Arc;

use bytes::Bytes;
use sluice_protocol::{MessageType, Priority, RoomId, UserId};

use crate::identity::User;
use crate::refusal::Refusal;
use crate::room::attributes::Write;
use crate::room::{Effect, Ends, NewRoom};
use crate::store::{AttributeRecord, Entry, RoomList, RoomRules};

/// What is asked.
#[derive(Debug)]
pub(crate) enum Order {
    /// Makes the room; one that exists stays as it is.
    Create(NewRoom),
    /// Changes how it ends.
    SetEnds(Ends),
    Destroy,
    Describe,
    Members {
        limit: usize,
        first: ListedFirst,
    },
    AreInside(Vec<UserId>),
    /// Puts users inside who have no connection for it.
    Join(Vec<Arc<User>>),
    /// Puts users on a list, with the same entry each.
    Enlist {
        list: RoomList,
        users: Vec<UserId>,
        entry: Entry,
        tell: Tell,
    },
    /// Takes users off a list.
    Strike {
        list: RoomList,
        users: Vec<UserId>,
        tell: Tell,
        extra: String,
    },
    /// What is on a list, expired entries left out.
    Listed(RoomList),
    /// Puts users out who may come back at once.
    Kick {
        users: Vec<UserId>,
        extra: String,
    },
    /// Mutes everybody, or ends that.
    Mute {
        muted: bool,
        tell: Tell,
        extra: String,
    },
    /// Stops giving members what members send, or ends that.
    Stop(bool),
    Rules,
    Publish(Published),
    Recall {
        message_id: u64,
        operator: String,
    },
    WriteAttributes {
        by: Option<Arc<User>>,
        write: Write,
    },
    /// Those of these keys that exist; all when there are none.
    Attributes(Vec<String>),
}

impl Order {
    /// Whether it is about what is kept. Then its answer waits for the disk, also where nothing changes: it says that all of it is there.
    pub(crate) fn is_about_what_is_kept(&self) -> bool {
        match self {
            Self::Create(_)
            | Self::SetEnds(_)
            | Self::Destroy
            | Self::Join(_)
            | Self::Enlist { .. }
            | Self::Strike { .. }
            | Self::Kick { .. }
            | Self::Mute { .. }
            | Self::Stop(_)
            | Self::WriteAttributes { .. } => true,
            Self::Describe
            | Self::Members { .. }
            | Self::AreInside(_)
            | Self::Listed(_)
            | Self::Rules
            | Self::Publish(_)
            | Self::Recall { .. }
            | Self::Attributes(_) => false,
        }
    }
}

/// Whether those concerned are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tell {
    Users,
    Nobody,
}

/// The order of a list of members, by the time they joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListedFirst {
    Oldest,
    Newest,
}

/// A message of the app's server.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    /// Need not be a member.
    pub sender: Arc<User>,
    pub kind: MessageType,
    pub content: Bytes,
    pub object_name: String,
    pub priority: Priority,
    pub extended_data: String,
    pub lasting: Lasting,
}

/// Whether a message becomes part of a room's history, if its type is one that does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lasting {
    History,
    Moment,
}

/// What is answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    /// Done, but for these users, and why not for them.
    DoneBut {
        refused: Vec<(UserId, Refusal)>,
    },
    /// `None`: there is no such room.
    Described(Option<Description>),
    Members {
        total: usize,
        members: Vec<ListedMember>,
    },
    /// In the order asked.
    Inside(Vec<bool>),
    Listed(Vec<(UserId, Entry)>),
    Rules(RoomRules),
    Published {
        message_id: u64,
    },
    AttributesWritten {
        version: u64,
        /// Keys that were refused, and why.
        refused: Vec<(String, Refusal)>,
    },
    Attributes(Vec<(String, AttributeRecord)>),
}

/// How a room is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Description {
    pub id: RoomId,
    pub name: String,
    pub policy: String,
    pub created_at_ms: i64,
    pub members: usize,
    pub ends: Ends,
    pub rules: RoomRules,
    pub attributes_version: u64,
}

/// A member as the app's server is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedMember {
    pub user: UserId,
    pub name: String,
    pub joined_at_ms: i64,
}

/// What an order came to.
#[derive(Debug)]
pub(crate) struct Ordered {
    /// To be given once all that is to be kept is.
    pub answer: Result<Answer, Refusal>,
    pub effects: Vec<Effect>,
}

impl Ordered {
    /// An answer that changes nothing.
    pub(super) fn answer(answer: Answer) -> Self {
        Self {
            answer: Ok(answer),
            effects: Vec::new(),
        }
    }

    /// Done, with what follows from it.
    pub(super) fn done(effects: Vec<Effect>) -> Self {
        Self {
            answer: Ok(Answer::Done),
            effects,
        }
    }

    pub(super) fn refuse(refusal: Refusal) -> Self {
        Self {
            answer: Err(refusal),
            effects: Vec::new(),
        }
    }
}
