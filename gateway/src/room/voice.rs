//! What the app's server says in a room, and takes back.
//!
//! It is bound by nothing that binds members: no mute, no rate, no word, no budget, no stop of distribution.

use sluice_protocol::{ErrorCode, RoomMessage, RoomMessageRecalled, frame::Body};

use crate::clock::Now;
use crate::frames;
use crate::identity::RoomKey;
use crate::refusal::Refusal;
use crate::room::{Answer, Context, Effect, Lasting, Order, Ordered, Published, Room, Rooms, member_events};

impl Rooms {
    pub(super) fn speak(&mut self, now: Now, key: &RoomKey, order: Order) -> Ordered {
        match order {
            Order::Publish(message) => self.publish(now, key, message),
            Order::Recall { message_id, operator } => {
                let told = self.in_room(now, key, |room, context, _| room.recall(context, message_id, operator));
                Ordered::done(told.unwrap_or_default())
            }
            _ => Ordered::refuse(Refusal::new(ErrorCode::OPERATION_NOT_SUPPORTED)),
        }
    }

    /// A message to a room that does not exist is one that nobody gets: it has an id all the same.
    fn publish(&mut self, now: Now, key: &RoomKey, message: Published) -> Ordered {
        let message_id = self.message_ids.next(now.unix_ms);
        let published = self.in_room(now, key, |room, context, _| {
            room.active_at = now.instant;
            room.say(context, message, message_id)
        });
        Ordered {
            answer: Ok(Answer::Published { message_id }),
            effects: published.unwrap_or_default(),
        }
    }

    /// Says in a room what is said in all rooms of the app. That is no sign of life: it would keep them all.
    pub(crate) fn announce(&mut self, now: Now, key: &RoomKey, message: Published, message_id: u64) -> Vec<Effect> {
        let said = self.in_room(now, key, |room, context, _| room.say(context, message, message_id));
        let mut effects = said.unwrap_or_default();
        self.settle(now, key, &mut effects);
        effects
    }
}

impl Room {
    fn say(&mut self, context: Context<'_>, message: Published, message_id: u64) -> Vec<Effect> {
        let Published {
            sender,
            kind,
            content,
            object_name,
            priority,
            extended_data,
            lasting,
        } = message;
        let class = self.class_of(context, &sender.id, kind, priority, &object_name);
        self.sequence += 1;
        let message = RoomMessage {
            room_id: self.key.id.as_str().to_owned(),
            sequence: self.sequence,
            message_id,
            server_time_ms: context.now.unix_ms,
            sender: Some(member_events::user_info(&sender)),
            r#type: kind.into(),
            content,
            object_name,
            priority: priority.into(),
            extended_data,
            from_server: true,
            ..RoomMessage::default()
        };
        if lasting == Lasting::History {
            self.history.keep(&message, self.policy.history_messages);
        }
        let mut effects = Vec::with_capacity(2);
        self.tell_what_was_shed(&mut effects);
        effects.push(Effect::Publish {
            to: self.members.workers(),
            frame: frames::event(Body::RoomMessage(message)).into(),
            sequence: self.sequence,
            class,
        });
        effects
    }

    /// Takes a message back. Those inside may have it even if the room has not kept it, so they are told in any case.
    fn recall(&mut self, context: Context<'_>, message_id: u64, operator: String) -> Vec<Effect> {
        let sequence = self.history.take_back(message_id);
        let mut effects = Vec::with_capacity(2);
        self.tell_what_was_shed(&mut effects);
        effects.push(self.publish_event(Body::RoomMessageRecalled(RoomMessageRecalled {
            room_id: self.key.id.as_str().to_owned(),
            message_id,
            sequence: sequence.unwrap_or(0),
            operator_id: operator,
            recalled_at_ms: context.now.unix_ms,
        })));
        effects
    }
}
