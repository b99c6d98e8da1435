use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use proptest::prelude::*;
use sluice_protocol::{IdProfile, RoomId, UserId};

use super::*;

/// A folder of this test, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sluice-audit-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a folder for temporary files");
        Self(path)
    }

    fn lines(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(self.0.join(name)).expect("the file");
        text.lines().map(str::to_owned).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn record(request_id: &str) -> Record {
    Record {
        at_ms: 1_795_253_400_000,
        app: "shop".into(),
        key: "ops".into(),
        path: "/user/block",
        on: Named {
            rooms: Vec::new(),
            conversations: Vec::new(),
            users: vec!["alice".into()],
            more: 0,
        },
        request_id: request_id.into(),
        peer: IpAddr::from([127, 0, 0, 1]),
    }
}

#[test]
fn a_change_is_a_line_that_says_who_did_what_to_whom() {
    let folder = Folder::new("line");
    let audit = Audit::start(&folder.0, 1 << 20).expect("a file");
    audit.tell(record("r1"), Code::OK);
    drop(audit);
    let lines = folder.lines(FILE);
    let [line] = &lines[..] else { panic!("{lines:?}") };
    let value: Value = serde_json::from_str(line).expect("JSON");
    let expected = json!({
        "time": "2026-11-21 09:30:00", "app": "shop", "key": "ops", "path": "/user/block", "rooms": [], "conversations": [],
        "users": ["alice"], "more": 0, "code": 200, "request_id": "r1", "peer": "127.0.0.1",
    });
    assert_eq!(value, expected);
    let mode = fs::metadata(folder.0.join(FILE))
        .expect("the file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_change_that_is_cut_off_is_written_down_as_one_of_which_nothing_is_known() {
    let folder = Folder::new("cut-off");
    let audit = Arc::new(Audit::start(&folder.0, 1 << 20).expect("a file"));
    audit.begin(record("done")).end(Code::OK);
    drop(audit.begin(record("cut off")));
    drop(audit);
    let came_of = |line: &String| {
        let value: Value = serde_json::from_str(line).expect("JSON");
        (value["request_id"].clone(), value["code"].clone())
    };
    let lines: Vec<_> = folder.lines(FILE).iter().map(came_of).collect();
    assert_eq!(lines, [(json!("done"), json!(200)), (json!("cut off"), json!(1050))]);
}

#[test]
fn the_file_begins_anew_before_it_is_too_large_and_the_last_one_is_kept() {
    let folder = Folder::new("rotation");
    let bytes = record("0000").line(Code::OK).len() as u64 + 1;
    let mut file = file::File::open(&folder.0.join(FILE), bytes * 3).expect("a file");
    for number in 0..8 {
        file.write(&record(&format!("{number:04}")).line(Code::OK))
            .expect("a disk");
    }
    let ids = |name| -> Vec<String> {
        let id = |line: &String| -> String {
            let value: Value = serde_json::from_str(line).expect("JSON");
            value["request_id"].as_str().expect("an id").to_owned()
        };
        folder.lines(name).iter().map(id).collect()
    };
    assert_eq!(ids("audit.log.1"), ["0003", "0004", "0005"]);
    assert_eq!(ids("audit.log"), ["0006", "0007"]);
    for name in ["audit.log", "audit.log.1"] {
        assert!(fs::metadata(folder.0.join(name)).expect("the file").len() <= bytes * 3);
    }
    // What was there counts when it is opened again.
    let mut file = file::File::open(&folder.0.join(FILE), bytes * 3).expect("a file");
    file.write(&record("0008").line(Code::OK)).expect("a disk");
    file.write(&record("0009").line(Code::OK)).expect("a disk");
    assert_eq!(ids("audit.log.1"), ["0006", "0007", "0008"]);
    assert_eq!(ids("audit.log"), ["0009"]);
}

#[test]
fn a_line_that_a_crash_cut_off_does_not_spoil_the_next() {
    let folder = Folder::new("torn");
    fs::write(folder.0.join(FILE), "{\"time\":\"2026").expect("a disk");
    let mut file = file::File::open(&folder.0.join(FILE), 1 << 20).expect("a file");
    file.write("{}").expect("a disk");
    assert_eq!(folder.lines(FILE), ["{\"time\":\"2026", "{}"]);
}

#[test]
fn what_cannot_be_written_is_counted_and_keeps_nobody_waiting() {
    // A device that is always full takes the open, and no line.
    let folder = Folder::new("full");
    std::os::unix::fs::symlink("/dev/full", folder.0.join(FILE)).expect("a link");
    let audit = Audit::start(&folder.0, 1 << 20).expect("a file");
    let lost = audit.lost.clone();
    for _ in 0..10 {
        audit.tell(record("r"), Code::OK);
    }
    drop(audit);
    assert_eq!(lost.load(Ordering::Relaxed), 10);
}

#[test]
fn only_so_many_rooms_and_users_are_named() {
    let users = (0..25).map(|n| UserId::parse(&format!("u{n}"), IdProfile::Zim).expect("an id"));
    let fields: Fields = vec![
        ("userId", users.map(Checked::User).collect()),
        (
            "chatroomId",
            vec![Checked::Room(RoomId::parse("lobby").expect("an id"))],
        ),
    ];
    let named = Record::named_in(&fields);
    assert_eq!(
        (named.users.len(), named.rooms, named.more),
        (20, vec!["lobby".to_owned()], 5)
    );
}

proptest! {
    #[test]
    fn whatever_is_in_a_name_it_is_one_line_without_control_characters(name: String, ending in prop::sample::select(
        vec!["\u{1b}[31m", "\r\n", "\u{2028}", "\u{2029}", "\u{85}", "\u{7f}", "\u{9b}2J", "\0", "\"}", "\u{202e}", "\u{2067}"]
    )) {
        let name = format!("{name}{ending}");
        let mut record = record("r");
        record.on.users = vec![name.clone()];
        let line = record.line(Code::OK);
        prop_assert!(!line.chars().any(|c| c.is_control() || ('\u{2028}'..='\u{202e}').contains(&c) || c == '\u{2067}'), "{:?}", line);
        let value: Value = serde_json::from_str(&line).expect("JSON");
        prop_assert_eq!(value["users"][0].as_str(), Some(name.as_str()));
    }
}
