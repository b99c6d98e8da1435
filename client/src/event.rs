//! What the server tells unasked, and the queue an app reads it from.

use std::fmt;
use std::time::Duration;

use sluice_protocol::frame::Body;
use sluice_protocol::{Close, ErrorCode};
use tokio::sync::{mpsc, oneshot};

use crate::attributes::AttributesChanged;
use crate::conversation::{
    ConversationChanged, ConversationGap, ConversationKickedOut, ConversationMembers, ConversationMessage,
    ConversationsSynced, GroupDismissed, Invited, MessageTakenBack, PositionMoved,
};
use crate::error::{ClientError, advised_delay};
use crate::following::Taken;
use crate::message::RoomMessage;
use crate::moderation::{KickedOut, MessageRecalled, MuteChanged, SystemMessage};
use crate::room::{Gap, MemberCount, MemberDigest, MemberJoined, MemberLeft, RoomDestroyed, RoomEntered, RoomResumed};

/// Events that wait for the app before the client stops reading its socket: a burst of messages that a busy app takes
/// in its stride, and with the largest messages no more than about 8 MiB.
pub(crate) const EVENT_QUEUE_LENGTH: usize = 256;

/// Something the server told unasked. Events a newer server sends and this library does not know are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A message in a room.
    RoomMessage(RoomMessage),
    /// Users came into a room.
    MemberJoined(MemberJoined),
    /// Users went from a room.
    MemberLeft(MemberLeft),
    /// The coming and going of about a second, in a large room.
    MemberDigest(MemberDigest),
    /// The number of users inside, in a very large room.
    MemberCount(MemberCount),
    /// Messages of a room were missed.
    Gap(Gap),
    /// A room is no more; nobody is inside.
    RoomDestroyed(RoomDestroyed),
    /// A room in which this session goes on after it was resumed.
    RoomResumed(RoomResumed),
    /// This user was put out of a room.
    KickedOut(KickedOut),
    /// Whether this user, or everybody, may send has changed.
    MuteChanged(MuteChanged),
    /// Attributes of a room were set or deleted.
    AttributesChanged(AttributesChanged),
    /// A message is taken back.
    MessageRecalled(MessageRecalled),
    /// A message to everybody who is online.
    SystemMessage(SystemMessage),
    /// A message in a conversation this user is in.
    ConversationMessage(Box<ConversationMessage>),
    /// The content of a message was changed. This is how it is now. It may be one that this client has not got yet.
    ConversationMessageEdited(Box<ConversationMessage>),
    /// A message of a conversation was taken back.
    ConversationMessageRecalled(MessageTakenBack),
    /// Users came into a conversation.
    ConversationMembersJoined(ConversationMembers),
    /// Users left a conversation.
    ConversationMembersLeft(ConversationMembers),
    /// This user is in a conversation from now on.
    Invited(Invited),
    /// This user was put out of a conversation.
    ConversationKickedOut(ConversationKickedOut),
    /// What a conversation says of itself has changed.
    ConversationChanged(Box<ConversationChanged>),
    /// A group is no more.
    GroupDismissed(GroupDismissed),
    /// A user got further in a conversation.
    PositionMoved(PositionMoved),
    /// What came while this user was away follows. Only with [`Options::sync`](crate::Options::sync), as are the next two.
    ConversationsSynced(ConversationsSynced),
    /// Messages of a conversation do not come.
    ConversationGap(ConversationGap),
    /// The server does not tell what came meanwhile: no events of conversations come until the next connection.
    ConversationsUnavailable {
        /// Why.
        error: ClientError,
    },
    /// More came than the server holds back for one who asks what came meanwhile. Ask again with
    /// [`Client::sync_conversations`](crate::Client::sync_conversations); until then nothing comes. Never with
    /// [`Options::sync`](crate::Options::sync), which does that.
    ConversationsLost,
    /// The token ends soon: get a new one and give it to [`Client::renew_token`](crate::Client::renew_token).
    TokenWillExpire {
        /// The time left, in whole seconds.
        remaining: Duration,
    },
    /// The connection is lost, and this client connects again by itself. Calls fail with 30002 until [`Event::Reconnected`]. Only
    /// with [`Reconnect::Automatic`](crate::Reconnect::Automatic), as are the next four.
    Disconnected(Closed),
    /// The next try comes after `delay`.
    Reconnecting {
        /// How many tries this makes since the connection was lost.
        attempt: u32,
        /// How long until then.
        delay: Duration,
    },
    /// The client is logged in again.
    Reconnected {
        /// Whether the session goes on: others noticed nothing, and for each room it was inside there follows one event, which is
        /// [`Event::RoomResumed`] unless it is not inside any more. Otherwise it is a new one, and each of the rooms is joined again,
        /// of which [`Event::RoomRejoined`] or [`Event::RoomLost`] tells.
        resumed: bool,
    },
    /// This client is inside a room again.
    RoomRejoined(RoomRejoined),
    /// This client is not inside a room any more: it could not be joined again.
    RoomLost {
        /// The room.
        room_id: String,
        /// Why. 23410: it is no more; 23409: this user is put out of it.
        error: ClientError,
    },
    /// The connection has ended, and there will be none again. Always the last event.
    Closed(Closed),
}

/// A room that a client has joined again after it lost its connection and could not resume.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RoomRejoined {
    /// The room as it is now. Of the history that it says follows, what this client had before is left out.
    pub entered: RoomEntered,
    /// How many messages came meanwhile. Those that the room keeps, among its newest 50, follow with
    /// [`RoomMessage::history_left`]; the others are missed. `None` when it is another room of the same name, or counts from 1
    /// again because the server was started again; then all that it keeps follows.
    pub messages_meanwhile: Option<u64>,
}

impl Event {
    /// `None` for bodies that are no event. Events of conversations with one other are the same for both, so who reads them matters.
    pub(crate) fn from_body(body: Body, own_user_id: &str) -> Option<Self> {
        Some(match body {
            Body::RoomMessage(event) => Self::RoomMessage(event.into()),
            Body::RoomMemberJoined(event) => Self::MemberJoined(event.into()),
            Body::RoomMemberLeft(event) => Self::MemberLeft(event.into()),
            Body::RoomMemberDigest(event) => Self::MemberDigest(event.into()),
            Body::RoomMemberCount(event) => Self::MemberCount(event.into()),
            Body::RoomGap(event) => Self::Gap(event.into()),
            Body::RoomDestroyed(event) => Self::RoomDestroyed(event.into()),
            Body::RoomResumed(event) => Self::RoomResumed(event.into()),
            Body::RoomKickedOut(event) => Self::KickedOut(event.into()),
            Body::RoomMuteChanged(event) => Self::MuteChanged(event.into()),
            Body::RoomAttributesChanged(event) => Self::AttributesChanged(event.into()),
            Body::RoomMessageRecalled(event) => Self::MessageRecalled(event.into()),
            Body::SystemMessage(event) => Self::SystemMessage(event.into()),
            Body::TokenWillExpire(event) => Self::TokenWillExpire {
                remaining: Duration::from_secs(event.seconds.into()),
            },
            Body::ConversationMessage(event) => {
                Self::ConversationMessage(Box::new(ConversationMessage::of_wire(event, own_user_id)?))
            }
            Body::MessageEdited(event) => {
                Self::ConversationMessageEdited(Box::new(ConversationMessage::of_wire(event, own_user_id)?))
            }
            Body::MessageRecalled(event) => {
                Self::ConversationMessageRecalled(MessageTakenBack::of_wire(event, own_user_id)?)
            }
            Body::MembersJoined(event) => Self::ConversationMembersJoined(ConversationMembers::joined(event)?),
            Body::MembersLeft(event) => Self::ConversationMembersLeft(ConversationMembers::left(event)?),
            Body::Invited(event) => Self::Invited(Invited::of_wire(event)?),
            Body::KickedFromConversation(event) => Self::ConversationKickedOut(ConversationKickedOut::of_wire(event)?),
            Body::ConversationChanged(event) => {
                Self::ConversationChanged(Box::new(ConversationChanged::of_wire(event)?))
            }
            Body::GroupDismissed(event) => Self::GroupDismissed(event.into()),
            Body::PositionMoved(event) => Self::PositionMoved(PositionMoved::of_wire(event, own_user_id)?),
            Body::ConversationsLost(_) => Self::ConversationsLost,
            _ => return None,
        })
    }
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Closed {
    /// A number of `docs/error-codes.md`, whose column "retry" says whether connecting again makes sense; 0 after a logout.
    pub code: ErrorCode,
    /// A short stable word that narrows the code; may be empty.
    pub detail: String,
    /// English text for a developer's log; not stable, may be empty.
    pub message: String,
    /// How long to wait before the next connection, when the server said so.
    pub retry_after: Option<Duration>,
}

impl Closed {
    pub(crate) fn new(code: ErrorCode, detail: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            message: message.into(),
            retry_after: None,
        }
    }

    pub(crate) fn by_server(close: Close) -> Self {
        Self {
            code: ErrorCode::from(close.code),
            detail: close.detail,
            message: close.message,
            retry_after: advised_delay(close.retry_after_ms),
        }
    }

    /// The same as an error, or `None` when the session ended as asked, by a logout.
    #[must_use]
    pub fn error(&self) -> Option<ClientError> {
        (self.code != ErrorCode::NO_ERROR).then(|| ClientError {
            retry_after: self.retry_after,
            ..ClientError::new(self.code, self.detail.clone(), self.message.clone())
        })
    }

    /// A try to connect failed.
    pub(crate) fn by_error(error: ClientError) -> Self {
        Self {
            code: error.code,
            detail: error.detail,
            message: error.message,
            retry_after: error.retry_after,
        }
    }

    /// What a call fails with that was still unanswered at the end.
    pub(crate) fn call_error(&self) -> ClientError {
        self.error().unwrap_or_else(ClientError::unavailable).of_end()
    }
}

/// The events of a client, in the order the server sent them; those in datagrams, which only come to who asks for them
/// ([`Options::datagrams`](crate::Options::datagrams)), as they arrive.
///
/// The queue holds 256. When the app does not keep up, the client stops reading from the socket until there is room, so
/// nothing is lost here; a server that gets no more rid of its frames drops what may be dropped and says so with
/// [`Event::Gap`]. Replies come over the same socket: an app that awaits calls in the task that should read its events
/// may make them time out. Dropping this means to want no events; the connection goes on.
pub struct Events {
    queue: mpsc::Receiver<Event>,
    end: End,
    taken: Taken,
}

enum End {
    Ahead(oneshot::Receiver<Closed>),
    Told,
}

impl Events {
    pub(crate) fn new(queue: mpsc::Receiver<Event>, closed: oneshot::Receiver<Closed>, taken: Taken) -> Self {
        Self {
            queue,
            end: End::Ahead(closed),
            taken,
        }
    }

    /// The next event, or `None` after [`Event::Closed`].
    ///
    /// Cancel safe: when the future is dropped before it is ready, no event is lost.
    pub async fn next(&mut self) -> Option<Event> {
        if let Some(event) = self.queue.recv().await {
            self.taken.on_event(&event);
            return Some(event);
        }
        let End::Ahead(closed) = &mut self.end else { return None };
        // The connection's task leaves no word when the runtime was shut down around it.
        let closed = closed.await.unwrap_or_else(|_| released());
        self.end = End::Told;
        Some(Event::Closed(closed))
    }
}

/// The end of a connection nobody holds any more.
pub(crate) fn released() -> Closed {
    Closed::new(
        ErrorCode::CONNECTION_RELEASED,
        "",
        "the connection was dropped by this side",
    )
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("waiting", &self.queue.len())
            .finish_non_exhaustive()
    }
}
