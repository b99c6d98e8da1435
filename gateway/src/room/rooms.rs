//! All rooms whose home is one worker.

use std::panic::{AssertUnwindSafe, catch_unwind};

use hashbrown::{HashMap, HashSet};
use sluice_protocol::{ErrorCode, RoomDestroyedReason};

use crate::clock::Now;
use crate::identity::{Caller, RoomKey, WorkerIndex};
use crate::message_id::MessageIds;
use crate::refusal::Refusal;
use crate::store::KeptRoom;
use crate::room::enter::not_inside;
use crate::room::moderation::Moderation;
use crate::room::{Context, Create, Effect, Request, Room, Rules};

/// See the module.
#[derive(Debug)]
pub(crate) struct Rooms {
    rooms: HashMap<RoomKey, Room>,
    /// Rooms with a member digest, a count or a notice of what was shed to come.
    pending: HashSet<RoomKey>,
    /// What was decided about rooms, whether they exist or not.
    moderation: HashMap<RoomKey, Moderation>,
    message_ids: MessageIds,
    rules: Rules,
}

/// What a tick came to.
#[derive(Debug, Default)]
pub(crate) struct Due {
    pub effects: Vec<(RoomKey, Effect)>,
    /// To be [destroyed](Rooms::destroy).
    pub failed: Vec<RoomKey>,
}

impl Rooms {
    pub(crate) fn new(worker: WorkerIndex, rules: Rules) -> Self {
        Self {
            rooms: HashMap::new(),
            pending: HashSet::new(),
            moderation: HashMap::new(),
            message_ids: MessageIds::new(worker),
            rules,
        }
    }

    /// Takes in what the store has kept of rooms whose home is here.
    pub(crate) fn restore(&mut self, _kept: Vec<(RoomKey, KeptRoom)>, _now: Now) {}

    /// How many rooms there are.
    pub(crate) fn len(&self) -> usize {
        self.rooms.len()
    }

    /// Members of all rooms, a user once for each.
    pub(crate) fn members(&self) -> usize {
        self.rooms.values().map(Room::member_count).sum()
    }

    /// The workers on which a room has members.
    pub(crate) fn workers(&self, key: &RoomKey) -> Vec<WorkerIndex> {
        self.rooms.get(key).map_or_else(Vec::new, Room::workers)
    }

    /// Answers one request. A room comes into being with its first member and is gone with its last.
    pub(crate) fn handle(&mut self, now: Now, key: &RoomKey, caller: &Caller, request: Request) -> Vec<Effect> {
        let exists = self.rooms.contains_key(key);
        if let Request::Enter(enter) = &request {
            let refused = match (&enter.create, exists) {
                (Create::Always(_), true) => Some(Refusal::new(ErrorCode::ROOM_ALREADY_EXISTS)),
                (Create::Never, false) => Some(Refusal::new(ErrorCode::CHATROOM_NOT_EXIST)),
                _ => None,
            };
            if let Some(refusal) = refused {
                return vec![Effect::unchanged(caller, &refusal)];
            }
        }
        let created = if let Request::Enter(enter) = &request
            && !exists
            && let Create::Always(new) | Create::IfMissing(new) = &enter.create
        {
            self.rooms
                .insert(key.clone(), Room::new(key.clone(), new.name.clone(), new.preset, now));
            true
        } else {
            false
        };
        let Some(room) = self.rooms.get_mut(key) else {
            return refuse_without_room(key, caller, request);
        };
        let app = self.rules.policies.of(key.app);
        let none = Moderation::default();
        let context = Context {
            now,
            rules: &self.rules,
            app: &app,
            moderation: self.moderation.get(key).unwrap_or(&none),
        };
        let effects = room.handle(context, caller, request, created, &mut self.message_ids);
        if room.is_empty() {
            self.rooms.remove(key);
            self.pending.remove(key);
        } else if room.is_pending(&self.rules) && !self.pending.contains(key) {
            self.pending.insert(key.clone());
        }
        effects
    }

    /// Ends a room, if there is one.
    pub(crate) fn destroy(&mut self, key: &RoomKey, reason: RoomDestroyedReason) -> Option<Effect> {
        self.pending.remove(key);
        self.rooms.remove(key).map(|room| room.destroy(reason))
    }

    /// Member digests, counts and notices that are due, by room, and the rooms whose code failed at it.
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
        due
    }
}

/// Answers whoever asks something of a room that does not exist.
fn refuse_without_room(key: &RoomKey, caller: &Caller, request: Request) -> Vec<Effect> {
    match request {
        Request::Resume { .. } => vec![not_inside(key, caller)],
        Request::Leave(_) => request.refuse_outsider(caller),
        request => request.refuse_with(caller, &Refusal::new(ErrorCode::CHATROOM_NOT_EXIST)),
    }
}
