//! A room at its home: the one place that decides who is inside, numbers the messages and remembers the newest.
//!
//! Plain rules: [`Room::handle`] takes a request and the time and returns [`Effect`]s; a worker's shell carries them
//! out. The room never sees a connection, only its address. Start with [`Room::handle`]; [`Rooms`] keeps all rooms
//! whose home is this worker.

mod attributes;
mod ending;
mod enter;
mod history;
mod house;
mod ingress;
mod member_events;
mod members;
mod moderation;
mod order;
mod orders;
mod places;
mod queries;
mod recent;
mod record;
mod request;
mod restore;
mod rooms;
mod rules;
mod send;
mod voice;

use std::sync::Arc;
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use sluice_protocol::{MessageType, RoomDestroyed, RoomDestroyedReason, UserId, frame::Body};

use crate::class::Class;
use crate::clock::Now;
use crate::config::RoomPolicy;
use crate::frames;
use crate::identity::{Caller, ConnectionRef, RoomKey, WorkerIndex};
use crate::message_id::MessageIds;
use crate::policy::AppPolicy;
use crate::rate_limit::SlidingWindow;

use attributes::Attributes;
pub(crate) use attributes::Write;
pub(crate) use ending::Ends;
use ending::Presence;
use history::History;
use ingress::Ingress;
use member_events::MemberEvents;
use members::Members;
use moderation::{Kicked, Moderation};
pub(crate) use order::{Answer, Description, Lasting, ListedFirst, ListedMember, Order, Ordered, Published, Tell};
use places::RoomPlace;
pub(crate) use places::RoomPlaces;
use queries::Lists;
pub(crate) use queries::{Cursor, Query};
use recent::Recent;
use record::{Keeping, Maker};
pub(crate) use request::{Create, Effect, Enter, Entered, KeptFor, NewRoom, Outgoing, Request};
pub(crate) use rooms::Rooms;
pub(crate) use rules::Rules;

/// What a refused sender is told to wait at least, so that a client does not spin.
pub(crate) const RETRY_AFTER_MIN: Duration = Duration::from_millis(1);

/// Senders remembered before the idle ones are looked for.
const SENDERS_SWEPT_AT_MIN: usize = 64;

/// One room.
#[derive(Debug)]
pub(crate) struct Room {
    key: RoomKey,
    name: String,
    policy: Arc<RoomPolicy>,
    created_at_ms: i64,
    /// What ends it: as its policy says, or otherwise.
    ends: Ends,
    presence: Presence,
    /// When there was a message or a join.
    active_at: Instant,
    /// When its entry among the deadlines comes up.
    armed: Option<Instant>,
    keeping: Keeping,
    members: Members,
    /// The newest message's number.
    sequence: u64,
    history: History,
    recent: Recent,
    /// Who sent something lately. Kept when they leave, or leaving would be a way round the limit.
    senders: HashMap<Sender, SlidingWindow>,
    /// When to forget the senders that are idle: once there are so many.
    senders_swept_at: usize,
    member_events: MemberEvents,
    /// Made when it is first needed; rooms whose policy has no budget have none.
    ingress: Option<Box<Ingress>>,
    kicked: Kicked,
    /// Who stays though gone, as [allowed](Moderation::allowed).
    staying: Vec<UserId>,
    /// Made when one is first written.
    attributes: Option<Box<Attributes>>,
    /// Of members, for those who ask.
    lists: Lists,
    /// Among those that the app may have.
    place: RoomPlace,
}

/// What a room looks at when it is asked something.
#[derive(Debug, Clone, Copy)]
struct Context<'a> {
    now: Now,
    rules: &'a Rules,
    /// What the app's server has decided for all rooms.
    app: &'a AppPolicy,
    /// What it has decided for this one.
    moderation: &'a Moderation,
}

/// What one rate limit counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Sender {
    /// In a `live` room: the user, whatever the device and the type.
    User(UserId),
    /// In a `room` room: the connection, each type for itself.
    Connection(ConnectionRef, MessageType),
}

impl Room {
    fn new(key: RoomKey, name: String, policy: Arc<RoomPolicy>, place: RoomPlace, now: Now) -> Self {
        Self {
            key,
            name,
            ends: policy.ends.into(),
            policy,
            created_at_ms: now.unix_ms,
            presence: Presence::Unused,
            active_at: now.instant,
            armed: None,
            keeping: Keeping::default(),
            members: Members::default(),
            sequence: 0,
            history: History::default(),
            recent: Recent::default(),
            senders: HashMap::new(),
            senders_swept_at: SENDERS_SWEPT_AT_MIN,
            member_events: MemberEvents::new(now.instant),
            ingress: None,
            kicked: Kicked::default(),
            staying: Vec::new(),
            attributes: None,
            lists: Lists::default(),
            place,
        }
    }

    fn workers(&self) -> Vec<WorkerIndex> {
        self.members.workers()
    }

    fn member_count(&self) -> usize {
        self.members.len()
    }

    fn is_pending(&self, rules: &Rules) -> bool {
        self.member_events.is_pending(self.members.len(), &rules.rooms)
            || self.ingress.as_ref().is_some_and(|ingress| ingress.is_pending())
    }

    fn tick(&mut self, now: Now, rules: &Rules) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.tell_what_was_shed(&mut effects);
        #[cfg(test)]
        self.fail_on_purpose(self.name.as_bytes());
        let event = self
            .member_events
            .on_tick(now.instant, &self.key, self.members.len(), &rules.rooms);
        effects.extend(event.map(|body| self.publish_event(body)));
        effects
    }

    /// Ends the room: its members are outside.
    fn destroy(&self, reason: RoomDestroyedReason) -> Effect {
        let destroyed = RoomDestroyed {
            room_id: self.key.id.as_str().to_owned(),
            reason: reason.into(),
        };
        Effect::Destroy {
            to: self.members.workers(),
            frame: frames::event(Body::RoomDestroyed(destroyed)).into(),
        }
    }

    /// Answers one request. `created` tells that this request made the room.
    fn handle(
        &mut self,
        context: Context<'_>,
        caller: &Caller,
        request: Request,
        created: bool,
        message_ids: &mut MessageIds,
    ) -> Vec<Effect> {
        match request {
            Request::Enter(enter) => self.enter(context, caller, &enter, created),
            Request::Leave(reason) => self.leave(context, caller, reason),
            Request::Detach(kept_for) => self.detach(caller, kept_for),
            Request::Resume { old, after } => self.resume(context, caller, old, after),
            _ if !self.members.is_inside(&caller.user, caller.connection) => {
                self.refuse_outsider(context, caller, request)
            }
            Request::Send(message) => self.send(context, caller, message, message_ids),
            Request::WriteAttributes(write) => self.write_attributes(context, caller, write),
            Request::Query(query) => self.query(context, caller, query),
        }
    }

    /// A defect half way through a change, for tests of what it does to others: in a room with the id "faulty", when somebody called
    /// "fault" enters or says that word, and at its ticks if it is called so itself.
    #[cfg(test)]
    fn fail_on_purpose(&self, word: &[u8]) {
        assert!(self.key.id.as_str() != "faulty" || word != b"fault", "on purpose");
    }

    /// Tells the members what they do not get, before anything else of the room.
    fn tell_what_was_shed(&mut self, effects: &mut Vec<Effect>) {
        let untold = self.ingress.as_mut().and_then(|ingress| ingress.take_untold());
        effects.extend(untold.map(|missed| Effect::Gap {
            to: self.members.workers(),
            frame: missed.notice(&self.key).into(),
        }));
    }

    /// Events about the room itself are never dropped.
    fn publish_event(&self, body: Body) -> Effect {
        let frame = frames::event(body).into();
        Effect::Publish {
            to: self.members.workers(),
            frame,
            sequence: 0,
            class: Class::Control,
        }
    }
}

#[cfg(test)]
mod tests;
