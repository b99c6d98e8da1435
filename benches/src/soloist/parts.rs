//! What a soloist sends, and what it makes of the answers.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use sluice_codec::{encode, open_server_frame};
use sluice_protocol::{ConversationType, Frame, MessageType, Ping, Reply, SendMessage, frame::Body, reply};

use super::voice::Voice;
use super::{Part, Ran, Task};
use crate::bare::STAMPED_ORDER;
use crate::bench_error::BenchError;
use crate::latencies::Latencies;
use crate::messages::Entry;
use crate::monotonic::now_ns;
use crate::receiver::{Hello, sequence_of};
use crate::schedule::Pace;
use crate::stamp::Stamp;

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(120);

/// The longest wait without looking at the clock again.
const WAIT_NS: u64 = 1_000_000_000;

pub(super) struct Player {
    voice: Voice,
    part: Part,
    room: String,
    /// Speaks to a bare loop, which does not answer.
    bare: bool,
    content_bytes: usize,
}

/// What a frame is to a soloist.
#[expect(
    clippy::large_enum_variant,
    reason = "it lives on the stack for one frame; a box would cost each an allocation"
)]
enum Heard {
    Answer(u32, Reply),
    /// So many messages that are not timed, come or told as missed.
    Chatter(u64),
    Other,
}

impl Player {
    /// Logs in and enters the room, unless it is to a bare loop.
    pub(super) fn enter(task: &Task) -> Result<Self, BenchError> {
        let mut player = Self {
            voice: Voice::connect(task.server)?,
            part: task.part,
            room: task.room.clone(),
            bare: matches!(task.entry, Entry::Bare),
            content_bytes: task.content_bytes,
        };
        if player.bare {
            return Ok(player);
        }
        let hello = Hello::new(&task.room, &task.entry).of(&task.user);
        player.voice.say(&hello)?;
        let deadline_ns = now_ns() + PATIENCE.as_nanos() as u64;
        let mut inside = false;
        while !inside {
            player.listen(deadline_ns, |heard| match heard {
                Heard::Answer(_, reply) if reply.code != 0 => Err(BenchError::peer(
                    "a soloist's server",
                    format!("refused it with {} {}", reply.code, reply.detail),
                )),
                Heard::Answer(_, reply) => {
                    inside |= matches!(reply.result, Some(reply::Result::RoomEntered(_)));
                    Ok(())
                }
                _ => Ok(()),
            })?;
            if now_ns() > deadline_ns {
                return Err(silent());
            }
        }
        Ok(player)
    }

    /// Reads on, so that the server has nobody to wait for.
    pub(super) fn idle_until(&mut self, until_ns: u64) -> Result<(), BenchError> {
        self.listen(until_ns, |_| Ok(()))
    }

    /// Sends at the times of `pace`, and waits for the answers.
    pub(super) fn run(&mut self, pace: Pace, count: u64, first_number: u64) -> Result<Ran, BenchError> {
        let mut ran = Ran::new();
        let mut answered = if self.bare { count } else { 0 };
        let deadline_ns = pace.intended_ns(count) + PATIENCE.as_nanos() as u64;
        while ran.sent < count || answered < count {
            let mut next_ns = pace.intended_ns(ran.sent);
            while ran.sent < count && next_ns <= now_ns() {
                let command = self.command(ran.sent, next_ns, first_number + ran.sent);
                self.voice.say(&command)?;
                ran.lateness.record(now_ns().saturating_sub(next_ns));
                ran.sent += 1;
                next_ns = pace.intended_ns(ran.sent);
            }
            let until_ns = now_ns() + WAIT_NS;
            let until_ns = if ran.sent < count {
                until_ns.min(next_ns)
            } else {
                until_ns
            };
            if ran.sent == count && answered == count {
                break;
            }
            self.listen(until_ns, |heard| {
                if let Heard::Answer(request_id, reply) = heard {
                    let intended_ns = pace.intended_ns(u64::from(request_id).saturating_sub(1));
                    ran.answers.record(now_ns().saturating_sub(intended_ns));
                    ran.note(&reply);
                    answered += 1;
                }
                Ok(())
            })?;
            if now_ns() > deadline_ns {
                return Err(silent());
            }
        }
        Ok(ran)
    }

    /// Keeps `window` messages in flight until then, and waits for the last of them.
    pub(super) fn flood(&mut self, window: u64, until_ns: u64) -> Result<Ran, BenchError> {
        let mut ran = Ran::new();
        let (mut back, mut answered) = (0_u64, 0);
        let deadline_ns = until_ns + PATIENCE.as_nanos() as u64;
        loop {
            let now = now_ns();
            let on = now < until_ns;
            let mut commands = Vec::new();
            while on && ran.sent < back + window {
                commands.extend_from_slice(&self.command(ran.sent, now, 0));
                ran.sent += 1;
            }
            self.voice.say(&commands)?;
            if !on && answered >= ran.sent && back >= ran.sent {
                return Ok(ran);
            }
            self.listen(now + WAIT_NS, |heard| {
                match heard {
                    Heard::Answer(_, reply) => {
                        // A message that was refused will not come.
                        back += u64::from(reply.code != 0);
                        ran.note(&reply);
                        answered += 1;
                    }
                    Heard::Chatter(messages) => back += messages,
                    Heard::Other => {}
                }
                Ok(())
            })?;
            if now > deadline_ns {
                return Err(silent());
            }
        }
    }

    fn listen(
        &mut self,
        until_ns: u64,
        mut take: impl FnMut(Heard) -> Result<(), BenchError>,
    ) -> Result<(), BenchError> {
        let content_bytes = self.content_bytes;
        self.voice
            .listen(until_ns, |body| take(understand(body, content_bytes)?))
    }

    /// The bytes of command number `number` of a run.
    fn command(&self, number: u64, intended_ns: u64, stamp_number: u64) -> Vec<u8> {
        let stamp = Stamp {
            intended_ns,
            number: stamp_number,
        };
        let content = match self.part {
            Part::Speaker if self.bare => {
                let words = [stamp.intended_ns.to_be_bytes(), stamp.number.to_be_bytes()];
                return [&[STAMPED_ORDER], words.as_flattened()].concat();
            }
            Part::Pinger => return frame(number, Body::Ping(Ping {})),
            Part::Speaker => stamp.content(self.content_bytes),
            Part::Chatter => "x".repeat(self.content_bytes),
        };
        frame(
            number,
            Body::SendMessage(SendMessage {
                conversation_type: ConversationType::Room.into(),
                target_id: self.room.clone(),
                r#type: MessageType::Text.into(),
                content: Bytes::from(content),
                ..SendMessage::default()
            }),
        )
    }
}

impl Ran {
    fn new() -> Self {
        Self {
            sent: 0,
            newest_sequence: 0,
            answers: Latencies::new(),
            lateness: Latencies::new(),
            refused: BTreeMap::new(),
        }
    }

    fn note(&mut self, reply: &Reply) {
        if reply.code != 0 {
            *self.refused.entry(reply.code.to_string()).or_default() += 1;
        }
        if let Some(reply::Result::SendMessage(sent)) = &reply.result {
            self.newest_sequence = self.newest_sequence.max(sent.sequence);
        }
    }
}

fn understand(body: &[u8], content_bytes: usize) -> Result<Heard, BenchError> {
    if sequence_of(body).is_some() {
        let timed = Stamp::of(body, content_bytes).is_some();
        return Ok(if timed { Heard::Other } else { Heard::Chatter(1) });
    }
    let frame = open_server_frame(body).map_err(|error| BenchError::peer("a soloist's server", error))?;
    match frame.body {
        Some(Body::Reply(reply)) => Ok(Heard::Answer(frame.request_id, reply)),
        Some(Body::RoomGap(gap)) => Ok(Heard::Chatter(gap.high + gap.normal + gap.low + gap.barrage)),
        Some(Body::Close(close)) => Err(BenchError::peer(
            "a soloist's server",
            format!("closed with {} {}", close.code, close.detail),
        )),
        _ => Ok(Heard::Other),
    }
}

/// Request ids begin with 1 and go round, skipping 0: only the newest 4294967295 commands can be under way.
fn frame(number: u64, body: Body) -> Vec<u8> {
    let request_id = (number % u64::from(u32::MAX)) as u32 + 1;
    encode(&Frame {
        request_id,
        body: Some(body),
    })
    .to_vec()
}

fn silent() -> BenchError {
    BenchError::Timeout {
        who: "the server".into(),
        doing: "answering a soloist",
        seconds: PATIENCE.as_secs(),
    }
}
