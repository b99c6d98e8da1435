//! A room of a worker without sockets: the real home, slice and sweep, and members whose transport takes everything.
//!
//! For measuring what a room costs beyond its connections, up to sizes that no machine has sockets for. A step a time, so that
//! memory and time of each can be looked at: [`Crowd::connect`], [`Crowd::join`], [`Crowd::broadcast`], [`Crowd::leave`].

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use slotmap::SlotMap;
use sluice_protocol::{IdProfile, LeaveReason, MessageType, Priority, RoomId, RoomPreset, UserId};

use crate::clock::Now;
use crate::config::Config;
use crate::fan_out::Slice;
use crate::identity::{AppIndex, Caller, ConnectionKey, ConnectionRef, RoomKey, User, WorkerIndex};
use crate::outbox::{Moved, Outbox, SharedOutbox};
use crate::policy::Policies;
use crate::room::{Create, Effect, Enter, NewRoom, Outgoing, Request, RoomPlaces, Rooms, Rules};
use crate::writer::Wire;

/// As in a worker's sweep.
const MEMBERS_PER_STEP: usize = 32;

/// A transport that takes everything and counts it.
#[derive(Debug, Default)]
struct Sink {
    bytes: Cell<u64>,
}

impl Wire for Sink {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.set(self.bytes.get() + bytes.len() as u64);
        Ok(bytes.len())
    }

    fn has_unsent(&self) -> bool {
        false
    }

    fn wake(&self) {}
}

struct Person {
    user: Arc<User>,
    connection: ConnectionRef,
    outbox: SharedOutbox,
    sink: Rc<Sink>,
}

/// See the module.
pub struct Crowd {
    rooms: Rooms,
    slice: Slice,
    room: RoomKey,
    people: SlotMap<ConnectionKey, Person>,
    order: Vec<ConnectionKey>,
    now: Now,
    moved: Moved,
}

/// What one broadcast came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broadcast {
    /// Members that got it.
    pub deliveries: u64,
    /// Bytes they got together.
    pub bytes: u64,
}

impl Crowd {
    /// Nobody yet, and a room with the rules of `config`, which has an app at least.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let room = RoomKey {
            app: AppIndex(0),
            id: RoomId::parse("crowd").expect("a good id"),
        };
        Self {
            rooms: Rooms::new(
                WorkerIndex(0),
                Rules::new(
                    config.rooms.clone(),
                    &config.apps,
                    Arc::new(Policies::new(&config.apps)),
                    Arc::new(RoomPlaces::new(&config.apps)),
                ),
            ),
            slice: Slice::new(room.clone(), config.rooms.log_bytes),
            room,
            people: SlotMap::with_key(),
            order: Vec::new(),
            now: Now::read(),
            moved: Moved::default(),
        }
    }

    /// Adds `count` connections of a user each, outside the room.
    pub fn connect(&mut self, count: usize) {
        self.order.reserve_exact(count);
        for _ in 0..count {
            let number = self.order.len();
            let key = self.people.insert_with_key(|key| {
                let sink = Rc::new(Sink::default());
                Person {
                    user: Arc::new(User {
                        app: AppIndex(0),
                        id: UserId::parse(&format!("user-{number}"), IdProfile::Zim).expect("a good id"),
                        name: "".into(),
                    }),
                    connection: ConnectionRef {
                        worker: WorkerIndex(0),
                        key,
                    },
                    outbox: Rc::new(RefCell::new(Outbox::new(key, sink.clone(), usize::MAX, 0))),
                    sink,
                }
            });
            self.order.push(key);
        }
    }

    /// Has everybody enter the room, one after the other, and delivers what that tells the others.
    pub fn join(&mut self) {
        for index in 0..self.order.len() {
            let enter = Enter {
                create: Create::IfMissing(NewRoom::of_preset(RoomPreset::Room, String::new())),
                history: 0,
                extra: String::new(),
            };
            self.ask(index, Request::Enter(enter));
            self.pass(Duration::from_micros(50));
        }
        self.sweep();
    }

    /// Sends `content` to the room from its first member and delivers it.
    ///
    /// # Panics
    /// When the room refuses it.
    pub fn broadcast(&mut self, content: &Bytes) -> Broadcast {
        let before = (self.moved.room_frames, self.moved.all_bytes());
        let message = Outgoing {
            kind: MessageType::Text,
            content: content.clone(),
            object_name: String::new(),
            priority: Priority::High,
            extended_data: String::new(),
            client_message_id: String::new(),
        };
        self.ask(0, Request::Send(message));
        self.sweep();
        let after = (self.moved.room_frames, self.moved.all_bytes());
        // Behind the sender's rate.
        self.pass(Duration::from_secs(1));
        Broadcast {
            deliveries: after.0 - before.0,
            bytes: after.1 - before.1,
        }
    }

    /// Has everybody leave, one after the other.
    pub fn leave(&mut self) {
        for index in 0..self.order.len() {
            self.ask(index, Request::Leave(LeaveReason::Left));
            self.pass(Duration::from_micros(50));
        }
        self.sweep();
    }

    /// The bytes that reached each connection, in the order they were made.
    #[must_use]
    pub fn received(&self) -> Vec<u64> {
        let sinks = self.order.iter().map(|key| &self.people[*key].sink);
        sinks.map(|sink| sink.bytes.get()).collect()
    }

    fn ask(&mut self, index: usize, request: Request) {
        let person = &self.people[self.order[index]];
        let caller = Caller {
            user: person.user.clone(),
            connection: person.connection,
            request_id: 1,
        };
        for effect in self.rooms.handle(self.now, &self.room, &caller, request) {
            self.carry_out(effect);
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Admit { connection, frames, .. } => {
                let outbox = &self.people[connection.key].outbox;
                for frame in frames {
                    outbox.borrow_mut().push_answer(&frame, &mut self.moved);
                }
                outbox.borrow_mut().flush(&mut self.moved);
                self.slice.add(outbox);
            }
            Effect::Dismiss { connection, frame } => {
                let outbox = &self.people[connection.key].outbox;
                self.slice.remove(outbox, &mut self.moved);
                if let Some(frame) = frame {
                    outbox.borrow_mut().push_answer(&frame, &mut self.moved);
                    outbox.borrow_mut().flush(&mut self.moved);
                }
            }
            Effect::Publish {
                frame, sequence, class, ..
            } => self.slice.append(&frame, sequence, class),
            Effect::Reply {
                to,
                frame: Some(frame),
                code,
            } => {
                assert_eq!(code.number(), 0, "the room takes what it is asked");
                let outbox = &self.people[to.key].outbox;
                outbox.borrow_mut().push_answer(&frame, &mut self.moved);
                outbox.borrow_mut().flush(&mut self.moved);
            }
            other => panic!("{other:?}"),
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        for (_, effect) in self.rooms.tick(self.now).effects {
            self.carry_out(effect);
            self.sweep();
        }
    }

    fn sweep(&mut self) {
        while self.slice.sweep(MEMBERS_PER_STEP, &mut self.moved).more {}
    }
}

impl std::fmt::Debug for Crowd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Crowd")
            .field("connections", &self.order.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn everybody_in_the_crowd_gets_every_broadcast_until_they_leave() {
        let mut config = Config::defaults(Path::new("data"));
        config.apps.push(crate::config::App::new("app"));
        let mut crowd = Crowd::new(&config);
        crowd.connect(1_000);
        crowd.join();
        let before = crowd.received();
        for _ in 0..3 {
            let broadcast = crowd.broadcast(&Bytes::from_static(b"hello"));
            assert_eq!(broadcast.deliveries, 1_000);
        }
        let after = crowd.received();
        let got: Vec<u64> = after
            .iter()
            .zip(&before)
            .skip(1)
            .map(|(after, before)| after - before)
            .collect();
        assert!(got[0] > 3 * 5 && got.iter().all(|bytes| *bytes == got[0]), "{got:?}");
        crowd.leave();
        assert!(crowd.slice.is_empty());
        assert_eq!(crowd.rooms.len(), 0);
    }
}
