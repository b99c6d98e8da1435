//! A message: is it a repeat, may it be sent, who gets it.

use sluice_protocol::{ErrorCode, MessageType, RoomMessage, RoomPreset, SendMessageResult, frame::Body};

use crate::class::{self, Class, TypeLevel};
use crate::clock::Now;
use crate::config;
use crate::frames;
use crate::identity::{Caller, User};
use crate::message_id::MessageIds;
use crate::policy::AppPolicy;
use crate::refusal::Refusal;
use crate::room::ingress::Verdict;
use crate::room::recent::Seen;
use crate::room::{Context, Effect, Outgoing, RETRY_AFTER_MIN, Room, SENDERS_SWEPT_AT_MIN, Sender, member_events};

/// The class of a message that `sender` sends to a room of this preset.
fn class_of(app: &AppPolicy, sender: &User, message: &Outgoing, preset: RoomPreset) -> Class {
    let level = if app.low_types.contains_key(&message.object_name) {
        TypeLevel::Low
    } else {
        TypeLevel::High
    };
    let sender = if app.protected_senders.contains(sender.id.as_str()) {
        class::Sender::Protected
    } else {
        class::Sender::Ordinary
    };
    Class::of_message(message.kind, message.priority, preset, level, sender)
}

impl Room {
    pub(super) fn send(
        &mut self,
        context: Context<'_>,
        caller: &Caller,
        message: Outgoing,
        message_ids: &mut MessageIds,
    ) -> Vec<Effect> {
        let Context { now, rules, app, .. } = context;
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
        let class = class_of(app, &caller.user, &message, self.preset);
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
            ..SendMessageResult::default()
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
            ..RoomMessage::default()
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
}
