use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use super::*;

mod disk_error;
pub(super) mod model;
mod opening;
mod queueing;
mod reading;
mod rows;

/// The time of tests: entries with an end before it have passed.
pub(super) const NOW_MS: i64 = 1_000_000;

/// A folder that is gone when the test is.
pub(super) struct Folder(pub PathBuf);

impl Folder {
    pub(super) fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("sluice-store-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }

    pub(super) fn database(&self) -> PathBuf {
        self.0.join("sluice.db")
    }

    /// A connection beside the store, as an operator's shell has one.
    pub(super) fn shell(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.database()).expect("it can be opened")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn open(folder: &Folder) -> (Store, Kept) {
    Store::open(&folder.0, NOW_MS).expect("the store opens")
}

fn kept(folder: &Folder) -> Kept {
    open(folder).1
}

/// Submits and waits for the answer.
fn keep(store: &Store, changes: Vec<Change>) -> Result<(), StoreError> {
    let (tell, told) = mpsc::channel();
    store.submit(changes, move |outcome| tell.send(outcome).expect("the test waits"));
    told.recv().expect("an answer")
}

pub(super) fn put_room(room: &str, name: &str) -> Change {
    Change::PutRoom {
        app: "app".to_owned(),
        room: room.to_owned(),
        record: RoomRecord {
            name: name.to_owned(),
            policy: "live".to_owned(),
            created_at_ms: 12,
            by_server: true,
            ends: "idle:5".to_owned(),
            attributes_version: 7,
            used: true,
        },
    }
}

pub(super) fn put_user(list: RoomList, user: &str, until_ms: Option<i64>) -> Change {
    Change::PutRoomUser {
        app: "app".to_owned(),
        room: "room".to_owned(),
        list,
        user: user.to_owned(),
        entry: Entry {
            until_ms,
            since_ms: 3,
            text: "too loud".to_owned(),
        },
    }
}

pub(super) fn put_attribute(key: &str, version: u64) -> Change {
    Change::PutAttribute {
        app: "app".to_owned(),
        room: "room".to_owned(),
        key: key.to_owned(),
        attribute: AttributeRecord {
            value: "red".to_owned(),
            owner: "alice".to_owned(),
            version,
            goes_with_owner: true,
            set_at_ms: 11,
        },
    }
}

fn put_app_entry(list: AppList, key: &str, until_ms: Option<i64>) -> Change {
    Change::PutAppEntry {
        app: "app".to_owned(),
        list,
        key: key.to_owned(),
        entry: Entry {
            until_ms,
            since_ms: 4,
            text: "***".to_owned(),
        },
    }
}

fn put_rules(muted: bool, stopped: bool) -> Change {
    Change::PutRoomRules {
        app: "app".to_owned(),
        room: "room".to_owned(),
        rules: RoomRules { muted, stopped },
    }
}

pub(super) fn remove_room() -> Change {
    Change::RemoveRoom {
        app: "app".to_owned(),
        room: "room".to_owned(),
    }
}

/// One of everything, in all lists there are.
fn one_of_everything() -> Vec<Change> {
    let mut changes = vec![
        put_room("room", "Room"),
        put_attribute("colour", 9),
        put_rules(true, false),
    ];
    let room_lists = [
        RoomList::Gag,
        RoomList::Block,
        RoomList::Allow,
        RoomList::MuteException,
        RoomList::ServerMember,
    ];
    changes.extend(room_lists.map(|list| put_user(list, "bob", Some(NOW_MS + 1))));
    let app_lists = [
        AppList::Gag,
        AppList::UserBlock,
        AppList::LowType,
        AppList::AllowedType,
        AppList::KeepAlive,
        AppList::Word,
    ];
    changes.extend(app_lists.map(|list| put_app_entry(list, "key", None)));
    changes
}

#[test]
fn one_of_everything_is_there_again_after_a_restart() {
    let folder = Folder::new();
    let (store, before) = open(&folder);
    assert_eq!(before, Kept::default());
    assert_eq!(keep(&store, one_of_everything()), Ok(()));
    drop(store);
    let kept = kept(&folder);
    let [room] = &kept.rooms[..] else {
        panic!("one room: {kept:?}");
    };
    let Change::PutRoom { record, .. } = put_room("room", "Room") else {
        unreachable!("a room was made");
    };
    assert_eq!((room.app.as_str(), room.room.as_str()), ("app", "room"));
    assert_eq!(room.record, Some(record));
    let rules = RoomRules {
        muted: true,
        stopped: false,
    };
    assert_eq!(room.rules, rules);
    let entry = Entry {
        until_ms: Some(NOW_MS + 1),
        since_ms: 3,
        text: "too loud".to_owned(),
    };
    assert_eq!(room.users.len(), 5);
    assert!(room.users.iter().all(|(_, user, kept)| user == "bob" && *kept == entry));
    let attribute = AttributeRecord {
        value: "red".to_owned(),
        owner: "alice".to_owned(),
        version: 9,
        goes_with_owner: true,
        set_at_ms: 11,
    };
    assert_eq!(room.attributes, [("colour".to_owned(), attribute)]);
    assert_eq!(kept.apps.len(), 6);
    assert!(
        kept.apps
            .iter()
            .all(|(app, _, key, entry)| app == "app" && key == "key" && entry.text == "***")
    );
}

#[test]
fn what_comes_later_holds() {
    let folder = Folder::new();
    let (store, _) = open(&folder);
    for number in 0..1_000 {
        store.submit(vec![put_room("room", &number.to_string())], |_| {});
    }
    let last = vec![put_room("room", "put"), remove_room(), put_room("room", "last")];
    assert_eq!(keep(&store, last), Ok(()));
    drop(store);
    let record = kept(&folder).rooms.remove(0).record.expect("a room");
    assert_eq!(record.name, "last");
}

#[test]
fn a_room_takes_its_attributes_and_server_made_members_with_it_and_leaves_what_was_decided() {
    let folder = Folder::new();
    let (store, _) = open(&folder);
    assert_eq!(keep(&store, one_of_everything()), Ok(()));
    assert_eq!(keep(&store, vec![remove_room()]), Ok(()));
    drop(store);
    let room = kept(&folder).rooms.remove(0);
    assert_eq!(room.record, None);
    assert_eq!(room.attributes, []);
    assert!(room.rules.muted);
    let lists: Vec<RoomList> = room.users.iter().map(|(list, ..)| *list).collect();
    use RoomList::{Allow, Block, Gag, MuteException};
    assert_eq!(lists, [Gag, Block, Allow, MuteException]);
}

#[test]
fn rules_that_are_the_default_leave_no_row() {
    let folder = Folder::new();
    let (store, _) = open(&folder);
    assert_eq!(keep(&store, vec![put_rules(false, true)]), Ok(()));
    assert_eq!(keep(&store, vec![put_rules(false, false)]), Ok(()));
    let rows: i64 = folder
        .shell()
        .query_row("SELECT count(*) FROM room_rules", [], |row| row.get(0))
        .expect("a number");
    assert_eq!(rows, 0);
}

#[test]
fn an_answered_change_is_in_the_file_at_once() {
    let folder = Folder::new();
    let (store, _) = open(&folder);
    assert_eq!(keep(&store, vec![put_room("room", "seen")]), Ok(()));
    let name: String = folder
        .shell()
        .query_row("SELECT name FROM rooms", [], |row| row.get(0))
        .expect("a room");
    assert_eq!(name, "seen");
}

#[test]
fn entries_are_gone_when_their_end_has_come() {
    let folder = Folder::new();
    let (store, _) = open(&folder);
    let changes = vec![
        put_user(RoomList::Gag, "for ever", None),
        put_user(RoomList::Gag, "passed", Some(NOW_MS + 10)),
        put_user(RoomList::Gag, "still", Some(NOW_MS + 11)),
        put_app_entry(AppList::UserBlock, "passed", Some(NOW_MS + 10)),
        put_app_entry(AppList::UserBlock, "still", Some(NOW_MS + 11)),
    ];
    assert_eq!(keep(&store, changes), Ok(()));
    drop(store);
    let (store, kept) = Store::open(&folder.0, NOW_MS + 10).expect("the store opens");
    let users: Vec<&str> = kept.rooms[0].users.iter().map(|(_, user, _)| user.as_str()).collect();
    assert_eq!(users, ["for ever", "still"]);
    let apps: Vec<&str> = kept.apps.iter().map(|(_, _, key, _)| key.as_str()).collect();
    assert_eq!(apps, ["still"]);
    // They are deleted, not only left out.
    let shell = folder.shell();
    let rows = "SELECT (SELECT count(*) FROM room_users) + (SELECT count(*) FROM app_entries)";
    while shell.query_row(rows, [], |row| row.get::<_, i64>(0)).expect("a number") > 3 {
        std::thread::yield_now();
    }
    drop(store);
}
