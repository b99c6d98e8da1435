//! The task behind a connection: it alone reads and writes the link.
//!
//! It takes calls from a bounded queue, gives them request ids, writes them, matches replies to them, puts events into
//! the app's queue and keeps the heartbeat. It never drops an event: while the app's queue is full it does not read.
//! What it does not do is connect again.

mod datagram;
mod heartbeat;
mod outbox;
mod outstanding;

use std::io;
use std::time::Duration;

use bytes::Bytes;
use sluice_codec::FrameBuffer;
use sluice_protocol::frame::Body;
use sluice_protocol::{ErrorCode, Frame, Ping, Reply};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use self::heartbeat::{Beat, Heartbeat};
use self::outbox::Outbox;
pub(crate) use self::outstanding::Answer;
use self::outstanding::{Outstanding, tell};
use crate::error::ClientError;
use crate::event::{self, Closed, Event};
use crate::session::LOGIN_REQUEST_ID;
use crate::transport::Link;

/// Read at once from the socket. Frames are mostly far smaller, and a larger one takes a few turns.
const READ_BYTES: usize = 8 * 1024;

/// How long a connection that is to end may take to write the rest and say goodbye.
const CLOSING_TIMEOUT: Duration = Duration::from_secs(1);

/// One command from the app.
#[derive(Debug)]
pub(crate) enum Call {
    /// A command with a reply.
    Request {
        body: Body,
        deadline: Instant,
        answer: oneshot::Sender<Answer>,
    },
    /// A command with request id 0.
    Unanswered { body: Body },
}

/// The ends of the queues that the task holds.
#[derive(Debug)]
pub(crate) struct Queues {
    pub(crate) calls: mpsc::Receiver<Call>,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) closed: oneshot::Sender<Closed>,
}

/// Serves the connection until it ends, then tells everyone who waits why.
pub(crate) async fn run(link: Link, frames: FrameBuffer, heartbeat_interval: Duration, queues: Queues) {
    let Queues {
        mut calls,
        events,
        closed,
    } = queues;
    let mut connection = Connection {
        link,
        frames,
        outbox: Outbox::new(),
        sending: Sending::Open,
        outstanding: Outstanding::new(LOGIN_REQUEST_ID),
        heartbeat: Heartbeat::new(heartbeat_interval, Instant::now()),
        events,
        undelivered: None,
        ignored_datagrams: 0,
    };
    let end = connection.serve(&mut calls).await;

    let error = end.call_error();
    connection.outstanding.fail_all(&error);
    calls.close();
    while let Some(call) = calls.recv().await {
        if let Call::Request { answer, .. } = call {
            tell(answer, Err(error.clone()));
        }
    }
    let ignored_datagrams = connection.ignored_datagrams;
    tracing::debug!(
        code = i32::from(end.code),
        detail = end.detail,
        ignored_datagrams,
        "connection ended"
    );
    // Nobody waits for the end any more when this fails.
    drop(closed.send(end));
    drop(connection.events);
    // A link that is broken cannot be ended well, and a server that said Close waits for nothing.
    drop(timeout(CLOSING_TIMEOUT, connection.link.writer.shutdown()).await);
}

#[derive(Debug)]
struct Connection {
    link: Link,
    frames: FrameBuffer,
    outbox: Outbox,
    sending: Sending,
    outstanding: Outstanding,
    heartbeat: Heartbeat,
    events: mpsc::Sender<Event>,
    /// An event the app's queue had no room for. While there is one, nothing is read.
    undelivered: Option<Event>,
    /// Those that held something else than one room message.
    ignored_datagrams: u64,
}

/// What becomes of a call.
#[derive(Debug)]
enum Sending {
    /// It is written.
    Open,
    /// It fails, as a write has failed before. What the server said before it closed its side can still be read, and
    /// may hold the reason; so only the end of reading is the end of the connection.
    Broken,
    /// There will be none, as nobody holds the client any more. What was queued is still written, until then.
    Ending { at_latest: Instant },
}

impl Connection {
    async fn serve(&mut self, calls: &mut mpsc::Receiver<Call>) -> Closed {
        let mut chunk = vec![0; READ_BYTES];
        loop {
            if let Err(end) = self.handle_frames() {
                return end;
            }
            let now = Instant::now();
            if matches!(self.sending, Sending::Ending { at_latest } if self.outbox.is_empty() || now >= at_latest) {
                return event::released();
            }
            self.outstanding.expire(now);
            if self.heartbeat.handle_timeout(now) == Beat::Ping && matches!(self.sending, Sending::Open) {
                let request_id = self.outstanding.next_id();
                self.outbox.push(&Frame {
                    request_id,
                    body: Some(Body::Ping(Ping {})),
                });
            }
            let takes_calls = !matches!(self.sending, Sending::Ending { .. })
                && self.outstanding.has_room()
                && self.outbox.has_room();
            let deadline = self.next_deadline();

            tokio::select! {
                () = deliver(&self.events, &mut self.undelivered), if self.undelivered.is_some() => {
                    self.heartbeat.on_received(Instant::now());
                }
                read = self.link.reader.read(&mut chunk), if self.undelivered.is_none() => {
                    if let Err(end) = self.handle_read(read, &chunk) {
                        return end;
                    }
                }
                datagram = self.link.datagrams.next(), if self.undelivered.is_none() => self.handle_datagram(&datagram),
                written = self.outbox.write_some(&mut self.link.writer), if !self.outbox.is_empty() => {
                    if let Err(error) = written {
                        self.on_write_failed(&error);
                    }
                }
                call = calls.recv(), if takes_calls => match call {
                    Some(call) => self.handle_call(call),
                    None => self.sending = Sending::Ending { at_latest: Instant::now() + CLOSING_TIMEOUT },
                },
                () = sleep_until(deadline) => {
                    if self.heartbeat.is_server_silent(Instant::now())
                        && let Some(end) = self.handle_silence(&mut chunk).await
                    {
                        return end;
                    }
                }
            }
        }
    }

    fn next_deadline(&self) -> Instant {
        let mut deadline = self.heartbeat.next_deadline();
        if let Some(expiry) = self.outstanding.next_deadline() {
            deadline = deadline.min(expiry);
        }
        if let Sending::Ending { at_latest } = self.sending {
            deadline = deadline.min(at_latest);
        }
        deadline
    }

    fn on_write_failed(&mut self, error: &io::Error) {
        tracing::debug!(%error, "write failed");
        self.outbox.clear();
        if matches!(self.sending, Sending::Open) {
            self.sending = Sending::Broken;
        }
    }

    fn handle_read(&mut self, read: io::Result<usize>, chunk: &[u8]) -> Result<(), Closed> {
        match read {
            Ok(0) => Err(self.link.closed_without_a_frame(None)),
            Ok(count) => {
                self.heartbeat.on_received(Instant::now());
                self.frames.push(&chunk[..count]);
                Ok(())
            }
            Err(error) => Err(self.link.closed_without_a_frame(Some(&error))),
        }
    }

    /// A datagram is worth nothing to anybody but the app: whatever is wrong with it, the connection goes on.
    fn handle_datagram(&mut self, datagram: &Bytes) {
        self.heartbeat.on_received(Instant::now());
        match datagram::open(datagram) {
            Some(event) => self.deliver_or_keep(event),
            None => self.ignored_datagrams += 1,
        }
    }

    /// A process that was stopped for a while finds its timers due before it has read what came meanwhile. So only a
    /// server that has nothing to read at the deadline is a silent one.
    async fn handle_silence(&mut self, chunk: &mut [u8]) -> Option<Closed> {
        tokio::select! {
            biased;
            read = self.link.reader.read(chunk) => self.handle_read(read, chunk).err(),
            () = std::future::ready(()) => Some(Closed::new(
                ErrorCode::PING_TIMEOUT,
                "",
                "nothing came from the server for 2.5 heartbeat intervals",
            )),
        }
    }

    /// Handles whole frames as long as the app has room for what comes of them.
    fn handle_frames(&mut self) -> Result<(), Closed> {
        while self.undelivered.is_none() {
            let body = match self.frames.next_frame() {
                Ok(Some(body)) => body,
                Ok(None) => break,
                Err(error) => return Err(Closed::new(error.code(), "", error.to_string())),
            };
            let frame = sluice_codec::open_server_frame(&body)
                .map_err(|error| Closed::new(error.code(), "", error.to_string()))?;
            match frame.body {
                Some(Body::Reply(reply)) => self.outstanding.complete(frame.request_id, answer_of(reply)),
                Some(Body::Close(close)) => return Err(Closed::by_server(close)),
                Some(body) => self.handle_event(body),
                None => tracing::debug!("an event this version does not know was skipped"),
            }
        }
        Ok(())
    }

    fn handle_event(&mut self, body: Body) {
        if let Some(event) = Event::from_body(body) {
            self.deliver_or_keep(event);
        }
    }

    fn deliver_or_keep(&mut self, event: Event) {
        match self.events.try_send(event) {
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {}
            Err(mpsc::error::TrySendError::Full(event)) => {
                self.undelivered = Some(event);
                self.heartbeat.on_reading_paused();
            }
        }
    }

    fn handle_call(&mut self, call: Call) {
        match call {
            Call::Request { answer, .. } if matches!(self.sending, Sending::Broken) => {
                let error = ClientError::new(ErrorCode::SIGNAL_SEND_FAILED, "", "the command could not be written");
                tell(answer, Err(error));
            }
            Call::Request { answer, deadline, .. } if deadline <= Instant::now() => {
                tell(answer, Err(ClientError::timeout()));
            }
            Call::Request { body, deadline, answer } => {
                let request_id = self.outstanding.insert(deadline, answer);
                self.outbox.push(&Frame {
                    request_id,
                    body: Some(body),
                });
            }
            Call::Unanswered { .. } if matches!(self.sending, Sending::Broken) => {}
            Call::Unanswered { body } => self.outbox.push(&Frame {
                request_id: 0,
                body: Some(body),
            }),
        }
    }
}

/// Waits for room in the app's queue. Without an app that wants events there is nothing to wait for.
async fn deliver(events: &mpsc::Sender<Event>, undelivered: &mut Option<Event>) {
    let room = events.reserve().await;
    if let (Ok(room), Some(event)) = (room, undelivered.take()) {
        room.send(event);
    }
}

fn answer_of(reply: Reply) -> Answer {
    if reply.code == 0 {
        Ok(reply.result)
    } else {
        Err(ClientError::of_reply(reply))
    }
}
