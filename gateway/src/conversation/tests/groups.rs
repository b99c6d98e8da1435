//! Owners, managers and mutes of groups, and what conversations say of themselves.

use sluice_protocol::{
    ConversationChanged, ConversationType, DismissGroup, ErrorCode, MemberRole, MuteGroupMembers, QueryConversation,
    TransferGroup, UpdateConversation,
};

use super::*;
use crate::conversation::tests::members::{add, group, join, judged, members_of, quit, remove, set_managers};
use crate::conversation::tests::sending::{result, send, to_group};
use crate::store::{MemberRow, UserList};

const ALL: [&str; 4] = ["jerry", "mary", "tom", "will"];

/// The group "g": Tom owns it, Jerry is a manager, Mary and Will are members.
fn team() -> Chats {
    let chats = Chats::new();
    chats.ask("tom", group("g", &["jerry", "mary", "will"])).unwrap();
    chats.ask("tom", set_managers("g", &["jerry"], true)).unwrap();
    chats
}

fn dismiss() -> Command {
    Command::Dismiss(DismissGroup { id: "g".to_owned() })
}

fn transfer(user: &str) -> Command {
    Command::Transfer(TransferGroup {
        id: "g".to_owned(),
        user_id: user.to_owned(),
    })
}

fn mute(users: &[&str], muted: bool, seconds: u32) -> Command {
    Command::Mute(MuteGroupMembers {
        id: "g".to_owned(),
        user_ids: texts(users),
        muted,
        seconds,
    })
}

fn update(kind: ConversationType, id: &str, change: impl FnOnce(&mut UpdateConversation)) -> Command {
    let mut command = UpdateConversation {
        r#type: kind.into(),
        id: id.to_owned(),
        ..UpdateConversation::default()
    };
    change(&mut command);
    Command::Update(command)
}

fn only(role: &'static str) -> Refusal {
    Refusal::with_detail(ErrorCode::GROUP_PERMISSION, role)
}

/// What all members were told, and nothing else was.
fn told_all(answer: &Answer) -> &ConversationChanged {
    assert_eq!(answer.told(), [(ALL.to_vec(), "changed")]);
    match &answer.told[0].event {
        Body::ConversationChanged(event) => event,
        other => panic!("{other:?}"),
    }
}

/// Whose role or mute was told, and which.
fn roles(event: &ConversationChanged) -> Vec<(&str, MemberRole, i64)> {
    let roles = event.roles.iter();
    roles
        .map(|member| (&*member.user_id, member.role(), member.muted_until_ms))
        .collect()
}

fn role_of(chats: &Chats, user: &str) -> MemberRole {
    let members = members_of(chats, "will", ConversationType::Group, "g");
    members.into_iter().find(|(other, _)| other == user).expect("inside").1
}

#[test]
fn only_its_owner_or_the_apps_server_dismisses_a_group_and_all_are_told() {
    let chats = team();
    for (user, refusal) in [
        ("jerry", only("owner")),
        ("mary", only("owner")),
        ("bob", Refusal::new(ErrorCode::NOT_IN_GROUP)),
    ] {
        assert_eq!(chats.ask(user, dismiss()).unwrap_err(), refusal, "{user}");
    }
    let answer = chats.ask("tom", dismiss()).unwrap();
    assert!(matches!(answer.result, reply::Result::Done(_)));
    assert_eq!(answer.told(), [(ALL.to_vec(), "dismissed")]);
    let Body::GroupDismissed(event) = &answer.told[0].event else {
        panic!()
    };
    assert_eq!((&*event.id, &*event.by_user_id), ("g", "tom"));
    let unknown = Refusal::new(ErrorCode::CONVERSATION_UNKNOWN);
    assert_eq!(chats.ask("tom", dismiss()).unwrap_err(), unknown);
    assert_eq!(
        chats.ask("jerry", join(ConversationType::Group, "g")).unwrap_err(),
        unknown
    );

    let chats = team();
    let answer = chats.ask_as_server(dismiss()).unwrap();
    assert_eq!(answer.told(), [(ALL.to_vec(), "dismissed")]);
}

#[test]
fn nothing_of_a_dismissed_group_stays_for_the_next_with_its_id() {
    let chats = team();
    let lists = [UserList::MuteException, UserList::LeftMuted];
    let conversation = chats.change(move |rows| {
        for list in lists {
            // More than are read at once.
            for number in 0..1001 {
                rows.put_listed("app", list, "g", &format!("user{number}"), i64::MAX)?;
            }
            rows.put_listed("app", list, "h", "mary", i64::MAX)?;
        }
        let row = rows.conversation("app", ConversationType::Group.into(), "g")?;
        Ok(row.expect("it is there").id)
    });
    chats.ask("tom", dismiss()).unwrap();
    for list in lists {
        assert_eq!(
            chats.read(move |rows| rows.listed_count("app", list, "g")),
            0,
            "{list:?}"
        );
        assert_eq!(
            chats.read(move |rows| rows.listed_count("app", list, "h")),
            1,
            "{list:?}"
        );
    }
    assert_eq!(chats.read(move |rows| rows.members(conversation, "", 10)), []);
    chats.ask("mary", group("g", &["user1"])).unwrap();
    let members = members_of(&chats, "mary", ConversationType::Group, "g");
    assert_eq!(members.len(), 2);
}

#[test]
fn the_next_group_with_the_id_of_a_dismissed_one_goes_on_behind_its_numbers() {
    let chats = team();
    for number in 1..=3 {
        let message = to_group("g", "before");
        assert_eq!(result(send(&chats, "tom", message)).sequence, number);
    }
    chats.ask("tom", dismiss()).unwrap();
    chats.ask("tom", group("g", &["mary"])).unwrap();
    // A client that has the first three of the group before takes this one for new.
    let message = to_group("g", "after");
    assert_eq!(result(send(&chats, "tom", message)).sequence, 4);
    let newest = chats.read(|rows| {
        let row = rows.conversation("app", ConversationType::Group.into(), "g")?;
        let row = row.expect("it is there");
        let member = rows.member(row.id, "mary")?.expect("a member");
        Ok((row.last_sequence, member.first_sequence, member.read_sequence))
    });
    assert_eq!(newest, (4, 4, 3));
    // And so does the one after that, of which nothing was sent.
    chats.ask("tom", dismiss()).unwrap();
    chats.ask("tom", group("g", &[])).unwrap();
    chats.ask("tom", dismiss()).unwrap();
    chats.ask("tom", group("g", &[])).unwrap();
    let message = to_group("g", "later");
    assert_eq!(result(send(&chats, "tom", message)).sequence, 5);
}

#[test]
fn an_owner_hands_a_group_over_to_a_member_and_is_a_member_then() {
    let chats = team();
    assert_eq!(chats.ask("jerry", transfer("jerry")).unwrap_err(), only("owner"));
    let outside = Refusal::new(ErrorCode::NOT_A_MEMBER);
    assert_eq!(chats.ask("tom", transfer("bob")).unwrap_err(), outside);
    assert_eq!(
        chats.ask("tom", transfer("b b")).unwrap_err(),
        Refusal::parameter("user_id")
    );
    assert_eq!(chats.ask("tom", transfer("tom")).unwrap().told(), [], "has it already");
    chats.ask("tom", mute(&["will"], true, 0)).unwrap();
    let answer = chats.ask("tom", transfer("will")).unwrap();
    assert_eq!(
        roles(told_all(&answer)),
        [("tom", MemberRole::Member, 0), ("will", MemberRole::Owner, 0)],
        "an owner is not muted"
    );
    assert_eq!(chats.ask("tom", transfer("tom")).unwrap_err(), only("owner"));
    chats.ask_as_server(transfer("jerry")).unwrap();
    assert_eq!(
        ["jerry", "tom", "will"].map(|user| role_of(&chats, user)),
        [MemberRole::Owner, MemberRole::Member, MemberRole::Member]
    );
}

#[test]
fn only_an_owner_makes_managers_each_user_judged_alone() {
    let chats = team();
    assert_eq!(
        chats.ask("jerry", set_managers("g", &["mary"], true)).unwrap_err(),
        only("owner")
    );
    let answer = chats
        .ask("tom", set_managers("g", &["mary", "bob", "tom", "jerry"], true))
        .unwrap();
    assert_eq!(
        judged(&answer),
        (
            vec!["mary", "jerry"],
            vec![("bob", ErrorCode::NOT_A_MEMBER), ("tom", ErrorCode::OWNER_STAYS)]
        )
    );
    assert_eq!(
        roles(told_all(&answer)),
        [("mary", MemberRole::Manager, 0)],
        "whose role is another"
    );
    let answer = chats.ask("tom", set_managers("g", &["mary", "jerry"], false)).unwrap();
    assert_eq!(roles(told_all(&answer)).len(), 2);
    let answer = chats.ask("tom", set_managers("g", &["mary"], false)).unwrap();
    assert_eq!((judged(&answer).0, answer.told().len()), (vec!["mary"], 0));
    let manager = chats.ask("mary", add(ConversationType::Group, "g", &["bob"]));
    assert_eq!(manager.unwrap_err(), only("manager"), "no more");
}

#[test]
fn members_are_muted_and_unmuted_by_owner_and_managers_who_are_never_muted_themselves() {
    let chats = team();
    assert_eq!(
        chats.ask("mary", mute(&["will"], true, 0)).unwrap_err(),
        only("manager")
    );
    let until_ms = chats.now_ms() + 60_000;
    let answer = chats
        .ask("jerry", mute(&["mary", "bob", "tom", "jerry"], true, 60))
        .unwrap();
    assert_eq!(
        judged(&answer),
        (
            vec!["mary"],
            vec![
                ("bob", ErrorCode::NOT_A_MEMBER),
                ("tom", ErrorCode::GROUP_PERMISSION),
                ("jerry", ErrorCode::GROUP_PERMISSION)
            ]
        )
    );
    assert_eq!(roles(told_all(&answer)), [("mary", MemberRole::Member, until_ms)]);
    let again = chats.ask("tom", mute(&["mary"], true, 60)).unwrap();
    assert_eq!((judged(&again).0, again.told().len()), (vec!["mary"], 0));
    let answer = chats.ask_as_server(mute(&["mary"], true, 0)).unwrap();
    assert_eq!(roles(told_all(&answer)), [("mary", MemberRole::Member, i64::MAX)]);
    let answer = chats.ask("tom", set_managers("g", &["mary"], true)).unwrap();
    assert_eq!(
        roles(told_all(&answer)),
        [("mary", MemberRole::Manager, 0)],
        "a manager speaks"
    );
    chats.ask("tom", mute(&["will"], true, 0)).unwrap();
    let answer = chats.ask("mary", mute(&["will", "tom"], false, 0)).unwrap();
    assert_eq!(judged(&answer), (vec!["will", "tom"], vec![]));
    assert_eq!(roles(told_all(&answer)), [("will", MemberRole::Member, 0)]);
}

#[test]
fn nobody_lifts_a_mute_of_his_own_and_one_of_who_left_is_lifted() {
    let chats = team();
    let gag = |user: &str| {
        chats.ask_as_server(Command::Server(Box::new(Order::Gag {
            group: "g".to_owned(),
            users: vec![UserId::parse(user, IdProfile::Wide).unwrap()],
            until_ms: Some(i64::MAX),
        })))
    };
    gag("jerry").unwrap();
    gag("mary").unwrap();
    let answer = chats.ask("jerry", mute(&["jerry", "mary"], false, 0)).unwrap();
    assert_eq!(
        judged(&answer),
        (vec!["mary"], vec![("jerry", ErrorCode::GROUP_PERMISSION)]),
        "what the app's server said of others is lifted like any mute"
    );
    assert!(send(&chats, "jerry", to_group("g", "x")).is_err());
    let answer = chats.ask("tom", mute(&["jerry"], false, 0)).unwrap();
    assert_eq!(judged(&answer), (vec!["jerry"], vec![]));
    send(&chats, "jerry", to_group("g", "x")).unwrap();

    chats.ask("tom", mute(&["will"], true, 0)).unwrap();
    chats.ask("will", quit(ConversationType::Group, "g")).unwrap();
    let answer = chats.ask("tom", mute(&["will", "bob"], false, 0)).unwrap();
    assert_eq!(judged(&answer), (vec!["will"], vec![("bob", ErrorCode::NOT_A_MEMBER)]));
    chats.ask("will", join(ConversationType::Group, "g")).unwrap();
    send(&chats, "will", to_group("g", "x")).unwrap();
}

#[test]
fn who_becomes_the_owner_because_the_owner_was_put_out_may_speak() {
    let chats = team();
    chats.wait(Duration::from_secs(1));
    for heir in ["mary", "will"] {
        chats.ask("tom", mute(&[heir], true, 0)).unwrap();
    }
    chats
        .ask_as_server(remove(ConversationType::Group, "g", &["tom", "jerry"]))
        .unwrap();
    // They came at the same time.
    let heir = ["mary", "will"]
        .into_iter()
        .find(|user| role_of(&chats, user) == MemberRole::Owner)
        .expect("an owner");
    send(&chats, heir, to_group("g", "x")).expect("an owner is not muted");
}

#[test]
fn what_names_the_messages_of_a_dismissed_group_names_no_group() {
    let chats = team();
    send(&chats, "tom", to_group("g", "x")).unwrap();
    let row = chats.read(|rows| rows.conversation("app", ConversationType::Group.into(), "g"));
    let left = format!("\n{}", row.expect("it is there").id);
    chats.ask("tom", dismiss()).unwrap();
    let unknown = Refusal::new(ErrorCode::CONVERSATION_UNKNOWN);
    let question = QueryConversation {
        r#type: ConversationType::Group.into(),
        id: left.clone(),
    };
    assert_eq!(chats.ask("tom", Command::Query(question)).unwrap_err(), unknown);
    let looking = Order::Look {
        place: Place {
            kind: ConversationType::Group,
            as_user: None,
            target_id: left,
        },
    };
    let looking = Command::Server(Box::new(looking));
    assert_eq!(chats.ask_as_server(looking).unwrap_err(), unknown);
}

#[test]
fn of_a_group_without_a_message_nothing_is_kept_at_its_end() {
    let chats = team();
    let ended = |chats: &Chats| chats.read(|rows| rows.ended_group("app", "g"));
    chats.ask("tom", dismiss()).unwrap();
    assert_eq!(ended(&chats), 0);
    chats.ask("tom", group("g", &[])).unwrap();
    send(&chats, "tom", to_group("g", "x")).unwrap();
    chats.ask("tom", dismiss()).unwrap();
    assert_eq!(ended(&chats), 1);
}

#[test]
fn a_whole_group_is_muted_once() {
    let chats = team();
    assert_eq!(chats.ask("mary", mute(&[], true, 0)).unwrap_err(), only("manager"));
    for muted in [true, false] {
        let answer = chats.ask("jerry", mute(&[], muted, 0)).unwrap();
        let event = told_all(&answer);
        let told = event.conversation.as_ref().unwrap();
        assert_eq!((told.muted, &*event.by_user_id, event.roles.len()), (muted, "jerry", 0));
        let again = chats.ask("tom", mute(&[], muted, 0)).unwrap();
        assert_eq!(again.told(), [], "it is so already");
    }
}

#[test]
fn what_a_group_says_is_changed_by_owner_and_managers_and_only_what_is_set() {
    let kind = ConversationType::Group;
    let chats = team();
    let rename = |name: &str| update(kind, "g", |it| it.name = Some(name.to_owned()));
    assert_eq!(chats.ask("mary", rename("x")).unwrap_err(), only("manager"));
    assert_eq!(
        chats.ask("bob", rename("x")).unwrap_err(),
        Refusal::new(ErrorCode::NOT_IN_GROUP)
    );
    chats.wait(Duration::from_secs(1));
    let answer = chats
        .ask(
            "jerry",
            update(kind, "g", |it| {
                it.notice = Some("mondays".to_owned());
                it.attributes = Some("{}".to_owned());
            }),
        )
        .unwrap();
    assert!(matches!(answer.result, reply::Result::Done(_)));
    let answer = chats.ask("tom", rename("team")).unwrap();
    let event = told_all(&answer);
    let told = event.conversation.clone().unwrap();
    assert_eq!(
        (&*told.name, &*told.notice, &*told.attributes, &*event.by_user_id),
        ("team", "mondays", "{}", "tom")
    );
    assert_eq!(told.updated_at_ms, chats.now_ms());
    assert_eq!(chats.ask("tom", rename("team")).unwrap().told(), [], "says so already");
    chats.ask_as_server(rename("")).unwrap();
    let question = Command::Query(QueryConversation {
        r#type: kind.into(),
        id: "g".to_owned(),
    });
    match chats.ask("will", question).unwrap().result {
        reply::Result::OwnConversation(own) => assert_eq!(own.info.unwrap().name, ""),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_discussion_says_is_changed_by_any_member_and_it_has_no_notice() {
    let kind = ConversationType::Discussion;
    let chats = Chats::new();
    let id = chats.discussion("tom", &["jerry"]);
    let answer = chats
        .ask("jerry", update(kind, &id, |it| it.name = Some("x".to_owned())))
        .unwrap();
    assert_eq!(answer.told(), [(vec!["jerry", "tom"], "changed")]);
    let notice = update(kind, &id, |it| it.notice = Some(String::new()));
    assert_eq!(chats.ask("jerry", notice).unwrap_err(), Refusal::parameter("notice"));
    let outside = Refusal::new(ErrorCode::NOT_IN_DISCUSSION);
    assert_eq!(chats.ask("mary", update(kind, &id, |_| ())).unwrap_err(), outside);
}

#[test]
fn a_member_whose_row_names_no_role_may_what_members_may() {
    let chats = team();
    chats.change(|rows| {
        let row = rows
            .conversation("app", ConversationType::Group.into(), "g")?
            .expect("it is there");
        let mary = rows.member(row.id, "mary")?.expect("inside");
        rows.put_member(&MemberRow { role: 0, ..mary })
    });
    assert_eq!(chats.ask("mary", dismiss()).unwrap_err(), only("owner"));
    assert_eq!(
        chats.ask("mary", mute(&["will"], true, 0)).unwrap_err(),
        only("manager")
    );
}
