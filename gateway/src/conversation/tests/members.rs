//! Users come into conversations and leave them, and who is told.

use sluice_protocol::{
    AddMembers, ConversationInfo, ConversationType, ErrorCode, JoinConversation, MemberRole, MembersChanged,
    MuteGroupMembers, QueryConversationMembers, QuitConversation, RemoveMembers, SetGroupManagers,
};

use super::*;

const BOTH: [ConversationType; 2] = [ConversationType::Discussion, ConversationType::Group];

pub(super) fn add(kind: ConversationType, id: &str, users: &[&str]) -> Command {
    Command::Add(AddMembers {
        r#type: kind.into(),
        id: id.to_owned(),
        user_ids: texts(users),
    })
}

pub(super) fn remove(kind: ConversationType, id: &str, users: &[&str]) -> Command {
    Command::Remove(RemoveMembers {
        r#type: kind.into(),
        id: id.to_owned(),
        user_ids: texts(users),
    })
}

pub(super) fn join(kind: ConversationType, id: &str) -> Command {
    Command::Join(JoinConversation {
        r#type: kind.into(),
        id: id.to_owned(),
    })
}

pub(super) fn quit(kind: ConversationType, id: &str) -> Command {
    Command::Quit(QuitConversation {
        r#type: kind.into(),
        id: id.to_owned(),
    })
}

pub(super) fn group(id: &str, others: &[&str]) -> Command {
    Command::CreateGroup(CreateGroup {
        id: id.to_owned(),
        user_ids: texts(others),
        ..CreateGroup::default()
    })
}

pub(super) fn set_managers(id: &str, users: &[&str], manager: bool) -> Command {
    Command::SetManagers(SetGroupManagers {
        id: id.to_owned(),
        user_ids: texts(users),
        manager,
    })
}

/// All members, as one who is inside sees them.
pub(super) fn members_of(chats: &Chats, user: &str, kind: ConversationType, id: &str) -> Vec<(String, MemberRole)> {
    let question = Command::QueryMembers(QueryConversationMembers {
        r#type: kind.into(),
        id: id.to_owned(),
        ..QueryConversationMembers::default()
    });
    match chats.ask(user, question).expect("it is answered").result {
        reply::Result::ConversationMembers(page) => {
            assert_eq!(page.next_cursor, "", "all are in one page");
            let members = page.members.into_iter();
            members.map(|member| (member.user_id.clone(), member.role())).collect()
        }
        other => panic!("{other:?}"),
    }
}

/// What became of whom: done, and refused with which code.
pub(super) fn judged(answer: &Answer) -> (Vec<&str>, Vec<(&str, ErrorCode)>) {
    let MembersChanged { user_ids, refused, .. } = changed(answer);
    (
        user_ids.iter().map(String::as_str).collect(),
        refused
            .iter()
            .map(|refused| (&*refused.user_id, ErrorCode::from(refused.code)))
            .collect(),
    )
}

pub(super) fn info(answer: &Answer) -> &ConversationInfo {
    changed(answer).conversation.as_ref().expect("it says which")
}

fn changed(answer: &Answer) -> &MembersChanged {
    match &answer.result {
        reply::Result::MembersChanged(changed) => changed,
        other => panic!("{other:?}"),
    }
}

/// Who does what, and who is told what.
type Line = (
    &'static str,
    fn(ConversationType, &str) -> Command,
    Vec<(Vec<&'static str>, &'static str)>,
);

/// A conversation of Tom and Jerry.
fn of_tom_and_jerry(chats: &Chats, kind: ConversationType) -> String {
    match kind {
        ConversationType::Group => chats.group("tom", &["jerry"]),
        _ => chats.discussion("tom", &["jerry"]),
    }
}

#[test]
fn who_comes_who_goes_and_who_is_there_are_told_as_the_table_says() {
    for kind in BOTH {
        let table: [Line; 4] = [
            (
                "tom",
                |kind, id| add(kind, id, &["mary"]),
                vec![(vec!["jerry", "tom"], "joined"), (vec!["mary"], "invited")],
            ),
            (
                "tom",
                |kind, id| remove(kind, id, &["mary"]),
                vec![(vec!["jerry", "tom"], "left"), (vec!["mary"], "kicked")],
            ),
            ("will", join, vec![(vec!["jerry", "tom", "will"], "joined")]),
            ("jerry", quit, vec![(vec!["jerry", "tom", "will"], "left")]),
        ];
        let chats = Chats::new();
        let id = of_tom_and_jerry(&chats, kind);
        for ((user, command, expected), (count, whom)) in
            table
                .into_iter()
                .zip([(3, "mary"), (2, "mary"), (3, "will"), (2, "jerry")])
        {
            let answer = chats.ask(user, command(kind, &id)).unwrap();
            assert_eq!(answer.told(), expected, "{kind:?}, {user}");
            assert_eq!(judged(&answer), (vec![whom], vec![]));
            assert_eq!(info(&answer).member_count, count);
            for told in &answer.told {
                assert_eq!(told.sequence, 0);
                let (by, about) = match &told.event {
                    Body::MembersJoined(event) => {
                        assert_eq!((event.r#type(), &event.id, event.member_count), (kind, &id, count));
                        (&event.by_user_id, event.user_ids.clone())
                    }
                    Body::MembersLeft(event) => {
                        assert_eq!((event.r#type(), &event.id, event.member_count), (kind, &id, count));
                        (&event.by_user_id, event.user_ids.clone())
                    }
                    Body::Invited(event) => {
                        let told = event.conversation.as_ref().unwrap();
                        assert_eq!(told, info(&answer));
                        (&event.by_user_id, texts(&[whom]))
                    }
                    Body::KickedFromConversation(event) => {
                        assert_eq!((event.r#type(), &event.id), (kind, &id));
                        (&event.by_user_id, texts(&[whom]))
                    }
                    other => panic!("{other:?}"),
                };
                assert_eq!((&**by, about), (user, texts(&[whom])), "{kind:?}");
            }
        }
    }
}

#[test]
fn who_is_inside_already_is_added_again_without_a_word() {
    for kind in BOTH {
        let chats = Chats::new();
        let id = of_tom_and_jerry(&chats, kind);
        let answer = chats.ask("tom", add(kind, &id, &["jerry", "tom"])).unwrap();
        assert_eq!(judged(&answer), (vec!["jerry", "tom"], vec![]));
        assert_eq!(answer.told(), []);
        let answer = chats.ask("jerry", join(kind, &id)).unwrap();
        assert_eq!((judged(&answer), answer.told().len()), ((vec!["jerry"], vec![]), 0));
        let answer = chats.ask("tom", add(kind, &id, &["jerry", "mary", "mary"])).unwrap();
        assert_eq!(judged(&answer), (vec!["jerry", "mary"], vec![]));
        assert_eq!(
            answer.told(),
            [(vec!["jerry", "tom"], "joined"), (vec!["mary"], "invited")]
        );
        let Body::MembersJoined(event) = &answer.told[0].event else {
            panic!()
        };
        assert_eq!(event.user_ids, ["mary"], "only who came");
    }
}

#[test]
fn users_are_added_until_the_conversation_is_full_each_judged_alone() {
    for kind in BOTH {
        let chats = Chats::with(|app| app.conversations.members_max = 4);
        let id = of_tom_and_jerry(&chats, kind);
        let answer = chats.ask("tom", add(kind, &id, &["a", "b", "jerry", "c"])).unwrap();
        let full = ErrorCode::CONVERSATION_FULL;
        assert_eq!(judged(&answer), (vec!["a", "b", "jerry"], vec![("c", full)]));
        assert_eq!(info(&answer).member_count, 4);
        assert_eq!(
            answer.told(),
            [(vec!["jerry", "tom"], "joined"), (vec!["a", "b"], "invited")]
        );
        let answer = chats.ask("tom", add(kind, &id, &["c", "d"])).unwrap();
        assert_eq!(judged(&answer), (vec![], vec![("c", full), ("d", full)]));
        assert_eq!(answer.told(), []);
        assert_eq!(chats.ask("c", join(kind, &id)).unwrap_err(), Refusal::new(full));
        chats.ask("a", quit(kind, &id)).unwrap();
        chats.ask("c", join(kind, &id)).unwrap();
        assert_eq!(chats.ask("a", join(kind, &id)).unwrap_err(), Refusal::new(full));
    }
}

#[test]
fn who_is_not_inside_changes_nothing_and_each_type_has_its_code() {
    for (kind, code) in [
        (ConversationType::Discussion, ErrorCode::NOT_IN_DISCUSSION),
        (ConversationType::Group, ErrorCode::NOT_IN_GROUP),
    ] {
        let chats = Chats::new();
        let id = of_tom_and_jerry(&chats, kind);
        let outside = Refusal::new(code);
        assert_eq!(chats.ask("will", add(kind, &id, &["will"])).unwrap_err(), outside);
        assert_eq!(chats.ask("will", remove(kind, &id, &["tom"])).unwrap_err(), outside);
        assert_eq!(chats.ask("will", quit(kind, &id)).unwrap_err(), outside);
        chats.ask("jerry", quit(kind, &id)).unwrap();
        assert_eq!(chats.ask("jerry", quit(kind, &id)).unwrap_err(), outside);
        assert_eq!(chats.ask("jerry", add(kind, &id, &["jerry"])).unwrap_err(), outside);
        let unknown = Refusal::new(ErrorCode::CONVERSATION_UNKNOWN);
        for command in [
            add(kind, "no", &["a"]),
            remove(kind, "no", &["a"]),
            join(kind, "no"),
            quit(kind, "no"),
        ] {
            assert_eq!(chats.ask("tom", command).unwrap_err(), unknown);
        }
        let other = BOTH.into_iter().find(|other| *other != kind).unwrap();
        assert_eq!(
            chats.ask("tom", quit(other, &id)).unwrap_err(),
            unknown,
            "by another type"
        );
    }
}

#[test]
fn members_of_one_to_one_and_system_conversations_do_not_change() {
    let chats = Chats::new();
    let never = Refusal::new(ErrorCode::OPERATION_NOT_SUPPORTED);
    for kind in [ConversationType::Peer, ConversationType::Room] {
        for command in [
            add(kind, "bob", &["a"]),
            remove(kind, "bob", &["a"]),
            join(kind, "bob"),
            quit(kind, "bob"),
        ] {
            assert_eq!(chats.ask("tom", command).unwrap_err(), never, "{kind:?}");
        }
    }
}

#[test]
fn any_member_removes_any_from_a_discussion_and_who_is_not_inside_is_named() {
    let discussion = ConversationType::Discussion;
    let chats = Chats::new();
    let id = chats.discussion("tom", &["jerry", "mary", "will"]);
    let answer = chats
        .ask("jerry", remove(discussion, &id, &["tom", "bob", "mary"]))
        .unwrap();
    assert_eq!(
        judged(&answer),
        (vec!["tom", "mary"], vec![("bob", ErrorCode::NOT_A_MEMBER)])
    );
    assert_eq!(
        answer.told(),
        [(vec!["jerry", "will"], "left"), (vec!["mary", "tom"], "kicked")]
    );
    let answer = chats.ask("jerry", remove(discussion, &id, &["bob"])).unwrap();
    assert_eq!((judged(&answer).0.len(), answer.told().len()), (0, 0));
    let answer = chats.ask("jerry", remove(discussion, &id, &["jerry"])).unwrap();
    assert_eq!(
        answer.told(),
        [(vec!["will"], "left"), (vec!["jerry"], "kicked")],
        "oneself too"
    );
}

#[test]
fn in_a_group_owner_and_managers_add_and_remove_and_nobody_removes_the_owner() {
    let kind = ConversationType::Group;
    let chats = Chats::new();
    let id = chats.group("tom", &["jerry", "mary", "will"]);
    chats.ask("tom", set_managers(&id, &["jerry"], true)).unwrap();
    let manager = Refusal::with_detail(ErrorCode::GROUP_PERMISSION, "manager");
    assert_eq!(chats.ask("mary", add(kind, &id, &["bob"])).unwrap_err(), manager);
    assert_eq!(chats.ask("mary", remove(kind, &id, &["will"])).unwrap_err(), manager);
    assert_eq!(chats.ask("mary", remove(kind, &id, &["mary"])).unwrap_err(), manager);
    let answer = chats.ask("jerry", add(kind, &id, &["bob"])).unwrap();
    assert_eq!(judged(&answer), (vec!["bob"], vec![]));
    let answer = chats.ask("jerry", remove(kind, &id, &["bob", "tom", "mary"])).unwrap();
    assert_eq!(
        judged(&answer),
        (vec!["bob", "mary"], vec![("tom", ErrorCode::OWNER_STAYS)])
    );
    assert_eq!(
        answer.told(),
        [(vec!["jerry", "tom", "will"], "left"), (vec!["bob", "mary"], "kicked")]
    );
    let open = Chats::with(|app| app.conversations.members_may_add = true);
    let id = open.group("tom", &["jerry"]);
    assert_eq!(
        judged(&open.ask("jerry", add(kind, &id, &["mary"])).unwrap()).0,
        ["mary"]
    );
    assert_eq!(open.ask("jerry", remove(kind, &id, &["mary"])).unwrap_err(), manager);
}

#[test]
fn groups_can_be_closed_to_who_comes_alone_and_discussions_not() {
    let chats = Chats::with(|app| app.conversations.groups_open = false);
    let group = chats.group("tom", &["jerry"]);
    let refused = Refusal::new(ErrorCode::JOIN_NOT_ALLOWED);
    assert_eq!(
        chats.ask("will", join(ConversationType::Group, &group)).unwrap_err(),
        refused
    );
    let answer = chats.ask("jerry", join(ConversationType::Group, &group)).unwrap();
    assert_eq!(judged(&answer).0, ["jerry"], "is inside already");
    let discussion = chats.discussion("tom", &[]);
    chats
        .ask("will", join(ConversationType::Discussion, &discussion))
        .unwrap();
}

#[test]
fn an_owner_leaves_a_group_last() {
    let kind = ConversationType::Group;
    let chats = Chats::new();
    chats.ask("tom", group("g", &["jerry"])).unwrap();
    let stays = Refusal::new(ErrorCode::OWNER_STAYS);
    assert_eq!(chats.ask("tom", quit(kind, "g")).unwrap_err(), stays);
    chats.ask("jerry", quit(kind, "g")).unwrap();
    let answer = chats.ask("tom", quit(kind, "g")).unwrap();
    assert_eq!(answer.told(), [(vec!["tom"], "left")]);
    assert_eq!(info(&answer).member_count, 0);
    let unknown = Refusal::new(ErrorCode::CONVERSATION_UNKNOWN);
    assert_eq!(
        chats.ask("jerry", join(kind, "g")).unwrap_err(),
        unknown,
        "it is no more"
    );
    chats.ask("will", group("g", &[])).expect("and its id is free");
}

#[test]
fn a_discussion_ends_with_its_last_member() {
    let kind = ConversationType::Discussion;
    let chats = Chats::new();
    let unknown = Refusal::new(ErrorCode::CONVERSATION_UNKNOWN);
    for last in [quit, |kind, id: &str| remove(kind, id, &["jerry"])] {
        let id = of_tom_and_jerry(&chats, kind);
        chats.ask("tom", quit(kind, &id)).unwrap();
        chats.ask("jerry", last(kind, &id)).unwrap();
        assert_eq!(chats.ask("tom", join(kind, &id)).unwrap_err(), unknown);
    }
}

#[test]
fn the_apps_server_puts_in_and_out_whom_it_wants_and_the_earliest_member_follows_an_owner_it_put_out() {
    let kind = ConversationType::Group;
    let chats = Chats::with(|app| app.conversations.groups_open = false);
    let id = chats.group("tom", &["will"]);
    chats.wait(Duration::from_millis(1));
    let answer = chats.ask_as_server(add(kind, &id, &["anna"])).unwrap();
    assert_eq!(
        answer.told(),
        [(vec!["tom", "will"], "joined"), (vec!["anna"], "invited")]
    );
    let Body::Invited(event) = &answer.told[1].event else {
        panic!()
    };
    assert_eq!(event.by_user_id, "");
    let answer = chats.ask_as_server(remove(kind, &id, &["tom"])).unwrap();
    assert_eq!(
        answer.told(),
        [
            (vec!["anna", "will"], "left"),
            (vec!["tom"], "kicked"),
            (vec!["anna", "will"], "changed")
        ]
    );
    let Body::ConversationChanged(event) = &answer.told[2].event else {
        panic!()
    };
    let roles = event.roles.iter().map(|member| (&*member.user_id, member.role()));
    assert_eq!(roles.collect::<Vec<_>>(), [("will", MemberRole::Owner)]);
    assert_eq!(
        members_of(&chats, "anna", kind, &id),
        [
            ("anna".to_owned(), MemberRole::Member),
            ("will".to_owned(), MemberRole::Owner)
        ]
    );
    let answer = chats.ask_as_server(remove(kind, &id, &["anna", "will"])).unwrap();
    assert_eq!(answer.told(), [(vec!["anna", "will"], "kicked")]);
    let unknown = Refusal::new(ErrorCode::CONVERSATION_UNKNOWN);
    assert_eq!(chats.ask_as_server(add(kind, &id, &["anna"])).unwrap_err(), unknown);
    let never = Refusal::new(ErrorCode::OPERATION_NOT_SUPPORTED);
    let id = chats.group("tom", &[]);
    assert_eq!(chats.ask_as_server(join(kind, &id)).unwrap_err(), never, "it is nobody");
    assert_eq!(chats.ask_as_server(quit(kind, &id)).unwrap_err(), never);
}

#[test]
fn messages_before_one_came_are_for_others() {
    let kind = ConversationType::Group;
    let chats = Chats::new();
    chats.ask("tom", group("g", &["jerry"])).unwrap();
    let conversation = chats.change(|rows| {
        let row = rows
            .conversation("app", ConversationType::Group.into(), "g")?
            .expect("it is there");
        rows.move_last(row.id, 41, 7, 9)?;
        Ok(row.id)
    });
    chats.ask("will", join(kind, "g")).unwrap();
    chats.ask("tom", add(kind, "g", &["mary"])).unwrap();
    chats.ask("jerry", quit(kind, "g")).unwrap();
    chats.ask("jerry", join(kind, "g")).unwrap();
    for (user, first) in [("tom", 1), ("will", 42), ("mary", 42), ("jerry", 42)] {
        let row = chats.read(move |rows| rows.member(conversation, user)).expect("inside");
        assert_eq!(
            (row.first_sequence, row.delivered_sequence, row.read_sequence),
            (first, first - 1, first - 1),
            "{user}"
        );
    }
}

#[test]
fn who_leaves_a_group_muted_comes_back_muted() {
    let kind = ConversationType::Group;
    let mute = |users: &[&str], muted: bool, seconds: u32| {
        Command::Mute(MuteGroupMembers {
            id: "g".to_owned(),
            user_ids: texts(users),
            muted,
            seconds,
        })
    };
    let chats = Chats::new();
    chats.ask("tom", group("g", &["jerry", "mary", "will"])).unwrap();
    let muted = |user: &'static str| {
        chats.read(move |rows| {
            let row = rows
                .conversation("app", ConversationType::Group.into(), "g")?
                .expect("it is there");
            Ok(rows.member(row.id, user)?.expect("inside").muted_until_ms)
        })
    };
    chats.ask("tom", mute(&["jerry"], true, 0)).unwrap();
    chats.ask("tom", mute(&["mary", "will"], true, 60)).unwrap();
    for user in ["jerry", "mary"] {
        chats.ask(user, quit(kind, "g")).unwrap();
    }
    chats.ask("tom", remove(kind, "g", &["will"])).unwrap();
    chats.ask("jerry", join(kind, "g")).unwrap();
    assert_eq!(muted("jerry"), Some(i64::MAX));
    chats.wait(Duration::from_secs(30));
    chats.ask("tom", add(kind, "g", &["mary"])).unwrap();
    assert_eq!(muted("mary"), Some(chats.now_ms() + 30_000));
    chats.wait(Duration::from_secs(30));
    chats.ask("will", join(kind, "g")).unwrap();
    assert_eq!(muted("will"), None, "it is over");
    chats.ask("jerry", quit(kind, "g")).unwrap();
    let answer = chats.ask("tom", mute(&["jerry"], false, 0)).unwrap();
    assert_eq!(judged(&answer), (vec!["jerry"], vec![]));
    chats.ask("jerry", join(kind, "g")).unwrap();
    assert_eq!(muted("jerry"), None, "was unmuted while outside");
}
