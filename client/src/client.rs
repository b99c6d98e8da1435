//! The handle an app holds.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use sluice_codec::FrameBuffer;
use sluice_protocol::frame::Body;
use sluice_protocol::{
    CreateConversation, ErrorCode, Frame, JoinRoom, LeaveAllRooms, LeaveRoom, Login, Logout, Ping, Pong,
    QueryNamedMembers, QueryRoom, QueryRoomAttributes, QueryRoomMembers, RenewToken, RenewTokenResult, limits, reply,
};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::attributes::{Attributes, AttributesWritten, DeleteAttributes, SetAttributes};
use crate::connection::{Answer, Call};
use crate::entering::{ChatRoomOptions, RoomOptions, SwitchOptions};
use crate::error::ClientError;
use crate::event::{EVENT_QUEUE_LENGTH, Events};
use crate::following::Following;
use crate::members::{Member, Members, MembersPage, RoomStatus};
use crate::message::{OutgoingMessage, SentMessage, Target};
use crate::options::{Options, measure};
use crate::pending::Pending;
use crate::places::Places;
use crate::reconnecting::{self, Established, Queues};
use crate::resume::{Memory, ResumeTicket};
use crate::room::{RoomEntered, check_room_id};
use crate::session::{self, Session};
use crate::submission::{self, Ended, Submission, Submitted};
use crate::sync::KnownConversation;
use crate::transport::{self, Link};

/// How long a call waits for its reply, time in the queue included.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// Calls that wait for the connection's task to take them. It takes them at once while the server keeps up, so this
/// bounds what piles up when it does not.
pub(crate) const CALL_QUEUE_LENGTH: usize = 256;

/// A client that is logged in. Cheap to clone; all clones are one.
///
/// Each call is queued when its method is called, so the order of calls is the order on the wire, and many may wait for
/// their replies at once. Besides the errors its method names, every call can fail with
///
/// - 5004 when no reply came within 20 seconds,
/// - 30014 when 256 calls wait to be sent already,
/// - 30016 when the command is larger than a frame may be,
/// - the code of the connection's end when that came first (30011 if the link broke), and 30002 after it, or until it is opened
///   again: nothing is kept to be sent later,
/// - 20607 (detail `overload`, or `rate`) when the server sheds load or is asked too often.
///
/// The connection ends when the last clone is dropped: what was queued is still written, and others see this user go
/// offline. Call [`logout`](Self::logout) first to leave on purpose.
#[derive(Clone)]
pub struct Client {
    calls: mpsc::Sender<Call>,
    memory: Arc<Mutex<Memory>>,
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
        Self::log_in(link, login, options).await
    }

    /// Connects and goes on with a session whose connection was lost, over whatever transport. [`Session::resumed`] says whether the
    /// server still had it; if not, this is a new session, inside no room.
    ///
    /// With [`Reconnect::Automatic`](crate::Reconnect::Automatic) a client does that by itself.
    ///
    /// # Errors
    /// As [`connect`](Self::connect). 31010 (detail `newer_login`) when the session is gone and the user has logged in elsewhere since.
    pub async fn resume(mut options: Options, ticket: ResumeTicket) -> Result<(Self, Events), ClientError> {
        let mut login = options.login()?;
        ticket.fill_in(&mut login);
        let mut link = transport::connect(&options).await?;
        let mut frames = FrameBuffer::new(limits::SERVER_FRAME_BYTES);
        let session = session::log_in(&mut link, &mut frames, login).await?;
        let session = session.going_on_from(ticket.started_at_ms());
        if let Some(sync) = &mut options.sync {
            ticket.fill_in_known(sync);
        }
        let places = if session.resumed {
            ticket.into_places()
        } else {
            Places::default()
        };
        Ok(Self::start(Established { link, frames }, session, places, options))
    }

    /// Logs in over an open link and starts the task behind it.
    pub(crate) async fn log_in(mut link: Link, login: Login, options: Options) -> Result<(Self, Events), ClientError> {
        let mut frames = FrameBuffer::new(limits::SERVER_FRAME_BYTES);
        let session = session::log_in(&mut link, &mut frames, login).await?;
        Ok(Self::start(
            Established { link, frames },
            session,
            Places::default(),
            options,
        ))
    }

    fn start(established: Established, session: Session, places: Places, options: Options) -> (Self, Events) {
        let (calls, queued_calls) = mpsc::channel(CALL_QUEUE_LENGTH);
        let (events, queued_events) = mpsc::channel(EVENT_QUEUE_LENGTH);
        let (closed, told_closed) = oneshot::channel();
        let queues = Queues {
            calls: queued_calls,
            events,
        };
        let following = options.sync.as_ref();
        let following = following.map(|sync| Following::new(sync, &session.user_id, Instant::now()));
        let taken = following.as_ref().map(Following::taken).unwrap_or_default();
        let memory = Arc::new(Mutex::new(Memory {
            session: Arc::new(session),
            places,
            token: None,
            following,
        }));
        tokio::spawn(reconnecting::run(established, options, queues, closed, memory.clone()));
        (Self { calls, memory }, Events::new(queued_events, told_closed, taken))
    }

    /// What the server announced at the newest login.
    #[must_use]
    pub fn session(&self) -> Arc<Session> {
        self.memory().session.clone()
    }

    /// What [`resume`](Self::resume) needs to go on with this session. Take it when the connection has ended.
    #[must_use]
    pub fn resume_ticket(&self) -> ResumeTicket {
        ResumeTicket::of(&self.memory())
    }

    /// Creates a room and joins it. A text for `options` is the room's name.
    ///
    /// # Errors
    /// 6000323 when the room exists, 33003, 23426 and 23423 for attributes that its policy does not allow, 6000324 when the app has as many
    /// rooms as it may have, with the detail `user` when there are as many that this user has made; as every way in 6000325 when this
    /// client is inside as many rooms as allowed, 23409 when this user is blocked there, 23411 when the room is full, 23437 when `extra`
    /// is too long.
    pub fn create_room(&self, room_id: &str, options: impl Into<RoomOptions>) -> Pending<RoomEntered> {
        let command = check_room_id(room_id).and_then(|()| options.into().create(room_id));
        self.enter(command.map(Body::CreateRoom))
    }

    /// Creates a room of the preset "live" with an id that the server chooses, and joins it: a conversation without members, of which nothing is kept.
    /// Others come by [`join_exist_chat_room`](Self::join_exist_chat_room).
    ///
    /// # Errors
    /// Those of [`create_room`](Self::create_room) but 6000323. 33003 when the name is longer than 100 bytes.
    pub fn create_transient_conversation(&self, name: impl Into<String>) -> Pending<RoomEntered> {
        self.enter(Ok(Body::CreateConversation(CreateConversation {
            name: name.into(),
            transient: true,
            ..CreateConversation::default()
        })))
    }

    /// Joins a room that exists.
    ///
    /// # Errors
    /// 23410 when there is no such room, 33003, and those of every way in.
    pub fn join_room(&self, room_id: &str) -> Pending<RoomEntered> {
        self.join_room_with(room_id, "")
    }

    /// Joins a room that exists, with something short for those inside, see [`RoomOptions::extra`].
    ///
    /// # Errors
    /// As [`join_room`](Self::join_room).
    pub fn join_room_with(&self, room_id: &str, extra: impl Into<String>) -> Pending<RoomEntered> {
        let command = check_room_id(room_id).map(|()| JoinRoom {
            room_id: room_id.into(),
            extra: extra.into(),
        });
        self.enter(command.map(Body::JoinRoom))
    }

    /// Joins a room, creating it first if it does not exist. A text for `options` is the room's name.
    ///
    /// # Errors
    /// Those of [`create_room`](Self::create_room) but 6000323.
    pub fn enter_room(&self, room_id: &str, options: impl Into<RoomOptions>) -> Pending<RoomEntered> {
        let command = check_room_id(room_id).and_then(|()| options.into().enter(room_id));
        self.enter(command.map(Body::EnterRoom))
    }

    /// Joins a chat room, creating it with the preset "live" if it does not exist. The newest messages follow as events. A
    /// [`History`](crate::History) for `options` says how many.
    ///
    /// # Errors
    /// 33003, 6000324, and those of every way in.
    pub fn join_chat_room(&self, room_id: &str, options: impl Into<ChatRoomOptions>) -> Pending<RoomEntered> {
        let command = check_room_id(room_id).map(|()| options.into().join(room_id));
        self.enter(command.map(Body::JoinChatRoom))
    }

    /// Joins a chat room that exists. The newest messages follow as events.
    ///
    /// # Errors
    /// 23410 when there is no such room, 33003, and those of every way in.
    pub fn join_exist_chat_room(&self, room_id: &str, options: impl Into<ChatRoomOptions>) -> Pending<RoomEntered> {
        let command = check_room_id(room_id).map(|()| options.into().join_exist(room_id));
        self.enter(command.map(Body::JoinExistChatRoom))
    }

    /// Leaves one room and enters another. Where that is refused, this client stays where it is.
    ///
    /// # Errors
    /// 23406 when this user is not inside `leave_room_id`, 23410 when there is no such room and none is to be created, 33003, and those of
    /// every way in.
    pub fn switch_room(&self, leave_room_id: &str, room_id: &str, options: SwitchOptions) -> Pending<RoomEntered> {
        let checked = check_room_id(leave_room_id).and_then(|()| check_room_id(room_id));
        let command = checked.and_then(|()| options.switch(leave_room_id, room_id));
        self.enter(command.map(Body::SwitchRoom))
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

    /// Leaves all rooms, and answers which they were.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn leave_all_rooms(&self) -> Pending<Vec<String>> {
        self.call(Ok(Body::LeaveAllRooms(LeaveAllRooms {})), |result| match result {
            Some(reply::Result::LeaveAllRooms(left)) => Some(left.room_ids),
            _ => None,
        })
    }

    /// Asks how a room is.
    ///
    /// # Errors
    /// 23406 when this user is not inside, 23410 when there is no such room, 33003.
    pub fn query_room(&self, room_id: &str) -> Pending<RoomStatus> {
        let command = check_room_id(room_id).map(|()| QueryRoom {
            room_id: room_id.into(),
        });
        self.call(command.map(Body::QueryRoom), |result| match result {
            Some(reply::Result::RoomStatus(status)) => Some(status.into()),
            _ => None,
        })
    }

    /// Asks for a page of members, by the time they joined, newest first; in rooms of more than 500 members for the newest 500 alone.
    /// `limit` is 1 to 100, or 0 for 100; `cursor` is [`MembersPage::next_cursor`] of the page before, and empty for the first. Nobody
    /// who stays is told twice or left out, whoever comes and goes meanwhile. [`members`](Self::members) asks for page after page.
    ///
    /// # Errors
    /// As [`query_room`](Self::query_room); 33003 (detail `limit` or `cursor`).
    pub fn query_members(&self, room_id: &str, limit: u32, cursor: &str) -> Pending<MembersPage> {
        let command = check_room_id(room_id).map(|()| QueryRoomMembers {
            room_id: room_id.into(),
            limit,
            cursor: cursor.into(),
        });
        self.call(command.map(Body::QueryRoomMembers), |result| match result {
            Some(reply::Result::RoomMembers(page)) => Some(page.into()),
            _ => None,
        })
    }

    /// The members of a room one after the other.
    pub fn members(&self, room_id: &str) -> Members {
        Members::new(self.clone(), room_id)
    }

    /// Asks which of these users, 1 to 10, are inside.
    ///
    /// # Errors
    /// As [`query_room`](Self::query_room); 33003 (detail `user_ids`).
    pub fn query_named_members(
        &self,
        room_id: &str,
        user_ids: impl IntoIterator<Item = impl Into<String>>,
    ) -> Pending<Vec<Member>> {
        let command = check_room_id(room_id).map(|()| QueryNamedMembers {
            room_id: room_id.into(),
            user_ids: user_ids.into_iter().map(Into::into).collect(),
        });
        self.call(command.map(Body::QueryNamedMembers), |result| match result {
            Some(reply::Result::NamedMembers(named)) => Some(named.members.into_iter().map(Member::from).collect()),
            _ => None,
        })
    }

    /// Sets attributes of a room. Each key is judged for itself: those that are refused are in the answer, and the others are done.
    ///
    /// # Errors
    /// 23406 when this user is not inside, 23410 when there is no such room, 33003, 23426 when attributes are off in this room, 23429 when there are
    /// more than 10, 23428 when every key was refused ([`ClientError::refused`] says why), 20607 when this session or the members together write too
    /// much: an attribute of more than 512 bytes counts for each 512 it begins.
    pub fn set_attributes(&self, room_id: &str, attributes: SetAttributes) -> Pending<AttributesWritten> {
        let command = check_room_id(room_id).map(|()| attributes.into_command(room_id));
        self.write_attributes(command.map(Body::SetRoomAttributes))
    }

    /// Deletes attributes of a room, as [`set_attributes`](Self::set_attributes) sets them.
    ///
    /// # Errors
    /// As [`set_attributes`](Self::set_attributes).
    pub fn delete_attributes(&self, room_id: &str, attributes: DeleteAttributes) -> Pending<AttributesWritten> {
        let command = check_room_id(room_id).map(|()| attributes.into_command(room_id));
        self.write_attributes(command.map(Body::DeleteRoomAttributes))
    }

    /// Asks for attributes of a room: those with these keys, at most 100, or all when there are none.
    ///
    /// # Errors
    /// As [`query_room`](Self::query_room); 33003 (detail `keys`), 23426 when attributes are off in this room.
    pub fn query_attributes(
        &self,
        room_id: &str,
        keys: impl IntoIterator<Item = impl Into<String>>,
    ) -> Pending<Attributes> {
        let command = check_room_id(room_id).map(|()| QueryRoomAttributes {
            room_id: room_id.into(),
            keys: keys.into_iter().map(Into::into).collect(),
        });
        self.call(command.map(Body::QueryRoomAttributes), |result| match result {
            Some(reply::Result::RoomAttributes(attributes)) => Some(attributes.into()),
            _ => None,
        })
    }

    /// Sends a message to a room this client is inside, or to a conversation this user is in. The answer says what place the message got.
    ///
    /// When the connection dies before the answer is there, this fails, and the message may be there all the same. In conversations
    /// [`submit`](Self::submit) sends it again by itself.
    ///
    /// # Errors
    /// Found before sending: 30016 when it is too large (detail: the limit in bytes), 33003 (detail: the field). From
    /// the server: 23406 when this user is not inside, 23408 when muted, 20604 when sending too fast, with advice in
    /// [`ClientError::retry_after`], 21501 when the text holds a word that the app does not allow, and those again. In conversations
    /// 4303, 21406, 22406 and 4323 as every command that names one, 22408 when muted, 405 when the receiver does not want it, 6000213, 6000214
    /// and 6000215 for a file that is not as it must be (format, size, duration), 5004 and 31003 when the store has too much to do or no room.
    pub fn send(&self, message: OutgoingMessage) -> Pending<SentMessage> {
        let command = message.into_command(&self.session().limits).map(Body::SendMessage);
        self.call(command, |result| match result {
            Some(reply::Result::SendMessage(sent)) => Some(sent.into()),
            _ => None,
        })
    }

    /// Sends a message in a conversation, and does not let go of it before it is known what has become of it: where the connection dies before
    /// the answer is there, and where the server has too much to do, it is sent again, under the same name, of which the server takes one.
    /// Those of one conversation arrive in the order of these calls. What is not kept ([`OutgoingMessage::keep`]) is not sent again when its
    /// answer is lost. With a message in which the server finds a fault of its own (4200) only its conversation waits, and after six tries it ends as
    /// [`SendOutcome::Unknown`](crate::SendOutcome::Unknown).
    ///
    /// This client must stay: when it comes to its end, so do its messages. Connecting again is the business of
    /// [`Reconnect::Automatic`](crate::Reconnect::Automatic). At most 1024 messages wait, of 8 MiB altogether; others fail with 30014.
    pub fn submit(&self, message: OutgoingMessage) -> Submission {
        let message = message.or_named(submission::new_name);
        let name = message.name().to_owned();
        let outcome = self.queue_submission(message.clone());
        Submission::new(message, name, outcome)
    }

    fn queue_submission(&self, message: OutgoingMessage) -> Result<oneshot::Receiver<Ended>, ClientError> {
        let Target::Conversation(conversation) = message.target().clone() else {
            return Err(ClientError::invalid(
                "target_id",
                "messages to rooms are sent with send",
            ));
        };
        let is_kept = message.is_kept();
        let command = message.into_command(&self.session().limits)?;
        let Body::SendMessage(command) = self.check_frame(Body::SendMessage(command))? else {
            return Err(ClientError::unexpected_reply());
        };
        let (outcome, told_outcome) = oneshot::channel();
        let submitted = Submitted {
            conversation,
            command,
            is_kept,
            outcome,
        };
        self.queue(Call::Submit(Box::new(submitted))).map(|()| told_outcome)
    }

    /// How far the app has taken each conversation from [`Events`], for the next [`SyncOptions::known`](crate::SyncOptions::known). Empty without
    /// [`Options::sync`].
    #[must_use]
    pub fn known_conversations(&self) -> Vec<KnownConversation> {
        let taken = self.memory().following.as_ref().map(Following::taken);
        taken.map(|taken| taken.known()).unwrap_or_default()
    }

    /// Sends a bullet-screen comment for which no answer is wanted, not even that it was refused.
    ///
    /// # Errors
    /// 30016 and 33003 as with [`send`](Self::send), 30014 when too many calls wait to be sent, 30002 when the
    /// connection has ended.
    pub fn send_barrage(&self, room_id: &str, content: impl Into<Bytes>) -> Result<(), ClientError> {
        let command = OutgoingMessage::barrage(room_id, content).into_command(&self.session().limits)?;
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

    /// Ends the session: this user leaves all rooms at once, and the connection ends with code 0, for good. Succeeds when it had
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

    fn enter(&self, command: Result<Body, ClientError>) -> Pending<RoomEntered> {
        self.call(command, |result| match result {
            Some(reply::Result::RoomEntered(entered)) => Some(entered.into()),
            _ => None,
        })
    }

    fn write_attributes(&self, command: Result<Body, ClientError>) -> Pending<AttributesWritten> {
        self.call(command, |result| match result {
            Some(reply::Result::RoomAttributesWritten(written)) => Some(written.into()),
            _ => None,
        })
    }

    pub(crate) fn call<T: 'static>(
        &self,
        command: Result<Body, ClientError>,
        open: impl FnOnce(Option<reply::Result>) -> Option<T> + Send + 'static,
    ) -> Pending<T> {
        let deadline = Instant::now() + CALL_TIMEOUT;
        let answered = command.and_then(|body| {
            let body = self.check_frame(body)?;
            let (answer, answered) = oneshot::channel::<Answer>();
            self.queue(Call::Request { body, deadline, answer }).map(|()| answered)
        });
        Pending::new(answered, deadline, open)
    }

    /// The server ends a connection on which a frame is too long.
    pub(crate) fn check_frame(&self, body: Body) -> Result<Body, ClientError> {
        let frame = Frame {
            request_id: u32::MAX,
            body: Some(body),
        };
        let (bytes, bytes_max) = (frame.encoded_len(), self.session().limits.client_frame_bytes);
        frame.body.filter(|_| bytes <= bytes_max as usize).ok_or_else(|| {
            ClientError::new(
                ErrorCode::CONTENT_TOO_LARGE_TO_SEND,
                bytes_max.to_string(),
                format!("the command has {bytes} bytes, at most {bytes_max} are taken"),
            )
        })
    }

    pub(crate) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn queue(&self, call: Call) -> Result<(), ClientError> {
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
            .field("session_id", &self.session().session_id)
            .finish_non_exhaustive()
    }
}
