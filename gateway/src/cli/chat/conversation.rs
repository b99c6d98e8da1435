//! What goes on between the lines that are read, the messages on their way and what the server tells.

use std::collections::VecDeque;
use std::future::pending;
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::pin::Pin;
use std::time::Duration;

use sluice_client::{
    Attributes, AttributesWritten, Client, ClientError, Conversation as Listed, ConversationId, ConversationMessage,
    ConversationQuery, DeleteAttributes, ErrorCode, Event, Events, Member, MemberRefusal, MessagesQuery, NewGroup,
    OutgoingMessage, Pending, RoomEntered, SendOutcome, SentMessage, SetAttributes, Submission, SwitchOptions,
};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::command::{Command, Input, parse};
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
    /// Where what is said goes; nowhere once all rooms were left.
    room: Option<String>,
    /// The conversation in which it goes instead.
    talk: Option<ConversationId>,
    /// Messages in conversations that have no answer yet, oldest first. The client sends them again where that is needed.
    submitted: VecDeque<(ConversationId, Submission)>,
    standing: Standing,
    /// Oldest first.
    unacknowledged: VecDeque<Sent>,
    /// What is to be sent again, oldest first.
    unsent: VecDeque<OutgoingMessage>,
    message_names: MessageNames,
    /// A command under way. What is said after it waits for its answer.
    asked: Option<Asked>,
    /// Whether the room was no more when the connection came back, and has not been entered again yet.
    is_gone: bool,
    /// Of the newest message of ours that the server took, and of the newest that has come back to us or was missed.
    acknowledged_sequence: u64,
    seen_sequence: u64,
    messages_of_others: u64,
    renewal: Option<Pending<i64>>,
}

/// Whether what is said can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Inside,
    /// Not before the connection is there again, and the room entered.
    Away,
}

struct Sent {
    message: OutgoingMessage,
    answer: Pending<SentMessage>,
}

struct Asked {
    command: &'static str,
    answer: Pin<Box<dyn Future<Output = Result<Answer, ClientError>>>>,
}

/// What a command gives.
enum Answer {
    Members(Vec<Member>),
    Attributes(Attributes),
    Written(AttributesWritten),
    Entered(RoomEntered),
    LeftAll(Vec<String>),
    Listed(Vec<Listed>),
    History(Vec<ConversationMessage>),
    /// What is said goes there from now on; `None`: nowhere but to the room.
    Talk(Option<ConversationId>),
    /// Users who could not be added.
    Added(Vec<MemberRefusal>),
    /// There is nothing more to say of it.
    Done,
}

/// The room is entered again because it was gone when the connection came back. No line says this.
const ENTER_AGAIN: &str = "";

impl<'a> Conversation<'a> {
    pub(super) fn new(arguments: &'a ChatArguments, client: &'a Client, lines: mpsc::Receiver<Line>) -> Self {
        Self {
            arguments,
            client,
            lines,
            pace: Pace::default(),
            input_ended: false,
            room: arguments.room.clone(),
            talk: None,
            submitted: VecDeque::new(),
            standing: Standing::Inside,
            unacknowledged: VecDeque::new(),
            unsent: VecDeque::new(),
            message_names: MessageNames::new(),
            asked: None,
            is_gone: false,
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
        if let Some(room_id) = &self.arguments.room {
            let room = self.client.enter_room(room_id, "").await?;
            output.entered(&room)?;
        }
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
            let can_send = self.standing == Standing::Inside
                && self.asked.is_none()
                && self.unacknowledged.len() + self.submitted.len() < UNACKNOWLEDGED_MAX;
            let wants_to_send = can_send && !(self.input_ended && self.unsent.is_empty());
            let next_at = self.pace.next_at(Instant::now()).filter(|_| wants_to_send);
            let sends = wants_to_send && next_at.is_none();
            if sends && let Some(message) = self.unsent.pop_front() {
                self.send(message);
                continue;
            }
            tokio::select! {
                _ = &mut interrupted => return Ok(Outcome::Interrupted),
                line = self.lines.recv(), if sends => match line {
                    Some(line) => self.handle_line(line?, output)?,
                    None => self.input_ended = true,
                },
                acknowledged = oldest(&mut self.unacknowledged) => self.handle_acknowledgement(acknowledged)?,
                (conversation, outcome) = first_submitted(&mut self.submitted) => {
                    self.handle_outcome(&conversation, outcome, output)?;
                }
                (command, answer) = answered(&mut self.asked) => self.handle_answer(command, answer, output)?,
                renewed = renewed(&mut self.renewal) => match renewed {
                    // The next login tells again that the token will end.
                    Err(error) if !is_of_a_loss(&error) => return Err(error.into()),
                    Ok(_) | Err(_) => {}
                },
                event = events.next() => match event {
                    Some(Event::Closed(closed)) => {
                        return closed.error().map_or(Ok(Outcome::Done), |error| Err(Failure::Closed(error)));
                    }
                    Some(event) => self.handle_event(&event, output)?,
                    None => return Ok(Outcome::Done),
                },
                () = until(finished_at) => {}
                () = until(next_at) => {}
            }
        }
    }

    /// Whether nothing is left to do but to see one's own messages.
    fn has_finished(&self) -> bool {
        let waited = match self.arguments.wait {
            Some(count) => self.messages_of_others >= count && self.lines.is_empty(),
            None => self.input_ended,
        };
        waited
            && self.unacknowledged.is_empty()
            && self.submitted.is_empty()
            && self.unsent.is_empty()
            && self.asked.is_none()
    }

    fn handle_line(&mut self, line: String, output: &mut Output<impl Write>) -> Result<(), Failure> {
        match parse(line) {
            Ok(Input::Nothing) => {}
            Ok(Input::Text(text)) if self.talk.is_some() => self.submit(text),
            Ok(Input::Text(text)) => {
                let message = OutgoingMessage::text(self.room()?, text).client_message_id(self.message_names.next());
                self.send(message);
            }
            Ok(Input::Command(command)) => {
                let name = command.name();
                match self.answer_to(command) {
                    Ok(answer) => self.ask(name, answer),
                    Err(failure) => output.mistake(&failure)?,
                }
            }
            // A typing error is no reason to go.
            Err(failure) => output.mistake(&failure)?,
        }
        Ok(())
    }

    fn room(&self) -> Result<&str, Failure> {
        self.room.as_deref().ok_or_else(|| Failure::Local {
            code: ErrorCode::NOT_IN_CHATROOM,
            detail: "",
            message: "all rooms were left, or none was entered".to_owned(),
        })
    }

    fn talk(&self) -> Result<ConversationId, Failure> {
        let missing = || Failure::invalid("command", "say first in which conversation: /to USER or /group ID");
        self.talk.clone().ok_or_else(missing)
    }

    fn submit(&mut self, text: String) {
        if let Some(conversation) = &self.talk {
            let submission = self.client.submit(OutgoingMessage::text(conversation, text));
            self.submitted.push_back((conversation.clone(), submission));
            self.pace.take(Instant::now());
        }
    }

    fn handle_outcome(
        &mut self,
        conversation: &ConversationId,
        outcome: SendOutcome,
        output: &mut Output<impl Write>,
    ) -> Result<(), Failure> {
        match outcome {
            SendOutcome::Sent(sent) => output.sent(conversation, &sent),
            SendOutcome::Failed(error) | SendOutcome::Unknown { error, .. } => Err(error.into()),
        }
    }

    fn send(&mut self, message: OutgoingMessage) {
        let answer = self.client.send(message.clone());
        self.unacknowledged.push_back(Sent { message, answer });
        self.pace.take(Instant::now());
    }

    fn ask(&mut self, command: &'static str, answer: impl Future<Output = Result<Answer, ClientError>> + 'static) {
        self.asked = Some(Asked {
            command,
            answer: Box::pin(answer),
        });
    }

    fn answer_to(
        &self,
        command: Command,
    ) -> Result<impl Future<Output = Result<Answer, ClientError>> + use<>, Failure> {
        let client = self.client.clone();
        let room = match (&command, &self.room) {
            (
                Command::Members | Command::Attributes | Command::Set { .. } | Command::Delete { .. } | Command::Room,
                None,
            ) => return Err(self.room().expect_err("there is none")),
            (_, room) => room.clone().unwrap_or_default(),
        };
        let talk = match &command {
            Command::Add { .. } | Command::Quit | Command::History { .. } | Command::Read | Command::Recall { .. } => {
                Some(self.talk()?)
            }
            _ => None,
        };
        Ok(async move {
            Ok(match command {
                Command::Members => Answer::Members(all_members(&client, &room).await?),
                Command::Attributes => Answer::Attributes(client.query_attributes(&room, [""; 0]).await?),
                Command::Set { key, value } => {
                    Answer::Written(client.set_attributes(&room, SetAttributes::new(key, value)).await?)
                }
                Command::Delete { keys } => {
                    Answer::Written(client.delete_attributes(&room, DeleteAttributes::new(keys)).await?)
                }
                Command::Switch { room_id } if room.is_empty() => {
                    Answer::Entered(client.enter_room(&room_id, "").await?)
                }
                Command::Switch { room_id } => {
                    let options = SwitchOptions::default().create("");
                    Answer::Entered(client.switch_room(&room, &room_id, options).await?)
                }
                Command::LeaveAll => Answer::LeftAll(client.leave_all_rooms().await?),
                Command::To { user_id } => Answer::Talk(Some(ConversationId::peer(user_id))),
                Command::Group { id } => Answer::Talk(Some(ConversationId::group(id))),
                Command::Room => Answer::Talk(None),
                Command::CreateGroup { id, user_ids } => {
                    let group = NewGroup::named("").id(id).users(user_ids);
                    Answer::Talk(Some(client.create_group(group).await?.info.conversation))
                }
                Command::Conversations => Answer::Listed(
                    client
                        .query_conversations(ConversationQuery::default())
                        .await?
                        .conversations,
                ),
                command => in_conversation(&client, command, talk).await?,
            })
        })
    }

    fn handle_answer(
        &mut self,
        command: &'static str,
        answer: Result<Answer, ClientError>,
        output: &mut Output<impl Write>,
    ) -> Result<(), Failure> {
        match answer {
            Ok(Answer::Members(members)) => output.members(self.room()?, &members),
            Ok(Answer::Attributes(attributes)) => output.attributes(&attributes),
            // What was written comes back as an event, as to everybody.
            Ok(Answer::Written(written)) => {
                let mut refused = written.refused.iter();
                refused.try_for_each(|refusal| output.refused_key(command, refusal))
            }
            Ok(Answer::Entered(room)) => {
                self.room = Some(room.room_id.clone());
                self.is_gone = false;
                self.standing = Standing::Inside;
                output.entered(&room)
            }
            Ok(Answer::LeftAll(rooms)) => {
                self.room = None;
                output.left_all(&rooms)
            }
            Ok(Answer::Listed(conversations)) => output.conversations(&conversations),
            Ok(Answer::History(messages)) => output.history(&messages),
            Ok(Answer::Talk(talk)) => {
                self.talk = talk;
                Ok(())
            }
            Ok(Answer::Added(refused)) => refused.into_iter().try_for_each(|refusal| {
                output.mistake(&Failure::Local {
                    code: refusal.code,
                    detail: command,
                    message: refusal.user_id,
                })
            }),
            Ok(Answer::Done) => Ok(()),
            // The next connection makes it enter again.
            Err(error) if command == ENTER_AGAIN && is_of_a_loss(&error) => Ok(()),
            Err(error) if command == ENTER_AGAIN => Err(error.into()),
            Err(error) => output.refused(command, &error),
        }
    }

    fn handle_acknowledgement(&mut self, answer: Result<SentMessage, ClientError>) -> Result<(), Failure> {
        match answer {
            Ok(sent) => {
                self.acknowledged_sequence = self.acknowledged_sequence.max(sent.sequence);
                self.unacknowledged.pop_front();
            }
            Err(error) if is_of_a_loss(&error) => self.on_away(),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// The connection is lost, or the room. Whether messages without an answer were taken is not known: they are sent again under the
    /// same name, of which the server takes only one.
    fn on_away(&mut self) {
        self.standing = Standing::Away;
        let again = self.unacknowledged.drain(..).map(|sent| sent.message);
        self.unsent = again.chain(std::mem::take(&mut self.unsent)).collect();
    }

    fn handle_event(&mut self, event: &Event, output: &mut Output<impl Write>) -> Result<(), Failure> {
        output.event(event)?;
        match event {
            Event::RoomMessage(message) => {
                self.seen_sequence = self.seen_sequence.max(message.sequence);
                if message.sender.user_id != self.arguments.user {
                    self.messages_of_others += 1;
                }
            }
            Event::ConversationMessage(message) if message.sender.user_id != self.arguments.user => {
                self.messages_of_others += 1;
            }
            Event::Gap(gap) => self.seen_sequence = self.seen_sequence.max(gap.last_sequence),
            Event::TokenWillExpire { .. } if self.arguments.token.is_none() => {
                self.renewal = Some(self.client.renew_token(&self.arguments.own_token()?));
            }
            Event::Disconnected(_) => self.on_away(),
            Event::Reconnected { .. } if self.is_gone => self.enter_again(),
            Event::Reconnected { resumed } if *resumed || self.room.is_none() => self.standing = Standing::Inside,
            Event::RoomRejoined(rejoined) if self.is_here(&rejoined.entered.room_id) => {
                self.standing = Standing::Inside;
            }
            Event::RoomLost { room_id, error } if self.is_here(room_id) => self.on_room_lost(error)?,
            _ => {}
        }
        Ok(())
    }

    fn is_here(&self, room_id: &str) -> bool {
        self.room.as_deref() == Some(room_id)
    }

    /// A room that is no more is made again, as at the beginning.
    fn on_room_lost(&mut self, error: &ClientError) -> Result<(), Failure> {
        if error.code != ErrorCode::CHATROOM_NOT_EXIST {
            return Err(error.clone().into());
        }
        self.is_gone = true;
        self.enter_again();
        Ok(())
    }

    fn enter_again(&mut self) {
        if let Some(room_id) = &self.room {
            let entering = self.client.enter_room(room_id, "");
            self.ask(ENTER_AGAIN, async move { entering.await.map(Answer::Entered) });
        }
    }
}

/// Whether a call failed because the connection was lost. If that is for good, the events say so.
fn is_of_a_loss(error: &ClientError) -> bool {
    let unsent = [ErrorCode::CONNECTION_UNAVAILABLE, ErrorCode::SIGNAL_SEND_FAILED];
    error.is_of_lost_connection() || unsent.contains(&error.code)
}

/// Names for messages that no other run of this program gives.
struct MessageNames {
    run: u64,
    given: u64,
}

impl MessageNames {
    fn new() -> Self {
        Self {
            // The keys of a new hash table, which nobody can foresee.
            run: RandomState::new().hash_one(std::process::id()),
            given: 0,
        }
    }

    fn next(&mut self) -> String {
        self.given += 1;
        format!("{:016x}-{}", self.run, self.given)
    }
}

async fn all_members(client: &Client, room_id: &str) -> Result<Vec<Member>, ClientError> {
    let mut pages = client.members(room_id);
    let mut members = Vec::new();
    while let Some(member) = pages.next().await? {
        members.push(member);
    }
    Ok(members)
}

/// A command about the conversation in which what is said goes.
async fn in_conversation(
    client: &Client,
    command: Command,
    talk: Option<ConversationId>,
) -> Result<Answer, ClientError> {
    let Some(talk) = talk else { return Ok(Answer::Done) };
    Ok(match command {
        Command::Add { user_ids } => Answer::Added(client.add_members(&talk, user_ids).await?.refused),
        Command::Quit => {
            client.quit_conversation(&talk).await?;
            Answer::Talk(None)
        }
        Command::History { count } => {
            let query = MessagesQuery::default().limit(count);
            Answer::History(client.query_messages(&talk, query).await?.messages)
        }
        Command::Read => {
            let newest = client.query_conversation(&talk).await?.info.last_sequence;
            client.mark_read(&talk, newest).await?;
            Answer::Done
        }
        Command::Recall { message_id } => {
            client.recall_message(&talk, message_id).await?;
            Answer::Done
        }
        _ => Answer::Done,
    })
}

/// The oldest message in a conversation that has no answer yet, once it has one. Cancel safe.
async fn first_submitted(submitted: &mut VecDeque<(ConversationId, Submission)>) -> (ConversationId, SendOutcome) {
    let Some((_, submission)) = submitted.front_mut() else {
        return pending().await;
    };
    let outcome = submission.await;
    match submitted.pop_front() {
        Some((conversation, _)) => (conversation, outcome),
        None => pending().await,
    }
}

/// The answer to the oldest message that has none yet; the message stays. Cancel safe.
async fn oldest(unacknowledged: &mut VecDeque<Sent>) -> Result<SentMessage, ClientError> {
    match unacknowledged.front_mut() {
        Some(oldest) => (&mut oldest.answer).await,
        None => pending().await,
    }
}

/// The answer to the command under way, if there is one. Cancel safe.
async fn answered(asked: &mut Option<Asked>) -> (&'static str, Result<Answer, ClientError>) {
    let Some(Asked { command, answer }) = asked else {
        return pending().await;
    };
    let (command, answer) = (*command, answer.await);
    *asked = None;
    (command, answer)
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
