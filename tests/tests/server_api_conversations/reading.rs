//! Reading conversations, page by page.

use sluice_protocol::{MediaInfo, MessageKeep, MessageType, PutCombinedPart, SendMessage, SenderInfo};

use super::*;

const PRIVATE: [(&str, &str); 3] = [("conversationType", "1"), ("fromUserId", "alice"), ("targetId", "bob")];

async fn talk(gateway: &Gateway, count: usize, content: &str) {
    for _ in 0..count {
        let fields = [
            ("fromUserId", "alice"),
            ("toUserId", "bob"),
            ("objectName", "RC:TxtMsg"),
            ("content", content),
        ];
        ask(gateway, "/message/private/publish.json", &fields).await;
    }
}

/// The sequence numbers of all pages, page by page.
async fn pages(gateway: &Gateway, more: &[(&str, &str)]) -> Vec<Vec<u64>> {
    let mut pages = Vec::new();
    let mut after = "0".to_owned();
    loop {
        let fields = [&PRIVATE[..], more, &[("after", &*after)]].concat();
        let page = ask(gateway, "/conversation/history.json", &fields).await;
        let messages = page["messages"].as_array().expect("a list");
        pages.push(
            messages
                .iter()
                .filter_map(|message| message["sequence"].as_u64())
                .collect(),
        );
        match page["next"].as_u64() {
            Some(next) => after = next.to_string(),
            None => return pages,
        }
    }
}

#[tokio::test]
async fn history_is_copied_in_pages_without_a_gap_or_a_repeat() {
    let gateway = Gateway::start(free);
    talk(&gateway, 205, "hello").await;
    let all: Vec<u64> = (1..=205).collect();
    assert_eq!(pages(&gateway, &[]).await, [&all[..100], &all[100..200], &all[200..]]);
    assert_eq!(pages(&gateway, &[("limit", "205")]).await, [&all[..]]);
    assert_eq!(pages(&gateway, &[("limit", "1000")]).await, [&all[..]]);
    let small = pages(&gateway, &[("limit", "7")]).await;
    assert_eq!((small.len(), small.concat()), (30, all));
    for limit in ["0", "1001"] {
        let fields = [&PRIVATE[..], &[("limit", limit)]].concat();
        assert_eq!(
            refused_with(&gateway, "/conversation/history.json", &fields).await,
            (400, 1002)
        );
    }
}

#[tokio::test]
async fn a_page_of_large_messages_has_fewer_of_them() {
    let gateway = Gateway::start(free);
    talk(&gateway, 40, &"x".repeat(32 << 10)).await;
    let pages = pages(&gateway, &[("limit", "1000")]).await;
    assert!(pages.len() >= 3, "{} pages", pages.len());
    assert_eq!(pages.concat(), (1..=40).collect::<Vec<u64>>());
}

#[tokio::test]
async fn a_message_is_told_as_it_was_sent_and_as_it_is_now() {
    let gateway = Gateway::start(free);
    let mut alice = online(&gateway, "alice").await;
    assert_eq!(comes_to(&mut alice, 1, ConversationType::Peer, "bob").await.0, 0);
    let command = SendMessage {
        r#type: MessageType::Custom.into(),
        object_name: "app:raw".into(),
        ..to(ConversationType::Peer, "bob", vec![0xff, 0])
    };
    crate::conversations::say(&mut alice, 2, command).await;
    // By either of the two.
    let of_bob = [("conversationType", "1"), ("fromUserId", "bob"), ("targetId", "alice")];
    let page = ask(&gateway, "/conversation/history.json", &of_bob).await;
    let messages = page["messages"].as_array().expect("a list");
    assert_eq!(
        (&messages[0]["content"], &messages[0]["type"]),
        (&json!("hello"), &json!(1))
    );
    assert_eq!(
        (&messages[0]["fromUserId"], &messages[0]["targetId"]),
        (&json!("alice"), &json!("bob"))
    );
    assert_eq!(
        (&messages[0]["fromServer"], &messages[0]["recalledTime"]),
        (&json!(false), &json!(0))
    );
    assert_eq!(
        (&messages[1]["contentHex"], messages[1].get("content")),
        (&json!("ff00"), None)
    );
    assert_eq!(messages[1]["objectName"], json!("app:raw"));

    let id = messages[0]["messageUID"].as_str().expect("an id");
    let recall = [("fromUserId", "alice"), PRIVATE[0], PRIVATE[2], ("messageUID", id)];
    order(&gateway, "/message/recall.json", &recall).await;
    let page = ask(&gateway, "/conversation/history.json", &of_bob).await;
    assert_eq!(page["messages"][0]["content"], json!(""));
    assert_eq!(page["messages"][0]["recalledBy"], json!("alice"));
}

#[tokio::test]
async fn conversations_and_their_members_are_told() {
    let gateway = Gateway::start(free);
    let group = [
        ("groupId", GROUP),
        ("groupName", "Friends"),
        ("userId", "alice"),
        ("userId", "bob"),
    ];
    order(&gateway, "/group/create.json", &group).await;
    talk(&gateway, 2, "hi").await;
    let system = [
        ("fromUserId", "sys"),
        ("toUserId", "bob"),
        ("objectName", "RC:TxtMsg"),
        ("content", "x"),
    ];
    ask(&gateway, "/message/system/publish.json", &system).await;

    let list = async |more: &[(&str, &str)]| {
        let page = ask(
            &gateway,
            "/conversation/query.json",
            &[&[("userId", "bob")], more].concat(),
        )
        .await;
        let of = |one: &Value| {
            (
                one["conversationType"].as_u64(),
                one["targetId"].as_str().map(str::to_owned),
            )
        };
        let listed: Vec<_> = page["conversations"]
            .as_array()
            .expect("a list")
            .iter()
            .map(of)
            .collect();
        (listed, page["more"].as_bool().expect("a flag"))
    };
    let one = |kind, id: &str| (Some(kind), Some(id.to_owned()));
    let all = vec![one(6, "sys"), one(1, "alice"), one(3, GROUP)];
    assert_eq!(list(&[]).await, (all.clone(), false));
    assert_eq!(list(&[("limit", "2")]).await, (all[..2].to_vec(), true));
    assert_eq!(list(&[("skip", "2")]).await, (all[2..].to_vec(), false));
    assert_eq!(list(&[("conversationType", "1")]).await, (all[1..2].to_vec(), false));

    let of_group = [("conversationType", "3"), ("targetId", GROUP)];
    let said = ask(&gateway, "/conversation/get.json", &of_group).await;
    assert_eq!(
        (&said["name"], &said["memberCount"], &said["lastSequence"]),
        (&json!("Friends"), &json!(2), &json!(0))
    );
    let said = ask(&gateway, "/conversation/get.json", &PRIVATE).await;
    assert_eq!((&said["targetId"], &said["lastSequence"]), (&json!("bob"), &json!(2)));
    let members = ask(&gateway, "/conversation/user/query.json", &of_group).await;
    let users: Vec<_> = members["members"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| &one["userId"])
        .collect();
    assert_eq!(
        (users, &members["memberCount"]),
        (vec![&json!("alice"), &json!("bob")], &json!(2))
    );

    let nowhere = [("conversationType", "3"), ("targetId", "nowhere")];
    for path in ["/conversation/get", "/conversation/user/query", "/conversation/history"] {
        assert_eq!(refused_with(&gateway, path, &nowhere).await, (400, 4303), "{path}");
        let room = [("conversationType", "4"), ("targetId", "lobby")];
        assert_eq!(refused_with(&gateway, path, &room).await, (430, 1009), "{path}");
    }
    let of_nobody = [("conversationType", "1"), ("targetId", "bob")];
    assert_eq!(
        refused_with(&gateway, "/conversation/get", &of_nobody).await,
        (400, 1002)
    );
}

#[tokio::test]
async fn what_is_hidden_from_one_user_is_there_for_the_other() {
    let gateway = Gateway::start(free);
    talk(&gateway, 3, "hi").await;
    let hiding = [("conversationType", "1"), ("fromUserId", "bob"), ("targetId", "alice")];
    order(&gateway, "/conversation/message/history/clean.json", &hiding).await;
    talk(&gateway, 1, "later").await;
    let page = missed(&gateway, "bob").await;
    let seen: Vec<u64> = page.messages.iter().map(|message| message.sequence).collect();
    assert_eq!(seen, [4]);
    let page = missed(&gateway, "alice").await;
    assert_eq!(page.messages.len(), 4);
    let not_inside = [("conversationType", "3"), ("fromUserId", "bob"), ("targetId", GROUP)];
    let path = "/conversation/message/history/clean.json";
    assert_eq!(refused_with(&gateway, path, &not_inside).await, (400, 4303));
}

#[tokio::test]
async fn a_message_is_exported_with_all_that_goes_with_it_and_its_parts() {
    let gateway = Gateway::start(free);
    let mut alice = online(&gateway, "alice").await;
    let photo = SendMessage {
        r#type: MessageType::Image.into(),
        client_message_id: "photo-1".into(),
        media: Some(MediaInfo {
            url: "https://example.com/cat".into(),
            format: "png".into(),
            size_bytes: 2048,
            width: 640,
            height: 480,
            file_name: "cat.png".into(),
            ..MediaInfo::default()
        }),
        sender_info: Some(SenderInfo {
            user_id: "alice".into(),
            name: "Al".into(),
            portrait_url: "https://example.com/al".into(),
            extra: "x".into(),
        }),
        mentioned_user_ids: vec!["bob".into()],
        push_content: "A cat".into(),
        push_data: "{}".into(),
        keep: MessageKeep::Stored.into(),
        ..to(ConversationType::Peer, "bob", "")
    };
    crate::conversations::say(&mut alice, 1, photo).await;
    let parts: [&[u8]; 3] = [b"one", &[0xff, 0], b"three"];
    for (part, content) in (0..).zip(parts) {
        let command = PutCombinedPart {
            combined_id: "album".into(),
            part,
            content: content.to_vec().into(),
        };
        let reply = alice.call(2 + part, Body::PutCombinedPart(command)).await;
        assert_eq!(reply.code, 0, "{reply:?}");
    }
    let album = SendMessage {
        r#type: MessageType::Combined.into(),
        combined_id: "album".into(),
        mention_all: true,
        ..to(ConversationType::Peer, "bob", "3 pictures")
    };
    crate::conversations::say(&mut alice, 9, album).await;

    let page = ask(&gateway, "/conversation/history.json", &PRIVATE).await;
    let [photo, album] = &page["messages"].as_array().expect("a list")[..] else {
        panic!("{page}")
    };
    let media = json!({
        "url": "https://example.com/cat", "format": "png", "size": 2048, "duration": 0, "width": 640, "height": 480,
        "name": "cat.png",
    });
    assert_eq!(photo["media"], media);
    let info = json!({ "name": "Al", "portraitUrl": "https://example.com/al", "extra": "x" });
    assert_eq!(photo["senderInfo"], info);
    for (name, expected) in [
        ("clientMessageId", json!("photo-1")),
        ("mentionedUserIds", json!(["bob"])),
        ("mentionAll", json!(false)),
        ("pushContent", json!("A cat")),
        ("pushData", json!("{}")),
        ("keep", json!(2)),
        ("priority", json!(0)),
    ] {
        assert_eq!(photo[name], expected, "{name}");
    }
    assert_eq!(photo.get("combinedId"), None);
    assert_eq!(
        (&album["type"], &album["combinedId"], &album["mentionAll"]),
        (&json!(100), &json!("album"), &json!(true))
    );
    assert_eq!((album.get("media"), album.get("senderInfo")), (None, None));

    let id = album["messageUID"].as_str().expect("an id");
    let of_album = [&PRIVATE[..], &[("messageUID", id)]].concat();
    let path = "/conversation/combined/query.json";
    let said = json!([
        { "part": 0, "content": "one" }, { "part": 1, "contentHex": "ff00" }, { "part": 2, "content": "three" },
    ]);
    assert_eq!(ask(&gateway, path, &of_album).await, json!({ "parts": said }));
    let last = [&of_album[..], &[("fromPart", "2")]].concat();
    assert_eq!(ask(&gateway, path, &last).await, json!({ "parts": [said[2]] }));
    let other = [
        &PRIVATE[..],
        &[("messageUID", photo["messageUID"].as_str().expect("an id"))],
    ]
    .concat();
    assert_eq!(
        refused_with(&gateway, path, &other).await,
        (400, 22201),
        "it is no combined one"
    );
    let recall = [&of_album[..], &[]].concat();
    order(&gateway, "/message/recall.json", &recall).await;
    assert_eq!(
        refused_with(&gateway, path, &of_album).await,
        (400, 22201),
        "it is taken back"
    );
}

#[tokio::test]
async fn parts_that_are_more_than_a_page_come_in_several() {
    let gateway = Gateway::start(free);
    let mut alice = online(&gateway, "alice").await;
    for part in 0..40 {
        let command = PutCombinedPart {
            combined_id: "album".into(),
            part,
            content: vec![b'a' + u8::try_from(part % 26).expect("it is small"); 32 << 10].into(),
        };
        let reply = alice.call(1 + part, Body::PutCombinedPart(command)).await;
        assert_eq!(reply.code, 0, "{reply:?}");
    }
    let album = SendMessage {
        r#type: MessageType::Combined.into(),
        combined_id: "album".into(),
        ..to(ConversationType::Peer, "bob", "40 pictures")
    };
    let sent = crate::conversations::say(&mut alice, 99, album).await;
    let (id, mut first, mut seen) = (sent.message_id.to_string(), 0, Vec::new());
    loop {
        let from = first.to_string();
        let fields = [&PRIVATE[..], &[("messageUID", &*id), ("fromPart", &*from)]].concat();
        let page = ask(&gateway, "/conversation/combined/query.json", &fields).await;
        let parts = page["parts"].as_array().expect("a list");
        assert_eq!(parts[0]["part"], json!(first));
        seen.extend(parts.iter().filter_map(|part| part["part"].as_u64()));
        match page["next"].as_u64() {
            Some(next) => first = next,
            None => break,
        }
    }
    assert_eq!(seen, (0..40).collect::<Vec<u64>>());
}
