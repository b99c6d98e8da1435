//! Groups: who is inside, and who may speak.

use sluice_tests::ApiCall;
use tokio::task::JoinSet;

use super::*;

#[tokio::test]
async fn who_is_put_into_a_group_and_out_of_it_is_told_and_so_are_the_others() {
    let gateway = Gateway::start(free);
    let mut alice = online(&gateway, "alice").await;
    let mut bob = online(&gateway, "bob").await;
    group_of(&gateway, &mut [("alice", &mut alice), ("bob", &mut bob)]).await;
    let members = ask(&gateway, "/group/user/query.json", &[("groupId", GROUP)]).await;
    assert_eq!(members, json!({ "users": [{ "id": "alice" }, { "id": "bob" }] }));

    let mut carol = online(&gateway, "carol").await;
    // Who is inside already is no error, and nobody hears of it.
    let joining = [("groupId", GROUP), ("userId", "bob"), ("userId", "carol")];
    order(&gateway, "/group/join.json", &joining).await;
    match carol.event().await {
        Body::Invited(invited) => {
            let group = invited.conversation.expect("which");
            assert_eq!((&*group.id, &*group.name, group.member_count), (GROUP, "Friends", 3));
            assert_eq!((&*group.creator_id, &*invited.by_user_id), ("", ""), "the server");
        }
        other => panic!("{other:?}"),
    }
    for client in [&mut alice, &mut bob] {
        match client.event().await {
            Body::MembersJoined(joined) => assert_eq!(joined.user_ids, ["carol"]),
            other => panic!("{other:?}"),
        }
    }
    order(
        &gateway,
        "/group/refresh.json",
        &[("groupId", GROUP), ("groupName", "Foes")],
    )
    .await;
    for client in [&mut alice, &mut bob, &mut carol] {
        match client.event().await {
            Body::ConversationChanged(changed) => assert_eq!(changed.conversation.expect("which").name, "Foes"),
            other => panic!("{other:?}"),
        }
    }
    let leaving = [("groupId", GROUP), ("userId", "bob"), ("userId", "nobody")];
    order(&gateway, "/group/quit.json", &leaving).await;
    assert!(matches!(bob.event().await, Body::KickedFromConversation(_)));
    for client in [&mut alice, &mut carol] {
        match client.event().await {
            Body::MembersLeft(left) => assert_eq!(left.user_ids, ["bob"]),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(sends(&mut bob, 1).await.0, 22406);
    assert_eq!(sends(&mut carol, 1).await.0, 0);
    assert_eq!(next(&mut alice).await.sequence, 1);

    let ending = [("groupId", GROUP), ("userId", "anybody")];
    for _ in 0..2 {
        order(&gateway, "/group/dismiss.json", &ending).await;
    }
    for client in [&mut alice, &mut carol] {
        assert!(matches!(client.event().await, Body::GroupDismissed(_)));
    }
    let members = ask(&gateway, "/group/user/query.json", &[("groupId", GROUP)]).await;
    assert_eq!(members, json!({ "users": [] }));
    assert_eq!(sends(&mut alice, 1).await.0, 4303);
}

#[tokio::test]
async fn a_group_that_exists_is_joined_and_renamed_by_making_it_again_and_joining_makes_one() {
    let gateway = Gateway::start(free);
    let make = |user, name| [("userId", user), ("groupId", GROUP), ("groupName", name)];
    order(&gateway, "/group/create.json", &make("alice", "One")).await;
    order(&gateway, "/group/create.json", &make("bob", "Two")).await;
    order(&gateway, "/group/join.json", &[("userId", "carol"), ("groupId", GROUP)]).await;
    order(&gateway, "/group/join.json", &[("userId", "carol"), ("groupId", "g2")]).await;
    let members = ask(&gateway, "/group/user/query.json", &[("groupId", GROUP)]).await;
    assert_eq!(
        members,
        json!({ "users": [{ "id": "alice" }, { "id": "bob" }, { "id": "carol" }] })
    );
    let groups = ask(&gateway, "/user/group/query.json", &[("userId", "carol")]).await;
    let expected = json!({ "groups": [{ "id": "g2", "name": "" }, { "id": "g1", "name": "Two" }] });
    assert_eq!(groups, expected);
    let page = [("userId", "carol"), ("page", "2"), ("size", "1")];
    let groups = ask(&gateway, "/user/group/query.json", &page).await;
    assert_eq!(groups, json!({ "groups": [{ "id": "g1", "name": "Two" }] }));
}

#[tokio::test]
async fn more_users_than_a_group_may_have_are_refused_one_by_one() {
    let gateway = Gateway::start(|config| {
        free(config);
        config.apps[0].conversations.members_max = 250;
    });
    let users: Vec<String> = (0..260).map(|number| format!("user{number:03}")).collect();
    let mut fields = vec![("groupId", GROUP), ("groupName", "Many")];
    fields.extend(users.iter().map(|user| ("userId", user.as_str())));
    let made = ask(&gateway, "/group/create.json", &fields).await;
    let failed = made["failed"].as_array().expect("some were refused");
    assert_eq!(failed.len(), 10);
    assert_eq!(
        (&failed[0]["userId"], &failed[0]["code"]),
        (&json!("user250"), &json!(25411))
    );
    let members = ask(&gateway, "/group/user/query.json", &[("groupId", GROUP)]).await;
    assert_eq!(members["users"].as_array().map(Vec::len), Some(250));
    let late = [("groupId", GROUP), ("userId", "late")];
    assert_eq!(refused_with(&gateway, "/group/join.json", &late).await, (400, 25411));
    let twice = [("groupId", GROUP), ("userId", "late"), ("userId", "late")];
    assert_eq!(
        refused_with(&gateway, "/group/join.json", &twice).await,
        (400, 25411),
        "all are refused"
    );
    // Out again, in pieces too.
    fields.remove(1);
    order(&gateway, "/group/quit.json", &fields).await;
    let members = ask(&gateway, "/group/user/query.json", &[("groupId", GROUP)]).await;
    assert_eq!(members, json!({ "users": [] }));
}

#[tokio::test]
async fn a_user_is_in_those_groups_that_the_server_says_and_in_no_others() {
    let gateway = Gateway::start(free);
    for group in ["g1", "g2"] {
        let fields = [
            ("groupId", group),
            ("groupName", group),
            ("userId", "alice"),
            ("userId", "bob"),
        ];
        order(&gateway, "/group/create.json", &fields).await;
    }
    let fields = [("userId", "alice"), ("group[g2]", "Two"), ("group[g3]", "Three")];
    order(&gateway, "/group/sync.json", &fields).await;
    let groups = ask(&gateway, "/user/group/query.json", &[("userId", "alice")]).await;
    let expected = json!({ "groups": [{ "id": "g3", "name": "Three" }, { "id": "g2", "name": "Two" }] });
    assert_eq!(groups, expected);
    let groups = ask(&gateway, "/user/group/query.json", &[("userId", "bob")]).await;
    let expected = json!({ "groups": [{ "id": "g2", "name": "Two" }, { "id": "g1", "name": "g1" }] });
    assert_eq!(groups, expected, "others stay where they are");
    order(&gateway, "/group/sync.json", &[("userId", "alice")]).await;
    let groups = ask(&gateway, "/user/group/query.json", &[("userId", "alice")]).await;
    assert_eq!(groups, json!({ "groups": [] }));
}

#[tokio::test]
async fn a_user_leaves_all_groups_but_those_that_are_said_however_many_there_are() {
    let gateway = Gateway::start(free);
    let api = gateway.api();
    // More than are looked at at once.
    for hundred in 0..11 {
        let mut joining = JoinSet::new();
        for number in 0..100 {
            let group = format!("g{hundred}-{number}");
            joining.spawn(async move {
                let fields = [("groupId", &*group), ("userId", "alice")];
                ApiCall::new("/group/join.json", &fields).send(api).await.code()
            });
        }
        assert!(joining.join_all().await.into_iter().all(|code| code == 200));
    }
    let fields = [("userId", "alice"), ("group[g0-0]", "Old"), ("group[new]", "New")];
    order(&gateway, "/group/sync.json", &fields).await;
    let groups = ask(&gateway, "/user/group/query.json", &[("userId", "alice")]).await;
    let expected = json!({ "groups": [{ "id": "new", "name": "New" }, { "id": "g0-0", "name": "Old" }] });
    assert_eq!(groups, expected);
}

#[tokio::test]
async fn the_owner_of_a_group_can_be_put_out_and_who_was_inside_for_longest_is_it_then() {
    let gateway = Gateway::start(free);
    let mut alice = online(&gateway, "alice").await;
    crate::conversations::group(&mut alice, GROUP, &["bob".to_owned()]).await;
    order(&gateway, "/group/join.json", &[("groupId", GROUP), ("userId", "carol")]).await;
    order(&gateway, "/group/quit.json", &[("groupId", GROUP), ("userId", "alice")]).await;
    let of_group = [("conversationType", "3"), ("targetId", GROUP)];
    let members = ask(&gateway, "/conversation/user/query.json", &of_group).await;
    let members = members["members"].as_array().expect("a list").iter();
    let roles: Vec<_> = members.map(|one| (&one["userId"], &one["role"])).collect();
    let expected = [(&json!("bob"), &json!("owner")), (&json!("carol"), &json!("member"))];
    assert_eq!(roles, expected);
    assert_eq!(sends(&mut alice, 9).await.0, 22406);
}

#[tokio::test]
async fn gags_mutes_and_exceptions_hold_for_a_group_that_is_made_later_and_after_a_restart() {
    let mut gateway = Gateway::start(free);
    let in_group = |user| [("groupId", GROUP), ("userId", user)];
    order(
        &gateway,
        "/group/user/gag/add.json",
        &[("groupId", GROUP), ("userId", "alice"), ("minute", "60")],
    )
    .await;
    order(
        &gateway,
        "/group/user/gag/add.json",
        &[("groupId", GROUP), ("userId", "dave"), ("minute", "0")],
    )
    .await;
    order(&gateway, "/group/ban/add.json", &[("groupId", GROUP)]).await;
    order(&gateway, "/group/user/ban/whitelist/add.json", &in_group("carol")).await;
    let mut fields = vec![("groupId", GROUP), ("groupName", "Friends")];
    fields.extend(["alice", "bob", "carol", "dave"].map(|user| ("userId", user)));
    order(&gateway, "/group/create.json", &fields).await;
    gateway.restart().await;

    let gagged = ask(&gateway, "/group/user/gag/list.json", &[("groupId", GROUP)]).await;
    let users = gagged["users"].as_array().expect("a list");
    let of = |place: usize| (users[place]["userId"].as_str(), users[place]["time"].as_str());
    assert_eq!(users.len(), 2);
    assert_eq!(of(0).0, Some("alice"));
    assert_eq!(of(1), (Some("dave"), Some("2099-12-31 23:59:59")));
    let muted = ask(&gateway, "/group/ban/query.json", &[]).await;
    assert_eq!(muted, json!({ "groupinfo": [{ "groupId": GROUP, "stat": 1 }] }));
    let excepted = ask(&gateway, "/group/user/ban/whitelist/query.json", &[("groupId", GROUP)]).await;
    assert_eq!(excepted, json!({ "userIds": ["carol"] }));

    let mut alice = online(&gateway, "alice").await;
    let mut bob = online(&gateway, "bob").await;
    let mut carol = online(&gateway, "carol").await;
    let because = |of: &str| (22408, of.to_owned());
    assert_eq!(sends(&mut alice, 1).await, because("user"));
    assert_eq!(sends(&mut bob, 1).await, because("group"));
    assert_eq!(sends(&mut carol, 1).await.0, 0);

    // A gag is not left behind by leaving.
    order(&gateway, "/group/quit.json", &in_group("alice")).await;
    order(&gateway, "/group/join.json", &in_group("alice")).await;
    assert_eq!(sends(&mut alice, 2).await, because("user"));

    order(&gateway, "/group/ban/rollback.json", &[("groupId", GROUP)]).await;
    assert_eq!(sends(&mut bob, 2).await.0, 0);
    order(&gateway, "/group/user/gag/rollback.json", &in_group("alice")).await;
    assert_eq!(sends(&mut alice, 3).await.0, 0);
    let muted = ask(
        &gateway,
        "/group/ban/query.json",
        &[("groupId", GROUP), ("groupId", "g2")],
    )
    .await;
    let expected = json!({ "groupinfo": [{ "groupId": GROUP, "stat": 0 }, { "groupId": "g2", "stat": 0 }] });
    assert_eq!(muted, expected);
}

#[tokio::test]
async fn who_is_gagged_in_all_groups_is_so_in_each_and_the_server_speaks_all_the_same() {
    let gateway = Gateway::start(free);
    let mut alice = online(&gateway, "alice").await;
    let mut bob = online(&gateway, "bob").await;
    group_of(&gateway, &mut [("alice", &mut alice), ("bob", &mut bob)]).await;
    order(
        &gateway,
        "/group/user/gag/add.json",
        &[("userId", "alice"), ("minute", "0")],
    )
    .await;
    assert_eq!(sends(&mut alice, 1).await, (22408, "global".to_owned()));
    assert_eq!(sends(&mut bob, 1).await.0, 0);
    let gagged = ask(&gateway, "/group/user/gag/list.json", &[]).await;
    assert_eq!(
        gagged,
        json!({ "users": [{ "userId": "alice", "time": "2099-12-31 23:59:59" }] })
    );
    let said = [
        ("fromUserId", "alice"),
        ("toGroupId", GROUP),
        ("objectName", "RC:TxtMsg"),
        ("content", "hi"),
    ];
    ask(&gateway, "/message/group/publish.json", &said).await;
    order(&gateway, "/group/user/gag/rollback.json", &[("userId", "alice")]).await;
    assert_eq!(sends(&mut alice, 2).await.0, 0);
}

#[tokio::test]
async fn of_a_group_that_does_not_exist_everything_may_be_said_and_nothing_is_made() {
    let gateway = Gateway::start(free);
    let group = ("groupId", "nowhere");
    for (path, fields) in [
        ("/group/quit", &[group, ("userId", "alice")][..]),
        ("/group/dismiss", &[group, ("userId", "alice")]),
        ("/group/refresh", &[group, ("groupName", "Nowhere")]),
        ("/group/user/gag/add", &[group, ("userId", "alice"), ("minute", "1")]),
        ("/group/user/gag/rollback", &[group, ("userId", "alice")]),
        ("/group/ban/add", &[group]),
        ("/group/ban/rollback", &[group]),
        ("/group/user/ban/whitelist/add", &[group, ("userId", "alice")]),
        ("/group/user/ban/whitelist/rollback", &[group, ("userId", "alice")]),
    ] {
        order(&gateway, path, fields).await;
    }
    let said = [
        ("fromUserId", "bob"),
        ("toGroupId", "nowhere"),
        ("objectName", "a:b"),
        ("content", "hi"),
    ];
    let sent = ask(&gateway, "/message/group/publish", &said).await;
    assert_eq!(sent, json!({ "messageUIDs": [] }));
    let groups = ask(&gateway, "/user/group/query", &[("userId", "alice")]).await;
    assert_eq!(groups, json!({ "groups": [] }));
    // What was lifted is forgotten: the group that is made now has none of it.
    let fields = [group, ("groupName", "Somewhere"), ("userId", "alice")];
    order(&gateway, "/group/create", &fields).await;
    let mut alice = online(&gateway, "alice").await;
    assert_eq!(comes_to(&mut alice, 1, ConversationType::Group, "nowhere").await.0, 0);
}

#[tokio::test]
async fn muted_groups_are_listed_in_pages_whether_they_exist_or_not() {
    let gateway = Gateway::start(free);
    for group in ["a", "c"] {
        let fields = [("groupId", group), ("groupName", group), ("userId", "alice")];
        order(&gateway, "/group/create.json", &fields).await;
    }
    let groups = ["a", "b", "c", "d"].map(|group| ("groupId", group));
    order(&gateway, "/group/ban/add.json", &groups).await;
    let page = async |page, size| {
        let muted = ask(&gateway, "/group/ban/query.json", &[("page", page), ("size", size)]).await;
        let groups = muted["groupinfo"].as_array().expect("a list").clone();
        groups
            .iter()
            .map(|group| group["groupId"].as_str().expect("an id").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(page("1", "3").await, ["a", "b", "c"]);
    assert_eq!(page("2", "3").await, ["d"]);
    assert_eq!(page("3", "3").await, Vec::<String>::new());
}
