//! The rules of rooms with a made-up clock, and a property against a simple model.

mod against_a_model;
mod attributes;
mod ending;
mod entering;
mod faults;
mod house;
mod ingress;
mod ladder;
mod moderation;
mod policies;
mod queries;
mod sending;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use prost::Message;
use slotmap::SlotMap;
use sluice_protocol::{
    ErrorCode, Frame, IdProfile, LeaveReason, LeaveRoomResult, Priority, Reply, RoomEntered, RoomId, RoomInfo,
    RoomMessage, RoomPreset, SendMessageResult, reply,
};

use super::*;
use crate::config::{self, Config};
use crate::identity::{AppIndex, ConnectionKey, User, WorkerIndex};
use crate::policy::Policies;
use crate::refusal::Refusal;
use crate::store::Change;

/// Somebody's connection.
#[derive(Debug, Clone)]
struct Device {
    user: Arc<User>,
    connection: ConnectionRef,
}

/// The rooms of one worker, and those who use them.
struct Hall {
    rooms: Rooms,
    now: Now,
    keys: SlotMap<ConnectionKey, ()>,
}

/// All that one request came to.
#[derive(Debug, Default)]
struct Outcome {
    /// To the caller, in order.
    frames: Vec<Frame>,
    /// To everybody inside, in order.
    published: Vec<Frame>,
    shed: Vec<Class>,
    undistributed: usize,
    /// To single connections.
    others: Vec<Effect>,
    kept: Vec<Change>,
    admitted: bool,
    dismissed: bool,
}

/// The default rules but for what is changed, of one app.
fn rules(change: impl FnOnce(&mut config::Rooms), change_app: impl FnOnce(&mut config::App)) -> Rules {
    let mut rooms = Config::defaults(Path::new("data")).rooms;
    change(&mut rooms);
    let mut app = config::App::new("app");
    change_app(&mut app);
    let apps = [app];
    let policies = Arc::new(Policies::new(&apps));
    let places = Arc::new(RoomPlaces::new(&apps));
    Rules::new(rooms, &apps, policies, places)
}

impl Hall {
    fn new() -> Self {
        Self::with_rules(|_| ())
    }

    fn with_rules(change: impl FnOnce(&mut config::Rooms)) -> Self {
        Self::with_rules_and_app(change, |_| ())
    }

    fn with_rules_and_app(change: impl FnOnce(&mut config::Rooms), change_app: impl FnOnce(&mut config::App)) -> Self {
        Self {
            rooms: Rooms::new(WorkerIndex(0), rules(change, change_app)),
            now: Now {
                instant: Instant::now(),
                unix_ms: 1_800_000_000_000,
            },
            keys: SlotMap::with_key(),
        }
    }

    /// A room of a preset that is none of the hall's.
    fn room_of(&self, preset: RoomPreset) -> Room {
        let new = new_room("", preset);
        self.rooms
            .make(self.now, &lobby(), &new, Maker::Server)
            .expect("a room")
    }

    fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    fn device(&mut self, user: &str, worker: u16) -> Device {
        Device {
            user: Arc::new(User {
                app: AppIndex(0),
                id: UserId::parse(user, IdProfile::Zim).unwrap(),
                name: user.to_uppercase().into(),
            }),
            connection: ConnectionRef {
                worker: WorkerIndex(worker),
                key: self.keys.insert(()),
            },
        }
    }

    fn devices<const N: usize>(&mut self, users: [&str; N]) -> [Device; N] {
        users.map(|user| self.device(user, 0))
    }

    fn request(&mut self, device: &Device, request_id: u32, request: Request) -> Vec<Effect> {
        let caller = Caller {
            user: device.user.clone(),
            connection: device.connection,
            request_id,
        };
        self.rooms.handle(self.now, &lobby(), &caller, request)
    }

    fn ask(&mut self, device: &Device, request: Request) -> Outcome {
        let mut outcome = Outcome::default();
        for effect in self.request(device, 7, request) {
            match effect {
                Effect::Reply { to, frame, .. } => {
                    assert_eq!(to, device.connection);
                    outcome.frames.extend(frame.iter().map(open));
                }
                Effect::Unchanged { connection, frame, .. } => {
                    assert_eq!(connection, device.connection);
                    outcome.frames.push(open(&frame));
                }
                Effect::Admit { connection, frames, .. } => {
                    assert_eq!(connection, device.connection);
                    outcome.frames.extend(frames.iter().map(open));
                    outcome.admitted = true;
                }
                Effect::Dismiss { connection, frame } => {
                    assert_eq!(connection, device.connection);
                    outcome.frames.extend(frame.iter().map(open));
                    outcome.dismissed = true;
                }
                Effect::Publish { frame, .. } | Effect::Gap { frame, .. } => outcome.published.push(open(&frame)),
                Effect::Shed(class) => outcome.shed.push(class),
                Effect::Expel { .. } | Effect::NotResumed { .. } | Effect::Notify { .. } => {
                    outcome.others.push(effect);
                }
                Effect::Keep(change) => outcome.kept.push(change),
                Effect::Undistributed => outcome.undistributed += 1,
                Effect::Destroy { .. } => panic!("{effect:?}"),
            }
        }
        outcome
    }

    fn create(&mut self, device: &Device) -> Outcome {
        self.ask(device, enter(Create::Always(new_room("Lobby", RoomPreset::Room)), 0))
    }

    fn join(&mut self, device: &Device) -> Outcome {
        self.ask(device, enter(Create::Never, 0))
    }

    fn enter(&mut self, device: &Device) -> Outcome {
        self.ask(device, enter(Create::IfMissing(new_room("Lobby", RoomPreset::Room)), 0))
    }

    fn enter_live(&mut self, device: &Device, history: usize) -> Outcome {
        self.ask(
            device,
            enter(Create::IfMissing(new_room("", RoomPreset::Live)), history),
        )
    }

    fn leave(&mut self, device: &Device) -> Outcome {
        self.ask(device, Request::Leave(LeaveReason::Left))
    }

    fn send(&mut self, device: &Device, message: Outgoing) -> Outcome {
        self.ask(device, Request::Send(message))
    }

    fn tick(&mut self) -> Vec<Body> {
        let due = self.rooms.tick(self.now).effects;
        due.into_iter()
            .map(|(key, effect)| {
                assert_eq!(key, lobby());
                let (Effect::Publish { frame, sequence: 0, .. } | Effect::Gap { frame, .. }) = effect else {
                    panic!("{effect:?}")
                };
                open(&frame).body.expect("a body")
            })
            .collect()
    }
}

impl Outcome {
    /// The reply, which carries the caller's number.
    fn reply(&self) -> &Reply {
        let frame = self.frames.first().expect("a reply");
        assert_eq!(frame.request_id, 7);
        match &frame.body {
            Some(Body::Reply(reply)) => reply,
            other => panic!("{other:?}"),
        }
    }

    /// The code, detail and waiting time of a refusal that changed nothing.
    fn refused(&self) -> (i32, &str, u32) {
        let reply = self.reply();
        assert_ne!(reply.code, 0, "{reply:?}");
        assert!(self.published.is_empty() && !self.admitted && !self.dismissed && self.frames.len() == 1);
        (reply.code, &reply.detail, reply.retry_after_ms)
    }

    fn entered(&self) -> &RoomEntered {
        assert!(self.admitted);
        match &self.reply().result {
            Some(reply::Result::RoomEntered(entered)) => entered,
            other => panic!("{other:?}"),
        }
    }

    fn sent(&self) -> &SendMessageResult {
        match self.reply() {
            Reply {
                code: 0,
                result: Some(reply::Result::SendMessage(result)),
                ..
            } => result,
            other => panic!("{other:?}"),
        }
    }

    /// The history behind the reply.
    fn history(&self) -> Vec<&RoomMessage> {
        self.frames[1..]
            .iter()
            .map(|frame| match &frame.body {
                Some(Body::RoomMessage(message)) => message,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    fn message(&self) -> &RoomMessage {
        match &self.published[..] {
            [
                Frame {
                    request_id: 0,
                    body: Some(Body::RoomMessage(message)),
                },
            ] => message,
            other => panic!("{other:?}"),
        }
    }

    /// Who the others are told came.
    fn joined(&self) -> Vec<&str> {
        self.published
            .iter()
            .map(|frame| match &frame.body {
                Some(Body::RoomMemberJoined(joined)) => &*joined.members[0].user_id,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    /// Who the others are told went, and why.
    fn left(&self) -> Vec<(&str, LeaveReason)> {
        self.published
            .iter()
            .map(|frame| match &frame.body {
                Some(Body::RoomMemberLeft(left)) => (&*left.members[0].user_id, left.reason()),
                other => panic!("{other:?}"),
            })
            .collect()
    }
}

fn lobby() -> RoomKey {
    RoomKey {
        app: AppIndex(0),
        id: RoomId::parse("lobby").unwrap(),
    }
}

fn new_room(name: &str, preset: RoomPreset) -> NewRoom {
    NewRoom::of_preset(preset, name.to_owned())
}

fn enter(create: Create, history: usize) -> Request {
    Request::Enter(Enter {
        create,
        history,
        extra: String::new(),
    })
}

fn message(kind: MessageType, content: &str) -> Outgoing {
    Outgoing {
        kind,
        content: Bytes::copy_from_slice(content.as_bytes()),
        object_name: String::new(),
        priority: Priority::Default,
        extended_data: String::new(),
        client_message_id: String::new(),
    }
}

fn text(content: &str) -> Outgoing {
    message(MessageType::Text, content)
}

fn named(client_message_id: &str, content: &str) -> Outgoing {
    Outgoing {
        client_message_id: client_message_id.to_owned(),
        ..text(content)
    }
}

fn open(frame: &Bytes) -> Frame {
    Frame::decode_length_delimited(frame.clone()).expect("a frame that can be read")
}
