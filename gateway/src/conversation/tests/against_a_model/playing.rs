//! What is done to real conversations and to the model, which must answer the same.

use sluice_protocol::{
    AckMessages, AddMembers, ConversationMessage, ConversationType, DismissGroup, EditMessage, JoinConversation,
    MemberRole, MessageKeep, MuteGroupMembers, OwnConversation, QuitConversation, RecallMessage, RemoveMembers,
    SendMessage, SendMessageResult, SetGroupManagers, SyncConversations, SyncPage, TransferGroup, limits,
};

use super::model::{Change, Conversation, Member, Model, Place, Refused, SLOTS, Said, Sent, pair};
use super::{Op, USERS, WINDOW_MS, said};
use crate::conversation::tests::sending::{send, text};
use crate::conversation::tests::*;

/// Carries out an operation on both. What they say must be the same.
pub(super) fn play(chats: &Chats, model: &mut Model, op: &Op) {
    match *op {
        Op::Create { slot, by, with } => create(chats, model, slot, by, with),
        Op::Change { slot, by, change } => {
            let user = |who| model.user(Place::Slot(slot), who);
            let (by, change) = (user(by), change.map(user));
            change_members(chats, model, slot, by, change);
        }
        Op::Send { to, by, id, said, keep } => {
            let by = model.user(to, by);
            play_send(chats, model, (to, by), id, said, keep);
        }
        Op::Recall { from, by, own, nth } => {
            let by = model.changer(from, by, own, nth);
            recall(chats, model, from, by, nth);
        }
        Op::Edit {
            from,
            by,
            own,
            nth,
            said,
        } => {
            let by = model.changer(from, by, own, nth);
            edit(chats, model, (from, by), nth, said);
        }
        Op::Ack {
            from,
            by,
            delivered,
            read,
        } => {
            let by = model.user(from, by);
            ack(chats, model, (from, by), delivered, read);
        }
        Op::Sync { by, knows } => sync(chats, model, by, knows),
        Op::Wait { seconds } => chats.wait(Duration::from_secs(seconds.into())),
        Op::StepBack { seconds } => {
            let now = chats.now.get();
            let unix_ms = now.unix_ms - i64::from(seconds) * 1000;
            chats.now.set(Now { unix_ms, ..now });
        }
        Op::Restart => unreachable!("whoever plays does it"),
    }
}

fn create(chats: &Chats, model: &mut Model, slot: usize, by: usize, with: usize) {
    let others: Vec<&str> = (with != by).then(|| USERS[with]).into_iter().collect();
    let is_group = slot == SLOTS - 1;
    let mut made = if is_group {
        Conversation::new(ConversationType::Group, chats.group(USERS[by], &others))
    } else {
        Conversation::new(ConversationType::Discussion, chats.discussion(USERS[by], &others))
    };
    made.bring(by);
    made.bring(with);
    if is_group {
        made.member(by).role = MemberRole::Owner;
    }
    model.slots[slot] = Some(model.conversations.len());
    model.conversations.push(made);
}

fn change_members(chats: &Chats, model: &mut Model, slot: usize, by: usize, change: Change<usize>) {
    if !model.is_there(Place::Slot(slot)) {
        return;
    }
    let (kind, id) = model.name(Place::Slot(slot));
    let r#type = kind.into();
    let one = |user: usize| texts(&[USERS[user]]);
    let command = match change {
        Change::Add(user) => Command::Add(AddMembers {
            r#type,
            id,
            user_ids: one(user),
        }),
        Change::Remove(user) => Command::Remove(RemoveMembers {
            r#type,
            id,
            user_ids: one(user),
        }),
        Change::Join => Command::Join(JoinConversation { r#type, id }),
        Change::Quit => Command::Quit(QuitConversation { r#type, id }),
        _ if kind != ConversationType::Group => return,
        Change::Promote(user, manager) => Command::SetManagers(SetGroupManagers {
            id,
            user_ids: one(user),
            manager,
        }),
        Change::Transfer(user) => Command::Transfer(TransferGroup {
            id,
            user_id: USERS[user].to_owned(),
        }),
        Change::Mute(user, muted) => Command::Mute(MuteGroupMembers {
            id,
            user_ids: one(user),
            muted,
            ..MuteGroupMembers::default()
        }),
        Change::MuteAll(muted) => Command::Mute(MuteGroupMembers {
            id,
            muted,
            ..MuteGroupMembers::default()
        }),
        Change::Dismiss => Command::Dismiss(DismissGroup { id }),
    };
    let answer = said(chats.ask(USERS[by], command), |answer| match answer.result {
        reply::Result::MembersChanged(result) => result.refused.into_iter().map(|refused| refused.code).collect(),
        reply::Result::Done(_) => Vec::new(),
        other => panic!("{other:?}"),
    });
    let codes = |refused: Refused| refused.into_iter().map(|(_, code)| code).collect::<Vec<i32>>();
    assert_eq!(answer, model.change(slot, by, change).map(codes), "{change:?}");
}

fn play_send(
    chats: &Chats,
    model: &mut Model,
    (to, by): (Place, usize),
    id: Option<u8>,
    content: u8,
    keep: MessageKeep,
) {
    if !model.is_there(to) {
        return;
    }
    let (kind, target) = model.name(to);
    let message = SendMessage {
        client_message_id: id.map(|id| format!("m{id}")).unwrap_or_default(),
        keep: keep.into(),
        ..text(kind, &target, &content.to_string())
    };
    let answer = said(send(chats, USERS[by], message), |answer| {
        let told: Vec<Vec<String>> = answer.told.into_iter().map(|told| told.to).collect();
        match answer.result {
            reply::Result::SendMessage(result) => (result, told),
            other => panic!("{other:?}"),
        }
    });
    let before = id.and_then(|id| model.sent.get(&(by, id)));
    if let Some((first_target, first_content, first_keep, first)) = before {
        let expected = if (first_target, *first_content, *first_keep) == (&target, content, keep) {
            let again = SendMessageResult {
                duplicate: true,
                ..first.clone()
            };
            Ok((again, Vec::new()))
        } else {
            Err((33003, "duplicate_id".to_owned()))
        };
        assert_eq!(answer, expected);
        return;
    }
    let inside = model.inside(to, by).map_err(|refused| match refused {
        (33003, _) => (33003, "target_id".to_owned()),
        refused => refused,
    });
    let may_speak = inside.and_then(|number| match number {
        Some(number) => model.conversations[number].may_speak(by).map(|()| Some(number)),
        None => Ok(None),
    });
    let number = match may_speak {
        Ok(number) => number,
        Err(refused) => {
            assert_eq!(answer, Err(refused));
            return;
        }
    };
    let (result, told) = match answer {
        Ok(answer) => answer,
        Err(refused) => panic!("assertion failed: it is not sent: {refused:?}"),
    };
    assert!(result.message_id > model.last_id, "assertion failed: ids do not rise");
    model.last_id = result.message_id;
    let everybody: Vec<usize> = match (number, to) {
        (Some(number), _) => model.conversations[number].members.keys().copied().collect(),
        (None, Place::With(other)) => {
            let (one, other) = pair(by, other);
            vec![one, other]
        }
        (None, Place::Slot(_)) => unreachable!("it is there"),
    };
    let everybody: Vec<&str> = everybody.into_iter().map(|user| USERS[user]).collect();
    assert_eq!(told, [texts(&everybody)]);
    if keep == MessageKeep::None {
        assert_eq!(result.sequence, 0);
        return;
    }
    let number = match (number, to) {
        (Some(number), _) => number,
        (None, Place::With(other)) => model.peer(by, other),
        (None, Place::Slot(_)) => unreachable!("it is there"),
    };
    let conversation = &mut model.conversations[number];
    let at_ms = chats.now_ms().max(conversation.last_at_ms);
    conversation.last_at_ms = at_ms;
    conversation.messages.push(Sent {
        by,
        said: content,
        id: result.message_id,
        at_ms,
        counts: keep != MessageKeep::Stored,
        recalled: false,
    });
    let length = conversation.length();
    assert_eq!((result.sequence, result.server_time_ms), (length, at_ms));
    assert!(!result.duplicate);
    if let Some(id) = id {
        model.sent.insert((by, id), (target, content, keep, result));
    }
}

/// The message of this number of a conversation, and whether it may be changed: what its row says alone is up to the command.
fn named_message(model: &Model, from: Place, by: usize, nth: usize) -> Option<(usize, u64, Said<()>)> {
    let number = model.at(from, by)?;
    // Also by who is outside: what was said there before.
    let sent = model.conversations[number].messages.get(nth)?;
    let inside = model.inside(from, by).and_then(|_| {
        let member = model.conversations[number].members[&by];
        match (nth as u64) + 1 < member.first {
            true => Err((22201, String::new())),
            false => Ok(()),
        }
    });
    Some((number, sent.id, inside))
}

fn recall(chats: &Chats, model: &mut Model, from: Place, by: usize, nth: usize) {
    let Some((number, message_id, inside)) = named_message(model, from, by, nth) else {
        return;
    };
    let (kind, id) = model.name(from);
    let command = RecallMessage {
        r#type: kind.into(),
        id,
        message_id,
    };
    let answer = said(chats.ask(USERS[by], Command::Recall(command)), |answer| {
        answer.told.len()
    });
    let conversation = &mut model.conversations[number];
    let refused = |code| Err((code, String::new()));
    let expected = inside.and_then(|()| {
        let leads = kind == ConversationType::Group && conversation.members[&by].leads();
        let sent = &conversation.messages[nth];
        match () {
            () if sent.by != by && !leads => refused(25107),
            () if sent.recalled => refused(6000279),
            () if chats.now_ms() - sent.at_ms > WINDOW_MS && !leads => refused(6000278),
            () => Ok(1),
        }
    });
    assert_eq!(answer, expected);
    if expected.is_ok() {
        conversation.messages[nth].recalled = true;
    }
}

fn edit(chats: &Chats, model: &mut Model, (from, by): (Place, usize), nth: usize, content: u8) {
    let Some((number, message_id, inside)) = named_message(model, from, by, nth) else {
        return;
    };
    let (kind, id) = model.name(from);
    let command = EditMessage {
        r#type: kind.into(),
        id,
        message_id,
        content: content.to_string().into(),
        ..EditMessage::default()
    };
    let answer = said(chats.ask(USERS[by], Command::Edit(command)), |_| ());
    let conversation = &mut model.conversations[number];
    let sent = &conversation.messages[nth];
    let refused = |code| Err((code, String::new()));
    let expected = inside.and_then(|()| match () {
        () if sent.by != by => refused(25107),
        () if sent.recalled => refused(20116),
        () if chats.now_ms() - sent.at_ms > WINDOW_MS => refused(20114),
        () => conversation.may_speak(by),
    });
    assert_eq!(answer, expected);
    if expected.is_ok() {
        conversation.messages[nth].said = content;
    }
}

fn ack(chats: &Chats, model: &mut Model, (from, by): (Place, usize), delivered: u64, read: u64) {
    if !model.is_there(from) {
        return;
    }
    let (kind, id) = model.name(from);
    let command = AckMessages {
        r#type: kind.into(),
        id,
        delivered_sequence: delivered,
        read_sequence: read,
    };
    let answer = said(chats.ask(USERS[by], Command::Ack(command)), |answer| {
        match answer.result {
            reply::Result::AckMessages(result) => (result.delivered_sequence, result.read_sequence, result.unread),
            other => panic!("{other:?}"),
        }
    });
    let expected = model.inside(from, by).map(|number| match number {
        None => (0, 0, 0),
        Some(number) => {
            let conversation = &mut model.conversations[number];
            let length = conversation.length();
            let member = conversation.member(by);
            member.read = member.read.max(read.min(length));
            member.delivered = member.delivered.max(delivered.min(length)).max(member.read);
            let Member { delivered, read, .. } = *member;
            (delivered, read, conversation.unread(by))
        }
    });
    assert_eq!(answer, expected);
}

/// A device comes back. It names what it knows, or it is new; then it has everything that is for its user.
fn sync(chats: &Chats, model: &mut Model, by: usize, knows: bool) {
    if !knows {
        model.known[by].clear();
    }
    let mut command = SyncConversations {
        newest: limits::SYNC_NEWEST_MAX,
        ..SyncConversations::default()
    };
    for (number, known) in &model.known[by] {
        // What has ended has no name any more.
        if model.conversations[*number].members.is_empty() {
            continue;
        }
        let (kind, id) = model.name_of(*number, by);
        command.known_types.push(i32::from(kind).unsigned_abs());
        command.known_ids.push(id);
        command.known_sequences.push(*known);
    }
    let page: SyncPage = match chats.ask(USERS[by], Command::Sync(command)).expect("a page").result {
        reply::Result::SyncPage(page) => page,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        (page.next_cursor.as_str(), page.more_conversations),
        ("", 0),
        "all fits on a page"
    );
    let left: Vec<u32> = page.messages.iter().map(|message| message.left).collect();
    let count = u32::try_from(left.len()).expect("they are few");
    assert_eq!(left, (0..count).rev().collect::<Vec<_>>());
    let mut told = (0, 0);
    for number in 0..model.conversations.len() {
        let conversation = &model.conversations[number];
        let Some(member) = conversation.members.get(&by) else {
            continue;
        };
        let (kind, id) = model.name_of(number, by);
        let (own, messages) = of_conversation(&page, by, kind, &id);
        told = (told.0 + usize::from(own.is_some()), told.1 + messages.len());
        let known = model.known[by].get(&number).copied();
        let after = known.unwrap_or(member.delivered);
        let missing: Vec<(u64, &Sent)> = (1..)
            .zip(&conversation.messages)
            .filter(|(sequence, _)| *sequence > after && *sequence >= member.first)
            .collect();
        let Some(own) = own else {
            // One's own messages alone are no news.
            assert!(
                messages.is_empty() && conversation.unread(by) == 0,
                "assertion failed: unread"
            );
            let is_others = |(_, sent): &(u64, &Sent)| sent.by != by;
            assert!(
                !missing.iter().any(is_others),
                "assertion failed: {missing:?} is not told"
            );
            continue;
        };
        let positions = (own.delivered_sequence, own.read_sequence, own.first_sequence);
        assert_eq!(positions, (member.delivered, member.read, member.first));
        assert_eq!((own.unread, own.role()), (conversation.unread(by), member.role));
        let missing: Vec<_> = missing
            .iter()
            .map(|(sequence, sent)| (*sequence, sent.id, sent.content()))
            .collect();
        assert_eq!(messages, missing);
        model.known[by].insert(number, conversation.length());
    }
    assert_eq!(
        (page.conversations.len(), page.messages.len()),
        told,
        "who is outside is told nothing"
    );
}

/// What a page says of a conversation: number, id and content of its messages.
fn of_conversation(
    page: &SyncPage,
    by: usize,
    kind: ConversationType,
    id: &str,
) -> (Option<OwnConversation>, Vec<(u64, u64, String)>) {
    let own = page.conversations.iter().find(|own| {
        let info = own.info.as_ref().expect("what it is");
        info.r#type() == kind && info.id == id
    });
    let is_there = |message: &&ConversationMessage| {
        let sender = message.sender.as_ref().map_or("", |sender| &sender.user_id);
        let other = if kind == ConversationType::Peer && sender == id {
            // As its sender named it.
            USERS[by]
        } else {
            id
        };
        let is_of_both = kind != ConversationType::Peer || sender == id || sender == USERS[by];
        message.conversation_type() == kind && message.target_id == other && is_of_both
    };
    let messages = page.messages.iter().filter(is_there);
    let messages = messages.map(|message| (message.sequence, message.message_id, content_of(message)));
    (own.cloned(), messages.collect())
}

pub(super) fn content_of(message: &ConversationMessage) -> String {
    String::from_utf8_lossy(&message.content).into_owned()
}

impl Sent {
    /// As a member sees it.
    pub(super) fn content(&self) -> String {
        if self.recalled {
            String::new()
        } else {
            self.said.to_string()
        }
    }
}
