//! Commands: what a client asks, checked for form and turned into what is to be done.
//!
//! One file for each command. A command sees the session and the rules, never a socket; it returns an [`Action`], and
//! the connection's shell carries it out.

mod enter;
mod leave_room;
mod login;
mod logout;
mod ping;
mod renew_token;
mod send_message;

use sluice_codec::ClientFrame;
use sluice_protocol::{ErrorCode, RoomId, frame::Body};

use crate::clock::Now;
use crate::config::Config;
use crate::frames;
use crate::identity::RoomKey;
use crate::refusal::Refusal;
use crate::room;
use crate::session::apps::Apps;
use crate::session::login::Accepted;
use crate::session::{Online, Session};

/// What a command comes to.
#[derive(Debug)]
pub(crate) enum Action {
    /// Nothing more than this answer.
    Answer(Vec<u8>),
    /// The command failed; the answer says so, unless none is wanted.
    Refuse { refusal: Refusal, answer: Option<Vec<u8>> },
    /// To the user's home, which decides about other sessions.
    Register { request_id: u32, login: Box<Accepted> },
    /// To the room's home.
    Room {
        key: RoomKey,
        request_id: u32,
        request: room::Request,
    },
    /// The session has a new token and this answer.
    Renew { expires: Now, answer: Vec<u8> },
    /// This answer, and then the end.
    Close { answer: Vec<u8>, refusal: Refusal },
}

/// What commands know beside the session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    pub now: Now,
    pub config: &'a Config,
    pub apps: &'a Apps,
}

/// Handles one frame of a client.
pub(crate) fn handle(frame: ClientFrame, session: &Session, context: Context<'_>) -> Action {
    match frame {
        ClientFrame::Unknown { request_id, .. } => refuse(request_id, Refusal::new(ErrorCode::OPERATION_NOT_SUPPORTED)),
        ClientFrame::Command { request_id, command } => {
            if request_id == 0 && !send_message::may_go_unanswered(&command) {
                return refuse(request_id, Refusal::parameter("request_id"));
            }
            match (session.online(), command) {
                (Some(online), command) => handle_online(request_id, command, online, context),
                (None, Body::Login(login)) => login::handle(request_id, login, context),
                (None, _) => refuse(request_id, Refusal::new(ErrorCode::NOT_LOGGED_IN)),
            }
        }
    }
}

fn handle_online(request_id: u32, command: Body, online: &Online, context: Context<'_>) -> Action {
    if online.is_expired(context.now.instant)
        && !matches!(command, Body::RenewToken(_) | Body::Ping(_) | Body::Logout(_))
    {
        return refuse(request_id, Refusal::with_detail(ErrorCode::TOKEN_INVALID, "expired"));
    }
    match command {
        Body::Login(_) => refuse(request_id, Refusal::new(ErrorCode::ALREADY_CONNECTED)),
        Body::Logout(_) => logout::handle(request_id),
        Body::Ping(_) => ping::handle(request_id, context.now),
        Body::RenewToken(renew) => renew_token::handle(request_id, &renew, online, context),
        Body::CreateRoom(command) => enter::create_room(request_id, command, online),
        Body::JoinRoom(command) => enter::join_room(request_id, &command, online),
        Body::EnterRoom(command) => enter::enter_room(request_id, command, online),
        Body::JoinChatRoom(command) => enter::join_chat_room(request_id, &command, online),
        Body::JoinExistChatRoom(command) => enter::join_exist_chat_room(request_id, &command, online),
        Body::LeaveRoom(command) => leave_room::handle(request_id, &command, online),
        Body::SendMessage(command) => send_message::handle(request_id, command, online),
        // The codec lets no replies and events through.
        Body::Reply(_)
        | Body::Close(_)
        | Body::TokenWillExpire(_)
        | Body::RoomMessage(_)
        | Body::RoomMemberJoined(_)
        | Body::RoomMemberLeft(_)
        | Body::RoomMemberDigest(_)
        | Body::RoomMemberCount(_)
        | Body::RoomGap(_) => refuse(request_id, Refusal::new(ErrorCode::OPERATION_NOT_SUPPORTED)),
    }
}

fn refuse(request_id: u32, refusal: Refusal) -> Action {
    Action::Refuse {
        answer: Some(frames::refuse(request_id, &refusal)),
        refusal,
    }
}

/// A room of the session's own app, whatever the client writes.
fn room_key(online: &Online, room_id: &str) -> Result<RoomKey, Refusal> {
    let id = RoomId::parse(room_id).map_err(|_| Refusal::parameter("room_id"))?;
    Ok(RoomKey {
        app: online.user.app,
        id,
    })
}
