//! Readers of any speed against what was appended.

use proptest::prelude::*;

use super::*;
use crate::identity::AppIndex;

fn empty() -> Log {
    Log::new(RoomKey {
        app: AppIndex(0),
        id: sluice_protocol::RoomId::parse("lobby").unwrap(),
    })
}

fn log(frames: &[&[u8]]) -> Log {
    let mut log = empty();
    for (frame, sequence) in frames.iter().zip(1..) {
        log.append(frame, sequence, Class::Low);
    }
    log
}

/// Memory of a frame of so many bytes.
fn cost(bytes: usize) -> usize {
    bytes + FRAME_OVERHEAD
}

#[test]
fn a_reader_gets_what_was_appended_after_it_came() {
    let mut log = log(&[b"one"]);
    let cursor = log.end();
    log.append(b"two", 2, Class::Low);
    log.append(b"three", 3, Class::Low);
    assert_eq!(log.unread(cursor), b"twothree");
    assert_eq!(log.lag(cursor, &Cuts::default()), cost(3) + cost(5));
}

#[test]
fn advancing_counts_whole_frames_only() {
    let log = log(&[b"one", b"three"]);
    let mut cursor = Cursor::default();
    assert_eq!(log.advance(&mut cursor, 2), 0);
    assert!(cursor.is_mid_frame());
    assert_eq!(log.rest_of_frame(cursor), b"e");
    assert_eq!(log.advance(&mut cursor, 1), 1);
    assert!(!cursor.is_mid_frame());
    assert_eq!(log.advance(&mut cursor, 5), 1);
    assert!(log.is_read(cursor));
    assert!(!cursor.is_mid_frame());
}

#[test]
fn the_lowest_class_goes_first_and_of_a_class_the_oldest() {
    let mut log = empty();
    let classes = [
        Class::Barrage,
        Class::High,
        Class::Low,
        Class::Normal,
        Class::High,
        Class::Protected,
        Class::Normal,
        Class::Control,
        Class::Barrage,
    ];
    for (class, sequence) in classes.into_iter().zip(1..) {
        log.append(&[b'0' + u8::try_from(sequence).unwrap()], sequence, class);
    }
    let left = |frames: usize| {
        let (mut cursor, mut cuts) = (Cursor::default(), Cuts::default());
        let missed = log.let_go(cursor, &mut cuts, frames * cost(1));
        let mut left = Vec::new();
        while let Run::Frames(frames) = log.next_run(&mut cursor, &cuts, false) {
            left.extend_from_slice(frames);
            log.advance(&mut cursor, frames.len());
        }
        assert_eq!(left.len() as u64 + missed.total(), classes.len() as u64);
        String::from_utf8(left).unwrap()
    };
    assert_eq!(left(9), "123456789");
    assert_eq!(left(8), "23456789", "the older barrage");
    assert_eq!(left(7), "2345678", "the newer barrage");
    assert_eq!(left(6), "245678", "low");
    assert_eq!(left(5), "25678", "the older normal");
    assert_eq!(left(3), "568", "the older high");
    assert_eq!(left(0), "68", "never what may not be shed");
}

#[test]
fn nothing_of_a_class_is_kept_where_something_of_a_higher_one_is_not() {
    let mut log = empty();
    log.append(&[b'h'; 100], 1, Class::High);
    log.append(b"l", 2, Class::Low);
    let mut cuts = Cuts::default();
    let missed = log.let_go(Cursor::default(), &mut cuts, 100);
    assert_eq!(missed.total(), 2);
}

#[test]
fn each_class_keeps_its_newest_for_those_who_lag() {
    let mut log = empty();
    for sequence in 1..=30_u64 {
        let class = [Class::High, Class::Low, Class::Control][usize::try_from(sequence % 3).unwrap()];
        log.append(&[u8::try_from(sequence).unwrap()], sequence, class);
    }
    let cuts = log.overdue(3 * cost(1), log.end());
    log.compact(&cuts);
    let kept: Vec<u8> = log.unread(Cursor::default()).to_vec();
    assert_eq!(kept, [2, 5, 8, 11, 14, 17, 20, 22, 23, 24, 25, 26, 27, 28, 29, 30]);
    assert_eq!(log.memory(), kept.len() * cost(1));
}

#[test]
fn what_fast_readers_have_still_to_get_is_not_overdue() {
    let mut log = log(&[b"one", b"two"]);
    let fast = log.end();
    log.append(b"three", 3, Class::Low);
    let cuts = log.overdue(0, fast);
    log.compact(&cuts);
    assert_eq!(log.unread(fast), b"three");
    assert_eq!(log.memory(), cost(5));
}

#[test]
fn a_log_whose_front_was_taken_out_goes_on_as_before() {
    let mut log = log(&[b"one", b"two", b"three"]);
    let cuts = log.overdue(cost(5), log.end());
    let mut slow = Cursor::default();
    let mut its_cuts = Cuts::default();
    assert_eq!(
        log.leave_out(slow, &mut its_cuts, &cuts),
        Missed::several(1, 2, Class::Low, 2)
    );
    log.compact(&cuts);
    let fast = log.end();
    log.append(b"four", 4, Class::Low);
    assert_eq!(log.unread(fast), b"four");
    assert_eq!(log.next_run(&mut slow, &its_cuts, false), Run::Frames(b"threefour"));
    log.trim(fast);
    assert_eq!(log.unread(fast), b"four");
}

#[test]
fn an_empty_log_gives_its_memory_back() {
    let mut log = empty();
    log.append(&vec![0; 1 << 20], 1, Class::Low);
    log.trim(log.end());
    assert_eq!((log.len(), log.memory()), (0, 0));
    assert!(log.bytes.capacity() <= EMPTY_CAPACITY_BYTES_MAX);
}

/// What a step of the property does.
#[derive(Debug, Clone, Copy)]
enum Step {
    Append(Class, usize),
    Read(usize),
    LetGo(usize),
    Compact(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let class = prop_oneof![
        Just(Class::Control),
        Just(Class::Protected),
        Just(Class::High),
        Just(Class::Normal),
        Just(Class::Low),
        Just(Class::Barrage),
    ];
    prop_oneof![
        6 => (class, 1_usize..60).prop_map(|(class, bytes)| Step::Append(class, bytes)),
        3 => (1_usize..200).prop_map(Step::Read),
        1 => (0_usize..1_000).prop_map(Step::LetGo),
        1 => (0_usize..1_000).prop_map(Step::Compact),
    ]
}

proptest! {
    /// A reader of any speed, whatever is let go and taken out meanwhile, reads whole frames in their order, everything that may
    /// not be shed, and of the rest exactly what it was not told it misses.
    #[test]
    fn read_and_missed_add_up_to_what_was_appended(steps in prop::collection::vec(step(), 1..200)) {
        let mut log = empty();
        let mut appended: Vec<Class> = Vec::new();
        let (mut cursor, mut cuts) = (Cursor::default(), Cuts::default());
        let mut stream: Vec<u8> = Vec::new();
        let mut missed = Missed::default();
        for step in steps {
            match step {
                Step::Append(class, bytes) => {
                    let number = u16::try_from(appended.len()).unwrap();
                    let mut frame = vec![u8::try_from(bytes).unwrap()];
                    frame.extend(number.to_be_bytes().iter().cycle().take(2 * bytes));
                    appended.push(class);
                    log.append(&frame, u64::from(number) + 1, class);
                }
                Step::Read(most) => {
                    if let Run::Frames(run) = log.next_run(&mut cursor, &cuts, false) {
                        let bytes = most.min(run.len());
                        stream.extend_from_slice(&run[..bytes]);
                        log.advance(&mut cursor, bytes);
                    }
                }
                Step::LetGo(bytes_max) => {
                    let kept = log.kept_lag(cursor);
                    missed.extend(&log.let_go(cursor, &mut cuts, bytes_max));
                    let mut left = 0;
                    let mut ahead = Cursor { frame: cursor.untouched(), within: 0 };
                    while let Run::Frames(run) = log.next_run(&mut ahead, &cuts, false) {
                        left += run.len() + usize::try_from(log.advance(&mut ahead, run.len())).unwrap() * FRAME_OVERHEAD;
                    }
                    prop_assert!(left <= bytes_max.max(kept), "{left} of {bytes_max}, {kept} of them kept");
                    let rest = if cursor.is_mid_frame() { log.rest_of_frame(cursor).len() } else { 0 };
                    prop_assert_eq!(log.lag(cursor, &cuts), left + rest);
                }
                Step::Compact(bytes_max) => {
                    let overdue = log.overdue(bytes_max, log.end());
                    missed.extend(&log.leave_out(cursor, &mut cuts, &overdue));
                    if let Some(rest) = log.rescue(&mut cursor, &overdue) {
                        stream.extend_from_slice(&rest);
                    }
                    log.compact(&overdue);
                    log.trim(cursor);
                    prop_assert!(log.memory() <= 4 * bytes_max + log.kept_lag(cursor) + cost(121));
                }
            }
        }
        while let Run::Frames(run) = log.next_run(&mut cursor, &cuts, false) {
            stream.extend_from_slice(run);
            log.advance(&mut cursor, run.len());
        }
        let mut through = [0; Class::COUNT];
        let mut last = None;
        let mut at = 0;
        while at < stream.len() {
            let bytes = usize::from(stream[at]);
            let body = &stream[at + 1..at + 1 + 2 * bytes];
            let number = u16::from_be_bytes([body[0], body[1]]);
            prop_assert!(body.chunks(2).all(|pair| pair == &body[..2]), "frames are whole");
            prop_assert!(last < Some(number), "in their order");
            last = Some(number);
            through[appended[usize::from(number)] as usize] += 1;
            at += 1 + 2 * bytes;
        }
        for (class, (through, missed)) in through.into_iter().zip(missed.by_class).enumerate() {
            let all = appended.iter().filter(|appended| **appended as usize == class).count() as u64;
            prop_assert_eq!(through + missed, all);
        }
        prop_assert_eq!((missed.by_class[0], missed.by_class[1]), (0, 0));
    }
}
