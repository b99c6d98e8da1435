//! Who asks, as a conversation sees it: inside or not, and what the role allows.

use std::collections::BTreeSet;

use sluice_protocol::{ConversationType, ErrorCode, MemberRole, UserId};

use crate::conversation::key::{Key, is_id};
use crate::conversation::{Actor, Context, No, Ruled};
use crate::refusal::Refusal;
use crate::store::{ConversationRow, MemberRow, Rows};

/// What the ids of temporary discussions begin with.
pub(super) const TEMPORARY: &str = "_tmp:";

/// The row of a conversation between two users that has no message yet: there is none, and no conversation has this number.
pub(super) const NOT_MADE: i64 = 0;

/// A conversation that whoever asks is inside.
#[derive(Debug)]
pub(super) struct Inside {
    pub conversation: ConversationRow,
    pub kind: ConversationType,
    /// `None`: the app's server, which need not be inside.
    pub member: Option<MemberRow>,
}

impl Actor {
    /// As events name who did it: empty for the app's server.
    pub(super) fn user_id(&self) -> &str {
        match self {
            Self::User(user) => user.id.as_str(),
            Self::Server => "",
        }
    }
}

impl Inside {
    /// The conversation that `by` names so, if it is inside. Two users always are inside theirs; before the first message it is empty, and its number
    /// is [`NOT_MADE`].
    pub(super) fn of(rows: &dyn Rows, context: Context<'_>, by: &Actor, kind: i32, id: &str) -> Ruled<Self> {
        let (kind, found) = find(rows, context, by, kind, id)?;
        let Some(conversation) = found else {
            let Actor::User(user) = by else {
                return Err(ErrorCode::CONVERSATION_UNKNOWN.into());
            };
            return Ok(not_made(context, user.id.as_str(), id));
        };
        let member = match by {
            Actor::Server => None,
            Actor::User(user) => {
                let member = rows.member(conversation.id, user.id.as_str())?;
                Some(member.ok_or_else(|| not_inside(kind))?)
            }
        };
        Ok(Self {
            conversation,
            kind,
            member,
        })
    }

    /// What whoever asks may do here. The app's server may do what an owner may.
    pub(super) fn role(&self) -> MemberRole {
        self.member.as_ref().map_or(MemberRole::Owner, MemberRow::role)
    }

    /// Refuses what takes an owner, or at least a manager, in a group. In a discussion all may do the same.
    pub(super) fn require(&self, least: MemberRole) -> Ruled<()> {
        if self.kind != ConversationType::Group || i32::from(self.role()) <= i32::from(least) {
            return Ok(());
        }
        let needed = match least {
            MemberRole::Owner => "owner",
            MemberRole::Manager | MemberRole::Member | MemberRole::Unspecified => "manager",
        };
        Err(Refusal::with_detail(ErrorCode::GROUP_PERMISSION, needed).into())
    }
}

impl MemberRow {
    /// A row that says nothing allows nothing more.
    pub(super) fn role(&self) -> MemberRole {
        match MemberRole::try_from(self.role) {
            Ok(role @ (MemberRole::Owner | MemberRole::Manager)) => role,
            Ok(MemberRole::Member | MemberRole::Unspecified) | Err(_) => MemberRole::Member,
        }
    }
}

/// A conversation that has not ended, whoever is inside. `None`: two users who have not written to each other yet.
pub(super) fn find(
    rows: &dyn Rows,
    context: Context<'_>,
    by: &Actor,
    kind: i32,
    id: &str,
) -> Ruled<(ConversationType, Option<ConversationRow>)> {
    let kind = ConversationType::try_from(kind).map_err(|_| ErrorCode::OPERATION_NOT_SUPPORTED)?;
    let key = match by {
        Actor::User(user) => {
            if kind == ConversationType::Peer && (user.id.as_str() == id || UserId::parse(id, context.profile).is_err())
            {
                return Err(Refusal::parameter("id").into());
            }
            Key::named_by(&user.id, kind, id).ok_or(ErrorCode::OPERATION_NOT_SUPPORTED)?
        }
        Actor::Server => Key::shared(kind, id).ok_or(ErrorCode::OPERATION_NOT_SUPPORTED)?,
    };
    if matches!(kind, ConversationType::Group | ConversationType::Discussion) && !is_id(id) {
        return Err(ErrorCode::CONVERSATION_UNKNOWN.into());
    }
    match rows.conversation(context.app_key, kind.into(), &key.key)? {
        Some(found) if has_ended(&found, context) => Err(ErrorCode::CONVERSATION_EXPIRED.into()),
        Some(found) => Ok((kind, Some(found))),
        None if kind == ConversationType::Peer => Ok((kind, None)),
        // It may have been, and its row has gone after it ended.
        None if kind == ConversationType::Discussion && is_temporary(id) => Err(ErrorCode::CONVERSATION_EXPIRED.into()),
        None => Err(ErrorCode::CONVERSATION_UNKNOWN.into()),
    }
}

/// One that users come into and leave: a group or a discussion.
pub(super) fn shared(kind: ConversationType) -> Ruled<()> {
    match kind {
        ConversationType::Group | ConversationType::Discussion => Ok(()),
        ConversationType::Peer | ConversationType::Room | ConversationType::System => {
            Err(ErrorCode::OPERATION_NOT_SUPPORTED.into())
        }
    }
}

/// What is answered to who is not inside.
pub(super) fn not_inside(kind: ConversationType) -> No {
    match kind {
        ConversationType::Group => ErrorCode::NOT_IN_GROUP.into(),
        ConversationType::Discussion => ErrorCode::NOT_IN_DISCUSSION.into(),
        ConversationType::Peer | ConversationType::Room | ConversationType::System => {
            ErrorCode::CONVERSATION_UNKNOWN.into()
        }
    }
}

/// Users as a field of a command names them, in its order; who is named twice is one.
pub(super) fn users(context: Context<'_>, user_ids: &[String], field: &'static str) -> Result<Vec<UserId>, Refusal> {
    let mut seen = BTreeSet::new();
    let mut users = Vec::with_capacity(user_ids.len());
    for id in user_ids {
        let user = UserId::parse(id, context.profile).map_err(|_| Refusal::parameter(field))?;
        if seen.insert(id) {
            users.push(user);
        }
    }
    Ok(users)
}

pub(super) fn has_ended(conversation: &ConversationRow, context: Context<'_>) -> bool {
    conversation
        .expires_at_ms
        .is_some_and(|end_ms| end_ms <= context.now.unix_ms)
}

fn is_temporary(id: &str) -> bool {
    id.strip_prefix(TEMPORARY)
        .is_some_and(|rest| rest.len() == super::create::ID_DIGITS && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn not_made(context: Context<'_>, user: &str, other: &str) -> Inside {
    let kind = ConversationType::Peer;
    Inside {
        conversation: ConversationRow {
            id: NOT_MADE,
            app: context.app_key.to_owned(),
            kind: kind.into(),
            key: Key::peer(user, other).key,
            member_count: 2,
            ..ConversationRow::default()
        },
        kind,
        member: Some(MemberRow {
            conversation: NOT_MADE,
            user_id: user.to_owned(),
            app: context.app_key.to_owned(),
            role: MemberRole::Member.into(),
            first_sequence: 1,
            ..MemberRow::default()
        }),
    }
}
