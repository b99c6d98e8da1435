//! One member: its connection, how far in it is, and what it makes of frames.

use std::cell::{Cell, RefCell};

use sluice_codec::{open_server_frame, split_frame};
use sluice_protocol::limits::SERVER_FRAME_BYTES;
use sluice_protocol::{Frame, LeaveRoom, Ping, Reply, frame::Body, reply};
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::task::JoinHandle;

use super::Stage;
use super::ledger::Account;
use super::link::Outlet;
use super::lost::Lost;
use crate::monotonic::now_ns;
use crate::receiver::sequence_of;

/// Request ids. No two commands of one kind are ever under way together.
pub(super) const ENTER: u32 = 2;
const PING: u32 = 3;
const CHURN_ENTER: u32 = 4;
const CHURN_LEAVE: u32 = 5;

/// See the module. Its task reads, others in the process write; all on one thread.
pub(super) struct Member {
    pub(super) number: usize,
    /// Whether it is one of those who can be told to stop reading.
    pub(super) slow: bool,
    pub(super) outlet: RefCell<Option<Outlet>>,
    pub(super) task: RefCell<Option<JoinHandle<()>>>,
    pub(super) stage: Cell<Stage>,
    pub(super) account: Cell<Account>,
    /// When it set out for where it is going.
    pub(super) departed_ns: Cell<u64>,
    /// Its place among those on their way, if places are counted.
    pub(super) permit: RefCell<Option<OwnedSemaphorePermit>>,
    /// It has stopped reading until woken.
    pub(super) asleep: Cell<bool>,
    pub(super) woken: Notify,
    /// When the ping under way was sent; 0: none is.
    pinged_ns: Cell<u64>,
    /// Answers to entering and leaving that are still to come.
    moves: Cell<u8>,
    /// The beginning of a frame whose rest is still on its way.
    partial: RefCell<Vec<u8>>,
}

/// What a frame came to, where that is somebody else's business.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrival<'a> {
    /// A message, delivered and entered in the account; the frame's body.
    Message(&'a [u8]),
    /// A gap notice, entered in the account.
    Gap,
    /// The next stage is reached.
    Stage(Stage),
    /// A ping was answered after so many nanoseconds.
    Pong(u64),
    /// The answer to entering or leaving in turn: refused with this code, or 0.
    Moved { entered: bool, code: i32 },
}

impl Member {
    pub(super) fn new(number: usize, slow: bool) -> Self {
        Self {
            number,
            slow,
            outlet: RefCell::default(),
            task: RefCell::default(),
            stage: Cell::new(Stage::Away),
            account: Cell::default(),
            departed_ns: Cell::default(),
            permit: RefCell::default(),
            asleep: Cell::default(),
            woken: Notify::new(),
            pinged_ns: Cell::default(),
            moves: Cell::default(),
            partial: RefCell::default(),
        }
    }

    /// Its connection is gone.
    pub(super) fn reset(&self) {
        self.outlet.take();
        self.stage.set(Stage::Away);
        self.account.take();
        self.pinged_ns.set(0);
        self.moves.set(0);
        self.partial.take();
    }

    pub(super) fn send(&self, bytes: &[u8]) -> Result<(), Lost> {
        let outlet = self.outlet.borrow();
        let Some(outlet) = &*outlet else {
            return Err(Lost::Wrong("is not connected".into()));
        };
        outlet.send(bytes)
    }

    /// Sends a ping, unless one is under way.
    pub(super) fn ping(&self) -> Result<bool, Lost> {
        if self.pinged_ns.get() != 0 {
            return Ok(false);
        }
        self.pinged_ns.set(now_ns());
        self.send(&command(PING, Body::Ping(Ping {})))?;
        Ok(true)
    }

    /// Whether a ping is under way.
    pub(super) fn is_pinging(&self) -> bool {
        self.pinged_ns.get() != 0
    }

    /// Enters the room by `enter` and leaves it again, unless it is at that already.
    pub(super) fn churn(&self, enter: &[u8], leave: &[u8]) -> Result<bool, Lost> {
        if self.is_moving() {
            return Ok(false);
        }
        self.moves.set(2);
        self.send(&[enter, leave].concat())?;
        Ok(true)
    }

    pub(super) fn is_moving(&self) -> bool {
        self.moves.get() > 0
    }

    /// Takes bytes that begin where the last ones ended.
    pub(super) fn take(
        &self,
        input: &[u8],
        mut on_arrival: impl FnMut(Arrival<'_>) -> Result<(), Lost>,
    ) -> Result<(), Lost> {
        let mut partial = self.partial.take();
        if partial.is_empty() {
            let used = self.take_frames(input, &mut on_arrival)?;
            partial.extend_from_slice(&input[used..]);
        } else {
            partial.extend_from_slice(input);
            let used = self.take_frames(&partial, &mut on_arrival)?;
            partial.drain(..used);
        }
        if partial.is_empty() {
            // An idle member of many keeps no buffer.
            partial = Vec::new();
        }
        self.partial.replace(partial);
        Ok(())
    }

    fn take_frames(
        &self,
        input: &[u8],
        on_arrival: &mut impl FnMut(Arrival<'_>) -> Result<(), Lost>,
    ) -> Result<usize, Lost> {
        let mut used = 0;
        while let Some(frame) =
            split_frame(&input[used..], SERVER_FRAME_BYTES).map_err(|error| Lost::Wrong(format!("got {error}")))?
        {
            if let Some(arrival) = self.take_frame(frame.body)? {
                on_arrival(arrival)?;
            }
            used += frame.consumed;
        }
        Ok(used)
    }

    fn take_frame<'a>(&self, body: &'a [u8]) -> Result<Option<Arrival<'a>>, Lost> {
        if let Some(sequence) = sequence_of(body) {
            return self.take_message(sequence, body).map(Some);
        }
        let frame = open_server_frame(body).map_err(|error| Lost::Wrong(format!("got a bad frame: {error}")))?;
        match frame.body {
            Some(Body::RoomMessage(message)) => self.take_message(message.sequence, body).map(Some),
            Some(Body::RoomGap(gap)) => {
                let mut account = self.account.get();
                account.miss(&gap);
                self.account.set(account);
                Ok(Some(Arrival::Gap))
            }
            Some(Body::Reply(reply)) => self.take_reply(frame.request_id, reply),
            Some(Body::Close(close)) => Err(Lost::Closed {
                code: close.code,
                detail: close.detail,
                retry_after_ms: close.retry_after_ms,
            }),
            _ => Ok(None),
        }
    }

    fn take_message<'a>(&self, sequence: u64, body: &'a [u8]) -> Result<Arrival<'a>, Lost> {
        let mut account = self.account.get();
        account.deliver(sequence)?;
        self.account.set(account);
        Ok(Arrival::Message(body))
    }

    fn take_reply(&self, request_id: u32, reply: Reply) -> Result<Option<Arrival<'static>>, Lost> {
        if matches!(request_id, CHURN_ENTER | CHURN_LEAVE) {
            if let Some(reply::Result::RoomEntered(entered)) = &reply.result {
                self.account.set(Account::open(entered.sequence));
            }
            self.moves.set(self.moves.get().saturating_sub(1));
            return Ok(Some(Arrival::Moved {
                entered: request_id == CHURN_ENTER,
                code: reply.code,
            }));
        }
        if reply.code != 0 {
            return Err(Lost::Refused {
                code: reply.code,
                detail: reply.detail,
                retry_after_ms: reply.retry_after_ms,
            });
        }
        Ok(match reply.result {
            Some(reply::Result::Login(_)) => {
                self.stage.set(Stage::LoggedIn);
                Some(Arrival::Stage(Stage::LoggedIn))
            }
            Some(reply::Result::RoomEntered(entered)) => {
                self.stage.set(Stage::Inside);
                self.account.set(Account::open(entered.sequence));
                Some(Arrival::Stage(Stage::Inside))
            }
            Some(reply::Result::Pong(_)) => Some(Arrival::Pong(now_ns() - self.pinged_ns.replace(0))),
            _ => None,
        })
    }
}

/// The frames that enter and leave `room` in turn, the first made from an ordinary way in.
pub(super) fn churn_frames(hello: &crate::receiver::Hello, room: &str) -> (Vec<u8>, Vec<u8>) {
    let leave = LeaveRoom {
        room_id: room.to_owned(),
    };
    (hello.enter(CHURN_ENTER), command(CHURN_LEAVE, Body::LeaveRoom(leave)))
}

fn command(request_id: u32, body: Body) -> Vec<u8> {
    let frame = Frame {
        request_id,
        body: Some(body),
    };
    sluice_codec::encode(&frame).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{Batches, welcome};
    use crate::messages::Talk;
    use sluice_protocol::RoomGap;

    fn stream() -> Vec<u8> {
        let talk = Talk {
            room: "lobby".into(),
            sender: "bob".into(),
            content: "hello".into(),
            window: 2,
        };
        let gap = RoomGap {
            room_id: "lobby".into(),
            low: 3,
            ..RoomGap::default()
        };
        [
            welcome().to_vec(),
            Batches::new(talk).next_round().to_vec(),
            command(0, Body::RoomGap(gap)),
        ]
        .concat()
    }

    #[test]
    fn frames_are_understood_however_their_bytes_are_cut() {
        let stream = stream();
        for cut in 1..stream.len() {
            let member = Member::new(0, false);
            let mut arrivals = 0;
            for piece in stream.chunks(cut) {
                member
                    .take(piece, |_| {
                        arrivals += 1;
                        Ok(())
                    })
                    .unwrap();
            }
            assert_eq!(arrivals, 4, "in pieces of {cut}");
            assert_eq!(member.stage.get(), Stage::Inside);
            assert!(member.account.get().is_settled(5).unwrap());
            assert!(member.partial.borrow().is_empty());
        }
    }

    #[test]
    fn a_refusal_keeps_its_code_and_advice() {
        let reply = Reply {
            code: 20607,
            detail: "overload".into(),
            retry_after_ms: 700,
            ..Reply::default()
        };
        let member = Member::new(0, false);
        let lost = member
            .take(&command(ENTER, Body::Reply(reply)), |_| Ok(()))
            .unwrap_err();
        assert_eq!(lost.to_string(), "refused with 20607 overload");
        assert_eq!(lost.advised().as_millis(), 700);
    }
}
