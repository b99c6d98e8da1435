//! The list by example, and against a plain map with a clock that moves.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

const MAX: usize = 3;

fn start() -> Now {
    Now {
        instant: Instant::now(),
        unix_ms: 1_800_000_000_000,
    }
}

fn entry(now: Now, lasts_ms: Option<i64>) -> Entry {
    Entry {
        until_ms: lasts_ms.map(|lasts| now.unix_ms + lasts),
        since_ms: now.unix_ms,
        text: String::new(),
    }
}

#[test]
fn an_entry_holds_until_its_end_and_not_in_that_millisecond() {
    let now = start();
    let mut list = List::default();
    list.enlist(&[("alice", entry(now, Some(60_000)))], now, MAX).unwrap();
    assert!(list.contains("alice", now + Duration::from_millis(59_999)));
    let end = now + Duration::from_millis(60_000);
    assert!(!list.contains("alice", end));
    assert!(list.listed(end).is_empty());
    assert!(list.strike(&["alice"], end).is_empty(), "it is not there to be struck");
}

#[test]
fn what_has_ended_takes_no_place_of_what_comes() {
    let now = start();
    let mut list = List::default();
    let entries = ["a", "b", "c"].map(|name| (name, entry(now, Some(1))));
    list.enlist(&entries, now, MAX).unwrap();
    assert_eq!(list.enlist(&[("d", entry(now, None))], now, MAX), Err(Full));
    let later = now + Duration::from_millis(1);
    list.enlist(&[("d", entry(later, None))], later, MAX).unwrap();
    assert_eq!(list.len(), 1);
}

#[test]
fn a_call_with_one_too_many_puts_nobody_on_the_list() {
    let now = start();
    let mut list = List::default();
    list.enlist(&[("a", entry(now, None)), ("b", entry(now, None))], now, MAX)
        .unwrap();
    let both = [("c", entry(now, None)), ("d", entry(now, None))];
    assert_eq!(list.enlist(&both, now, MAX), Err(Full));
    assert!(!list.contains("c", now));
    // Whoever is there or named twice takes one place.
    let again = [
        ("a", entry(now, Some(5))),
        ("c", entry(now, None)),
        ("c", entry(now, Some(7))),
    ];
    list.enlist(&again, now, MAX).unwrap();
    assert_eq!(list.get("a", now), Some(&entry(now, Some(5))));
    assert_eq!(list.get("c", now), Some(&entry(now, Some(7))), "the last word counts");
}

#[derive(Debug, Clone)]
enum Op {
    Enlist(Vec<(u8, Option<i64>)>),
    Strike(Vec<u8>),
    Wait(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let entries = prop::collection::vec((0_u8..8, prop::option::of(1_i64..50)), 1..4);
    prop_oneof![
        4 => entries.prop_map(Op::Enlist),
        2 => prop::collection::vec(0_u8..8, 1..4).prop_map(Op::Strike),
        3 => (0_u64..40).prop_map(Op::Wait),
    ]
}

proptest! {
    #[test]
    fn a_list_is_a_map_from_which_entries_go_when_their_time_is_over(ops in prop::collection::vec(op(), 1..60)) {
        let mut now = start();
        let mut list = List::default();
        let mut model: BTreeMap<u8, Entry> = BTreeMap::new();
        for op in ops {
            match op {
                Op::Enlist(entries) => {
                    let entries: Vec<(u8, Entry)> =
                        entries.into_iter().map(|(name, lasts)| (name, entry(now, lasts))).collect();
                    let mut next = model.clone();
                    next.extend(entries.iter().cloned());
                    let fits = next.len() <= MAX;
                    prop_assert_eq!(list.enlist(&entries, now, MAX), if fits { Ok(()) } else { Err(Full) });
                    if fits {
                        model = next;
                    }
                }
                Op::Strike(names) => {
                    let expected: Vec<u8> = names.iter().copied().filter(|name| model.remove(name).is_some()).collect();
                    prop_assert_eq!(list.strike(&names, now), expected);
                }
                Op::Wait(ms) => now = now + Duration::from_millis(ms),
            }
            model.retain(|_, entry| entry.until_ms.is_none_or(|until| until > now.unix_ms));
            let mut expected: Vec<(u8, Entry)> = model.clone().into_iter().collect();
            expected.sort_by_key(|(name, entry)| (entry.since_ms, *name));
            prop_assert_eq!(list.listed(now), expected);
            for name in 0..8 {
                prop_assert_eq!(list.get(&name, now), model.get(&name));
            }
        }
    }
}
