//! Which files are opened, and how.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::mpsc;

use super::*;

#[test]
fn a_folder_that_is_missing_is_made_and_nobody_else_can_read_what_is_in_it() {
    let folder = Folder::new();
    let inner = Folder(folder.0.join("a/b"));
    let (store, _) = open(&inner);
    assert_eq!(keep(&store, vec![put_room("room", "Room")]), Ok(()));
    for entry in std::fs::read_dir(&inner.0).expect("a folder") {
        let entry = entry.expect("a file");
        let mode = entry.metadata().expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", entry.file_name());
    }
}

#[test]
fn a_lock_that_a_child_process_gives_up_in_a_moment_is_waited_for() {
    let folder = Folder::new();
    let (lock, began) = (
        file::open(&folder.0).expect("it opens").lock,
        std::sync::Barrier::new(2),
    );
    std::thread::scope(|threads| {
        threads.spawn(|| {
            began.wait();
            std::thread::sleep(std::time::Duration::from_millis(30));
            drop(lock);
        });
        began.wait();
        Store::open(&folder.0, NOW_MS).expect("it opens");
    });
}

#[test]
fn a_folder_is_for_one_gateway_at_a_time() {
    let folder = Folder::new();
    let (store, _) = open(&folder);
    let error = Store::open(&folder.0, NOW_MS).expect_err("it is in use");
    assert_eq!(
        error,
        StoreError::InUse {
            path: folder.database()
        }
    );
    assert!(
        error
            .to_string()
            .ends_with("is in use: another gateway has this data folder")
    );
    drop(store);
    open(&folder);
}

#[test]
fn a_file_from_a_newer_version_is_refused_and_stays_as_it_is() {
    let folder = Folder::new();
    open(&folder);
    let newer = "UPDATE schema_version SET version = 99";
    folder.shell().execute_batch(newer).expect("updated");
    let before = std::fs::read(folder.database()).expect("a file");
    let error = Store::open(&folder.0, NOW_MS).expect_err("it is newer");
    assert!(
        matches!(
            error,
            StoreError::Newer {
                found: 99,
                known: 5,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(std::fs::read(folder.database()).expect("a file"), before);
}

#[test]
fn a_file_of_something_else_is_refused_and_stays_as_it_is() {
    let folder = Folder::new();
    std::fs::create_dir_all(&folder.0).expect("a folder");
    folder
        .shell()
        .execute_batch("CREATE TABLE songs (title TEXT)")
        .expect("made");
    let before = std::fs::read(folder.database()).expect("a file");
    let error = Store::open(&folder.0, NOW_MS).expect_err("it is not ours");
    assert!(matches!(error, StoreError::Foreign { .. }), "{error}");
    assert_eq!(std::fs::read(folder.database()).expect("a file"), before);
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let folder = Folder::new();
    std::fs::create_dir_all(&folder.0).expect("a folder");
    std::fs::write(folder.database(), "no database ".repeat(1_000)).expect("written");
    let error = Store::open(&folder.0, NOW_MS).expect_err("it is none");
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
}

#[test]
fn a_list_that_nobody_knows_is_damage() {
    let folder = Folder::new();
    let (store, _) = open(&folder);
    assert_eq!(keep(&store, vec![put_user(RoomList::Gag, "bob", None)]), Ok(()));
    drop(store);
    let change = "UPDATE room_users SET list = 'friends'";
    folder.shell().execute_batch(change).expect("updated");
    let error = Store::open(&folder.0, NOW_MS).expect_err("it is damaged");
    assert!(error.to_string().contains("friends"), "{error}");
}

#[test]
fn a_commit_is_synced_to_the_log() {
    let folder = Folder::new();
    let opened = file::open(&folder.0).expect("it opens");
    let pragma = |name: &str| -> String {
        let value = |row: &rusqlite::Row<'_>| row.get::<_, rusqlite::types::Value>(0);
        match opened.conn.pragma_query_value(None, name, value).expect("a value") {
            rusqlite::types::Value::Integer(number) => number.to_string(),
            rusqlite::types::Value::Text(text) => text,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(pragma("journal_mode"), "wal");
    // 2 is FULL.
    assert_eq!(pragma("synchronous"), "2");
}

#[test]
fn a_copy_made_while_the_gateway_runs_is_whole() {
    let folder = Folder::new();
    let (store, _) = open(&folder);
    assert_eq!(keep(&store, one_of_everything()), Ok(()));
    let copy = Folder::new();
    std::fs::create_dir_all(&copy.0).expect("a folder");
    let path = copy.database().display().to_string();
    folder.shell().execute("VACUUM INTO ?1", [path]).expect("copied");
    assert_eq!(keep(&store, vec![remove_room()]), Ok(()));
    drop(store);
    let (old, new) = (kept(&copy), kept(&folder));
    assert!(old.rooms[0].record.is_some());
    assert!(new.rooms[0].record.is_none());
}

#[test]
fn what_waits_is_written_when_the_last_handle_goes() {
    let folder = Folder::new();
    let (store, _) = open(&folder);
    let other = store.clone();
    drop(store);
    for number in 0..1_000 {
        other.submit(vec![put_room(&number.to_string(), "")], |_| {});
    }
    drop(other);
    assert_eq!(kept(&folder).rooms.len(), 1_000);
}

#[test]
fn the_last_handle_may_go_where_a_commit_is_answered() {
    let folder = Folder::new();
    let (store, _) = open(&folder);
    let last = store.clone();
    let (go, gone) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel();
    store.submit(vec![put_room("room", "")], move |_| {
        gone.recv().expect_err("the other handle is gone");
        drop(last);
        tell.send(()).expect("the test waits");
    });
    drop(store);
    drop(go);
    told.recv().expect("the handle is dropped");
}
