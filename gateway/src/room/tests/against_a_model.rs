//! Random comings, goings and messages against the simplest room there is.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const USERS: usize = 4;
const DEVICES: usize = 3;
const WORKERS: usize = 3;

#[derive(Debug, Clone)]
enum Op {
    Create(usize),
    Join(usize),
    Enter {
        device: usize,
        history: usize,
    },
    Leave {
        device: usize,
        reason: LeaveReason,
    },
    Send {
        device: usize,
        kind: MessageType,
        id: Option<u8>,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let device = || 0..USERS * DEVICES;
    let reason = prop_oneof![
        Just(LeaveReason::Left),
        Just(LeaveReason::Logout),
        Just(LeaveReason::Offline)
    ];
    let kind = prop_oneof![
        4 => Just(MessageType::Text),
        1 => Just(MessageType::Command),
        1 => Just(MessageType::Barrage),
        1 => Just(MessageType::Custom),
    ];
    prop_oneof![
        1 => device().prop_map(Op::Create),
        3 => device().prop_map(Op::Join),
        4 => (device(), 0_usize..60).prop_map(|(device, history)| Op::Enter { device, history }),
        5 => (device(), reason).prop_map(|(device, reason)| Op::Leave { device, reason }),
        12 => (device(), kind, prop::option::weighted(0.4, 0_u8..6))
            .prop_map(|(device, kind, id)| Op::Send { device, kind, id }),
    ]
}

/// The room as it should be.
#[derive(Debug, Default)]
struct Model {
    /// Of which preset, if there is a room.
    room: Option<RoomPreset>,
    inside: BTreeMap<usize, BTreeSet<usize>>,
    sequence: u64,
    kept: Vec<u64>,
    answers: BTreeMap<(usize, u8), (MessageType, u64)>,
}

impl Model {
    fn is_inside(&self, device: usize) -> bool {
        self.inside
            .get(&user_of(device))
            .is_some_and(|devices| devices.contains(&device))
    }

    fn leave(&mut self, device: usize) {
        if let Some(devices) = self.inside.get_mut(&user_of(device)) {
            devices.remove(&device);
            if devices.is_empty() {
                self.inside.remove(&user_of(device));
            }
        }
        // A live room waits for others.
        if self.inside.is_empty() && self.room == Some(RoomPreset::Room) {
            *self = Self::default();
        }
    }
}

fn user_of(device: usize) -> usize {
    device / DEVICES
}

/// What a worker's shell would have delivered to one device.
#[derive(Debug, Default)]
struct Mailbox {
    inside: bool,
    /// The newest message it got or knows of by joining.
    sequence: u64,
    /// Who it believes to be inside.
    users: BTreeSet<String>,
}

struct World {
    hall: Hall,
    devices: Vec<Device>,
    mailboxes: Vec<Mailbox>,
    model: Model,
}

impl World {
    fn new() -> Self {
        let mut hall = Hall::with_rules(|rules| {
            rules.room_messages_per_second = config::Rate::Unlimited;
            rules.live_messages_per_second = config::Rate::Unlimited;
            rules.live_budget = config::Budget::Unlimited;
        });
        let devices = (0..USERS * DEVICES)
            .map(|device| {
                let worker = u16::try_from(device % WORKERS).unwrap();
                hall.device(&format!("user{}", user_of(device)), worker)
            })
            .collect();
        Self {
            hall,
            devices,
            mailboxes: (0..USERS * DEVICES).map(|_| Mailbox::default()).collect(),
            model: Model::default(),
        }
    }

    /// Carries out the effects as a worker does, and returns the caller's frames.
    fn ask(&mut self, device: usize, request: Request) -> Vec<Frame> {
        let effects = self.hall.request(&self.devices[device].clone(), 7, request);
        let mut frames = Vec::new();
        for effect in effects {
            match effect {
                Effect::Reply { frame, .. } => frames.extend(frame.iter().map(open)),
                Effect::Unchanged { frame, .. } => frames.push(open(&frame)),
                Effect::Admit { frames: admitted, .. } => {
                    frames.extend(admitted.iter().map(open));
                    self.mailboxes[device].inside = true;
                }
                Effect::Dismiss { frame, .. } => {
                    frames.extend(frame.iter().map(open));
                    self.mailboxes[device] = Mailbox::default();
                }
                Effect::Publish { to, frame, .. } => self.publish(&to, &open(&frame)),
                // Live rooms, which outlive their members.
                Effect::Keep(Change::PutRoom { .. }) => {}
                Effect::Expel { .. }
                | Effect::NotResumed { .. }
                | Effect::Notify { .. }
                | Effect::Keep(_)
                | Effect::Shed(_)
                | Effect::Undistributed
                | Effect::Gap { .. }
                | Effect::Destroy { .. } => panic!("{effect:?}"),
            }
        }
        frames
    }

    fn publish(&mut self, to: &[WorkerIndex], frame: &Frame) {
        assert!(to.is_sorted_by(|a, b| a.0 < b.0), "each worker once");
        for (device, mailbox) in self.devices.iter().zip(&mut self.mailboxes) {
            if !mailbox.inside {
                continue;
            }
            assert!(to.contains(&device.connection.worker), "everybody inside is reached");
            match frame.body.as_ref().unwrap() {
                Body::RoomMessage(message) => {
                    assert_eq!(message.sequence, mailbox.sequence + 1, "no number is left out");
                    mailbox.sequence = message.sequence;
                }
                Body::RoomMemberJoined(joined) => {
                    assert!(mailbox.users.insert(joined.members[0].user_id.clone()), "came once");
                    assert_eq!(joined.member_count, mailbox.users.len() as u64);
                }
                Body::RoomMemberLeft(left) => {
                    assert!(mailbox.users.remove(&left.members[0].user_id), "was inside");
                    assert_eq!(left.member_count, mailbox.users.len() as u64);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn enter(&mut self, device: usize, create: Create, history: usize) {
        let exists = self.model.room.is_some();
        let code = match &create {
            Create::Always(_) if exists => 6_000_323,
            Create::Never if !exists => 23410,
            _ => 0,
        };
        if let Create::Always(new) | Create::IfMissing(new) = &create
            && !exists
        {
            self.model.room = new.family;
        }
        let was_inside = self.model.is_inside(device);
        let frames = self.ask(device, enter(create, history));
        let Some(Body::Reply(reply)) = &frames[0].body else {
            panic!("{frames:?}")
        };
        assert_eq!(reply.code, code);
        if code != 0 {
            return;
        }
        self.model.inside.entry(user_of(device)).or_default().insert(device);
        let Some(reply::Result::RoomEntered(entered)) = &reply.result else {
            panic!("{reply:?}")
        };
        assert_eq!(entered.created, !exists);
        assert_eq!(entered.already_inside, was_inside);
        assert_eq!(entered.member_count, self.model.inside.len() as u64);
        assert_eq!(entered.sequence, self.model.sequence);
        let expected = if was_inside {
            &[]
        } else {
            &self.model.kept[self.model.kept.len().saturating_sub(history.min(50))..]
        };
        let got: Vec<u64> = frames[1..]
            .iter()
            .map(|frame| match &frame.body {
                Some(Body::RoomMessage(message)) => message.sequence,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(got, expected);
        assert_eq!(entered.history_count as usize, expected.len());
        if !was_inside {
            let mailbox = &mut self.mailboxes[device];
            mailbox.sequence = self.model.sequence;
            mailbox.users = self.model.inside.keys().map(|user| format!("user{user}")).collect();
        }
    }

    fn leave(&mut self, device: usize, reason: LeaveReason) {
        let was_inside = self.model.is_inside(device);
        let frames = self.ask(device, Request::Leave(reason));
        self.model.leave(device);
        match (reason, &frames[..]) {
            (LeaveReason::Left, [frame]) => {
                let Some(Body::Reply(reply)) = &frame.body else {
                    panic!("{frame:?}")
                };
                assert_eq!(reply.code, if was_inside { 0 } else { 23406 });
            }
            (LeaveReason::Left, frames) => panic!("{frames:?}"),
            (_, frames) => assert!(frames.is_empty()),
        }
    }

    fn send(&mut self, device: usize, kind: MessageType, id: Option<u8>) {
        let outgoing = Outgoing {
            client_message_id: id.map(|id| format!("m{id}")).unwrap_or_default(),
            ..message(kind, "content")
        };
        let frames = self.ask(device, Request::Send(outgoing));
        let [
            Frame {
                body: Some(Body::Reply(reply)),
                ..
            },
        ] = &frames[..]
        else {
            panic!("{frames:?}")
        };
        let Some(reply::Result::SendMessage(result)) = &reply.result else {
            panic!("{reply:?}")
        };
        // Barrage has no name by which it would be known again.
        let id = id.filter(|_| kind != MessageType::Barrage);
        let known = id.and_then(|id| self.model.answers.get(&(user_of(device), id)));
        match known {
            _ if self.model.room.is_none() => assert_eq!(reply.code, 23410),
            _ if !self.model.is_inside(device) => assert_eq!(reply.code, 23406),
            Some((first_kind, sequence)) if *first_kind == kind => {
                assert_eq!((reply.code, result.duplicate, result.sequence), (0, true, *sequence));
            }
            Some(_) => assert_eq!((reply.code, &*reply.detail), (33003, "duplicate_id")),
            None => {
                self.model.sequence += 1;
                assert_eq!(
                    (reply.code, result.duplicate, result.sequence),
                    (0, false, self.model.sequence)
                );
                if matches!(kind, MessageType::Text | MessageType::Custom) {
                    self.model.kept.push(self.model.sequence);
                    let too_many = self.model.kept.len().saturating_sub(50);
                    self.model.kept.drain(..too_many);
                }
                if let Some(id) = id {
                    self.model
                        .answers
                        .insert((user_of(device), id), (kind, self.model.sequence));
                }
            }
        }
    }

    fn check(&self) {
        assert_eq!(self.hall.rooms.len(), usize::from(self.model.room.is_some()));
        assert_eq!(self.hall.rooms.members(), self.model.inside.len());
        let users: BTreeSet<String> = self.model.inside.keys().map(|user| format!("user{user}")).collect();
        for (device, mailbox) in self.mailboxes.iter().enumerate() {
            assert_eq!(mailbox.inside, self.model.is_inside(device));
            if mailbox.inside {
                assert_eq!(
                    mailbox.sequence, self.model.sequence,
                    "everybody inside has got every message"
                );
                assert_eq!(mailbox.users, users, "and knows who is inside");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_room_behaves_like_the_simplest_room_there_is(ops in prop::collection::vec(op(), 1..150)) {
        let mut world = World::new();
        for op in ops {
            match op {
                Op::Create(device) => world.enter(device, Create::Always(new_room("", RoomPreset::Room)), 0),
                Op::Join(device) => world.enter(device, Create::Never, 0),
                Op::Enter { device, history } => {
                    world.enter(device, Create::IfMissing(new_room("", RoomPreset::Live)), history);
                }
                Op::Leave { device, reason } => world.leave(device, reason),
                Op::Send { device, kind, id } => world.send(device, kind, id),
            }
            world.check();
        }
    }
}
