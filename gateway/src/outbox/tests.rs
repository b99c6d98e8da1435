//! What goes out next, on a wire that takes as much as the test allows. Whole streams are checked where slices and
//! outboxes meet, in `fan_out`.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use prost::Message;
use sluice_protocol::{Frame, RoomGap, RoomId, frame::Body};

use super::*;
use crate::class::Class;
use crate::identity::{AppIndex, RoomKey};

#[derive(Default)]
struct FakeWire {
    taken: RefCell<Vec<u8>>,
    space: Cell<usize>,
    unsent: Cell<bool>,
    error: Cell<Option<io::ErrorKind>>,
}

impl FakeWire {
    fn take(&self) -> Vec<u8> {
        self.taken.take()
    }
}

impl Wire for FakeWire {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(error) = self.error.get() {
            return Err(error.into());
        }
        let taken = bytes.len().min(self.space.get());
        if taken == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.space.set(self.space.get() - taken);
        self.taken.borrow_mut().extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn has_unsent(&self) -> bool {
        self.unsent.get()
    }
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn outbox(space: usize) -> (Rc<FakeWire>, Outbox) {
    let wire = Rc::new(FakeWire::default());
    wire.space.set(space);
    let outbox = Outbox::new(ConnectionKey::default(), wire.clone(), 10, 0);
    (wire, outbox)
}

fn log(name: &str) -> SharedLog {
    Rc::new(RefCell::new(Log::new(RoomKey {
        app: AppIndex(0),
        id: RoomId::parse(name).unwrap(),
    })))
}

fn append(log: &SharedLog, frame: &[u8], sequence: u64, class: Class) {
    log.borrow_mut().append(frame, sequence, class);
}

fn go_on(wire: &FakeWire, outbox: &mut Outbox, space: usize) -> Flush {
    wire.space.set(space);
    outbox.unblock();
    outbox.flush()
}

#[test]
fn what_is_for_one_alone_goes_before_what_is_for_a_room() {
    let (wire, mut outbox) = outbox(100);
    let lobby = log("lobby");
    outbox.subscribe(&lobby, 0);
    append(&lobby, b"room", 1, Class::Low);
    outbox.push(b"reply").unwrap();
    assert_eq!(outbox.flush(), Flush::Done);
    assert_eq!(wire.take(), b"replyroom");
    assert!(outbox.is_drained());
}

#[test]
fn a_frame_that_is_half_written_is_finished_before_anything_else() {
    let (wire, mut outbox) = outbox(6);
    let (lobby, hall) = (log("lobby"), log("hall"));
    outbox.subscribe(&lobby, 0);
    outbox.subscribe(&hall, 0);
    append(&lobby, b"one", 1, Class::Low);
    append(&lobby, b"three", 2, Class::Low);
    assert_eq!(outbox.flush(), Flush::Blocked);
    outbox.push(b"reply").unwrap();
    append(&hall, b"other", 1, Class::Low);
    assert_eq!(go_on(&wire, &mut outbox, 1), Flush::Blocked);
    assert_eq!(wire.take(), b"onethre");
    assert_eq!(go_on(&wire, &mut outbox, 100), Flush::Done);
    assert_eq!(wire.take(), b"ereplyother");
}

#[test]
fn who_leaves_within_a_frame_gets_the_rest_of_it_and_nothing_more_of_the_room() {
    let (wire, mut outbox) = outbox(1);
    let (lobby, hall) = (log("lobby"), log("hall"));
    outbox.subscribe(&lobby, 7);
    outbox.subscribe(&hall, 8);
    append(&lobby, b"one", 1, Class::Low);
    append(&lobby, b"two", 2, Class::Low);
    append(&hall, b"other", 1, Class::Low);
    outbox.flush();
    outbox.push(b"before").unwrap();
    assert_eq!(outbox.unsubscribe(&lobby), Some(7));
    outbox.push_answer(b"left");
    assert_eq!(go_on(&wire, &mut outbox, 100), Flush::Done);
    assert_eq!(wire.take(), b"onebeforeleftother");
    assert_eq!(outbox.unsubscribe(&lobby), None, "once");
    assert_eq!(outbox.unsubscribe(&hall), Some(8));
}

#[test]
fn leaving_one_room_within_the_frame_of_another_mixes_nothing() {
    let (wire, mut outbox) = outbox(100);
    let rooms = [log("first"), log("second"), log("third")];
    for room in &rooms {
        outbox.subscribe(room, 0);
    }
    append(&rooms[2], b"third", 1, Class::Low);
    wire.space.set(2);
    outbox.flush();
    // The last membership takes the place of the one that goes.
    outbox.unsubscribe(&rooms[0]);
    append(&rooms[1], b"second", 1, Class::Low);
    outbox.push(b"reply").unwrap();
    assert_eq!(go_on(&wire, &mut outbox, 100), Flush::Done);
    assert_eq!(wire.take(), b"thirdreplysecond");
}

#[test]
fn a_queue_that_is_full_takes_answers_and_nothing_else() {
    let (_, mut outbox) = outbox(0);
    outbox.push(b"0123456789").unwrap();
    assert_eq!(outbox.push(b"x"), Err(Overflow));
    outbox.push_answer(b"answer");
    assert_eq!(outbox.private_bytes(), 16);
    assert_eq!(outbox.push(b""), Ok(()));
}

#[test]
fn a_full_transport_blocks_wakes_the_task_and_is_not_asked_again_before_it_is_writable() {
    let (wire, mut outbox) = outbox(2);
    let wakes = Arc::new(Wakes::default());
    outbox.set_waker(&wakes.clone().into());
    outbox.push(b"reply").unwrap();
    assert_eq!(outbox.flush(), Flush::Blocked);
    assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
    assert!(outbox.is_blocked() && !outbox.is_drained());
    wire.space.set(100);
    assert_eq!(outbox.flush(), Flush::Blocked);
    assert_eq!(wire.take(), b"re");
    assert_eq!(go_on(&wire, &mut outbox, 100), Flush::Done);
    assert_eq!(wire.take(), b"ply");
}

#[test]
fn bytes_that_wait_inside_the_transport_count_as_blocked() {
    let (wire, mut outbox) = outbox(100);
    wire.unsent.set(true);
    outbox.push(b"reply").unwrap();
    assert_eq!(outbox.flush(), Flush::Blocked);
    assert!(!outbox.is_drained());
    outbox.unblock();
    assert_eq!(outbox.flush(), Flush::Blocked, "also with nothing more to write");
    wire.unsent.set(false);
    outbox.unblock();
    assert_eq!(outbox.flush(), Flush::Done);
    assert_eq!(wire.take(), b"reply");
}

#[test]
fn a_broken_transport_is_written_to_no_more_and_its_task_is_woken() {
    for error in [io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset] {
        let (wire, mut outbox) = outbox(100);
        let wakes = Arc::new(Wakes::default());
        outbox.set_waker(&wakes.clone().into());
        let lobby = log("lobby");
        outbox.subscribe(&lobby, 3);
        wire.error.set(Some(error));
        append(&lobby, b"one", 1, Class::Low);
        assert_eq!(outbox.flush(), Flush::Broken);
        assert!(outbox.is_broken());
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        wire.error.set(None);
        assert_eq!(outbox.flush(), Flush::Broken);
        assert!(wire.take().is_empty());
        // The log goes on without it, and it may still leave.
        assert_eq!(outbox.position(&lobby, &lobby.borrow()), None);
        let end = lobby.borrow().end();
        lobby.borrow_mut().trim(end);
        assert_eq!(outbox.unsubscribe(&lobby), Some(3));
    }
}

#[test]
fn a_member_left_behind_hears_of_the_gap_before_the_next_frame_of_that_room() {
    let (wire, mut outbox) = outbox(2);
    let lobby = log("lobby");
    outbox.subscribe(&lobby, 0);
    for (frame, sequence, class) in [
        (b"one!", 1, Class::Low),
        (b"two!", 2, Class::High),
        (b"join", 0, Class::Control),
        (b"thre", 3, Class::Barrage),
        (b"four", 4, Class::Low),
    ] {
        append(&lobby, frame, sequence, class);
    }
    outbox.flush();
    let first = lobby.borrow().newest_within(4);
    let missed = outbox.fall_behind(&lobby, &lobby.borrow(), first).unwrap().unwrap();
    assert_eq!((missed.first_sequence, missed.last_sequence, missed.total()), (2, 3, 2));
    lobby.borrow_mut().trim(first);
    outbox.push(b"reply").unwrap();
    assert_eq!(go_on(&wire, &mut outbox, 1_000), Flush::Done);
    let taken = wire.take();
    let rest = taken
        .strip_prefix(b"one!reply")
        .expect("the half frame first, then the reply");
    let gap = Frame {
        request_id: 0,
        body: Some(Body::RoomGap(RoomGap {
            room_id: "lobby".into(),
            first_sequence: 2,
            last_sequence: 3,
            high: 1,
            normal: 0,
            low: 0,
            barrage: 1,
        })),
    };
    let rest = rest
        .strip_prefix(&gap.encode_length_delimited_to_vec()[..])
        .expect("the gap");
    assert_eq!(rest, b"joinfour");
}

#[test]
fn a_member_that_missed_nothing_but_fell_behind_gets_no_notice() {
    let (wire, mut outbox) = outbox(0);
    let lobby = log("lobby");
    outbox.subscribe(&lobby, 0);
    append(&lobby, b"join", 0, Class::Control);
    append(&lobby, b"one!", 1, Class::Low);
    outbox.flush();
    let first = lobby.borrow().newest_within(4);
    let missed = outbox.fall_behind(&lobby, &lobby.borrow(), first).unwrap().unwrap();
    assert_eq!(missed.total(), 0);
    lobby.borrow_mut().trim(first);
    assert_eq!(go_on(&wire, &mut outbox, 100), Flush::Done);
    assert_eq!(wire.take(), b"joinone!");
}

#[test]
fn a_member_too_slow_for_what_may_not_be_missed_is_given_up() {
    let (_, mut outbox) = outbox(0);
    let lobby = log("lobby");
    outbox.subscribe(&lobby, 0);
    append(&lobby, b"eleven byte", 0, Class::Control);
    append(&lobby, b"one!", 1, Class::Low);
    outbox.flush();
    let first = lobby.borrow().newest_within(4);
    assert_eq!(outbox.fall_behind(&lobby, &lobby.borrow(), first), Err(Overflow));
}

#[test]
fn bytes_frames_and_writes_are_counted() {
    let (wire, mut outbox) = outbox(8);
    let lobby = log("lobby");
    outbox.subscribe(&lobby, 0);
    append(&lobby, b"one", 1, Class::Low);
    append(&lobby, b"three", 2, Class::Low);
    outbox.push(b"re").unwrap();
    outbox.flush();
    let moved = outbox.take_moved();
    assert_eq!((moved.bytes, moved.room_frames, moved.room_writes), ([8, 0, 0], 1, 1));
    go_on(&wire, &mut outbox, 100);
    let moved = outbox.take_moved();
    assert_eq!((moved.bytes, moved.room_frames, moved.room_writes), ([2, 0, 0], 1, 1));
    assert_eq!(outbox.take_moved(), Moved::default());
    assert_eq!(outbox.sent_bytes(), 10);
}
