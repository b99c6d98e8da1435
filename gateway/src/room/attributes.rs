//! Attributes of a room: short texts by key, each with an owner and a version, that all members can read and see change.
//!
//! [`Attributes`] has the rules; here is what a room does about them: whom it answers, what it tells the members and what it has kept.
//! Every command that changes something raises the room's version by one and is one event, which is never shed, so that a client which
//! saw no gap in the versions knows them all.

mod entries;

use std::sync::Arc;

use hashbrown::HashSet;
use prost::Message;
use sluice_protocol::{
    AttributeRefusal, ErrorCode, RoomAttribute, RoomAttributes, RoomAttributesChanged, RoomAttributesWritten,
    frame::Body, limits, reply,
};

use crate::clock::Now;
use crate::frames;
use crate::identity::{Caller, RoomKey, User};
use crate::refusal::Refusal;
use crate::room::{Answer, Context, Effect, Order, Ordered, RETRY_AFTER_MIN, Room, Rooms, Rules, member_events};
use crate::store::{AttributeRecord, Change};

pub(super) use entries::Attributes;
use entries::{Changed, Written};

/// There are none in rooms of this policy.
const OFF: Refusal = Refusal::new(ErrorCode::ATTRIBUTES_OFF);

/// What somebody wants written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Write {
    Set {
        /// Key and value.
        entries: Vec<(String, String)>,
        /// Overwrites what belongs to somebody else.
        force: bool,
        /// What is overwritten changes its owner.
        take_over: bool,
        delete_on_leave: bool,
        /// Only what has this version.
        if_version: Option<u64>,
    },
    Delete {
        keys: Vec<String>,
        force: bool,
        if_version: Option<u64>,
    },
}

impl Write {
    /// Of all its keys and values.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Set { entries, .. } => entries.iter().map(|(key, value)| key.len() + value.len()).sum(),
            Self::Delete { keys, .. } => keys.iter().map(String::len).sum(),
        }
    }

    /// What it counts against rates: one for each attribute, and a long one as
    /// [one for each piece](limits::ATTRIBUTE_PIECE_BYTES) of it, since each of them goes to everybody inside.
    pub(crate) fn pieces(&self) -> usize {
        let pieces = |bytes: usize| bytes.div_ceil(limits::ATTRIBUTE_PIECE_BYTES).max(1);
        match self {
            Self::Set { entries, .. } => entries.iter().map(|(key, value)| pieces(key.len() + value.len())).sum(),
            Self::Delete { keys, .. } => keys.iter().map(|key| pieces(key.len())).sum(),
        }
    }
}

impl Room {
    /// The version of the attributes, 0 when there never was one.
    pub(super) fn attributes_version(&self) -> u64 {
        self.attributes.as_ref().map_or(0, |attributes| attributes.version())
    }

    /// A member writes.
    pub(super) fn write_attributes(&mut self, context: Context<'_>, caller: &Caller, write: Write) -> Vec<Effect> {
        let Some(limits) = self.policy.attributes else {
            return vec![Effect::refused_query(caller, &OFF)];
        };
        let attributes = self.attributes.get_or_insert_default();
        if let Err(wait) = attributes.take_rate(context.now.instant, &write) {
            let refusal = Refusal::with_detail(ErrorCode::REQUEST_TOO_FREQUENT, "rate");
            let refusal = refusal.retry_after(wait.max(RETRY_AFTER_MIN));
            return vec![Effect::refused_query(caller, &refusal)];
        }
        attributes.bound(self.place.attribute_bytes_max());
        let by = caller.user.id.as_str();
        let Written { changed, refused } = attributes.write(by, write, &limits, context.now.unix_ms);
        let version = changed.as_ref().map(|changed| changed.version);
        let mut effects = Vec::with_capacity(2);
        self.tell_of(context.rules, changed, Some(&caller.user), &mut effects);
        let written = RoomAttributesWritten {
            room_id: self.key.id.as_str().to_owned(),
            version: version.unwrap_or_default(),
            refused: refused.into_iter().map(refused_attribute).collect(),
        };
        let result = reply::Result::RoomAttributesWritten(written);
        effects.push(if version.is_some() {
            Effect::reply(caller, result)
        } else {
            let refusal = Refusal::new(ErrorCode::ATTRIBUTES_PARTLY_FAILED);
            Effect::refused_with_result(caller, &refusal, result)
        });
        effects
    }

    /// A member asks.
    pub(super) fn query_attributes(&mut self, caller: &Caller, keys: &[String]) -> Vec<Effect> {
        if self.policy.attributes.is_none() {
            return vec![Effect::refused_query(caller, &OFF)];
        }
        let answer = |attributes: &Attributes| RoomAttributes {
            room_id: self.key.id.as_str().to_owned(),
            attributes: attributes
                .select(keys)
                .into_iter()
                .map(|(key, entry)| attribute(key, entry))
                .collect(),
            version: attributes.version(),
        };
        let told = match &mut self.attributes {
            Some(attributes) if keys.is_empty() => {
                attributes.told(|attributes| answer(attributes).encode_to_vec().into())
            }
            Some(attributes) => answer(attributes).encode_to_vec().into(),
            None => answer(&Attributes::default()).encode_to_vec().into(),
        };
        vec![Effect::Reply {
            to: caller.connection,
            frame: Some(frames::reply_with_attributes(caller.request_id, told).into()),
            code: ErrorCode::NO_ERROR,
        }]
    }

    /// A user is no longer inside, however it went: what goes with it is deleted.
    pub(super) fn delete_attributes_of(&mut self, rules: &Rules, user: &Arc<User>, effects: &mut Vec<Effect>) {
        let attributes = self.attributes.as_mut();
        let is_gone = |owner: &str| owner == user.id.as_str();
        let changed = attributes.and_then(|attributes| attributes.delete_with_owners(is_gone));
        self.tell_of(rules, changed, Some(user), effects);
    }

    /// After a start nobody is inside but whom the app's server put there: what goes with others goes.
    pub(super) fn delete_attributes_of_absentees(&mut self, rules: &Rules, effects: &mut Vec<Effect>) {
        let Some(attributes) = &mut self.attributes else { return };
        let changed = {
            let inside: HashSet<&str> = self.members.iter().map(|(user, _)| user.id.as_str()).collect();
            // What is nobody's goes with nobody.
            attributes.delete_with_owners(|owner| !owner.is_empty() && !inside.contains(owner))
        };
        self.tell_of(rules, changed, None, effects);
    }

    /// Nobody is left whose they could be.
    pub(super) fn delete_all_attributes(&mut self, rules: &Rules, effects: &mut Vec<Effect>) {
        let changed = self.attributes.as_mut().and_then(|attributes| attributes.clear());
        self.tell_of(rules, changed, None, effects);
    }

    /// All attributes as they are to be kept, if the room is.
    pub(super) fn record_of_attributes(&self, rules: &Rules) -> Vec<Effect> {
        let attributes = self.attributes.iter().filter(|_| self.is_kept());
        let entries = attributes.flat_map(|attributes| attributes.select(&[]));
        entries
            .map(|(key, entry)| self.put_attribute(rules, key, entry))
            .collect()
    }

    fn order_attributes(&mut self, context: Context<'_>, order: Order) -> Ordered {
        let Some(limits) = self.policy.attributes else {
            return Ordered::refuse(OFF);
        };
        match order {
            Order::WriteAttributes { by, write } => {
                let attributes = self.attributes.get_or_insert_default();
                attributes.bound(self.place.attribute_bytes_max());
                let owner = by.as_ref().map_or("", |user| user.id.as_str());
                let Written { changed, refused } = attributes.write(owner, write, &limits, context.now.unix_ms);
                let version = changed.as_ref().map_or(0, |changed| changed.version);
                let mut effects = Vec::new();
                self.tell_of(context.rules, changed, by.as_ref(), &mut effects);
                Ordered {
                    answer: Ok(Answer::AttributesWritten { version, refused }),
                    effects,
                }
            }
            Order::Attributes(keys) => {
                let selected = self.attributes.iter().flat_map(|attributes| attributes.select(&keys));
                let selected = selected.map(|(key, entry)| (key.clone(), entry.clone()));
                Ordered::answer(Answer::Attributes(selected.collect()))
            }
            // Led here by mistake.
            _ => Ordered::refuse(Refusal::new(ErrorCode::OPERATION_NOT_SUPPORTED)),
        }
    }

    /// Tells the members of a change, and has it kept if the room is.
    fn tell_of(&mut self, rules: &Rules, changed: Option<Changed>, by: Option<&Arc<User>>, effects: &mut Vec<Effect>) {
        let (Some(changed), Some(attributes)) = (changed, &self.attributes) else {
            return;
        };
        self.place.set_attribute_bytes(attributes.memory());
        let set = changed.set.iter();
        let set: Vec<_> = set.filter_map(|key| Some((key, attributes.get(key)?))).collect();
        let mut records = Vec::new();
        if self.is_kept() {
            records.extend(set.iter().map(|(key, entry)| self.put_attribute(rules, key, entry)));
            records.extend(changed.deleted.iter().map(|key| self.remove_attribute(rules, key)));
            records.extend(self.record(rules));
        }
        let event = RoomAttributesChanged {
            room_id: self.key.id.as_str().to_owned(),
            version: changed.version,
            set: set.into_iter().map(|(key, entry)| attribute(key, entry)).collect(),
            deleted: changed.deleted,
            by: by.map(|user| member_events::user_info(user)),
        };
        self.tell_what_was_shed(effects);
        effects.push(self.publish_event(Body::RoomAttributesChanged(event)));
        effects.append(&mut records);
    }

    fn put_attribute(&self, rules: &Rules, key: &str, entry: &AttributeRecord) -> Effect {
        Effect::Keep(Change::PutAttribute {
            app: rules.app_key(self.key.app).to_owned(),
            room: self.key.id.as_str().to_owned(),
            key: key.to_owned(),
            attribute: entry.clone(),
        })
    }

    fn remove_attribute(&self, rules: &Rules, key: &str) -> Effect {
        Effect::Keep(Change::RemoveAttribute {
            app: rules.app_key(self.key.app).to_owned(),
            room: self.key.id.as_str().to_owned(),
            key: key.to_owned(),
        })
    }
}

impl Rooms {
    pub(super) fn order_attributes(&mut self, now: Now, key: &RoomKey, order: Order) -> Ordered {
        let ordered = self.in_room(now, key, |room, context, _| room.order_attributes(context, order));
        let mut ordered = ordered.unwrap_or_else(|| Ordered::refuse(Refusal::new(ErrorCode::CHATROOM_NOT_EXIST)));
        self.settle(now, key, &mut ordered.effects);
        ordered
    }
}

fn attribute(key: &str, entry: &AttributeRecord) -> RoomAttribute {
    RoomAttribute {
        key: key.to_owned(),
        value: entry.value.clone(),
        owner_id: entry.owner.clone(),
        version: entry.version,
    }
}

fn refused_attribute((key, refusal): (String, Refusal)) -> AttributeRefusal {
    AttributeRefusal {
        key,
        code: refusal.code.number(),
        detail: refusal.detail.into_owned(),
    }
}
