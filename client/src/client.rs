//! The handle an app holds.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sluice_codec::FrameBuffer;
use sluice_protocol::frame::Body;
use sluice_protocol::{
    CreateRoom, EnterRoom, ErrorCode, JoinChatRoom, JoinExistChatRoom, JoinRoom, LeaveRoom, Login, Logout, Ping, Pong,
    RenewToken, RenewTokenResult, limits, reply,
};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::connection::{self, Answer, Call, Queues};
use crate::error::ClientError;
use crate::event::{EVENT_QUEUE_LENGTH, Events};
use crate::message::{OutgoingMessage, SentMessage};
use crate::options::{Options, measure};
use crate::pending::Pending;
use crate::room::{History, RoomEntered, check_room_id};
use crate::session::{self, Session};
use crate::transport::{self, Link};

/// How long a call waits for its reply, time in the queue included.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// Calls that wait for the connection's task to take them. It takes them at once while the server keeps up, so this
/// bounds what piles up when it does not.
pub(crate) const CALL_QUEUE_LENGTH: usize = 256;

/// A connection that is logged in. Cheap to clone; all clones are one connection.
///
/// Each call is queued when its method is called, so the order of calls is the order on the wire, and many may wait for
/// their replies at once. Besides the errors its method names, every call can fail with
///
/// - 5004 when no reply came within 20 seconds,
/// - 30014 when 256 calls wait to be sent already,
/// - the code of the connection's end when that came first (30011 if the link broke), and 30002 after it,
/// - 20607 (detail `overload`) when the server sheds load.
///
/// The connection ends when the last clone is dropped: what was queued is still written, and others see this user go
/// offline. Call [`logout`](Self::logout) first to leave on purpose.
#[derive(Clone)]
pub struct Client {
    calls: mpsc::Sender<Call>,
    session: Arc<Session>,
}

impl Client {
    /// Connects and logs in. Must be called inside a Tokio runtime with IO and timers; the connection's task runs there.
    ///
    /// # Errors
    /// 30010 when the transport cannot be opened within 10 seconds, 31000 when the login has no answer within another
    /// 10, 30011 when the link breaks meanwhile, 33003 when an option breaks its rule (detail: the option), and every
    /// code the server answers a login with.
    pub async fn connect(options: Options) -> Result<(Self, Events), ClientError> {
        let login = options.login()?;
        let link = transport::connect(&options).await?;
        Self::log_in(link, login).await
    }

    /// Logs in over an open link and starts the connection's task.
    pub(crate) async fn log_in(mut link: Link, login: Login) -> Result<(Self, Events), ClientError> {
        let mut frames = FrameBuffer::new(limits::SERVER_FRAME_BYTES);
        let session = Arc::new(session::log_in(&mut link, &mut frames, login).await?);

        let (calls, queued_calls) = mpsc::channel(CALL_QUEUE_LENGTH);
        let (events, queued_events) = mpsc::channel(EVENT_QUEUE_LENGTH);
        let (closed, told_closed) = oneshot::channel();
        let queues = Queues {
            calls: queued_calls,
            events,
            closed,
        };
        tokio::spawn(connection::run(link, frames, session.heartbeat_interval, queues));
        Ok((Self { calls, session }, Events::new(queued_events, told_closed)))
    }

    /// What the server announced at login.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Creates a room and joins it. `room_name` has at most 256 bytes and may be empty.
    ///
    /// # Errors
    /// 6000323 when the room exists, 33003.
    pub fn create_room(&self, room_id: &str, room_name: &str) -> Pending<RoomEntered> {
        let checked = check_room_id(room_id).and_then(|()| check_room_name(room_name));
        self.join(
            checked,
            Body::CreateRoom(CreateRoom {
                room_id: room_id.into(),
                room_name: room_name.into(),
                ..CreateRoom::default()
            }),
        )
    }

    /// Joins a room that exists.
    ///
    /// # Errors
    /// 23410 when there is no such room, 33003.
    pub fn join_room(&self, room_id: &str) -> Pending<RoomEntered> {
        self.join(
            check_room_id(room_id),
            Body::JoinRoom(JoinRoom {
                room_id: room_id.into(),
                ..JoinRoom::default()
            }),
        )
    }

    /// Joins a room, creating it first if it does not exist; `room_name` counts only then. It has at most 256 bytes and
    /// may be empty.
    ///
    /// # Errors
    /// 33003.
    pub fn enter_room(&self, room_id: &str, room_name: &str) -> Pending<RoomEntered> {
        let checked = check_room_id(room_id).and_then(|()| check_room_name(room_name));
        self.join(
            checked,
            Body::EnterRoom(EnterRoom {
                room_id: room_id.into(),
                room_name: room_name.into(),
                ..EnterRoom::default()
            }),
        )
    }

    /// Joins a chat room, creating it with the preset "live" if it does not exist. The newest messages follow as events.
    ///
    /// # Errors
    /// 33003.
    pub fn join_chat_room(&self, room_id: &str, history: History) -> Pending<RoomEntered> {
        let message_count = history.message_count();
        let command = JoinChatRoom {
            room_id: room_id.into(),
            message_count,
            ..JoinChatRoom::default()
        };
        self.join(check_room_id(room_id), Body::JoinChatRoom(command))
    }

    /// Joins a chat room that exists. The newest messages follow as events.
    ///
    /// # Errors
    /// 23410 when there is no such room, 33003.
    pub fn join_exist_chat_room(&self, room_id: &str, history: History) -> Pending<RoomEntered> {
        let message_count = history.message_count();
        let command = JoinExistChatRoom {
            room_id: room_id.into(),
            message_count,
            ..JoinExistChatRoom::default()
        };
        self.join(check_room_id(room_id), Body::JoinExistChatRoom(command))
    }

    /// Leaves a room. Once this is answered, no further event of the room comes.
    ///
    /// # Errors
    /// 23406 when this user is not inside, 33003.
    pub fn leave_room(&self, room_id: &str) -> Pending<()> {
        let command = check_room_id(room_id).map(|()| {
            Body::LeaveRoom(LeaveRoom {
                room_id: room_id.into(),
            })
        });
        self.call(command, |result| {
            matches!(result, Some(reply::Result::LeaveRoom(_))).then_some(())
        })
    }

    /// Sends a message to a room this client is inside. The answer says what place the message got.
    ///
    /// # Errors
    /// Found before sending: 30016 when it is too large (detail: the limit in bytes), 33003 (detail: the field). From
    /// the server: 23406 when this user is not inside, 20604 when sending too fast, with advice in
    /// [`ClientError::retry_after`], and those again.
    pub fn send(&self, message: OutgoingMessage) -> Pending<SentMessage> {
        let command = message.into_command(&self.session.limits).map(Body::SendMessage);
        self.call(command, |result| match result {
            Some(reply::Result::SendMessage(sent)) => Some(sent.into()),
            _ => None,
        })
    }

    /// Sends a bullet-screen comment for which no answer is wanted, not even that it was refused.
    ///
    /// # Errors
    /// 30016 and 33003 as with [`send`](Self::send), 30014 when too many calls wait to be sent, 30002 when the
    /// connection has ended.
    pub fn send_barrage(&self, room_id: &str, content: impl Into<Bytes>) -> Result<(), ClientError> {
        let command = OutgoingMessage::barrage(room_id, content).into_command(&self.session.limits)?;
        self.queue(Call::Unanswered {
            body: Body::SendMessage(command),
        })
    }

    /// Replaces the session's token, at most 2048 bytes. Answers when the new one ends, in milliseconds since
    /// 1970-01-01 UTC.
    ///
    /// # Errors
    /// 31004 and 31005 when the server does not take it; the session goes on with the old one. 33003.
    pub fn renew_token(&self, token: &str) -> Pending<i64> {
        let command = measure("token", token, 1, limits::TOKEN_BYTES)
            .map(|()| Body::RenewToken(RenewToken { token: token.into() }));
        self.call(command, |result| match result {
            Some(reply::Result::RenewToken(RenewTokenResult {
                token_expires_at_ms, ..
            })) => Some(token_expires_at_ms),
            _ => None,
        })
    }

    /// Asks for the server's clock, milliseconds since 1970-01-01 UTC. Not needed to stay connected: the connection
    /// pings by itself.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn ping(&self) -> Pending<i64> {
        self.call(Ok(Body::Ping(Ping {})), |result| match result {
            Some(reply::Result::Pong(Pong { server_time_ms })) => Some(server_time_ms),
            _ => None,
        })
    }

    /// Ends the session: this user leaves all rooms at once, and the connection ends with code 0. Succeeds when it had
    /// ended before.
    ///
    /// # Errors
    /// Only those of every call, without 30002.
    pub fn logout(&self) -> Pending<()> {
        let answered = self.call(Ok(Body::Logout(Logout {})), |result| {
            matches!(result, Some(reply::Result::Logout(_))).then_some(())
        });
        answered.map(|outcome| match outcome {
            Err(error) if error.code == ErrorCode::CONNECTION_UNAVAILABLE => Ok(()),
            outcome => outcome,
        })
    }

    fn join(&self, checked: Result<(), ClientError>, command: Body) -> Pending<RoomEntered> {
        self.call(checked.map(|()| command), |result| match result {
            Some(reply::Result::RoomEntered(entered)) => Some(entered.into()),
            _ => None,
        })
    }

    fn call<T: 'static>(
        &self,
        command: Result<Body, ClientError>,
        open: fn(Option<reply::Result>) -> Option<T>,
    ) -> Pending<T> {
        let deadline = Instant::now() + CALL_TIMEOUT;
        let answered = command.and_then(|body| {
            let (answer, answered) = oneshot::channel::<Answer>();
            self.queue(Call::Request { body, deadline, answer }).map(|()| answered)
        });
        Pending::new(answered, deadline, open)
    }

    fn queue(&self, call: Call) -> Result<(), ClientError> {
        self.calls.try_send(call).map_err(|error| match error {
            TrySendError::Full(_) => {
                ClientError::new(ErrorCode::SIGNAL_SEND_FAILED, "", "too many calls wait to be sent")
            }
            TrySendError::Closed(_) => ClientError::unavailable(),
        })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("session_id", &self.session.session_id)
            .finish_non_exhaustive()
    }
}

fn check_room_name(room_name: &str) -> Result<(), ClientError> {
    measure("room_name", room_name, 0, limits::ROOM_NAME_BYTES)
}
