//! Random decisions with a clock that moves against the plainest lists there are, with restarts in between: what was given to the
//! store is all that is left then.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::store::RoomRules;

const LISTS: [RoomList; 4] = [RoomList::Gag, RoomList::Block, RoomList::Allow, RoomList::MuteException];

/// With seven users the allow list of five fills up.
const USERS: u8 = 7;

#[derive(Debug, Clone)]
enum Op {
    Enlist(usize, Vec<u8>, Option<u64>),
    Strike(usize, Vec<u8>),
    Mute(bool),
    Stop(bool),
    Destroy,
    Wait(u64),
    Restart,
}

fn op() -> impl Strategy<Value = Op> {
    let users = || prop::collection::vec(0..USERS, 1..4);
    prop_oneof![
        8 => (0..LISTS.len(), users(), prop::option::of(1_u64..80)).prop_map(|(list, users, lasts)| Op::Enlist(list, users, lasts)),
        4 => (0..LISTS.len(), users()).prop_map(|(list, users)| Op::Strike(list, users)),
        2 => any::<bool>().prop_map(Op::Mute),
        1 => any::<bool>().prop_map(Op::Stop),
        1 => Just(Op::Destroy),
        6 => (0_u64..40).prop_map(Op::Wait),
        1 => Just(Op::Restart),
    ]
}

/// Follows the changes as the store does.
#[derive(Debug, Default)]
struct Kept {
    rules: RoomRules,
    users: BTreeMap<(RoomList, String), Entry>,
}

impl Kept {
    fn keep(&mut self, change: Change) {
        match change {
            Change::PutRoomUser { list, user, entry, .. } => drop(self.users.insert((list, user), entry)),
            Change::RemoveRoomUser { list, user, .. } => {
                assert!(
                    self.users.remove(&(list, user)).is_some(),
                    "what was never kept is not removed"
                );
            }
            Change::PutRoomRules { rules, .. } => self.rules = rules,
            other => panic!("{other:?}"),
        }
    }
}

fn name(user: u8) -> String {
    format!("user{user}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn decisions_are_plain_lists_with_ends_and_outlive_a_restart(ops in prop::collection::vec(op(), 1..80)) {
        let mut hall = Hall::new();
        let mut model: [BTreeMap<u8, Entry>; 4] = Default::default();
        let mut rules = RoomRules::default();
        let mut kept = Kept::default();
        for op in ops {
            let mut decided = None;
            match op {
                Op::Enlist(list, users, lasts) => {
                    let lasts = lasts.map(Duration::from_millis);
                    let mut next = model[list].clone();
                    next.extend(users.iter().map(|user| (*user, hall.entry(lasts))));
                    let names: Vec<String> = users.into_iter().map(name).collect();
                    let names: Vec<&str> = names.iter().map(String::as_str).collect();
                    let enlisted = hall.enlist(LISTS[list], &names, lasts);
                    if LISTS[list] == RoomList::Allow && next.len() > 5 {
                        prop_assert_eq!(enlisted.refused(), (23412, "list_full"));
                    } else {
                        model[list] = next;
                        decided = Some(enlisted.done());
                    }
                }
                Op::Strike(list, users) => {
                    users.iter().for_each(|user| drop(model[list].remove(user)));
                    let names: Vec<String> = users.into_iter().map(name).collect();
                    let names: Vec<&str> = names.iter().map(String::as_str).collect();
                    decided = Some(hall.strike(LISTS[list], &names).done());
                }
                Op::Mute(muted) => {
                    rules.muted = muted;
                    decided = Some(hall.mute(muted).done());
                }
                Op::Stop(stopped) => {
                    rules.stopped = stopped;
                    decided = Some(hall.decide(Order::Stop(stopped)).done());
                }
                Op::Destroy => {
                    model[2].clear();
                    model[3].clear();
                    rules = RoomRules::default();
                    decided = Some(hall.decide(Order::Destroy).done());
                }
                Op::Wait(ms) => hall.wait(Duration::from_millis(ms)),
                Op::Restart => {
                    let now = hall.now;
                    hall = Hall::new();
                    hall.now = now;
                    let holds = |entry: &Entry| entry.until_ms.is_none_or(|until| until > now.unix_ms);
                    kept.users.retain(|_, entry| holds(entry));
                    let users = kept.users.iter().map(|((list, user), entry)| (*list, user.clone(), entry.clone()));
                    hall.rooms.moderation.restore(&lobby(), kept.rules, users.collect());
                }
            }
            decided.into_iter().flat_map(|decided| decided.kept).for_each(|change| kept.keep(change));
            let now = hall.now;
            for (list, model) in LISTS.into_iter().zip(&mut model) {
                model.retain(|_, entry| entry.until_ms.is_none_or(|until| until > now.unix_ms));
                let mut expected: Vec<(UserId, Entry)> =
                    model.iter().map(|(id, entry)| (user(&name(*id)), entry.clone())).collect();
                expected.sort_by_key(|(user, entry)| (entry.since_ms, user.clone()));
                prop_assert_eq!(hall.decide(Order::Listed(list)).answer, Ok(Answer::Listed(expected)));
            }
            prop_assert_eq!(hall.decide(Order::Rules).answer, Ok(Answer::Rules(rules)));
            let muted = hall.rooms.moderation.muted(AppIndex(0), 10);
            prop_assert_eq!(muted, if rules.muted { vec![lobby().id] } else { Vec::new() });
            // What says nothing takes no memory, ends of time aside.
            if model.iter().all(BTreeMap::is_empty) && rules == RoomRules::default() {
                prop_assert!(hall.rooms.moderation.is_empty(now));
            }
        }
    }
}
