//! What is too many, too long, or nothing: the limits of each path, at the limit and one beyond.

use sluice_tests::Gateway;

use super::{ROOM, order, refused_with, unhindered};

type Fields = Vec<(String, String)>;

fn fields(fixed: &[(&str, &str)]) -> Fields {
    fixed
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// The same with a field so many times, each with another value.
fn with_many(fixed: &[(&str, &str)], name: &str, count: usize) -> Fields {
    let many = (0..count).map(|number| (name.to_owned(), format!("n{number}")));
    fields(fixed).into_iter().chain(many).collect()
}

fn borrowed(fields: &Fields) -> Vec<(&str, &str)> {
    fields.iter().map(|(name, value)| (&**name, &**value)).collect()
}

#[tokio::test]
async fn one_more_than_a_call_may_name_is_refused_and_the_limit_is_not() {
    let gateway = Gateway::start(unhindered);
    let room: &[(&str, &str)] = &[("chatroomId", ROOM)];
    let gag: &[(&str, &str)] = &[("chatroomId", ROOM), ("minute", "30")];
    for (path, fixed, name, max) in [
        ("/chatroom/destroy", &[][..], "chatroomId", 20),
        ("/chatroom/user/gag/add", gag, "userId", 20),
        ("/chatroom/user/gag/rollback", room, "userId", 20),
        ("/chatroom/user/block/add", gag, "userId", 20),
        ("/chatroom/user/block/rollback", room, "userId", 20),
        ("/chatroom/user/ban/add", &gag[1..], "userId", 20),
        ("/chatroom/user/ban/remove", &[], "userId", 20),
        ("/chatroom/user/ban/whitelist/add", room, "userId", 20),
        ("/chatroom/user/ban/whitelist/rollback", room, "userId", 20),
        ("/chatroom/user/whitelist/remove", room, "userId", 20),
        ("/chatroom/user/kick", room, "userId", 50),
        ("/chatroom/join", room, "userId", 50),
        ("/chatroom/message/priority/add", &[], "objectName", 20),
        ("/chatroom/message/priority/remove", &[], "objectName", 20),
        ("/chatroom/whitelist/add", &[], "objectnames", 20),
        ("/chatroom/whitelist/delete", &[], "objectnames", 20),
        ("/sensitiveword/batch/delete", &[], "words", 50),
    ] {
        let none = with_many(fixed, name, 0);
        let (status, code) = refused_with(&gateway, path, &borrowed(&none)).await;
        assert!(
            status == 400 && [1002, 1003].contains(&code),
            "{path} without {name}: {status} {code}"
        );
        let too_many = with_many(fixed, name, max + 1);
        assert_eq!(
            refused_with(&gateway, path, &borrowed(&too_many)).await,
            (400, 1002),
            "{path}"
        );
        order(&gateway, path, &borrowed(&with_many(fixed, name, max))).await;
    }
    let rooms: Fields = (0..101)
        .map(|number| (format!("chatroom[r{number}]"), String::new()))
        .collect();
    assert_eq!(
        refused_with(&gateway, "/chatroom/create", &borrowed(&rooms)).await,
        (400, 1002)
    );
    let asked = with_many(room, "userId", 1001);
    assert_eq!(
        refused_with(&gateway, "/chatroom/users/exist", &borrowed(&asked)).await,
        (400, 1002)
    );
}

#[tokio::test]
async fn lists_that_are_full_take_nobody_and_keep_what_they_have() {
    let gateway = Gateway::start(unhindered);
    let room: &[(&str, &str)] = &[("chatroomId", ROOM)];
    for (path, max, code) in [
        ("/chatroom/user/whitelist/add", 5, 1002),
        ("/chatroom/user/ban/whitelist/add", 20, 23407),
    ] {
        order(&gateway, path, &borrowed(&with_many(room, "userId", max))).await;
        // Those who are on it are none more.
        order(&gateway, path, &borrowed(&with_many(room, "userId", max))).await;
        let one_more = [("chatroomId", ROOM), ("userId", "another")];
        assert_eq!(refused_with(&gateway, path, &one_more).await, (400, code), "{path}");
        order(&gateway, path, &[("chatroomId", "hall"), ("userId", "another")]).await;
    }
    for (path, name) in [
        ("/chatroom/message/priority/add", "objectName"),
        ("/chatroom/whitelist/add", "objectnames"),
    ] {
        order(&gateway, path, &borrowed(&with_many(&[], name, 20))).await;
        assert_eq!(
            refused_with(&gateway, path, &[(name, "another")]).await,
            (400, 1002),
            "{path}"
        );
    }
    let keys = |count: usize, from: usize| {
        let pairs: Vec<String> = (from..from + count).map(|key| format!("\"k{key}\":\"v\"")).collect();
        format!("{{{}}}", pairs.join(","))
    };
    order(&gateway, "/chatroom/create", &[("chatroom[lobby]", "")]).await;
    let set = |info: String| fields(&[("chatroomId", ROOM), ("entryOwnerId", "a"), ("entryInfo", &info)]);
    let too_many = set(keys(21, 0));
    assert_eq!(
        refused_with(&gateway, "/chatroom/entry/batch/set", &borrowed(&too_many)).await,
        (400, 23429)
    );
    for from in [0, 20, 40, 60, 80] {
        order(&gateway, "/chatroom/entry/batch/set", &borrowed(&set(keys(20, from)))).await;
    }
    let full = [("chatroomId", ROOM), ("userId", "a"), ("key", "k100"), ("value", "v")];
    assert_eq!(refused_with(&gateway, "/chatroom/entry/set", &full).await, (400, 23423));
}

#[tokio::test]
async fn what_is_out_of_bounds_is_refused() {
    let gateway = Gateway::start(unhindered);
    let long_room = "r".repeat(129);
    let long_user = "u".repeat(70);
    let long_extra = "x".repeat(1025);
    let long_word = "字".repeat(33);
    let long_key = "k".repeat(129);
    let cases: [(&str, Fields, i64); 24] = [
        (
            "/chatroom/user/gag/add",
            fields(&[("chatroomId", ROOM), ("userId", "a"), ("minute", "0")]),
            1002,
        ),
        (
            "/chatroom/user/gag/add",
            fields(&[("chatroomId", ROOM), ("userId", "a"), ("minute", "43201")]),
            1002,
        ),
        (
            "/chatroom/user/gag/add",
            fields(&[("chatroomId", ROOM), ("userId", "a"), ("minute", "undefined")]),
            1002,
        ),
        (
            "/chatroom/user/gag/add",
            fields(&[("chatroomId", ROOM), ("userId", "a")]),
            1002,
        ),
        ("/chatroom/user/gag/add", fields(&[]), 1003),
        (
            "/chatroom/user/block/add",
            fields(&[("userId", "a"), ("minute", "30")]),
            1002,
        ),
        (
            "/chatroom/user/block/add",
            fields(&[("chatroomId", ROOM), ("userId", &long_user), ("minute", "30")]),
            1005,
        ),
        (
            "/chatroom/user/kick",
            fields(&[("chatroomId", &long_room), ("userId", "a")]),
            1005,
        ),
        (
            "/chatroom/user/kick",
            fields(&[("chatroomId", ROOM), ("userId", "a b")]),
            1002,
        ),
        (
            "/chatroom/user/kick",
            fields(&[("chatroomId", ROOM), ("userId", "a"), ("extra", &long_extra)]),
            1005,
        ),
        (
            "/chatroom/ban/add",
            fields(&[("chatroomId", ROOM), ("needNotify", "maybe")]),
            1002,
        ),
        ("/chatroom/ban/query", fields(&[("size", "1001")]), 1002),
        ("/chatroom/ban/query", fields(&[("size", "0")]), 1002),
        (
            "/chatroom/create_new",
            fields(&[("chatroomId", ROOM), ("destroyTime", "59")]),
            1002,
        ),
        (
            "/chatroom/create_new",
            fields(&[("chatroomId", ROOM), ("destroyTime", "10081")]),
            1002,
        ),
        (
            "/chatroom/create_new",
            fields(&[("chatroomId", ROOM), ("destroyType", "2")]),
            1002,
        ),
        (
            "/chatroom/create_new",
            fields(&[("chatroomId", ROOM), ("entryInfo", "{}")]),
            1002,
        ),
        (
            "/chatroom/create_new",
            fields(&[("chatroomId", ROOM), ("policy", "no such policy")]),
            1002,
        ),
        (
            "/chatroom/user/query",
            fields(&[("chatroomId", ROOM), ("order", "3")]),
            1002,
        ),
        (
            "/sensitiveword/add",
            fields(&[("word", "-"), ("replaceWord", "")]),
            1002,
        ),
        ("/sensitiveword/add", fields(&[("word", &long_word)]), 1002),
        (
            "/sensitiveword/add",
            fields(&[("word", "a"), ("replaceWord", &long_word)]),
            1002,
        ),
        (
            "/chatroom/entry/set",
            fields(&[
                ("chatroomId", ROOM),
                ("userId", "a"),
                ("key", &long_key),
                ("value", "v"),
            ]),
            1005,
        ),
        (
            "/chatroom/entry/batch/set",
            fields(&[("chatroomId", ROOM), ("entryOwnerId", "a"), ("entryInfo", "[]")]),
            1002,
        ),
    ];
    for (path, fields, code) in cases {
        assert_eq!(
            refused_with(&gateway, path, &borrowed(&fields)).await,
            (400, code),
            "{path} {fields:.60?}"
        );
    }
}
