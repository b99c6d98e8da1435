//! Messages that stay here until it is known what has become of them. The queue knows no clock and no socket.
//!
//! In each conversation one message is on its way at a time, so that they arrive in the order in which they were submitted, also where one has
//! to be sent again.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use sluice_protocol::frame::Body;
use sluice_protocol::{ErrorCode, SendMessage, reply};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::connection::Answer;
use crate::conversation::ConversationId;
use crate::error::ClientError;
use crate::message::{OutgoingMessage, SentMessage};

/// Messages that wait here, those on their way counted in.
const MESSAGES_MAX: usize = 1024;

/// What they take: with the largest messages, a quarter of them.
const BYTES_MAX: usize = 8 * 1024 * 1024;

/// What a message takes beside its content.
const MESSAGE_OVERHEAD_BYTES: usize = 512;

/// Messages on their way at once: enough to hide the round trip, few enough that a refusal comes soon.
const UNDER_WAY_MAX: usize = 16;

/// After so long a message without an answer is sent again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// The wait after a refusal that names none. It doubles from one to the next,
const PAUSE: Duration = Duration::from_millis(500);

/// up to this.
const PAUSE_MAX: Duration = Duration::from_secs(32);

/// How often a message is sent to a server that has a fault with it: with the pauses between, for a quarter of a minute.
const FAULTS_MAX: u32 = 6;

/// What became of a message that was submitted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum SendOutcome {
    /// The server has taken it.
    Sent(SentMessage),
    /// It was not taken and will not be: the server has refused it, or it has never left.
    Failed(ClientError),
    /// The client came to its end before there was an answer, or the connection did and the message is of a kind that is not kept, or the server has
    /// a fault with it (4200), time and again: it may have been taken. Submit the same `message` again: under its name the server takes it once, if it is kept.
    Unknown {
        /// With the name under which it was sent.
        message: Box<OutgoingMessage>,
        /// Why there was no answer.
        error: ClientError,
    },
}

/// A message on its way: a future of what becomes of it. Made by [`Client::submit`](crate::Client::submit).
///
/// The message goes its way whether this is awaited or dropped.
#[must_use = "only the outcome says whether the message was taken"]
pub struct Submission {
    message: OutgoingMessage,
    client_message_id: String,
    outcome: Result<oneshot::Receiver<Ended>, Option<ClientError>>,
}

impl Submission {
    pub(crate) fn new(
        message: OutgoingMessage,
        client_message_id: String,
        outcome: Result<oneshot::Receiver<Ended>, ClientError>,
    ) -> Self {
        Self {
            message,
            client_message_id,
            outcome: outcome.map_err(Some),
        }
    }

    /// The message's name: the one it came with, or a new one.
    #[must_use]
    pub fn client_message_id(&self) -> &str {
        &self.client_message_id
    }
}

impl Future for Submission {
    type Output = SendOutcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<SendOutcome> {
        let ended = match &mut self.outcome {
            Ok(outcome) => match Pin::new(outcome).poll(context) {
                Poll::Ready(ended) => ended,
                Poll::Pending => return Poll::Pending,
            },
            Err(error) => {
                let error = error.take().unwrap_or_else(ClientError::unavailable);
                return Poll::Ready(SendOutcome::Failed(error));
            }
        };
        Poll::Ready(match ended {
            Ok(Ended::Sent(sent)) => SendOutcome::Sent(sent),
            Ok(Ended::Failed(error)) => SendOutcome::Failed(error),
            Ok(Ended::Unknown(error)) => self.unknown(error),
            // The client's task ends no submission without a word, unless the runtime was shut down.
            Err(_) => self.unknown(ClientError::unavailable()),
        })
    }
}

impl Submission {
    fn unknown(&self, error: ClientError) -> SendOutcome {
        SendOutcome::Unknown {
            message: Box::new(self.message.clone()),
            error,
        }
    }
}

impl fmt::Debug for Submission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submission")
            .field("client_message_id", &self.client_message_id)
            .finish_non_exhaustive()
    }
}

/// A name for a message that no other client gives.
pub(crate) fn new_name() -> String {
    // The keys of new hash tables, which nobody can foresee.
    let [first, second] = [(), ()].map(|()| RandomState::new().hash_one(()));
    format!("{first:016x}{second:016x}")
}

/// What becomes of a message, as the client's task knows it.
#[derive(Debug)]
pub(crate) enum Ended {
    Sent(SentMessage),
    Failed(ClientError),
    Unknown(ClientError),
}

/// A message and who waits to hear of it.
#[derive(Debug)]
pub(crate) struct Submitted {
    pub(crate) conversation: ConversationId,
    pub(crate) command: SendMessage,
    /// Whether the server knows a repeat.
    pub(crate) is_kept: bool,
    pub(crate) outcome: oneshot::Sender<Ended>,
}

/// Messages that wait, in the order of each conversation.
#[derive(Debug)]
pub(crate) struct Submissions {
    conversations: HashMap<ConversationId, VecDeque<Waiting>>,
    /// Conversations of which the first message may be sent.
    ready: VecDeque<ConversationId>,
    under_way: HashMap<u32, UnderWay>,
    /// Conversations with whose first message the server has a fault, and when it is tried again. Others do not wait for them.
    resting: Vec<(ConversationId, Instant)>,
    not_before: Option<Instant>,
    /// Of the next refusal that names none.
    pause: Duration,
    count: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Waiting {
    submitted: Submitted,
    bytes: usize,
    /// There was no answer to an earlier try.
    is_in_doubt: bool,
    /// Tries with which the server had a fault.
    faults: u32,
}

/// What comes of a message with which the server has a fault.
#[derive(Debug)]
enum Rest {
    Until(Instant),
    Over,
}

#[derive(Debug)]
struct UnderWay {
    conversation: ConversationId,
    deadline: Instant,
}

impl Default for Submissions {
    fn default() -> Self {
        Self {
            conversations: HashMap::new(),
            ready: VecDeque::new(),
            under_way: HashMap::new(),
            resting: Vec::new(),
            not_before: None,
            pause: PAUSE,
            count: 0,
            bytes: 0,
        }
    }
}

impl Submissions {
    /// A message is to be sent.
    pub(crate) fn take(&mut self, submitted: Submitted) {
        let bytes = submitted.command.content.len() + submitted.command.extended_data.len() + MESSAGE_OVERHEAD_BYTES;
        if self.count == MESSAGES_MAX || self.bytes + bytes > BYTES_MAX {
            let error = ClientError::new(ErrorCode::SIGNAL_SEND_FAILED, "", "too many messages wait to be sent");
            tell(submitted.outcome, Ended::Failed(error));
            return;
        }
        self.count += 1;
        self.bytes += bytes;
        let conversation = submitted.conversation.clone();
        let waiting = self.conversations.entry(conversation.clone()).or_default();
        waiting.push_back(Waiting {
            submitted,
            bytes,
            is_in_doubt: false,
            faults: 0,
        });
        if waiting.len() == 1 {
            self.ready.push_back(conversation);
        }
    }

    /// The message to send next, if it is time for one. `request_id` is what it will have.
    pub(crate) fn next(&mut self, now: Instant, request_id: impl FnOnce() -> u32) -> Option<(u32, Body)> {
        self.not_before.take_if(|at| *at <= now);
        let rested = self.resting.extract_if(.., |(_, until)| *until <= now);
        self.ready.extend(rested.map(|(conversation, _)| conversation));
        if self.under_way.len() >= UNDER_WAY_MAX || self.not_before.is_some() {
            return None;
        }
        let conversation = self.ready.pop_front()?;
        let first = self.conversations.get(&conversation)?.front()?;
        let command = first.submitted.command.clone();
        let request_id = request_id();
        let deadline = now + ANSWER_TIMEOUT;
        self.under_way.insert(request_id, UnderWay { conversation, deadline });
        Some((request_id, Body::SendMessage(command)))
    }

    /// An answer. Answers whether it was for one of these.
    pub(crate) fn on_answer(&mut self, request_id: u32, answer: &Answer, now: Instant) -> bool {
        let Some(UnderWay { conversation, .. }) = self.under_way.remove(&request_id) else {
            return false;
        };
        let ended = match answer {
            Ok(Some(reply::Result::SendMessage(sent))) => Ended::Sent(sent.clone().into()),
            Ok(_) => Ended::Unknown(ClientError::unexpected_reply()),
            Err(error) if error.code == ErrorCode::INTERNAL_ERROR => match self.rest(&conversation, error, now) {
                Rest::Until(until) => {
                    self.resting.push((conversation, until));
                    return true;
                }
                Rest::Over => Ended::Unknown(error.clone()),
            },
            Err(error) if error.is_for_a_while() => {
                self.not_before = Some(now + error.retry_after.unwrap_or(self.pause));
                self.pause = PAUSE_MAX.min(self.pause * 2);
                // With these it may have been taken; the others are answered before anything is done.
                if ![ErrorCode::SEND_TOO_FAST, ErrorCode::REQUEST_TOO_FREQUENT].contains(&error.code) {
                    self.doubt(&conversation);
                }
                self.ready.push_front(conversation);
                return true;
            }
            Err(error) => Ended::Failed(error.clone()),
        };
        self.pause = PAUSE;
        self.end_first(conversation, ended);
        true
    }

    /// The server has a fault with the first message of a conversation, which may have been taken.
    fn rest(&mut self, conversation: &ConversationId, error: &ClientError, now: Instant) -> Rest {
        let Some(first) = self.conversations.get_mut(conversation).and_then(VecDeque::front_mut) else {
            return Rest::Over;
        };
        first.is_in_doubt = true;
        first.faults += 1;
        if first.faults >= FAULTS_MAX || !first.submitted.is_kept {
            return Rest::Over;
        }
        Rest::Until(now + error.retry_after.unwrap_or(PAUSE * 2_u32.pow(first.faults - 1)))
    }

    /// Messages whose answers are late are sent again, if the server knows a repeat.
    pub(crate) fn expire(&mut self, now: Instant) {
        self.again(|under_way| under_way.deadline <= now, &ClientError::timeout());
    }

    /// The connection is lost.
    pub(crate) fn on_lost(&mut self, error: &ClientError) {
        self.again(|_| true, error);
        self.not_before = None;
    }

    fn again(&mut self, which: impl Fn(&UnderWay) -> bool, error: &ClientError) {
        let lost: Vec<_> = self.under_way.extract_if(|_, under_way| which(under_way)).collect();
        for (_, UnderWay { conversation, .. }) in lost {
            let first = self.conversations.get(&conversation).and_then(VecDeque::front);
            match first {
                Some(first) if first.submitted.is_kept => {
                    self.doubt(&conversation);
                    self.ready.push_front(conversation);
                }
                _ => self.end_first(conversation, Ended::Unknown(error.clone())),
            }
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let late = self.under_way.values().map(|under_way| under_way.deadline).min();
        let rested = self.resting.iter().map(|(_, until)| *until).min();
        let pause = self.not_before.filter(|_| !self.ready.is_empty());
        let rested = rested.map(|rested| self.not_before.map_or(rested, |not_before| not_before.max(rested)));
        late.into_iter().chain(pause).chain(rested).min()
    }

    /// There will be no connection any more.
    pub(crate) fn end_all(&mut self, error: &ClientError) {
        let under_way = std::mem::take(&mut self.under_way);
        for UnderWay { conversation, .. } in under_way.values() {
            self.doubt(conversation);
        }
        let conversations = std::mem::take(self).conversations;
        for waiting in conversations.into_values().flatten() {
            let ended = if waiting.is_in_doubt {
                Ended::Unknown(error.clone())
            } else {
                Ended::Failed(error.clone())
            };
            tell(waiting.submitted.outcome, ended);
        }
    }

    /// The first message of a conversation may have been taken.
    fn doubt(&mut self, conversation: &ConversationId) {
        if let Some(first) = self.conversations.get_mut(conversation).and_then(VecDeque::front_mut) {
            first.is_in_doubt = true;
        }
    }

    fn end_first(&mut self, conversation: ConversationId, ended: Ended) {
        let Some(waiting) = self.conversations.get_mut(&conversation) else {
            return;
        };
        if let Some(first) = waiting.pop_front() {
            self.count -= 1;
            self.bytes -= first.bytes;
            tell(first.submitted.outcome, ended);
        }
        if waiting.is_empty() {
            self.conversations.remove(&conversation);
        } else {
            self.ready.push_back(conversation);
        }
    }
}

/// Whoever submitted a message may not want to know.
fn tell(outcome: oneshot::Sender<Ended>, ended: Ended) {
    drop(outcome.send(ended));
}

#[cfg(test)]
mod tests;
