use bytes::Bytes;
use sluice_protocol::{
    ConversationMessage, ConversationType, EditMessage, ErrorCode, MediaInfo, MessageChanged, MessageRecalled,
    MessageType, QuitConversation, RecallMessage, SendMessage, SetGroupManagers,
};

use super::sending::{enlist, message, refused, result, send, text, to_group, to_user};
use super::*;

const WINDOW: Duration = Duration::from_secs(120);

fn recall(chats: &Chats, by: &str, kind: ConversationType, id: &str, message_id: u64) -> Result<Answer, Refusal> {
    let command = RecallMessage {
        r#type: kind.into(),
        id: id.to_owned(),
        message_id,
    };
    chats.ask(by, Command::Recall(command))
}

fn edit(chats: &Chats, by: &str, to: (ConversationType, &str), message_id: u64, new: &[u8]) -> Result<Answer, Refusal> {
    let command = EditMessage {
        r#type: to.0.into(),
        id: to.1.to_owned(),
        message_id,
        content: Bytes::copy_from_slice(new),
        extended_data: "new".to_owned(),
    };
    chats.ask(by, Command::Edit(command))
}

/// A message as it is kept.
fn kept(chats: &Chats, kind: ConversationType, key: &str, sequence: i64) -> (bool, ConversationMessage) {
    let key = key.to_owned();
    let row = chats.read(move |rows| {
        let conversation = rows.conversation("app", kind.into(), &key)?.expect("it is there");
        Ok(rows.message(conversation.id, sequence)?.expect("it is there"))
    });
    (
        row.recalled,
        ConversationMessage::decode(&*row.event).expect("an event"),
    )
}

fn unread(chats: &Chats, user: &str, kind: ConversationType, key: &str) -> usize {
    let (user, key) = (user.to_owned(), key.to_owned());
    chats.read(move |rows| {
        let conversation = rows.conversation("app", kind.into(), &key)?.expect("it is there");
        rows.count_unread(conversation.id, 0, &user, 999)
    })
}

#[test]
fn of_a_message_that_is_taken_back_only_that_it_was_there_is_left_and_all_are_told() {
    let chats = Chats::new();
    let said = SendMessage {
        r#type: MessageType::Image.into(),
        media: Some(MediaInfo {
            url: "https://files.example/1".to_owned(),
            format: "png".to_owned(),
            ..MediaInfo::default()
        }),
        extended_data: "e".to_owned(),
        client_message_id: "m1".to_owned(),
        mentioned_user_ids: texts(&["alice"]),
        mention_all: true,
        push_content: "p".to_owned(),
        push_data: "d".to_owned(),
        ..to_user("alice", "secret")
    };
    let sent = send(&chats, "bob", said.clone()).expect("it is sent");
    let before = message(&sent).clone();
    assert_eq!(unread(&chats, "alice", ConversationType::Peer, "alice\nbob"), 1);
    chats.wait(Duration::from_secs(3));
    let answer = recall(&chats, "bob", ConversationType::Peer, "alice", before.message_id).expect("it is taken back");
    let recalled_at_ms = before.server_time_ms + 3000;
    let changed = MessageChanged {
        changed_at_ms: recalled_at_ms,
        notice: 0,
    };
    assert_eq!(answer.result, reply::Result::MessageChanged(changed));
    assert_eq!(answer.told(), [(vec!["alice", "bob"], "recalled")]);
    assert_eq!(answer.told[0].sequence, 0, "it is no message");
    let expected = MessageRecalled {
        r#type: ConversationType::Peer.into(),
        target_id: "alice".to_owned(),
        sender_id: "bob".to_owned(),
        sequence: 1,
        message_id: before.message_id,
        by_user_id: "bob".to_owned(),
        recalled_at_ms,
    };
    assert_eq!(answer.told[0].event, Body::MessageRecalled(expected));

    let (recalled, left) = kept(&chats, ConversationType::Peer, "alice\nbob", 1);
    assert!(recalled);
    let expected = ConversationMessage {
        target_id: "alice".to_owned(),
        sequence: 1,
        message_id: before.message_id,
        server_time_ms: before.server_time_ms,
        sender: before.sender,
        r#type: MessageType::Image.into(),
        client_message_id: "m1".to_owned(),
        recalled_at_ms,
        recalled_by: "bob".to_owned(),
        ..ConversationMessage::default()
    };
    assert_eq!(left, expected);
    assert_eq!(unread(&chats, "alice", ConversationType::Peer, "alice\nbob"), 0);
    let repeat = result(send(&chats, "bob", said));
    assert!(repeat.duplicate, "it is not sent once more");
}

#[test]
fn one_s_own_message_is_taken_back_and_changed_until_the_window_closes() {
    let chats = Chats::new();
    let to = (ConversationType::Peer, "alice");
    let [first, second] = ["1", "2"].map(|said| result(send(&chats, "bob", to_user("alice", said))).message_id);
    chats.wait(WINDOW);
    edit(&chats, "bob", to, first, b"new").expect("just in time");
    recall(&chats, "bob", to.0, to.1, first).expect("just in time");
    chats.wait(Duration::from_millis(1));
    assert_eq!(refused(edit(&chats, "bob", to, second, b"new")), (20114, String::new()));
    assert_eq!(
        refused(recall(&chats, "bob", to.0, to.1, second)),
        (6000278, String::new())
    );
}

#[test]
fn the_window_is_that_of_the_app() {
    let chats = Chats::with(|app| app.conversations.recall_window = Duration::ZERO);
    let sent = result(send(&chats, "bob", to_user("alice", "1"))).message_id;
    chats.wait(Duration::from_millis(1));
    let late = recall(&chats, "bob", ConversationType::Peer, "alice", sent);
    assert_eq!(refused(late), (6000278, String::new()));
}

#[test]
fn a_message_is_taken_back_once_and_is_not_changed_after() {
    let chats = Chats::new();
    let to = (ConversationType::Peer, "alice");
    let sent = result(send(&chats, "bob", to_user("alice", "1"))).message_id;
    recall(&chats, "bob", to.0, to.1, sent).expect("it is taken back");
    chats.wait(WINDOW * 2);
    assert_eq!(
        refused(recall(&chats, "bob", to.0, to.1, sent)),
        (6000279, String::new())
    );
    assert_eq!(refused(edit(&chats, "bob", to, sent, b"new")), (20116, String::new()));
}

#[test]
fn messages_of_others_stay_but_those_in_a_group_for_who_leads_it() {
    let chats = Chats::new();
    let sent = result(send(&chats, "bob", to_user("alice", "1"))).message_id;
    let by_the_other = recall(&chats, "alice", ConversationType::Peer, "bob", sent);
    assert_eq!(refused(by_the_other), (25107, String::new()));
    let discussion = chats.discussion("ann", &["bob"]);
    let in_discussion = text(ConversationType::Discussion, &discussion, "1");
    let sent = result(send(&chats, "bob", in_discussion)).message_id;
    let by_creator = recall(&chats, "ann", ConversationType::Discussion, &discussion, sent);
    assert_eq!(refused(by_creator), (25107, String::new()));

    let group = chats.group("ann", &["bob", "cid", "dan"]);
    let promote = SetGroupManagers {
        id: group.clone(),
        user_ids: texts(&["bob"]),
        manager: true,
    };
    chats
        .ask("ann", Command::SetManagers(promote))
        .expect("bob is a manager");
    let sent: Vec<u64> = ["cid", "cid", "ann", "bob"]
        .map(|user| result(send(&chats, user, to_group(&group, "x"))).message_id)
        .into();
    let in_group = |by: &str, message_id| recall(&chats, by, ConversationType::Group, &group, message_id);
    assert_eq!(refused(in_group("dan", sent[0])), (25107, String::new()));
    chats.wait(WINDOW * 2);
    let answer = in_group("bob", sent[0]).expect("managers may, at any time");
    assert_eq!(answer.told(), [(vec!["ann", "bob", "cid", "dan"], "recalled")]);
    let (_, left) = kept(&chats, ConversationType::Group, &group, 1);
    assert_eq!(left.recalled_by, "bob");
    in_group("ann", sent[1]).expect("the owner may");
    in_group("bob", sent[2]).expect("also what the owner said");
    in_group("bob", sent[3]).expect("also one's own when it is late");
    assert_eq!(unread(&chats, "dan", ConversationType::Group, &group), 0);
    let edited = edit(&chats, "ann", (ConversationType::Group, &group), sent[1], b"new");
    assert_eq!(
        refused(edited),
        (25107, String::new()),
        "nobody changes what others said"
    );
}

#[test]
fn a_message_that_is_not_there_for_the_user_is_unknown() {
    let chats = Chats::new();
    let sent = result(send(&chats, "bob", to_user("alice", "1"))).message_id;
    let unknown = (22201, String::new());
    for message_id in [1, sent - 1, sent + 1, u64::MAX] {
        let answer = recall(&chats, "bob", ConversationType::Peer, "alice", message_id);
        assert_eq!(refused(answer), unknown, "{message_id}");
    }
    let elsewhere = recall(&chats, "bob", ConversationType::Peer, "carol", sent);
    assert_eq!(refused(elsewhere), unknown, "of a conversation that was never made");

    let group = chats.group("ann", &["bob"]);
    let sent = result(send(&chats, "bob", to_group(&group, "1"))).message_id;
    let quit = QuitConversation {
        r#type: ConversationType::Group.into(),
        id: group.clone(),
    };
    chats.ask("bob", Command::Quit(quit)).expect("bob leaves");
    let outside = recall(&chats, "bob", ConversationType::Group, &group, sent);
    assert_eq!(refused(outside), (22406, String::new()));
    let join = sluice_protocol::JoinConversation {
        r#type: ConversationType::Group.into(),
        id: group.clone(),
    };
    chats.ask("bob", Command::Join(join)).expect("bob comes back");
    let before = recall(&chats, "bob", ConversationType::Group, &group, sent);
    assert_eq!(refused(before), unknown, "what was before is not for bob any more");
    let nowhere = recall(&chats, "bob", ConversationType::Group, "nowhere", sent);
    assert_eq!(
        refused(nowhere),
        (ErrorCode::CONVERSATION_UNKNOWN.number(), String::new())
    );
}

#[test]
fn an_edited_message_has_its_new_content_and_its_old_place() {
    let chats = Chats::new();
    enlist(&chats, "darn", "****");
    enlist(&chats, "rude", "");
    let to = (ConversationType::Peer, "alice");
    let said = SendMessage {
        extended_data: "old".to_owned(),
        push_content: "p".to_owned(),
        ..to_user("alice", "helo")
    };
    let sent = send(&chats, "bob", said).expect("it is sent");
    let before = message(&sent).clone();
    chats.wait(Duration::from_secs(1));
    let answer = edit(&chats, "bob", to, before.message_id, b"darn, hello").expect("it is changed");
    let changed = MessageChanged {
        changed_at_ms: before.server_time_ms + 1000,
        notice: 21502,
    };
    assert_eq!(answer.result, reply::Result::MessageChanged(changed));
    assert_eq!(answer.told(), [(vec!["alice", "bob"], "edited")]);
    let expected = ConversationMessage {
        content: Bytes::from_static(b"****, hello"),
        extended_data: "new".to_owned(),
        edited_at_ms: before.server_time_ms + 1000,
        ..before.clone()
    };
    assert_eq!(answer.told[0].event, Body::MessageEdited(expected.clone()));
    assert_eq!(kept(&chats, to.0, "alice\nbob", 1), (false, expected.clone()));
    assert_eq!(unread(&chats, "alice", to.0, "alice\nbob"), 1);

    let blocked = edit(&chats, "bob", to, before.message_id, b"rude");
    assert_eq!(refused(blocked), (21501, String::new()));
    let no_text = edit(&chats, "bob", to, before.message_id, b"caf\xe9");
    assert_eq!(refused(no_text), (33003, "content".to_owned()));
    assert_eq!(
        kept(&chats, to.0, "alice\nbob", 1).1,
        expected,
        "a refusal changes nothing"
    );
}

#[test]
fn what_becomes_of_a_message_is_not_told_to_who_came_after_it() {
    let chats = Chats::new();
    let kind = ConversationType::Discussion;
    let id = chats.discussion("tom", &["will"]);
    let [secret, other] = ["the code is 1234", "bye"].map(|said| {
        let sent = send(&chats, "tom", text(kind, &id, said));
        result(sent).message_id
    });
    let add = |user: &str| {
        let command = sluice_protocol::AddMembers {
            r#type: kind.into(),
            id: id.clone(),
            user_ids: texts(&[user]),
        };
        chats.ask("tom", Command::Add(command)).expect("there is room");
    };
    add("mary");
    let later = result(send(&chats, "tom", text(kind, &id, "welcome"))).message_id;
    let quit = QuitConversation {
        r#type: kind.into(),
        id: id.clone(),
    };
    chats.ask("will", Command::Quit(quit)).expect("he goes");
    let edited = |message| {
        let answer = edit(&chats, "tom", (kind, &id), message, b"new").expect("it is changed");
        answer.told.into_iter().flat_map(|told| told.to).collect::<Vec<_>>()
    };
    assert_eq!(edited(secret), ["tom"]);
    add("will");
    assert_eq!(edited(secret), ["tom"], "who is back has it no more");
    assert_eq!(edited(later), ["mary", "tom"]);
    let taken_back = recall(&chats, "tom", kind, &id, secret).expect("it is taken back");
    assert_eq!(taken_back.told(), [(vec!["tom"], "recalled")]);

    let now = result(send(&chats, "tom", text(kind, &id, "now"))).message_id;
    assert_eq!(edited(now), ["mary", "tom", "will"]);
    let hiding = crate::conversation::Order::Hide {
        place: crate::conversation::Place {
            kind,
            as_user: None,
            target_id: id.clone(),
        },
        user: UserId::parse("mary", IdProfile::Wide).expect("a user id"),
        until_ms: chats.now_ms(),
    };
    chats
        .ask_as_server(Command::Server(Box::new(hiding)))
        .expect("she sees it no more");
    assert_eq!(edited(now), ["tom", "will"]);
    assert_eq!(edited(other), ["tom"]);
}

#[test]
fn who_may_not_send_does_not_change_what_was_sent() {
    let chats = Chats::new();
    let group = chats.group("olga", &["mel"]);
    let to = (ConversationType::Group, group.as_str());
    let said = result(send(&chats, "mel", to_group(&group, "hi"))).message_id;
    let mute = |muted, users: &[&str]| {
        let command = sluice_protocol::MuteGroupMembers {
            id: group.clone(),
            user_ids: texts(users),
            muted,
            seconds: 0,
        };
        chats.ask("olga", Command::Mute(command)).expect("she may");
    };
    let muted = |detail: &str| (22408, detail.to_owned());
    mute(true, &["mel"]);
    assert_eq!(refused(edit(&chats, "mel", to, said, b"new")), muted("user"));
    mute(false, &["mel"]);
    mute(true, &[]);
    assert_eq!(refused(edit(&chats, "mel", to, said, b"new")), muted("group"));
    recall(&chats, "mel", to.0, to.1, said).expect("to take it back says nothing");

    let said = result(send(&chats, "mel", to_user("bob", "hi"))).message_id;
    let listing = sluice_protocol::EditBlacklist {
        add: true,
        user_ids: texts(&["mel"]),
    };
    chats.ask("bob", Command::EditBlacklist(listing)).expect("he may");
    let to = (ConversationType::Peer, "bob");
    assert_eq!(refused(edit(&chats, "mel", to, said, b"new")), (405, String::new()));
    let (_, left) = kept(&chats, to.0, "bob\nmel", 1);
    assert_eq!(left.content, Bytes::from_static(b"hi"), "a refusal changes nothing");
}

#[test]
fn only_texts_and_custom_messages_are_changed() {
    let chats = Chats::new();
    let to = (ConversationType::Peer, "alice");
    let of_type = |kind: MessageType| {
        let said = SendMessage {
            r#type: kind.into(),
            ..to_user("alice", "x")
        };
        result(send(&chats, "bob", said)).message_id
    };
    for kind in [
        MessageType::Image,
        MessageType::File,
        MessageType::Audio,
        MessageType::Video,
    ] {
        let answer = edit(&chats, "bob", to, of_type(kind), b"new");
        assert_eq!(refused(answer), (20116, String::new()), "{kind:?}");
    }
    let custom = of_type(MessageType::Custom);
    edit(&chats, "bob", to, custom, b"\xff\xfe").expect("these need not be text");
}

#[test]
fn messages_of_the_system_are_the_server_s() {
    let chats = Chats::new();
    for kind in [ConversationType::System, ConversationType::Room] {
        let answer = recall(&chats, "bob", kind, "news", 1);
        assert_eq!(refused(answer), (25101, String::new()));
    }
}
