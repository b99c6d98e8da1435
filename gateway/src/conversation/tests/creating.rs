//! Discussions and groups are made.

use sluice_protocol::{ConversationCreated, ConversationInfo, ConversationType, ErrorCode, MemberRole};

use super::*;
use crate::conversation::tests::members::{add, group, join, members_of, remove};

fn discuss(change: impl FnOnce(&mut CreateConversation)) -> Command {
    let mut command = CreateConversation::default();
    change(&mut command);
    Command::Create(command)
}

fn unique(others: &[&str]) -> Command {
    discuss(|it| {
        it.user_ids = texts(others);
        it.unique = true;
    })
}

fn made(answer: Result<Answer, Refusal>) -> (ConversationInfo, bool) {
    match answer.expect("it is made").result {
        reply::Result::ConversationCreated(ConversationCreated { conversation, existed }) => {
            (conversation.expect("it says which"), existed)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_member_but_the_creator_is_invited_and_the_creators_other_devices_learn_of_it() {
    let chats = Chats::new();
    let answer = chats
        .ask(
            "tom",
            discuss(|it| {
                it.name = "plans".to_owned();
                it.attributes = "{}".to_owned();
                it.user_ids = texts(&["jerry", "mary", "jerry", "tom"]);
            }),
        )
        .unwrap();
    assert_eq!(
        answer.told(),
        [(vec!["jerry", "mary"], "invited"), (vec!["tom"], "joined")]
    );
    let Body::Invited(invited) = &answer.told[0].event else {
        panic!()
    };
    assert_eq!(invited.by_user_id, "tom");
    let told = invited.conversation.clone();
    let Body::MembersJoined(joined) = &answer.told[1].event else {
        panic!()
    };
    assert_eq!(
        (&*joined.by_user_id, joined.member_count, &joined.user_ids),
        ("tom", 3, &texts(&["tom", "jerry", "mary"]))
    );
    let (info, existed) = made(Ok(answer));
    assert_eq!((&told, existed), (&Some(info.clone()), false));
    assert_eq!(
        ConversationInfo {
            id: String::new(),
            ..info.clone()
        },
        ConversationInfo {
            r#type: ConversationType::Discussion.into(),
            name: "plans".to_owned(),
            creator_id: "tom".to_owned(),
            attributes: "{}".to_owned(),
            member_count: 3,
            created_at_ms: chats.now_ms(),
            updated_at_ms: chats.now_ms(),
            ..ConversationInfo::default()
        }
    );
    assert!(
        info.id.len() == 24 && info.id.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{}",
        info.id
    );
    let members = members_of(&chats, "mary", ConversationType::Discussion, &info.id);
    assert_eq!(
        members,
        [
            ("jerry", MemberRole::Member),
            ("mary", MemberRole::Member),
            ("tom", MemberRole::Member)
        ]
        .map(|(user, role)| (user.to_owned(), role))
    );
}

#[test]
fn a_discussion_with_the_same_members_is_found_in_whatever_order_they_are_named_and_by_whomever() {
    let chats = Chats::new();
    let (first, existed) = made(chats.ask("tom", unique(&["jerry", "mary"])));
    assert!(!existed);
    for (user, others) in [
        ("tom", ["mary", "jerry", "jerry"]),
        ("jerry", ["tom", "mary", "jerry"]),
        ("mary", ["jerry", "tom", "tom"]),
    ] {
        let answer = chats.ask(user, unique(&others)).unwrap();
        assert_eq!(answer.told(), [], "nothing new");
        assert_eq!(made(Ok(answer)), (first.clone(), true), "{user}");
    }
    for others in [vec!["jerry"], vec!["jerry", "mary", "will"], vec!["jerrymary"], vec![]] {
        let (other, existed) = made(chats.ask("tom", unique(&others)));
        assert!(!existed && other.id != first.id, "{others:?}");
    }
    let (other, existed) = made(chats.ask("tom", discuss(|it| it.user_ids = texts(&["jerry", "mary"]))));
    assert!(!existed && other.id != first.id, "not asked for one that there is");
    assert_eq!(
        made(chats.ask("tom", unique(&["mary", "jerry"]))).0.id,
        first.id,
        "the oldest"
    );
}

#[test]
fn a_discussion_whose_members_changed_is_not_found_by_them_any_more() {
    let discussion = ConversationType::Discussion;
    let chats = Chats::new();
    let id = made(chats.ask("tom", unique(&["jerry"]))).0.id;
    chats.ask("tom", add(discussion, &id, &["jerry"])).unwrap();
    assert_eq!(made(chats.ask("tom", unique(&["jerry"]))).0.id, id, "nobody came");
    chats.ask("tom", add(discussion, &id, &["mary"])).unwrap();
    chats.ask("tom", remove(discussion, &id, &["mary"])).unwrap();
    let (second, existed) = made(chats.ask("tom", unique(&["jerry"])));
    assert!(!existed && second.id != id, "even with the members it was made with");
    chats.ask("will", join(discussion, &second.id)).unwrap();
    assert!(!made(chats.ask("tom", unique(&["jerry"]))).1);
}

#[test]
fn many_who_ask_at_once_for_a_discussion_with_the_same_members_get_one() {
    let chats = Chats::new();
    let (tell, told) = mpsc::channel();
    for number in 0..64 {
        let (user, other) = if number % 2 == 0 {
            ("tom", "jerry")
        } else {
            ("jerry", "tom")
        };
        let asked = Asked {
            app: AppIndex(0),
            by: Actor::User(named(user)),
            command: unique(&[other]),
        };
        let tell = tell.clone();
        chats
            .conversations
            .ask(asked, move |outcome| tell.send(outcome).expect("the test waits"));
    }
    drop(tell);
    let made: Vec<(String, bool)> = told
        .iter()
        .map(|outcome| match outcome.expect("it is made").result {
            reply::Result::ConversationCreated(created) => (created.conversation.unwrap().id, created.existed),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(made.len(), 64);
    assert!(made.iter().all(|(id, _)| *id == made[0].0), "one for all: {made:?}");
    assert_eq!(made.iter().filter(|(_, existed)| !existed).count(), 1, "made once");
}

#[test]
fn a_temporary_discussion_is_over_at_its_end_and_stays_over_when_its_rows_are_gone() {
    let chats = Chats::new();
    let temporary = || {
        discuss(|it| {
            it.user_ids = texts(&["jerry"]);
            it.temporary_seconds = 60;
        })
    };
    let (info, _) = made(chats.ask("tom", temporary()));
    assert!(info.id.starts_with("_tmp:") && info.id.len() == 5 + 24, "{}", info.id);
    assert_eq!(info.expires_at_ms, chats.now_ms() + 60_000);
    let discussion = ConversationType::Discussion;
    assert!(
        !made(chats.ask("tom", unique(&["jerry"]))).1,
        "it is not found by its members"
    );
    chats.wait(Duration::from_millis(59_999));
    chats.ask("tom", add(discussion, &info.id, &["mary"])).unwrap();
    chats.wait(Duration::from_millis(1));
    let over = Refusal::new(ErrorCode::CONVERSATION_EXPIRED);
    assert_eq!(
        chats.ask("tom", add(discussion, &info.id, &["will"])).unwrap_err(),
        over
    );
    assert_eq!(chats.ask("will", join(discussion, &info.id)).unwrap_err(), over);
    let key = info.id.clone();
    chats.change(move |rows| {
        let row = rows.conversation("app", ConversationType::Discussion.into(), &key)?;
        rows.remove_conversation(row.expect("it is there").id)
    });
    assert_eq!(
        chats.ask("tom", add(discussion, &info.id, &["will"])).unwrap_err(),
        over
    );
    let unknown = Refusal::new(ErrorCode::CONVERSATION_UNKNOWN);
    for id in ["_tmp:", "_tmp:12", &info.id[5..]] {
        assert_eq!(chats.ask("tom", join(discussion, id)).unwrap_err(), unknown, "{id}");
    }
}

#[test]
fn a_group_has_an_owner_and_the_id_it_was_given_once() {
    let chats = Chats::new();
    let named = |id: &str| {
        Command::CreateGroup(CreateGroup {
            id: id.to_owned(),
            name: "team".to_owned(),
            notice: "mondays".to_owned(),
            user_ids: texts(&["jerry", "tom"]),
            ..CreateGroup::default()
        })
    };
    let answer = chats.ask("tom", named("team-1")).unwrap();
    assert_eq!(answer.told(), [(vec!["jerry"], "invited"), (vec!["tom"], "joined")]);
    let (info, _) = made(Ok(answer));
    assert_eq!(
        (&*info.id, &*info.name, &*info.notice, info.member_count),
        ("team-1", "team", "mondays", 2)
    );
    assert_eq!(
        members_of(&chats, "jerry", ConversationType::Group, "team-1"),
        [
            ("jerry".to_owned(), MemberRole::Member),
            ("tom".to_owned(), MemberRole::Owner)
        ]
    );
    let taken = Refusal::new(ErrorCode::GROUP_EXISTS);
    assert_eq!(chats.ask("will", named("team-1")).unwrap_err(), taken);
    let chosen = [
        made(chats.ask("tom", named(""))).0.id,
        made(chats.ask("tom", named(""))).0.id,
    ];
    assert!(
        chosen[0] != chosen[1] && chosen.iter().all(|id| id.len() == 24),
        "{chosen:?}"
    );
}

#[test]
fn no_user_owns_a_group_that_the_apps_server_is_going_to_make_under_an_id_of_its_own() {
    let chats = Chats::with(|app| app.conversations.users_name_groups = false);
    let refused = Refusal::parameter("id");
    assert_eq!(chats.ask("mallory", group("order-4711", &[])).unwrap_err(), refused);
    let command = Command::CreateGroup(CreateGroup {
        id: "order-4711".to_owned(),
        user_ids: texts(&["customer", "agent"]),
        ..CreateGroup::default()
    });
    made(chats.ask_as_server(command));
    let members = members_of(&chats, "agent", ConversationType::Group, "order-4711");
    let expected = ["agent", "customer"].map(|user| (user.to_owned(), MemberRole::Member));
    assert_eq!(members, expected);
    made(chats.ask("mallory", group("", &[])));
}

#[test]
fn what_the_apps_server_makes_has_no_creator_and_no_owner_and_all_are_invited() {
    let chats = Chats::new();
    let command = Command::CreateGroup(CreateGroup {
        id: "g".to_owned(),
        user_ids: texts(&["tom", "jerry"]),
        ..CreateGroup::default()
    });
    let answer = chats.ask_as_server(command).unwrap();
    assert_eq!(answer.told(), [(vec!["jerry", "tom"], "invited")]);
    assert_eq!(made(Ok(answer)).0.creator_id, "");
    let members = members_of(&chats, "tom", ConversationType::Group, "g");
    assert!(
        members.iter().all(|(_, role)| *role == MemberRole::Member),
        "{members:?}"
    );
    let empty = Command::CreateGroup(CreateGroup::default());
    assert_eq!(
        chats.ask_as_server(empty).unwrap().told(),
        [],
        "nobody is there to be told"
    );
}

#[test]
fn nothing_is_made_with_more_members_than_there_may_be_or_with_what_is_no_user_id() {
    let chats = Chats::with(|app| app.conversations.members_max = 3);
    let full = Refusal::new(ErrorCode::CONVERSATION_FULL);
    for others in [["a", "b", "c", "d"], ["a", "b", "c", "c"]] {
        let command = discuss(|it| it.user_ids = texts(&others));
        assert_eq!(chats.ask("tom", command).unwrap_err(), full);
        assert_eq!(chats.ask("tom", group("g", &others)).unwrap_err(), full);
    }
    made(chats.ask("tom", group("g", &["a", "b", "a", "tom"])));
    let wrong = Refusal::parameter("user_ids");
    for id in ["", "a b", "zoë", &"x".repeat(33)] {
        assert_eq!(chats.ask("tom", group("h", &["a", id])).unwrap_err(), wrong, "{id:?}");
    }
    let wide = Chats::with(|app| app.id_profile = IdProfile::Wide);
    made(wide.ask("tom", group("h", &["zoë b"])));
}
