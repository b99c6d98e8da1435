//! Random histories against the simplest conversations there are.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sluice_protocol::{
    AckMessages, AddMembers, ConversationType, JoinConversation, MessageKeep, QueryConversation, QueryMessages,
    QuitConversation, RecallMessage, RemoveMembers, SendMessage, SendMessageResult,
};

use super::sending::{send, text};
use super::*;

/// Says how many histories are played; about ten in a second.
const HISTORIES_VARIABLE: &str = "SLUICE_TEST_CONVERSATION_HISTORIES";

/// How many otherwise.
const HISTORIES: u32 = 24;

const USERS: [&str; 4] = ["ann", "bob", "cid", "dan"];
const SLOTS: usize = 2;
const WINDOW_MS: i64 = 120_000;

/// An answer: what it says, or the code and the detail of the refusal.
type Said<T> = Result<T, (i32, String)>;

#[derive(Debug, Clone)]
enum Op {
    Create {
        slot: usize,
        by: usize,
        with: usize,
    },
    Add {
        slot: usize,
        by: usize,
        user: usize,
    },
    Remove {
        slot: usize,
        by: usize,
        user: usize,
    },
    Join {
        slot: usize,
        by: usize,
    },
    Quit {
        slot: usize,
        by: usize,
    },
    Send {
        to: Place,
        by: usize,
        id: Option<u8>,
        said: u8,
        keep: MessageKeep,
    },
    Recall {
        from: Place,
        by: usize,
        nth: usize,
    },
    Read {
        from: Place,
        by: usize,
        up_to: u64,
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

#[derive(Debug, Clone, Copy)]
enum Place {
    /// The newest discussion that was made in this slot.
    Slot(usize),
    With(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let user = || 0..USERS.len();
    let slot = || 0..SLOTS;
    let place = || {
        prop_oneof![
            2 => (0..SLOTS).prop_map(Place::Slot),
            1 => (0..USERS.len()).prop_map(Place::With),
        ]
    };
    let keep = prop_oneof![
        6 => Just(MessageKeep::Default),
        1 => Just(MessageKeep::Stored),
        1 => Just(MessageKeep::None),
    ];
    prop_oneof![
        1 => (slot(), user(), user()).prop_map(|(slot, by, with)| Op::Create { slot, by, with }),
        3 => (slot(), user(), user()).prop_map(|(slot, by, user)| Op::Add { slot, by, user }),
        1 => (slot(), user(), user()).prop_map(|(slot, by, user)| Op::Remove { slot, by, user }),
        1 => (slot(), user()).prop_map(|(slot, by)| Op::Join { slot, by }),
        1 => (slot(), user()).prop_map(|(slot, by)| Op::Quit { slot, by }),
        16 => (place(), user(), prop::option::weighted(0.4, 0_u8..4), 0_u8..2, keep)
            .prop_map(|(to, by, id, said, keep)| Op::Send { to, by, id, said, keep }),
        3 => (place(), user(), 0_usize..6).prop_map(|(from, by, nth)| Op::Recall { from, by, nth }),
        3 => (place(), user(), 0_u64..12).prop_map(|(from, by, up_to)| Op::Read { from, by, up_to }),
        1 => (0_u8..90).prop_map(|seconds| Op::Wait { seconds }),
        1 => (0_u8..90).prop_map(|seconds| Op::StepBack { seconds }),
        1 => Just(Op::Restart),
    ]
}

#[derive(Debug, Default)]
struct Model {
    slots: [Option<usize>; SLOTS],
    peers: BTreeMap<(usize, usize), usize>,
    conversations: Vec<Conversation>,
    /// By sender and id: to whom, what and how it was kept, and the answer.
    sent: BTreeMap<(usize, u8), (String, u8, MessageKeep, SendMessageResult)>,
    /// The greatest id there was, since a restart only of what is kept.
    last_id: u64,
}

#[derive(Debug, Default)]
struct Conversation {
    /// `None`: of two.
    id: Option<String>,
    /// Without members it is gone.
    members: BTreeMap<usize, Member>,
    messages: Vec<Sent>,
    last_at_ms: i64,
}

#[derive(Debug, Clone, Copy)]
struct Member {
    first: u64,
    read: u64,
}

#[derive(Debug)]
struct Sent {
    by: usize,
    said: u8,
    id: u64,
    at_ms: i64,
    counts: bool,
    recalled: bool,
}

impl Conversation {
    fn unread(&self, user: usize) -> u32 {
        let read = self.members[&user].read;
        let messages = (1..).zip(&self.messages);
        let unread =
            messages.filter(|(sequence, sent)| *sequence > read && sent.counts && !sent.recalled && sent.by != user);
        u32::try_from(unread.count()).expect("they are few")
    }

    fn length(&self) -> u64 {
        self.messages.len() as u64
    }

    fn bring(&mut self, user: usize) {
        let length = self.length();
        self.members.entry(user).or_insert(Member {
            first: length + 1,
            read: length,
        });
    }
}

impl Model {
    /// The conversation at a place for a user who may do something there.
    fn inside(&self, place: Place, by: usize) -> Said<Option<usize>> {
        match place {
            Place::With(other) if other == by => Err((33003, "id".to_owned())),
            Place::With(other) => Ok(self.peers.get(&pair(by, other)).copied()),
            Place::Slot(slot) => {
                let number = self.slots[slot].expect("the operation is passed over");
                let conversation = &self.conversations[number];
                if conversation.members.is_empty() {
                    Err((4303, String::new()))
                } else if conversation.members.contains_key(&by) {
                    Ok(Some(number))
                } else {
                    Err((21406, String::new()))
                }
            }
        }
    }

    fn greatest_kept(&self) -> u64 {
        let kept = self
            .conversations
            .iter()
            .filter(|conversation| !conversation.members.is_empty());
        let last = kept.filter_map(|conversation| conversation.messages.last());
        last.map(|sent| sent.id).max().unwrap_or(0)
    }

    /// As a user names a place.
    fn name(&self, place: Place) -> (ConversationType, String) {
        match place {
            Place::With(other) => (ConversationType::Peer, USERS[other].to_owned()),
            Place::Slot(slot) => {
                let conversation = &self.conversations[self.slots[slot].expect("the operation is passed over")];
                (
                    ConversationType::Discussion,
                    conversation.id.clone().expect("discussions have one"),
                )
            }
        }
    }

    fn is_there(&self, place: Place) -> bool {
        match place {
            Place::With(_) => true,
            Place::Slot(slot) => self.slots[slot].is_some(),
        }
    }
}

fn pair(one: usize, other: usize) -> (usize, usize) {
    (one.min(other), one.max(other))
}

fn said<T>(answer: Result<Answer, Refusal>, read: impl FnOnce(Answer) -> T) -> Said<T> {
    match answer {
        Ok(answer) => Ok(read(answer)),
        Err(refusal) => Err((refusal.code.number(), refusal.detail.into_owned())),
    }
}

/// Carries out an operation on both. What they say must be the same.
fn play(chats: &Chats, model: &mut Model, op: &Op) {
    match *op {
        Op::Create { slot, by, with } => {
            let others: Vec<&str> = (with != by).then(|| USERS[with]).into_iter().collect();
            let id = chats.discussion(USERS[by], &others);
            let mut made = Conversation {
                id: Some(id),
                ..Conversation::default()
            };
            made.bring(by);
            made.bring(with);
            model.slots[slot] = Some(model.conversations.len());
            model.conversations.push(made);
        }
        Op::Add { slot, by, user } => change_members(chats, model, slot, by, &|_, id| {
            let command = AddMembers {
                r#type: ConversationType::Discussion.into(),
                id,
                user_ids: texts(&[USERS[user]]),
            };
            (Command::Add(command), Change::Bring(user))
        }),
        Op::Remove { slot, by, user } => change_members(chats, model, slot, by, &|_, id| {
            let command = RemoveMembers {
                r#type: ConversationType::Discussion.into(),
                id,
                user_ids: texts(&[USERS[user]]),
            };
            (Command::Remove(command), Change::PutOut(user))
        }),
        Op::Join { slot, by } => change_members(chats, model, slot, by, &|_, id| {
            let r#type = ConversationType::Discussion.into();
            (Command::Join(JoinConversation { r#type, id }), Change::Join)
        }),
        Op::Quit { slot, by } => change_members(chats, model, slot, by, &|by, id| {
            let r#type = ConversationType::Discussion.into();
            (Command::Quit(QuitConversation { r#type, id }), Change::PutOut(by))
        }),
        Op::Send { to, by, id, said, keep } => play_send(chats, model, (to, by), id, said, keep),
        Op::Recall { from, by, nth } => play_recall(chats, model, from, by, nth),
        Op::Read { from, by, up_to } => play_read(chats, model, from, by, up_to),
        Op::Wait { seconds } => chats.wait(Duration::from_secs(seconds.into())),
        Op::StepBack { seconds } => {
            let now = chats.now.get();
            let unix_ms = now.unix_ms - i64::from(seconds) * 1000;
            chats.now.set(Now { unix_ms, ..now });
        }
        Op::Restart => unreachable!("whoever plays does it"),
    }
}

enum Change {
    Bring(usize),
    Join,
    PutOut(usize),
}

fn change_members(
    chats: &Chats,
    model: &mut Model,
    slot: usize,
    by: usize,
    command: &dyn Fn(usize, String) -> (Command, Change),
) {
    let Some(number) = model.slots[slot] else { return };
    let id = model.conversations[number].id.clone().expect("discussions have one");
    let (command, change) = command(by, id);
    let answer = said(chats.ask(USERS[by], command), |_| ());
    let expected = match (model.inside(Place::Slot(slot), by), &change) {
        (Err((21406, _)), Change::Join) => Ok(()),
        (inside, _) => inside.map(|_| ()),
    };
    assert_eq!(answer, expected);
    if expected.is_ok() {
        let conversation = &mut model.conversations[number];
        match change {
            Change::Bring(user) => conversation.bring(user),
            Change::Join => conversation.bring(by),
            Change::PutOut(user) => {
                conversation.members.remove(&user);
            }
        }
    }
}

fn play_send(
    chats: &Chats,
    model: &mut Model,
    (to, by): (Place, usize),
    id: Option<u8>,
    content: u8,
    keep: MessageKeep,
) {
    if !model.is_there(to) {
        return;
    }
    let (kind, target) = model.name(to);
    let message = SendMessage {
        client_message_id: id.map(|id| format!("m{id}")).unwrap_or_default(),
        keep: keep.into(),
        ..text(kind, &target, &content.to_string())
    };
    let answer = said(send(chats, USERS[by], message), |answer| {
        let told: Vec<Vec<String>> = answer.told.into_iter().map(|told| told.to).collect();
        match answer.result {
            reply::Result::SendMessage(result) => (result, told),
            other => panic!("{other:?}"),
        }
    });
    let before = id.and_then(|id| model.sent.get(&(by, id)));
    if let Some((first_target, first_content, first_keep, first)) = before {
        let expected = if (first_target, *first_content, *first_keep) == (&target, content, keep) {
            let again = SendMessageResult {
                duplicate: true,
                ..first.clone()
            };
            Ok((again, Vec::new()))
        } else {
            Err((33003, "duplicate_id".to_owned()))
        };
        assert_eq!(answer, expected);
        return;
    }
    let number = match model.inside(to, by) {
        Ok(number) => number,
        Err((33003, _)) => {
            assert_eq!(answer, Err((33003, "target_id".to_owned())));
            return;
        }
        Err(refused) => {
            assert_eq!(answer, Err(refused));
            return;
        }
    };
    let (result, told) = answer.expect("it is sent");
    assert!(result.message_id > model.last_id, "ids rise");
    model.last_id = result.message_id;
    let everybody: Vec<usize> = match (number, to) {
        (Some(number), _) => model.conversations[number].members.keys().copied().collect(),
        (None, Place::With(other)) => {
            let (one, other) = pair(by, other);
            vec![one, other]
        }
        (None, Place::Slot(_)) => unreachable!("it is there"),
    };
    let everybody: Vec<&str> = everybody.into_iter().map(|user| USERS[user]).collect();
    assert_eq!(told, [texts(&everybody)]);
    if keep == MessageKeep::None {
        assert_eq!(result.sequence, 0);
        return;
    }
    let number = number.unwrap_or_else(|| {
        let Place::With(other) = to else {
            unreachable!("it is there")
        };
        let mut made = Conversation::default();
        made.bring(by);
        made.bring(other);
        model.conversations.push(made);
        model.peers.insert(pair(by, other), model.conversations.len() - 1);
        model.conversations.len() - 1
    });
    let conversation = &mut model.conversations[number];
    let at_ms = chats.now_ms().max(conversation.last_at_ms);
    conversation.last_at_ms = at_ms;
    conversation.messages.push(Sent {
        by,
        said: content,
        id: result.message_id,
        at_ms,
        counts: keep != MessageKeep::Stored,
        recalled: false,
    });
    assert_eq!((result.sequence, result.server_time_ms), (conversation.length(), at_ms));
    assert!(!result.duplicate);
    if let Some(id) = id {
        model.sent.insert((by, id), (target, content, keep, result));
    }
}

fn play_recall(chats: &Chats, model: &mut Model, from: Place, by: usize, nth: usize) {
    if !model.is_there(from) {
        return;
    }
    let inside = model.inside(from, by);
    // Also by who is outside: what was said there before.
    let number = match from {
        Place::Slot(slot) => model.slots[slot],
        Place::With(other) => model.peers.get(&pair(by, other)).copied(),
    };
    let Some(number) = number else { return };
    let Some(sent) = model.conversations[number].messages.get(nth) else {
        return;
    };
    let (kind, id) = model.name(from);
    let command = RecallMessage {
        r#type: kind.into(),
        id,
        message_id: sent.id,
    };
    let answer = said(chats.ask(USERS[by], Command::Recall(command)), |answer| {
        answer.told.len()
    });
    let refused = |code| Err((code, String::new()));
    let expected = inside.and_then(|_| match model.conversations[number].members[&by] {
        member if (nth as u64) + 1 < member.first => refused(22201),
        _ if sent.by != by => refused(25107),
        _ if sent.recalled => refused(6000279),
        _ if chats.now_ms() - sent.at_ms > WINDOW_MS => refused(6000278),
        _ => Ok(1),
    });
    assert_eq!(answer, expected);
    if expected.is_ok() {
        model.conversations[number].messages[nth].recalled = true;
    }
}

fn play_read(chats: &Chats, model: &mut Model, from: Place, by: usize, up_to: u64) {
    if !model.is_there(from) {
        return;
    }
    let (kind, id) = model.name(from);
    let command = AckMessages {
        r#type: kind.into(),
        id,
        delivered_sequence: 0,
        read_sequence: up_to,
    };
    let answer = said(chats.ask(USERS[by], Command::Ack(command)), |answer| {
        match answer.result {
            reply::Result::AckMessages(result) => (result.read_sequence, result.unread),
            other => panic!("{other:?}"),
        }
    });
    let expected = model.inside(from, by).map(|number| match number {
        None => (0, 0),
        Some(number) => {
            let conversation = &mut model.conversations[number];
            let length = conversation.length();
            let member = conversation.members.get_mut(&by).expect("inside");
            member.read = member.read.max(up_to.min(length));
            (member.read, conversation.unread(by))
        }
    });
    assert_eq!(answer, expected);
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
                reply::Result::OwnConversation(own) => (own.info.expect("what it is").last_sequence, own.unread),
                other => panic!("{other:?}"),
            });
            match model.inside(place, by) {
                Err(refused) => {
                    assert_eq!(history, Err(refused.clone()));
                    assert_eq!(own, Err(refused));
                }
                Ok(None) => {
                    assert_eq!(history, Ok(Vec::new()));
                    assert_eq!(own, Ok((0, 0)));
                }
                Ok(Some(number)) => {
                    let conversation = &model.conversations[number];
                    assert_eq!(own, Ok((conversation.length(), conversation.unread(by))));
                    let first = conversation.members[&by].first;
                    let seen: Vec<_> = history.expect("it can be read");
                    let seen: Vec<_> = seen
                        .iter()
                        .map(|message| {
                            let content = String::from_utf8_lossy(&message.content).into_owned();
                            (message.sequence, message.message_id, message.server_time_ms, content)
                        })
                        .collect();
                    let expected: Vec<_> = (1..)
                        .zip(&conversation.messages)
                        .filter(|(sequence, _)| *sequence >= first)
                        .map(|(sequence, sent)| {
                            let content = if sent.recalled {
                                String::new()
                            } else {
                                sent.said.to_string()
                            };
                            (sequence, sent.id, sent.at_ms, content)
                        })
                        .collect();
                    assert_eq!(seen, expected);
                }
            }
        }
    }
}

#[test]
fn conversations_do_what_the_simplest_ones_do() {
    let histories = std::env::var(HISTORIES_VARIABLE).map_or(HISTORIES, |some| some.parse().expect("a number"));
    proptest!(ProptestConfig::with_cases(histories), |(ops in prop::collection::vec(op(), 1..60))| {
        let mut chats = Chats::new();
        let mut model = Model::default();
        for op in &ops {
            match op {
                Op::Restart => {
                    chats = chats.restarted();
                    model.last_id = model.greatest_kept();
                    compare(&chats, &model);
                }
                op => play(&chats, &mut model, op),
            }
        }
        compare(&chats, &model);
    });
}
