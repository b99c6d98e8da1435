//! Orders about rooms themselves: making and ending them, who is inside.

use std::sync::Arc;

use sluice_protocol::{ErrorCode, RoomDestroyedReason};

use crate::clock::Now;
use crate::identity::{RoomKey, User};
use crate::refusal::Refusal;
use crate::room::members::{Arrival, Members};
use crate::room::moderation::limit;
use crate::room::record::Maker;
use crate::room::{Answer, Context, Description, Effect, Ends, ListedMember, NewRoom, Order, Ordered, Room, Rooms};
use crate::store::{Entry, RoomList};

impl Rooms {
    pub(super) fn keep_house(&mut self, now: Now, key: &RoomKey, order: Order) -> Ordered {
        match order {
            Order::Create(new) => self.create(now, key, &new),
            Order::SetEnds(ends) => self.set_ends(now, key, ends),
            Order::Destroy => Ordered::done(self.destroy_by_server(now, key)),
            Order::Describe => Ordered::answer(Answer::Described(self.describe(key))),
            Order::Members { limit, first } => {
                let listed = self.in_room(now, key, |room, _, _| {
                    let members = room.listed(now.instant, first, limit);
                    let members = members.into_iter().map(|member| ListedMember {
                        user: member.user.id.clone(),
                        name: member.user.name.to_string(),
                        joined_at_ms: i64::from(member.joined) * 1000,
                    });
                    (room.member_count(), members.collect())
                });
                let (total, members) = listed.unwrap_or_default();
                Ordered::answer(Answer::Members { total, members })
            }
            Order::AreInside(users) => {
                let room = self.rooms.get(key);
                let is_inside = |user| room.is_some_and(|room| room.members.contains(user));
                Ordered::answer(Answer::Inside(users.iter().map(is_inside).collect()))
            }
            Order::Join(users) => self.join(now, key, &users),
            // Led here by mistake.
            _ => Ordered::refuse(Refusal::new(ErrorCode::OPERATION_NOT_SUPPORTED)),
        }
    }

    /// A room that exists stays as it is.
    fn create(&mut self, now: Now, key: &RoomKey, new: &NewRoom) -> Ordered {
        match self.create_if_missing(now, key, new) {
            Ok(record) => Ordered::done(record.into_iter().collect()),
            Err(refusal) => Ordered::refuse(refusal),
        }
    }

    fn create_if_missing(&mut self, now: Now, key: &RoomKey, new: &NewRoom) -> Result<Option<Effect>, Refusal> {
        if self.rooms.contains_key(key) {
            return Ok(None);
        }
        let room = self.make(now, key, new, Maker::Server)?;
        let record = room.record(&self.rules);
        self.insert(room);
        Ok(record)
    }

    /// From now on the room is kept: what its app's server has said of it does not get lost.
    fn set_ends(&mut self, now: Now, key: &RoomKey, ends: Ends) -> Ordered {
        let effects = self.in_room(now, key, |room, context, _| {
            let mut effects = Vec::new();
            room.ends = ends;
            room.keep_from_now_on(context.rules, &mut effects);
            let record = room.record(context.rules);
            record.into_iter().chain(effects).collect()
        });
        match effects {
            Some(effects) => Ordered::done(effects),
            None => Ordered::refuse(Refusal::new(ErrorCode::CHATROOM_NOT_EXIST)),
        }
    }

    /// What was decided about the room without an end goes with it, whether it existed or not.
    fn destroy_by_server(&mut self, now: Now, key: &RoomKey) -> Vec<Effect> {
        let mut effects = self.destroy(key, RoomDestroyedReason::Server);
        let app = self.rules.app_key(key.app);
        let changes = self.moderation.end_with_room(key, app, now);
        effects.extend(changes.into_iter().map(Effect::Keep));
        effects
    }

    fn describe(&self, key: &RoomKey) -> Option<Description> {
        let room = self.rooms.get(key)?;
        Some(Description {
            id: key.id.clone(),
            name: room.name.clone(),
            policy: room.policy.name.clone(),
            created_at_ms: room.created_at_ms,
            members: room.member_count(),
            ends: room.ends,
            rules: self.moderation.of(key).rules,
            attributes_version: room.attributes_version(),
        })
    }

    /// A room that is missing is made. Who is blocked in it stays outside: whoever puts somebody in has perhaps not heard of that. Of the
    /// others all come in, or none.
    fn join(&mut self, now: Now, key: &RoomKey, users: &[Arc<User>]) -> Ordered {
        let moderation = self.moderation.of(key);
        let mut refused = Vec::new();
        let mut let_in = Vec::new();
        for user in users {
            match moderation.may_enter(&user.id, now) {
                Ok(()) => let_in.push(user),
                Err(refusal) => refused.push((user.id.clone(), refusal)),
            }
        }
        if let ([], [(_, refusal), ..]) = (&let_in[..], &refused[..]) {
            return Ordered::refuse(refusal.clone());
        }
        let members = self.rooms.get(key).map(|room| &room.members);
        let is_new = |user: &&&Arc<User>| !members.is_some_and(|members| members.is_by_server(&user.id));
        let new = let_in.iter().filter(is_new).count();
        let (max, full) = limit(RoomList::ServerMember);
        let of_room = members.map_or(0, Members::by_server_count) + new;
        // Who is inside already needs no place.
        if new > 0 && (of_room > max || !self.rules.places.has_place_for_server_members(key.app, new)) {
            return Ordered::refuse(full);
        }
        let record = match self.create_if_missing(now, key, &NewRoom::by_server(String::new())) {
            Ok(record) => record,
            Err(refusal) => return Ordered::refuse(refusal),
        };
        let mut effects: Vec<Effect> = record.into_iter().collect();
        self.in_room(now, key, |room, context, _| {
            for user in let_in {
                room.join_by_server(context, user, &mut effects);
            }
        });
        if refused.is_empty() {
            return Ordered::done(effects);
        }
        Ordered {
            answer: Ok(Answer::DoneBut { refused }),
            effects,
        }
    }
}

impl Room {
    fn join_by_server(&mut self, context: Context<'_>, user: &Arc<User>, effects: &mut Vec<Effect>) {
        let stayed = self.put_in(&user.id);
        let arrival = self.members.join_by_server(user, context.now.unix_seconds());
        if arrival == Arrival::AlreadyInside && !stayed {
            return;
        }
        let entry = Entry {
            since_ms: context.now.unix_ms,
            text: user.name.to_string(),
            ..Entry::default()
        };
        effects.extend(self.record_of_member(context.rules, &user.id, entry));
        if arrival == Arrival::NewUser {
            self.tell_what_was_shed(effects);
            let members = self.members.len();
            let event = self
                .member_events
                .on_join(&self.key, user, "", members, &context.rules.rooms);
            effects.extend(event.map(|body| self.publish_event(body)));
        }
    }
}
