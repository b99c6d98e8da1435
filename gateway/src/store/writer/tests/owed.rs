//! What the disk has refused: it is written later, in its order, and nobody hears before that it is kept.

use proptest::prelude::*;

use super::*;
use crate::store::load::load;
use crate::store::tests::model::{Model, change};
use crate::store::tests::{put_attribute, remove_room};
use crate::store::{Kept, StoreError};

/// Some of the entries of any changes have passed, others have not.
const TIME_MS: i64 = 10;

/// As on a disk with no room for more.
fn fill(writer: &Writer) {
    set_pages_max(writer, pages(writer, "page_count"));
}

fn make_room(writer: &Writer) {
    set_pages_max(writer, 100_000);
}

fn on_disk(writer: &Writer) -> Kept {
    load(&writer.conn, TIME_MS).expect("it can be read")
}

fn owed(writer: &Writer) -> usize {
    writer.shared.counters.owed()
}

fn is_full(outcome: &Result<(), StoreError>) -> bool {
    matches!(outcome, Err(StoreError::Full(_)))
}

#[test]
fn what_was_refused_is_written_when_there_is_room_though_nobody_asks_again() {
    let folder = Folder::new();
    let mut writer = writer(&folder);
    assert_eq!(commit(&mut writer, vec![vec![put_room("room", "")]]), [Ok(())]);
    let shell = folder.shell();
    writer.conn.busy_timeout(Duration::ZERO).expect("set");
    shell.execute_batch("BEGIN IMMEDIATE").expect("begun");
    let outcomes = commit(&mut writer, vec![vec![remove_room()], vec![put_room("other", "")]]);
    assert!(outcomes.iter().all(Result::is_err), "{outcomes:?}");
    assert_eq!(owed(&writer), 2);
    writer.next_probe = Instant::now();
    writer.probe_when_due();
    assert_eq!(rooms(&writer), ["room"], "it is still locked");
    shell.execute_batch("ROLLBACK").expect("ended");
    writer.next_probe = Instant::now();
    writer.probe_when_due();
    assert_eq!(rooms(&writer), ["other"]);
    assert_eq!((health(&writer), owed(&writer)), (Health::Ok, 0));
}

#[test]
fn who_asks_for_what_holds_already_hears_that_it_is_kept_when_it_is() {
    let folder = Folder::new();
    let mut writer = writer(&folder);
    fill(&writer);
    let outcomes = commit(
        &mut writer,
        vec![vec![large("large")], vec![], vec![put_room("small", "")]],
    );
    assert!(is_full(&outcomes[0]) && is_full(&outcomes[1]), "{outcomes:?}");
    assert_eq!(outcomes[2], Ok(()), "it fits, and is about something else");
    let outcomes = commit(&mut writer, vec![vec![]]);
    assert!(is_full(&outcomes[0]), "{outcomes:?}");
    assert!(matches!(health(&writer), Health::ReadOnly { .. }), "something is owed");
    make_room(&writer);
    assert_eq!(commit(&mut writer, vec![vec![]]), [Ok(())]);
    assert_eq!(rooms(&writer), ["large", "small"]);
    assert_eq!(health(&writer), Health::Ok);
}

#[test]
fn what_comes_later_holds_though_what_came_before_was_refused() {
    let folder = Folder::new();
    let mut writer = writer(&folder);
    fill(&writer);
    let outcomes = commit(&mut writer, vec![vec![large("room")], vec![put_room("room", "last")]]);
    assert!(is_full(&outcomes[0]), "{outcomes:?}");
    assert_eq!(outcomes[1], Ok(()), "with this the other is nothing any more");
    assert_eq!(owed(&writer), 0);
    let half = vec![large("room"), put_attribute("colour", 1)];
    let outcomes = commit(&mut writer, vec![half, vec![put_attribute("colour", 2)]]);
    assert!(
        outcomes.iter().all(is_full),
        "the second comes after the first: {outcomes:?}"
    );
    assert_eq!(owed(&writer), 2);
    assert_eq!(commit(&mut writer, vec![vec![remove_room()]]), [Ok(())]);
    make_room(&writer);
    assert_eq!(commit(&mut writer, vec![vec![]]), [Ok(())]);
    assert_eq!(on_disk(&writer), Kept::default());
}

#[test]
fn what_is_owed_is_written_at_the_end() {
    let folder = Folder::new();
    let mut writer = writer(&folder);
    fill(&writer);
    assert!(is_full(&commit(&mut writer, vec![vec![large("large")]])[0]));
    make_room(&writer);
    writer.shared.queue.close();
    writer.serve();
    assert_eq!(rooms(&writer), ["large"]);
}

#[test]
fn what_can_never_be_kept_holds_up_nothing_else_that_is_owed() {
    let folder = Folder::new();
    let mut writer = writer(&folder);
    let shell = folder.shell();
    writer.conn.busy_timeout(Duration::ZERO).expect("set");
    shell.execute_batch("BEGIN IMMEDIATE").expect("begun");
    let group = vec![vec![put_attribute("colour", u64::MAX)], vec![put_room("other", "")]];
    assert!(commit(&mut writer, group).iter().all(Result::is_err));
    shell.execute_batch("ROLLBACK").expect("ended");
    assert_eq!(commit(&mut writer, vec![vec![]]), [Ok(())]);
    assert_eq!(rooms(&writer), ["other"]);
    assert_eq!(owed(&writer), 0);
}

/// What the disk does while a group is committed.
#[derive(Debug, Clone, Copy)]
enum Disk {
    Well,
    /// There is no room for more.
    Full,
    /// Somebody with a shell has it.
    Locked,
}

fn submission() -> impl Strategy<Value = Vec<Change>> {
    let long = any::<bool>().prop_map(|long| if long { "long ".repeat(2_000) } else { String::new() });
    let change = (change(), long).prop_map(|(mut change, long)| {
        if let Change::PutRoom { record, .. } = &mut change {
            record.name.push_str(&long);
        }
        change
    });
    prop::collection::vec(change, 0..4)
}

fn group() -> impl Strategy<Value = (Disk, Vec<Vec<Change>>)> {
    let disk = prop::sample::select(vec![Disk::Well, Disk::Full, Disk::Full, Disk::Locked]);
    (disk, prop::collection::vec(submission(), 1..6))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_the_disk_refuses_all_is_kept_when_somebody_is_told_so_who_changes_nothing(
        groups in prop::collection::vec(group(), 1..12),
    ) {
        let folder = Folder::new();
        let mut writer = writer(&folder);
        writer.conn.busy_timeout(Duration::ZERO).expect("set");
        let shell = folder.shell();
        let mut model = Model::default();
        for (disk, mut submissions) in groups {
            match disk {
                Disk::Well => make_room(&writer),
                Disk::Full => fill(&writer),
                Disk::Locked => shell.execute_batch("BEGIN IMMEDIATE").expect("begun"),
            }
            submissions.iter().flatten().for_each(|change| model.apply(change.clone()));
            submissions.push(Vec::new());
            let outcomes = commit(&mut writer, submissions);
            if matches!(disk, Disk::Locked) {
                shell.execute_batch("ROLLBACK").expect("ended");
            }
            let last = outcomes.last().expect("an answer for each");
            prop_assert!(last.is_ok() || !matches!(disk, Disk::Well), "{:?}", last);
            if last.is_ok() {
                prop_assert_eq!(on_disk(&writer), model.kept(TIME_MS));
            }
        }
        make_room(&writer);
        prop_assert_eq!(commit(&mut writer, vec![vec![]]), [Ok(())]);
        prop_assert_eq!(on_disk(&writer), model.kept(TIME_MS));
    }
}
