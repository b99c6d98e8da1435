//! The server API's way to the workers: orders to rooms, questions about users, from any thread.
//!
//! It posts values to the mailboxes of homes like a worker does, and waits for the answer. What is full refuses, and what takes too long is
//! given up: whether it was done is not known then.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use metrics::Counter;
use sluice_protocol::{ErrorCode, RoomId};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::clock::Now;
use crate::command;
use crate::conversation::{Actor, Asked, Command, Outcome, Published as ToConversation};
use crate::identity::{AppIndex, RoomKey, UserKey, WorkerIndex};
use crate::message_id::MessageIds;
use crate::metrics::Metric;
use crate::refusal::Refusal;
use crate::room::{Answer, Order, Published};
use crate::worker::Shared;
use crate::worker::announce::Announcement;
use crate::worker::mailbox::{Message, OrderResult, Outside};
use crate::worker::pump::label_of_kind;

/// How long an order may take, or several at once: many times what a worker and a commit need, and less than an app's server waits.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the app's server waits that met a full mailbox.
pub(super) const OVERLOAD_RETRY: Duration = Duration::from_secs(1);

type OutcomeResult = Result<Outcome, Refusal>;

/// See the module. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Operator {
    shared: Arc<Shared>,
    mailboxes: Outside,
    /// Of messages that are said in more than one place: those of a worker that does not exist.
    message_ids: Arc<Mutex<MessageIds>>,
    /// What met a full mailbox.
    refusals: Counter,
}

impl Operator {
    pub(crate) fn new(shared: Arc<Shared>, mailboxes: Outside) -> Self {
        let workers = u16::try_from(mailboxes.workers()).expect("fewer than 65536 workers");
        Self {
            refusals: shared.registry.shared(Metric::MailboxRefusals),
            shared,
            mailboxes,
            message_ids: Arc::new(Mutex::new(MessageIds::new(WorkerIndex(workers)))),
        }
    }

    /// What all workers share.
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Has a room carry out an order, and waits until all that it changes is kept.
    ///
    /// # Errors
    /// What the room says; 20607 when its home has too much to do, 5004 when it does not answer.
    pub(crate) async fn order(&self, room: RoomKey, order: Order) -> Result<Answer, Refusal> {
        wait(self.give(room, order)?, deadline()).await?
    }

    /// Has several rooms carry out an order each, all at the same time, and returns what each says.
    pub(crate) async fn orders(&self, orders: Vec<(RoomKey, Order)>) -> Vec<Result<Answer, Refusal>> {
        let given = orders.into_iter().map(|(room, order)| self.give(room, order)).collect();
        let answers = wait_for_all(given, deadline()).await;
        answers.into_iter().map(Result::flatten).collect()
    }

    fn give(&self, room: RoomKey, order: Order) -> Result<oneshot::Receiver<OrderResult>, Refusal> {
        let home = self.home((room.app, &room.id));
        let (answer, answered) = oneshot::channel();
        let order = Box::new(order);
        self.post(home, Message::Order { room, order, answer })?;
        Ok(answered)
    }

    /// Ends all connections of users, each with its refusal, and gives up what is kept of their sessions. Whoever blocks users has them in
    /// the policy before: logins under way are caught by one or the other. Whatever becomes of one, the others are ended.
    ///
    /// # Errors
    /// 20607 when the home of one of them has too much to do, 5004 when it does not answer.
    pub(crate) async fn evict(&self, users: Vec<(UserKey, Refusal)>) -> Result<(), Refusal> {
        let give = |(user, refusal): (UserKey, Refusal)| {
            let home = self.home((user.app, &user.id));
            let (answer, answered) = oneshot::channel();
            self.post(home, Message::Evict { user, refusal, answer })?;
            Ok(answered)
        };
        let given = users.into_iter().map(give).collect();
        wait_for_all(given, deadline()).await.into_iter().collect()
    }

    /// Has the rules of conversations carry out a command of the app's server, and waits until what it changes is kept. Who is concerned has been told by then.
    ///
    /// # Errors
    /// What the rules say; 20607 when a worker has too much to do, 5004 when the store has, or does not answer, 31003 when its disk takes nothing.
    pub(crate) async fn converse(&self, app: AppIndex, command: Command) -> Result<Outcome, Refusal> {
        wait(self.have_ruled(app, command)?, deadline()).await?
    }

    /// The same for several, in this order, waited for until `deadline`. They may be kept together.
    pub(crate) async fn converse_all(
        &self,
        app: AppIndex,
        commands: Vec<Command>,
        deadline: Instant,
    ) -> Vec<Result<Outcome, Refusal>> {
        let commands = commands.into_iter();
        let asked: Vec<_> = commands.map(|command| self.have_ruled(app, command)).collect();
        let answers = wait_for_all(asked, deadline).await;
        answers.into_iter().map(Result::flatten).collect()
    }

    fn have_ruled(&self, app: AppIndex, command: Command) -> Result<oneshot::Receiver<OutcomeResult>, Refusal> {
        command::conversation::check(&command)?;
        if !command.asks_only() && self.mailboxes.is_any_full() {
            return Err(self.refuse_overload());
        }
        let (answer, answered) = oneshot::channel();
        let (shared, mailboxes) = (self.shared.clone(), self.mailboxes.clone());
        let by = Actor::Server;
        let kind = match &command {
            Command::Publish(publish) => Some(publish.message.r#type()),
            _ => None,
        };
        self.shared
            .conversations
            .ask(Asked { app, by, command }, move |outcome| {
                let outcome = outcome.map(|mut outcome| {
                    if let Some(kind) = kind {
                        let (metric, taken) = (Metric::ConversationPublished, taken(&outcome.published));
                        shared.registry.add_labelled(metric, label_of_kind(kind), taken);
                    }
                    mailboxes.tell(&shared, app, std::mem::take(&mut outcome.tell), None);
                    outcome
                });
                // Nobody waits any more when the call took too long.
                let _ = answer.send(outcome);
            });
        Ok(answered)
    }

    /// Which of these users have a connection, in their order.
    ///
    /// # Errors
    /// As [`Self::evict`].
    pub(crate) async fn online(&self, users: Vec<UserKey>) -> Result<Vec<bool>, Refusal> {
        let mut by_home: Vec<Vec<usize>> = vec![Vec::new(); self.mailboxes.workers()];
        for (place, user) in users.iter().enumerate() {
            by_home[self.home((user.app, &user.id)).get()].push(place);
        }
        let mut asked = Vec::new();
        for (home, places) in (0..).zip(by_home) {
            if !places.is_empty() {
                let (answer, answered) = oneshot::channel();
                let users = places.iter().map(|place| users[*place].clone()).collect();
                self.post(WorkerIndex(home), Message::Online { users, answer })?;
                asked.push((places, answered));
            }
        }
        let deadline = deadline();
        let mut online = vec![false; users.len()];
        for (places, answered) in asked {
            for (place, is_online) in places.into_iter().zip(wait(answered, deadline).await?) {
                online[place] = is_online;
            }
        }
        Ok(online)
    }

    /// Gives an event to all connections of a user.
    ///
    /// # Errors
    /// 20607 when the user's home has too much to do.
    pub(crate) fn notify(&self, user: UserKey, frame: Bytes) -> Result<(), Refusal> {
        let home = self.home((user.app, &user.id));
        self.post(home, Message::Notify { user, frame })
    }

    /// Gives an event to everybody who is logged in to an app. It is taken when this returns, and delivered in the order taken.
    ///
    /// # Errors
    /// 20607 when a worker has too much to do, or too many of these; others may have taken it. 5004 when one does not answer.
    pub(crate) async fn broadcast(&self, app: AppIndex, frame: Bytes) -> Result<(), Refusal> {
        let mut asked = Vec::new();
        for worker in (0..).take(self.mailboxes.workers()).map(WorkerIndex) {
            let (answer, answered) = oneshot::channel();
            let frame = frame.clone();
            self.post(worker, Message::Broadcast { app, frame, answer })?;
            asked.push(answered);
        }
        let deadline = deadline();
        for answered in asked {
            wait(answered, deadline).await??;
        }
        Ok(())
    }

    /// Says something in all rooms of an app, and returns the id that the message has everywhere. It is taken when this returns, and said
    /// in the order taken.
    ///
    /// # Errors
    /// As [`Self::broadcast`].
    pub(crate) async fn publish_to_rooms(&self, app: AppIndex, message: Published, now: Now) -> Result<u64, Refusal> {
        let message_id = self.next_message_id(now);
        let mut asked = Vec::new();
        for worker in (0..).take(self.mailboxes.workers()).map(WorkerIndex) {
            let (answer, answered) = oneshot::channel();
            let message = message.clone();
            let announcement = Box::new(Announcement {
                app,
                message,
                message_id,
            });
            self.post(worker, Message::Announce { announcement, answer })?;
            asked.push(answered);
        }
        let deadline = deadline();
        for answered in asked {
            wait(answered, deadline).await??;
        }
        Ok(message_id)
    }

    /// The first so many of an app's rooms that are muted, by their ids, whether they exist or not.
    ///
    /// # Errors
    /// As [`Self::evict`].
    pub(crate) async fn muted_rooms(&self, app: AppIndex, limit: usize) -> Result<Vec<RoomId>, Refusal> {
        let mut asked = Vec::new();
        for worker in (0..).take(self.mailboxes.workers()).map(WorkerIndex) {
            let (answer, answered) = oneshot::channel();
            self.post(worker, Message::MutedRooms { app, limit, answer })?;
            asked.push(answered);
        }
        let deadline = deadline();
        let mut rooms = Vec::new();
        for answered in asked {
            rooms.extend(wait(answered, deadline).await?);
        }
        rooms.sort_unstable();
        rooms.truncate(limit);
        Ok(rooms)
    }

    /// The id of a message that is said in more than one place.
    pub(crate) fn next_message_id(&self, now: Now) -> u64 {
        let mut ids = self.message_ids.lock().unwrap_or_else(PoisonError::into_inner);
        ids.next(now.unix_ms)
    }

    /// The worker that is the home of a user (app and user id) or a room (app and room id).
    pub(crate) fn home(&self, key: impl std::hash::Hash) -> WorkerIndex {
        self.shared.home(key)
    }

    /// # Errors
    /// 20607 when the worker has as much before it as is allowed.
    fn post(&self, worker: WorkerIndex, message: Message) -> Result<(), Refusal> {
        self.mailboxes.post(worker, message).map_err(|_| self.refuse_overload())
    }

    /// A mailbox of a worker is full.
    fn refuse_overload(&self) -> Refusal {
        self.refusals.increment(1);
        Refusal::with_detail(ErrorCode::REQUEST_TOO_FREQUENT, "overload").retry_after(OVERLOAD_RETRY)
    }
}

/// How many messages were taken, repeats not counted.
fn taken(published: &[ToConversation]) -> u64 {
    let taken = published
        .iter()
        .filter(|one| matches!(&one.result, Ok(sent) if !sent.duplicate));
    taken.count() as u64
}

/// What each of those says that were asked, and of those that could not be asked why not.
async fn wait_for_all<T>(
    asked: Vec<Result<oneshot::Receiver<T>, Refusal>>,
    deadline: Instant,
) -> Vec<Result<T, Refusal>> {
    let mut answers = Vec::with_capacity(asked.len());
    for answered in asked {
        answers.push(match answered {
            Ok(answered) => wait(answered, deadline).await,
            Err(refusal) => Err(refusal),
        });
    }
    answers
}

/// Until when something that is asked now is waited for: the same time for all that one call asks.
fn deadline() -> Instant {
    Instant::now() + ANSWER_TIMEOUT
}

/// # Errors
/// 5004 when nothing comes in time, or the worker is gone.
async fn wait<T>(answered: oneshot::Receiver<T>, deadline: Instant) -> Result<T, Refusal> {
    match tokio::time::timeout_at(deadline, answered).await {
        Ok(Ok(answer)) => Ok(answer),
        _ => Err(Refusal::new(ErrorCode::TIMEOUT)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn many_that_do_not_answer_are_waited_for_once_and_the_others_are_heard() {
        let start = Instant::now();
        let (silent, asked): (Vec<_>, Vec<_>) = (0..100).map(|_| oneshot::channel::<u32>()).unzip();
        let (answering, answered) = oneshot::channel();
        answering.send(7).expect("somebody waits");
        let busy = Refusal::with_detail(ErrorCode::REQUEST_TOO_FREQUENT, "overload");
        let mut asked: Vec<_> = asked.into_iter().map(Ok).collect();
        asked.extend([Err(busy.clone()), Ok(answered)]);
        let answers = wait_for_all(asked, deadline()).await;
        assert_eq!(start.elapsed(), ANSWER_TIMEOUT);
        let (timed_out, others) = answers.split_at(100);
        assert!(
            timed_out
                .iter()
                .all(|answer| *answer == Err(Refusal::new(ErrorCode::TIMEOUT)))
        );
        assert_eq!(others, [Err(busy), Ok(7)]);
        drop(silent);
    }
}
