//! A write that the system refuses. The only way to have one without privileges is a limit for the size of files, and that
//! holds for a whole process: so the test starts itself once more.

use std::process::Command;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::*;

/// The test that is run in a process of its own.
const INNER: &str = "store::tests::disk_error::under_a_limit_for_files";

#[test]
fn after_a_failed_commit_nothing_is_answered_as_kept_and_what_was_is_there_after_a_restart() {
    let tests = std::env::current_exe().expect("the tests are a program");
    // Without this, a process that meets the limit is killed instead of told.
    let script = "trap '' XFSZ; exec \"$0\" --exact \"$1\" --ignored";
    let output = Command::new("sh")
        .args(["-c", script])
        .arg(tests)
        .arg(INNER)
        .output()
        .expect("sh is there");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{output:?}");
}

#[test]
#[ignore = "run by the test above in a process of its own"]
fn under_a_limit_for_files() {
    let folder = Folder::new();
    let (store, _) = open(&folder);
    let limit = getrlimit(Resource::Fsize);
    setrlimit(
        Resource::Fsize,
        Rlimit {
            current: Some(256 * 1024),
            ..limit
        },
    )
    .expect("lowered");
    let mut answered = 0;
    let error = loop {
        match keep(&store, vec![put_room(&answered.to_string(), &"long ".repeat(1_000))]) {
            Ok(()) => answered += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Failed(_)), "{error}");
    assert!(answered > 0);
    setrlimit(Resource::Fsize, limit).expect("raised");
    // There would be room now, but nobody knows what became of what was written before.
    let later = keep(&store, vec![put_room("later", "")]);
    assert!(matches!(later, Err(StoreError::Failed(_))), "{later:?}");
    assert!(matches!(store.health(), Health::Failed { .. }));
    drop(store);
    let (store, kept) = open(&folder);
    let there = |room: &str| kept.rooms.iter().any(|kept| kept.room == room);
    assert!((0..answered).all(|number| there(&number.to_string())));
    assert!(!there("later"));
    assert_eq!(keep(&store, vec![put_room("later", "")]), Ok(()));
}
