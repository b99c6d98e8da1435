//! Rows of conversations: each question and each change against plain maps, with holes where messages were deleted.

mod plain;

use proptest::prelude::*;
use rusqlite::StatementStatus;

use crate::store::file;
use crate::store::migrations::{MIGRATIONS, migrate};
use crate::store::rows::{
    CombinedRow, ConversationRow, ConversationsQuery, Direction, MemberRow, MessageRow, MessagesQuery, Read, Rows,
    RowsMut, SentRow, Since, SqliteRows, USED, UserList,
};

use super::Folder;
use plain::Plain;

const APPS: [&str; 2] = ["app", "other"];
/// Also some that sort unlike they read, and that mean something to patterns of SQL.
const USERS: [&str; 5] = ["B", "a", "a b", "a%", "ä"];
const NAMES: [&str; 4] = ["", "100%", "Team_A", "team a"];
const KINDS: [i32; 3] = [0, 2, 3];
const LISTS: [UserList; 7] = [
    UserList::Blacklist,
    UserList::Whitelist,
    UserList::MuteException,
    UserList::LeftMuted,
    UserList::OnlyWanted,
    UserList::GroupAhead,
    UserList::MutedAhead,
];
const MESSAGE_KINDS: [i32; 3] = [1, 11, 200];
const CONVERSATIONS: i64 = 5;
const SEQUENCES: i64 = 24;

/// A change, as numbers that say which.
type Change = (u8, usize, usize, i64, i64);

fn any_change() -> impl Strategy<Value = Change> {
    (0..14_u8, 0..20_usize, 0..20_usize, 0..CONVERSATIONS, 1..=SEQUENCES)
}

fn pick<T: Copy>(from: &[T], number: usize) -> T {
    from[number % from.len()]
}

fn in_memory() -> rusqlite::Connection {
    let mut conn = rusqlite::Connection::open_in_memory().expect("SQLite");
    migrate(&mut conn, 0, &MIGRATIONS).expect("migrated");
    conn
}

/// Times rise with numbers, and some are equal.
fn time_of(sequence: i64) -> i64 {
    1_000 + sequence / 3 * 10
}

fn id_of(sequence: i64) -> i64 {
    5_000 + sequence * 7
}

fn message(conversation: i64, sequence: i64, one: usize) -> MessageRow {
    MessageRow {
        conversation,
        sequence,
        message_id: id_of(sequence),
        sent_at_ms: time_of(sequence),
        sender_id: pick(&USERS, one).to_owned(),
        kind: pick(&MESSAGE_KINDS, one),
        counts: !one.is_multiple_of(4),
        recalled: one.is_multiple_of(7),
        event: vec![0, 255, u8::try_from(one).expect("small")],
    }
}

/// A conversation and its members are of one app for ever.
fn app_of(id: i64) -> &'static str {
    APPS[usize::from(id == 0)]
}

fn conversation(id: i64, one: usize, two: usize, number: i64) -> ConversationRow {
    ConversationRow {
        id,
        app: app_of(id).to_owned(),
        kind: pick(&KINDS, two),
        key: format!("key {id}"),
        name: pick(&NAMES, one).to_owned(),
        creator_id: pick(&USERS, one).to_owned(),
        notice: "notice".to_owned(),
        attributes: "{}".to_owned(),
        members_digest: one.is_multiple_of(3).then(|| format!("digest {}", two % 2)),
        member_count: number,
        members_version: number * 3,
        created_at_ms: time_of(number),
        updated_at_ms: time_of(number) + 1,
        expires_at_ms: two.is_multiple_of(4).then_some(number),
        muted: two.is_multiple_of(2),
        last_sequence: 0,
        last_message_id: 0,
        last_message_at_ms: 0,
    }
}

fn is_there(rows: &dyn Rows, id: i64) -> Read<bool> {
    for kind in KINDS {
        for key in [format!("key {id}"), format!("\n{id}")] {
            if rows.conversation(app_of(id), kind, &key)?.is_some() {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Makes one change, if the rules would make it: keys that are there are not inserted again.
fn change(rows: &dyn RowsMut, (what, one, two, id, number): Change) -> Result<bool, TestCaseError> {
    let fails = |error| TestCaseError::fail(format!("{error}"));
    let (app, user, list) = (pick(&APPS, one), pick(&USERS, two), pick(&LISTS, one));
    let combined_id = format!("set {id}");
    let done = match what {
        0 if !is_there(rows, id).map_err(fails)? => rows
            .insert_conversation(&conversation(id, one, two, number))
            .map(|()| true),
        1 => rows
            .update_conversation(&conversation(id, two, one, number))
            .map(|()| true),
        // Seldom, or there would never be much.
        2 if one == 0 => rows.remove_conversation(id).map(|()| true),
        2 => rows.put_ended_group(app, user, number).map(|()| true),
        3 | 4 => {
            let member = MemberRow {
                conversation: id,
                user_id: user.to_owned(),
                app: app_of(id).to_owned(),
                role: i32::try_from(one % 3).expect("small") + 1,
                joined_at_ms: number,
                first_sequence: number % 6,
                delivered_sequence: number,
                read_sequence: number - 1,
                muted_until_ms: one.is_multiple_of(2).then_some(number),
            };
            rows.put_member(&member).map(|()| true)
        }
        5 if one < 5 => rows.remove_member(id, user),
        6 | 7 if rows.message(id, number).map_err(fails)?.is_none() => {
            rows.insert_message(&message(id, number, one)).map(|()| true)
        }
        8 => rows.update_message(&message(id, number, two)).map(|()| true),
        9 => rows
            .move_last(id, number, id_of(number), time_of(number))
            .map(|()| true),
        10 => rows
            .put_sent(&SentRow {
                app: app.to_owned(),
                sender_id: user.to_owned(),
                client_message_id: format!("m-{}", number % 4),
                digest: -number,
                sequence: number,
                message_id: id_of(number),
                sent_at_ms: time_of(number),
                notice: 21502,
            })
            .map(|()| true),
        11 => rows
            .put_combined(&CombinedRow {
                app: app.to_owned(),
                user_id: user.to_owned(),
                combined_id,
                put_at_ms: number,
                sent_at_ms: one.is_multiple_of(2).then_some(number),
                parts: number,
                last_part: number - 1,
                bytes: number * 100,
                messages: 1,
            })
            .map(|()| true),
        12 => rows
            .put_part(app, user, &combined_id, number, &vec![7; two])
            .map(|()| true),
        13 if one.is_multiple_of(4) => rows.remove_listed(app, list, pick(&USERS, one), user).map(|()| true),
        13 => rows
            .put_listed(app, list, pick(&USERS, one), user, number)
            .map(|()| true),
        _ => Ok(false),
    };
    done.map_err(fails)
}

/// What both say to one question.
macro_rules! same {
    ($real:expr, $plain:expr, $ask:expr) => {{
        let ask = $ask;
        prop_assert_eq!(ask($real as &dyn Rows), ask($plain as &dyn Rows));
    }};
}

fn same_answers(real: &dyn RowsMut, plain: &dyn RowsMut, limit: usize) -> Result<(), TestCaseError> {
    for id in 0..CONVERSATIONS {
        same!(real, plain, |rows: &dyn Rows| is_there(rows, id));
        for app in APPS {
            for kind in KINDS {
                let key = format!("key {id}");
                same!(real, plain, |rows: &dyn Rows| rows.conversation(app, kind, &key));
            }
        }
        for user in USERS {
            same!(real, plain, |rows: &dyn Rows| rows.member(id, user));
            same!(real, plain, |rows: &dyn Rows| rows.members(id, user, limit));
            for after in [0, SEQUENCES / 2] {
                same!(real, plain, |rows: &dyn Rows| rows.count_unread(id, after, user, limit));
            }
        }
        for sequence in 0..=SEQUENCES + 1 {
            same!(real, plain, |rows: &dyn Rows| rows.message(id, sequence));
            for off in -1..=1 {
                let (message_id, time_ms) = (id_of(sequence) + off, time_of(sequence) + off);
                same!(real, plain, |rows: &dyn Rows| rows.message_by_id(id, message_id));
                same!(real, plain, |rows: &dyn Rows| rows
                    .first_since(id, Since::MessageId(message_id)));
                same!(real, plain, |rows: &dyn Rows| rows
                    .first_since(id, Since::TimeMs(time_ms)));
            }
        }
        for direction in [Direction::Older, Direction::Newer] {
            for beyond in [None, Some(SEQUENCES / 2)] {
                for kinds in [vec![], vec![1], vec![11, 200]] {
                    let query = MessagesQuery {
                        conversation: id,
                        from_sequence: 3,
                        beyond,
                        direction,
                        kinds,
                        limit,
                    };
                    same!(real, plain, |rows: &dyn Rows| rows.messages(&query));
                }
            }
        }
    }
    for app in APPS {
        same!(real, plain, |rows: &dyn Rows| rows
            .conversation_of_members(app, "digest 0"));
        same!(real, plain, |rows: &dyn Rows| rows.muted_groups(app, "key 1", limit));
        same!(real, plain, |rows: &dyn Rows| rows.ended_group(app, USERS[0]));
        for user in USERS {
            same_of_user(real, plain, app, user, limit)?;
        }
    }
    Ok(())
}

fn same_of_user(
    real: &dyn RowsMut,
    plain: &dyn RowsMut,
    app: &str,
    user: &str,
    limit: usize,
) -> Result<(), TestCaseError> {
    same!(real, plain, |rows: &dyn Rows| rows
        .conversations_with_news(app, user, limit));
    same!(real, plain, |rows: &dyn Rows| rows.combined_bytes_not_sent(app, user));
    let all = ConversationsQuery {
        app: app.to_owned(),
        user_id: user.to_owned(),
        limit,
        ..ConversationsQuery::default()
    };
    let queries = [
        all.clone(),
        ConversationsQuery {
            kind: Some(2),
            skip: 1,
            ..all.clone()
        },
        ConversationsQuery {
            containing: vec!["a".to_owned(), "B".to_owned()],
            with_temporary: true,
            ..all.clone()
        },
        ConversationsQuery {
            name_contains: "%".to_owned(),
            ..all.clone()
        },
        ConversationsQuery {
            name_contains: "m_".to_owned(),
            ..all.clone()
        },
        ConversationsQuery {
            after_ms: Some(time_of(SEQUENCES / 2)),
            ..all
        },
    ];
    for query in queries {
        same!(real, plain, |rows: &dyn Rows| rows.conversations(&query));
    }
    for id in 0..CONVERSATIONS {
        let set = format!("set {id}");
        same!(real, plain, |rows: &dyn Rows| rows.combined(app, user, &set));
        same!(real, plain, |rows: &dyn Rows| rows.parts(app, user, &set, 3, limit));
        same!(real, plain, |rows: &dyn Rows| rows.part_bytes(app, user, &set, 3));
        let sent = format!("m-{id}");
        same!(real, plain, |rows: &dyn Rows| rows.sent(app, user, &sent));
    }
    for list in LISTS {
        same!(real, plain, |rows: &dyn Rows| rows.is_listed(app, list, user, "a%"));
        same!(real, plain, |rows: &dyn Rows| rows.listed_since(app, list, user, "a"));
        same!(real, plain, |rows: &dyn Rows| rows.listed(app, list, user, "a", limit));
        same!(real, plain, |rows: &dyn Rows| rows.listed_count(app, list, user));
        same!(real, plain, |rows: &dyn Rows| rows
            .listed_entries(app, list, user, limit));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_changes_are_read_back_as_from_plain_maps(
        changes in prop::collection::vec(any_change(), 0..300),
        limit in prop::sample::select(vec![0_usize, 1, 3, 1_000]),
    ) {
        let conn = in_memory();
        let (real, plain) = (SqliteRows::new(&conn), Plain::default());
        for what in changes {
            prop_assert_eq!(change(&real, what)?, change(&plain, what)?, "{:?}", what);
        }
        same_answers(&real, &plain, limit)?;
    }
}

#[test]
fn the_first_message_since_a_time_is_found_in_a_few_steps_however_many_are_missing() {
    let conn = in_memory();
    let (real, plain) = (SqliteRows::new(&conn), Plain::default());
    // Two are left of a million, and the times of both are the same.
    for sequence in [1, 1_000_000] {
        let row = MessageRow {
            message_id: id_of(sequence),
            sent_at_ms: 1_000,
            ..message(1, sequence, 1)
        };
        real.insert_message(&row).expect("inserted");
        plain.insert_message(&row).expect("inserted");
    }
    for since in [
        Since::TimeMs(999),
        Since::TimeMs(1_000),
        Since::TimeMs(1_001),
        Since::MessageId(0),
        Since::MessageId(id_of(1)),
        Since::MessageId(id_of(1) + 1),
        Since::MessageId(id_of(1_000_000)),
        Since::MessageId(id_of(1_000_000) + 1),
    ] {
        assert_eq!(real.first_since(1, since), plain.first_since(1, since), "{since:?}");
    }
    assert_eq!(real.first_since(2, Since::MessageId(0)), Ok(None), "there is no such");
}

#[test]
fn pages_by_key_bring_everybody_once() {
    let conn = in_memory();
    let rows = SqliteRows::new(&conn);
    let users: Vec<String> = (0..250).map(|number| format!("user{number:03}")).collect();
    for user in &users {
        rows.put_member(&MemberRow {
            conversation: 1,
            user_id: user.clone(),
            ..MemberRow::default()
        })
        .expect("put");
        rows.put_listed("app", UserList::Blacklist, "a", user, 1).expect("put");
    }
    let (mut members, mut listed) = (Vec::<String>::new(), Vec::<String>::new());
    loop {
        let after = members.last().cloned().unwrap_or_default();
        let page = rows.members(1, &after, 100).expect("a page");
        if page.is_empty() {
            break;
        }
        members.extend(page.into_iter().map(|member| member.user_id));
    }
    loop {
        let after = listed.last().cloned().unwrap_or_default();
        let page = rows
            .listed("app", UserList::Blacklist, "a", &after, 100)
            .expect("a page");
        if page.is_empty() {
            break;
        }
        listed.extend(page);
    }
    assert_eq!(members, users);
    assert_eq!(listed, users);
}

#[test]
fn a_number_of_a_conversation_is_given_once() {
    let conn = in_memory();
    let rows = SqliteRows::new(&conn);
    rows.insert_message(&message(1, 1, 1)).expect("inserted");
    rows.insert_message(&message(1, 1, 2)).expect_err("it is taken");
    let row = conversation(1, 1, 1, 1);
    rows.insert_conversation(&row).expect("inserted");
    let same_name = ConversationRow { id: 2, ..row };
    rows.insert_conversation(&same_name).expect_err("the name is taken");
}

/// How SQLite finds the rows of all statements there are: by which key or index, and by how much of it.
const PLANS: &[&str] = &[
    "SEARCH c USING INDEX conversations_by_key (app=? AND kind=? AND name_key=?)",
    "SEARCH c USING INDEX conversations_by_members (app=? AND members_digest=?)",
    "SEARCH c USING PRIMARY KEY (id=?)",
    "SEARCH combined_parts USING PRIMARY KEY (app=? AND user_id=? AND combined_id=? AND part=?)",
    "SEARCH combined_parts USING PRIMARY KEY (app=? AND user_id=? AND combined_id=? AND part>?)",
    "SEARCH combined_sets USING COVERING INDEX combined_sets_by_use (app=? AND user_id=? AND sent_at_ms=?)",
    "SEARCH combined_sets USING PRIMARY KEY (app=? AND user_id=? AND combined_id=?)",
    "SEARCH conversation_members USING PRIMARY KEY (conversation=? AND user_id=?)",
    "SEARCH conversation_members USING PRIMARY KEY (conversation=?)",
    "SEARCH conversations USING INDEX conversations_muted (app=? AND kind=? AND name_key>?)",
    "SEARCH conversations USING PRIMARY KEY (id=?)",
    "SEARCH ended_groups USING PRIMARY KEY (app=? AND name_key=?)",
    "SEARCH m USING INDEX conversation_members_by_user (app=? AND user_id=?)",
    "SEARCH m USING PRIMARY KEY (conversation=? AND user_id=?)",
    "SEARCH m USING PRIMARY KEY (conversation=? AND user_id>?)",
    "SEARCH messages USING PRIMARY KEY (conversation=? AND sequence=?)",
    "SEARCH messages USING PRIMARY KEY (conversation=? AND sequence>? AND sequence<?)",
    "SEARCH messages USING PRIMARY KEY (conversation=? AND sequence>?)",
    "SEARCH messages USING PRIMARY KEY (conversation=?)",
    "SEARCH o USING PRIMARY KEY (conversation=? AND user_id=?)",
    "SEARCH sent_messages USING PRIMARY KEY (app=? AND sender_id=? AND client_message_id=?)",
    "SEARCH user_lists USING PRIMARY KEY (app=? AND list=? AND owner_id=? AND user_id=?)",
    "SEARCH user_lists USING PRIMARY KEY (app=? AND list=? AND owner_id=? AND user_id>?)",
    "SEARCH user_lists USING PRIMARY KEY (app=? AND list=? AND owner_id=?)",
];

#[test]
fn every_statement_finds_its_rows_by_a_key_or_an_index() {
    let conn = in_memory();
    let rows = SqliteRows::new(&conn);
    for what in 0..14 {
        for one in 0..20 {
            change(&rows, (what, one, one, 1, 1)).expect("a change");
        }
    }
    same_answers(&rows, &rows, 1).expect("the same");
    let statements = USED.take();
    assert!(statements.len() > 40, "{statements:#?}");
    let mut plans = std::collections::BTreeMap::new();
    for statement in statements {
        let mut explained = conn.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).expect("SQL");
        // What they are asked with makes no difference.
        let nothing = vec![rusqlite::types::Null; explained.parameter_count()];
        let details = explained
            .query_map(rusqlite::params_from_iter(nothing), |row| row.get::<_, String>(3))
            .expect("rows");
        for detail in details {
            plans.insert(detail.expect("a text"), statement.clone());
        }
    }
    let is_of_table = |plan: &&str| {
        let mut words = plan.split(' ');
        words.next().is_some_and(|word| word == "SEARCH" || word == "SCAN") && words.next() != Some("(subquery-1)")
    };
    let found: Vec<&str> = plans.keys().map(String::as_str).filter(is_of_table).collect();
    assert_eq!(found, PLANS, "{plans:#?}");
}

#[test]
fn a_statement_is_prepared_once_whatever_it_is_asked_with() {
    let folder = Folder::new();
    let conn = file::open(&folder.0).expect("it opens").conn;
    let rows = SqliteRows::new(&conn);
    for what in 0..14 {
        for one in 0..20 {
            change(&rows, (what, one, one, 1, 1)).expect("a change");
        }
    }
    for limit in 1..4 {
        same_answers(&rows, &rows, limit).expect("the same");
    }
    for statement in USED.take() {
        let kept = conn.prepare_cached(&statement).expect("SQL");
        assert_eq!(kept.get_status(StatementStatus::RePrepare), 0, "{statement}");
    }
}
