//! Who may write to whom one-to-one.

use sluice_tests::{unix_ms, wait_until};

use super::*;

#[tokio::test]
async fn who_is_on_the_blacklist_or_not_on_the_whitelist_that_counts_cannot_write() {
    let gateway = Gateway::start(free);
    let mut alice = online(&gateway, "alice").await;
    let peer = ConversationType::Peer;
    let black = [("userId", "bob"), ("blackUserId", "alice")];
    let white = [("userId", "bob"), ("whiteUserId", "alice")];
    for _ in 0..2 {
        order(&gateway, "/user/blacklist/add.json", &black).await;
    }
    assert_eq!(comes_to(&mut alice, 1, peer, "bob").await.0, 405);
    let setting = |value| [("userId", "bob"), ("whiteSetting", value)];
    order(&gateway, "/user/whitesetting/set.json", &setting("1")).await;
    assert_eq!(comes_to(&mut alice, 2, peer, "bob").await.0, 407);
    order(&gateway, "/user/whitelist/add.json", &white).await;
    assert_eq!(
        comes_to(&mut alice, 3, peer, "bob").await.0,
        0,
        "the blacklist does not count"
    );
    let asked = [("userId", "alice"), ("userId", "bob")];
    let settings = ask(&gateway, "/user/whitesetting/query.json", &asked).await;
    let expected = json!([
        { "userId": "alice", "whiteSetting": "0" }, { "userId": "bob", "whiteSetting": "1" },
    ]);
    assert_eq!(settings["users"], expected);
    order(&gateway, "/user/whitelist/remove.json", &white).await;
    order(&gateway, "/user/whitesetting/set.json", &setting("0")).await;
    assert_eq!(comes_to(&mut alice, 4, peer, "bob").await.0, 405);
    for _ in 0..2 {
        order(&gateway, "/user/blacklist/remove.json", &black).await;
    }
    assert_eq!(comes_to(&mut alice, 5, peer, "bob").await.0, 0);
}

#[tokio::test]
async fn a_list_is_told_newest_first_and_in_pages() {
    let gateway = Gateway::start(free);
    for (list, field) in [("blacklist", "blackUserId"), ("whitelist", "whiteUserId")] {
        let path = format!("/user/{list}/add.json");
        for users in [["u1", "u2"], ["u3", "u4"]] {
            let fields = [("userId", "bob"), (field, users[0]), (field, users[1])];
            order(&gateway, &path, &fields).await;
            // Those that come next are newer by the clock that both are put down with.
            let then = unix_ms();
            wait_until("the clock goes on", async || unix_ms() > then).await;
        }
        let path = format!("/user/{list}/query.json");
        let users = |page: &Value| -> Vec<String> {
            let users = page["users"].as_array().expect("a list").iter();
            users.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let mut seen = Vec::new();
        let mut token = String::new();
        loop {
            let fields = [("userId", "bob"), ("size", "3"), ("pageToken", &*token)];
            let page = ask(&gateway, &path, &fields).await;
            seen.push(users(&page));
            token = match page["next"].as_str() {
                Some(next) => next.to_owned(),
                None => break,
            };
        }
        assert_eq!(seen, [&["u3", "u4", "u1"][..], &["u2"]]);
        let all = ask(&gateway, &path, &[("userId", "bob")]).await;
        assert_eq!(users(&all), ["u3", "u4", "u1", "u2"]);
        assert_eq!(all.get("next"), None);
        let none = ask(&gateway, &path, &[("userId", "nobody")]).await;
        assert_eq!(none, json!({ "users": [] }));
        let wrong = [("userId", "bob"), ("pageToken", "nonsense")];
        assert_eq!(refused_with(&gateway, &path, &wrong).await, (400, 1002));
    }
}

#[tokio::test]
async fn a_list_of_a_user_is_full_at_a_thousand() {
    let gateway = Gateway::start(free);
    let path = "/user/blacklist/add.json";
    for first in (0..1000).step_by(20) {
        let users: Vec<String> = (first..first + 20).map(|number| format!("user{number}")).collect();
        let mut fields = vec![("userId", "bob")];
        fields.extend(users.iter().map(|user| ("blackUserId", user.as_str())));
        order(&gateway, path, &fields).await;
    }
    let one_more = [("userId", "bob"), ("blackUserId", "late")];
    assert_eq!(refused_with(&gateway, path, &one_more).await, (400, 25411));
    order(&gateway, path, &[("userId", "bob"), ("blackUserId", "user0")]).await;
}

#[tokio::test]
async fn who_is_kept_from_writing_to_anybody_is_so_after_a_restart_and_until_that_is_lifted() {
    let mut gateway = Gateway::start(free);
    let users = [("userId", "alice"), ("userId", "mallo"), ("type", "PERSON")];
    order(
        &gateway,
        "/user/chat/fb/set.json",
        &[&users[..], &[("state", "1")]].concat(),
    )
    .await;
    gateway.restart().await;
    let mut alice = online(&gateway, "alice").await;
    assert_eq!(
        comes_to(&mut alice, 1, ConversationType::Peer, "bob").await,
        (20106, "global".to_owned())
    );
    let listed = ask(
        &gateway,
        "/user/chat/fb/querylist.json",
        &[("type", "PERSON"), ("num", "1")],
    )
    .await;
    assert_eq!(listed, json!({ "total": 2, "users": ["alice"] }));
    let listed = ask(
        &gateway,
        "/user/chat/fb/querylist.json",
        &[("type", "PERSON"), ("offset", "1")],
    )
    .await;
    assert_eq!(listed, json!({ "total": 2, "users": ["mallo"] }));
    order(
        &gateway,
        "/user/chat/fb/set.json",
        &[&users[..], &[("state", "0")]].concat(),
    )
    .await;
    assert_eq!(comes_to(&mut alice, 2, ConversationType::Peer, "bob").await.0, 0);
    let of_groups = [("userId", "alice"), ("state", "1"), ("type", "GROUP")];
    assert_eq!(
        refused_with(&gateway, "/user/chat/fb/set.json", &of_groups).await,
        (400, 1002)
    );
}
