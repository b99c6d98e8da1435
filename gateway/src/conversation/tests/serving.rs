//! What only the app's server does: what it decides ahead of a group, and how much of that is kept.

use sluice_protocol::{ErrorCode, MuteGroupMembers, SendMessage, SetGroupManagers};

use super::*;
use crate::conversation::{Found, Order, Place};

fn user(id: &str) -> UserId {
    UserId::parse(id, IdProfile::Wide).expect("a user id")
}

fn order(order: Order) -> Command {
    Command::Server(Box::new(order))
}

fn bring(group: &str, users: &[&str]) -> Command {
    order(Order::Bring {
        group: group.to_owned(),
        name: None,
        users: users.iter().map(|id| user(id)).collect(),
    })
}

fn gag(group: &str, id: &str, until_ms: Option<i64>) -> Command {
    order(Order::Gag {
        group: group.to_owned(),
        users: vec![user(id)],
        until_ms,
    })
}

fn mute(group: &str, muted: bool) -> Command {
    order(Order::Mute {
        group: group.to_owned(),
        muted,
    })
}

fn except(group: &str, id: &str, excepted: bool) -> Command {
    order(Order::Except {
        group: group.to_owned(),
        users: vec![user(id)],
        excepted,
    })
}

fn says(chats: &Chats, id: &str, group: &str) -> Result<(), (ErrorCode, String)> {
    let message = SendMessage {
        conversation_type: sluice_protocol::ConversationType::Group.into(),
        target_id: group.to_owned(),
        r#type: sluice_protocol::MessageType::Text.into(),
        content: "hi".into(),
        ..SendMessage::default()
    };
    let said = chats.ask(id, Command::send(message));
    said.map(|_| ())
        .map_err(|refusal| (refusal.code, refusal.detail.into_owned()))
}

/// The entries of a list that no group and no user owns.
fn ahead(chats: &Chats, list: crate::store::UserList) -> usize {
    chats.read(move |rows| rows.listed_count("app", list, ""))
}

#[test]
fn no_user_gives_the_orders_of_the_apps_server() {
    let chats = Chats::new();
    for command in [
        bring("g", &["a"]),
        gag("g", "a", None),
        order(Order::Members { group: "g".to_owned() }),
        order(Order::Muted { skip: 0, limit: 1 }),
    ] {
        let refused = chats.ask("a", command).expect_err("a user is not the server");
        assert_eq!(refused.code, ErrorCode::OPERATION_NOT_SUPPORTED);
    }
}

#[test]
fn a_gag_by_the_server_holds_for_the_owner_of_a_group_too_and_all_are_told() {
    let chats = Chats::new();
    let group = chats.group("olga", &["mel"]);
    let told = chats
        .ask_as_server(gag(&group, "olga", Some(i64::MAX)))
        .expect("it is done");
    assert_eq!(told.told(), [(vec!["mel", "olga"], "changed")]);
    let refused = says(&chats, "olga", &group).expect_err("she is gagged");
    assert_eq!(refused, (ErrorCode::MUTED_IN_GROUP, "user".to_owned()));
    let told = chats
        .ask_as_server(gag(&group, "olga", Some(i64::MAX)))
        .expect("it is so");
    assert_eq!(told.told(), [], "nothing has changed");
    chats.ask_as_server(gag(&group, "olga", None)).expect("it is lifted");
    assert_eq!(says(&chats, "olga", &group), Ok(()));
}

#[test]
fn a_gag_ends_by_the_clock_wherever_it_waited() {
    let chats = Chats::new();
    let until_ms = chats.now_ms() + 60_000;
    chats
        .ask_as_server(gag("g", "a", Some(until_ms)))
        .expect("it waits for the group");
    chats.ask_as_server(bring("g", &["a", "b"])).expect("the group is made");
    assert!(says(&chats, "a", "g").is_err());
    chats.wait(Duration::from_secs(59));
    assert!(says(&chats, "a", "g").is_err());
    chats.wait(Duration::from_secs(1));
    assert_eq!(says(&chats, "a", "g"), Ok(()));
    let found = chats.ask_as_server(order(Order::Gagged { group: "g".to_owned() }));
    assert_eq!(found.expect("a list").found, Found::Entries(Vec::new()));
}

#[test]
fn a_group_that_a_user_makes_finds_what_the_server_decided_about_its_id() {
    let chats = Chats::new();
    chats.ask_as_server(mute("team", true)).expect("it waits");
    chats
        .ask_as_server(gag("team", "mel", Some(i64::MAX)))
        .expect("it waits");
    let command = CreateGroup {
        id: "team".to_owned(),
        user_ids: texts(&["mel", "max"]),
        ..CreateGroup::default()
    };
    chats.ask("olga", Command::CreateGroup(command)).expect("it is made");
    assert_eq!(says(&chats, "olga", "team"), Ok(()), "owners speak in a muted group");
    let muted = |detail: &str| Err((ErrorCode::MUTED_IN_GROUP, detail.to_owned()));
    assert_eq!(says(&chats, "max", "team"), muted("group"));
    assert_eq!(says(&chats, "mel", "team"), muted("user"));
    assert_eq!(
        ahead(&chats, crate::store::UserList::GroupAhead),
        0,
        "it is not ahead any more"
    );
    assert_eq!(ahead(&chats, crate::store::UserList::MutedAhead), 0);
}

#[test]
fn what_is_lifted_before_there_is_a_group_leaves_nothing() {
    use crate::store::UserList::GroupAhead;
    let chats = Chats::new();
    chats.ask_as_server(mute("g", true)).expect("it waits");
    chats.ask_as_server(gag("g", "a", Some(i64::MAX))).expect("it waits");
    chats.ask_as_server(except("g", "b", true)).expect("it waits");
    assert_eq!(ahead(&chats, GroupAhead), 1);
    chats.ask_as_server(mute("g", false)).expect("it is lifted");
    chats.ask_as_server(gag("g", "a", None)).expect("it is lifted");
    assert_eq!(ahead(&chats, GroupAhead), 1, "one thing is left");
    chats.ask_as_server(except("g", "b", false)).expect("it is lifted");
    assert_eq!(ahead(&chats, GroupAhead), 0);
}

#[test]
fn a_group_that_ends_takes_what_was_decided_about_it_along() {
    let chats = Chats::new();
    chats.ask_as_server(bring("g", &["a"])).expect("it is made");
    chats.ask_as_server(mute("g", true)).expect("it is muted");
    chats.ask_as_server(except("g", "a", true)).expect("an exception");
    chats.ask_as_server(gag("g", "b", Some(i64::MAX))).expect("b may come");
    let dismissing = sluice_protocol::DismissGroup { id: "g".to_owned() };
    chats.ask_as_server(Command::Dismiss(dismissing)).expect("it ends");
    chats.ask_as_server(bring("g", &["a", "b"])).expect("another one");
    assert_eq!(says(&chats, "b", "g"), Ok(()));
    let excepted = chats.ask_as_server(order(Order::Excepted { group: "g".to_owned() }));
    assert_eq!(excepted.expect("a list").found, Found::Names(Vec::new()));
}

#[test]
fn what_is_decided_ahead_of_groups_has_a_bound_and_what_is_full_refuses() {
    let chats = Chats::new();
    chats.change(|rows| {
        for number in 0..9_999 {
            rows.put_listed("app", crate::store::UserList::GroupAhead, "", &format!("g{number}"), 0)?;
        }
        Ok(())
    });
    chats.ask_as_server(mute("last", true)).expect("the last place");
    for command in [
        mute("more", true),
        gag("more", "a", Some(i64::MAX)),
        except("more", "a", true),
    ] {
        let refused = chats.ask_as_server(command).expect_err("no place");
        assert_eq!(
            (refused.code, &*refused.detail),
            (ErrorCode::INVALID_PARAMETER, "list_full")
        );
    }
    chats
        .ask_as_server(gag("last", "a", Some(i64::MAX)))
        .expect("it has its place");
    chats
        .ask_as_server(mute("more", false))
        .expect("there is nothing to lift");
}

#[test]
fn a_list_of_a_group_is_full_at_three_thousand_users_and_refuses_whole() {
    let chats = Chats::new();
    chats.ask_as_server(bring("g", &["a"])).expect("it is made");
    chats.change(|rows| {
        for number in 0..2_999 {
            for list in [crate::store::UserList::LeftMuted, crate::store::UserList::MuteException] {
                rows.put_listed("app", list, "g", &format!("u{number}"), i64::MAX)?;
            }
        }
        Ok(())
    });
    let two = |until_ms| {
        order(Order::Gag {
            group: "g".to_owned(),
            users: vec![user("x"), user("y")],
            until_ms,
        })
    };
    assert_eq!(
        &*chats
            .ask_as_server(two(Some(i64::MAX)))
            .expect_err("one too many")
            .detail,
        "list_full"
    );
    chats
        .ask_as_server(gag("g", "x", Some(i64::MAX)))
        .expect("the last place");
    chats
        .ask_as_server(gag("g", "x", Some(i64::MAX)))
        .expect("it is there already");
    chats
        .ask_as_server(gag("g", "a", Some(i64::MAX)))
        .expect("a member needs no place");
    chats.ask_as_server(except("g", "x", true)).expect("the last place");
    assert_eq!(
        &*chats.ask_as_server(except("g", "y", true)).expect_err("full").detail,
        "list_full"
    );
}

#[test]
fn who_shall_not_see_what_was_said_any_more_is_told_on_all_devices() {
    let chats = Chats::new();
    chats.ask_as_server(bring("g", &["a", "b"])).expect("it is made");
    for _ in 0..3 {
        says(&chats, "b", "g").expect("she may");
    }
    let hide = |until_ms| {
        let place = Place {
            kind: sluice_protocol::ConversationType::Group,
            as_user: None,
            target_id: "g".to_owned(),
        };
        let user = user("a");
        chats
            .ask_as_server(order(Order::Hide { place, user, until_ms }))
            .expect("a is inside")
    };
    assert_eq!(hide(chats.now_ms() - 1).told(), [], "there was nothing");
    let answer = hide(chats.now_ms());
    assert_eq!(answer.told(), [(vec!["a"], "moved")]);
    let Body::PositionMoved(event) = &answer.told[0].event else {
        panic!("{answer:?}")
    };
    assert_eq!((&*event.target_id, &*event.user_id), ("g", "a"));
    assert_eq!((event.delivered_sequence, event.read_sequence), (3, 3));
    assert_eq!(hide(chats.now_ms()).told(), [], "it is so already");
}

#[test]
fn a_mute_that_the_owner_lifts_is_lifted_for_the_server_too() {
    let chats = Chats::new();
    let group = chats.group("olga", &["mel"]);
    chats.ask_as_server(mute(&group, true)).expect("it is muted");
    let command = MuteGroupMembers {
        id: group.clone(),
        muted: false,
        ..MuteGroupMembers::default()
    };
    chats.ask("olga", Command::Mute(command)).expect("it is lifted");
    let muted = chats
        .ask_as_server(order(Order::Muted { skip: 0, limit: 9 }))
        .expect("a list");
    assert_eq!(muted.found, Found::Names(Vec::new()));
    let command = SetGroupManagers {
        id: group,
        user_ids: texts(&["mel"]),
        manager: true,
    };
    chats
        .ask_as_server(Command::SetManagers(command))
        .expect("the server may what an owner may");
}

#[test]
fn a_message_that_cannot_be_read_is_left_out_of_the_export_and_the_rest_is_given() {
    let chats = Chats::new();
    let group = chats.group("ann", &["bob"]);
    for _ in 0..7 {
        says(&chats, "ann", &group).expect("ann is inside");
    }
    let damage = |sequences: &'static [i64]| {
        let key = group.clone();
        chats.change(move |rows| {
            let kind = sluice_protocol::ConversationType::Group.into();
            let conversation = rows.conversation("app", kind, &key)?.expect("it is there");
            for sequence in sequences {
                let message = rows.message(conversation.id, *sequence)?.expect("it is kept");
                let event = vec![0xff];
                rows.update_message(&crate::store::MessageRow { event, ..message })?;
            }
            Ok(())
        });
    };
    let pages = || {
        let (mut pages, mut after) = (Vec::new(), Some(0));
        while let Some(beyond) = after {
            let place = Place {
                kind: sluice_protocol::ConversationType::Group,
                as_user: None,
                target_id: group.clone(),
            };
            let (after_this, limit) = (beyond, 2);
            let asked = order(Order::History {
                place,
                after: after_this,
                limit,
            });
            let Found::Messages { messages, next } = chats.ask_as_server(asked).expect("a page").found else {
                panic!("no page")
            };
            pages.push(messages.iter().map(|message| message.sequence).collect::<Vec<_>>());
            after = next;
        }
        pages
    };
    assert_eq!(pages(), [vec![1, 2], vec![3, 4], vec![5, 6], vec![7]]);
    damage(&[3, 4, 6]);
    assert_eq!(pages(), [vec![1, 2], vec![], vec![5], vec![7]]);
    damage(&[7]);
    assert_eq!(pages(), [vec![1, 2], vec![], vec![5], vec![]], "the last too");
}
