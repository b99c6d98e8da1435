//! What a room is asked, and what it wants done.

use bytes::Bytes;
use sluice_protocol::{ErrorCode, LeaveReason, MessageType, Priority, RoomPreset, SendMessageResult, reply};

use crate::class::Class;
use crate::config::preset_name;
use crate::frames;
use crate::identity::{Caller, ConnectionRef, WorkerIndex};
use crate::refusal::Refusal;
use crate::room::Ends;
use crate::room::attributes::Write;
use crate::room::queries::Query;
use crate::store::Change;

/// What a member, or someone who wants to be one, asks of a room.
#[derive(Debug)]
pub(crate) enum Request {
    Enter(Enter),
    /// `Left` is answered; the other reasons are told by the gateway itself and have nobody to answer.
    Leave(LeaveReason),
    Send(Outgoing),
    /// The connection is lost. Its place is kept until the session resumes, or its user's home says that it leaves.
    Detach(KeptFor),
    /// The session of `old` goes on with the caller's connection. `after`: the newest message it knows.
    Resume {
        old: ConnectionRef,
        after: Option<u64>,
    },
    Query(Query),
    WriteAttributes(Write),
}

impl Request {
    /// What it carries, all that is short left out.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Enter(enter) => match &enter.create {
                Create::Always(new) | Create::IfMissing(new) => {
                    new.attributes.iter().map(|(key, value)| key.len() + value.len()).sum()
                }
                Create::Never => 0,
            },
            Self::Send(message) => message.content.len() + message.extended_data.len(),
            Self::Query(Query::Attributes(keys)) => keys.iter().map(String::len).sum(),
            Self::WriteAttributes(write) => write.bytes(),
            Self::Leave(_) | Self::Detach(_) | Self::Resume { .. } | Self::Query(_) => 0,
        }
    }

    /// The answer when a request cannot even be asked.
    pub(crate) fn refuse(self, request_id: u32, refusal: &Refusal) -> Vec<u8> {
        match self {
            Self::Send(message) => frames::refuse_message(request_id, refusal, message.client_message_id),
            _ => frames::refuse(request_id, refusal),
        }
    }

    /// Answers with a refusal, where there is somebody to answer.
    pub(super) fn refuse_with(self, caller: &Caller, refusal: &Refusal) -> Vec<Effect> {
        match self {
            Self::Send(message) => vec![Effect::refused(caller, refusal, message.client_message_id)],
            Self::Query(_) | Self::WriteAttributes(_) => vec![Effect::refused_query(caller, refusal)],
            Self::Leave(LeaveReason::Left) if caller.request_id == 0 => Vec::new(),
            Self::Leave(LeaveReason::Left) | Self::Enter(_) => vec![Effect::unchanged(caller, refusal)],
            Self::Leave(_) | Self::Detach(_) | Self::Resume { .. } => Vec::new(),
        }
    }
}

/// For whom a place is kept whose connection is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeptFor {
    /// For its session, which may resume.
    Session,
    /// For another device of the user, so that it comes in unseen: the session was displaced. When the user leaves on purpose, the place
    /// has nobody to be kept for.
    User,
}

/// One of the five ways in.
#[derive(Debug)]
pub(crate) struct Enter {
    pub create: Create,
    /// Newest messages wanted.
    pub history: usize,
    /// What the newcomer brings for those inside, at most [`sluice_protocol::limits::JOIN_EXTRA_BYTES`].
    pub extra: String,
}

/// What entering does about a room that exists or does not.
#[derive(Debug)]
pub(crate) enum Create {
    /// The room must exist.
    Never,
    /// The room must not exist.
    Always(NewRoom),
    /// Either will do.
    IfMissing(NewRoom),
}

/// How a room is made.
#[derive(Debug)]
pub(crate) struct NewRoom {
    pub name: String,
    /// By its name.
    pub policy: String,
    /// That the policy must be of; `None`: of any, as the app's server may have.
    pub family: Option<RoomPreset>,
    /// Where that is not as the policy says.
    pub ends: Option<Ends>,
    /// First attributes, key and value. They belong to the member who makes the room; those of the app's server are written by an
    /// order of their own.
    pub attributes: Vec<(String, String)>,
}

impl NewRoom {
    /// A room of a preset, as a member makes it.
    pub(crate) fn of_preset(preset: RoomPreset, name: String) -> Self {
        Self {
            name,
            policy: preset_name(preset).to_owned(),
            family: Some(preset),
            ends: None,
            attributes: Vec::new(),
        }
    }

    /// A room as the app's server makes it when it says nothing else: of the preset `live`.
    pub(crate) fn by_server(name: String) -> Self {
        Self {
            family: None,
            ..Self::of_preset(RoomPreset::Live, name)
        }
    }
}

/// A message on its way into a room, checked for form and size.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub kind: MessageType,
    pub content: Bytes,
    pub object_name: String,
    pub priority: Priority,
    pub extended_data: String,
    pub client_message_id: String,
}

/// How somebody came to be inside. The numbers are those of the metrics' label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entered {
    Joined = 0,
    Created = 1,
    AlreadyInside = 2,
    Resumed = 4,
}

/// What is to be done, in this order.
#[derive(Debug)]
pub(crate) enum Effect {
    /// The answer to a message, or that there is none because none is wanted.
    Reply {
        to: ConnectionRef,
        frame: Option<Bytes>,
        code: ErrorCode,
    },
    /// The answer to a try to enter or leave that changed nothing.
    Unchanged {
        connection: ConnectionRef,
        frame: Bytes,
        code: ErrorCode,
    },
    /// The connection is inside: it gets these frames, and from then on what is published.
    Admit {
        connection: ConnectionRef,
        frames: Vec<Bytes>,
        how: Entered,
    },
    /// The connection is outside: it gets nothing more of the room but this frame, if any.
    Dismiss {
        connection: ConnectionRef,
        frame: Option<Bytes>,
    },
    /// To all connections inside, on these workers.
    Publish {
        to: Vec<WorkerIndex>,
        frame: Bytes,
        sequence: u64,
        class: Class,
    },
    /// The room took a message and gives it to nobody.
    Shed(Class),
    /// The room answered a message and does nothing with it, since the app has stopped distribution.
    Undistributed,
    /// Tells all connections inside of such messages.
    Gap { to: Vec<WorkerIndex>, frame: Bytes },
    /// The connection was put out: it gets nothing more of the room but this event.
    Expel {
        connection: ConnectionRef,
        frame: Bytes,
        reason: LeaveReason,
    },
    /// The connection was to go on with the places of another, and has none here: it gets this event.
    NotResumed { connection: ConnectionRef, frame: Bytes },
    /// An event for one connection.
    Notify { connection: ConnectionRef, frame: Bytes },
    /// To be kept. What answers the request is given when it is.
    Keep(Change),
    /// The room is no more: all connections inside are outside when they have got this frame.
    Destroy { to: Vec<WorkerIndex>, frame: Bytes },
}

impl Effect {
    /// Acknowledges a message.
    pub(super) fn taken(caller: &Caller, result: SendMessageResult) -> Self {
        let frame = || frames::reply(caller.request_id, reply::Result::SendMessage(result)).into();
        Self::Reply {
            to: caller.connection,
            frame: (caller.request_id != 0).then(frame),
            code: ErrorCode::NO_ERROR,
        }
    }

    /// Refuses a message.
    pub(super) fn refused(caller: &Caller, refusal: &Refusal, client_message_id: String) -> Self {
        let frame = || frames::refuse_message(caller.request_id, refusal, client_message_id).into();
        Self::Reply {
            to: caller.connection,
            frame: (caller.request_id != 0).then(frame),
            code: refusal.code,
        }
    }

    /// Answers a query.
    pub(super) fn reply(caller: &Caller, result: reply::Result) -> Self {
        Self::Reply {
            to: caller.connection,
            frame: Some(frames::reply(caller.request_id, result).into()),
            code: ErrorCode::NO_ERROR,
        }
    }

    /// Refuses a query.
    pub(super) fn refused_query(caller: &Caller, refusal: &Refusal) -> Self {
        Self::Reply {
            to: caller.connection,
            frame: Some(frames::refuse(caller.request_id, refusal).into()),
            code: refusal.code,
        }
    }

    /// Refuses a command whose answer says more than the refusal.
    pub(super) fn refused_with_result(caller: &Caller, refusal: &Refusal, result: reply::Result) -> Self {
        Self::Reply {
            to: caller.connection,
            frame: Some(frames::refuse_with_result(caller.request_id, refusal, result).into()),
            code: refusal.code,
        }
    }

    /// Refuses to let somebody enter or leave.
    pub(super) fn unchanged(caller: &Caller, refusal: &Refusal) -> Self {
        let frame = frames::refuse(caller.request_id, refusal).into();
        Self::Unchanged {
            connection: caller.connection,
            frame,
            code: refusal.code,
        }
    }
}
