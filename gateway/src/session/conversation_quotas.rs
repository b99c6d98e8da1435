//! What one session may do with conversations only so often in a second: each write is work for the one thread that writes.

use std::time::{Duration, Instant};

use sluice_protocol::{MessageType, limits};

use crate::config::Rate;

const SECOND: Duration = Duration::from_secs(1);

/// Types of messages that have a rate of their own.
const KINDS: usize = 9;

/// Counts in seconds that begin with the first thing that is done of any kind, like [`Quotas`](super::Quotas). Kept only for sessions that have to do with
/// conversations.
#[derive(Debug, Default)]
pub(crate) struct ConversationQuotas {
    second: Option<Instant>,
    writes: u16,
    queries: u16,
    messages: [u8; KINDS],
}

impl ConversationQuotas {
    /// Takes a place for a command that changes something, but for messages.
    ///
    /// # Errors
    /// When the second is full: how long until the next.
    pub(crate) fn take_write(&mut self, now: Instant, rate: Rate) -> Result<(), Duration> {
        let left = self.left(now);
        take(&mut self.writes, rate, left)
    }

    /// Takes a place for a question.
    ///
    /// # Errors
    /// When the second is full: how long until the next.
    pub(crate) fn take_query(&mut self, now: Instant, rate: Rate) -> Result<(), Duration> {
        let left = self.left(now);
        take(&mut self.queries, rate, left)
    }

    /// Takes a place for a message of a type: [`limits::CONVERSATION_MESSAGES_PER_SECOND`] of each.
    ///
    /// # Errors
    /// When the second is full: how long until the next.
    pub(crate) fn take_message(&mut self, now: Instant, kind: MessageType) -> Result<(), Duration> {
        let left = self.left(now);
        let sent = &mut self.messages[index_of(kind)];
        if u32::from(*sent) >= limits::CONVERSATION_MESSAGES_PER_SECOND {
            return Err(left);
        }
        *sent += 1;
        Ok(())
    }

    /// How long the second lasts. When it is over, the next begins.
    fn left(&mut self, now: Instant) -> Duration {
        let elapsed = self.second.map(|second| now.duration_since(second));
        match elapsed.and_then(|elapsed| SECOND.checked_sub(elapsed)) {
            Some(left) if !left.is_zero() => left,
            _ => {
                *self = Self {
                    second: Some(now),
                    ..Self::default()
                };
                SECOND
            }
        }
    }
}

fn take(taken: &mut u16, rate: Rate, left: Duration) -> Result<(), Duration> {
    match rate {
        Rate::PerSecond(limit) if u32::from(*taken) >= limit => Err(left),
        Rate::PerSecond(_) => {
            *taken = taken.saturating_add(1);
            Ok(())
        }
        Rate::Unlimited => Ok(()),
    }
}

fn index_of(kind: MessageType) -> usize {
    match kind {
        MessageType::Unspecified | MessageType::Text => 0,
        MessageType::Command => 1,
        MessageType::Barrage => 2,
        MessageType::Custom => 3,
        MessageType::Image => 4,
        MessageType::File => 5,
        MessageType::Audio => 6,
        MessageType::Video => 7,
        MessageType::Combined => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_of_message_has_its_own_rate() {
        let now = Instant::now();
        let mut quotas = ConversationQuotas::default();
        for kind in [MessageType::Text, MessageType::Image] {
            for _ in 0..limits::CONVERSATION_MESSAGES_PER_SECOND {
                assert_eq!(quotas.take_message(now, kind), Ok(()));
            }
            let half = now + SECOND / 2;
            assert_eq!(quotas.take_message(half, kind), Err(SECOND / 2));
        }
        assert_eq!(quotas.take_message(now + SECOND, MessageType::Text), Ok(()));
    }

    #[test]
    fn writes_and_questions_are_counted_apart() {
        let now = Instant::now();
        let mut quotas = ConversationQuotas::default();
        assert_eq!(quotas.take_write(now, Rate::PerSecond(1)), Ok(()));
        assert_eq!(quotas.take_write(now, Rate::PerSecond(1)), Err(SECOND));
        assert_eq!(quotas.take_write(now, Rate::Unlimited), Ok(()));
        assert_eq!(quotas.take_query(now, Rate::PerSecond(1)), Ok(()));
        assert_eq!(quotas.take_query(now, Rate::PerSecond(1)), Err(SECOND));
        assert_eq!(quotas.take_message(now, MessageType::Text), Ok(()));
    }
}
