use bytes::Bytes;
use sluice_protocol::{ConversationType, EditBlacklist, ErrorCode, MessageType, RecallMessage, SendMessage};

use super::sending::{enlist, refused, result, send, text, to_user};
use super::*;

fn publish(kind: ConversationType, as_user: &str, targets: &[&str]) -> Publish {
    Publish {
        as_user: UserId::parse(as_user, IdProfile::Zim).expect("a user id"),
        targets: texts(targets),
        message: text(kind, "", "news"),
        include_sender: false,
        verify_blacklist: false,
        only_for: Vec::new(),
    }
}

fn ask(chats: &Chats, publish: Publish) -> Answer {
    let answer = chats.ask_as_server(Command::Publish(Box::new(publish)));
    answer.expect("targets are refused one by one")
}

/// The code or sequence number of each.
fn results(answer: &Answer) -> Vec<(&str, Result<u64, i32>)> {
    let result = |published: &Published| match &published.result {
        Ok(result) => Ok(result.sequence),
        Err(refusal) => Err(refusal.code.number()),
    };
    let published = answer.published.iter();
    published.map(|each| (each.target.as_str(), result(each))).collect()
}

fn take_back(as_user: &str, kind: ConversationType, target_id: &str, message_id: u64) -> Command {
    Command::TakeBack(Box::new(TakeBack {
        as_user: UserId::parse(as_user, IdProfile::Zim).expect("a user id"),
        kind,
        target_id: target_id.to_owned(),
        message_id: i64::try_from(message_id).expect("it is small"),
    }))
}

#[test]
fn a_message_to_users_goes_to_each_and_not_to_the_sender() {
    let chats = Chats::new();
    let answer = ask(&chats, publish(ConversationType::Peer, "shop", &["ann", "bob"]));
    assert_eq!(answer.told(), [(vec!["ann"], "message"), (vec!["bob"], "message")]);
    assert_eq!(results(&answer), [("ann", Ok(1)), ("bob", Ok(1))]);
    let Body::ConversationMessage(sent) = &answer.told[0].event else {
        panic!("{answer:?}")
    };
    assert!(sent.from_server);
    assert_eq!(
        (sent.target_id.as_str(), sent.sender.as_ref().unwrap().user_id.as_str()),
        ("ann", "shop")
    );
    let with_sender = Publish {
        include_sender: true,
        ..publish(ConversationType::Peer, "shop", &["ann"])
    };
    assert_eq!(ask(&chats, with_sender).told(), [(vec!["ann", "shop"], "message")]);
    let answered = result(send(&chats, "ann", to_user("shop", "thanks")));
    assert_eq!(answered.sequence, 3, "it is a conversation like any other");
}

#[test]
fn a_message_to_many_counts_as_many_in_the_queue_of_the_store() {
    let chats = Chats::new();
    let changes = || chats.conversations.inner.store.figures().changes;
    let before = changes();
    let asked = Asked {
        app: AppIndex(0),
        by: Actor::Server,
        command: Command::Publish(Box::new(publish(
            ConversationType::Peer,
            "shop",
            &["ann", "bob", "carol"],
        ))),
    };
    let (tell, told) = mpsc::channel();
    chats.conversations.ask(asked, move |outcome| {
        tell.send(outcome.is_ok()).expect("the test waits")
    });
    assert_eq!(told.recv(), Ok(true));
    assert_eq!(changes() - before, 3);
}

#[test]
fn each_target_is_refused_for_itself() {
    let chats = Chats::new();
    let command = EditBlacklist {
        add: true,
        user_ids: texts(&["shop"]),
    };
    chats
        .ask("bob", Command::EditBlacklist(command))
        .expect("shop is listed");
    let verified = Publish {
        verify_blacklist: true,
        ..publish(ConversationType::Peer, "shop", &["ann", "bob", "shop", "a/b", "cid"])
    };
    let answer = ask(&chats, verified);
    let expected = [
        ("ann", Ok(1)),
        ("bob", Err(405)),
        ("shop", Err(33003)),
        ("a/b", Err(33003)),
        ("cid", Ok(1)),
    ];
    assert_eq!(results(&answer), expected);
    assert_eq!(answer.told(), [(vec!["ann"], "message"), (vec!["cid"], "message")]);
    let answer = ask(&chats, publish(ConversationType::Peer, "shop", &["bob"]));
    assert_eq!(results(&answer), [("bob", Ok(1))], "blacklists are for users");
}

#[test]
fn neither_words_nor_mutes_nor_membership_hold_the_server_back() {
    let chats = Chats::new();
    enlist(&chats, "news", "");
    let group = chats.group("ann", &["bob"]);
    let mute = sluice_protocol::MuteGroupMembers {
        id: group.clone(),
        muted: true,
        ..Default::default()
    };
    chats.ask("ann", Command::Mute(mute)).expect("all are muted");
    let answer = ask(&chats, publish(ConversationType::Group, "bob", &[&group, "nowhere"]));
    let unknown = ErrorCode::CONVERSATION_UNKNOWN.number();
    assert_eq!(results(&answer), [(group.as_str(), Ok(1)), ("nowhere", Err(unknown))]);
    assert_eq!(answer.told(), [(vec!["ann"], "message")], "bob sent it");
    let answer = ask(&chats, publish(ConversationType::Group, "stranger", &[&group]));
    assert_eq!(answer.told(), [(vec!["ann", "bob"], "message")]);
    let discussion = chats.discussion("ann", &["bob"]);
    let answer = ask(
        &chats,
        publish(ConversationType::Discussion, "stranger", &[&discussion]),
    );
    assert_eq!(answer.told(), [(vec!["ann", "bob"], "message")]);
}

#[test]
fn the_system_writes_to_one_user_in_a_conversation_for_each_sender() {
    let chats = Chats::new();
    let answer = ask(&chats, publish(ConversationType::System, "news", &["ann", "bob"]));
    assert_eq!(answer.told(), [(vec!["ann"], "message"), (vec!["bob"], "message")]);
    let again = ask(&chats, publish(ConversationType::System, "news", &["ann"]));
    assert_eq!(results(&again), [("ann", Ok(2))]);
    let other = ask(&chats, publish(ConversationType::System, "sport", &["ann"]));
    assert_eq!(results(&other), [("ann", Ok(1))]);
    let back = send(&chats, "ann", text(ConversationType::System, "news", "hello"));
    assert_eq!(refused(back), (20109, String::new()));
}

#[test]
fn what_is_not_kept_or_is_for_some_of_a_group_has_no_number() {
    let chats = Chats::new();
    let group = chats.group("ann", &["bob", "cid"]);
    let some = Publish {
        only_for: ["bob", "eve"].map(|user| named(user).id.clone()).into(),
        ..publish(ConversationType::Group, "shop", &[&group])
    };
    let answer = ask(&chats, some);
    assert_eq!(answer.told(), [(vec!["bob"], "message")], "those who are inside");
    assert_eq!(results(&answer), [(group.as_str(), Ok(0))]);
    let command = Publish {
        message: SendMessage {
            r#type: MessageType::Command.into(),
            content: Bytes::from_static(b"x"),
            ..text(ConversationType::Group, "", "")
        },
        ..publish(ConversationType::Group, "shop", &[&group])
    };
    let answer = ask(&chats, command);
    assert_eq!(answer.told(), [(vec!["ann", "bob", "cid"], "message")]);
    assert_eq!(results(&answer), [(group.as_str(), Ok(0))]);
    let to_user = Publish {
        message: SendMessage {
            r#type: MessageType::Command.into(),
            ..text(ConversationType::Peer, "", "x")
        },
        ..publish(ConversationType::Peer, "shop", &["ann"])
    };
    assert_eq!(ask(&chats, to_user).told(), [(vec!["ann"], "message")]);
    assert_eq!(
        chats.read(|rows| rows.conversation("app", 0, "ann\nshop")),
        None,
        "nothing was made"
    );
}

#[test]
fn no_user_publishes_or_takes_back_as_the_server() {
    let chats = Chats::new();
    let command = Command::Publish(Box::new(publish(ConversationType::Peer, "shop", &["ann"])));
    assert_eq!(refused(chats.ask("eve", command)), (20606, String::new()));
    let command = take_back("shop", ConversationType::Peer, "ann", 1);
    assert_eq!(refused(chats.ask("eve", command)), (20606, String::new()));
    let command = RecallMessage::default();
    assert_eq!(
        refused(chats.ask_as_server(Command::Recall(command))),
        (20606, String::new())
    );
}

#[test]
fn the_server_takes_back_any_message_at_any_time() {
    let chats = Chats::new();
    let group = chats.group("ann", &["bob"]);
    let sent = |answer: &Answer| answer.published[0].result.as_ref().expect("it is sent").message_id;
    let peer = result(send(&chats, "bob", to_user("ann", "x"))).message_id;
    let in_group = result(send(&chats, "bob", text(ConversationType::Group, &group, "x"))).message_id;
    let system = sent(&ask(&chats, publish(ConversationType::System, "news", &["ann"])));
    chats.wait(Duration::from_secs(86_400));
    for (command, told) in [
        (
            take_back("bob", ConversationType::Peer, "ann", peer),
            vec!["ann", "bob"],
        ),
        (
            take_back("admin", ConversationType::Group, &group, in_group),
            vec!["ann", "bob"],
        ),
        (take_back("news", ConversationType::System, "ann", system), vec!["ann"]),
    ] {
        let answer = chats.ask_as_server(command).expect("it is taken back");
        assert_eq!(answer.told(), [(told, "recalled")]);
    }
    for (command, code) in [
        (take_back("bob", ConversationType::Peer, "ann", peer), 6000279),
        (take_back("bob", ConversationType::Peer, "cid", peer), 22201),
        (take_back("bob", ConversationType::Peer, "ann", peer + 1), 22201),
        (take_back("bob", ConversationType::Group, "nowhere", in_group), 4303),
        (take_back("bob", ConversationType::Room, "lobby", in_group), 25101),
    ] {
        assert_eq!(refused(chats.ask_as_server(command)).0, code);
    }
}

#[test]
fn the_same_with_the_same_id_is_kept_once_for_each_target_and_answered_as_the_first_time() {
    let chats = Chats::new();
    let with_id = |targets: &[&str], content: &'static str| {
        let mut publish = publish(ConversationType::Peer, "shop", targets);
        publish.message.client_message_id = "order-7".to_owned();
        publish.message.content = content.into();
        publish
    };
    let ids = |answer: &Answer| -> Vec<u64> {
        let results = answer.published.iter();
        results
            .map(|each| each.result.as_ref().expect("it is sent").message_id)
            .collect()
    };
    let first = ask(&chats, with_id(&["ann", "bob"], "news"));
    let again = ask(&chats, with_id(&["bob", "ann", "cid"], "news"));
    assert_eq!(results(&again), [("bob", Ok(1)), ("ann", Ok(1)), ("cid", Ok(1))]);
    assert_eq!(ids(&again)[..2], [ids(&first)[1], ids(&first)[0]]);
    assert_eq!(again.told(), [(vec!["cid"], "message")], "the others have it");

    let other = ask(&chats, with_id(&["ann", "dora"], "other news"));
    assert_eq!(results(&other), [("ann", Err(33003)), ("dora", Ok(1))]);
    // To a discussion, in another name, or by a user in person, the same id is another message.
    let group = chats.group("ann", &["bob"]);
    let in_group = Publish {
        targets: texts(&[&group]),
        message: SendMessage {
            conversation_type: ConversationType::Group.into(),
            ..with_id(&[], "news").message
        },
        ..with_id(&[], "news")
    };
    assert_eq!(results(&ask(&chats, in_group)), [(group.as_str(), Ok(1))]);
    let by_another = Publish {
        as_user: UserId::parse("desk", IdProfile::Zim).expect("a user id"),
        ..with_id(&["ann"], "news")
    };
    assert_eq!(results(&ask(&chats, by_another)), [("ann", Ok(1))]);
    let in_person = SendMessage {
        client_message_id: "order-7".to_owned(),
        ..to_user("ann", "news")
    };
    assert_eq!(result(send(&chats, "shop", in_person)).sequence, 2);
    let last = ask(&chats, publish(ConversationType::Peer, "shop", &["bob"]));
    assert_eq!(results(&last), [("bob", Ok(2))], "once so far");
}
