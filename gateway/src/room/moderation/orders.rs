//! Orders of the app's server about who may be inside and who may send.

use bytes::Bytes;
use sluice_protocol::{ErrorCode, LeaveReason, MuteScope, RoomMuteChanged, UserId, frame::Body, limits};

use crate::clock::Now;
use crate::frames;
use crate::identity::RoomKey;
use crate::refusal::Refusal;
use crate::room::moderation::put_out::PutOut;
use crate::room::{Answer, Context, Effect, Order, Ordered, Room, Rooms, Tell};
use crate::store::{Change, Entry, RoomList, RoomRules};

impl Rooms {
    pub(in crate::room) fn moderate(&mut self, now: Now, key: &RoomKey, order: Order) -> Ordered {
        let ordered = match order {
            Order::Enlist {
                list,
                users,
                entry,
                tell,
            } => self.enlist(now, key, list, &users, &entry, tell),
            Order::Strike {
                list,
                users,
                tell,
                extra,
            } => self.strike(now, key, list, &users, tell, &extra),
            Order::Listed(list) => {
                let listed = self.moderation.listed(key, list, now);
                listed.map(|listed| Ordered::answer(Answer::Listed(listed)))
            }
            Order::Kick { users, extra } => self.kick(now, key, &users, &extra),
            Order::Mute { muted, tell, extra } => self.mute(now, key, muted, tell, &extra),
            Order::Stop(stopped) => {
                let changed = self.moderation.change_rules(key, now, |rules| rules.stopped = stopped);
                changed.map(|_| Ordered::done(vec![self.keep_rules(key)]))
            }
            Order::Rules => Ok(Ordered::answer(Answer::Rules(self.moderation.of(key).rules))),
            _ => Err(Refusal::new(ErrorCode::OPERATION_NOT_SUPPORTED)),
        };
        ordered.unwrap_or_else(Ordered::refuse)
    }

    fn enlist(
        &mut self,
        now: Now,
        key: &RoomKey,
        list: RoomList,
        users: &[UserId],
        entry: &Entry,
        tell: Tell,
    ) -> Result<Ordered, Refusal> {
        check_extra(&entry.text)?;
        let entries: Vec<_> = users.iter().map(|user| (user.clone(), entry.clone())).collect();
        self.moderation.enlist(key, list, &entries, now)?;
        let mut effects: Vec<Effect> = users
            .iter()
            .map(|user| {
                Effect::Keep(Change::PutRoomUser {
                    app: self.rules.app_key(key.app).to_owned(),
                    room: key.id.as_str().to_owned(),
                    list,
                    user: user.as_str().to_owned(),
                    entry: entry.clone(),
                })
            })
            .collect();
        self.in_room(now, key, |room, context, _| match list {
            RoomList::Block => {
                let why = PutOut {
                    reason: LeaveReason::Blocked,
                    until_ms: entry.until_ms.unwrap_or(0),
                    extra: &entry.text,
                };
                users
                    .iter()
                    .for_each(|user| room.put_out(context, user, why, &mut effects));
            }
            RoomList::Gag | RoomList::MuteException => {
                room.tell_mutes(context, users, tell, &entry.text, &mut effects);
            }
            RoomList::Allow | RoomList::ServerMember => {}
        });
        Ok(Ordered::done(effects))
    }

    fn strike(
        &mut self,
        now: Now,
        key: &RoomKey,
        list: RoomList,
        users: &[UserId],
        tell: Tell,
        extra: &str,
    ) -> Result<Ordered, Refusal> {
        check_extra(extra)?;
        let struck = self.moderation.strike(key, list, users, now)?;
        let mut effects: Vec<Effect> = struck
            .iter()
            .map(|user| {
                Effect::Keep(Change::RemoveRoomUser {
                    app: self.rules.app_key(key.app).to_owned(),
                    room: key.id.as_str().to_owned(),
                    list,
                    user: user.as_str().to_owned(),
                })
            })
            .collect();
        self.in_room(now, key, |room, context, _| match list {
            RoomList::Gag | RoomList::MuteException => room.tell_mutes(context, &struck, tell, extra, &mut effects),
            RoomList::Allow => struck
                .iter()
                .for_each(|user| room.dismiss_staying(context, user, &mut effects)),
            RoomList::Block | RoomList::ServerMember => {}
        });
        Ok(Ordered::done(effects))
    }

    fn kick(&mut self, now: Now, key: &RoomKey, users: &[UserId], extra: &str) -> Result<Ordered, Refusal> {
        check_extra(extra)?;
        let mut effects = Vec::new();
        let why = PutOut {
            reason: LeaveReason::Kicked,
            until_ms: 0,
            extra,
        };
        self.in_room(now, key, |room, context, _| {
            users
                .iter()
                .for_each(|user| room.put_out(context, user, why, &mut effects));
        });
        Ok(Ordered::done(effects))
    }

    /// All members are told when it changes, since it concerns all; the words of the app's server go along only if it wants that.
    fn mute(&mut self, now: Now, key: &RoomKey, muted: bool, tell: Tell, extra: &str) -> Result<Ordered, Refusal> {
        check_extra(extra)?;
        let before = self.moderation.change_rules(key, now, |rules| rules.muted = muted)?;
        let mut effects = vec![self.keep_rules(key)];
        if before.muted != muted || tell == Tell::Users {
            let extra = if tell == Tell::Users { extra } else { "" };
            self.in_room(now, key, |room, _, _| {
                let event = room.mute_changed(MuteScope::Room, muted, 0, extra);
                effects.push(room.publish_event(event));
            });
        }
        Ok(Ordered::done(effects))
    }

    fn keep_rules(&self, key: &RoomKey) -> Effect {
        let rules: RoomRules = self.moderation.of(key).rules;
        Effect::Keep(Change::PutRoomRules {
            app: self.rules.app_key(key.app).to_owned(),
            room: key.id.as_str().to_owned(),
            rules,
        })
    }
}

impl Room {
    /// Tells users how it stands with them, on all connections that they have inside.
    fn tell_mutes(&self, context: Context<'_>, users: &[UserId], tell: Tell, extra: &str, effects: &mut Vec<Effect>) {
        if tell == Tell::Nobody {
            return;
        }
        for user in users {
            let connections = self.members.connections_of(user);
            if connections.is_empty() {
                continue;
            }
            // Not what was ordered but what comes of it: a gag is nothing to somebody who is excepted.
            let state = context.moderation.mute_of(user, context.app, context.now);
            let event = self.mute_changed(MuteScope::User, state.muted, state.until_ms, extra);
            let frame = Bytes::from(frames::event(event));
            effects.extend(connections.into_iter().map(|connection| Effect::Notify {
                connection,
                frame: frame.clone(),
            }));
        }
    }

    fn mute_changed(&self, scope: MuteScope, muted: bool, until_ms: i64, extra: &str) -> Body {
        Body::RoomMuteChanged(RoomMuteChanged {
            room_id: self.key.id.as_str().to_owned(),
            scope: scope.into(),
            muted,
            until_ms,
            extra: extra.to_owned(),
        })
    }
}

/// What is passed on to clients is bounded, whoever checked it before.
fn check_extra(extra: &str) -> Result<(), Refusal> {
    if extra.len() > limits::NOTICE_EXTRA_BYTES {
        return Err(Refusal::parameter("extra"));
    }
    Ok(())
}
