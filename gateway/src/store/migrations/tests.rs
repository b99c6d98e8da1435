use super::*;
use crate::store::change::RoomList;
use crate::store::tests::{Folder, NOW_MS};
use crate::store::{Asker, ConversationRow, Kept, RowsMut, Store, file};

/// One row in each table of version 1.
const ROWS_OF_VERSION_1: &str = "
    INSERT INTO rooms VALUES ('app', 'room', 'Room', 'live', 12, 1, 'idle:5', 7);
    INSERT INTO room_rules VALUES ('app', 'room', 1, 0);
    INSERT INTO room_users VALUES ('app', 'room', 'block', 'bob', NULL, 3, 'too loud');
    INSERT INTO room_attributes VALUES ('app', 'room', 'colour', 'red', 'alice', 9, 1);
    INSERT INTO app_entries VALUES ('app', 'word', 'darn', NULL, 4, '***');";

fn connection(folder: &Folder) -> Connection {
    std::fs::create_dir_all(&folder.0).expect("a folder");
    folder.shell()
}

fn version(conn: &Connection) -> Result<usize, StoreError> {
    check_version(conn, Path::new("sluice.db"), MIGRATIONS.len())
}

#[test]
fn a_file_of_version_1_is_brought_forward_with_all_that_is_in_it() {
    let folder = Folder::new();
    let mut conn = connection(&folder);
    migrate(&mut conn, 0, &MIGRATIONS[..1]).expect("migrated");
    conn.execute_batch(ROWS_OF_VERSION_1).expect("rows");
    assert_eq!(version(&conn), Ok(1));
    drop(conn);
    let (store, Kept { rooms, apps }) = Store::open(&folder.0, NOW_MS).expect("it opens");
    drop(store);
    assert_eq!(version(&folder.shell()), Ok(MIGRATIONS.len()));
    let [room] = &rooms[..] else { panic!("{rooms:?}") };
    assert_eq!(room.record.as_ref().map(|record| record.ends.as_str()), Some("idle:5"));
    assert!(!room.record.as_ref().is_some_and(|record| record.used), "nobody knows");
    assert!(room.rules.muted && !room.rules.stopped);
    assert_eq!(room.users[0].0, RoomList::Block);
    assert_eq!(room.attributes[0].1.version, 9);
    assert_eq!(apps[0].3.text, "***");
}

/// One row more, in a table that version 3 changed.
const ROW_OF_VERSION_3: &str = "
    INSERT INTO room_attributes (app, room, name, content, owner_id, version, goes_with_owner, set_at_ms)
        VALUES ('app', 'room', 'size', 'XL', '', 10, 0, 77);";

#[test]
fn a_file_of_version_3_gets_conversations_and_keeps_what_is_in_it() {
    let folder = Folder::new();
    let mut conn = connection(&folder);
    migrate(&mut conn, 0, &MIGRATIONS[..1]).expect("migrated");
    conn.execute_batch(ROWS_OF_VERSION_1).expect("rows");
    migrate(&mut conn, 1, &MIGRATIONS[..3]).expect("migrated");
    conn.execute_batch(ROW_OF_VERSION_3).expect("a row");
    assert_eq!(version(&conn), Ok(3));
    drop(conn);
    let (store, Kept { rooms, apps }) = Store::open(&folder.0, NOW_MS).expect("it opens");
    let [room] = &rooms[..] else { panic!("{rooms:?}") };
    assert_eq!(room.users[0].0, RoomList::Block);
    let mut attributes: Vec<_> = room
        .attributes
        .iter()
        .map(|(key, row)| (&**key, row.set_at_ms))
        .collect();
    attributes.sort_unstable();
    assert_eq!(attributes.last(), Some(&("size", 77)));
    assert_eq!((attributes.len(), apps.len()), (2, 1));

    let (tell, told) = std::sync::mpsc::channel();
    let insert = |rows: &dyn RowsMut| {
        rows.insert_conversation(&ConversationRow {
            id: 8,
            app: "app".to_owned(),
            ..ConversationRow::default()
        })
    };
    store.transact(Asker::Server, 1, insert, move |kept| {
        tell.send(kept).expect("the test waits")
    });
    assert_eq!(told.recv(), Ok(Ok(())));
    drop(store);
    let (again, kept) = Store::open(&folder.0, NOW_MS).expect("it opens again");
    assert_eq!((again.greatest_id(), kept.rooms.len()), (8, 1));
}

#[test]
fn a_file_from_the_start_and_one_brought_forward_have_the_same_form() {
    let form = |folder: &Folder| -> Vec<String> {
        let shell = folder.shell();
        let sql = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name";
        let mut statement = shell.prepare(sql).expect("SQL");
        let rows = statement.query_map([], |row| row.get(0)).expect("rows");
        rows.collect::<rusqlite::Result<_>>().expect("texts")
    };
    let (fresh, old) = (Folder::new(), Folder::new());
    file::open(&fresh.0).expect("made");
    let mut conn = connection(&old);
    for steps in 1..=MIGRATIONS.len() {
        migrate(&mut conn, steps - 1, &MIGRATIONS[..steps]).expect("migrated");
    }
    assert_eq!(form(&old), form(&fresh));
}

#[test]
fn a_step_that_fails_leaves_the_version_before_it() {
    let folder = Folder::new();
    let mut conn = connection(&folder);
    let broken = [
        MIGRATIONS[0],
        "CREATE TABLE half (a BIGINT); CREATE TABLE half (b BIGINT)",
    ];
    migrate(&mut conn, 0, &broken).expect_err("the second is broken");
    assert_eq!(version(&conn), Ok(1));
    let half: i64 = conn
        .query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'half'", [], |row| {
            row.get(0)
        })
        .expect("a number");
    assert_eq!(half, 0);
}

fn conversation(members_version: i64) -> ConversationRow {
    ConversationRow {
        id: 8,
        members_version,
        ..ConversationRow::default()
    }
}

#[test]
fn the_greatest_id_that_was_given_is_known_after_a_restart_whatever_it_was_given_to() {
    let folder = Folder::new();
    let greatest_after = |given: fn(&dyn RowsMut) -> Result<(), StoreError>| {
        let (store, _) = Store::open(&folder.0, NOW_MS).expect("it opens");
        let (tell, told) = std::sync::mpsc::channel();
        store.transact(Asker::Server, 1, given, move |kept| {
            tell.send(kept).expect("the test waits");
        });
        assert_eq!(told.recv(), Ok(Ok(())));
        drop(store);
        let (again, _) = Store::open(&folder.0, NOW_MS).expect("it opens again");
        again.greatest_id()
    };
    assert_eq!(greatest_after(|_| Ok(())), 0);
    assert_eq!(greatest_after(|rows| rows.insert_conversation(&conversation(0))), 8);
    assert_eq!(greatest_after(|rows| rows.update_conversation(&conversation(10))), 10);
    assert_eq!(greatest_after(|rows| rows.move_last(8, 1, 12, 0)), 12);
    // It does not come back, though what had it is gone.
    assert_eq!(greatest_after(|rows| rows.remove_conversation(8)), 12);
    assert_eq!(greatest_after(|rows| rows.move_last(8, 1, 11, 0)), 12);
}
