//! A room at its home: the one place that decides who is inside, numbers the messages and remembers the newest.
//!
//! Plain rules: [`Room::handle`] takes a request and the time and returns [`Effect`]s; a worker's shell carries them
//! out. The room never sees a connection, only its address. Start with [`Room::handle`]; [`Rooms`] keeps all rooms
//! whose home is this worker.

mod history;
mod ingress;
mod member_events;
mod members;
mod recent;
mod request;
mod rooms;
mod rules;

use std::time::Duration;

use bytes::Bytes;
use hashbrown::HashMap;
use sluice_protocol::{
    ErrorCode, LeaveReason, LeaveRoomResult, MessageType, RoomDestroyed, RoomDestroyedReason, RoomEntered, RoomInfo,
    RoomMessage, RoomPreset, SendMessageResult, UserId, frame::Body, reply,
};

use crate::class::Class;
use crate::clock::Now;
use crate::config;
use crate::frames;
use crate::identity::{Caller, ConnectionRef, RoomKey, WorkerIndex};
use crate::message_id::MessageIds;
use crate::rate_limit::SlidingWindow;
use crate::refusal::Refusal;

use history::History;
use ingress::{Ingress, Verdict};
use member_events::MemberEvents;
use members::{Arrival, Departure, Members};
use recent::{Recent, Seen};
pub(crate) use request::{Create, Effect, Enter, Entered, NewRoom, Outgoing, Request};
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
    preset: RoomPreset,
    created_at_ms: i64,
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
    /// Made when it is first needed; rooms of the preset `room` have none.
    ingress: Option<Box<Ingress>>,
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
    fn new(key: RoomKey, name: String, preset: RoomPreset, now: Now) -> Self {
        Self {
            key,
            name,
            preset,
            created_at_ms: now.unix_ms,
            members: Members::default(),
            sequence: 0,
            history: History::default(),
            recent: Recent::default(),
            senders: HashMap::new(),
            senders_swept_at: SENDERS_SWEPT_AT_MIN,
            member_events: MemberEvents::new(now.instant),
            ingress: None,
        }
    }

    fn is_empty(&self) -> bool {
        self.members.is_empty()
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
        now: Now,
        caller: &Caller,
        request: Request,
        created: bool,
        message_ids: &mut MessageIds,
        rules: &Rules,
    ) -> Vec<Effect> {
        match request {
            Request::Enter(enter) => self.enter(caller, &enter, created, rules),
            Request::Leave(reason) => self.leave(caller, reason, rules),
            Request::Send(message) if self.members.is_inside(&caller.user, caller.connection) => {
                self.send(now, caller, message, message_ids, rules)
            }
            Request::Send(_) => request.refuse_outsider(caller),
        }
    }

    fn enter(&mut self, caller: &Caller, enter: &Enter, created: bool, rules: &Rules) -> Vec<Effect> {
        let arrival = self.members.enter(&caller.user, caller.connection);
        #[cfg(test)]
        self.fail_on_purpose(caller.user.id.as_str().as_bytes());
        let history = match arrival {
            Arrival::AlreadyInside => Vec::new(),
            Arrival::NewUser | Arrival::NewConnection => self.history.newest(enter.history),
        };
        let entered = RoomEntered {
            room: Some(RoomInfo {
                room_id: self.key.id.as_str().to_owned(),
                room_name: self.name.clone(),
                preset: self.preset.into(),
                created_at_ms: self.created_at_ms,
            }),
            created,
            already_inside: arrival == Arrival::AlreadyInside,
            member_count: self.members.len() as u64,
            sequence: self.sequence,
            history_count: u32::try_from(history.len()).expect("at most fifty"),
            member_events: member_events::step(self.members.len(), &rules.rooms).into(),
        };
        let reply = frames::reply(caller.request_id, reply::Result::RoomEntered(entered)).into();

        let mut effects = Vec::new();
        // What was shed before the newcomer came is nothing to it.
        self.tell_what_was_shed(&mut effects);
        if arrival == Arrival::NewUser {
            // Before the newcomer is admitted: the event is for the others. A first member has no others, but counts.
            let event = self
                .member_events
                .on_join(&self.key, &caller.user, self.members.len(), &rules.rooms);
            effects.extend(event.filter(|_| !created).map(|body| self.publish_event(body)));
        }
        let frames = std::iter::once(reply).chain(history).collect();
        let how = match arrival {
            Arrival::AlreadyInside => Entered::AlreadyInside,
            _ if created => Entered::Created,
            Arrival::NewUser | Arrival::NewConnection => Entered::Joined,
        };
        effects.push(Effect::Admit {
            connection: caller.connection,
            frames,
            how,
        });
        effects
    }

    fn leave(&mut self, caller: &Caller, reason: LeaveReason, rules: &Rules) -> Vec<Effect> {
        if !self.members.is_inside(&caller.user, caller.connection) {
            return Request::Leave(reason).refuse_outsider(caller);
        }
        let mut effects = Vec::new();
        // While the leaver's worker is still one of the room's: what was shed was its loss, too.
        self.tell_what_was_shed(&mut effects);
        let departure = self.members.leave(&caller.user, caller.connection);
        let frame = (reason == LeaveReason::Left).then(|| {
            let result = LeaveRoomResult {
                room_id: self.key.id.as_str().to_owned(),
            };
            Bytes::from(frames::reply(caller.request_id, reply::Result::LeaveRoom(result)))
        });
        effects.push(Effect::Dismiss {
            connection: caller.connection,
            frame,
        });
        if departure == Departure::LastOfUser && !self.members.is_empty() {
            let event = self
                .member_events
                .on_leave(&self.key, &caller.user, reason, self.members.len(), &rules.rooms);
            effects.extend(event.map(|body| self.publish_event(body)));
        }
        effects
    }

    fn send(
        &mut self,
        now: Now,
        caller: &Caller,
        message: Outgoing,
        message_ids: &mut MessageIds,
        rules: &Rules,
    ) -> Vec<Effect> {
        match self.recent.look_up(&caller.user.id, &message) {
            Seen::Never => {}
            Seen::Before(result) => {
                return vec![Effect::taken(caller, result)];
            }
            Seen::ForOtherContent => {
                let refusal = Refusal::parameter("duplicate_id");
                return vec![Effect::refused(caller, &refusal, message.client_message_id)];
            }
        }
        if let Err(refusal) = self.take_rate(now, caller, message.kind, &rules.rooms) {
            return vec![Effect::refused(caller, &refusal, message.client_message_id)];
        }

        self.sequence += 1;
        #[cfg(test)]
        self.fail_on_purpose(&message.content);
        let class = rules.class(&caller.user, &message, self.preset);
        let verdict = match self.preset {
            RoomPreset::Live => {
                let ingress = self.ingress.get_or_insert_default();
                ingress.judge(now.instant, class, self.sequence, &rules.rooms)
            }
            RoomPreset::Room => Verdict::Distribute,
        };
        let result = SendMessageResult {
            client_message_id: message.client_message_id.clone(),
            message_id: message_ids.next(now.unix_ms),
            sequence: self.sequence,
            server_time_ms: now.unix_ms,
            duplicate: false,
            distributed: verdict == Verdict::Distribute,
        };
        self.recent.remember(&caller.user.id, &message, &result);
        let room_message = RoomMessage {
            room_id: self.key.id.as_str().to_owned(),
            sequence: result.sequence,
            message_id: result.message_id,
            server_time_ms: result.server_time_ms,
            sender: Some(member_events::user_info(&caller.user)),
            r#type: message.kind.into(),
            content: message.content,
            object_name: message.object_name,
            priority: message.priority.into(),
            extended_data: message.extended_data,
            client_message_id: message.client_message_id,
            history: false,
            left: 0,
        };
        self.history.keep(&room_message);
        if verdict == Verdict::Shed {
            return vec![Effect::Shed(class), Effect::taken(caller, result)];
        }
        let mut effects = Vec::with_capacity(3);
        self.tell_what_was_shed(&mut effects);
        effects.push(Effect::Publish {
            to: self.members.workers(),
            frame: frames::event(Body::RoomMessage(room_message)).into(),
            sequence: result.sequence,
            class,
        });
        effects.push(Effect::taken(caller, result));
        effects
    }

    /// A defect half way through a change, for tests of what it does to others: in a room with the id "faulty", when somebody called
    /// "fault" enters or says that word, and at its ticks if it is called so itself.
    #[cfg(test)]
    fn fail_on_purpose(&self, word: &[u8]) {
        assert!(self.key.id.as_str() != "faulty" || word != b"fault", "on purpose");
    }

    fn take_rate(
        &mut self,
        now: Now,
        caller: &Caller,
        kind: MessageType,
        rules: &config::Rooms,
    ) -> Result<(), Refusal> {
        if kind == MessageType::Barrage {
            return Ok(());
        }
        let (sender, rate) = match self.preset {
            RoomPreset::Live => (Sender::User(caller.user.id.clone()), rules.live_messages_per_second),
            RoomPreset::Room => (
                Sender::Connection(caller.connection, kind),
                rules.room_messages_per_second,
            ),
        };
        let config::Rate::PerSecond(limit) = rate else {
            return Ok(());
        };
        if self.senders.len() >= self.senders_swept_at {
            self.senders.retain(|_, window| !window.is_idle(now.instant));
            self.senders_swept_at = SENDERS_SWEPT_AT_MIN.max(self.senders.len() * 2);
        }
        self.senders
            .entry(sender)
            .or_default()
            .take(now.instant, rate)
            .map_err(|wait| Refusal {
                code: ErrorCode::SEND_TOO_FAST,
                detail: format!("{limit}/s").into(),
                retry_after: wait.max(RETRY_AFTER_MIN),
            })
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
