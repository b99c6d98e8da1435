//! Questions: one conversation, its members, the list.

use sluice_protocol::{
    ConversationMembers, ConversationType, Conversations as List, ErrorCode, MemberRole, OwnConversation,
    QueryConversation, QueryConversationMembers, QueryConversations, limits,
};

use super::*;
use crate::conversation::key::Key;
use crate::conversation::tests::members::{group, join, quit};
use crate::store::{MemberRow, MessageRow};

fn query(kind: ConversationType, id: &str) -> Command {
    Command::Query(QueryConversation {
        r#type: kind.into(),
        id: id.to_owned(),
    })
}

fn own(chats: &Chats, user: &str, kind: ConversationType, id: &str) -> OwnConversation {
    match chats.ask(user, query(kind, id)).expect("it is answered").result {
        reply::Result::OwnConversation(own) => own,
        other => panic!("{other:?}"),
    }
}

fn list(chats: &Chats, user: &str, change: impl FnOnce(&mut QueryConversations)) -> List {
    let mut command = QueryConversations::default();
    change(&mut command);
    match chats.ask(user, Command::List(command)).expect("it is answered").result {
        reply::Result::Conversations(page) => page,
        other => panic!("{other:?}"),
    }
}

fn ids(list: &List) -> Vec<&str> {
    let all = list.conversations.iter();
    all.map(|own| &*own.info.as_ref().unwrap().id).collect()
}

fn page(chats: &Chats, kind: ConversationType, id: &str, limit: u32, cursor: &str) -> ConversationMembers {
    let question = Command::QueryMembers(QueryConversationMembers {
        r#type: kind.into(),
        id: id.to_owned(),
        limit,
        cursor: cursor.to_owned(),
    });
    match chats.ask("tom", question).expect("it is answered").result {
        reply::Result::ConversationMembers(page) => page,
        other => panic!("{other:?}"),
    }
}

/// Writes a message's row, as far as questions look at it.
fn say(chats: &Chats, kind: ConversationType, id: &str, sender: &'static str, counts: bool) {
    let (key, at_ms) = (id.to_owned(), chats.now_ms());
    chats.change(move |rows| {
        let row = rows.conversation("app", kind.into(), &key)?.expect("it is there");
        let sequence = row.last_sequence + 1;
        rows.insert_message(&MessageRow {
            conversation: row.id,
            sequence,
            message_id: sequence + 100,
            sent_at_ms: at_ms,
            sender_id: sender.to_owned(),
            counts,
            ..MessageRow::default()
        })?;
        rows.move_last(row.id, sequence, sequence + 100, at_ms)
    });
}

/// A conversation of two users, as its first message makes it.
fn pair(chats: &Chats, one: &'static str, other: &'static str) {
    let now_ms = chats.now_ms();
    chats.change(move |rows| {
        let id = rows.conversation("app", 0, "none")?.map_or(now_ms, |row| row.id);
        rows.insert_conversation(&crate::store::ConversationRow {
            id,
            app: "app".to_owned(),
            kind: ConversationType::Peer.into(),
            key: Key::peer(one, other).key,
            member_count: 2,
            created_at_ms: now_ms,
            ..Default::default()
        })?;
        for user in [one, other] {
            rows.put_member(&MemberRow {
                conversation: id,
                user_id: user.to_owned(),
                app: "app".to_owned(),
                role: MemberRole::Member.into(),
                first_sequence: 1,
                ..MemberRow::default()
            })?;
        }
        Ok(())
    });
}

#[test]
fn a_member_sees_a_conversation_with_what_is_new_there_for_this_member() {
    let kind = ConversationType::Group;
    let chats = Chats::new();
    chats.ask("tom", group("g", &["jerry"])).unwrap();
    say(&chats, kind, "g", "tom", true);
    chats.ask("will", join(kind, "g")).unwrap();
    say(&chats, kind, "g", "tom", true);
    say(&chats, kind, "g", "tom", false);
    say(&chats, kind, "g", "will", true);
    let seen = own(&chats, "jerry", kind, "g");
    let info = seen.info.clone().unwrap();
    assert_eq!(
        (info.last_sequence, info.last_message_id, info.member_count),
        (4, 104, 3)
    );
    assert_eq!(
        (seen.role(), seen.unread, seen.first_sequence),
        (MemberRole::Member, 3, 1)
    );
    let toms = own(&chats, "tom", kind, "g");
    assert_eq!(
        (toms.role(), toms.unread),
        (MemberRole::Owner, 1),
        "one's own do not count"
    );
    let wills = own(&chats, "will", kind, "g");
    assert_eq!((wills.unread, wills.first_sequence, wills.read_sequence), (1, 2, 1));
    let as_server = chats.ask_as_server(query(kind, "g")).unwrap();
    let reply::Result::OwnConversation(seen) = as_server.result else {
        panic!()
    };
    assert_eq!(
        (seen.info.clone(), seen.role(), seen.unread),
        (Some(info), MemberRole::Unspecified, 0)
    );
}

#[test]
fn at_most_999_unread_messages_are_counted() {
    let kind = ConversationType::Group;
    let chats = Chats::new();
    chats.ask("tom", group("g", &["jerry"])).unwrap();
    chats.change(|rows| {
        let row = rows
            .conversation("app", ConversationType::Group.into(), "g")?
            .expect("it is there");
        for sequence in 1..=1001 {
            rows.insert_message(&MessageRow {
                conversation: row.id,
                sequence,
                message_id: sequence,
                sender_id: "tom".to_owned(),
                counts: true,
                ..MessageRow::default()
            })?;
        }
        rows.move_last(row.id, 1001, 1001, 1)
    });
    let read_up_to = |read_sequence| {
        chats.change(move |rows| {
            let row = rows
                .conversation("app", ConversationType::Group.into(), "g")?
                .expect("it is there");
            let jerry = rows.member(row.id, "jerry")?.expect("inside");
            rows.put_member(&MemberRow { read_sequence, ..jerry })
        });
        own(&chats, "jerry", kind, "g").unread
    };
    assert_eq!([0, 1, 2, 3, 1001].map(read_up_to), [999, 999, 999, 998, 0]);
}

#[test]
fn who_is_not_inside_asks_in_vain() {
    let chats = Chats::new();
    chats.ask("tom", group("g", &["jerry"])).unwrap();
    let discussion = chats.discussion("tom", &["jerry"]);
    chats.ask("jerry", quit(ConversationType::Group, "g")).unwrap();
    for (kind, id, user, code) in [
        (ConversationType::Group, "g", "will", ErrorCode::NOT_IN_GROUP),
        (ConversationType::Group, "g", "jerry", ErrorCode::NOT_IN_GROUP),
        (
            ConversationType::Discussion,
            &*discussion,
            "will",
            ErrorCode::NOT_IN_DISCUSSION,
        ),
        (ConversationType::Group, "h", "tom", ErrorCode::CONVERSATION_UNKNOWN),
        (ConversationType::System, "news", "tom", ErrorCode::CONVERSATION_UNKNOWN),
        (ConversationType::Room, "g", "tom", ErrorCode::OPERATION_NOT_SUPPORTED),
    ] {
        let members = Command::QueryMembers(QueryConversationMembers {
            r#type: kind.into(),
            id: id.to_owned(),
            ..QueryConversationMembers::default()
        });
        for command in [query(kind, id), members] {
            assert_eq!(
                chats.ask(user, command).unwrap_err(),
                Refusal::new(code),
                "{kind:?}, {user}"
            );
        }
    }
    for id in ["tom", "a b", ""] {
        let refusal = chats.ask("tom", query(ConversationType::Peer, id)).unwrap_err();
        assert_eq!(refusal, Refusal::parameter("id"), "{id:?} is no other user");
    }
}

#[test]
fn two_users_who_have_not_written_yet_have_an_empty_conversation_that_is_in_no_list() {
    let chats = Chats::new();
    let peer = ConversationType::Peer;
    let seen = own(&chats, "tom", peer, "jerry");
    assert_eq!(
        (seen.unread, seen.first_sequence, seen.role()),
        (0, 1, MemberRole::Member)
    );
    let info = seen.info.unwrap();
    assert_eq!((&*info.id, info.member_count, info.last_sequence), ("jerry", 2, 0));
    let members = page(&chats, peer, "jerry", 1, "");
    assert_eq!(
        (&*members.members[0].user_id, &*members.next_cursor),
        ("jerry", "jerry")
    );
    let members = page(&chats, peer, "jerry", 1, "jerry");
    assert_eq!((&*members.members[0].user_id, &*members.next_cursor), ("tom", ""));
    assert_eq!(ids(&list(&chats, "tom", |_| ())), [""; 0]);
    let row = chats.read(|rows| rows.conversation("app", ConversationType::Peer.into(), "jerry\ntom"));
    assert_eq!(row, None, "nothing was made");
    pair(&chats, "tom", "jerry");
    assert_eq!(
        ids(&list(&chats, "tom", |_| ())),
        ["jerry"],
        "each sees the name of the other"
    );
    assert_eq!(ids(&list(&chats, "jerry", |_| ())), ["tom"]);
}

#[test]
fn members_are_read_by_pages_and_all_are_found_once() {
    let kind = ConversationType::Group;
    let chats = Chats::new();
    let others: Vec<String> = (0..100).map(|number| format!("user{number}")).collect();
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    chats.ask("tom", group("g", &others)).unwrap();
    let all = page(&chats, kind, "g", 0, "");
    assert_eq!(
        (all.members.len(), all.member_count),
        (100, 101),
        "a hundred unless fewer are asked for"
    );
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = page(&chats, kind, "g", 25, &cursor);
        found.extend(page.members.into_iter().map(|member| member.user_id));
        cursor = page.next_cursor;
        if cursor.is_empty() {
            break;
        }
    }
    let mut expected: Vec<String> = texts(&others);
    expected.push("tom".to_owned());
    expected.sort_unstable();
    assert_eq!(found, expected);
    let wrong = Command::QueryMembers(QueryConversationMembers {
        r#type: kind.into(),
        id: "g".to_owned(),
        cursor: "\n".to_owned(),
        ..QueryConversationMembers::default()
    });
    assert_eq!(chats.ask("tom", wrong).unwrap_err(), Refusal::parameter("cursor"));
}

#[test]
fn the_list_has_the_newest_message_first_and_one_without_counts_from_when_it_was_made() {
    let kind = ConversationType::Group;
    let chats = Chats::new();
    for id in ["a", "b", "c"] {
        chats.ask("tom", group(id, &["jerry"])).unwrap();
        chats.wait(Duration::from_secs(1));
    }
    assert_eq!(ids(&list(&chats, "tom", |_| ())), ["c", "b", "a"]);
    say(&chats, kind, "a", "jerry", true);
    let all = list(&chats, "tom", |_| ());
    assert_eq!((ids(&all), all.more), (vec!["a", "c", "b"], false));
    assert_eq!((all.conversations[0].unread, all.conversations[1].unread), (1, 0));
    let first = list(&chats, "tom", |it| it.limit = 2);
    assert_eq!((ids(&first), first.more), (vec!["a", "c"], true));
    let rest = list(&chats, "tom", |it| (it.limit, it.skip) = (2, 2));
    assert_eq!((ids(&rest), rest.more), (vec!["b"], false));
    assert_eq!(ids(&list(&chats, "will", |_| ())), [""; 0]);
    for _ in 0..11 {
        chats.discussion("will", &[]);
    }
    let ten = list(&chats, "will", |_| ());
    assert_eq!(
        (ten.conversations.len(), ten.more),
        (10, true),
        "ten unless another number is asked for"
    );
}

#[test]
fn the_list_is_narrowed_by_type_members_name_and_time() {
    let chats = Chats::new();
    for (id, others) in [("one", &["jerry"][..]), ("two", &["jerry", "mary"])] {
        chats.ask("tom", group(id, others)).unwrap();
    }
    let created = |name: &str, seconds| {
        created(chats.ask(
            "tom",
            Command::Create(CreateConversation {
                name: name.to_owned(),
                temporary_seconds: seconds,
                ..CreateConversation::default()
            }),
        ))
    };
    let then_ms = chats.now_ms();
    chats.wait(Duration::from_secs(1));
    let nba = created("the NBA", 0);
    created("the NBA tonight", 60);
    assert_eq!(
        ids(&list(&chats, "tom", |_| ())),
        [&*nba, "two", "one"],
        "temporary ones are left out"
    );
    assert_eq!(ids(&list(&chats, "tom", |it| it.type_plus_one = 3)), ["two", "one"]);
    assert_eq!(ids(&list(&chats, "tom", |it| it.type_plus_one = 4)), [&*nba]);
    assert_eq!(ids(&list(&chats, "tom", |it| it.type_plus_one = 1)), [""; 0]);
    let with = |users: &[&str]| list(&chats, "tom", |it| it.containing_user_ids = texts(users));
    assert_eq!(ids(&with(&["jerry"])), ["two", "one"]);
    assert_eq!(ids(&with(&["jerry", "mary", "tom"])), ["two"]);
    assert_eq!(ids(&with(&["bob"])), [""; 0]);
    assert_eq!(
        ids(&list(&chats, "tom", |it| it.name_contains = "NBA".to_owned())),
        [&*nba]
    );
    assert_eq!(
        ids(&list(&chats, "tom", |it| it.name_contains = "nba".to_owned())),
        [""; 0]
    );
    assert_eq!(
        ids(&list(&chats, "tom", |it| it.name_contains = "%".to_owned())),
        [""; 0]
    );
    assert_eq!(ids(&list(&chats, "tom", |it| it.updated_after_ms = then_ms)), [&*nba]);
    let wrong = Command::List(QueryConversations {
        containing_user_ids: texts(&["a b"]),
        ..QueryConversations::default()
    });
    let refusal = Refusal::parameter("containing_user_ids");
    assert_eq!(chats.ask("tom", wrong).unwrap_err(), refusal);
    let never = Refusal::new(ErrorCode::OPERATION_NOT_SUPPORTED);
    let as_server = chats.ask_as_server(Command::List(QueryConversations::default()));
    assert_eq!(as_server.unwrap_err(), never, "it has none of its own");
}

#[test]
fn a_page_of_the_list_ends_before_it_is_too_large_and_goes_on_from_there() {
    let chats = Chats::new();
    let count = 150;
    for _ in 0..count {
        let command = CreateConversation {
            attributes: "a".repeat(limits::CONVERSATION_ATTRIBUTES_BYTES),
            ..CreateConversation::default()
        };
        chats.ask("tom", Command::Create(command)).unwrap();
    }
    let first = list(&chats, "tom", |it| it.limit = 1000);
    let bytes = first.encoded_len();
    let got = first.conversations.len();
    assert!(first.more && got < count, "{got}");
    assert!(
        bytes <= limits::PAGE_BYTES + 4 * got && bytes > limits::PAGE_BYTES - 5000,
        "{bytes}"
    );
    let rest = list(&chats, "tom", |it| {
        (it.limit, it.skip) = (1000, u32::try_from(got).unwrap())
    });
    assert!(!rest.more);
    let mut all = ids(&first);
    all.extend(ids(&rest));
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count);
}

#[test]
fn a_page_of_the_list_looks_at_so_many_unread_messages_and_goes_on_from_there() {
    let chats = Chats::new();
    let all: Vec<String> = (0..15).map(|_| chats.group("ann", &["tom"])).collect();
    let keys = all.clone();
    chats.change(move |rows| {
        for (key, at_ms) in keys.iter().zip(1..) {
            let row = rows.conversation("app", ConversationType::Group.into(), key)?;
            let row = row.expect("it is there");
            // That they are not there costs nothing, which nobody knows beforehand.
            rows.move_last(row.id, 20_000, 20_000, 1_800_000_000_000 + at_ms)?;
        }
        Ok(())
    });
    let newest_first: Vec<&str> = all.iter().rev().map(String::as_str).collect();
    let first = list(&chats, "tom", |_| ());
    assert_eq!((ids(&first), first.more), (newest_first[..10].to_vec(), true));
    let first = list(&chats, "tom", |it| it.limit = 1000);
    assert_eq!((ids(&first), first.more), (newest_first[..10].to_vec(), true));
    let rest = list(&chats, "tom", |it| (it.limit, it.skip) = (1000, 10));
    assert_eq!((ids(&rest), rest.more), (newest_first[10..].to_vec(), false));

    let order = crate::conversation::Order::List {
        user: UserId::parse("tom", IdProfile::Wide).expect("a user id"),
        kind: None,
        skip: 0,
        limit: 1000,
    };
    let answer = chats.ask_as_server(Command::Server(Box::new(order)));
    match answer.expect("a list").result {
        reply::Result::Conversations(page) => assert_eq!((ids(&page), page.more), (newest_first, false)),
        other => panic!("{other:?}"),
    }
}
