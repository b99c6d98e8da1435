//! Sensitive words.

use serde_json::{Value, json};
use sluice_protocol::MessageType;
use sluice_protocol::frame::Body;
use sluice_tests::Gateway;

use super::{ROOM, alice_and_bob, ask, order, refused_with, unhindered};
use crate::rooms::{expect_quiet, message, next_message, refused, send, text};

#[tokio::test]
async fn words_are_refused_or_replaced_however_they_are_written() {
    let gateway = Gateway::start(unhindered);
    let [mut alice, mut bob] = alice_and_bob(&gateway).await;
    order(
        &gateway,
        "/sensitiveword/add.json",
        &[("word", "坏蛋"), ("replaceWord", "")],
    )
    .await;
    order(&gateway, "/sensitiveword/add.json", &[("word", "Cheat")]).await;
    order(
        &gateway,
        "/sensitiveword/add.json",
        &[("word", "money"), ("replaceWord", "***")],
    )
    .await;
    for (request_id, content) in (2..).zip(["你是坏蛋", "ＣＨＥＡＴ!", "a c\u{200b}heater"]) {
        let reply = alice.call(request_id, Body::SendMessage(text(ROOM, content))).await;
        assert_eq!(refused(&reply), (21501, ""), "{content}");
    }
    expect_quiet(&mut bob, 2).await;
    let result = send(&mut alice, 10, text(ROOM, "give MONEY, ｍｏｎｅｙ")).await;
    assert_eq!((result.distributed, result.notice), (true, 21502));
    for client in [&mut alice, &mut bob] {
        assert_eq!(next_message(client).await.content, "give ***, ***");
    }
    // Only texts are looked at, and what the app's server says is not.
    send(&mut alice, 11, message(ROOM, MessageType::Custom, "cheat")).await;
    assert_eq!(next_message(&mut bob).await.content, "cheat");
    let published = [
        ("fromUserId", "host"),
        ("toChatroomId", ROOM),
        ("objectName", "RC:TxtMsg"),
        ("content", "no cheat here"),
    ];
    ask(&gateway, "/message/chatroom/publish.json", &published).await;
    assert_eq!(next_message(&mut bob).await.content, "no cheat here");
    // What was said of a word before is replaced.
    order(
        &gateway,
        "/sensitiveword/add.json",
        &[("word", "Cheat"), ("replaceWord", "trick")],
    )
    .await;
    assert_eq!(send(&mut alice, 12, text(ROOM, "cheat")).await.notice, 21502);
    assert_eq!(next_message(&mut bob).await.content, "trick");
    order(&gateway, "/sensitiveword/delete.json", &[("word", "Cheat")]).await;
    order(
        &gateway,
        "/sensitiveword/batch/delete.json",
        &[("words", "坏蛋"), ("words", "never added")],
    )
    .await;
    for (request_id, content) in (13..).zip(["你是坏蛋", "cheat"]) {
        let result = send(&mut alice, request_id, text(ROOM, content)).await;
        assert_eq!(result.notice, 0);
        assert_eq!(next_message(&mut bob).await.content, content);
    }
}

#[tokio::test]
async fn a_word_is_the_same_however_it_is_written_and_of_any_script() {
    let gateway = Gateway::start(unhindered);
    let [mut alice, _bob] = alice_and_bob(&gateway).await;
    let add = "/sensitiveword/add.json";
    let scripts = [
        "हिन्दी",
        "ห้าม",
        "தமிழ்",
        "cafe\u{301}",
        "می\u{200c}خواهم",
        "word2vec",
        "𠮷",
    ];
    for word in scripts {
        order(&gateway, add, &[("word", word)]).await;
    }
    for (request_id, word) in (2..).zip(scripts) {
        let reply = alice.call(request_id, Body::SendMessage(text(ROOM, word))).await;
        assert_eq!(refused(&reply), (21501, ""), "{word}");
    }
    for wrong in ["two words", "semi-colon", "a_b", "\u{301}cafe", "\u{200d}", "*"] {
        assert_eq!(
            refused_with(&gateway, add, &[("word", wrong)]).await,
            (400, 1002),
            "{wrong}"
        );
    }
    // What was said of it before is replaced, and it is allowed again.
    order(&gateway, add, &[("word", "Darn")]).await;
    order(&gateway, add, &[("word", "ｄａｒｎ"), ("replaceWord", "dear")]).await;
    assert_eq!(send(&mut alice, 20, text(ROOM, "darn")).await.notice, 21502);
    order(&gateway, "/sensitiveword/delete.json", &[("word", "DARN")]).await;
    assert_eq!(send(&mut alice, 21, text(ROOM, "Darn")).await.notice, 0);
}

#[tokio::test]
async fn words_are_listed_by_what_becomes_of_them() {
    let gateway = Gateway::start(unhindered);
    let list = async |kind: &[(&str, &str)]| {
        let answer = ask(&gateway, "/sensitiveword/list.json", kind).await;
        let mut words = answer["words"].as_array().expect("a list").clone();
        words.sort_by_key(|word| word["word"].to_string());
        words
    };
    assert_eq!(list(&[("type", "2")]).await, Vec::<Value>::new());
    order(
        &gateway,
        "/sensitiveword/add.json",
        &[("word", "money"), ("replaceWord", "***")],
    )
    .await;
    order(&gateway, "/sensitiveword/add.json", &[("word", "cheat"), ("type", "9")]).await;
    let cheat = json!({ "word": "cheat", "replaceWord": "", "type": "1" });
    let money = json!({ "word": "money", "replaceWord": "***", "type": "0" });
    let (of_cheat, of_money) = (vec![cheat.clone()], vec![money.clone()]);
    assert_eq!(list(&[]).await, of_cheat);
    assert_eq!(list(&[("type", "1")]).await, of_cheat);
    assert_eq!(list(&[("type", "0")]).await, of_money);
    assert_eq!(list(&[("type", "2")]).await, [cheat, money]);
    assert_eq!(
        refused_with(&gateway, "/sensitiveword/list", &[("type", "10")]).await,
        (400, 1002)
    );
}

#[tokio::test]
async fn words_added_at_the_same_time_do_not_lose_each_other() {
    let gateway = Gateway::start(unhindered);
    let gateway = std::sync::Arc::new(gateway);
    let mut adding = tokio::task::JoinSet::new();
    for number in 0..30 {
        let gateway = gateway.clone();
        adding.spawn(async move {
            order(
                &gateway,
                "/sensitiveword/add.json",
                &[("word", &format!("word{number}"))],
            )
            .await;
        });
    }
    adding.join_all().await;
    let answer = ask(&gateway, "/sensitiveword/list.json", &[]).await;
    assert_eq!(answer["words"].as_array().map(Vec::len), Some(30));
}
