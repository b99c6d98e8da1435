//! Which event a hook is told next, and when: rules that are given the time.
//!
//! What was not tried yet comes first, the oldest before the others; then what failed, when its wait is over. So events that the hook fails at hold up no
//! others, however many they are. What has become too old is not told any more, whether it was tried or not.
//!
//! A hook that takes nothing is spared: after some failures in a row its calls, whatever the event, are begun at a pace, until it answers one. And it is left
//! alone for as long as it asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::push::backoff;
use crate::push::queue::Event;

/// Calls of one hook at a time. Each has a connection of its own.
pub(super) const CALLS_AT_ONCE: usize = 8;

/// How old an event becomes. A push that comes later wakes somebody for nothing.
pub(super) const AGE_MAX: Duration = Duration::from_secs(600);

/// Calls that fail one after the other until a hook counts as one that takes nothing: all that are made at once.
const FAILED_IN_A_ROW: u32 = 8;

/// From one call of a hook that takes nothing to the next: too few to be a load for it. Whoever writes messages that the hook fails at, as fast as a session
/// may, does not keep those of others from being tried: it is not to be known whether the hook fails at these or at all.
const PACE: Duration = Duration::from_millis(100);

/// The events of one hook that are not being told.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// By number, so in the order of their coming.
    waiting: BTreeMap<u64, Waiting>,
    turns: BTreeSet<Turn>,
    /// Given so far.
    numbers: u64,
    failed_in_a_row: u32,
    last_call: Option<Instant>,
    /// What the hook asked for.
    left_alone_until: Option<Instant>,
}

#[derive(Debug)]
struct Waiting {
    event: Event,
    failed_before: u32,
    turn: Turn,
}

/// When an event is tried. The first is tried first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    tried: bool,
    due: Instant,
    number: u64,
}

/// An event that is being told.
#[derive(Debug)]
pub(super) struct Trial {
    pub event: Event,
    pub failed_before: u32,
    number: u64,
}

#[derive(Debug)]
pub(super) enum Next {
    Call(Trial),
    /// Until then, or until something happens.
    Wait(Option<Instant>),
}

impl Turns {
    pub(super) fn push(&mut self, event: Event) {
        self.numbers += 1;
        let turn = Turn {
            tried: false,
            due: event.since,
            number: self.numbers,
        };
        self.insert(event, 0, turn);
    }

    /// Gives up what is too old, and says how much that was.
    pub(super) fn expire(&mut self, now: Instant) -> usize {
        let before = self.waiting.len();
        while let Some(oldest) = self.waiting.first_entry()
            && oldest.get().event.since + AGE_MAX <= now
        {
            self.turns.remove(&oldest.remove().turn);
        }
        before - self.waiting.len()
    }

    /// What is to be told now, when so many calls are under way. What is too old was given up before.
    pub(super) fn next(&mut self, now: Instant, under_way: usize) -> Next {
        let Some(first) = self.turns.first().copied() else {
            return Next::Wait(None);
        };
        let too_old_at = self.waiting.values().next().map(|oldest| oldest.event.since + AGE_MAX);
        if under_way >= CALLS_AT_ONCE {
            return Next::Wait(too_old_at);
        }
        let not_before = self.left_alone_until.max(self.paced_until());
        let due = not_before.map_or(first.due, |not_before| not_before.max(first.due));
        if due > now {
            return Next::Wait(too_old_at.map(|too_old_at| too_old_at.min(due)));
        }
        self.turns.remove(&first);
        let waiting = self
            .waiting
            .remove(&first.number)
            .expect("whose turn it is, that waits");
        self.last_call = Some(now);
        Next::Call(Trial {
            event: waiting.event,
            failed_before: waiting.failed_before,
            number: first.number,
        })
    }

    /// The hook took an event, or said that it never wants it.
    pub(super) fn handle_answer(&mut self) {
        self.failed_in_a_row = 0;
    }

    /// The hook did not take an event, which is tried again.
    pub(super) fn handle_failure(&mut self, now: Instant, trial: Trial, retry_after: Option<Duration>) {
        self.failed_in_a_row = self.failed_in_a_row.saturating_add(1);
        if let Some(retry_after) = retry_after {
            let until = now + retry_after.min(backoff::LONGEST);
            self.left_alone_until = self.left_alone_until.max(Some(until));
        }
        let turn = Turn {
            tried: true,
            due: now + backoff::wait(trial.failed_before, retry_after),
            number: trial.number,
        };
        self.insert(trial.event, trial.failed_before.saturating_add(1), turn);
    }

    /// Until when the hook is spared because it takes nothing.
    fn paced_until(&self) -> Option<Instant> {
        let takes_nothing = self.failed_in_a_row >= FAILED_IN_A_ROW;
        self.last_call.filter(|_| takes_nothing).map(|last| last + PACE)
    }

    fn insert(&mut self, event: Event, failed_before: u32, turn: Turn) {
        self.turns.insert(turn);
        let waiting = Waiting {
            event,
            failed_before,
            turn,
        };
        self.waiting.insert(turn.number, waiting);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::push::queue;

    const SECOND: Duration = Duration::from_secs(1);

    /// A hook with a clock that is made up. It answers at once.
    struct World {
        now: Instant,
        turns: Turns,
        /// When which event was told.
        told: Vec<(Instant, String)>,
        expired: usize,
    }

    impl World {
        fn new() -> Self {
            Self {
                now: Instant::now(),
                turns: Turns::default(),
                told: Vec::new(),
                expired: 0,
            }
        }

        fn push(&mut self, id: &str) {
            self.turns.push(queue::event(id, self.now));
        }

        /// Tells what is to be told until `until`, to a hook that fails at these.
        fn run(&mut self, until: Instant, fails: impl Fn(&str) -> bool) {
            self.run_asking(until, |id| fails(id).then_some(None));
        }

        /// As [`World::run`], to a hook that says when it wants to be called again.
        fn run_asking(&mut self, until: Instant, fails: impl Fn(&str) -> Option<Option<Duration>>) {
            loop {
                self.expired += self.turns.expire(self.now);
                match self.turns.next(self.now, 0) {
                    Next::Call(trial) => {
                        self.told.push((self.now, trial.event.id.clone()));
                        match fails(&trial.event.id) {
                            Some(retry_after) => self.turns.handle_failure(self.now, trial, retry_after),
                            None => self.turns.handle_answer(),
                        }
                    }
                    Next::Wait(next) => match next.filter(|next| *next < until) {
                        Some(next) => {
                            assert!(next > self.now, "it waits for what is over");
                            self.now = next;
                        }
                        None => break,
                    },
                }
            }
            self.now = until;
        }

        fn times_of(&self, id: &str) -> Vec<Instant> {
            let of_it = self.told.iter().filter(|(_, told)| told == id);
            of_it.map(|(at, _)| *at).collect()
        }
    }

    #[test]
    fn what_was_not_tried_yet_is_told_first_and_the_oldest_before_the_others() {
        let mut world = World::new();
        world.push("a");
        world.run(world.now + SECOND, |_| true);
        world.told.clear();
        // Its wait is over by then.
        world.now += backoff::LONGEST;
        world.push("b");
        world.push("c");
        world.run(world.now + SECOND, |_| false);
        let told: Vec<_> = world.told.iter().map(|(_, id)| id.as_str()).collect();
        assert_eq!(told, ["b", "c", "a"]);
    }

    #[test]
    fn an_event_that_fails_is_told_again_ever_later_until_it_is_too_old() {
        let mut world = World::new();
        let began = world.now;
        world.push("a");
        world.run(began + AGE_MAX - SECOND, |_| true);
        assert_eq!(world.expired, 0);
        let times = world.times_of("a");
        let waits: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(waits[0] >= SECOND / 4 && waits[0] <= SECOND / 2, "{waits:?}");
        assert!(waits[3] >= SECOND * 2 && waits[3] <= SECOND * 4, "{waits:?}");
        let last = waits[waits.len() - 1];
        assert!(last >= backoff::LONGEST / 2 && last <= backoff::LONGEST, "{waits:?}");
        // It is given up when its time is over, not when it would be tried again.
        world.run(began + AGE_MAX + SECOND / 1000, |_| true);
        assert_eq!(world.expired, 1);
        let told = world.told.len();
        world.run(began + AGE_MAX * 2, |_| false);
        assert_eq!((world.told.len(), world.expired), (told, 1));
    }

    #[test]
    fn a_hook_that_takes_nothing_is_called_at_a_pace_and_never_with_what_is_too_old() {
        let mut world = World::new();
        let began = world.now;
        for number in 0..10_000 {
            world.push(&number.to_string());
        }
        let down = AGE_MAX + SECOND * 60;
        world.run(began + down, |_| true);
        let most = u128::from(FAILED_IN_A_ROW) + AGE_MAX.as_millis() / PACE.as_millis() + 1;
        assert!(world.told.len() as u128 <= most, "{} calls", world.told.len());
        assert_eq!(world.expired, 10_000);
        // When it is back it is told what came meanwhile, at once, and nothing else.
        let told = world.told.len();
        for number in 0..20 {
            world.push(&format!("young {number}"));
        }
        world.run(world.now + SECOND, |_| false);
        let last = &world.told[told..];
        assert_eq!(last.len(), 20);
        assert!(last.iter().all(|(_, id)| id.starts_with("young")), "{last:?}");
        assert!(last.iter().skip(1).all(|(at, _)| *at == last[1].0), "{last:?}");
    }

    #[test]
    fn a_hook_that_is_back_is_told_the_rest_without_a_pace() {
        let mut world = World::new();
        for number in 0..1000 {
            world.push(&number.to_string());
        }
        world.run(world.now + SECOND, |_| true);
        let told = world.told.len();
        assert!(told < 20, "{told} calls in a second");
        world.run(world.now + PACE, |_| false);
        assert!(world.told.len() >= told + 1000 - 20);
        // And those that failed, when their waits are over.
        world.run(world.now + SECOND * 2, |_| false);
        assert_eq!(world.told.len(), 1000 + told);
    }

    #[test]
    fn events_that_the_hook_fails_at_hold_up_no_others() {
        let mut world = World::new();
        let is_bad = |id: &str| id.starts_with("bad");
        for number in 0..CALLS_AT_ONCE {
            world.push(&format!("bad {number}"));
        }
        world.run(world.now + SECOND / 100, is_bad);
        world.push("good");
        world.run(world.now + PACE * 2, is_bad);
        assert_eq!(world.times_of("good").len(), 1);
        // As many as a session can send, for minutes, each with its repeats.
        for number in 0..2000 {
            world.push(&format!("bad, later {number}"));
            if number % 100 == 0 {
                world.push(&format!("good {number}"));
            }
            world.run(world.now + SECOND / 10, is_bad);
        }
        world.run(world.now + SECOND * 5, is_bad);
        let good = world.told.iter().filter(|(_, id)| id.starts_with("good ")).count();
        assert_eq!(good, 20);
    }

    #[test]
    fn a_hook_is_left_alone_for_as_long_as_it_asks_for_but_not_for_longer_than_the_longest_wait() {
        let mut world = World::new();
        let began = world.now;
        world.push("a");
        world.run_asking(began + SECOND, |_| Some(Some(SECOND * 7)));
        // Not with another event either.
        world.push("b");
        world.run(began + SECOND * 7, |_| false);
        assert_eq!(world.told.len(), 1);
        world.run(began + SECOND * 8, |_| false);
        assert_eq!((world.times_of("a").len(), world.times_of("b").len()), (2, 1));
        world.push("c");
        let asked = world.now;
        world.run_asking(asked + SECOND, |_| Some(Some(SECOND * 3600)));
        world.run(asked + backoff::LONGEST + SECOND, |_| false);
        assert_eq!(world.times_of("c"), [asked, asked + backoff::LONGEST]);
    }

    #[test]
    fn no_more_calls_are_made_at_once_than_may() {
        let mut world = World::new();
        world.push("a");
        let too_old_at = world.now + AGE_MAX;
        assert!(matches!(world.turns.next(world.now, CALLS_AT_ONCE), Next::Wait(Some(until)) if until == too_old_at));
        assert!(matches!(world.turns.next(world.now, CALLS_AT_ONCE - 1), Next::Call(_)));
    }
}
