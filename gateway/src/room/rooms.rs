//! All rooms whose home is one worker.

use std::panic::{AssertUnwindSafe, catch_unwind};

use hashbrown::{HashMap, HashSet};
use sluice_protocol::{ErrorCode, RoomDestroyedReason, RoomId};

use crate::clock::Now;
use crate::identity::{AppIndex, Caller, RoomKey, WorkerIndex};
use crate::message_id::MessageIds;
use crate::refusal::Refusal;
use crate::room::ending::{Deadlines, End};
use crate::room::enter::not_inside;
use crate::room::moderation::Decisions;
use crate::room::{Context, Create, Effect, Ends, Enter, Maker, NewRoom, Request, Room, Rules};

/// Rooms that one tick ends, so that it does not keep everybody waiting when many do at once; the others end with the next.
const ENDS_PER_TICK: usize = 1000;

/// See the module.
#[derive(Debug)]
pub(crate) struct Rooms {
    pub(super) rooms: HashMap<RoomKey, Room>,
    /// Rooms with a member digest, a count or a notice of what was shed to come.
    pending: HashSet<RoomKey>,
    /// When rooms may end.
    deadlines: Deadlines,
    /// What was decided about rooms, whether they exist or not.
    pub(super) moderation: Decisions,
    pub(super) message_ids: MessageIds,
    pub(super) rules: Rules,
    /// Whether rooms that members make are kept.
    keep_new: bool,
}

/// What a tick came to.
#[derive(Debug, Default)]
pub(crate) struct Due {
    pub effects: Vec<(RoomKey, Effect)>,
    /// To be [destroyed](Rooms::destroy).
    pub failed: Vec<RoomKey>,
}

/// Whether a room is there that somebody wants to enter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opened {
    Before,
    JustNow,
}

impl Rooms {
    /// No rooms yet.
    pub(crate) fn new(worker: WorkerIndex, rules: Rules) -> Self {
        Self {
            rooms: HashMap::new(),
            pending: HashSet::new(),
            deadlines: Deadlines::default(),
            moderation: Decisions::default(),
            message_ids: MessageIds::new(worker),
            rules,
            keep_new: true,
        }
    }

    /// Whether rooms that members make from now on are kept, where they outlive their members. Not while the disk has too much to do: a
    /// room that is not kept is better than none, and the app's server can still say something of it.
    pub(crate) fn keep_new(&mut self, keep: bool) {
        self.keep_new = keep;
    }

    /// How many rooms there are.
    pub(crate) fn len(&self) -> usize {
        self.rooms.len()
    }

    /// Members of all rooms, a user once for each.
    pub(crate) fn members(&self) -> usize {
        self.rooms.values().map(Room::member_count).sum()
    }

    /// What the attributes of all rooms take up.
    pub(crate) fn attribute_bytes(&self) -> usize {
        self.rooms.values().map(|room| room.place.attribute_bytes()).sum()
    }

    /// The workers on which a room has members.
    pub(crate) fn workers(&self, key: &RoomKey) -> Vec<WorkerIndex> {
        self.rooms.get(key).map_or_else(Vec::new, Room::workers)
    }

    /// The rooms of an app.
    pub(crate) fn of_app(&self, app: AppIndex) -> Vec<RoomKey> {
        self.rooms.keys().filter(|key| key.app == app).cloned().collect()
    }

    /// The first so many of an app's rooms that are muted, by their ids.
    pub(crate) fn muted(&self, app: AppIndex, limit: usize) -> Vec<RoomId> {
        self.moderation.muted(app, limit)
    }

    /// Answers one request.
    pub(crate) fn handle(&mut self, now: Now, key: &RoomKey, caller: &Caller, request: Request) -> Vec<Effect> {
        let created = match &request {
            Request::Enter(enter) => match self.open(now, key, caller, enter) {
                Ok(opened) => opened == Opened::JustNow,
                Err(refusal) => return vec![Effect::unchanged(caller, &refusal)],
            },
            _ => false,
        };
        if !self.rooms.contains_key(key) {
            return refuse_without_room(key, caller, request);
        }
        let effects = self.in_room(now, key, |room, context, message_ids| {
            let effects = room.handle(context, caller, request, created, message_ids);
            if !created {
                return effects;
            }
            let kept = room.record(context.rules).into_iter();
            let attributes = room.record_of_attributes(context.rules);
            kept.chain(attributes).chain(effects).collect()
        });
        let mut effects: Vec<Effect> = effects.unwrap_or_default();
        self.settle(now, key, &mut effects);
        effects
    }

    /// Does something in a room, if there is one. Whoever calls this [settles](Self::settle) the room when all is done.
    pub(super) fn in_room<T>(
        &mut self,
        now: Now,
        key: &RoomKey,
        act: impl FnOnce(&mut Room, Context<'_>, &mut MessageIds) -> T,
    ) -> Option<T> {
        let room = self.rooms.get_mut(key)?;
        let app = self.rules.policies.of(key.app);
        let context = Context {
            now,
            rules: &self.rules,
            app: &app,
            moderation: self.moderation.of(key),
        };
        Some(act(room, context, &mut self.message_ids))
    }

    /// Makes a room of what is asked for. It is not one of ours yet.
    pub(super) fn make(&self, now: Now, key: &RoomKey, new: &NewRoom, maker: Maker<'_>) -> Result<Room, Refusal> {
        let policy = self.rules.policy(key.app, &new.policy, new.family)?;
        let ends = new.ends.unwrap_or(policy.ends.into());
        if let (Maker::Member(_), Ends::WhenEmpty { .. }, false) =
            (maker, ends, matches!(Ends::from(policy.ends), Ends::WhenEmpty { .. }))
        {
            return Err(Refusal::parameter("destroy_delay_seconds"));
        }
        let by = match maker {
            Maker::Member(caller) => Some(&caller.user.id),
            Maker::Server => None,
        };
        let place = self.rules.places.take(key.app, by)?;
        let mut room = Room::new(key.clone(), new.name.clone(), policy.clone(), place, now);
        room.ends = ends;
        room.made_by(maker, self.keep_new);
        if let Maker::Member(caller) = maker {
            room.set_first_attributes(&caller.user.id, &new.attributes, now)?;
        }
        Ok(room)
    }

    pub(super) fn insert(&mut self, room: Room) {
        self.rooms.insert(room.key.clone(), room);
    }

    /// Sees to it that there is a room that somebody may enter, as the way in demands.
    fn open(&mut self, now: Now, key: &RoomKey, caller: &Caller, enter: &Enter) -> Result<Opened, Refusal> {
        let exists = self.rooms.contains_key(key);
        match (&enter.create, exists) {
            (Create::Always(_), true) => return Err(Refusal::new(ErrorCode::ROOM_ALREADY_EXISTS)),
            (Create::Never, false) => return Err(Refusal::new(ErrorCode::CHATROOM_NOT_EXIST)),
            _ => self.moderation.of(key).may_enter(&caller.user.id, now)?,
        }
        match &enter.create {
            Create::Always(new) | Create::IfMissing(new) if !exists => {
                let room = self.make(now, key, new, Maker::Member(caller))?;
                self.insert(room);
                Ok(Opened::JustNow)
            }
            _ => Ok(Opened::Before),
        }
    }

    /// Draws the conclusions when something was done in a room: it ends, or will, or has something to tell.
    pub(super) fn settle(&mut self, now: Now, key: &RoomKey, effects: &mut Vec<Effect>) {
        let Some(room) = self.rooms.get_mut(key) else { return };
        room.place.set_server_members(room.members.by_server_count());
        room.note_presence(now, &self.rules, effects);
        match room.end(now, &self.rules.policies.of(key.app)) {
            End::Now(reason) => self.remove(key, reason, effects),
            end => {
                self.deadlines.arm(room, end);
                if room.is_pending(&self.rules) && !self.pending.contains(key) {
                    self.pending.insert(key.clone());
                }
            }
        }
    }

    /// Has a room that was there before the start end when it is time: with the first tick, if it should have ended already.
    pub(super) fn watch(&mut self, now: Now, key: &RoomKey) {
        let Some(room) = self.rooms.get_mut(key) else { return };
        let end = match room.end(now, &self.rules.policies.of(key.app)) {
            End::Now(_) => End::NotBefore(now.instant),
            end => end,
        };
        self.deadlines.arm(room, end);
    }

    /// Ends a room, if there is one.
    pub(crate) fn destroy(&mut self, key: &RoomKey, reason: RoomDestroyedReason) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.remove(key, Some(reason), &mut effects);
        effects
    }

    fn remove(&mut self, key: &RoomKey, reason: Option<RoomDestroyedReason>, effects: &mut Vec<Effect>) {
        self.pending.remove(key);
        let Some(room) = self.rooms.remove(key) else { return };
        effects.extend(reason.map(|reason| room.destroy(reason)));
        effects.extend(room.record_of_end(&self.rules));
        let rooms = &self.rooms;
        let is_armed = |key: &RoomKey, at| rooms.get(key).is_some_and(|room| room.armed == Some(at));
        self.deadlines.sweep(rooms.len(), is_armed);
    }

    /// Member digests, counts and notices that are due, by room, the ends of rooms, and the rooms whose code failed at it.
    pub(crate) fn tick(&mut self, now: Now) -> Due {
        let mut due = Due::default();
        let Self {
            rooms, pending, rules, ..
        } = self;
        pending.retain(|key| {
            let Some(room) = rooms.get_mut(key) else { return false };
            let tick = AssertUnwindSafe(|| (room.tick(now, rules), room.is_pending(rules)));
            if let Ok((effects, is_pending)) = catch_unwind(tick) {
                due.effects
                    .extend(effects.into_iter().map(|effect| (key.clone(), effect)));
                is_pending
            } else {
                due.failed.push(key.clone());
                false
            }
        });
        self.end_those_due(now, &mut due);
        due
    }

    fn end_those_due(&mut self, now: Now, due: &mut Due) {
        for _ in 0..ENDS_PER_TICK {
            let Some((key, at)) = self.deadlines.pop(now.instant) else {
                return;
            };
            let Some(room) = self.rooms.get_mut(&key).filter(|room| room.armed == Some(at)) else {
                continue;
            };
            room.armed = None;
            match room.end(now, &self.rules.policies.of(key.app)) {
                End::Now(reason) => {
                    let mut effects = Vec::new();
                    self.remove(&key, reason, &mut effects);
                    due.effects
                        .extend(effects.into_iter().map(|effect| (key.clone(), effect)));
                }
                end => self.deadlines.arm(room, end),
            }
        }
    }

    /// Entries among the deadlines, those out of date counted.
    #[cfg(test)]
    pub(super) fn deadlines(&self) -> usize {
        self.deadlines.len()
    }
}

/// Answers whoever asks something of a room that does not exist.
fn refuse_without_room(key: &RoomKey, caller: &Caller, request: Request) -> Vec<Effect> {
    match request {
        Request::Resume { .. } => vec![not_inside(key, caller)],
        Request::Leave(_) => request.refuse_with(caller, &Refusal::new(ErrorCode::NOT_IN_CHATROOM)),
        request => request.refuse_with(caller, &Refusal::new(ErrorCode::CHATROOM_NOT_EXIST)),
    }
}
