//! What goes out next, on a wire that takes as much as the test allows. Whole streams are checked where slices and
//! outboxes meet, in `fan_out`.

use std::cell::Cell;

use prost::Message;
use sluice_protocol::{Frame, RoomGap, RoomId, frame::Body};

use super::*;
use crate::class::Class;
use crate::identity::{AppIndex, RoomKey};

/// Room for some short frames with what each takes beside its bytes.
const LAG_BYTES_MAX: usize = 312;

#[derive(Default)]
struct FakeWire {
    taken: RefCell<Vec<u8>>,
    space: Cell<usize>,
    unsent: Cell<bool>,
    wakes: Cell<usize>,
    error: Cell<Option<io::ErrorKind>>,
    datagrams: RefCell<Vec<Vec<u8>>>,
    datagram_bytes_max: Cell<usize>,
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

    fn wake(&self) {
        self.wakes.set(self.wakes.get() + 1);
    }

    fn expect_writable(&self) {
        self.wake();
    }

    fn try_send_datagram(&self, frame: &[u8]) -> bool {
        let fits = frame.len() <= self.datagram_bytes_max.get();
        if fits {
            self.datagrams.borrow_mut().push(frame.to_vec());
        }
        fits
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

fn push(outbox: &mut Outbox, frame: &[u8]) -> Result<(), Overflow> {
    outbox.push(frame, &mut Moved::default())
}

fn append(log: &SharedLog, frame: &[u8], sequence: u64, class: Class) {
    log.borrow_mut().append(frame, sequence, class);
}

fn go_on(wire: &FakeWire, outbox: &mut Outbox, space: usize) -> Flush {
    wire.space.set(space);
    outbox.unblock(LAG_BYTES_MAX, &mut Moved::default());
    outbox.flush(&mut Moved::default())
}

#[test]
fn what_is_for_one_alone_goes_before_what_is_for_a_room() {
    let (wire, mut outbox) = outbox(100);
    let lobby = log("lobby");
    outbox.subscribe(&lobby, 0);
    append(&lobby, b"room", 1, Class::Low);
    push(&mut outbox, b"reply").unwrap();
    assert_eq!(outbox.flush(&mut Moved::default()), Flush::Done);
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
    assert_eq!(outbox.flush(&mut Moved::default()), Flush::Blocked);
    push(&mut outbox, b"reply").unwrap();
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
    outbox.flush(&mut Moved::default());
    push(&mut outbox, b"before").unwrap();
    assert_eq!(outbox.unsubscribe(&lobby, &mut Moved::default()), Some(7));
    outbox.push_answer(b"left", &mut Moved::default());
    assert_eq!(go_on(&wire, &mut outbox, 100), Flush::Done);
    assert_eq!(wire.take(), b"onebeforeleftother");
    assert_eq!(outbox.unsubscribe(&lobby, &mut Moved::default()), None, "once");
    assert_eq!(outbox.unsubscribe(&hall, &mut Moved::default()), Some(8));
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
    outbox.flush(&mut Moved::default());
    // The last membership takes the place of the one that goes.
    outbox.unsubscribe(&rooms[0], &mut Moved::default());
    append(&rooms[1], b"second", 1, Class::Low);
    push(&mut outbox, b"reply").unwrap();
    assert_eq!(go_on(&wire, &mut outbox, 100), Flush::Done);
    assert_eq!(wire.take(), b"thirdreplysecond");
}

#[test]
fn a_queue_that_is_full_takes_answers_and_nothing_else() {
    let (_, mut outbox) = outbox(0);
    push(&mut outbox, b"0123456789").unwrap();
    assert_eq!(push(&mut outbox, b"x"), Err(Overflow));
    outbox.push_answer(b"answer", &mut Moved::default());
    assert_eq!(outbox.private_bytes(), 16);
    assert_eq!(push(&mut outbox, b""), Ok(()));
}

#[test]
fn a_full_transport_blocks_wakes_the_task_and_is_not_asked_again_before_it_is_writable() {
    let (wire, mut outbox) = outbox(2);
    push(&mut outbox, b"reply").unwrap();
    assert_eq!(outbox.flush(&mut Moved::default()), Flush::Blocked);
    assert_eq!(wire.wakes.get(), 1);
    assert!(outbox.is_blocked() && !outbox.is_drained());
    wire.space.set(100);
    assert_eq!(outbox.flush(&mut Moved::default()), Flush::Blocked);
    assert_eq!(wire.take(), b"re");
    assert_eq!(go_on(&wire, &mut outbox, 100), Flush::Done);
    assert_eq!(wire.take(), b"ply");
}

#[test]
fn bytes_that_wait_inside_the_transport_count_as_blocked() {
    let (wire, mut outbox) = outbox(100);
    wire.unsent.set(true);
    push(&mut outbox, b"reply").unwrap();
    assert_eq!(outbox.flush(&mut Moved::default()), Flush::Blocked);
    assert!(!outbox.is_drained());
    outbox.unblock(LAG_BYTES_MAX, &mut Moved::default());
    assert_eq!(
        outbox.flush(&mut Moved::default()),
        Flush::Blocked,
        "also with nothing more to write"
    );
    wire.unsent.set(false);
    outbox.unblock(LAG_BYTES_MAX, &mut Moved::default());
    assert_eq!(outbox.flush(&mut Moved::default()), Flush::Done);
    assert_eq!(wire.take(), b"reply");
}

#[test]
fn a_broken_transport_is_written_to_no_more_and_its_task_is_woken() {
    for error in [io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset] {
        let (wire, mut outbox) = outbox(100);
        let lobby = log("lobby");
        outbox.subscribe(&lobby, 3);
        wire.error.set(Some(error));
        append(&lobby, b"one", 1, Class::Low);
        assert_eq!(outbox.flush(&mut Moved::default()), Flush::Broken);
        assert!(outbox.is_broken());
        assert_eq!(wire.wakes.get(), 1);
        wire.error.set(None);
        assert_eq!(outbox.flush(&mut Moved::default()), Flush::Broken);
        assert!(wire.take().is_empty());
        // The log goes on without it, and it may still leave.
        assert_eq!(outbox.position(&lobby), None);
        let end = lobby.borrow().end();
        lobby.borrow_mut().trim(end);
        assert_eq!(outbox.unsubscribe(&lobby, &mut Moved::default()), Some(3));
    }
}

/// The notice of these messages of the lobby.
fn notice(first_sequence: u64, last_sequence: u64, [high, normal, low, barrage]: [u64; 4]) -> Vec<u8> {
    let gap = RoomGap {
        room_id: "lobby".into(),
        first_sequence,
        last_sequence,
        high,
        normal,
        low,
        barrage,
    };
    Frame {
        request_id: 0,
        body: Some(Body::RoomGap(gap)),
    }
    .encode_length_delimited_to_vec()
}

#[test]
fn who_lags_too_far_lets_go_of_the_least_important_and_hears_of_it_before_the_next_frame_of_that_room() {
    let (wire, mut outbox) = outbox(2);
    let lobby = log("lobby");
    outbox.subscribe(&lobby, 0);
    for (frame, sequence, class) in [
        (b"one!", 1, Class::Low),
        (b"two!", 2, Class::High),
        (b"join", 0, Class::Control),
        (b"thre", 3, Class::Barrage),
        (b"four", 4, Class::Low),
        (b"five", 5, Class::High),
        (b"six!", 6, Class::Normal),
    ] {
        append(&lobby, frame, sequence, class);
    }
    outbox.flush(&mut Moved::default());
    push(&mut outbox, b"reply").unwrap();
    wire.space.set(1_000);
    let mut moved = Moved::default();
    // Each takes some fifty bytes, so that a half of the bound holds three.
    outbox.unblock(LAG_BYTES_MAX, &mut moved);
    assert_eq!(outbox.flush(&mut moved), Flush::Done);
    let expected = [&b"one!reply"[..], &notice(3, 6, [0, 1, 1, 1]), b"two!joinfive"].concat();
    assert_eq!(wire.take(), expected);
    assert_eq!((moved.shed, moved.gaps, moved.blocked), ([0, 0, 0, 1, 1, 1], 1, -1));
    append(&lobby, b"more", 7, Class::Barrage);
    assert_eq!(outbox.flush(&mut moved), Flush::Done);
    assert_eq!(wire.take(), b"more", "now it is like the others");
}

#[test]
fn who_lags_no_further_than_it_may_gets_everything() {
    let (wire, mut outbox) = outbox(0);
    let lobby = log("lobby");
    outbox.subscribe(&lobby, 0);
    for sequence in 1..=5 {
        append(&lobby, b"text", sequence, Class::Barrage);
    }
    outbox.flush(&mut Moved::default());
    assert_eq!(go_on(&wire, &mut outbox, 100), Flush::Done);
    assert_eq!(wire.take(), b"texttexttexttexttext");
}

#[test]
fn what_is_taken_from_under_a_member_is_told_and_the_frame_it_is_in_stays_whole() {
    let (wire, mut outbox) = outbox(2);
    let lobby = log("lobby");
    outbox.subscribe(&lobby, 0);
    append(&lobby, b"one!", 1, Class::Low);
    append(&lobby, b"two!", 2, Class::Low);
    append(&lobby, b"join", 0, Class::Control);
    outbox.flush(&mut Moved::default());
    append(&lobby, b"thre", 3, Class::Low);
    let cuts = lobby.borrow().overdue(60, lobby.borrow().end());
    let mut moved = Moved::default();
    let lag = outbox.go_without(&lobby, &lobby.borrow(), &cuts, 60, &mut moved);
    assert_eq!(lag, Lag::Bearable);
    lobby.borrow_mut().compact(&cuts);
    assert_eq!(go_on(&wire, &mut outbox, 1_000), Flush::Done);
    let expected = [&b"one!"[..], &notice(2, 2, [0, 0, 1, 0]), b"jointhre"].concat();
    assert_eq!(wire.take(), expected);
    assert_eq!(moved.shed[Class::Low as usize], 1);
}

#[test]
fn a_member_too_slow_for_what_may_not_be_shed_is_given_up() {
    let (_, mut outbox) = outbox(0);
    let lobby = log("lobby");
    outbox.subscribe(&lobby, 0);
    append(&lobby, b"join", 0, Class::Control);
    append(&lobby, b"host", 1, Class::Protected);
    outbox.flush(&mut Moved::default());
    let cuts = lobby.borrow().overdue(0, lobby.borrow().end());
    let lag = |bytes_max, outbox: &mut Outbox| {
        outbox.go_without(&lobby, &lobby.borrow(), &cuts, bytes_max, &mut Moved::default())
    };
    assert_eq!(lag(200, &mut outbox), Lag::Bearable);
    assert_eq!(lag(60, &mut outbox), Lag::TooMuch);
}

#[test]
fn barrage_goes_in_datagrams_where_it_fits_and_by_the_stream_where_not() {
    let (wire, mut outbox) = outbox(100);
    wire.datagram_bytes_max.set(4);
    outbox.send_barrage_in_datagrams();
    let lobby = log("lobby");
    outbox.subscribe(&lobby, 0);
    for (frame, sequence, class) in [
        (&b"one"[..], 1, Class::High),
        (b"fits", 2, Class::Barrage),
        (b"two", 3, Class::Low),
        (b"too long", 4, Class::Barrage),
        (b"three", 5, Class::Low),
    ] {
        append(&lobby, frame, sequence, class);
    }
    let mut moved = Moved::default();
    assert_eq!(outbox.flush(&mut moved), Flush::Done);
    assert_eq!(wire.take(), b"onetwotoo longthree");
    assert_eq!(wire.datagrams.take(), [b"fits"]);
    assert_eq!(
        (moved.datagrams, moved.datagrams_on_stream, moved.room_frames),
        (1, 1, 5)
    );
}

#[test]
fn bytes_frames_and_writes_are_counted() {
    let (wire, mut outbox) = outbox(8);
    let lobby = log("lobby");
    outbox.subscribe(&lobby, 0);
    append(&lobby, b"one", 1, Class::Low);
    append(&lobby, b"three", 2, Class::Low);
    let mut moved = Moved::default();
    outbox.push(b"re", &mut moved).unwrap();
    assert_eq!(moved.private_bytes, 2);
    outbox.flush(&mut moved);
    assert_eq!((moved.bytes, moved.room_frames, moved.batches[0]), ([8, 0, 0], 1, 1));
    assert_eq!((moved.private_bytes, moved.blocked), (0, 1));
    go_on(&wire, &mut outbox, 100);
    assert_eq!(outbox.sent_bytes(), 10);
    let mut moved = Moved::default();
    for sequence in 3..=7 {
        append(&lobby, b"more", sequence, Class::Low);
    }
    outbox.flush(&mut moved);
    assert_eq!((moved.room_frames, moved.batches[3]), (5, 1), "more than 4, up to 8");
}

#[test]
fn a_room_that_fills_the_transport_each_time_holds_up_neither_replies_nor_other_rooms() {
    let (wire, mut outbox) = outbox(6);
    let (lobby, hall) = (log("lobby"), log("hall"));
    outbox.subscribe(&lobby, 0);
    outbox.subscribe(&hall, 0);
    for sequence in 1..=5 {
        append(&lobby, b"flood", sequence, Class::Low);
    }
    append(&hall, b"quiet", 1, Class::Low);
    outbox.flush(&mut Moved::default());
    assert_eq!(wire.take(), b"floodf");
    push(&mut outbox, b"reply").unwrap();
    go_on(&wire, &mut outbox, 14);
    assert_eq!(wire.take(), b"loodreplyquiet");
    go_on(&wire, &mut outbox, 5);
    assert_eq!(wire.take(), b"flood");
}

#[test]
fn what_lies_in_pieces_goes_out_in_few_writes_and_whole_frames_wherever_it_is_cut() {
    let frames: Vec<Vec<u8>> = (0..220_u8).map(|number| vec![number; 5]).collect();
    for space in [1, 7, 52, 333, 100_000] {
        let (wire, mut outbox) = outbox(0);
        let lobby = log("lobby");
        outbox.subscribe(&lobby, 0);
        for (frame, sequence) in frames.iter().zip(1..) {
            let high = sequence % 2 == 0 && sequence <= 200;
            let class = if high { Class::High } else { Class::Low };
            append(&lobby, frame, sequence, class);
        }
        outbox.flush(&mut Moved::default());
        // The low ones go.
        let mut moved = Moved::default();
        outbox.unblock(10_700, &mut moved);
        let mut got = Vec::new();
        let mut writes = 0;
        while outbox.flush(&mut moved) != Flush::Done {
            outbox.unblock(usize::MAX, &mut Moved::default());
            wire.space.set(space);
            outbox.flush(&mut moved);
            got.extend(wire.take());
            writes += 1;
        }
        got.extend(wire.take());
        let notice = notice(1, 220, [0, 0, 120, 0]);
        let rest = got.strip_prefix(&notice[..]).expect("the notice first");
        let high: Vec<u8> = frames[..200].iter().skip(1).step_by(2).flatten().copied().collect();
        assert_eq!(rest, high, "space {space}");
        assert_eq!(moved.room_frames, 100, "space {space}");
        if space == 100_000 {
            assert!(
                writes <= 2 && moved.batches.iter().sum::<u64>() == 1,
                "{:?}",
                moved.batches
            );
        }
    }
}
