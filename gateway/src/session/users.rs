//! The users whose home is one worker: which sessions each has, which of them must go when another logs in, and which go on with
//! another connection.
//!
//! A session is *live* while it has a connection, and *parked* from when that is lost until its client resumes it or the time for
//! that is over ([`crate::session::parked`]). Both count for the rules of single login. A client may resume a session whose
//! connection is not known to be lost: it waits as its *heir* until the worker of that connection has ended it and told what it was
//! inside.
//!
//! Plain rules: each method says what is to be done as [`Decision`]s. `worker/user_home.rs` carries them out, and describes the values
//! that travel between workers for it.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hashbrown::{Equivalent, HashMap};
use sluice_protocol::{ErrorCode, LeaveReason, Platform, UserId};

use crate::config::SingleLogin;
use crate::identity::{AppIndex, ConnectionRef, User, UserKey};
use crate::refusal::Refusal;
use crate::session::login::Accepted;
use crate::session::papers::{Papers, ResumeSecret, SessionId};
use crate::session::parked::{Lost, PARKED_MAX, Parked};

/// See the module.
#[derive(Debug)]
pub(crate) struct Users {
    sessions: HashMap<ByKey, Sessions>,
    /// Who waits to go on with a session, by the connection that it has.
    heirs: HashMap<ConnectionRef, Box<Arrival>>,
    parked: Parked,
}

/// A session's record of its user, hashed and compared by app and id: a pointer instead of a copy for each user.
#[derive(Debug)]
pub(crate) struct ByKey(pub(super) Arc<User>);

/// In the order they began. Nearly every user has one, which needs no allocation.
#[derive(Debug)]
enum Sessions {
    One(Known),
    #[expect(
        clippy::box_collection,
        reason = "with a vector, everybody would take as much room as those few"
    )]
    Many(Box<Vec<Known>>),
}

/// A session.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    /// The one it has, or had last.
    connection: ConnectionRef,
    device: Device,
    /// When the connection was opened that it has, or had last.
    opened: Instant,
    /// When it logged in. To resume it changes nothing about that.
    started_at_ms: i64,
    papers: Papers,
    /// What its client came with. Where it did not hear of this session, it comes with the same again.
    came_with: Option<ResumeSecret>,
}

/// An installation, as far as its client says which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Device {
    platform: Platform,
    /// Hashed: it is only compared with others of the same user. `None`: it has no name.
    id: Option<u64>,
}

/// Somebody who asks to log in.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub connection: ConnectionRef,
    /// When the connection was opened.
    pub opened: Instant,
    pub sending: Sending,
    pub request_id: u32,
    pub login: Box<Accepted>,
    /// For the session, if it is a new one; else the secret alone.
    pub papers: Papers,
}

/// Whether a client can still send. Of a connection that was cut nothing else is seen than of one whose client has ended its side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sending {
    Open,
    Ended,
}

/// A login that is granted.
#[derive(Debug)]
pub(crate) struct Granted {
    pub id: SessionId,
    pub secret: ResumeSecret,
    /// The session goes on with the places of this connection.
    pub resumed: Option<Box<Lost>>,
    pub how: How,
}

/// How a login became a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// It asked for no session that was before.
    New,
    /// It is one that was parked.
    Resumed,
    /// It is one whose connection was not known to be lost.
    TakenOver,
    /// It asked for one that cannot be resumed, and is a new one.
    Unknown,
}

/// Why a session ended for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    LoggedOut,
    /// It was put out, or nobody was there any more to hear that its login was granted.
    Otherwise,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Decision {
    Grant(Box<Arrival>, Granted),
    Refuse(Box<Arrival>, Refusal),
    /// Ends a connection.
    Close(ConnectionRef, Refusal),
    /// Ends a connection whose session goes on elsewhere, and has its worker tell what it was inside.
    Supplant(ConnectionRef),
    /// The places of a lost connection are given up.
    Leave(Box<Lost>, LeaveReason),
    /// They cannot be taken again by the session, which was displaced; they wait for another device of the user alone.
    KeepForUser(Box<Lost>),
}

/// What a session gets whose user logged in elsewhere.
const DISPLACED: Refusal = Refusal::new(ErrorCode::KICKED_BY_OTHER_DEVICE);

impl Users {
    /// Lost connections are parked for `window`.
    pub(crate) fn new(window: Duration) -> Self {
        Self::with_parked(Parked::new(window, PARKED_MAX))
    }

    fn with_parked(parked: Parked) -> Self {
        Self {
            sessions: HashMap::new(),
            heirs: HashMap::new(),
            parked,
        }
    }

    /// How many users have a live session.
    pub(crate) fn len(&self) -> usize {
        self.sessions.len()
    }

    /// How many sessions are parked.
    pub(crate) fn parked(&self) -> usize {
        self.parked.len()
    }

    /// The connections of a user's live sessions.
    pub(crate) fn connections(
        &self,
        user: &(impl Hash + Equivalent<ByKey>),
    ) -> impl ExactSizeIterator<Item = ConnectionRef> {
        self.of(user).iter().map(|known| known.connection)
    }

    /// Somebody logs in.
    pub(crate) fn register(&mut self, arrival: Box<Arrival>, policy: SingleLogin) -> Vec<Decision> {
        let Some(resume) = &arrival.login.resume else {
            return self.begin(arrival, policy, How::New);
        };
        let user = arrival.login.user.key();
        let secret = &resume.secret;
        let parked = self.parked.resumable(&user).into_iter();
        let mut parked = parked.filter(|(_, known)| known.papers.secret.matches(secret));
        if let Some(lost) = parked.next().and_then(|(number, _)| self.parked.take(number)) {
            return self.hand_over(arrival, lost, How::Resumed);
        }
        let live = self.of(&user).iter();
        let mut live = live.filter(|known| known.papers.secret.matches(secret));
        match live.next().map(|known| known.connection) {
            // The first who asks gets it.
            Some(connection) if !self.heirs.contains_key(&connection) => {
                self.heirs.insert(connection, arrival);
                vec![Decision::Supplant(connection)]
            }
            _ => self.begin(arrival, policy, How::Unknown),
        }
    }

    /// A session ended for good. With a logout of the last one, nobody is left for whom places could be kept.
    pub(crate) fn unregister(
        &mut self,
        user: &UserKey,
        connection: ConnectionRef,
        ended: Ended,
        policy: SingleLogin,
    ) -> Vec<Decision> {
        self.remove(user, connection);
        match self.heirs.remove(&connection) {
            Some(heir) => self.begin(heir, policy, How::Unknown),
            None if ended == Ended::LoggedOut && self.of(user).is_empty() && self.parked.resumable(user).is_empty() => {
                let parked = self.parked.take_all(user).into_iter();
                parked.map(|lost| Decision::Leave(lost, LeaveReason::Logout)).collect()
            }
            None => Vec::new(),
        }
    }

    /// The connection of a session is lost.
    pub(crate) fn detached(&mut self, now: Instant, mut lost: Box<Lost>) -> Vec<Decision> {
        lost.session = self.remove(&lost.user.key(), lost.connection);
        let connection = lost.connection;
        self.settle(now, connection, lost)
    }

    /// A session was to go on with `connection`, which was lost before it heard of it: all is as it was before, so that the client
    /// can try again with the secret it has.
    pub(crate) fn returned(&mut self, now: Instant, connection: ConnectionRef, mut lost: Box<Lost>) -> Vec<Decision> {
        if self.remove(&lost.user.key(), connection).is_none() {
            // Displaced meanwhile.
            lost.session = None;
        }
        self.settle(now, connection, lost)
    }

    /// The app's server puts a user out: connections are closed with `refusal`, and nothing is left to be resumed.
    pub(crate) fn evict(&mut self, user: &UserKey, refusal: &Refusal) -> Vec<Decision> {
        let mut decisions = Vec::new();
        let connections: Vec<ConnectionRef> = self.connections(user).collect();
        for connection in connections {
            self.close(connection, refusal, &mut decisions);
        }
        self.sessions.remove(user);
        let parked = self.parked.take_all(user).into_iter();
        decisions.extend(parked.map(|lost| Decision::Leave(lost, LeaveReason::UserBlocked)));
        decisions
    }

    /// Parked sessions whose time is over leave their rooms, up to so many rooms together; the rest with the next call.
    pub(crate) fn expire(&mut self, now: Instant, rooms_max: usize) -> Vec<Decision> {
        let over = self.parked.expire(now, rooms_max).into_iter();
        over.map(|lost| Decision::Leave(lost, LeaveReason::Offline)).collect()
    }

    /// A new session begins, and others may have to go.
    fn begin(&mut self, arrival: Box<Arrival>, policy: SingleLogin, how: How) -> Vec<Decision> {
        let login = &arrival.login;
        let user = login.user.key();
        let device = Device {
            platform: login.platform,
            id: (!login.device_id.is_empty()).then(|| self.sessions.hasher().hash_one(&login.device_id)),
        };
        // In the order they go: what is lost before what is in use, and the oldest first.
        let parked = self.parked.resumable(&user);
        let (own, parked): (Vec<_>, Vec<_>) = parked
            .into_iter()
            .partition(|(_, known)| login.resumes_session_of_ms == Some(known.started_at_ms));
        let live = self.of(&user).iter().copied();
        let parked = parked.into_iter().map(|(number, known)| (Some(number), known));
        let all: Vec<(Option<u64>, Known)> = parked.chain(live.map(|known| (None, known))).collect();
        let displaced: Vec<(Option<u64>, Known)> = match policy {
            SingleLogin::Single => all,
            SingleLogin::PerPlatform => {
                let same = |(_, known): &(_, Known)| known.device.platform == login.platform;
                all.into_iter().filter(same).collect()
            }
            SingleLogin::Multi(most) => {
                let surplus = (all.len() + 1).saturating_sub(most as usize);
                all.into_iter().take(surplus).collect()
            }
        };
        let came_with = login.resume.as_ref().map(|resume| resume.secret);
        let is_newer = |(parked, known): &(Option<u64>, Known)| {
            let began_later = login
                .resumes_session_of_ms
                .is_some_and(|lost| known.started_at_ms > lost);
            let has_ended = arrival.sending == Sending::Ended && parked.is_none();
            let secrets = known.came_with.zip(came_with);
            let is_its_own = secrets.is_some_and(|(known, own)| known.matches(&own));
            // What a client has given up for another connection can still come, as late as its worker is. And what it began without hearing of it
            // is not somebody else's.
            let is_later =
                (is_its_own || device.id.is_some() && known.device == device) && known.opened > arrival.opened;
            is_later || began_later && !is_its_own || has_ended && known.device == device
        };
        if displaced.iter().any(is_newer) {
            let refusal = Refusal::with_detail(ErrorCode::KICKED_BY_OTHER_DEVICE, "newer_login");
            return vec![Decision::Refuse(arrival, refusal)];
        }
        let mut decisions = Vec::new();
        // The session that a library lost and could not resume gives way to the one it begins instead.
        let own = own.into_iter().map(|(number, known)| (Some(number), known));
        for (parked, known) in own.chain(displaced) {
            match parked {
                Some(number) => decisions.extend(self.parked.displace(number).map(Decision::KeepForUser)),
                None => {
                    self.remove(&user, known.connection);
                    self.close(known.connection, &DISPLACED, &mut decisions);
                }
            }
        }
        let known = Known {
            connection: arrival.connection,
            device,
            opened: arrival.opened,
            started_at_ms: login.started_at_ms,
            papers: arrival.papers,
            came_with,
        };
        let granted = Granted {
            id: known.papers.id,
            secret: known.papers.secret,
            resumed: None,
            how,
        };
        self.add(&arrival.login.user, known);
        decisions.push(Decision::Grant(arrival, granted));
        decisions
    }

    /// What a lost connection leaves goes to the heir of its session, if there is one, and is parked otherwise.
    fn settle(&mut self, now: Instant, connection: ConnectionRef, lost: Box<Lost>) -> Vec<Decision> {
        match self.heirs.remove(&connection) {
            Some(heir) => self.hand_over(heir, lost, How::TakenOver),
            None if lost.session.is_none() && lost.rooms.is_empty() => Vec::new(),
            None => {
                let displaced = lost.session.is_none().then(|| Decision::KeepForUser(lost.clone()));
                let oldest = self.parked.park(now, lost);
                let oldest = oldest.map(|oldest| Decision::Leave(oldest, LeaveReason::Offline));
                displaced.into_iter().chain(oldest).collect()
            }
        }
    }

    /// A session goes on with the connection of `arrival`. Nobody has to go for it: it had its place.
    fn hand_over(&mut self, arrival: Box<Arrival>, lost: Box<Lost>, how: How) -> Vec<Decision> {
        let session = lost.session.expect("only a session that can be resumed is handed over");
        let papers = Papers {
            id: session.papers.id,
            secret: arrival.papers.secret,
        };
        let known = Known {
            connection: arrival.connection,
            opened: arrival.opened,
            papers,
            came_with: arrival.login.resume.as_ref().map(|resume| resume.secret),
            ..session
        };
        self.add(&arrival.login.user, known);
        let granted = Granted {
            id: papers.id,
            secret: papers.secret,
            resumed: Some(lost),
            how,
        };
        vec![Decision::Grant(arrival, granted)]
    }

    /// Closes a connection; whoever waits for its session does so in vain.
    fn close(&mut self, connection: ConnectionRef, refusal: &Refusal, decisions: &mut Vec<Decision>) {
        decisions.push(Decision::Close(connection, refusal.clone()));
        let heir = self.heirs.remove(&connection);
        decisions.extend(heir.map(|heir| Decision::Refuse(heir, refusal.clone())));
    }

    fn of(&self, user: &(impl Hash + Equivalent<ByKey>)) -> &[Known] {
        self.sessions.get(user).map_or(&[], Sessions::as_slice)
    }

    fn add(&mut self, user: &Arc<User>, known: Known) {
        let key = user.key();
        let mut sessions = self.of(&key).to_vec();
        let place = sessions.partition_point(|older| older.started_at_ms <= known.started_at_ms);
        sessions.insert(place, known);
        // The record of the newest login, so that those of sessions that are gone can go.
        self.sessions.remove(&key);
        self.sessions
            .extend(Sessions::of(sessions).map(|sessions| (ByKey(user.clone()), sessions)));
    }

    fn remove(&mut self, user: &UserKey, connection: ConnectionRef) -> Option<Known> {
        let sessions = self.sessions.get_mut(user)?;
        let known = sessions.as_slice().iter().copied();
        let (removed, left): (Vec<_>, Vec<_>) = known.partition(|known| known.connection == connection);
        match Sessions::of(left) {
            Some(left) => *sessions = left,
            None => {
                self.sessions.remove(user);
            }
        }
        removed.first().copied()
    }
}

impl Sessions {
    fn as_slice(&self) -> &[Known] {
        match self {
            Self::One(known) => std::slice::from_ref(known),
            Self::Many(known) => known,
        }
    }

    /// `None` for no session.
    fn of(known: Vec<Known>) -> Option<Self> {
        match known[..] {
            [] => None,
            [one] => Some(Self::One(one)),
            _ => Some(Self::Many(Box::new(known))),
        }
    }
}

impl PartialEq for ByKey {
    fn eq(&self, other: &Self) -> bool {
        (self.0.app, &self.0.id) == (other.0.app, &other.0.id)
    }
}

impl Eq for ByKey {}

impl Hash for ByKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.0.app, &self.0.id).hash(state);
    }
}

impl Equivalent<ByKey> for UserKey {
    fn equivalent(&self, known: &ByKey) -> bool {
        (self.app, &self.id) == (known.0.app, &known.0.id)
    }
}

/// As a [`UserKey`] without one.
impl Equivalent<ByKey> for (AppIndex, &UserId) {
    fn equivalent(&self, known: &ByKey) -> bool {
        *self == (known.0.app, &known.0.id)
    }
}

#[cfg(test)]
mod tests;
