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

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use bytes::Bytes;
    use prost::Message;
    use sluice_codec::ClientFrame;
    use sluice_protocol::{Frame, IdProfile, JoinRoom, Logout, Ping, Platform, RenewToken, UserId, reply};

    use super::*;
    use crate::clock::Now;
    use crate::command::{self, Context};
    use crate::config::Config;
    use crate::identity::{AppIndex, User};
    use crate::session::Session;
    use crate::session::apps::Apps;
    use crate::session::login::Accepted;

    fn session(now: Now, config: &Config) -> Session {
        let mut session = Session::anonymous(now.instant, config);
        let accepted = Accepted {
            user: Arc::new(User {
                app: AppIndex(0),
                id: UserId::parse("alice", IdProfile::Zim).unwrap(),
                name: "".into(),
            }),
            platform: Platform::Other,
            device_id: "".into(),
            package_name: "".into(),
            sdk: "".into(),
            resumes_session_of_ms: None,
            started_at_ms: now.unix_ms,
            token_expires: now + Duration::from_secs(60),
        };
        session.handle_registered(now, &accepted);
        session
    }

    fn ask_after(waited: Duration, request_id: u32, command: Body) -> Action {
        let mut config = Config::defaults(Path::new("data"));
        config.apps = vec![crate::config::App {
            key: "shop".into(),
            id_profile: IdProfile::Zim,
            single_login: crate::config::SingleLogin::Single,
            packages: Vec::new(),
            state: crate::config::AppState::Enabled,
            keys: Vec::new(),
        }];
        let now = Now {
            instant: Instant::now(),
            unix_ms: 1_800_000_000_000,
        };
        let apps = Apps::new(&config).unwrap();
        let session = session(now, &config);
        let context = Context {
            now: now + waited,
            config: &config,
            apps: &apps,
        };
        command::handle(ClientFrame::Command { request_id, command }, &session, context)
    }

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
        match ask_after(Duration::ZERO, 7, Body::SendMessage(message)) {
            Action::Room {
                key,
                request_id: 7,
                request: Request::Send(message),
            } => {
                assert_eq!(key.id.as_str(), "lobby");
                message
            }
            other => panic!("{other:?}"),
        }
    }

    /// The code, the detail and the message that the answer names.
    fn refused(message: SendMessage) -> (i32, String, String) {
        match ask_after(Duration::ZERO, 7, Body::SendMessage(message)) {
            Action::Refuse {
                refusal,
                answer: Some(answer),
            } => {
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

    #[test]
    fn only_barrage_may_go_without_an_answer() {
        let silent = |message| ask_after(Duration::ZERO, 0, Body::SendMessage(message));
        assert!(matches!(
            silent(of_type(MessageType::Barrage, 5)),
            Action::Room { request_id: 0, .. }
        ));
        let wrong = of_type(MessageType::Barrage, 5 * 1024 + 1);
        assert!(
            matches!(silent(wrong), Action::Refuse { answer: None, .. }),
            "nor is a refusal answered"
        );
        for kind in [MessageType::Text, MessageType::Command, MessageType::Custom] {
            match silent(of_type(kind, 5)) {
                Action::Refuse {
                    refusal,
                    answer: Some(_),
                } => assert_eq!(refusal, Refusal::parameter("request_id")),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn after_the_token_has_ended_only_a_new_one_a_ping_and_a_logout_are_taken() {
        let ask = |waited, command| ask_after(waited, 7, command);
        let join = || {
            Body::JoinRoom(JoinRoom {
                room_id: "lobby".into(),
            })
        };
        let end = Duration::from_secs(60);
        let just_before = end - Duration::from_nanos(1);
        assert!(matches!(ask(just_before, join()), Action::Room { .. }));
        for command in [join(), Body::SendMessage(good())] {
            match ask(end, command) {
                Action::Refuse { refusal, .. } => {
                    assert_eq!(refusal, Refusal::with_detail(ErrorCode::TOKEN_INVALID, "expired"));
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(matches!(ask(end, Body::Ping(Ping {})), Action::Answer(_)));
        assert!(matches!(ask(end, Body::Logout(Logout {})), Action::Close { .. }));
        let renewal = ask(end, Body::RenewToken(RenewToken { token: "x".into() }));
        assert!(matches!(
            renewal,
            Action::Refuse { refusal, .. } if refusal.detail == "malformed"
        ));
    }
}
