use std::path::PathBuf;
use std::sync::Arc;

use crate::store::power_cut::Recording;
use crate::store::tests::{Folder, put_room};
use crate::store::{
    CombinedRow, ConversationRow, Direction, Health, Length, MemberRow, MessageRow, MessagesQuery, Rows, RowsMut as _,
    SentRow, Store,
};

use super::super::rows::SqliteRows;
use super::*;

const NOW_MS: i64 = 400 * DAY_MS;

fn retention(days: i64) -> Retention {
    Retention::new([("app".to_owned(), Duration::from_millis((days * DAY_MS).unsigned_abs()))])
}

/// A store's file with its tables, and a connection to it.
fn database() -> (Folder, Connection) {
    let folder = Folder::new();
    let (store, _) = Store::open(&folder.0, 0).expect("the store opens");
    drop(store);
    let conn = folder.shell();
    // No power fails here.
    conn.pragma_update(None, "synchronous", "off").expect("set");
    (folder, conn)
}

/// One pass, and the most rows that one of its steps deleted.
fn pass(conn: &Connection, retention: &Retention) -> usize {
    let mut expiry = Expiry::new(NOW_MS, Repeats::Walked);
    let mut most = 0;
    for _ in 0..100_000 {
        if expiry.is_over() {
            return most;
        }
        most = most.max(expiry.step(conn, retention, &Counters::default()).expect("a step"));
    }
    panic!("it does not end: {expiry:?}");
}

fn conversation(conn: &Connection, id: i64, app: &str, messages: i64, expires_at_ms: Option<i64>) {
    let rows = SqliteRows::new(conn);
    rows.insert_conversation(&ConversationRow {
        id,
        app: app.to_owned(),
        kind: 3,
        key: id.to_string(),
        member_count: 1,
        members_version: id,
        expires_at_ms,
        ..ConversationRow::default()
    })
    .expect("a conversation");
    rows.put_member(&MemberRow {
        conversation: id,
        user_id: "alice".to_owned(),
        app: app.to_owned(),
        role: 3,
        first_sequence: 1,
        delivered_sequence: 2,
        read_sequence: 1,
        ..MemberRow::default()
    })
    .expect("a member");
    // One each day, the last today.
    for sequence in 1..=messages {
        rows.insert_message(&MessageRow {
            conversation: id,
            sequence,
            message_id: id * 100_000 + sequence,
            sent_at_ms: NOW_MS - (messages - sequence) * DAY_MS,
            sender_id: "alice".to_owned(),
            kind: 1,
            counts: true,
            recalled: false,
            event: b"event".to_vec(),
        })
        .expect("a message");
    }
    rows.move_last(id, messages, id * 100_000 + messages, NOW_MS)
        .expect("the newest");
}

fn numbers(conn: &Connection, statement: &str) -> Vec<i64> {
    let mut statement = conn.prepare(statement).expect("a statement");
    let found = statement.query_map([], |row| row.get(0)).expect("rows");
    found.collect::<Result<_, _>>().expect("numbers")
}

fn left(conn: &Connection, conversation: i64) -> Vec<i64> {
    numbers(
        conn,
        &format!("SELECT sequence FROM messages WHERE conversation = {conversation} ORDER BY sequence"),
    )
}

#[test]
fn messages_that_are_old_are_deleted_step_by_step_and_nothing_else_of_the_conversation() {
    let (_folder, conn) = database();
    conversation(&conn, 1, "app", 390, None);
    conversation(&conn, 2, "other", 300, None);
    conversation(&conn, 3, "app", 30, None);
    let most = pass(&conn, &retention(30));
    assert!(most <= STEP_MESSAGES, "{most}");
    assert_eq!(left(&conn, 1), (360..=390).collect::<Vec<_>>());
    assert_eq!(left(&conn, 2).len(), 300, "nobody says how long those are kept");
    assert_eq!(left(&conn, 3).len(), 30);
    assert_eq!(
        numbers(&conn, "SELECT last_sequence FROM conversations ORDER BY id"),
        [390, 300, 30]
    );
    assert_eq!(
        numbers(
            &conn,
            "SELECT delivered_sequence FROM conversation_members ORDER BY conversation"
        ),
        [2, 2, 2]
    );
    pass(&conn, &retention(0));
    assert_eq!(left(&conn, 1), [390], "what is of this moment is not old");
}

#[test]
fn where_nothing_is_said_messages_are_kept() {
    let (_folder, conn) = database();
    conversation(&conn, 1, "app", 390, None);
    pass(&conn, &Retention::default());
    assert_eq!(left(&conn, 1).len(), 390);
}

#[test]
fn a_pass_visits_more_conversations_than_a_step_does() {
    let (_folder, conn) = database();
    for id in 1..=i64::from(STEP_CONVERSATIONS) * 2 + 1 {
        conversation(&conn, id, "app", if id % 300 == 1 { 2 } else { 1 }, None);
    }
    pass(&conn, &Retention::new([("app".to_owned(), Duration::from_secs(3600))]));
    assert_eq!(
        numbers(&conn, "SELECT count(*) FROM messages"),
        [i64::from(STEP_CONVERSATIONS) * 2 + 1],
        "one is left in each"
    );
}

/// Its steps, with how many rows each deleted.
fn steps(conn: &Connection, retention: &Retention) -> Vec<usize> {
    let mut expiry = Expiry::new(NOW_MS, Repeats::LeftAlone);
    let mut steps = Vec::new();
    while !expiry.is_over() {
        assert!(steps.len() < 10_000, "it does not end: {expiry:?}");
        steps.push(expiry.step(conn, retention, &Counters::default()).expect("a step"));
    }
    steps
}

/// How many rows a statement has moved through since it was last asked.
fn rows_read(conn: &Connection, statement: &str) -> i32 {
    let statement = conn.prepare_cached(statement).expect("a statement");
    // Each row takes some instructions of SQLite.
    statement.reset_status(rusqlite::StatementStatus::VmStep)
}

#[test]
fn many_conversations_with_little_to_delete_share_a_step() {
    let (_folder, conn) = database();
    let many = i64::from(STEP_CONVERSATIONS);
    for id in 1..=many {
        conversation(&conn, id, "app", 2, None);
    }
    let steps = steps(&conn, &Retention::new([("app".to_owned(), Duration::from_secs(3600))]));
    assert_eq!(numbers(&conn, "SELECT count(*) FROM messages"), [many]);
    assert_eq!(steps.iter().sum::<usize>(), usize::from(STEP_CONVERSATIONS));
    // Two for entries and one for each other kind, besides.
    assert!(steps.len() <= 5 + 4, "{steps:?}");
}

#[test]
fn what_is_not_old_costs_a_row_of_each_conversation_and_a_message() {
    let (_folder, conn) = database();
    for id in 1..=i64::from(STEP_CONVERSATIONS) {
        conversation(&conn, id, "app", if id == 1 { 300 } else { 1 }, None);
    }
    let one = {
        let mut statement = conn.prepare_cached(OLDEST_MESSAGES).expect("a statement");
        assert!(statement.exists(params![1, 1]).expect("it can be read"));
        drop(statement);
        rows_read(&conn, OLDEST_MESSAGES)
    };
    assert_eq!(steps(&conn, &retention(365)).iter().sum::<usize>(), 0);
    let all = rows_read(&conn, OLDEST_MESSAGES);
    assert!(
        all <= one * i32::from(STEP_CONVERSATIONS),
        "{all} for all, {one} for one"
    );
}

#[test]
fn conversations_that_are_young_are_not_looked_at_one_by_one() {
    let (_folder, conn) = database();
    let rows = SqliteRows::new(&conn);
    for id in 1..=10 * i64::from(STEP_CONVERSATIONS) {
        rows.insert_conversation(&ConversationRow {
            id,
            app: "app".to_owned(),
            key: id.to_string(),
            // Two are old, and the clock was set back by hours for one behind them.
            created_at_ms: match id {
                1 | 2 => NOW_MS - 400 * DAY_MS,
                3 => NOW_MS - 30 * DAY_MS + DAY_MS / 2,
                _ => NOW_MS,
            },
            ..ConversationRow::default()
        })
        .expect("a conversation");
    }
    rows_read(&conn, NEXT_CONVERSATIONS);
    steps(&conn, &retention(30));
    let young = rows_read(&conn, NEXT_CONVERSATIONS);
    assert!(young > 0);
    // The same number of conversations, none of them young.
    conn.execute("UPDATE conversations SET created_at_ms = 0", [])
        .expect("updated");
    let mut expiry = Expiry::new(NOW_MS, Repeats::LeftAlone);
    let mut most = 0;
    while !expiry.is_over() {
        expiry
            .step(&conn, &retention(30), &Counters::default())
            .expect("a step");
        most = most.max(rows_read(&conn, NEXT_CONVERSATIONS));
    }
    // A step for 500 of them costs what it costs, however many there are; and nearly nothing where they are young.
    assert!(young * 50 < most, "{young} for those that are young, {most} in a step");
    assert!(most < 50 * i32::from(STEP_CONVERSATIONS), "{most}");
}

/// Has the disk be unable to read the rows of one sender. Nobody has the file open.
fn ruin(folder: &Folder, sender: &str) -> Arc<Recording> {
    const PAGE_BYTES: usize = 4096;
    /// What a page begins with that has rows of such a table and no others below it.
    const LEAF: u8 = 10;

    let recording = Recording::start(&folder.0);
    let file = std::fs::read(folder.database()).expect("a file");
    for (number, page) in file.chunks(PAGE_BYTES).enumerate() {
        let has_sender = page.windows(sender.len()).any(|window| window == sender.as_bytes());
        if page[0] == LEAF && has_sender {
            recording.ruin("sluice.db", number * PAGE_BYTES..(number + 1) * PAGE_BYTES);
        }
    }
    recording
}

#[test]
fn a_conversation_that_the_disk_cannot_read_is_passed_over_and_nothing_else_suffers() {
    let folder = Folder::new();
    let (store, _) = Store::open(&folder.0, 0).expect("the store opens");
    drop(store);
    let shell = folder.shell();
    // Those of another app are kept, so that what is deleted is nowhere near what cannot be read.
    for (id, app, sender) in [
        (1, "app", "alice"),
        (2, "other", "bob"),
        (3, "app", "ruined"),
        (4, "other", "bob"),
        (5, "app", "carol"),
    ] {
        conversation(&shell, id, app, 100, None);
        shell
            .execute(
                "UPDATE messages SET sender_id = ?2, event = zeroblob(500) WHERE conversation = ?1",
                params![id, sender],
            )
            .expect("updated");
    }
    drop(shell);
    let recording = ruin(&folder, "ruined");
    let (store, _) = Store::open(&folder.0, 0).expect("the store opens");
    let question = |conversation| {
        let (tell, told) = std::sync::mpsc::channel();
        let query = MessagesQuery {
            conversation,
            from_sequence: 1,
            beyond: None,
            direction: Direction::Newer,
            kinds: Vec::new(),
            limit: 1_000,
        };
        let asked = move |rows: &dyn Rows| rows.messages(&query);
        store.read(Length::Short, asked, move |found| {
            tell.send(found).expect("the test waits")
        });
        told.recv().expect("an answer")
    };
    assert!(matches!(question(3), Err(StoreError::Unavailable(_))));
    assert_eq!(store.figures().unreadable, 1);
    assert_eq!(question(5).map(|found| found.len()), Ok(100));

    store.keep_messages_for([("app".to_owned(), Duration::from_secs(3600))]);
    let until = std::time::Instant::now() + Duration::from_secs(30);
    while question(5).is_ok_and(|found| !found.is_empty()) {
        assert!(std::time::Instant::now() < until, "{:?}", store.figures());
        std::thread::yield_now();
    }
    assert_eq!(question(1), Ok(Vec::new()));
    assert!(store.figures().unreadable >= 2, "it is counted");
    assert_eq!((store.health(), store.is_damaged()), (Health::Ok, false));
    let (tell, told) = std::sync::mpsc::channel();
    store.submit(vec![put_room("room", "")], move |kept| {
        tell.send(kept).expect("the test waits")
    });
    assert_eq!(told.recv(), Ok(Ok(())));
    drop((store, recording));
}

#[test]
fn a_damaged_file_is_told_when_it_is_read() {
    let folder = Folder::new();
    let (store, _) = Store::open(&folder.0, 0).expect("the store opens");
    drop(store);
    let shell = folder.shell();
    conversation(&shell, 1, "app", 1, None);
    shell
        .execute("UPDATE messages SET event = zeroblob(100000)", [])
        .expect("updated");
    drop(shell);
    // Pages that are zeros are those of the event; what each says of the next is at its beginning.
    let mut file = std::fs::read(folder.database()).expect("a file");
    for page in file.chunks_mut(4096).skip(1) {
        if page[4..].iter().all(|byte| *byte == 0) {
            page[..4].copy_from_slice(&u32::MAX.to_be_bytes());
        }
    }
    std::fs::write(folder.database(), file).expect("written");
    let (store, _) = Store::open(&folder.0, 0).expect("the store opens");
    let (tell, told) = std::sync::mpsc::channel();
    store.read(
        Length::Short,
        |rows| rows.message(1, 1),
        move |found| tell.send(found).expect("the test waits"),
    );
    let found = told.recv().expect("an answer");
    assert!(matches!(found, Err(StoreError::Failed(_))), "{found:?}");
    assert!(store.is_damaged());
    assert_eq!(store.figures().unreadable, 1);
}

#[test]
fn a_temporary_conversation_that_is_over_goes_with_all_it_has() {
    let (_folder, conn) = database();
    conversation(&conn, 1, "app", 390, Some(NOW_MS));
    conversation(&conn, 2, "app", 1, Some(NOW_MS + 1));
    conversation(&conn, 3, "other", 1, Some(NOW_MS - 1));
    let most = pass(&conn, &Retention::default());
    assert!(most <= STEP_MESSAGES + 2, "{most}");
    for table in ["messages", "conversation_members"] {
        let of = format!("SELECT DISTINCT conversation FROM {table}");
        assert_eq!(numbers(&conn, &of), [2], "{table}");
    }
    assert_eq!(numbers(&conn, "SELECT id FROM conversations"), [2]);
}

#[test]
fn the_messages_of_a_conversation_that_was_removed_go_step_by_step_and_then_the_rest_of_it() {
    let (_folder, conn) = database();
    conversation(&conn, 1, "app", 390, None);
    conversation(&conn, 2, "app", 1, None);
    SqliteRows::new(&conn).remove_conversation(1).expect("it is removed");
    assert_eq!(left(&conn, 1).len(), 390, "nobody waits for that");
    assert_eq!(numbers(&conn, "SELECT conversation FROM conversation_members"), [2]);
    let most = pass(&conn, &Retention::default());
    assert!(most <= STEP_MESSAGES + 2, "{most}");
    assert_eq!(numbers(&conn, "SELECT DISTINCT conversation FROM messages"), [2]);
    assert_eq!(numbers(&conn, "SELECT id FROM conversations"), [2]);
}

#[test]
fn repeats_are_recognised_for_a_week() {
    let (_folder, conn) = database();
    let rows = SqliteRows::new(&conn);
    let many = i64::from(STEP_ROWS) * 2 + 500;
    for number in 0..many {
        rows.put_sent(&SentRow {
            app: "app".to_owned(),
            sender_id: format!("user{}", number % 7),
            client_message_id: number.to_string(),
            sent_at_ms: NOW_MS - REPEATS_KEPT_MS + if number % 3 == 0 { 0 } else { -1 },
            ..SentRow::default()
        })
        .expect("a repeat");
    }
    let mut others = Expiry::new(NOW_MS, Repeats::LeftAlone);
    while !others.is_over() {
        assert_eq!(
            others
                .step(&conn, &retention(30), &Counters::default())
                .expect("a step"),
            0
        );
    }
    let most = pass(&conn, &retention(30));
    assert!(most <= usize::from(STEP_ROWS), "{most}");
    let left = numbers(&conn, "SELECT CAST(client_message_id AS INTEGER) FROM sent_messages");
    assert_eq!(left.len(), usize::try_from(many).unwrap().div_ceil(3));
    assert!(left.iter().all(|number| number % 3 == 0));
}

#[test]
fn parts_that_no_message_names_go_after_a_day_and_others_with_their_message() {
    let (_folder, conn) = database();
    let rows = SqliteRows::new(&conn);
    let sets = [
        ("put-long-ago", NOW_MS - DAY_MS, None),
        ("put-just-now", NOW_MS - DAY_MS + 1, None),
        ("taken-back", NOW_MS, Some(0)),
        ("sent", NOW_MS - 29 * DAY_MS, Some(NOW_MS - 29 * DAY_MS)),
        ("sent-long-ago", NOW_MS - 31 * DAY_MS, Some(NOW_MS - 31 * DAY_MS)),
    ];
    for (id, put_at_ms, sent_at_ms) in sets {
        for part in 0..3 {
            rows.put_part("app", "alice", id, part, b"part").expect("a part");
        }
        rows.put_combined(&CombinedRow {
            app: "app".to_owned(),
            user_id: "alice".to_owned(),
            combined_id: id.to_owned(),
            put_at_ms,
            sent_at_ms,
            parts: 3,
            last_part: 2,
            ..CombinedRow::default()
        })
        .expect("a set");
    }
    pass(&conn, &retention(30));
    let mut statement = conn
        .prepare("SELECT combined_id, (SELECT count(*) FROM combined_parts p WHERE p.combined_id = s.combined_id) FROM combined_sets s ORDER BY combined_id")
        .expect("a statement");
    let left = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .expect("rows");
    let left: Vec<(String, i64)> = left.collect::<Result<_, _>>().expect("sets");
    assert_eq!(left, [("put-just-now".to_owned(), 3), ("sent".to_owned(), 3)]);
    assert_eq!(numbers(&conn, "SELECT count(*) FROM combined_parts"), [6]);
}

#[test]
fn a_store_that_is_told_how_long_messages_are_kept_deletes_older_ones_at_once() {
    let folder = Folder::new();
    let (store, _) = Store::open(&folder.0, 0).expect("the store opens");
    drop(store);
    // By the system's clock, these are all from long ago.
    conversation(&folder.shell(), 1, "app", 390, None);
    let (store, _) = Store::open(&folder.0, 0).expect("the store opens");
    let path: PathBuf = folder.database();
    let count = || {
        let conn = Connection::open(&path).expect("it can be opened");
        numbers(&conn, "SELECT count(*) FROM messages")[0]
    };
    assert_eq!(count(), 390);
    store.keep_messages_for([("app".to_owned(), Duration::from_secs(3600))]);
    let until = std::time::Instant::now() + Duration::from_secs(30);
    while count() > 0 {
        assert!(std::time::Instant::now() < until, "{} are left", count());
        std::thread::yield_now();
    }
    // The last step has been counted once whatever is submitted after it is done.
    let (tell, told) = std::sync::mpsc::channel();
    store.submit(Vec::new(), move |kept| tell.send(kept).expect("the test waits"));
    told.recv().expect("an answer").expect("it is kept");
    assert_eq!(store.figures().expired, 390);
}

#[test]
fn mutes_of_users_outside_end_and_with_the_last_what_is_known_of_a_group_that_is_not_there() {
    use crate::store::UserList::{GroupAhead, LeftMuted, MuteException, MutedAhead};
    let (_folder, conn) = database();
    let rows = SqliteRows::new(&conn);
    let put = |list, owner: &str, user: &str, since_ms| {
        rows.put_listed("app", list, owner, user, since_ms)
            .expect("it is on the list");
    };
    for (group, until_ms) in [("over", NOW_MS), ("waits", NOW_MS + 1), ("for ever", i64::MAX)] {
        put(LeftMuted, group, "bob", until_ms);
        put(GroupAhead, "", group, 0);
    }
    put(LeftMuted, "waits", "carol", NOW_MS);
    for (group, list, owner, user) in [
        ("excepts", MuteException, "excepts", "bob"),
        ("muted", MutedAhead, "", "muted"),
    ] {
        put(LeftMuted, group, "bob", NOW_MS);
        put(list, owner, user, 0);
        put(GroupAhead, "", group, 0);
    }
    let many = i64::from(STEP_ROWS) + 1;
    for number in 0..many {
        put(LeftMuted, "there", &format!("user{number}"), number);
    }
    let most = pass(&conn, &Retention::default());
    assert!(most <= usize::from(STEP_ROWS), "{most}");
    let listed = |list, owner| rows.listed("app", list, owner, "", 10_000).expect("a list");
    assert_eq!(listed(GroupAhead, ""), ["excepts", "for ever", "muted", "waits"]);
    assert_eq!(listed(LeftMuted, "waits"), ["bob"]);
    assert_eq!(listed(LeftMuted, "for ever"), ["bob"]);
    for group in ["over", "excepts", "muted", "there"] {
        assert_eq!(listed(LeftMuted, group), [""; 0], "{group}");
    }
    assert_eq!(listed(MuteException, "excepts"), ["bob"], "others have no end");
    assert_eq!(listed(MutedAhead, ""), ["muted"]);
}
