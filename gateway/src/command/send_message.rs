//! SendMessage.

use sluice_protocol::{ConversationType, ErrorCode, MessageType, Priority, RoomId, SendMessage, frame::Body, limits};

use crate::command::Refused;
use crate::frames;
use crate::identity::{AppIndex, RoomKey};
use crate::refusal::Refusal;
use crate::room::{Outgoing, Request};

/// Object names that begin so belong to the protocol.
const RESERVED_PREFIX: &str = "RC:";

/// Whether a command may come with request id 0 and get no reply.
pub(crate) fn may_go_unanswered(command: &Body) -> bool {
    matches!(command, Body::SendMessage(message) if message.r#type() == MessageType::Barrage)
}

pub(super) fn handle(request_id: u32, command: SendMessage, app: AppIndex) -> Result<(RoomKey, Request), Refused> {
    let client_message_id = if command.client_message_id.len() <= limits::CLIENT_MESSAGE_ID_BYTES {
        command.client_message_id.clone()
    } else {
        String::new()
    };
    match check(command, app) {
        Ok((key, message)) => Ok((key, Request::Send(message))),
        Err(refusal) => {
            let answer = (request_id != 0).then(|| frames::refuse_message(request_id, &refusal, client_message_id));
            Err(Refused { refusal, answer })
        }
    }
}

fn check(command: SendMessage, app: AppIndex) -> Result<(RoomKey, Outgoing), Refusal> {
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
        // Rooms carry no files: those have their conversations.
        MessageType::Unspecified
        | MessageType::Image
        | MessageType::File
        | MessageType::Audio
        | MessageType::Video
        | MessageType::Combined => return Err(NOT_SERVED),
    };
    let id = RoomId::parse(&command.target_id).map_err(|_| Refusal::parameter("target_id"))?;
    if command.client_message_id.len() > limits::CLIENT_MESSAGE_ID_BYTES {
        return Err(Refusal::parameter("client_message_id"));
    }
    let priority = Priority::try_from(command.priority).map_err(|_| Refusal::parameter("priority"))?;
    check_object_name(kind, &command.object_name)?;
    check_no_more(&command)?;
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
    Ok((RoomKey { app, id }, message))
}

/// The rest is for conversations.
fn check_no_more(command: &SendMessage) -> Result<(), Refusal> {
    let fields = [
        ("media", command.media.is_none()),
        ("sender_info", command.sender_info.is_none()),
        ("mentioned_user_ids", command.mentioned_user_ids.is_empty()),
        ("mention_all", !command.mention_all),
        ("push_content", command.push_content.is_empty()),
        ("push_data", command.push_data.is_empty()),
        ("keep", command.keep == 0),
        ("combined_id", command.combined_id.is_empty()),
    ];
    match fields.into_iter().find(|(_, is_unset)| !is_unset) {
        Some((field, _)) => Err(Refusal::parameter(field)),
        None => Ok(()),
    }
}

/// Only custom messages have one, and they must.
pub(super) fn check_object_name(kind: MessageType, name: &str) -> Result<(), Refusal> {
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use prost::Message;
    use sluice_protocol::{Frame, reply};

    use super::*;
    use crate::command;

    fn good() -> SendMessage {
        SendMessage {
            conversation_type: ConversationType::Room.into(),
            target_id: "lobby".into(),
            r#type: MessageType::Text.into(),
            content: Bytes::from_static(b"hello"),
            client_message_id: "m1".into(),
            ..SendMessage::default()
        }
    }

    fn of_type(kind: MessageType, content_bytes: usize) -> SendMessage {
        SendMessage {
            r#type: kind.into(),
            content: vec![b'x'; content_bytes].into(),
            object_name: if kind == MessageType::Custom { "app:vote" } else { "" }.into(),
            ..good()
        }
    }

    fn taken(message: SendMessage) -> Outgoing {
        match command::handle(7, Body::SendMessage(message), AppIndex(3)) {
            Ok((key, Request::Send(message))) => {
                assert_eq!(key.app, AppIndex(3), "a room of the user's own app");
                assert_eq!(key.id.as_str(), "lobby");
                message
            }
            other => panic!("{other:?}"),
        }
    }

    /// The code, the detail and the message that the answer names.
    fn refused(message: SendMessage) -> (i32, String, String) {
        match command::handle(7, Body::SendMessage(message), AppIndex(3)) {
            Err(Refused {
                refusal,
                answer: Some(answer),
            }) => {
                let frame = Frame::decode_length_delimited(&answer[..]).unwrap();
                let Some(Body::Reply(reply)) = frame.body else {
                    panic!("{frame:?}")
                };
                assert_eq!(frame.request_id, 7);
                assert_eq!((reply.code, &*reply.detail), (refusal.code.number(), &*refusal.detail));
                match reply.result {
                    Some(reply::Result::SendMessage(result)) => (reply.code, reply.detail, result.client_message_id),
                    other => panic!("{other:?}"),
                }
            }
            other => panic!("{other:?}"),
        }
    }

    fn refused_as(message: SendMessage) -> (i32, String) {
        let (code, detail, id) = refused(message);
        assert_eq!(id, "m1", "the refusal names the message");
        (code, detail)
    }

    #[test]
    fn a_message_is_handed_to_its_room_with_all_it_says() {
        let message = taken(SendMessage {
            r#type: MessageType::Custom.into(),
            object_name: "app:vote".into(),
            priority: Priority::High.into(),
            extended_data: "beside".into(),
            ..good()
        });
        assert_eq!(message.kind, MessageType::Custom);
        assert_eq!(&message.content[..], b"hello");
        assert_eq!(message.object_name, "app:vote");
        assert_eq!(message.priority, Priority::High);
        assert_eq!(message.extended_data, "beside");
        assert_eq!(message.client_message_id, "m1");
    }

    #[test]
    fn each_type_has_its_own_size_and_the_refusal_tells_it() {
        for (kind, bytes_max) in [
            (MessageType::Text, 32 * 1024),
            (MessageType::Command, 5 * 1024),
            (MessageType::Barrage, 5 * 1024),
            (MessageType::Custom, 32 * 1024),
        ] {
            taken(of_type(kind, bytes_max));
            taken(of_type(kind, 1));
            let too_large = (20115, bytes_max.to_string());
            assert_eq!(refused_as(of_type(kind, bytes_max + 1)), too_large, "{kind:?}");
            let beside = |bytes| SendMessage {
                extended_data: "e".repeat(bytes),
                ..of_type(kind, bytes_max - 10)
            };
            taken(beside(10));
            assert_eq!(refused_as(beside(11)), too_large, "{kind:?} with extended data");
        }
    }

    #[test]
    fn what_is_not_served_is_told_so() {
        for conversation_type in [ConversationType::Peer.into(), ConversationType::Group.into(), 9, -1] {
            let message = SendMessage {
                conversation_type,
                ..good()
            };
            assert_eq!(
                refused_as(message),
                (20606, String::new()),
                "conversation {conversation_type}"
            );
        }
        for kind in [0, 3, 11, 19, 21, 199, 201, -1, i32::MAX] {
            let message = SendMessage { r#type: kind, ..good() };
            assert_eq!(refused_as(message), (20606, String::new()), "type {kind}");
        }
    }

    #[test]
    fn wrong_fields_are_named() {
        let custom = |object_name: &str| SendMessage {
            object_name: object_name.into(),
            ..of_type(MessageType::Custom, 5)
        };
        for (field, message) in [
            (
                "target_id",
                SendMessage {
                    target_id: String::new(),
                    ..good()
                },
            ),
            (
                "target_id",
                SendMessage {
                    target_id: "a b".into(),
                    ..good()
                },
            ),
            ("priority", SendMessage { priority: 4, ..good() }),
            ("priority", SendMessage { priority: -1, ..good() }),
            (
                "content",
                SendMessage {
                    content: Bytes::new(),
                    ..good()
                },
            ),
            (
                "content",
                SendMessage {
                    content: Bytes::from_static(b"caf\xe9"),
                    ..good()
                },
            ),
            (
                "object_name",
                SendMessage {
                    object_name: "app:x".into(),
                    ..good()
                },
            ),
            ("object_name", custom("")),
            ("object_name", custom(&"o".repeat(65))),
            ("object_name", custom("RC:TxtMsg")),
        ] {
            assert_eq!(refused_as(message.clone()), (33003, field.into()), "{message:?}");
        }
        taken(custom(&"o".repeat(64)));
        taken(custom("rc:fine"));
    }

    #[test]
    fn what_is_for_conversations_alone_is_refused_in_rooms() {
        type Change = fn(&mut SendMessage);
        let changes: [(&str, Change); 8] = [
            ("media", |message| message.media = Some(Default::default())),
            ("sender_info", |message| message.sender_info = Some(Default::default())),
            ("mentioned_user_ids", |message| {
                message.mentioned_user_ids.push("bob".into());
            }),
            ("mention_all", |message| message.mention_all = true),
            ("push_content", |message| message.push_content = "x".into()),
            ("push_data", |message| message.push_data = "x".into()),
            ("keep", |message| message.keep = 3),
            ("combined_id", |message| message.combined_id = "c".into()),
        ];
        for (field, change) in changes {
            let mut message = good();
            change(&mut message);
            assert_eq!(refused_as(message), (33003, field.into()));
        }
    }

    #[test]
    fn only_text_has_to_be_text() {
        for kind in [MessageType::Command, MessageType::Barrage, MessageType::Custom] {
            let message = SendMessage {
                content: Bytes::from_static(b"\0\xff\xfe"),
                ..of_type(kind, 1)
            };
            assert_eq!(&taken(message).content[..], b"\0\xff\xfe");
        }
    }

    #[test]
    fn an_id_that_is_too_long_is_refused_and_not_repeated() {
        let message = |bytes| SendMessage {
            client_message_id: "i".repeat(bytes),
            ..good()
        };
        taken(message(64));
        assert_eq!(refused(message(65)), (33003, "client_message_id".into(), String::new()));
    }

    #[test]
    fn of_several_faults_the_first_in_the_order_of_the_checks_is_told() {
        let mut message = SendMessage {
            conversation_type: 0,
            target_id: String::new(),
            r#type: 99,
            content: vec![0xff; 6 * 1024].into(),
            object_name: "not with this type".into(),
            priority: 9,
            client_message_id: "m1".into(),
            ..SendMessage::default()
        };
        let mut told = Vec::new();
        let mends: [fn(&mut SendMessage); 6] = [
            |message| message.conversation_type = ConversationType::Room.into(),
            |message| message.r#type = MessageType::Command.into(),
            |message| message.target_id = "lobby".into(),
            |message| message.priority = 0,
            |message| message.object_name = String::new(),
            |message| message.content.truncate(5 * 1024),
        ];
        for mend in mends {
            told.push(refused_as(message.clone()));
            mend(&mut message);
        }
        let told: Vec<_> = told.iter().map(|(code, detail)| (*code, detail.as_str())).collect();
        assert_eq!(
            told,
            [
                (20606, ""),
                (20606, ""),
                (33003, "target_id"),
                (33003, "priority"),
                (33003, "object_name"),
                (20115, "5120"),
            ]
        );
        taken(message);
    }
}
