//! Lists of apps: what changes, what is to be kept of it, and what comes back after a restart.

use std::time::{Duration, Instant};

use sluice_protocol::IdProfile;

use super::*;
use crate::words::Verdict;

const FIRST: AppIndex = AppIndex(0);
const SECOND: AppIndex = AppIndex(1);

fn now() -> Now {
    Now {
        instant: Instant::now(),
        unix_ms: 1_800_000_000_000,
    }
}

fn policies() -> Policies {
    let mut first = App::new("first");
    first.low_types = vec!["app:like".to_owned()];
    first.protected_senders = vec!["host".to_owned()];
    first.keep_alive_max = 2;
    Policies::new(&[first, App::new("second")])
}

fn user(id: &str) -> UserId {
    UserId::parse(id, IdProfile::Zim).unwrap()
}

fn room(id: &str) -> RoomId {
    RoomId::parse(id).unwrap()
}

fn types(names: &[&str]) -> Vec<(String, Entry)> {
    names
        .iter()
        .map(|name| ((*name).to_owned(), Entry::default()))
        .collect()
}

fn word(word: &str, replacement: &str) -> (String, Entry) {
    let entry = Entry {
        text: replacement.to_owned(),
        ..Entry::default()
    };
    (word.to_owned(), entry)
}

/// What a call has the store keep.
fn kept<T>(call: impl FnOnce(&mut dyn FnMut(Vec<Change>)) -> Result<T, ListError>) -> (T, Vec<Change>) {
    let mut kept = None;
    let result = call(&mut |changes| kept = Some(changes)).unwrap();
    (result, kept.expect("the store is asked in any case"))
}

#[test]
fn an_app_changes_its_lists_while_another_is_at_it() {
    let (policies, now) = (std::sync::Arc::new(policies()), now());
    let (done, told) = std::sync::mpsc::channel();
    let changed = policies.enlist(FIRST, &LOW_TYPES, &types(&["app:cheer"]), now, |_| {
        let policies = policies.clone();
        std::thread::spawn(move || {
            let changed = policies.enlist(SECOND, &LOW_TYPES, &types(&["app:cheer"]), now, |_| ());
            let _ = done.send(changed.is_ok());
        });
        assert_eq!(told.recv_timeout(Duration::from_secs(10)), Ok(true));
    });
    changed.unwrap();
}

#[test]
fn what_an_app_decides_holds_in_that_app_alone_and_is_kept() {
    let (policies, now) = (policies(), now());
    let gag = Entry {
        until_ms: Some(now.unix_ms + 60_000),
        since_ms: now.unix_ms,
        text: "{}".to_owned(),
    };
    let ((), changes) = kept(|keep| policies.enlist(FIRST, &GAGS, &[(user("alice"), gag.clone())], now, keep));
    assert_eq!(
        changes,
        [Change::PutAppEntry {
            app: "first".to_owned(),
            list: AppList::Gag,
            key: "alice".to_owned(),
            entry: gag.clone(),
        }]
    );
    assert!(policies.of(FIRST).gags.contains(&user("alice"), now));
    assert!(!policies.of(SECOND).gags.contains(&user("alice"), now));
    assert!(
        !policies.of(FIRST).blocks.contains(&user("alice"), now),
        "nor on another list"
    );
    assert_eq!(policies.listed(FIRST, &GAGS, now), [(user("alice"), gag)]);
    assert!(policies.listed(FIRST, &GAGS, now + Duration::from_secs(60)).is_empty());

    let (struck, changes) = kept(|keep| policies.strike(FIRST, &GAGS, &[user("bob"), user("alice")], now, keep));
    assert_eq!(struck, [user("alice")]);
    assert_eq!(
        changes,
        [Change::RemoveAppEntry {
            app: "first".to_owned(),
            list: AppList::Gag,
            key: "alice".to_owned(),
        }]
    );
    assert!(!policies.of(FIRST).gags.contains(&user("alice"), now));
}

#[test]
fn a_snapshot_that_somebody_looks_at_does_not_change_under_it() {
    let (policies, now) = (policies(), now());
    let before = policies.of(FIRST);
    kept(|keep| policies.enlist(FIRST, &BLOCKS, &[(user("alice"), Entry::default())], now, keep));
    assert!(!before.blocks.contains(&user("alice"), now));
    assert!(policies.of(FIRST).blocks.contains(&user("alice"), now));
}

#[test]
fn types_are_low_by_the_configuration_or_the_apps_server_and_allowed_ones_are_above_both() {
    let (policies, now) = (policies(), now());
    let level = |name: &str| policies.of(FIRST).level_of(name, now);
    assert_eq!(
        (level("app:like"), level("app:vote")),
        (TypeLevel::Low, TypeLevel::High)
    );
    kept(|keep| policies.enlist(FIRST, &LOW_TYPES, &types(&["app:vote"]), now, keep));
    assert_eq!(level("app:vote"), TypeLevel::Low);
    kept(|keep| policies.enlist(FIRST, &ALLOWED_TYPES, &types(&["app:vote", "app:gift"]), now, keep));
    assert_eq!(
        (level("app:vote"), level("app:gift")),
        (TypeLevel::Allowed, TypeLevel::Allowed)
    );
    assert!(policies.of(FIRST).protects(&user("host")) && !policies.of(SECOND).protects(&user("host")));
}

#[test]
fn what_the_configuration_calls_low_is_listed_and_stays_low() {
    let (policies, now) = (policies(), now());
    kept(|keep| policies.enlist(FIRST, &LOW_TYPES, &types(&["app:vote", "app:like"]), now, keep));
    let listed: Vec<String> = policies
        .listed(FIRST, &LOW_TYPES, now)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(listed, ["app:like", "app:vote"], "each once");
    let both = ["app:vote".to_owned(), "app:like".to_owned()];
    let refused = policies.strike(FIRST, &LOW_TYPES, &both, now, |_| panic!("nothing changed"));
    assert!(matches!(refused, Err(ListError::Configured { name }) if name == "app:like"));
    assert_eq!(
        policies.of(FIRST).level_of("app:vote", now),
        TypeLevel::Low,
        "all or none"
    );
}

#[test]
fn each_list_has_its_bound_and_a_call_beyond_it_changes_nothing() {
    let (policies, now) = (policies(), now());
    let names: Vec<String> = (0..21).map(|number| format!("app:{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for list in [&LOW_TYPES, &ALLOWED_TYPES] {
        let refused = policies.enlist(FIRST, list, &types(&names), now, |_| panic!("nothing changed"));
        assert!(matches!(refused, Err(ListError::Full { max: 20 })));
        kept(|keep| policies.enlist(FIRST, list, &types(&names[..20]), now, keep));
    }
    let rooms = ["a", "b", "c"].map(|id| (room(id), Entry::default()));
    let refused = policies.enlist(FIRST, &KEEP_ALIVE, &rooms, now, |_| panic!("nothing changed"));
    assert!(
        matches!(refused, Err(ListError::Full { max: 2 })),
        "as the configuration says"
    );
    kept(|keep| policies.enlist(FIRST, &KEEP_ALIVE, &rooms[..2], now, keep));
    kept(|keep| policies.enlist(SECOND, &KEEP_ALIVE, &rooms, now, keep));
}

#[test]
fn a_word_without_a_replacement_blocks_and_one_that_cannot_be_looked_for_changes_nothing() {
    let (policies, now) = (policies(), now());
    let check = |text: &str| policies.of(FIRST).words.check(text);
    let words = [word("bad", ""), word("money", "***")];
    kept(|keep| policies.enlist(FIRST, &WORD_LIST, &words, now, keep));
    assert_eq!(check("so bad"), Verdict::Blocked { word: "bad".into() });
    assert_eq!(check("my money"), Verdict::Replaced("my ***".to_owned()));
    assert_eq!(policies.of(SECOND).words.check("so bad"), Verdict::Clean);
    let refused = policies.enlist(FIRST, &WORD_LIST, &[word(" ", "")], now, |_| panic!("nothing changed"));
    assert!(matches!(refused, Err(ListError::Words(_))));
    assert_eq!(policies.listed(FIRST, &WORD_LIST, now).len(), 2);
    kept(|keep| policies.strike(FIRST, &WORD_LIST, &["bad".to_owned()], now, keep));
    assert_eq!(check("so bad"), Verdict::Clean);
}

#[test]
fn what_was_kept_is_there_after_a_restart_in_every_list() {
    let now = now();
    let before = policies();
    let mut log: Vec<Change> = Vec::new();
    let mut keep = |changes: Vec<Change>| log.extend(changes);
    let anybody = [(user("alice"), Entry::default())];
    for list in [&GAGS, &BLOCKS] {
        before.enlist(FIRST, list, &anybody, now, &mut keep).unwrap();
    }
    for list in [&LOW_TYPES, &ALLOWED_TYPES] {
        before
            .enlist(FIRST, list, &types(&["app:vote"]), now, &mut keep)
            .unwrap();
    }
    before
        .enlist(FIRST, &KEEP_ALIVE, &[(room("lobby"), Entry::default())], now, &mut keep)
        .unwrap();
    before
        .enlist(FIRST, &WORD_LIST, &[word("bad", "")], now, &mut keep)
        .unwrap();
    let mut kept: Vec<_> = log
        .into_iter()
        .map(|change| match change {
            Change::PutAppEntry { app, list, key, entry } => (app, list, key, entry),
            other => panic!("{other:?}"),
        })
        .collect();
    kept.push(("gone".to_owned(), AppList::Gag, "alice".to_owned(), Entry::default()));
    kept.push(("first".to_owned(), AppList::Gag, String::new(), Entry::default()));

    let after = policies();
    after.restore(kept, now).unwrap();
    for list in [&GAGS, &BLOCKS] {
        assert_eq!(after.listed(FIRST, list, now), anybody, "{:?}", list.kept_as);
        assert!(after.listed(SECOND, list, now).is_empty());
    }
    for list in [&LOW_TYPES, &ALLOWED_TYPES] {
        assert_eq!(after.listed(FIRST, list, now), before.listed(FIRST, list, now));
    }
    assert_eq!(
        after.listed(FIRST, &KEEP_ALIVE, now),
        before.listed(FIRST, &KEEP_ALIVE, now)
    );
    assert_eq!(
        after.of(FIRST).words.check("bad"),
        Verdict::Blocked { word: "bad".into() }
    );
}
