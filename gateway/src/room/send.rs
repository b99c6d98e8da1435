//! A message: is it a repeat, may it be sent, who gets it.

use sluice_protocol::{
    ErrorCode, MessageType, Priority, RoomMessage, RoomPreset, SendMessageResult, UserId, frame::Body,
};

use crate::class::{self, Class};
use crate::clock::Now;
use crate::config::{Budget, Rate};
use crate::frames;
use crate::identity::Caller;
use crate::message_id::MessageIds;
use crate::refusal::Refusal;
use crate::room::ingress::Verdict;
use crate::room::recent::Seen;
use crate::room::{Context, Effect, Outgoing, RETRY_AFTER_MIN, Room, SENDERS_SWEPT_AT_MIN, Sender, member_events};
use crate::words::in_message;

impl Room {
    pub(super) fn send(
        &mut self,
        context: Context<'_>,
        caller: &Caller,
        message: Outgoing,
        message_ids: &mut MessageIds,
    ) -> Vec<Effect> {
        let Context { now, app, .. } = context;
        // First of all: a repeat of a message that was taken is answered as the first time, whatever has become of its sender since.
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
        let allowed = context.moderation.may_send(&caller.user.id, app, now);
        let allowed = allowed.and_then(|()| self.take_rate(now, caller, message.kind));
        let text = match allowed
            .and_then(|()| in_message::check(&app.words, message.kind, &message.content, &message.extended_data))
        {
            Ok(text) => text,
            Err(refusal) => return vec![Effect::refused(caller, &refusal, message.client_message_id)],
        };
        #[cfg(test)]
        self.fail_on_purpose(&message.content);
        self.active_at = now.instant;
        let mut result = SendMessageResult {
            client_message_id: message.client_message_id.clone(),
            message_id: message_ids.next(now.unix_ms),
            sequence: 0,
            server_time_ms: now.unix_ms,
            duplicate: false,
            distributed: false,
            notice: text.notice(),
        };
        if context.moderation.rules.stopped {
            self.recent.remember(&caller.user.id, &message, &result);
            return vec![Effect::Undistributed, Effect::taken(caller, result)];
        }

        self.sequence += 1;
        let class = self.class_of(
            context,
            &caller.user.id,
            message.kind,
            message.priority,
            &message.object_name,
        );
        let verdict = match self.policy.budget {
            Budget::Messages(_) => {
                let ingress = self.ingress.get_or_insert_default();
                ingress.judge(now.instant, class, self.sequence, &self.policy)
            }
            Budget::Unlimited => Verdict::Distribute,
        };
        result.sequence = self.sequence;
        result.distributed = verdict == Verdict::Distribute;
        // As it was sent, since that is what a repeat brings.
        self.recent.remember(&caller.user.id, &message, &result);
        let room_message = RoomMessage {
            room_id: self.key.id.as_str().to_owned(),
            sequence: result.sequence,
            message_id: result.message_id,
            server_time_ms: result.server_time_ms,
            sender: Some(member_events::user_info(&caller.user)),
            r#type: message.kind.into(),
            content: text.instead_of(message.content),
            object_name: message.object_name,
            priority: message.priority.into(),
            extended_data: message.extended_data,
            client_message_id: message.client_message_id,
            history: false,
            left: 0,
            ..RoomMessage::default()
        };
        self.history.keep(&room_message, self.policy.history_messages);
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

    /// The class of a message that `sender` sends here, or the app's server in this name.
    pub(super) fn class_of(
        &self,
        context: Context<'_>,
        sender: &UserId,
        kind: MessageType,
        priority: Priority,
        object_name: &str,
    ) -> Class {
        let Context {
            now, app, moderation, ..
        } = context;
        let sender = if app.protects(sender) || moderation.allowed.contains(sender, now) {
            class::Sender::Protected
        } else {
            class::Sender::Ordinary
        };
        Class::of_message(
            kind,
            priority,
            self.policy.family,
            app.level_of(object_name, now),
            sender,
        )
    }

    fn take_rate(&mut self, now: Now, caller: &Caller, kind: MessageType) -> Result<(), Refusal> {
        if kind == MessageType::Barrage {
            return Ok(());
        }
        let rate = self.policy.message_rate;
        let Rate::PerSecond(limit) = rate else {
            return Ok(());
        };
        let sender = match self.policy.family {
            RoomPreset::Live => Sender::User(caller.user.id.clone()),
            RoomPreset::Room => Sender::Connection(caller.connection, kind),
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
