//! Messages of the server to users, groups and discussions, and taking them back.

use sluice_protocol::{CreateConversation, MessageType, reply};
use sluice_tests::{ApiCall, wait_until};

use super::*;
use crate::conversations::several_devices;

const TEXT: (&str, &str) = ("objectName", "RC:TxtMsg");

fn message_id(answer: &Value, place: usize) -> u64 {
    let id = answer["messageUIDs"][place]["messageUID"].as_str().expect("an id");
    id.parse().expect("digits")
}

#[tokio::test]
async fn a_private_message_is_kept_for_who_is_offline_and_comes_at_once_to_who_is_not() {
    let gateway = Gateway::start(free);
    let mut bob = online(&gateway, "bob").await;
    let content = ("content", "{\"content\":\"hello\",\"extra\":\"beside\"}");
    let fields = [
        ("fromUserId", "system"),
        ("toUserId", "bob"),
        ("toUserId", "carol"),
        TEXT,
        content,
    ];
    let sent = ask(&gateway, "/message/private/publish.json", &fields).await;
    assert_eq!(
        (&sent["messageUIDs"][0]["userId"], &sent["messageUIDs"][1]["userId"]),
        (&json!("bob"), &json!("carol"))
    );
    let message = next(&mut bob).await;
    assert_eq!((text_of(&message), &*message.extended_data), ("hello", "beside"));
    assert_eq!((message.message_id, message.sequence), (message_id(&sent, 0), 1));
    assert!(message.from_server);
    assert_eq!(message.sender.expect("a sender").user_id, "system");

    let page = missed(&gateway, "carol").await;
    let [conversation] = &page.conversations[..] else {
        panic!("{page:?}")
    };
    assert_eq!(conversation.unread, 1);
    let info = conversation.info.as_ref().expect("which");
    assert_eq!((info.r#type(), &*info.id), (ConversationType::Peer, "system"));
    assert_eq!(page.messages[0].message_id, message_id(&sent, 1));
    // They can answer: it is a conversation of two.
    assert_eq!(comes_to(&mut bob, 1, ConversationType::Peer, "system").await.0, 0);
}

#[tokio::test]
async fn the_sender_is_told_if_asked_and_what_does_not_count_is_not_unread() {
    let gateway = Gateway::start(|config| {
        free(config);
        several_devices(config);
    });
    let mut alice = online(&gateway, "alice").await;
    let base = [("fromUserId", "alice"), ("toUserId", "bob"), TEXT];
    let with = |more: &[(&'static str, &'static str)]| [&base[..], more].concat();
    let path = "/message/private/publish.json";
    ask(&gateway, path, &with(&[("content", "one")])).await;
    ask(
        &gateway,
        path,
        &with(&[("content", "two"), ("isIncludeSender", "1"), ("isCounted", "0")]),
    )
    .await;
    let message = next(&mut alice).await;
    assert_eq!(
        (text_of(&message), message.sequence),
        ("two", 2),
        "of the first she was not told"
    );
    let page = missed(&gateway, "bob").await;
    assert_eq!((page.conversations[0].unread, page.messages.len()), (1, 2));

    let momentary = with(&[("content", "three")]);
    ask(&gateway, "/statusmessage/private/publish.json", &momentary).await;
    let page = missed(&gateway, "bob").await;
    assert_eq!(page.messages.len(), 2, "nobody was there for the third");
}

#[tokio::test]
async fn a_refusal_for_one_user_is_none_for_the_others() {
    let gateway = Gateway::start(free);
    order(
        &gateway,
        "/user/blacklist/add.json",
        &[("userId", "carol"), ("blackUserId", "alice")],
    )
    .await;
    let to = ["alice", "bob", "carol"].map(|user| ("toUserId", user));
    let mut fields = vec![("fromUserId", "alice"), TEXT, ("content", "hi")];
    fields.extend(to);
    let path = "/message/private/publish.json";
    let sent = ask(&gateway, path, &fields).await;
    let failed = sent["failed"].as_array().expect("some were refused");
    assert_eq!(
        (failed.len(), &failed[0]["userId"], &failed[0]["code"]),
        (1, &json!("alice"), &json!(1002))
    );
    assert_eq!(
        sent["messageUIDs"].as_array().map(Vec::len),
        Some(2),
        "lists do not bind the server"
    );
    fields.push(("verifyBlacklist", "1"));
    let sent = ask(&gateway, path, &fields).await;
    assert_eq!(
        (&sent["failed"][1]["userId"], &sent["failed"][1]["code"]),
        (&json!("carol"), &json!(405))
    );
    let to_carol = [
        ("fromUserId", "alice"),
        TEXT,
        ("content", "hi"),
        ("toUserId", "carol"),
        ("verifyBlacklist", "1"),
    ];
    let sent = ask(&gateway, path, &to_carol).await;
    assert_eq!(sent["messageUIDs"], json!([]), "who asks for it gets no error of it");
    let to_oneself = [("fromUserId", "alice"), TEXT, ("content", "hi"), ("toUserId", "alice")];
    assert_eq!(refused_with(&gateway, path, &to_oneself).await, (400, 1002));
}

#[tokio::test]
async fn a_message_to_a_thousand_users_reaches_all() {
    let gateway = Gateway::start(free);
    let users: Vec<String> = (0..1000).map(|number| format!("user{number}")).collect();
    let mut fields = vec![("fromUserId", "system"), TEXT, ("content", "hi")];
    fields.extend(users.iter().map(|user| ("toUserId", user.as_str())));
    let sent = ask(&gateway, "/message/private/publish.json", &fields).await;
    let sent = sent["messageUIDs"].as_array().expect("a list").clone();
    assert_eq!(sent.len(), 1000);
    for (user, sent) in users.iter().zip(&sent) {
        assert_eq!(sent["userId"], json!(user));
    }
    assert_eq!(missed(&gateway, "user999").await.messages.len(), 1);
}

#[tokio::test]
async fn a_message_to_a_group_says_who_is_meant_and_can_be_for_some_alone() {
    let gateway = Gateway::start(free);
    let mut alice = online(&gateway, "alice").await;
    let mut bob = online(&gateway, "bob").await;
    group_of(&gateway, &mut [("alice", &mut alice), ("bob", &mut bob)]).await;
    let base = [("fromUserId", "system"), ("toGroupId", GROUP), TEXT];
    let path = "/message/group/publish.json";
    let content = "{\"content\":\"look\",\"mentionedInfo\":{\"type\":2,\"userIdList\":[\"bob\"]}}";
    let push = [
        ("content", content),
        ("isMentioned", "1"),
        ("pushContent", "News"),
        ("pushData", "{}"),
    ];
    let sent = ask(&gateway, path, &[&base[..], &push].concat()).await;
    assert_eq!(sent["messageUIDs"][0]["groupId"], json!(GROUP));
    for client in [&mut alice, &mut bob] {
        let message = next(client).await;
        assert_eq!((text_of(&message), message.sequence), ("look", 1));
        assert_eq!(
            (&message.mentioned_user_ids[..], message.mention_all),
            (&["bob".to_owned()][..], false)
        );
        assert_eq!((&*message.push_content, &*message.push_data), ("News", "{}"));
    }
    let all = "{\"content\":\"all\",\"mentionedInfo\":{\"type\":1}}";
    ask(
        &gateway,
        path,
        &[&base[..], &[("content", all), ("isMentioned", "1")]].concat(),
    )
    .await;
    // Not asked for: what the content says is the app's own.
    ask(&gateway, path, &[&base[..], &[("content", all)]].concat()).await;
    for client in [&mut alice, &mut bob] {
        assert!(next(client).await.mention_all);
        assert!(!next(client).await.mention_all);
    }
    let aside = [("content", "psst"), ("toUserId", "bob"), ("toUserId", "stranger")];
    ask(&gateway, path, &[&base[..], &aside].concat()).await;
    let message = next(&mut bob).await;
    assert_eq!((text_of(&message), message.sequence), ("psst", 0), "it is not kept");
    ask(&gateway, path, &[&base[..], &[("content", "again")]].concat()).await;
    assert_eq!(text_of(&next(&mut alice).await), "again", "she was not told");
    let two = [("content", "psst"), ("toUserId", "bob"), ("toGroupId", "g2")];
    assert_eq!(
        refused_with(&gateway, path, &[&base[..], &two].concat()).await,
        (400, 1002)
    );
}

#[tokio::test]
async fn formats_of_the_vendor_and_of_the_app_are_carried_and_commands_are_not_kept() {
    let gateway = Gateway::start(free);
    let mut bob = online(&gateway, "bob").await;
    for (name, kind, kept) in [
        ("RC:ImgMsg", MessageType::Custom, 1),
        ("app:order", MessageType::Custom, 2),
        ("RC:CmdMsg", MessageType::Command, 0),
    ] {
        let fields = [
            ("fromUserId", "system"),
            ("toUserId", "bob"),
            ("objectName", name),
            ("content", "{}"),
        ];
        ask(&gateway, "/message/private/publish.json", &fields).await;
        let message = next(&mut bob).await;
        assert_eq!((message.r#type(), message.sequence), (kind, kept), "{name}");
        let shown = if kind == MessageType::Custom { name } else { "" };
        assert_eq!((&*message.object_name, text_of(&message)), (shown, "{}"));
    }
}

#[tokio::test]
async fn what_the_server_writes_to_a_user_is_a_conversation_in_which_the_user_cannot_answer() {
    let gateway = Gateway::start(free);
    let mut bob = online(&gateway, "bob").await;
    let fields = [
        ("fromUserId", "__SYSTEM__"),
        ("toUserId", "bob"),
        TEXT,
        ("content", "notice"),
    ];
    let sent = ask(&gateway, "/message/system/publish.json", &fields).await;
    let message = next(&mut bob).await;
    assert_eq!(
        (message.conversation_type(), text_of(&message)),
        (ConversationType::System, "notice")
    );
    assert_eq!(message.message_id, message_id(&sent, 0));
    assert_eq!(
        comes_to(&mut bob, 1, ConversationType::System, "__SYSTEM__").await.0,
        20109
    );
    // Apart from what the same one writes one-to-one.
    ask(&gateway, "/message/private/publish.json", &fields).await;
    assert_eq!(next(&mut bob).await.sequence, 1);
}

#[tokio::test]
async fn a_message_to_a_discussion_that_users_made_comes_to_its_members() {
    let gateway = Gateway::start(free);
    let mut alice = online(&gateway, "alice").await;
    let command = CreateConversation {
        user_ids: vec!["bob".into()],
        ..CreateConversation::default()
    };
    let reply = alice.call(1, Body::CreateConversation(command)).await;
    let Some(reply::Result::ConversationCreated(created)) = reply.result else {
        panic!("{reply:?}")
    };
    let id = created.conversation.expect("which").id;
    let fields = [
        ("fromUserId", "system"),
        ("toDiscussionId", &*id),
        TEXT,
        ("content", "hi"),
    ];
    let sent = ask(&gateway, "/message/discussion/publish.json", &fields).await;
    assert_eq!(sent["messageUIDs"][0]["discussionId"], json!(id));
    loop {
        match alice.event().await {
            Body::ConversationMessage(message) => break assert_eq!(text_of(&message), "hi"),
            Body::MembersJoined(_) => {}
            other => panic!("{other:?}"),
        }
    }
    let nowhere = [
        ("fromUserId", "system"),
        ("toDiscussionId", "nowhere"),
        TEXT,
        ("content", "hi"),
    ];
    let sent = ask(&gateway, "/message/discussion/publish.json", &nowhere).await;
    assert_eq!(sent, json!({ "messageUIDs": [] }));
}

#[tokio::test]
async fn a_template_says_to_each_what_is_for_that_one() {
    let gateway = Gateway::start(free);
    let mut bob = online(&gateway, "bob").await;
    let mut carol = online(&gateway, "carol").await;
    for (path, kind) in [
        ("/message/private/publish_template.json", ConversationType::Peer),
        ("/message/system/publish_template.json", ConversationType::System),
    ] {
        // As the vendor's library sends it.
        let body = json!({
            "fromUserId": "__SYSTEM__", "objectName": "RC:TxtMsg",
            "content": "{\"content\":\"{name}: {score}\"}",
            "toUserId": ["bob", "carol"],
            "values": [{ "{name}": "小明", "{score}": "90" }, { "{name}": "\"x\"", "{score}": "95" }],
            "pushContent": ["{name}", "{name}"], "pushData": [null, null],
        });
        let answer = ApiCall::new(path, &[]).json(&body).send(gateway.api()).await;
        assert_eq!(
            (answer.code(), answer.json["messageUIDs"].as_array().map(Vec::len)),
            (200, Some(2))
        );
        for (client, expected) in [(&mut bob, "小明: 90"), (&mut carol, "\"x\": 95")] {
            let message = next(client).await;
            assert_eq!((text_of(&message), message.conversation_type()), (expected, kind));
        }
        let mut fewer = body.clone();
        fewer["values"] = json!([{}]);
        let answer = ApiCall::new(path, &[]).json(&fewer).send(gateway.api()).await;
        assert_eq!((answer.status, answer.code()), (400, 1002), "one for each user");
    }
}

#[tokio::test]
async fn what_is_taken_back_is_gone_for_all_and_what_never_was_is_no_error() {
    let gateway = Gateway::start(free);
    let mut alice = online(&gateway, "alice").await;
    let mut bob = online(&gateway, "bob").await;
    group_of(&gateway, &mut [("alice", &mut alice), ("bob", &mut bob)]).await;
    let in_group = [
        ("fromUserId", "system"),
        ("toGroupId", GROUP),
        TEXT,
        ("content", "oops"),
    ];
    let private = [("fromUserId", "alice"), ("toUserId", "bob"), TEXT, ("content", "oops")];
    let system = [("fromUserId", "system"), ("toUserId", "bob"), TEXT, ("content", "oops")];
    for (number, kind, path, fields, target) in [
        ("3", ConversationType::Group, "/message/group/publish", in_group, GROUP),
        ("1", ConversationType::Peer, "/message/private/publish", private, "bob"),
        ("6", ConversationType::System, "/message/system/publish", system, "bob"),
    ] {
        let id = message_id(&ask(&gateway, path, &fields).await, 0).to_string();
        assert_eq!(text_of(&next(&mut bob).await), "oops");
        let recall = [
            fields[0],
            ("conversationType", number),
            ("targetId", target),
            ("messageUID", &id),
        ];
        for _ in 0..2 {
            order(&gateway, "/message/recall.json", &recall).await;
        }
        match bob.event().await {
            Body::MessageRecalled(recalled) => {
                assert_eq!((recalled.r#type(), recalled.message_id.to_string()), (kind, id));
                assert_eq!(recalled.by_user_id, fields[0].1);
            }
            other => panic!("{other:?}"),
        }
        for unknown in ["MUSD-FKDS-AAF1-09FH", "123456789"] {
            let recall = [
                fields[0],
                ("conversationType", number),
                ("targetId", target),
                ("messageUID", unknown),
            ];
            order(&gateway, "/message/recall.json", &recall).await;
        }
    }
    let page = missed(&gateway, "bob").await;
    assert!(
        page.messages
            .iter()
            .all(|message| message.recalled_at_ms > 0 && message.content.is_empty())
    );
    for (number, expected) in [("5", (430, 1009)), ("11", (400, 1002)), ("undefined", (400, 1002))] {
        let recall = [
            private[0],
            ("conversationType", number),
            ("targetId", "bob"),
            ("messageUID", "1"),
        ];
        assert_eq!(
            refused_with(&gateway, "/message/recall", &recall).await,
            expected,
            "{number}"
        );
    }
}

#[tokio::test]
async fn a_call_that_is_made_again_with_the_same_id_sends_nothing_twice() {
    let gateway = Gateway::start(free);
    let mut group = vec![("groupId", GROUP), ("groupName", "Friends")];
    group.extend([("userId", "bob"), ("userId", "carol")]);
    order(&gateway, "/group/create.json", &group).await;
    let base = [("fromUserId", "system"), TEXT, ("clientMessageId", "order-7")];
    let to_users = [
        &base[..],
        &[("content", "hi"), ("toUserId", "bob"), ("toUserId", "carol")],
    ]
    .concat();
    let to_group = [&base[..], &[("content", "hi"), ("toGroupId", GROUP)]].concat();
    for (path, fields, count) in [
        ("/message/private/publish.json", &to_users, 2),
        ("/message/system/publish.json", &to_users, 2),
        ("/message/group/publish.json", &to_group, 1),
    ] {
        let first = ask(&gateway, path, fields).await;
        assert_eq!(first["messageUIDs"].as_array().map(Vec::len), Some(count));
        assert_eq!(ask(&gateway, path, fields).await, first, "{path}");
    }
    let body = json!({
        "fromUserId": "system", "objectName": "RC:TxtMsg", "content": "{\"content\":\"{name}!\"}", "clientMessageId": "order-8",
        "toUserId": ["bob", "carol"], "values": [{ "{name}": "Bob" }, { "{name}": "Carol" }],
    });
    let path = "/message/private/publish_template.json";
    let first = ApiCall::new(path, &[]).json(&body).send(gateway.api()).await;
    let again = ApiCall::new(path, &[]).json(&body).send(gateway.api()).await;
    assert_eq!(
        (first.code(), &first.json["messageUIDs"]),
        (200, &again.json["messageUIDs"])
    );
    assert_eq!(missed(&gateway, "bob").await.messages.len(), 4);

    let other = [&base[..], &[("content", "ho"), ("toUserId", "bob")]].concat();
    assert_eq!(
        refused_with(&gateway, "/message/private/publish.json", &other).await,
        (400, 1002)
    );
    let long = "x".repeat(65);
    let fields = [
        ("fromUserId", "system"),
        TEXT,
        ("content", "hi"),
        ("toUserId", "bob"),
        ("clientMessageId", &*long),
    ];
    assert_eq!(
        refused_with(&gateway, "/message/private/publish.json", &fields).await,
        (400, 1005)
    );
    let taken = r#"sluice_conversation_published_total{kind="text"}"#;
    wait_until("all are counted", async || gateway.metric(taken).await >= 7.0).await;
    assert!(gateway.metric(taken).await < 8.0, "repeats are not");
}

#[tokio::test]
async fn who_is_named_twice_gets_a_message_once() {
    let gateway = Gateway::start(free);
    let fields = [
        ("fromUserId", "system"),
        TEXT,
        ("content", "hi"),
        ("toUserId", "bob"),
        ("toUserId", "carol"),
        ("toUserId", "bob"),
    ];
    let sent = ask(&gateway, "/message/private/publish.json", &fields).await;
    let users: Vec<_> = sent["messageUIDs"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| &one["userId"])
        .collect();
    assert_eq!(users, ["bob", "carol"]);
    assert_eq!(missed(&gateway, "bob").await.messages.len(), 1);
    let body = json!({
        "fromUserId": "system", "objectName": "RC:TxtMsg", "content": "{name}",
        "toUserId": ["bob", "bob"], "values": [{ "{name}": "Bob" }, { "{name}": "Rob" }],
    });
    let answer = ApiCall::new("/message/private/publish_template.json", &[])
        .json(&body)
        .send(gateway.api())
        .await;
    assert_eq!((answer.status, answer.code()), (400, 1002), "which words would it be?");
}
