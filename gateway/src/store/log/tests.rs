use super::*;

const LIMITS: Limits = Limits {
    step: 10,
    whole: 100,
    rest: 20,
    long: 200,
    max: 300,
};

/// A log of which a test says how long it is.
fn log() -> Log {
    let mut conn = Connection::open_in_memory().expect("SQLite");
    Log::of(&mut conn, LIMITS).expect("a hook")
}

/// What is to be done when it has this many pages. If it is to be copied, the copier begins.
fn at(log: &mut Log, pages: usize, just_copied: bool) -> Step {
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
    assert_eq!(at(&mut log, 9, false), Step::Nothing);
    assert_eq!(at(&mut log, 10, false), Step::Copy);
    assert_eq!(at(&mut log, 19, true), Step::Nothing);
    assert_eq!(at(&mut log, 95, false), Step::Copy);
    // Much came meanwhile.
    assert_eq!(at(&mut log, 116, true), Step::Copy);
    assert_eq!(at(&mut log, 136, true), Step::CopyRest);
    log.was_copied();
    assert_eq!(at(&mut log, 5, false), Step::Nothing, "it has begun anew");
    assert_eq!(at(&mut log, 10, false), Step::Copy);
}

#[test]
fn what_could_not_be_copied_is_tried_again_a_step_later() {
    let mut log = log();
    assert_eq!(at(&mut log, 150, false), Step::Copy);
    assert_eq!(at(&mut log, 159, false), Step::Nothing);
    assert_eq!(at(&mut log, 160, false), Step::Copy);
    assert_eq!(at(&mut log, 160, true), Step::CopyRest);
}

#[test]
fn where_somebody_reads_it_questions_wait_once_it_is_long_and_for_a_shell_not_again_and_again() {
    let mut log = log();
    assert_eq!(at(&mut log, 100, false), Step::Copy);
    assert_eq!(at(&mut log, 101, true), Step::CopyRest);
    log.was_copied();
    let mut unread = Vec::new();
    for pages in 102..1_000 {
        let step = at(&mut log, pages, true);
        assert_ne!(step, Step::CopyRest);
        if step == Step::CopyRestUnread {
            log.was_copied();
            unread.push(pages);
        }
    }
    assert_eq!(unread, [200, 400, 600, 800]);
}

#[test]
fn when_it_is_long_the_writer_copies_however_much_is_left() {
    let mut log = log();
    assert_eq!(at(&mut log, 100, false), Step::Copy);
    assert_eq!(at(&mut log, 199, true), Step::Copy);
    assert_eq!(at(&mut log, 300, false), Step::Copy);
    assert!(!log.is_too_long());
    assert_eq!(at(&mut log, 500, true), Step::CopyRest);
    assert!(log.is_too_long());
}
