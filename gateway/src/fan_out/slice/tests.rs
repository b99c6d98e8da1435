//! Members of any speed against a simple model: what each of them gets is whole frames, in order, and adds up.

mod cases;
mod in_any_order;
mod received;

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

use proptest::prelude::*;
use prost::Message;
use sluice_codec::{FrameBuffer, open_server_frame};
use sluice_protocol::frame::Body;
use sluice_protocol::{
    Close, Frame, LeaveRoomResult, Pong, Reply, RoomEntered, RoomId, RoomInfo, RoomMemberCount, RoomMessage, limits,
    reply,
};

use super::*;
use crate::identity::AppIndex;
use crate::outbox::Outbox;
use crate::writer::Wire;
use received::{Got, Received};

const ROOMS: usize = 2;

/// Small enough to be too small often. A member may lag by an eighth of it, which is some frames.
const LOG_BYTES_MAX: usize = 4_000;

/// More than what is sent to one client alone.
const PRIVATE_BYTES_MAX: usize = 1 << 20;

/// What a wire that buffers takes at once.
const BUFFER_BYTES: usize = 150;

/// Rounds after which a sweep must have come to an end.
const ROUNDS_MAX: usize = 1_000;

/// A transport that takes as many bytes as the test allows.
#[derive(Debug)]
struct FakeWire {
    taken: RefCell<Vec<u8>>,
    space: Cell<usize>,
    /// Whether it takes bytes into a buffer of its own before there is space for them, as TLS does with records.
    buffers: bool,
    unsent: Cell<usize>,
    broken: Cell<bool>,
    /// Panics at the next write, as code with a defect does.
    faulty: Cell<bool>,
    /// How often its connection's task was woken.
    woken: Cell<u32>,
}

impl FakeWire {
    fn grant(&self, bytes: usize) {
        self.space.set(self.space.get().saturating_add(bytes));
        self.drain();
    }

    fn is_writable(&self) -> bool {
        self.unsent.get() == 0 && self.space.get() > 0
    }

    fn drain(&self) {
        let bytes = self.unsent.get().min(self.space.get());
        self.unsent.set(self.unsent.get() - bytes);
        self.space.set(self.space.get() - bytes);
    }
}

impl Wire for FakeWire {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        assert!(!self.faulty.get(), "on purpose");
        if self.broken.get() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let mut written = 0;
        if self.buffers {
            while written < bytes.len() && self.unsent.get() == 0 {
                let chunk = BUFFER_BYTES.min(bytes.len() - written);
                self.unsent.set(chunk);
                self.drain();
                written += chunk;
            }
        } else {
            written = bytes.len().min(self.space.get());
            self.space.set(self.space.get() - written);
        }
        self.taken.borrow_mut().extend_from_slice(&bytes[..written]);
        if written == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(written)
    }

    fn has_unsent(&self) -> bool {
        self.unsent.get() > 0
    }

    fn wake(&self) {
        self.woken.update(|times| times + 1);
    }
}

/// What was published to a member, or came through to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item {
    Message(u64),
    /// What may not be missed.
    Control(u64),
}

/// What only one member gets, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Private {
    Pong(u64),
    Entered(u32),
    Left(u32),
    Close,
}

/// One member's time in a room, from joining to leaving.
#[derive(Debug)]
struct Stay {
    number: u32,
    room: usize,
    /// The room's newest message when it began.
    began_at: u64,
    published: Vec<Item>,
    over: bool,
    /// Everything that was published before it was over must have come.
    complete: bool,
}

struct Client {
    wire: Rc<FakeWire>,
    outbox: SharedOutbox,
    moved: Rc<RefCell<Moved>>,
    private: Vec<Private>,
    stays: Vec<Stay>,
    /// Left for good: closed as slow, or its wire broke.
    gone: bool,
}

impl Client {
    fn new(moved: &Rc<RefCell<Moved>>, key: ConnectionKey, buffers: bool, space: usize) -> Self {
        let wire = Rc::new(FakeWire {
            taken: RefCell::default(),
            space: Cell::new(space),
            buffers,
            unsent: Cell::new(0),
            broken: Cell::new(false),
            faulty: Cell::new(false),
            woken: Cell::new(0),
        });
        Self {
            outbox: Rc::new(RefCell::new(Outbox::new(key, wire.clone(), PRIVATE_BYTES_MAX, 0))),
            wire,
            moved: moved.clone(),
            private: Vec::new(),
            stays: Vec::new(),
            gone: false,
        }
    }

    fn answer(&mut self, private: Private, frame: &Frame) {
        self.outbox
            .borrow_mut()
            .push_answer(&frame.encode_length_delimited_to_vec(), &mut self.moved.borrow_mut());
        self.private.push(private);
    }

    /// What the connection's task does when its transport is writable again.
    fn go_on(&self) {
        let mut outbox = self.outbox.borrow_mut();
        while outbox.is_blocked() && self.wire.is_writable() {
            let moved = &mut *self.moved.borrow_mut();
            outbox.unblock(Slice::lag_bytes_max(LOG_BYTES_MAX), moved);
            outbox.flush(moved);
        }
    }
}

#[derive(Debug, Clone)]
enum Op {
    Publish { room: usize, class: Class, bytes: usize },
    Grant { client: usize, bytes: usize },
    Sweep { room: usize, members_max: usize },
    Push { client: usize, flush: bool },
    Answer { client: usize, flush: bool },
    Join { client: usize, room: usize },
    Leave { client: usize, room: usize },
    Break { client: usize },
}

/// The members, their rooms, and what the model knows of both.
struct World {
    clients: Vec<Client>,
    moved: Rc<RefCell<Moved>>,
    slices: Vec<Slice>,
    sequences: [u64; ROOMS],
    /// The class of each message of a room, from the first on.
    classes: [Vec<Class>; ROOMS],
    controls: u64,
    numbers: u32,
    pongs: u64,
}

fn room_key(room: usize) -> RoomKey {
    RoomKey {
        app: AppIndex(0),
        id: RoomId::parse(&format!("room-{room}")).unwrap(),
    }
}

fn room_number(room_id: &str) -> usize {
    room_id.strip_prefix("room-").unwrap().parse().unwrap()
}

fn event(body: Body) -> Frame {
    Frame {
        request_id: 0,
        body: Some(body),
    }
}

fn answer(request_id: u32, result: reply::Result) -> Frame {
    Frame {
        request_id,
        body: Some(Body::Reply(Reply {
            result: Some(result),
            ..Reply::default()
        })),
    }
}

fn content(sequence: u64, bytes: usize) -> Vec<u8> {
    vec![u8::try_from(sequence % 251).unwrap(); bytes]
}

impl World {
    fn new() -> Self {
        let moved = Rc::default();
        Self {
            clients: clients(&moved),
            moved,
            slices: (0..ROOMS)
                .map(|room| Slice::new(room_key(room), LOG_BYTES_MAX))
                .collect(),
            sequences: [0; ROOMS],
            classes: Default::default(),
            controls: 0,
            numbers: 0,
            pongs: 0,
        }
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Publish { room, class, bytes } => self.publish(room, class, bytes),
            Op::Grant { client, bytes } => {
                self.clients[client].wire.grant(bytes);
                self.clients[client].go_on();
                for slice in &mut self.slices {
                    slice.on_progress();
                }
            }
            Op::Sweep { room, members_max } => {
                self.sweep(room, members_max);
            }
            Op::Push { client, flush } => self.push(client, flush),
            Op::Answer { client, flush } => self.answer(client, flush),
            Op::Join { client, room } => self.join(client, room),
            Op::Leave { client, room } => self.leave(client, room),
            Op::Break { client } => self.break_off(client),
        }
    }

    fn publish(&mut self, room: usize, class: Class, bytes: usize) {
        if self.slices[room].is_empty() {
            return;
        }
        let room_id = room_key(room).id.as_str().to_owned();
        let (frame, sequence, item) = if class == Class::Control {
            self.controls += 1;
            let count = RoomMemberCount {
                room_id,
                member_count: self.controls,
            };
            (event(Body::RoomMemberCount(count)), 0, Item::Control(self.controls))
        } else {
            self.sequences[room] += 1;
            self.classes[room].push(class);
            let sequence = self.sequences[room];
            let message = RoomMessage {
                room_id,
                sequence,
                content: content(sequence, bytes).into(),
                ..RoomMessage::default()
            };
            (event(Body::RoomMessage(message)), sequence, Item::Message(sequence))
        };
        for stay in self.clients.iter_mut().flat_map(|client| &mut client.stays) {
            if stay.room == room && !stay.over {
                stay.published.push(item);
            }
        }
        self.slices[room].append(&frame.encode_length_delimited_to_vec(), sequence, class);
    }

    fn sweep(&mut self, room: usize, members_max: usize) -> bool {
        let step = self.slices[room].sweep(members_max, &mut self.moved.borrow_mut());
        assert_eq!(step.panics, 0);
        for key in step.too_slow {
            let slow = self
                .clients
                .iter()
                .position(|client| client.outbox.borrow().connection() == key);
            self.close(slow.expect("one of the members"));
        }
        if !step.more {
            assert_eq!(
                self.slices[room].excess_bytes(),
                0,
                "what is over the bound goes with the round"
            );
        }
        step.more
    }

    fn push(&mut self, client: usize, flush: bool) {
        self.pongs += 1;
        let pong = answer(
            1,
            reply::Result::Pong(Pong {
                server_time_ms: self.pongs.cast_signed(),
            }),
        );
        let client = &mut self.clients[client];
        let pushed = client
            .outbox
            .borrow_mut()
            .push(&pong.encode_length_delimited_to_vec(), &mut self.moved.borrow_mut())
            .is_ok();
        if pushed {
            client.private.push(Private::Pong(self.pongs));
        }
        if flush {
            client.outbox.borrow_mut().flush(&mut self.moved.borrow_mut());
        }
    }

    fn answer(&mut self, client: usize, flush: bool) {
        self.pongs += 1;
        let pong = answer(
            1,
            reply::Result::Pong(Pong {
                server_time_ms: self.pongs.cast_signed(),
            }),
        );
        let client = &mut self.clients[client];
        client.answer(Private::Pong(self.pongs), &pong);
        if flush {
            client.outbox.borrow_mut().flush(&mut self.moved.borrow_mut());
        }
    }

    fn join(&mut self, client: usize, room: usize) {
        let joining = &mut self.clients[client];
        if joining.gone || joining.stays.iter().any(|stay| stay.room == room && !stay.over) {
            return;
        }
        self.numbers += 1;
        let entered = RoomEntered {
            room: Some(RoomInfo {
                room_id: room_key(room).id.as_str().to_owned(),
                ..RoomInfo::default()
            }),
            ..RoomEntered::default()
        };
        let entered = answer(self.numbers, reply::Result::RoomEntered(entered));
        joining.answer(Private::Entered(self.numbers), &entered);
        self.slices[room].add(&joining.outbox);
        joining.stays.push(Stay {
            number: self.numbers,
            room,
            began_at: self.sequences[room],
            published: Vec::new(),
            over: false,
            complete: false,
        });
    }

    fn leave(&mut self, client: usize, room: usize) {
        let leaving = &mut self.clients[client];
        let stay = leaving.stays.iter_mut().find(|stay| stay.room == room && !stay.over);
        let Some(stay) = stay else { return };
        stay.over = true;
        let number = stay.number;
        self.slices[room].remove(&leaving.outbox, &mut self.moved.borrow_mut());
        // Only who is slow loses what was on its way.
        stay.complete = !leaving.outbox.borrow().is_blocked();
        let left = LeaveRoomResult {
            room_id: room_key(room).id.as_str().to_owned(),
        };
        let frame = answer(number, reply::Result::LeaveRoom(left));
        leaving.answer(Private::Left(number), &frame);
        self.forget_if_empty(room);
    }

    /// Nothing but its end is told to a client that is closed.
    fn close(&mut self, client: usize) {
        self.leave_silently(client);
        let close = event(Body::Close(Close::default()));
        self.clients[client].answer(Private::Close, &close);
        self.clients[client]
            .outbox
            .borrow_mut()
            .flush(&mut self.moved.borrow_mut());
    }

    fn break_off(&mut self, client: usize) {
        self.clients[client].wire.broken.set(true);
        self.clients[client]
            .outbox
            .borrow_mut()
            .flush(&mut self.moved.borrow_mut());
        self.clients[client]
            .outbox
            .borrow_mut()
            .break_off(&mut self.moved.borrow_mut());
        self.leave_silently(client);
    }

    fn leave_silently(&mut self, client: usize) {
        let leaving = &mut self.clients[client];
        leaving.gone = true;
        for stay in &mut leaving.stays {
            stay.over = true;
        }
        for room in 0..ROOMS {
            self.slices[room].remove(&self.clients[client].outbox, &mut self.moved.borrow_mut());
            self.forget_if_empty(room);
        }
    }

    /// A worker keeps no slice without members.
    fn forget_if_empty(&mut self, room: usize) {
        if self.slices[room].is_empty() {
            self.slices[room] = Slice::new(room_key(room), LOG_BYTES_MAX);
        }
    }

    /// Lets everybody read all there is.
    fn drain(&mut self) {
        for client in &self.clients {
            client.wire.grant(usize::MAX);
            client.go_on();
            client.outbox.borrow_mut().flush(&mut self.moved.borrow_mut());
        }
        for slice in &mut self.slices {
            slice.on_progress();
        }
        for room in 0..ROOMS {
            let mut rounds = 0;
            while self.sweep(room, 3) {
                rounds += 1;
                assert!(rounds < ROUNDS_MAX, "a sweep comes to an end");
            }
        }
    }

    /// Checks all that every client got.
    fn check(&self) {
        for (number, client) in self.clients.iter().enumerate() {
            let broken = client.wire.broken.get();
            let taken = client.wire.taken.borrow();
            let got = Got::read(&taken, broken);
            if broken {
                assert!(
                    client.private.starts_with(&got.private),
                    "private frames of {number} in order"
                );
            } else {
                assert_eq!(got.private, client.private, "private frames of {number}");
                assert!(client.outbox.borrow().is_drained());
                let outbox = client.outbox.borrow();
                assert_eq!(outbox.sent_bytes(), taken.len() as u64, "counted bytes of {number}");
            }
            for stay in &client.stays {
                let received = got.stays.iter().find(|(seen, _)| *seen == stay.number);
                let received = received.map_or(&[][..], |(_, received)| received);
                self.check_stay(stay, received);
            }
        }
        for slice in &self.slices {
            assert_eq!(slice.log_bytes(), 0, "what all have read is forgotten");
        }
        let moved = self.moved.borrow();
        assert_eq!(
            (moved.blocked, moved.private_bytes),
            (0, 0),
            "nobody waits for anything"
        );
    }

    /// Checks what one member got of a room against what was published while it was inside.
    fn check_stay(&self, stay: &Stay, received: &[Received]) {
        let class_of = |sequence: u64| self.classes[stay.room][usize::try_from(sequence - 1).unwrap()];
        let through: Vec<Item> = received.iter().filter_map(Received::item).collect();
        let all = !stay.over || stay.complete;
        let mut told = [0_u64; Class::COUNT];
        let mut missed = [0_u64; Class::COUNT];
        let mut published = stay.published.iter();
        for received in received {
            match received {
                Received::Gap { first, until, by_class } => {
                    assert!(by_class.iter().sum::<u64>() > 0 && first <= until);
                    assert!(*first > stay.began_at, "only what was published since it came");
                    for (sum, more) in told.iter_mut().zip(by_class) {
                        *sum += more;
                    }
                }
                Received::Item(item) => loop {
                    let next = published.next().expect("only what was published, in its order");
                    if next == item {
                        break;
                    }
                    let Item::Message(sequence) = next else {
                        panic!("what may not be shed is not missing: {next:?} before {item:?}")
                    };
                    missed[class_of(*sequence) as usize] += 1;
                    for class in 0..Class::COUNT {
                        assert!(missed[class] <= told[class], "told before the next frame of the room");
                    }
                },
            }
        }
        assert_eq!((told[0], told[1]), (0, 0), "what may not be shed is not shed");
        if all {
            for rest in published {
                let Item::Message(sequence) = rest else {
                    panic!("{rest:?} may not be shed")
                };
                missed[class_of(*sequence) as usize] += 1;
            }
            assert_eq!(
                missed, told,
                "published = received + missed, by class; received {through:?}"
            );
        }
    }

    fn missed_anything(&self, client: usize) -> bool {
        let taken = self.clients[client].wire.taken.borrow();
        let stays = Got::read(&taken, self.clients[client].wire.broken.get()).stays;
        let mut received = stays.iter().flat_map(|(_, received)| received);
        received.any(|received| matches!(received, Received::Gap { .. }))
    }
}

fn key(number: u64) -> ConnectionKey {
    slotmap::KeyData::from_ffi(number).into()
}

/// One that takes all there is, and slow ones of both kinds.
fn clients(moved: &Rc<RefCell<Moved>>) -> Vec<Client> {
    vec![
        Client::new(moved, key(1), false, usize::MAX),
        Client::new(moved, key(2), false, 0),
        Client::new(moved, key(3), true, 0),
        Client::new(moved, key(4), false, 300),
        Client::new(moved, key(5), true, 300),
    ]
}
