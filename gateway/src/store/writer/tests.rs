use std::sync::mpsc;

use super::*;
use crate::store::change::{Change, RoomList};
use crate::store::tests::{Folder, NOW_MS, put_room, put_user};
use crate::store::{Length, Rows, RowsMut, file};

mod owed;

/// A writer without its thread: the test does a step at a time.
fn writer(folder: &Folder) -> Writer {
    let opened = file::open(&folder.0).expect("it opens");
    let copier = Copier::start(&opened.path).expect("it opens once more");
    let (file, threads) = ((opened.conn, opened.lock), (Readers::default(), copier));
    let writer = Writer::new(file, threads, log::Limits::USUAL, Arc::default(), NOW_MS);
    writer.expect("SQLite tells how long the log is")
}

fn commit(writer: &mut Writer, submissions: Vec<Vec<Change>>) -> Vec<Result<(), StoreError>> {
    let (tell, told) = mpsc::channel();
    let submission = |changes| {
        let tell = tell.clone();
        Submission::new(changes, move |outcome| tell.send(outcome).expect("the test waits"))
    };
    writer.commit_group(submissions.into_iter().map(submission).collect());
    drop(tell);
    told.iter().collect()
}

fn health(writer: &Writer) -> Health {
    writer.shared.counters.health()
}

fn pages(writer: &Writer, pragma: &str) -> i64 {
    let page_count = |row: &rusqlite::Row<'_>| row.get(0);
    writer
        .conn
        .pragma_query_value(None, pragma, page_count)
        .expect("a number")
}

fn set_pages_max(writer: &Writer, pages: i64) {
    writer
        .conn
        .pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
        .expect("set");
}

fn large(room: &str) -> Change {
    put_room(room, &"long ".repeat(10_000))
}

fn rooms(writer: &Writer) -> Vec<String> {
    let mut statement = writer
        .conn
        .prepare("SELECT room FROM rooms ORDER BY room")
        .expect("SQL");
    let rows = statement.query_map([], |row| row.get(0)).expect("rows");
    rows.collect::<rusqlite::Result<_>>().expect("names")
}

#[test]
fn a_full_disk_is_told_and_the_store_is_well_again_when_there_is_room() {
    let folder = Folder::new();
    let mut writer = writer(&folder);
    set_pages_max(&writer, pages(&writer, "page_count") + 4);
    let outcomes = commit(&mut writer, vec![vec![large("large")], vec![put_room("small", "")]]);
    // What still fits is kept all the same.
    assert!(
        matches!(outcomes[..], [Err(StoreError::Full(_)), Ok(())]),
        "{outcomes:?}"
    );
    assert!(matches!(health(&writer), Health::ReadOnly { .. }));
    assert_eq!(rooms(&writer), ["small"]);
    writer.probe();
    assert!(
        matches!(health(&writer), Health::ReadOnly { .. }),
        "the disk is still full"
    );
    set_pages_max(&writer, 1_000);
    assert_eq!(commit(&mut writer, vec![vec![large("large")]]), [Ok(())]);
    assert_eq!(health(&writer), Health::Ok);
    assert_eq!(rooms(&writer), ["large", "small"]);
}

#[test]
fn room_on_a_full_disk_is_noticed_when_nobody_asks_for_anything() {
    let folder = Folder::new();
    let mut writer = writer(&folder);
    while writer.expiry.is_some() {
        writer.expire();
    }
    assert!(writer.patience() > PROBE_INTERVAL);
    set_pages_max(&writer, pages(&writer, "page_count"));
    let outcomes = commit(&mut writer, vec![vec![large("large")]]);
    assert!(matches!(outcomes[..], [Err(StoreError::Full(_))]), "{outcomes:?}");
    assert!(writer.patience() <= PROBE_INTERVAL);
    set_pages_max(&writer, 1_000);
    writer.next_probe = Instant::now();
    writer.probe_when_due();
    assert_eq!(health(&writer), Health::Ok);
    let left: i64 = writer
        .conn
        .query_row("SELECT count(*) FROM probe", [], |row| row.get(0))
        .expect("a number");
    assert_eq!(left, 0);
}

/// A job that keeps as much as a message takes.
fn job(rows: &dyn RowsMut) -> Result<(), StoreError> {
    rows.put_part("app", "alice", "long", 0, &[0; 48 * 1024])
}

fn carry_out(
    writer: &mut Writer,
    job: impl FnMut(&dyn RowsMut) -> Result<(), StoreError> + Send + 'static,
) -> Result<(), StoreError> {
    let (tell, told) = mpsc::channel();
    let work = Work::Job {
        job: Box::new(job),
        weight: 1,
    };
    let submission = Submission::of(work, move |outcome| tell.send(outcome).expect("the test waits"));
    writer.commit_group(vec![submission]);
    told.recv().expect("an answer")
}

#[test]
fn what_writes_nothing_makes_no_store_well_whose_disk_is_full() {
    let folder = Folder::new();
    let mut writer = writer(&folder);
    set_pages_max(&writer, pages(&writer, "page_count") + 4);
    for _ in 0..20 {
        assert!(matches!(carry_out(&mut writer, job), Err(StoreError::Full(_))));
        assert_eq!(
            commit(&mut writer, vec![vec![]]),
            [Ok(())],
            "all is kept that was not refused"
        );
        assert_eq!(carry_out(&mut writer, |_| Ok(())), Ok(()));
        // Not at once: a little may fit where that did not.
        writer.probe_when_due();
        assert!(matches!(health(&writer), Health::ReadOnly { .. }));
    }
    set_pages_max(&writer, 1_000);
    assert_eq!(carry_out(&mut writer, job), Ok(()));
    assert!(writer.patience() <= PROBE_INTERVAL);
    writer.next_probe = Instant::now();
    writer.probe_when_due();
    assert_eq!(health(&writer), Health::Ok);
}

#[test]
fn somebody_elses_transaction_fails_the_group_and_not_the_store() {
    let folder = Folder::new();
    let mut writer = writer(&folder);
    writer.conn.busy_timeout(Duration::ZERO).expect("set");
    let shell = folder.shell();
    shell.execute_batch("BEGIN IMMEDIATE").expect("begun");
    let outcomes = commit(&mut writer, vec![vec![put_room("a", "")], vec![put_room("b", "")]]);
    assert!(
        matches!(
            outcomes[..],
            [Err(StoreError::Unavailable(_)), Err(StoreError::Unavailable(_))]
        ),
        "{outcomes:?}"
    );
    shell.execute_batch("ROLLBACK").expect("ended");
    writer.probe();
    assert_eq!(health(&writer), Health::Ok);
    assert_eq!(commit(&mut writer, vec![vec![put_room("a", "")]]), [Ok(())]);
}

#[test]
fn a_writer_that_failed_writes_nothing_more() {
    let folder = Folder::new();
    let mut writer = writer(&folder);
    writer.fail("on purpose".to_owned());
    let outcomes = commit(&mut writer, vec![vec![put_room("a", "")], vec![]]);
    let failed = || Err(StoreError::Failed("on purpose".to_owned()));
    assert_eq!(outcomes, [failed(), failed()]);
    assert!(rooms(&writer).is_empty());
    writer.shared.counters.set_health(Health::Ok);
    assert!(matches!(health(&writer), Health::Failed { .. }));
}

/// How many pages of the log are in the database.
fn pages_copied(writer: &Writer) -> i64 {
    let copied = |row: &rusqlite::Row<'_>| row.get::<_, i64>(2);
    let asked = writer.conn.query_row("PRAGMA wal_checkpoint(NOOP)", [], copied);
    asked.expect("a number")
}

/// A commit of some 64 KiB.
fn write_some(writer: &mut Writer, number: usize) {
    let long = format!("{number:08}").repeat(8 * 1024);
    assert_eq!(commit(writer, vec![vec![put_room("long", &long)]]), [Ok(())]);
}

/// Commits so much that the log has at least as many pages.
fn write_pages(writer: &mut Writer, pages: usize) {
    let number = (0..).take_while(|number| {
        write_some(writer, *number);
        writer.log.pages() < pages
    });
    assert!(number.count() < pages);
}

#[test]
fn the_log_is_copied_beside_the_commits_and_begins_anew() {
    let folder = Folder::new();
    let mut writer = writer(&folder);
    while writer.expiry.is_some() {
        writer.expire();
    }
    let (mut anew, mut before) = (0, 0);
    for number in 0..1_000 {
        write_some(&mut writer, number);
        let pages = writer.log.pages();
        anew += usize::from(pages < before);
        before = pages;
        writer.copy_log();
        // Sometimes commits go on while it is copied, and sometimes nothing comes.
        if number % 3 == 0 {
            if !writer.copier.is_idle() {
                assert!(writer.patience() <= COPY_PATIENCE, "somebody looks when it is done");
            }
            copy_log(&mut writer);
            assert!(writer.patience() > COPY_PATIENCE);
            let copied = usize::try_from(pages_copied(&writer)).expect("a number of pages");
            assert!(copied + log::Limits::USUAL.step >= pages, "{copied} of {pages} copied");
        }
        assert!(pages < log::Limits::USUAL.long);
    }
    assert!(anew > 2, "{anew} times");
}

#[test]
fn commits_wait_where_much_comes_while_the_log_is_copied() {
    let folder = Folder::new();
    let mut writer = writer(&folder);
    let outcome = writer.copier.pretend_to_copy();
    write_pages(&mut writer, log::Limits::USUAL.behind / 2);
    writer.copy_log();
    write_pages(&mut writer, log::Limits::USUAL.behind + 1);
    let shared = writer.shared.clone();
    let waits = move || shared.counters.figures().log_waits;
    assert_eq!(waits(), 0);
    let copier = std::thread::spawn(move || {
        while waits() == 0 {
            std::thread::yield_now();
        }
        outcome(Ok(Some(1)));
    });
    writer.copy_log();
    copier.join().expect("it was waited for");
    assert_eq!(writer.shared.counters.figures().log_waits, 1);
}

#[test]
fn a_log_that_somebody_reads_is_copied_to_its_end_once_nobody_does() {
    let folder = Folder::new();
    let mut writer = writer(&folder);
    writer.readers = Readers::start(&folder.0.join("sluice.db")).expect("it opens once more");
    let (tell, told) = mpsc::channel();
    let (go, gone) = mpsc::channel::<()>();
    let question = Box::new(move |rows: &dyn Rows| {
        let _ = rows.ended_group("app", "none");
        tell.send(()).expect("the test waits");
        let _ = gone.recv();
    });
    assert!(writer.readers.questions().push(Length::Long, question).is_ok());
    told.recv().expect("it has begun to read");
    let mut number = 0;
    while !writer.holds_readers {
        write_some(&mut writer, number);
        copy_log(&mut writer);
        number += 1;
        assert!(writer.log.pages() < 2 * log::Limits::USUAL.long);
    }
    assert!(writer.log.pages() >= log::Limits::USUAL.long);
    assert!(!writer.readers.are_held(), "one is under way");
    // It ends, and no other begins.
    drop(go);
    while writer.holds_readers {
        copy_log(&mut writer);
    }
    let in_log = i64::try_from(writer.log.pages()).expect("small");
    assert_eq!(pages_copied(&writer), in_log);
    write_some(&mut writer, number);
    assert!(writer.log.pages() < log::Limits::USUAL.step, "it has begun anew");
}

/// Waits for the copier whenever it copies, and does what the writer does then.
fn copy_log(writer: &mut Writer) {
    writer.copy_log();
    while !writer.copier.is_idle() {
        writer.copier.wait();
        writer.copy_log();
    }
}

#[test]
fn a_copy_that_fails_fails_the_store_before_anything_more_is_kept() {
    let folder = Folder::new();
    let mut writer = writer(&folder);
    writer.copier.pretend_to_copy()(Err(StoreError::Full("on purpose".to_owned())));
    assert_eq!(commit(&mut writer, vec![vec![put_room("a", "")]]), [Ok(())]);
    assert!(matches!(health(&writer), Health::ReadOnly { .. }));
    let failed = StoreError::Failed("on purpose".to_owned());
    writer.copier.pretend_to_copy()(Err(failed.clone()));
    assert_eq!(commit(&mut writer, vec![vec![put_room("b", "")]]), [Err(failed)]);
    assert!(matches!(health(&writer), Health::Failed { .. }));
    assert_eq!(rooms(&writer), ["a"]);
}

#[test]
fn a_store_that_has_failed_leaves_its_log_as_it_is() {
    let log = |folder: &Folder| std::fs::metadata(folder.0.join("sluice.db-wal")).map_or(0, |log| log.len());
    // By a commit, or by a copy of which nobody has heard when it is stopped.
    for by_copy in [false, true] {
        let folder = Folder::new();
        let mut writer = writer(&folder);
        assert_eq!(commit(&mut writer, vec![vec![put_room("a", "")]]), [Ok(())]);
        let before = log(&folder);
        assert!(before > 0);
        if by_copy {
            writer.copier.pretend_to_copy()(Err(StoreError::Failed("on purpose".to_owned())));
        } else {
            writer.fail("on purpose".to_owned());
        }
        writer.shared.queue.close();
        writer.run();
        assert_eq!(log(&folder), before, "{by_copy}");
    }
    let folder = Folder::new();
    let mut writer = writer(&folder);
    assert_eq!(commit(&mut writer, vec![vec![put_room("a", "")]]), [Ok(())]);
    writer.shared.queue.close();
    writer.run();
    assert_eq!(log(&folder), 0, "one that has not leaves none");
}

#[test]
fn what_has_passed_is_deleted_between_groups() {
    let folder = Folder::new();
    let mut writer = writer(&folder);
    let passed = (0..1_500).map(|number| put_user(RoomList::Gag, &number.to_string(), Some(NOW_MS)));
    let stays = put_user(RoomList::Gag, "stays", Some(NOW_MS + 1));
    assert_eq!(commit(&mut writer, vec![passed.chain([stays]).collect()]), [Ok(())]);
    let users = |writer: &Writer| -> i64 {
        let count = "SELECT count(*) FROM room_users";
        writer.conn.query_row(count, [], |row| row.get(0)).expect("a number")
    };
    writer.expire();
    assert_eq!(users(&writer), 501);
    assert_eq!(writer.patience(), Duration::ZERO);
    writer.expire();
    writer.expire();
    assert_eq!(users(&writer), 1);
    // The rest of the pass finds nothing: a step each for conversations, parts and what else there could be.
    let steps = (0..).take_while(|_| {
        writer.expire();
        writer.expiry.is_some()
    });
    assert!(steps.count() < 10);
    assert!(writer.patience() > Duration::ZERO);
    assert_eq!(users(&writer), 1);
}
