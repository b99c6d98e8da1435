//! What those concerned are told of a conversation and its members.

use sluice_protocol::{
    ConversationChanged, GroupDismissed, Invited, KickedFromConversation, MembersJoined, MembersLeft, UserId,
    frame::Body,
};

use crate::conversation::look::{info, member, small};
use crate::conversation::{Actor, Audience, Tell};
use crate::store::{ConversationRow, MemberRow};

pub(super) fn joined(
    conversation: &ConversationRow,
    by: &Actor,
    to: impl IntoIterator<Item = UserId>,
    users: &[UserId],
) -> Tell {
    let event = MembersJoined {
        r#type: conversation.kind,
        id: conversation.key.clone(),
        user_ids: texts(users),
        by_user_id: by.user_id().to_owned(),
        member_count: small(conversation.member_count),
    };
    Tell::event(Audience::of(to), conversation.id, Body::MembersJoined(event))
}

pub(super) fn left(
    conversation: &ConversationRow,
    by: &Actor,
    to: impl IntoIterator<Item = UserId>,
    users: &[UserId],
) -> Tell {
    let event = MembersLeft {
        r#type: conversation.kind,
        id: conversation.key.clone(),
        user_ids: texts(users),
        by_user_id: by.user_id().to_owned(),
        member_count: small(conversation.member_count),
    };
    Tell::event(Audience::of(to), conversation.id, Body::MembersLeft(event))
}

pub(super) fn invited(conversation: &ConversationRow, by: &Actor, to: impl IntoIterator<Item = UserId>) -> Tell {
    let event = Invited {
        conversation: Some(info(conversation, "")),
        by_user_id: by.user_id().to_owned(),
    };
    Tell::event(Audience::of(to), conversation.id, Body::Invited(event))
}

pub(super) fn kicked(conversation: &ConversationRow, by: &Actor, to: impl IntoIterator<Item = UserId>) -> Tell {
    let event = KickedFromConversation {
        r#type: conversation.kind,
        id: conversation.key.clone(),
        by_user_id: by.user_id().to_owned(),
    };
    Tell::event(Audience::of(to), conversation.id, Body::KickedFromConversation(event))
}

/// `roles`: of those whose role or mute is another now.
pub(super) fn changed(
    conversation: &ConversationRow,
    by: &Actor,
    to: std::sync::Arc<Audience>,
    roles: &[MemberRow],
) -> Tell {
    let event = ConversationChanged {
        conversation: Some(info(conversation, "")),
        by_user_id: by.user_id().to_owned(),
        roles: roles.iter().map(member).collect(),
    };
    Tell::event(to, conversation.id, Body::ConversationChanged(event))
}

pub(super) fn dismissed(conversation: &ConversationRow, by: &Actor, to: std::sync::Arc<Audience>) -> Tell {
    let event = GroupDismissed {
        id: conversation.key.clone(),
        by_user_id: by.user_id().to_owned(),
    };
    Tell::event(to, conversation.id, Body::GroupDismissed(event))
}

/// Those that somebody gets.
pub(super) fn heard(mut tell: Vec<Tell>) -> Vec<Tell> {
    tell.retain(|tell| !tell.to.users.is_empty());
    tell
}

fn texts(users: &[UserId]) -> Vec<String> {
    users.iter().map(|user| user.as_str().to_owned()).collect()
}
