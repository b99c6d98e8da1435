//! The task behind a client: it serves one connection after the other.
//!
//! Whether there is another, and when, is decided by [`schedule`]. Between two connections every call fails at once, and nothing is
//! kept to be sent later: an app that is told so can decide, and one that finds its messages sent minutes later cannot. Only what was
//! submitted waits, since its app has asked for that.

mod schedule;

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sluice_codec::FrameBuffer;
use sluice_protocol::frame::Body;
use sluice_protocol::{ErrorCode, LogoutResult, limits, reply};
use tokio::io::AsyncWriteExt;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};

use self::schedule::{Patience, Schedule, Verdict};
use crate::connection::{self, Beginning, CLOSING_TIMEOUT, Call, End, Restoring, Wish, deliver, tell};
use crate::error::ClientError;
use crate::event::{self, Closed, Event};
use crate::options::{Options, Reconnect};
use crate::resume::{Memory, ResumeTicket};
use crate::session::{self, Session};
use crate::submission::Submissions;
use crate::transport::{self, Link};

/// A link over which the login has succeeded, and what has come behind the answer.
#[derive(Debug)]
pub(crate) struct Established {
    pub(crate) link: Link,
    pub(crate) frames: FrameBuffer,
}

/// The ends of the queues that the task holds.
#[derive(Debug)]
pub(crate) struct Queues {
    pub(crate) calls: mpsc::Receiver<Call>,
    pub(crate) events: mpsc::Sender<Event>,
}

/// Serves connections until there is to be none any more, then tells everyone who waits why.
pub(crate) async fn run(
    established: Established,
    options: Options,
    queues: Queues,
    closed: oneshot::Sender<Closed>,
    memory: Arc<Mutex<Memory>>,
) {
    let mut keeper = Keeper {
        options,
        queues,
        memory,
        schedule: Schedule::new(Instant::now()),
        untold: VecDeque::new(),
        unrestored: Vec::new(),
        submissions: Submissions::default(),
    };
    let (end, link) = keeper.keep(established).await;

    let Queues { mut calls, events } = keeper.queues;
    let error = end.call_error();
    calls.close();
    while let Some(call) = calls.recv().await {
        match call {
            Call::Request { answer, .. } => tell(answer, Err(error.clone())),
            Call::Submit(submitted) => keeper.submissions.take(*submitted),
            Call::Unanswered { .. } => {}
        }
    }
    keeper.submissions.end_all(&error);
    // Nobody waits for the end any more when this fails.
    drop(closed.send(end));
    drop(events);
    if let Some(mut link) = link {
        // A link that is broken cannot be ended well, and a server that said Close waits for nothing.
        drop(timeout(CLOSING_TIMEOUT, link.writer.shutdown()).await);
    }
}

struct Keeper {
    options: Options,
    queues: Queues,
    memory: Arc<Mutex<Memory>>,
    schedule: Schedule,
    /// What happened between two connections and the app has not been told. It is short: one connection's end, the newest try, and that
    /// one has succeeded; a connection whose app has still to be told of it reads nothing, and so does not end.
    untold: VecDeque<Event>,
    /// Rooms of the session before that this one is not inside yet.
    unrestored: Vec<String>,
    /// Messages that wait for a connection.
    submissions: Submissions,
}

/// The app wants no connection any more.
struct Unwanted(Closed);

impl Keeper {
    /// Serves connections, and answers why the last one ended, and with which link, if there is one.
    async fn keep(&mut self, mut established: Established) -> (Closed, Option<Link>) {
        loop {
            let End {
                closed,
                link,
                wish,
                unrestored,
                submissions,
            } = self.serve(established).await;
            self.submissions = submissions;
            self.schedule.on_lost(Instant::now());
            let verdict = match (self.options.reconnect, wish) {
                (Reconnect::Automatic, Wish::GoOn) => Verdict::of(closed.code, &closed.detail, closed.retry_after),
                (Reconnect::Never, _) | (_, Wish::End) => Verdict::Stop,
            };
            let Verdict::Retry(patience) = verdict else {
                return (closed, Some(link));
            };
            drop(link);
            self.unrestored = unrestored;
            self.untold.push_back(Event::Disconnected(closed));
            established = match self.reconnect(patience).await {
                Ok(established) => established,
                Err(Unwanted(closed)) => return (closed, None),
            };
        }
    }

    async fn serve(&mut self, established: Established) -> End {
        let unrestored = std::mem::take(&mut self.unrestored);
        let heartbeat_interval = self.remembered().session.heartbeat_interval;
        let beginning = Beginning {
            link: established.link,
            frames: established.frames,
            heartbeat_interval,
            events: std::mem::take(&mut self.untold),
            restoring: Restoring::new(unrestored, Instant::now()),
            submissions: std::mem::take(&mut self.submissions),
        };
        let Queues { calls, events } = &mut self.queues;
        connection::serve(beginning, calls, events, &self.memory).await
    }

    /// Tries until a login succeeds, or until trying is of no use.
    async fn reconnect(&mut self, mut patience: Patience) -> Result<Established, Unwanted> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let delay = self.schedule.next_delay(patience, chance());
            self.tell_of_try(attempt, delay);
            self.while_down(sleep(delay)).await?;
            let ticket = ResumeTicket::of(&self.remembered());
            let options = self.options.clone();
            let token = self.remembered().token.clone();
            let outcome = self.while_down(log_in_again(options, token, ticket)).await?;
            let error = match outcome {
                Ok((established, session)) => {
                    self.on_connected(session);
                    return Ok(established);
                }
                Err(error) => error,
            };
            tracing::debug!(%error, attempt, "connecting again failed");
            patience = match Verdict::of(error.code, &error.detail, error.retry_after) {
                Verdict::Retry(patience) => patience,
                Verdict::Stop => return Err(Unwanted(Closed::by_error(error))),
            };
        }
    }

    fn on_connected(&mut self, session: Session) {
        self.schedule.on_connected(Instant::now());
        let resumed = session.resumed;
        self.untold.push_back(Event::Reconnected { resumed });
        if !resumed {
            let rooms = self
                .remembered()
                .places
                .iter()
                .map(|(room_id, _)| room_id.to_owned())
                .collect();
            self.unrestored = rooms;
        }
        self.remembered().session = Arc::new(session);
    }

    /// Of several tries that an app has not heard of, the newest is enough.
    fn tell_of_try(&mut self, attempt: u32, delay: Duration) {
        self.untold
            .pop_back_if(|event| matches!(event, Event::Reconnecting { .. }));
        self.untold.push_back(Event::Reconnecting { attempt, delay });
    }

    /// Waits for `work`. Meanwhile the app is told what it has still to be told, and its calls fail.
    async fn while_down<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Unwanted> {
        let mut work = std::pin::pin!(work);
        let Queues { calls, events } = &mut self.queues;
        let submissions = &mut self.submissions;
        loop {
            tokio::select! {
                outcome = &mut work => return Ok(outcome),
                () = deliver(events, &mut self.untold), if !self.untold.is_empty() => {}
                call = calls.recv() => match call {
                    None => return Err(Unwanted(event::released())),
                    Some(Call::Request { body: Body::Logout(_), answer, .. }) => {
                        tell(answer, Ok(Some(reply::Result::Logout(LogoutResult {}))));
                        return Err(Unwanted(Closed::new(ErrorCode::NO_ERROR, "", "")));
                    }
                    Some(Call::Request { answer, .. }) => tell(answer, Err(ClientError::down())),
                    Some(Call::Submit(submitted)) => submissions.take(*submitted),
                    Some(Call::Unanswered { .. }) => {}
                },
            }
        }
    }

    fn remembered(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn log_in_again(
    options: Options,
    token: Option<String>,
    ticket: ResumeTicket,
) -> Result<(Established, Session), ClientError> {
    let mut login = options.login()?;
    login.token = token.unwrap_or(login.token);
    ticket.fill_in(&mut login);
    let mut link = transport::connect(&options).await?;
    let mut frames = FrameBuffer::new(limits::SERVER_FRAME_BYTES);
    let session = session::log_in(&mut link, &mut frames, login).await?;
    Ok((
        Established { link, frames },
        session.going_on_from(ticket.started_at_ms()),
    ))
}

/// A number from 0 to 1. Spreading clients needs no better dice than the keys of the standard library's hash tables, which the
/// system's random source begins.
fn chance() -> f64 {
    let bits = RandomState::new().hash_one(()) >> 11;
    bits as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dice_use_the_whole_range() {
        let drawn: Vec<f64> = (0..1000).map(|_| chance()).collect();
        assert!(drawn.iter().all(|chance| (0.0..1.0).contains(chance)));
        for tenth in 0..10 {
            let from = f64::from(tenth) / 10.0;
            assert!(
                drawn.iter().any(|chance| (from..from + 0.1).contains(chance)),
                "{tenth}"
            );
        }
    }
}
