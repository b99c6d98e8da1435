//! What goes on between the lines that are read, the messages on their way and what the server tells.

use std::collections::VecDeque;
use std::future::pending;
use std::io::Write;
use std::time::Duration;

use sluice_client::{Client, ClientError, Event, Events, OutgoingMessage, Pending, SentMessage};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::failure::Failure;
use super::input::Line;
use super::output::Output;
use super::pace::Pace;
use super::{ChatArguments, Outcome};

/// Messages on their way at once: enough to hide the round trip, few enough that a refusal comes soon.
const UNACKNOWLEDGED_MAX: usize = 32;

/// How long to wait, when all is acknowledged, for one's own messages to come back like everyone else's. They may have
/// been shed, so this is not for ever.
const OWN_MESSAGES_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) struct Conversation<'a> {
    arguments: &'a ChatArguments,
    client: &'a Client,
    lines: mpsc::Receiver<Line>,
    pace: Pace,
    input_ended: bool,
    /// Oldest first.
    unacknowledged: VecDeque<Pending<SentMessage>>,
    /// Of the newest message of ours that the server took, and of the newest that has come back to us or was missed.
    acknowledged_sequence: u64,
    seen_sequence: u64,
    messages_of_others: u64,
    renewal: Option<Pending<i64>>,
}

impl<'a> Conversation<'a> {
    pub(super) fn new(arguments: &'a ChatArguments, client: &'a Client, lines: mpsc::Receiver<Line>) -> Self {
        Self {
            arguments,
            client,
            lines,
            pace: Pace::default(),
            input_ended: false,
            unacknowledged: VecDeque::new(),
            acknowledged_sequence: 0,
            seen_sequence: 0,
            messages_of_others: 0,
            renewal: None,
        }
    }

    pub(super) async fn run(
        &mut self,
        events: &mut Events,
        output: &mut Output<impl Write>,
    ) -> Result<Outcome, Failure> {
        let room = self.client.enter_room(&self.arguments.room, "").await?;
        output.entered(&room)?;
        let mut finished_at = None;
        // One listener for the whole conversation: a new one for each turn would miss what comes between.
        let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
        loop {
            if self.has_finished() {
                let deadline = *finished_at.get_or_insert_with(|| Instant::now() + OWN_MESSAGES_TIMEOUT);
                if self.seen_sequence >= self.acknowledged_sequence || Instant::now() >= deadline {
                    return Ok(Outcome::Done);
                }
            } else {
                finished_at = None;
            }
            let wants_lines = !self.input_ended && self.unacknowledged.len() < UNACKNOWLEDGED_MAX;
            let next_line_at = self.pace.next_at(Instant::now()).filter(|_| wants_lines);
            let takes_lines = wants_lines && next_line_at.is_none();
            tokio::select! {
                _ = &mut interrupted => return Ok(Outcome::Interrupted),
                line = self.lines.recv(), if takes_lines => match line {
                    Some(line) => self.send(line?),
                    None => self.input_ended = true,
                },
                acknowledged = oldest(&mut self.unacknowledged) => {
                    self.acknowledged_sequence = self.acknowledged_sequence.max(acknowledged?.sequence);
                }
                renewed = renewed(&mut self.renewal) => {
                    renewed?;
                }
                event = events.next() => match event {
                    Some(Event::Closed(closed)) => {
                        return closed.error().map_or(Ok(Outcome::Done), |error| Err(Failure::Closed(error)));
                    }
                    Some(event) => self.handle_event(&event, output)?,
                    None => return Ok(Outcome::Done),
                },
                () = until(finished_at) => {}
                () = until(next_line_at) => {}
            }
        }
    }

    /// Whether nothing is left to do but to see one's own messages.
    fn has_finished(&self) -> bool {
        let waited = match self.arguments.wait {
            Some(count) => self.messages_of_others >= count && self.lines.is_empty(),
            None => self.input_ended,
        };
        waited && self.unacknowledged.is_empty()
    }

    fn send(&mut self, line: String) {
        // Return alone sends nothing: a message must not be empty.
        if !line.is_empty() {
            let message = OutgoingMessage::text(&self.arguments.room, line);
            self.unacknowledged.push_back(self.client.send(message));
            self.pace.take(Instant::now());
        }
    }

    fn handle_event(&mut self, event: &Event, output: &mut Output<impl Write>) -> Result<(), Failure> {
        match event {
            Event::RoomMessage(message) => {
                self.seen_sequence = self.seen_sequence.max(message.sequence);
                if message.sender.user_id != self.arguments.user {
                    self.messages_of_others += 1;
                }
            }
            Event::Gap(gap) => self.seen_sequence = self.seen_sequence.max(gap.last_sequence),
            Event::TokenWillExpire { .. } if self.arguments.token.is_none() => {
                self.renewal = Some(self.client.renew_token(&self.arguments.own_token()?));
            }
            _ => {}
        }
        output.event(event)
    }
}

/// The answer to the oldest message that has none yet. Cancel safe.
async fn oldest(unacknowledged: &mut VecDeque<Pending<SentMessage>>) -> Result<SentMessage, ClientError> {
    let Some(oldest) = unacknowledged.front_mut() else {
        return pending().await;
    };
    let answer = oldest.await;
    unacknowledged.pop_front();
    answer
}

/// The answer to the new token, if one is on its way. Cancel safe.
async fn renewed(renewal: &mut Option<Pending<i64>>) -> Result<i64, ClientError> {
    let Some(answer) = renewal else { return pending().await };
    let answer = answer.await;
    *renewal = None;
    answer
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}
