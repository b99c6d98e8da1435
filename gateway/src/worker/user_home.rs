//! Users at their home: who logs in, who goes on with which session, who has to go.
//!
//! The rules are [`crate::session::users`]; this carries them out. What travels between workers for a session:
//!
//! ```text
//! connection's worker          user's home                  old connection's worker      rooms' homes
//!        │── Register ───────────▶│                                  │                        │
//!        │                        │── Supplant ─────────────────────▶│  (it is not known      │
//!        │                        │                                  │── Detach ─────────────▶│   to be lost)
//!        │                        │◀─ Detached{rooms} ───────────────│                        │
//!        │◀─ Registered ──────────│                                  ╵                        │
//!        │── Resume{old}, one room after the other ──────────────────────────────────────────▶│
//!        │◀─ Admit, or NotResumed where it is not inside any more ────────────────────────────│
//!        ╎                        ╎                                                           ╎
//!        │── Detach ──────────────────────────────────────── the connection is lost ─────────▶│
//!        │── Detached{rooms} ────▶│                                                           │
//!        ╵                        │── Leave(Offline) ─────────────── the time is over ────────▶│
//! ```
//!
//! Values from one worker to another keep their order, those from several to one do not. It holds nevertheless:
//!
//! - Of each connection that was granted a login, its home hears of the end exactly once: by `Detached` or `Unregister`, or, when
//!   `Registered` finds the connection gone, by `Returned` or `Unregister`. So an heir never waits in vain, and `Supplant` needs no
//!   answer of its own: where it finds the connection gone, the end is on its way already.
//! - `Resume` may overtake the `Detach` of the old connection on its way to a room. The place is the new connection's then, and the
//!   `Detach` finds nothing. So does one that comes after the `Leave`.
//! - Two who come with one secret: the first is granted the session or becomes its heir, and the session has a new secret. The other
//!   is a login like any other.
//! - A room may hear that a place is kept for the user alone before or after it hears that the connection is lost: what cannot be
//!   resumed stays so.
//! - Who is displaced or blocked while its connection is lost, or while an heir waits, is so at the home at once: what arrives
//!   afterwards is judged by that.
//! - A room that ends, or puts the user out, forgets the place. `Resume` finds none, and the client is told.

use std::rc::Rc;

use bytes::Bytes;
use sluice_protocol::{ErrorCode, LeaveReason};
use tokio::sync::oneshot;

use crate::clock::Now;
use crate::config::SingleLogin;
use crate::identity::{AppIndex, Caller, ConnectionRef, User, UserKey};
use crate::metrics::Metric;
use crate::refusal::Refusal;
use crate::room::{self, KeptFor};
use crate::session::login;
use crate::session::parked::Lost;
use crate::session::users::{Arrival, Decision, Ended, How};
use crate::worker::Worker;
use crate::worker::mailbox::Message;

/// Places in rooms that are given up in a tick, because nobody resumed them: forty thousand a second, so that a loss of many
/// connections at once does not hold up the worker when their time is over.
const LEAVES_PER_TICK: usize = 4096;

impl Worker {
    /// Somebody logs in.
    pub(super) fn register(&self, arrival: Box<Arrival>, now: Now) {
        let user = arrival.login.user.clone();
        let decisions = match self.block_of(&user, now) {
            Some(refusal) => vec![Decision::Refuse(arrival, refusal)],
            None => {
                let policy = self.single_login(user.app);
                self.users.borrow_mut().register(arrival, policy)
            }
        };
        self.carry_out_decisions(decisions);
    }

    /// A session ended for good.
    pub(super) fn unregister(&self, user: &UserKey, connection: ConnectionRef, ended: Ended) {
        let policy = self.single_login(user.app);
        let decisions = self.users.borrow_mut().unregister(user, connection, ended, policy);
        self.carry_out_decisions(decisions);
    }

    /// The connection of a session is lost.
    pub(super) fn detached(&self, lost: Box<Lost>, now: Now) {
        let decisions = match self.block_of(&lost.user, now) {
            Some(refusal) => self.evict_lost(lost, &refusal),
            None => self.users.borrow_mut().detached(now.instant, lost),
        };
        self.carry_out_decisions(decisions);
    }

    /// A connection was lost before it heard that it goes on with a session.
    pub(super) fn returned(&self, connection: ConnectionRef, lost: Box<Lost>, now: Now) {
        let decisions = match self.block_of(&lost.user, now) {
            Some(refusal) => self.evict_lost(lost, &refusal),
            None => self.users.borrow_mut().returned(now.instant, connection, lost),
        };
        self.carry_out_decisions(decisions);
    }

    /// The app's server puts a user out.
    pub(super) fn evict(&self, user: &UserKey, refusal: &Refusal) {
        let decisions = self.users.borrow_mut().evict(user, refusal);
        self.carry_out_decisions(decisions);
    }

    /// An event for all connections of a user.
    pub(super) fn notify(&self, user: &UserKey, frame: &Bytes) {
        for to in self.users.borrow().connections(user) {
            let (connection, frame) = (to.key, frame.clone());
            self.post(to.worker, Message::Event { connection, frame });
        }
    }

    /// Which of these users have a connection.
    pub(super) fn tell_online(&self, users: &[UserKey], answer: oneshot::Sender<Vec<bool>>) {
        let known = self.users.borrow();
        let online = users.iter().map(|user| known.connections(user).len() > 0);
        // Nobody takes an answer that comes too late.
        let _ = answer.send(online.collect());
    }

    /// Gives up places whose time is over.
    pub(super) fn expire_parked(self: &Rc<Self>, now: Now) {
        let decisions = self.users.borrow_mut().expire(now.instant, LEAVES_PER_TICK);
        self.carry_out_decisions(decisions);
    }

    fn evict_lost(&self, lost: Box<Lost>, refusal: &Refusal) -> Vec<Decision> {
        let mut decisions = self.users.borrow_mut().evict(&lost.user.key(), refusal);
        decisions.push(Decision::Leave(lost, LeaveReason::UserBlocked));
        decisions
    }

    fn carry_out_decisions(&self, decisions: Vec<Decision>) {
        for decision in decisions {
            match decision {
                Decision::Grant(arrival, granted) => {
                    match granted.how {
                        How::New => {}
                        How::Resumed => self.metrics.add_labelled(Metric::Resumes, 0, 1),
                        How::TakenOver => self.metrics.add_labelled(Metric::Resumes, 1, 1),
                        How::Unknown => self.metrics.add_labelled(Metric::Resumes, 2, 1),
                    }
                    self.answer_login(arrival, Ok(granted));
                }
                Decision::Refuse(arrival, refusal) => self.answer_login(arrival, Err(refusal)),
                Decision::Close(to, refusal) => {
                    if refusal.code == ErrorCode::KICKED_BY_OTHER_DEVICE {
                        self.metrics.add(Metric::Kicks, 1);
                    }
                    let connection = to.key;
                    self.post(to.worker, Message::Close { connection, refusal });
                }
                Decision::Supplant(to) => self.post(to.worker, Message::Supplant { connection: to.key }),
                Decision::Leave(lost, reason) => self.tell_rooms(&lost, || room::Request::Leave(reason)),
                Decision::KeepForUser(lost) => self.tell_rooms(&lost, || room::Request::Detach(KeptFor::User)),
            }
        }
    }

    fn answer_login(&self, arrival: Box<Arrival>, result: Result<crate::session::users::Granted, Refusal>) {
        let worker = arrival.connection.worker;
        self.post(worker, Message::Registered { arrival, result });
    }

    /// Tells the rooms that a lost connection was inside what becomes of its places.
    fn tell_rooms(&self, lost: &Lost, request: impl Fn() -> room::Request) {
        for room in &lost.rooms {
            let caller = Caller {
                user: lost.user.clone(),
                connection: lost.connection,
                request_id: 0,
            };
            let (room, request) = (room.clone(), request());
            self.post(self.home_of_room(&room), Message::Room { room, caller, request });
        }
    }

    /// What a user hears whom the app's server has put out.
    fn block_of(&self, user: &User, now: Now) -> Option<Refusal> {
        let policy = self.shared.policies.of(user.app);
        policy
            .blocks
            .get(&user.id, now)
            .and_then(|entry| login::blocked(entry, now))
    }

    fn single_login(&self, app: AppIndex) -> SingleLogin {
        self.shared.apps.get(app).settings.single_login
    }
}
