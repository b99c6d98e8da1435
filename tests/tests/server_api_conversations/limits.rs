//! How many of what one call may have.

use super::*;

#[tokio::test]
async fn a_call_with_one_too_many_is_refused_whole() {
    let gateway = Gateway::start(free);
    let text = [("objectName", "RC:TxtMsg"), ("content", "hi"), ("fromUserId", "system")];
    let group = [("groupId", GROUP), ("groupName", "Friends")];
    let gag = [("groupId", GROUP), ("minute", "1")];
    let of_bob = [("userId", "bob")];
    for (path, name, max, others) in [
        ("/group/create", "userId", 1000, &group[..]),
        ("/group/join", "userId", 1000, &group[..1]),
        ("/group/quit", "userId", 1000, &group[..1]),
        ("/group/user/gag/add", "userId", 20, &gag),
        ("/group/user/gag/rollback", "userId", 20, &gag[..1]),
        ("/group/ban/add", "groupId", 20, &[]),
        ("/group/ban/rollback", "groupId", 20, &[]),
        ("/group/ban/query", "groupId", 20, &[]),
        ("/group/user/ban/whitelist/add", "userId", 20, &group[..1]),
        ("/group/user/ban/whitelist/rollback", "userId", 20, &group[..1]),
        ("/user/blacklist/add", "blackUserId", 20, &of_bob),
        ("/user/blacklist/remove", "blackUserId", 20, &of_bob),
        ("/user/whitelist/add", "whiteUserId", 20, &of_bob),
        ("/user/whitelist/remove", "whiteUserId", 20, &of_bob),
        ("/user/whitesetting/set", "userId", 20, &[("whiteSetting", "1")]),
        ("/user/whitesetting/query", "userId", 20, &[]),
        ("/user/chat/fb/set", "userId", 1000, &[("state", "1")]),
        ("/message/private/publish", "toUserId", 1000, &text),
        ("/statusmessage/private/publish", "toUserId", 1000, &text),
        ("/message/system/publish", "toUserId", 100, &text),
        ("/message/group/publish", "toGroupId", 3, &text),
        ("/statusmessage/group/publish", "toGroupId", 3, &text),
        ("/message/discussion/publish", "toDiscussionId", 3, &text),
    ] {
        // As others may be refused for what they are, other than these.
        let names: Vec<String> = (0..=max).map(|number| format!("n{number}")).collect();
        let fields = |count: usize| -> Vec<(&str, &str)> {
            let many = names[..count].iter().map(|one| (name, one.as_str()));
            others.iter().copied().chain(many).collect()
        };
        assert_eq!(
            refused_with(&gateway, path, &fields(max + 1)).await,
            (400, 1002),
            "{path}"
        );
        if name != "groupId" || path != "/group/ban/query" {
            assert_eq!(
                refused_with(&gateway, path, others_or_junk(others)).await.0,
                400,
                "{path} with none"
            );
        }
        ask(&gateway, path, &fields(max)).await;
    }
}

/// A call without fields at all has a code of its own.
fn others_or_junk<'a>(others: &'a [(&'a str, &'a str)]) -> &'a [(&'a str, &'a str)] {
    if others.is_empty() {
        &[("nonsense", "x")]
    } else {
        others
    }
}

#[tokio::test]
async fn wrong_ids_and_numbers_are_told_by_their_field() {
    let gateway = Gateway::start(free);
    let long = "x".repeat(65);
    for (path, fields, code) in [
        ("/group/user/query", &[("groupId", "a b")][..], 1002),
        ("/group/user/query", &[("groupId", "é")], 1002),
        ("/group/user/query", &[("groupId", &long)], 1005),
        ("/group/sync", &[("userId", "alice"), ("group[a b]", "x")], 1002),
        ("/group/user/gag/add", &[("userId", "alice"), ("minute", "43201")], 1002),
        ("/group/user/gag/add", &[("userId", "alice"), ("minute", "-1")], 1002),
        ("/group/ban/query", &[("size", "201")], 1002),
        (
            "/user/group/query",
            &[("userId", "alice"), ("page", "1"), ("size", "1001")],
            1002,
        ),
        ("/user/blacklist/query", &[("userId", "alice"), ("size", "1001")], 1002),
        ("/user/chat/fb/querylist", &[("num", "201")], 1002),
        (
            "/conversation/history",
            &[("conversationType", "0"), ("targetId", "x")],
            1002,
        ),
    ] {
        assert_eq!(
            refused_with(&gateway, path, fields).await,
            (400, code),
            "{path} {fields:?}"
        );
    }
    for path in [
        "/message/history",
        "/message/history/delete",
        "/conversation/notification/set",
    ] {
        assert_eq!(
            refused_with(&gateway, path, &[("date", "2018022710")]).await,
            (430, 1009),
            "{path}"
        );
    }
}
