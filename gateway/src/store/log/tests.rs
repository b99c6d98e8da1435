use super::*;

const LIMITS: Limits = Limits {
    step: 10,
    whole: 100,
    rest: 20,
    long: 200,
    behind: 100,
};

/// A log of which a test says how long it is.
fn log() -> Log {
    let mut conn = Connection::open_in_memory().expect("SQLite");
    Log::of(&mut conn, LIMITS).expect("a hook")
}

/// What is to be done when it has this many pages. If it is to be copied, the copier begins.
fn at(log: &mut Log, pages: usize) -> Step {
    next(log, pages, false)
}

/// The same when the copier has just copied it up to `copied`.
fn after_copy(log: &mut Log, pages: usize, copied: usize) -> Step {
    log.told.store(pages, Ordering::Relaxed);
    log.look();
    log.was_copied(copied);
    next(log, pages, true)
}

fn next(log: &mut Log, pages: usize, just_copied: bool) -> Step {
    log.told.store(pages, Ordering::Relaxed);
    log.look();
    let step = log.next(just_copied);
    if step == Step::Copy {
        log.is_being_copied();
    }
    step
}

#[test]
fn it_is_copied_step_by_step_and_then_to_its_end() {
    let mut log = log();
    assert_eq!(at(&mut log, 9), Step::Nothing);
    assert_eq!(at(&mut log, 10), Step::Copy);
    assert_eq!(after_copy(&mut log, 19, 10), Step::Nothing);
    assert_eq!(at(&mut log, 95), Step::Copy);
    assert_eq!(after_copy(&mut log, 116, 95), Step::Copy, "much came meanwhile");
    assert_eq!(after_copy(&mut log, 136, 116), Step::CopyRest);
    log.was_copied_whole(136);
    assert_eq!(at(&mut log, 5), Step::Nothing, "it has begun anew");
    assert_eq!(at(&mut log, 10), Step::Copy);
}

#[test]
fn what_could_not_be_copied_is_tried_again_a_step_later() {
    let mut log = log();
    assert_eq!(at(&mut log, 150), Step::Copy);
    assert_eq!(at(&mut log, 159), Step::Nothing);
    assert_eq!(at(&mut log, 160), Step::Copy);
    assert_eq!(after_copy(&mut log, 160, 160), Step::CopyRest);
    log.was_not_copied();
    assert_eq!(at(&mut log, 169), Step::Nothing);
    assert_eq!(at(&mut log, 170), Step::Copy);
}

#[test]
fn what_the_copier_says_of_a_log_that_has_begun_anew_meanwhile_does_not_count() {
    let mut log = log();
    assert_eq!(at(&mut log, 115), Step::Copy);
    assert_eq!(at(&mut log, 5), Step::Nothing, "it has begun anew");
    assert_eq!(after_copy(&mut log, 120, 115), Step::Copy, "none of it is copied");
    assert_eq!(after_copy(&mut log, 125, 120), Step::CopyRest);
}

#[test]
fn the_writer_does_not_copy_much_that_somebody_has_held_back() {
    let mut log = log();
    assert_eq!(at(&mut log, 150), Step::Copy);
    assert_eq!(after_copy(&mut log, 160, 10), Step::Copy);
    assert_eq!(after_copy(&mut log, 170, 150), Step::CopyRest);
}

#[test]
fn where_somebody_reads_it_questions_wait_once_it_is_long_and_for_a_shell_now_and_then() {
    let mut log = log();
    assert_eq!(at(&mut log, 100), Step::Copy);
    assert_eq!(after_copy(&mut log, 101, 100), Step::CopyRest);
    log.was_copied_whole(50);
    let mut unread = Vec::new();
    for pages in 102..600 {
        let step = after_copy(&mut log, pages, 50);
        assert_ne!(step, Step::CopyRest);
        if step == Step::CopyRestUnread {
            log.was_copied_whole(50);
            unread.push(pages);
        }
    }
    assert_eq!(unread, [200, 300, 400, 500]);
}

#[test]
fn when_it_is_long_the_writer_copies_however_much_is_left() {
    let mut log = log();
    assert_eq!(at(&mut log, 100), Step::Copy);
    assert_eq!(after_copy(&mut log, 199, 100), Step::Copy);
    assert_eq!(at(&mut log, 299), Step::Copy);
    assert_eq!(after_copy(&mut log, 500, 299), Step::CopyRest);
}

#[test]
fn where_much_comes_while_it_is_copied_that_is_waited_for() {
    let mut log = log();
    assert_eq!(at(&mut log, 500), Step::Copy);
    assert_eq!(at(&mut log, 505), Step::Nothing);
    assert!(!log.is_behind());
    log.told.store(601, Ordering::Relaxed);
    log.look();
    assert!(log.is_behind());
}
