//! Random histories against the simplest conversations there are.

mod model;
mod playing;

use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestError, TestRng, TestRunner};
use rusqlite::Connection;
use sluice_protocol::{MemberRole, MessageKeep, QueryConversation, QueryMessages};

use self::model::{Change, Model, Place, SLOTS, Said};
use self::playing::{content_of, play};
use super::*;

/// Says how many histories are played.
const HISTORIES_VARIABLE: &str = "SLUICE_TEST_CONVERSATION_HISTORIES";

/// How many otherwise.
const HISTORIES: u32 = 24;

/// Within so many it must show that something is wrong.
const HISTORIES_TO_NOTICE: u32 = 100;

const USERS: [&str; 4] = ["ann", "bob", "cid", "dan"];
const WINDOW_MS: i64 = 120_000;

/// So few that a conversation is full.
const MEMBERS_MAX: usize = 3;

/// A user.
#[derive(Debug, Clone, Copy)]
enum Who {
    Any(usize),
    /// One of those who are inside, if there are any. Most operations are by such: otherwise little would come of them.
    Inside(usize),
    /// The owner of the group, as long as there is one.
    Owner,
}

#[derive(Debug, Clone)]
enum Op {
    Create {
        slot: usize,
        by: usize,
        with: usize,
    },
    Change {
        slot: usize,
        by: Who,
        change: Change<Who>,
    },
    Send {
        to: Place,
        by: Who,
        id: Option<u8>,
        said: u8,
        keep: MessageKeep,
    },
    Recall {
        from: Place,
        by: Who,
        /// Rather by whose message it is.
        own: bool,
        nth: usize,
    },
    Edit {
        from: Place,
        by: Who,
        own: bool,
        nth: usize,
        said: u8,
    },
    Ack {
        from: Place,
        by: Who,
        delivered: u64,
        read: u64,
    },
    /// A device asks what it missed.
    Sync {
        by: usize,
        knows: bool,
    },
    Wait {
        seconds: u8,
    },
    /// The clock of the server is put back.
    StepBack {
        seconds: u8,
    },
    Restart,
}

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![
        1 => (0..USERS.len()).prop_map(Who::Any),
        4 => (0..USERS.len()).prop_map(Who::Inside),
    ]
}

fn members_change() -> impl Strategy<Value = Change<Who>> {
    prop_oneof![
        3 => (0..USERS.len()).prop_map(|user| Change::Add(Who::Any(user))),
        1 => who().prop_map(Change::Remove),
        1 => Just(Change::Join),
        1 => Just(Change::Quit),
    ]
}

fn group_change() -> impl Strategy<Value = Change<Who>> {
    prop_oneof![
        8 => members_change(),
        6 => (who(), prop::bool::weighted(0.7)).prop_map(|(user, manager)| Change::Promote(user, manager)),
        2 => who().prop_map(Change::Transfer),
        6 => (who(), prop::bool::weighted(0.7)).prop_map(|(user, muted)| Change::Mute(user, muted)),
        3 => any::<bool>().prop_map(Change::MuteAll),
        1 => Just(Change::Dismiss),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let user = || 0..USERS.len();
    let slot = || 0..SLOTS;
    let place = || {
        prop_oneof![
            2 => slot().prop_map(Place::Slot),
            1 => user().prop_map(Place::With),
        ]
    };
    let leader = prop_oneof![
        2 => Just(Who::Owner),
        1 => who(),
    ];
    let keep = prop_oneof![
        6 => Just(MessageKeep::Default),
        1 => Just(MessageKeep::Stored),
        1 => Just(MessageKeep::None),
    ];
    prop_oneof![
        2 => (slot(), user(), user()).prop_map(|(slot, by, with)| Op::Create { slot, by, with }),
        6 => (slot(), who(), members_change()).prop_map(|(slot, by, change)| Op::Change { slot, by, change }),
        6 => (leader, group_change()).prop_map(|(by, change)| Op::Change { slot: SLOTS - 1, by, change }),
        16 => (place(), who(), prop::option::weighted(0.4, 0_u8..4), 0_u8..2, keep)
            .prop_map(|(to, by, id, said, keep)| Op::Send { to, by, id, said, keep }),
        3 => (place(), who(), any::<bool>(), 0_usize..6)
            .prop_map(|(from, by, own, nth)| Op::Recall { from, by, own, nth }),
        3 => (place(), who(), any::<bool>(), 0_usize..6, 0_u8..9)
            .prop_map(|(from, by, own, nth, said)| Op::Edit { from, by, own, nth, said }),
        3 => (place(), who(), 0_u64..12, 0_u64..12)
            .prop_map(|(from, by, delivered, read)| Op::Ack { from, by, delivered, read }),
        4 => (user(), prop::bool::weighted(0.8)).prop_map(|(by, knows)| Op::Sync { by, knows }),
        1 => (0_u8..90).prop_map(|seconds| Op::Wait { seconds }),
        1 => (0_u8..90).prop_map(|seconds| Op::StepBack { seconds }),
        1 => Just(Op::Restart),
    ]
}

fn history() -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(op(), 1..60)
}

fn said<T>(answer: Result<Answer, Refusal>, read: impl FnOnce(Answer) -> T) -> Said<T> {
    match answer {
        Ok(answer) => Ok(read(answer)),
        Err(refusal) => Err((refusal.code.number(), refusal.detail.into_owned())),
    }
}

fn small(app: &mut App) {
    app.conversations.members_max = MEMBERS_MAX;
}

/// Plays a history from beginning to end. `meddle` is called before each operation.
fn play_all(ops: &[Op], meddle: impl Fn(&Chats)) {
    let mut chats = Chats::with(small);
    let mut model = Model::default();
    let made = (0..SLOTS).map(|slot| Op::Create {
        slot,
        by: slot,
        with: slot + 1,
    });
    for op in made.chain(ops.iter().cloned()) {
        meddle(&chats);
        match op {
            Op::Restart => {
                chats = chats.restarted_with(small);
                model.last_id = model.greatest_kept();
                compare(&chats, &model);
            }
            op => play(&chats, &mut model, &op),
        }
    }
    meddle(&chats);
    compare(&chats, &model);
}

/// What each user sees of each conversation.
fn compare(chats: &Chats, model: &Model) {
    let places = (0..SLOTS).map(Place::Slot).chain((0..USERS.len()).map(Place::With));
    for place in places.filter(|place| model.is_there(*place)) {
        for (by, user) in USERS.into_iter().enumerate() {
            let (kind, id) = model.name(place);
            let command = QueryMessages {
                r#type: kind.into(),
                id: id.clone(),
                limit: 1000,
                ..QueryMessages::default()
            };
            let history = said(chats.ask(user, Command::History(command)), |answer| {
                match answer.result {
                    reply::Result::Messages(page) => page.messages,
                    other => panic!("{other:?}"),
                }
            });
            let command = QueryConversation {
                r#type: kind.into(),
                id,
            };
            let own = said(chats.ask(user, Command::Query(command)), |answer| match answer.result {
                reply::Result::OwnConversation(own) => (
                    own.info.as_ref().expect("what it is").last_sequence,
                    own.unread,
                    own.role(),
                ),
                other => panic!("{other:?}"),
            });
            match model.inside(place, by) {
                Err(refused) => {
                    assert_eq!(history, Err(refused.clone()));
                    assert_eq!(own, Err(refused));
                }
                Ok(None) => {
                    assert_eq!(history, Ok(Vec::new()));
                    assert_eq!(own, Ok((0, 0, MemberRole::Member)));
                }
                Ok(Some(number)) => {
                    let conversation = &model.conversations[number];
                    let member = conversation.members[&by];
                    assert_eq!(own, Ok((conversation.length(), conversation.unread(by), member.role)));
                    let seen = history.map(|messages| {
                        let seen = messages.iter().map(|message| {
                            let content = content_of(message);
                            (message.sequence, message.message_id, message.server_time_ms, content)
                        });
                        seen.collect::<Vec<_>>()
                    });
                    let expected = (1..)
                        .zip(&conversation.messages)
                        .filter(|(sequence, _)| *sequence >= member.first)
                        .map(|(sequence, sent)| (sequence, sent.id, sent.at_ms, sent.content()));
                    assert_eq!(seen, Ok(expected.collect()));
                }
            }
        }
    }
}

#[test]
fn conversations_do_what_the_simplest_ones_do() {
    let histories = std::env::var(HISTORIES_VARIABLE).map_or(HISTORIES, |some| some.parse().expect("a number"));
    proptest!(ProptestConfig::with_cases(histories), |(ops in history())| {
        play_all(&ops, |_| ());
    });
    println!("{histories} histories: no answer was another than that of the model");
}

/// Plays histories while this statement is carried out on the store again and again: as if the rules had done so.
#[track_caller]
fn is_noticed(what: &str, statement: &str) {
    let config = ProptestConfig {
        max_shrink_iters: 0,
        failure_persistence: None,
        ..ProptestConfig::with_cases(HISTORIES_TO_NOTICE)
    };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let played = Cell::new(0);
    let verdict = runner.run(&history(), |ops| {
        played.set(played.get() + 1);
        play_all(&ops, |chats| {
            let shell = Connection::open(chats.file()).expect("the store's file");
            shell
                .execute_batch(&format!("PRAGMA synchronous = OFF; {statement}"))
                .expect("a statement");
        });
        Ok(())
    });
    match verdict {
        // And not that somebody could not meddle.
        Err(TestError::Fail(why, _)) if why.message().contains("assertion") => {
            println!("{what} are noticed in history {}", played.get());
        }
        other => panic!("{what} are not noticed: {other:?}"),
    }
}

#[test]
fn whatever_is_kept_otherwise_is_noticed() {
    for (what, statement) in [
        ("repeats that are forgotten", "DELETE FROM sent_messages"),
        (
            "numbers that are left out",
            "UPDATE conversations SET last_sequence = 3 WHERE last_sequence = 2",
        ),
        ("messages that are lost", "DELETE FROM messages WHERE sequence = 3"),
        (
            "messages that are back after they were recalled",
            "UPDATE messages SET recalled = FALSE",
        ),
        ("times that fall", "UPDATE conversations SET last_message_at_ms = 0"),
        (
            "newcomers who see what was before",
            "UPDATE conversation_members SET first_sequence = 1",
        ),
        (
            "members whom a conversation keeps",
            "UPDATE conversations SET member_count = 1 WHERE member_count > 1",
        ),
        (
            "managers who are forgotten",
            "UPDATE conversation_members SET role = 3 WHERE role = 2",
        ),
        (
            "mutes that are forgotten",
            "UPDATE conversation_members SET muted_until_ms = NULL",
        ),
        (
            "read positions that are forgotten",
            "UPDATE conversation_members SET read_sequence = first_sequence - 1",
        ),
        (
            "delivered positions that run ahead",
            "UPDATE conversation_members SET delivered_sequence = 1 WHERE delivered_sequence = 0",
        ),
    ] {
        is_noticed(what, statement);
    }
}
