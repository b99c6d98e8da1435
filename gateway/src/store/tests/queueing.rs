//! Groups, order, and a queue that is full.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;
use crate::store::queue::{GROUP_CHANGES_MAX, QUEUED_CHANGES_MAX};

/// Keeps the writer busy until it is dropped, so that what is submitted meanwhile waits.
struct Held {
    _release: mpsc::Sender<()>,
}

fn hold(store: &Store) -> Held {
    let (release, released) = mpsc::channel();
    let (tell, told) = mpsc::channel();
    store.submit(Vec::new(), move |outcome| {
        assert_eq!(outcome, Ok(()));
        tell.send(()).expect("the test waits");
        let _ = released.recv();
    });
    told.recv().expect("the writer is there");
    Held { _release: release }
}

#[test]
fn what_came_together_is_committed_in_groups() {
    let folder = Folder::new();
    let (store, _) = open(&folder);
    let held = hold(&store);
    let before = store.figures();
    for number in 0..GROUP_CHANGES_MAX + 44 {
        store.submit(vec![put_room(&number.to_string(), "")], |_| {});
    }
    assert_eq!(store.figures().queued, GROUP_CHANGES_MAX + 44);
    drop(held);
    assert_eq!(keep(&store, Vec::new()), Ok(()));
    let after = store.figures();
    // The last one may have come too late for the second group.
    assert!(
        (2..=3).contains(&(after.commits - before.commits)),
        "{before:?} {after:?}"
    );
    assert_eq!(after.changes - before.changes, GROUP_CHANGES_MAX as u64 + 44);
    assert_eq!(after.queued, 0);
    assert!(after.commit_time > before.commit_time);
    assert!(after.file_bytes > 0);
}

#[test]
fn a_submission_longer_than_a_group_is_not_split() {
    let folder = Folder::new();
    let (store, _) = open(&folder);
    let held = hold(&store);
    let before = store.figures().commits;
    let long = (0..=GROUP_CHANGES_MAX).map(|number| put_room(&number.to_string(), ""));
    store.submit(long.collect(), |_| {});
    drop(held);
    assert_eq!(keep(&store, Vec::new()), Ok(()));
    assert_eq!(store.figures().commits - before, 2);
}

#[test]
fn a_job_counts_as_many_changes_as_it_says() {
    const WEIGHT: usize = 100;
    let folder = Folder::new();
    let (store, _) = open(&folder);
    let held = hold(&store);
    let before = store.figures();
    let transact = || {
        store.transact(Asker::Member, WEIGHT, |_| Ok(()), |kept| assert_eq!(kept, Ok(())));
    };
    for _ in 0..3 {
        transact();
    }
    assert_eq!(store.figures().queued, 3 * WEIGHT);
    drop(held);
    assert_eq!(keep(&store, Vec::new()), Ok(()));
    let after = store.figures();
    // Two fit in a group.
    assert_eq!(after.commits - before.commits, 2);
    assert_eq!(after.changes - before.changes, 3 * WEIGHT as u64);

    let held = hold(&store);
    let mut taken = 0;
    while !store.is_behind(Asker::Member) {
        transact();
        taken += 1;
    }
    assert_eq!(taken, (QUEUED_CHANGES_MAX / 2).div_ceil(WEIGHT));
    drop(held);
}

#[test]
fn answers_come_in_the_order_of_submissions() {
    let folder = Folder::new();
    let (store, _) = open(&folder);
    let answers = Arc::new(Mutex::new(Vec::new()));
    for number in 0..1_000 {
        let answers = answers.clone();
        store.submit(vec![put_room("room", "")], move |outcome| {
            assert_eq!(outcome, Ok(()));
            answers.lock().expect("whole").push(number);
        });
    }
    drop(store);
    assert!(answers.lock().expect("whole").iter().copied().eq(0..1_000));
}

#[test]
fn who_asks_is_turned_away_while_much_is_waiting_and_clients_before_servers() {
    let folder = Folder::new();
    let (store, _) = open(&folder);
    let held = hold(&store);
    let submit = |changes| {
        let room = put_room("room", "");
        store.submit(vec![room; changes], |outcome| assert_eq!(outcome, Ok(())));
    };
    let admitted = || [Asker::Server, Asker::Member].map(|asker| store.admit(asker).is_ok());
    submit(QUEUED_CHANGES_MAX / 2 - 1);
    assert_eq!(admitted(), [true, true]);
    submit(1);
    assert_eq!(admitted(), [true, false]);
    submit(QUEUED_CHANGES_MAX / 2 - 1);
    assert_eq!(admitted(), [true, false]);
    submit(1);
    assert_eq!(store.admit(Asker::Server), Err(StoreError::Busy));
    assert_eq!(store.figures().busy, 3);
    assert_eq!(store.health(), Health::Ok);
    // Nobody asks whether a room may end.
    store.submit(vec![remove_room()], |outcome| assert_eq!(outcome, Ok(())));
    drop(held);
    assert_eq!(keep(&store, Vec::new()), Ok(()));
    assert_eq!(admitted(), [true, true]);
    drop(store);
    assert_eq!(kept(&folder), Kept::default());
}

#[test]
fn how_long_a_commit_has_taken_is_seen_before_it_ends() {
    let folder = Folder::new();
    let (store, _) = open(&folder);
    // What has passed is looked for first.
    while store.writing_for() > Duration::ZERO {
        std::thread::yield_now();
    }
    let (go, gone) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel();
    let hangs = move |_: &dyn RowsMut| {
        let _ = gone.recv();
        Ok(())
    };
    store.transact(Asker::Member, 1, hangs, move |kept| {
        tell.send(kept).expect("the test waits")
    });
    let mut seen = Duration::ZERO;
    // It grows while it lasts.
    for _ in 0..3 {
        while store.writing_for() <= seen {
            std::thread::yield_now();
        }
        seen = store.figures().writing_for;
    }
    drop(go);
    assert_eq!(told.recv(), Ok(Ok(())));
    while store.writing_for() > Duration::ZERO {
        std::thread::yield_now();
    }
}

#[test]
fn a_bad_submission_of_a_group_fails_alone() {
    let folder = Folder::new();
    let (store, _) = open(&folder);
    let held = hold(&store);
    let (tell, told) = mpsc::channel();
    // More than a number of the file holds.
    let bad = vec![put_room("half", ""), put_attribute("colour", u64::MAX)];
    for changes in [vec![put_room("first", "")], bad, vec![put_room("last", "")]] {
        let tell = tell.clone();
        store.submit(changes, move |outcome| tell.send(outcome).expect("the test waits"));
    }
    drop((held, tell));
    let outcomes: Vec<Result<(), StoreError>> = told.iter().collect();
    assert!(
        matches!(outcomes[..], [Ok(()), Err(StoreError::Unfit(_)), Ok(())]),
        "{outcomes:?}"
    );
    assert_eq!(store.figures().failures, 1);
    assert_eq!(store.health(), Health::Ok);
    drop(store);
    let kept = kept(&folder);
    let rooms: Vec<&str> = kept.rooms.iter().map(|room| room.room.as_str()).collect();
    assert_eq!(rooms, ["first", "last"]);
}

#[test]
fn a_panic_of_whoever_is_told_harms_nobody_else() {
    let folder = Folder::new();
    let (store, _) = open(&folder);
    store.submit(vec![put_room("room", "")], |_| panic!("on purpose"));
    assert_eq!(keep(&store, vec![put_room("other", "")]), Ok(()));
    assert_eq!(store.health(), Health::Ok);
}

#[test]
fn a_submission_that_is_lost_is_told_so() {
    let (tell, told) = mpsc::channel();
    drop(Submission::new(Vec::new(), move |outcome| {
        tell.send(outcome).expect("the test waits")
    }));
    assert!(matches!(told.recv(), Ok(Err(StoreError::Failed(_)))));
}
