//! What users write to each other, and what becomes of it: every message is acknowledged, and reaches every other member exactly once.

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use sluice_protocol::{AddMembers, ConversationType, CreateGroup, MessageType, SendMessage, frame::Body, limits};

use super::people::{Heard, PATIENCE, People, command, refuse_refusals, silent};
use crate::bench_error::BenchError;
use crate::latencies::{Latencies, Percentiles};
use crate::monotonic::now_ns;
use crate::receiver::user_id;
use crate::schedule::Pace;
use crate::stamp::{STAMP_BYTES, Stamp};

/// The longest wait without looking at the clock again.
const WAIT_NS: u64 = 100_000_000;

pub(super) struct Talk {
    conversations: usize,
    size: usize,
    content: Bytes,
    /// All messages ever sent here.
    sent: Vec<Message>,
    acknowledged: usize,
    delivered: usize,
}

/// What has become of a message.
#[derive(Clone, Copy)]
struct Message {
    intended_ns: u64,
    /// 0: not yet.
    acknowledged_ns: u64,
    deliveries: u32,
}

/// What an open loop showed.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Paced {
    pub(super) messages_per_second: f64,
    /// From the intended time to the sending: what the measuring itself adds.
    pub(super) lateness: Percentiles,
    /// From the intended time.
    pub(super) acknowledgement: Percentiles,
    /// From the acknowledgement, 0 if it was there before, for each member of each message.
    pub(super) delivery: Percentiles,
}

/// Delays as they are collected.
struct Delays {
    lateness: Latencies,
    acknowledgement: Latencies,
    delivery: Latencies,
}

impl Delays {
    fn new() -> Self {
        Self {
            lateness: Latencies::new(),
            acknowledgement: Latencies::new(),
            delivery: Latencies::new(),
        }
    }
}

impl Talk {
    /// Groups are made; pairs make themselves with their first message. Members of conversation `c` are the users from `c * size` on.
    pub(super) fn begin(
        people: &mut People,
        conversations: usize,
        size: usize,
        payload_bytes: usize,
    ) -> Result<Self, BenchError> {
        let talk = Self {
            conversations,
            size,
            content: Bytes::from("x".repeat(payload_bytes)),
            sent: Vec::new(),
            acknowledged: 0,
            delivered: 0,
        };
        if size > 2 {
            talk.make_groups(people)?;
        }
        Ok(talk)
    }

    fn make_groups(&self, people: &mut People) -> Result<(), BenchError> {
        for conversation in 0..self.conversations {
            let owner = conversation * self.size;
            let others: Vec<_> = (owner + 1..owner + self.size).map(user_id).collect();
            let mut parts = others.chunks(limits::CONVERSATION_USERS_PER_COMMAND);
            let create = CreateGroup {
                id: group_id(conversation),
                user_ids: parts.next().unwrap_or_default().to_vec(),
                ..CreateGroup::default()
            };
            people.say(owner, &command(1, Body::CreateGroup(create)))?;
            people.await_answers(1, |_, _| Ok(()))?;
            for part in parts {
                let add = AddMembers {
                    r#type: ConversationType::Group.into(),
                    id: group_id(conversation),
                    user_ids: part.to_vec(),
                };
                people.say(owner, &command(1, Body::AddMembers(add)))?;
                people.await_answers(1, |_, _| Ok(()))?;
            }
        }
        Ok(())
    }

    /// Keeps `window` messages in flight for `time` and answers how many were committed each second.
    pub(super) fn flood(&mut self, people: &mut People, window: usize, time: Duration) -> Result<f64, BenchError> {
        let began_ns = now_ns();
        let until_ns = began_ns + time.as_nanos() as u64;
        let acknowledged_before = self.acknowledged;
        let mut delays = Delays::new();
        while now_ns() < until_ns {
            while self.sent.len() - self.acknowledged < window {
                self.send(people, now_ns())?;
            }
            self.listen(people, until_ns, &mut delays)?;
        }
        let seconds = (now_ns() - began_ns) as f64 / 1e9;
        let committed = self.acknowledged - acknowledged_before;
        self.settle(people, &mut delays)?;
        Ok(committed as f64 / seconds)
    }

    /// Sends at intended times, whatever becomes of it.
    pub(super) fn pace(&mut self, people: &mut People, per_second: f64, time: Duration) -> Result<Paced, BenchError> {
        let pace = Pace {
            start_ns: now_ns(),
            per_second,
        };
        let (count, first) = (pace.count_in(time), self.sent.len() as u64);
        let mut delays = Delays::new();
        while (self.sent.len() as u64) < first + count {
            let next = self.sent.len() as u64 - first;
            let intended_ns = pace.intended_ns(next);
            let now = now_ns();
            if intended_ns <= now {
                self.send(people, intended_ns)?;
                delays.lateness.record(now - intended_ns);
            } else {
                self.listen(people, intended_ns, &mut delays)?;
            }
            // Also when it is behind: answers that wait to be read would seem late.
            if next.is_multiple_of(32) {
                self.listen(people, 0, &mut delays)?;
            }
        }
        self.settle(people, &mut delays)?;
        Ok(Paced {
            messages_per_second: per_second,
            lateness: delays.lateness.percentiles(),
            acknowledgement: delays.acknowledgement.percentiles(),
            delivery: delays.delivery.percentiles(),
        })
    }

    /// Neighbours in time are in different conversations, and all users send equally often.
    fn send(&mut self, people: &mut People, intended_ns: u64) -> Result<(), BenchError> {
        let number = self.sent.len();
        let conversation = number % self.conversations;
        let place = number / self.conversations % self.size;
        let user = conversation * self.size + place;
        let (kind, target_id) = match self.size {
            2 => (ConversationType::Peer, user_id(conversation * 2 + 1 - place)),
            _ => (ConversationType::Group, group_id(conversation)),
        };
        let stamp = Stamp {
            intended_ns,
            number: number as u64,
        };
        let message = SendMessage {
            conversation_type: kind.into(),
            target_id,
            r#type: MessageType::Text.into(),
            content: self.content.clone(),
            client_message_id: stamp.content(STAMP_BYTES),
            ..SendMessage::default()
        };
        self.sent.push(Message {
            intended_ns,
            acknowledged_ns: 0,
            deliveries: 0,
        });
        people.say(user, &command(request_id(number), Body::SendMessage(message)))
    }

    fn listen(&mut self, people: &mut People, until_ns: u64, delays: &mut Delays) -> Result<(), BenchError> {
        let until_ns = until_ns.min(now_ns() + WAIT_NS);
        people.listen(until_ns, &mut |_, heard| match heard {
            Heard::Answer(request_id, reply) => {
                refuse_refusals(&reply)?;
                let message = known(&mut self.sent, u64::from(request_id) - 1)?;
                let now = now_ns();
                message.acknowledged_ns = now;
                delays.acknowledgement.record(now.saturating_sub(message.intended_ns));
                self.acknowledged += 1;
                Ok(())
            }
            Heard::Delivered(stamp) => {
                let message = known(&mut self.sent, stamp.number)?;
                message.deliveries += 1;
                if message.deliveries as usize >= self.size {
                    return Err(BenchError::peer("the gateway", "delivered a message more than once"));
                }
                self.delivered += 1;
                let delay_ns = match message.acknowledged_ns {
                    0 => 0,
                    acknowledged_ns => now_ns().saturating_sub(acknowledged_ns),
                };
                delays.delivery.record(delay_ns);
                Ok(())
            }
        })
    }

    /// Waits until all messages are with everybody.
    fn settle(&mut self, people: &mut People, delays: &mut Delays) -> Result<(), BenchError> {
        let mut deadline_ns = now_ns() + PATIENCE.as_nanos() as u64;
        while self.acknowledged < self.sent.len() || self.delivered < self.sent.len() * (self.size - 1) {
            let before = (self.acknowledged, self.delivered);
            self.listen(people, deadline_ns, delays)?;
            if before != (self.acknowledged, self.delivered) {
                deadline_ns = now_ns() + PATIENCE.as_nanos() as u64;
            }
            if now_ns() > deadline_ns {
                return Err(silent());
            }
        }
        Ok(())
    }
}

fn known(sent: &mut [Message], number: u64) -> Result<&mut Message, BenchError> {
    let message = usize::try_from(number).ok().and_then(|number| sent.get_mut(number));
    message.ok_or_else(|| BenchError::peer("the gateway", format!("knows of message {number}, which was not sent")))
}

/// From 1: a run sends fewer messages than there are.
fn request_id(number: usize) -> u32 {
    u32::try_from(number + 1).expect("4 thousand million messages are more than a run sends")
}

fn group_id(conversation: usize) -> String {
    format!("group-{conversation}")
}
