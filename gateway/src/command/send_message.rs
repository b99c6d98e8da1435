//! SendMessage.

use sluice_protocol::{ConversationType, ErrorCode, MessageType, Priority, RoomId, SendMessage, frame::Body, limits};

use crate::command::Action;
use crate::frames;
use crate::identity::RoomKey;
use crate::refusal::Refusal;
use crate::room::{Outgoing, Request};
use crate::session::Online;

/// Object names that begin so belong to the protocol.
const RESERVED_PREFIX: &str = "RC:";

/// Whether a command may come with request id 0 and get no reply.
pub(super) fn may_go_unanswered(command: &Body) -> bool {
    matches!(command, Body::SendMessage(message) if message.r#type() == MessageType::Barrage)
}

pub(super) fn handle(request_id: u32, command: SendMessage, online: &Online) -> Action {
    let client_message_id = if command.client_message_id.len() <= limits::CLIENT_MESSAGE_ID_BYTES {
        command.client_message_id.clone()
    } else {
        String::new()
    };
    match check(command, online) {
        Ok((key, message)) => Action::Room {
            key,
            request_id,
            request: Request::Send(message),
        },
        Err(refusal) => {
            let answer = (request_id != 0).then(|| frames::refuse_message(request_id, &refusal, client_message_id));
            Action::Refuse { refusal, answer }
        }
    }
}

fn check(command: SendMessage, online: &Online) -> Result<(RoomKey, Outgoing), Refusal> {
    const NOT_SERVED: Refusal = Refusal::new(ErrorCode::OPERATION_NOT_SUPPORTED);
    if ConversationType::try_from(command.conversation_type) != Ok(ConversationType::Room) {
        return Err(NOT_SERVED);
    }
    let kind = MessageType::try_from(command.r#type).map_err(|_| NOT_SERVED)?;
    let bytes_max = match kind {
        MessageType::Text => limits::TEXT_BYTES,
        MessageType::Command => limits::COMMAND_BYTES,
        MessageType::Barrage => limits::BARRAGE_BYTES,
        MessageType::Custom => limits::CUSTOM_BYTES,
        MessageType::Unspecified => return Err(NOT_SERVED),
    };
    let id = RoomId::parse(&command.target_id).map_err(|_| Refusal::parameter("target_id"))?;
    if command.client_message_id.len() > limits::CLIENT_MESSAGE_ID_BYTES {
        return Err(Refusal::parameter("client_message_id"));
    }
    let priority = Priority::try_from(command.priority).map_err(|_| Refusal::parameter("priority"))?;
    check_object_name(kind, &command.object_name)?;
    if command.content.is_empty() || (kind == MessageType::Text && std::str::from_utf8(&command.content).is_err()) {
        return Err(Refusal::parameter("content"));
    }
    if command.content.len() + command.extended_data.len() > bytes_max {
        let detail = bytes_max.to_string().into();
        return Err(Refusal {
            detail,
            ..Refusal::new(ErrorCode::CONTENT_TOO_LARGE)
        });
    }
    let message = Outgoing {
        kind,
        content: command.content,
        object_name: command.object_name,
        priority,
        extended_data: command.extended_data,
        client_message_id: command.client_message_id,
    };
    Ok((
        RoomKey {
            app: online.user.app,
            id,
        },
        message,
    ))
}

/// Only custom messages have one, and they must.
fn check_object_name(kind: MessageType, name: &str) -> Result<(), Refusal> {
    let good = match kind {
        MessageType::Custom => {
            !name.is_empty() && name.len() <= limits::OBJECT_NAME_BYTES && !name.starts_with(RESERVED_PREFIX)
        }
        _ => name.is_empty(),
    };
    if good {
        Ok(())
    } else {
        Err(Refusal::parameter("object_name"))
    }
}
