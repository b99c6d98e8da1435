//! What names a conversation: in rows, and for each of its members.

use sluice_protocol::{ConversationType, UserId};

/// Between two user ids; none has it.
const BETWEEN: char = '\n';

/// What names a conversation among all of its app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub kind: ConversationType,
    pub key: String,
}

impl Key {
    /// The conversation that `user` names so. `None` for rooms, which are elsewhere.
    pub(crate) fn named_by(user: &UserId, kind: ConversationType, id: &str) -> Option<Self> {
        match kind {
            ConversationType::Peer => Some(Self::peer(user.as_str(), id)),
            ConversationType::System => Some(Self::system(id, user.as_str())),
            ConversationType::Group | ConversationType::Discussion | ConversationType::Room => Self::shared(kind, id),
        }
    }

    /// The conversation that all name so. `None`: those of such a type have another name for each member, or are elsewhere.
    pub(crate) fn shared(kind: ConversationType, id: &str) -> Option<Self> {
        match kind {
            ConversationType::Group | ConversationType::Discussion => Some(Self {
                kind,
                key: id.to_owned(),
            }),
            ConversationType::Peer | ConversationType::Room | ConversationType::System => None,
        }
    }

    /// Of two users, whoever of them asks.
    pub(crate) fn peer(one: &str, other: &str) -> Self {
        let (first, second) = if one <= other { (one, other) } else { (other, one) };
        Self {
            kind: ConversationType::Peer,
            key: format!("{first}{BETWEEN}{second}"),
        }
    }

    /// What the app's server writes to a user in the name of a sender.
    pub(crate) fn system(sender: &str, user: &str) -> Self {
        Self {
            kind: ConversationType::System,
            key: format!("{sender}{BETWEEN}{user}"),
        }
    }
}

/// Whether a group or discussion may have this id: what is gone but for its messages is named otherwise.
pub(super) fn is_id(id: &str) -> bool {
    !id.contains(BETWEEN)
}

/// How `user` names the conversation that has this key.
pub(crate) fn id_for(user: &str, kind: ConversationType, key: &str) -> String {
    let pair = key.split_once(BETWEEN);
    match (kind, pair) {
        (ConversationType::Peer, Some((first, second))) if first == user => second.to_owned(),
        (ConversationType::Peer | ConversationType::System, Some((first, _))) => first.to_owned(),
        _ => key.to_owned(),
    }
}
