use bytes::Bytes;
use sluice_protocol::{
    AddMembers, ConversationMessage, ConversationType, ErrorCode, JoinConversation, MessageKeep, MessageType,
    MuteGroupMembers, QuitConversation, SendMessage, SendMessageResult, SenderInfo, SetGroupManagers,
};

use super::*;
use crate::policy::WORD_LIST;
use crate::store::{Entry, UserList};

pub(super) fn text(kind: ConversationType, to: &str, text: &str) -> SendMessage {
    SendMessage {
        conversation_type: kind.into(),
        target_id: to.to_owned(),
        r#type: MessageType::Text.into(),
        content: Bytes::copy_from_slice(text.as_bytes()),
        ..SendMessage::default()
    }
}

pub(super) fn to_user(user: &str, said: &str) -> SendMessage {
    text(ConversationType::Peer, user, said)
}

pub(super) fn to_group(group: &str, said: &str) -> SendMessage {
    text(ConversationType::Group, group, said)
}

pub(super) fn send(chats: &Chats, from: &str, message: SendMessage) -> Result<Answer, Refusal> {
    chats.ask(from, Command::send(message))
}

#[track_caller]
pub(super) fn result(answer: Result<Answer, Refusal>) -> SendMessageResult {
    match answer.expect("it is sent").result {
        reply::Result::SendMessage(result) => result,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
pub(super) fn message(answer: &Answer) -> &ConversationMessage {
    match &answer.told[..] {
        [
            Told {
                event: Body::ConversationMessage(message),
                ..
            },
        ] => message,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
pub(super) fn refused(answer: Result<Answer, Refusal>) -> (i32, String) {
    let refusal = answer.expect_err("it is refused");
    (refusal.code.number(), refusal.detail.into_owned())
}

fn code(code: ErrorCode) -> (i32, String) {
    (code.number(), String::new())
}

/// Puts a word on the list of the app; with nothing in its place it forbids.
pub(super) fn enlist(chats: &Chats, word: &str, instead: &str) {
    let entry = Entry {
        text: instead.to_owned(),
        ..Entry::default()
    };
    let policies = &chats.conversations.inner.policies;
    let listed = policies.enlist(
        AppIndex(0),
        &WORD_LIST,
        &[(word.to_owned(), entry)],
        chats.now.get(),
        |_| (),
    );
    listed.expect("it is listed");
}

fn muted(group: &str, users: &[&str], seconds: u32) -> Command {
    Command::Mute(MuteGroupMembers {
        id: group.to_owned(),
        user_ids: texts(users),
        muted: true,
        seconds,
    })
}

#[test]
fn the_first_message_makes_the_conversation_of_two_and_both_are_told() {
    let chats = Chats::new();
    let answer = send(&chats, "bob", to_user("alice", "hello")).expect("it is sent");
    let told = &answer.told[0];
    assert_eq!((told.to.as_slice(), told.sequence), (&texts(&["alice", "bob"])[..], 1));
    let sent = message(&answer);
    assert_eq!(sent.sequence, 1);
    assert_eq!(sent.target_id, "alice", "the receiver");
    assert_eq!(sent.sender.as_ref().unwrap().user_id, "bob");
    assert_eq!(sent.sender.as_ref().unwrap().user_name, "BOB");
    assert_eq!(&sent.content[..], b"hello");
    assert!(!sent.from_server && !sent.history);
    assert_eq!(sent.server_time_ms, chats.now_ms());
    let message_id = sent.message_id;
    assert_eq!(result(Ok(answer)).message_id, message_id);
    let back = result(send(&chats, "alice", to_user("bob", "hi")));
    assert_eq!(back.sequence, 2, "it is the same conversation");
    assert!(back.message_id > message_id && back.distributed && !back.duplicate);
}

#[test]
fn a_refused_first_message_makes_nothing() {
    let chats = Chats::new();
    enlist(&chats, "rude", "");
    let answer = send(&chats, "bob", to_user("alice", "how rude"));
    assert_eq!(refused(answer), code(ErrorCode::WORD_BLOCKED));
    let found = chats.read(|rows| rows.conversation("app", 0, "alice\nbob"));
    assert_eq!(found, None);
}

#[test]
fn nobody_writes_to_oneself_or_to_what_is_no_user_id() {
    let chats = Chats::new();
    for to in ["bob", "a/b", &"u".repeat(33)] {
        let answer = send(&chats, "bob", to_user(to, "hello"));
        assert_eq!(refused(answer), (33003, "target_id".to_owned()), "{to}");
    }
    let wide = Chats::with(|app| app.id_profile = IdProfile::Wide);
    result(send(&wide, "bob", to_user("a/b", "hello")));
}

#[test]
fn who_shows_as_somebody_else_is_refused() {
    let chats = Chats::new();
    let shown_as = |user: &str| SendMessage {
        sender_info: Some(SenderInfo {
            user_id: user.to_owned(),
            name: "Bob".to_owned(),
            ..SenderInfo::default()
        }),
        ..to_user("alice", "hello")
    };
    let answer = send(&chats, "bob", shown_as("carol"));
    assert_eq!(refused(answer), (33003, "sender_info".to_owned()));
    let answer = send(&chats, "bob", shown_as("bob")).expect("it is sent");
    assert_eq!(message(&answer).sender_info.as_ref().unwrap().name, "Bob");
}

#[test]
fn only_who_is_inside_sends_and_those_inside_are_told() {
    let chats = Chats::new();
    let group = chats.group("ann", &["bob", "cid"]);
    let discussion = chats.discussion("ann", &["bob"]);
    let answer = send(&chats, "bob", to_group(&group, "hello")).expect("it is sent");
    assert_eq!(answer.told(), [(vec!["ann", "bob", "cid"], "message")]);
    assert_eq!(message(&answer).target_id, group);

    let stranger = send(&chats, "eve", to_group(&group, "hello"));
    assert_eq!(refused(stranger), code(ErrorCode::NOT_IN_GROUP));
    let to_discussion = |said| text(ConversationType::Discussion, &discussion, said);
    let stranger = send(&chats, "eve", to_discussion("hello"));
    assert_eq!(refused(stranger), code(ErrorCode::NOT_IN_DISCUSSION));
    let nowhere = send(&chats, "ann", to_group("nowhere", "hello"));
    assert_eq!(refused(nowhere), code(ErrorCode::CONVERSATION_UNKNOWN));

    let quit = QuitConversation {
        r#type: ConversationType::Discussion.into(),
        id: discussion.clone(),
    };
    chats.ask("bob", Command::Quit(quit)).expect("bob leaves");
    let left = send(&chats, "bob", to_discussion("still here"));
    assert_eq!(refused(left), code(ErrorCode::NOT_IN_DISCUSSION));
    let answer = send(&chats, "ann", to_discussion("gone?")).expect("it is sent");
    assert_eq!(answer.told(), [(vec!["ann"], "message")]);
}

#[test]
fn nobody_sends_to_a_discussion_that_has_ended() {
    let chats = Chats::new();
    let created = CreateConversation {
        user_ids: texts(&["bob"]),
        temporary_seconds: 60,
        ..CreateConversation::default()
    };
    let id = created_id(chats.ask("ann", Command::Create(created)));
    let said = || text(ConversationType::Discussion, &id, "hello");
    chats.wait(Duration::from_millis(59_999));
    assert_eq!(result(send(&chats, "bob", said())).sequence, 1);
    chats.wait(Duration::from_millis(1));
    assert_eq!(
        refused(send(&chats, "bob", said())),
        code(ErrorCode::CONVERSATION_EXPIRED)
    );
}

fn created_id(answer: Result<Answer, Refusal>) -> String {
    created(answer)
}

#[test]
fn a_muted_member_waits_until_the_end() {
    let chats = Chats::new();
    let group = chats.group("ann", &["bob", "cid"]);
    chats.ask("ann", muted(&group, &["bob"], 60)).expect("bob is muted");
    chats.wait(Duration::from_secs(20));
    let refusal = send(&chats, "bob", to_group(&group, "hello")).expect_err("bob is muted");
    let expected = Refusal::with_detail(ErrorCode::MUTED_IN_GROUP, "user").retry_after(Duration::from_secs(40));
    assert_eq!(refusal, expected);
    result(send(&chats, "cid", to_group(&group, "hello")));
    chats.wait(Duration::from_millis(39_999));
    send(&chats, "bob", to_group(&group, "hello")).expect_err("bob is muted");
    chats.wait(Duration::from_millis(1));
    result(send(&chats, "bob", to_group(&group, "hello")));

    chats.ask("ann", muted(&group, &["bob"], 0)).expect("bob is muted");
    chats.wait(Duration::from_secs(86_400 * 365));
    let refusal = send(&chats, "bob", to_group(&group, "hello")).expect_err("without end");
    assert_eq!(refusal, Refusal::with_detail(ErrorCode::MUTED_IN_GROUP, "user"));
}

#[test]
fn in_a_muted_group_those_who_lead_and_those_excepted_speak() {
    let chats = Chats::new();
    let group = chats.group("ann", &["bob", "cid", "dan"]);
    let promote = SetGroupManagers {
        id: group.clone(),
        user_ids: texts(&["bob"]),
        manager: true,
    };
    chats
        .ask("ann", Command::SetManagers(promote))
        .expect("bob is a manager");
    chats.ask("ann", muted(&group, &[], 0)).expect("all are muted");
    let excepted = group.clone();
    chats.change(move |rows| rows.put_listed("app", UserList::MuteException, &excepted, "cid", 0));
    for user in ["ann", "bob", "cid"] {
        result(send(&chats, user, to_group(&group, "hello")));
    }
    let refusal = send(&chats, "dan", to_group(&group, "hello")).expect_err("dan is muted");
    assert_eq!(refusal, Refusal::with_detail(ErrorCode::MUTED_IN_GROUP, "group"));
    let unmute = MuteGroupMembers {
        id: group.clone(),
        ..MuteGroupMembers::default()
    };
    chats.ask("bob", Command::Mute(unmute)).expect("all may speak");
    result(send(&chats, "dan", to_group(&group, "hello")));
}

#[test]
fn words_are_refused_or_replaced_in_texts_alone() {
    let chats = Chats::new();
    enlist(&chats, "rude", "");
    enlist(&chats, "darn", "****");
    assert_eq!(
        refused(send(&chats, "bob", to_user("alice", "RUDE!"))),
        code(ErrorCode::WORD_BLOCKED)
    );
    let answer = send(&chats, "bob", to_user("alice", "darn it")).expect("it is sent");
    assert_eq!(&message(&answer).content[..], b"**** it");
    assert_eq!(result(Ok(answer)).notice, 21502);
    let custom = SendMessage {
        r#type: MessageType::Custom.into(),
        object_name: "app:x".to_owned(),
        ..to_user("alice", "rude")
    };
    let answer = send(&chats, "bob", custom).expect("it is sent");
    assert_eq!(&message(&answer).content[..], b"rude");
    assert_eq!(result(Ok(answer)).notice, 0);
    let unkept = SendMessage {
        keep: MessageKeep::None.into(),
        ..to_user("alice", "darn")
    };
    let answer = send(&chats, "bob", unkept).expect("it is passed on");
    assert_eq!(&message(&answer).content[..], b"****");
    assert_eq!(result(Ok(answer)).notice, 21502);
}

#[test]
fn of_several_reasons_to_refuse_the_first_in_the_order_of_the_checks_is_told() {
    let chats = Chats::new();
    enlist(&chats, "rude", "");
    let group = chats.group("ann", &["bob"]);
    chats.ask("ann", muted(&group, &["bob"], 0)).expect("bob is muted");
    let message = SendMessage {
        client_message_id: "m1".to_owned(),
        ..to_group(&group, "hello")
    };
    result(send(&chats, "ann", message));
    let used = |said: &str| SendMessage {
        client_message_id: "m1".to_owned(),
        ..to_group(&group, said)
    };
    // Not the sender's own id; not inside; then muted; then the word.
    assert_eq!(
        refused(send(&chats, "eve", used("rude"))),
        code(ErrorCode::NOT_IN_GROUP)
    );
    assert_eq!(refused(send(&chats, "bob", used("rude"))), (22408, "user".to_owned()));
    assert_eq!(
        refused(send(&chats, "ann", used("rude"))),
        (33003, "duplicate_id".to_owned())
    );
    let answer = send(&chats, "ann", to_group(&group, "rude"));
    assert_eq!(refused(answer), code(ErrorCode::WORD_BLOCKED));
}

#[test]
fn a_repeat_gets_the_first_answer_and_is_no_message() {
    let chats = Chats::new();
    enlist(&chats, "darn", "****");
    let said = || SendMessage {
        client_message_id: "m1".to_owned(),
        ..to_user("alice", "darn")
    };
    let first = result(send(&chats, "bob", said()));
    chats.wait(Duration::from_secs(5));
    let again = send(&chats, "bob", said()).expect("it is answered");
    assert!(again.told.is_empty(), "nobody is told twice");
    let expected = SendMessageResult {
        duplicate: true,
        ..first.clone()
    };
    assert_eq!(result(Ok(again)), expected);
    assert_eq!(first.notice, 21502);

    let other = SendMessage {
        client_message_id: "m1".to_owned(),
        ..to_user("alice", "darn!")
    };
    assert_eq!(refused(send(&chats, "bob", other)), (33003, "duplicate_id".to_owned()));
    let elsewhere = SendMessage {
        client_message_id: "m1".to_owned(),
        ..to_user("carol", "darn")
    };
    assert_eq!(
        refused(send(&chats, "bob", elsewhere)),
        (33003, "duplicate_id".to_owned())
    );
    let of_another = result(send(&chats, "carol", said()));
    assert!(!of_another.duplicate, "ids are the sender's own");
    let next = result(send(&chats, "bob", to_user("alice", "x")));
    assert_eq!(next.sequence, 2);
    let once_more = result(send(&chats, "bob", to_user("alice", "x")));
    assert_eq!(once_more.sequence, 3, "without an id nothing is a repeat");
}

#[test]
fn a_repeat_is_answered_after_its_sender_has_left_is_muted_or_the_gateway_was_restarted() {
    let chats = Chats::new();
    let group = chats.group("ann", &["bob"]);
    let said = || SendMessage {
        client_message_id: "m1".to_owned(),
        ..to_group(&group, "hello")
    };
    let first = result(send(&chats, "bob", said()));
    let expected = SendMessageResult {
        duplicate: true,
        ..first
    };
    chats.ask("ann", muted(&group, &["bob"], 0)).expect("bob is muted");
    assert_eq!(result(send(&chats, "bob", said())), expected);
    let quit = QuitConversation {
        r#type: ConversationType::Group.into(),
        id: group.clone(),
    };
    chats.ask("bob", Command::Quit(quit)).expect("bob leaves");
    assert_eq!(result(send(&chats, "bob", said())), expected);
    let chats = chats.restarted();
    assert_eq!(result(send(&chats, "bob", said())), expected);
}

#[test]
fn after_a_week_the_same_id_is_that_of_another_message() {
    let chats = Chats::new();
    let said = |text: &str| SendMessage {
        client_message_id: "m1".to_owned(),
        ..to_user("alice", text)
    };
    let first = result(send(&chats, "bob", said("1")));
    chats.wait(Duration::from_secs(7 * 86_400));
    assert!(result(send(&chats, "bob", said("1"))).duplicate);
    chats.wait(Duration::from_millis(1));
    // Its row is there until somebody deletes it.
    let second = result(send(&chats, "bob", said("2")));
    assert_eq!((second.duplicate, second.sequence), (false, 2));
    assert_ne!(second.message_id, first.message_id);
    let repeat = result(send(&chats, "bob", said("2")));
    assert_eq!((repeat.duplicate, repeat.sequence), (true, 2));
}

#[test]
fn what_was_refused_may_be_sent_again_with_the_same_id() {
    let chats = Chats::new();
    let group = chats.group("ann", &[]);
    let said = || SendMessage {
        client_message_id: "m1".to_owned(),
        ..to_group(&group, "hello")
    };
    assert_eq!(refused(send(&chats, "bob", said())), code(ErrorCode::NOT_IN_GROUP));
    let join = JoinConversation {
        r#type: ConversationType::Group.into(),
        id: group.clone(),
    };
    chats.ask("bob", Command::Join(join)).expect("bob joins");
    let sent = result(send(&chats, "bob", said()));
    assert!(!sent.duplicate);
    assert_eq!(sent.sequence, 1);
}

#[test]
fn what_is_not_kept_has_no_number_and_goes_to_all_inside() {
    let chats = Chats::new();
    let group = chats.group("ann", &["bob"]);
    let command = |to: SendMessage| SendMessage {
        r#type: MessageType::Command.into(),
        ..to
    };
    let answer = send(&chats, "bob", command(to_group(&group, "mic up"))).expect("it is passed on");
    assert_eq!(answer.told(), [(vec!["ann", "bob"], "message")]);
    assert_eq!((answer.told[0].sequence, &answer.told[0].push), (0, &None));
    assert_eq!(message(&answer).sequence, 0);
    let passed = result(Ok(answer));
    assert_eq!(passed.sequence, 0);
    assert!(passed.message_id > 0 && passed.server_time_ms == chats.now_ms());
    let kept = result(send(&chats, "bob", to_group(&group, "hello")));
    assert_eq!(kept.sequence, 1, "what is not kept leaves no gap");
    assert!(kept.message_id > passed.message_id);
    let stranger = send(&chats, "eve", command(to_group(&group, "mic up")));
    assert_eq!(refused(stranger), code(ErrorCode::NOT_IN_GROUP));

    let before_any = send(&chats, "bob", command(to_user("alice", "ring"))).expect("it is passed on");
    assert_eq!(before_any.told(), [(vec!["alice", "bob"], "message")]);
    assert_eq!(chats.read(|rows| rows.conversation("app", 0, "alice\nbob")), None);
    result(send(&chats, "bob", to_user("alice", "hello")));
    let after = send(&chats, "alice", command(to_user("bob", "ring"))).expect("it is passed on");
    assert_eq!(after.told(), [(vec!["alice", "bob"], "message")]);
}

#[test]
fn the_id_of_a_kept_message_is_taken_for_one_that_is_not() {
    let chats = Chats::new();
    let with_id = |keep: MessageKeep| SendMessage {
        client_message_id: "m1".to_owned(),
        keep: keep.into(),
        ..to_user("alice", "hello")
    };
    result(send(&chats, "bob", with_id(MessageKeep::Default)));
    let answer = send(&chats, "bob", with_id(MessageKeep::None));
    assert_eq!(refused(answer), (33003, "duplicate_id".to_owned()));
}

#[test]
fn what_counts_as_unread_and_what_is_pushed_follows_type_and_keep() {
    let chats = Chats::new();
    let media = |kind: MessageType| SendMessage {
        r#type: kind.into(),
        ..to_user("alice", "x")
    };
    let with_push = |message: SendMessage| SendMessage {
        push_content: "news".to_owned(),
        ..message
    };
    let kept_as = |keep: MessageKeep, message: SendMessage| SendMessage {
        keep: keep.into(),
        ..message
    };
    let cases = [
        (media(MessageType::Text), true, true),
        (media(MessageType::Image), true, true),
        (media(MessageType::Custom), true, false),
        (with_push(media(MessageType::Custom)), true, true),
        (kept_as(MessageKeep::Counted, media(MessageType::Text)), true, true),
        (kept_as(MessageKeep::Stored, media(MessageType::Text)), false, false),
        (
            kept_as(MessageKeep::Stored, with_push(media(MessageType::Text))),
            false,
            true,
        ),
    ];
    for (case, (sent, counts, pushed)) in cases.into_iter().enumerate() {
        let answer = send(&chats, "bob", sent).expect("it is sent");
        assert_eq!(answer.told[0].push.is_some(), pushed, "case {case}");
        let sequence = i64::try_from(message(&answer).sequence).unwrap();
        let row = chats.read(move |rows| {
            let conversation = rows.conversation("app", 0, "alice\nbob")?.expect("it is there");
            rows.message(conversation.id, sequence)
        });
        assert_eq!(row.map(|row| row.counts), Some(counts), "case {case}");
    }
}

#[test]
fn a_push_says_what_it_is_for() {
    let chats = Chats::new();
    let group = chats.group("ann", &["bob"]);
    let sent = SendMessage {
        push_content: "news".to_owned(),
        push_data: "{}".to_owned(),
        mentioned_user_ids: texts(&["ann"]),
        mention_all: true,
        ..to_group(&group, "hello")
    };
    let answer = send(&chats, "bob", sent).expect("it is sent");
    let sent = message(&answer);
    let expected = Push {
        conversation_type: ConversationType::Group.into(),
        target_id: group.clone(),
        sender_id: "bob".to_owned(),
        message_id: i64::try_from(sent.message_id).unwrap(),
        sequence: 1,
        sent_at_ms: chats.now_ms(),
        kind: MessageType::Text.into(),
        object_name: String::new(),
        push_content: "news".to_owned(),
        push_data: "{}".to_owned(),
        mentioned: texts(&["ann"]),
        mention_all: true,
    };
    assert_eq!(answer.told[0].push.as_deref(), Some(&expected));
}

#[test]
fn ids_and_times_rise_when_the_clock_steps_back_and_after_a_restart() {
    let chats = Chats::new();
    let group = chats.group("ann", &[]);
    let mut last = result(send(&chats, "ann", to_group(&group, "1")));
    let step_back = |chats: &Chats| {
        let now = chats.now.get();
        let unix_ms = now.unix_ms - 3_600_000;
        chats.now.set(Now { unix_ms, ..now });
    };
    step_back(&chats);
    let next = result(send(&chats, "ann", to_group(&group, "2")));
    assert!(next.message_id > last.message_id && next.server_time_ms >= last.server_time_ms);
    last = next;
    let elsewhere = result(send(&chats, "ann", to_user("bob", "3")));
    assert!(elsewhere.message_id > last.message_id);
    step_back(&chats);
    let chats = chats.restarted();
    let after = result(send(&chats, "ann", to_group(&group, "4")));
    assert!(
        after.message_id > elsewhere.message_id,
        "greater than all that were kept"
    );
    assert!(after.server_time_ms >= last.server_time_ms);
    assert_eq!(after.sequence, 3);
}

#[test]
fn messages_of_many_at_once_have_every_number_once_and_are_told_in_order() {
    const EACH: usize = 50;
    let users = ["ann", "bob", "cid", "dan"];
    let chats = Chats::new();
    let discussion = chats.discussion("ann", &users[1..]);
    let (tell, told) = mpsc::channel();
    let say = |user: &'static str| {
        let (chats, discussion, tell) = (chats.conversations.clone(), discussion.clone(), tell.clone());
        std::thread::spawn(move || {
            for number in 0..EACH {
                let asked = Asked {
                    app: AppIndex(0),
                    by: Actor::User(named(user)),
                    command: Command::send(text(ConversationType::Discussion, &discussion, &number.to_string())),
                };
                let tell = tell.clone();
                chats.ask(asked, move |outcome| {
                    let told = outcome.expect("it is sent").tell.remove(0);
                    tell.send((told.sequence, user, number)).expect("the test waits");
                });
            }
        })
    };
    let threads = users.map(say);
    for thread in threads {
        thread.join().expect("it does not panic");
    }
    let all: Vec<_> = told.iter().take(users.len() * EACH).collect();
    let numbers: Vec<i64> = all.iter().map(|(sequence, ..)| *sequence).collect();
    assert_eq!(
        numbers,
        (1..=200).collect::<Vec<i64>>(),
        "in the order in which they are told"
    );
    for user in users {
        let said: Vec<usize> = all.iter().filter(|said| said.1 == user).map(|said| said.2).collect();
        assert_eq!(
            said,
            (0..EACH).collect::<Vec<_>>(),
            "in the order in which {user} said them"
        );
    }
}

#[test]
fn whoever_comes_later_is_told_from_then_on() {
    let chats = Chats::new();
    let group = chats.group("ann", &[]);
    result(send(&chats, "ann", to_group(&group, "1")));
    let add = AddMembers {
        r#type: ConversationType::Group.into(),
        id: group.clone(),
        user_ids: texts(&["bob"]),
    };
    chats.ask("ann", Command::Add(add)).expect("bob is added");
    let answer = send(&chats, "ann", to_group(&group, "2")).expect("it is sent");
    assert_eq!(answer.told(), [(vec!["ann", "bob"], "message")]);
}

#[test]
fn the_app_s_server_does_not_send_as_a_user() {
    let chats = Chats::new();
    let answer = chats.ask_as_server(Command::send(to_user("alice", "x")));
    assert_eq!(refused(answer), code(ErrorCode::OPERATION_NOT_SUPPORTED));
}
