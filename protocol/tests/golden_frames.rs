//! Frames as clients and servers of the first version wrote them. These bytes are kept for ever: every later version
//! must read the same values out of them, and must write the same values in the same bytes.

use bytes::Bytes;
use prost::Message;
use sluice_protocol::frame::Body;
use sluice_protocol::*;

/// Checks both directions. The bytes are hexadecimal, with the length prefix; spaces and line ends do not count.
fn assert_golden(hex: &str, frame: Frame) {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let bytes: Vec<u8> = digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    let written = frame.encode_length_delimited_to_vec();
    let written_hex: String = written.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(written, bytes, "now written as {written_hex}");
    assert_eq!(Frame::decode_length_delimited(&bytes[..]), Ok(frame));
}

#[test]
fn a_login() {
    assert_golden(
        "5a0801820155080112036465761a05616c6963652209416c69636520e4b8ad2a05612e622e6330053a03642d31421063 \
         6f6d2e6578616d706c652e63686174480150fbd095ffbc315a11736c756963652d727573742f302e312e30",
        Frame {
            request_id: 1,
            body: Some(Body::Login(Login {
                protocol_version: 1,
                app_key: "dev".into(),
                user_id: "alice".into(),
                user_name: "Alice 中".into(),
                token: "a.b.c".into(),
                platform: Platform::Linux.into(),
                device_id: "d-1".into(),
                package_name: "com.example.chat".into(),
                automatic: true,
                previous_session_started_at_ms: 1_700_000_000_123,
                sdk: "sluice-rust/0.1.0".into(),
                // Newer than these bytes.
                datagrams: false,
                ..Login::default()
            })),
        },
    );
}

#[test]
fn a_ping() {
    assert_golden(
        "0608ac02920100",
        Frame {
            request_id: 300,
            body: Some(Body::Ping(Ping {})),
        },
    );
}

#[test]
fn a_join_that_wants_no_history() {
    let join = JoinChatRoom {
        room_id: "lobby".into(),
        message_count: -1,
        ..JoinChatRoom::default()
    };
    assert_golden(
        "0e0804da01090a056c6f6262791001",
        Frame {
            request_id: 4,
            body: Some(Body::JoinChatRoom(join)),
        },
    );
}

#[test]
fn a_message_to_a_room() {
    assert_golden(
        "2b0807c20226080112056c6f62627918c801220300ff802a086170703a706f6c6c30033a027b7d42036d2d31",
        Frame {
            request_id: 7,
            body: Some(Body::SendMessage(SendMessage {
                conversation_type: ConversationType::Room.into(),
                target_id: "lobby".into(),
                r#type: MessageType::Custom.into(),
                content: Bytes::from_static(&[0x00, 0xff, 0x80]),
                object_name: "app:poll".into(),
                priority: Priority::High.into(),
                extended_data: "{}".into(),
                client_message_id: "m-1".into(),
                ..SendMessage::default()
            })),
        },
    );
}

#[test]
fn a_reply_that_refuses() {
    assert_golden(
        "230807121f08fca0011208746f6f20666173741a0431302f7320fa01c202050a036d2d31",
        Frame {
            request_id: 7,
            body: Some(Body::Reply(Reply {
                code: 20604,
                message: "too fast".into(),
                detail: "10/s".into(),
                retry_after_ms: 250,
                result: Some(reply::Result::SendMessage(SendMessageResult {
                    client_message_id: "m-1".into(),
                    ..SendMessageResult::default()
                })),
            })),
        },
    );
}

#[test]
fn a_reply_with_a_negative_code() {
    let reply = Reply {
        code: -1,
        ..Reply::default()
    };
    assert_golden(
        "0f0808120b08ffffffffffffffffff01",
        Frame {
            request_id: 8,
            body: Some(Body::Reply(reply)),
        },
    );
}

#[test]
fn a_reply_to_a_login() {
    assert_golden(
        "5c080112588201550a2030313233343536373839616263646566303132333435363738396162636465661205616c6963 \
         6518b0ea0120fbd095ffbc31288088afa8bd313218088080041080804018808002208028288028308080023832",
        Frame {
            request_id: 1,
            body: Some(Body::Reply(Reply {
                result: Some(reply::Result::Login(LoginResult {
                    session_id: "0123456789abcdef0123456789abcdef".into(),
                    user_id: "alice".into(),
                    heartbeat_interval_ms: 30_000,
                    server_time_ms: 1_700_000_000_123,
                    token_expires_at_ms: 1_700_086_400_000,
                    limits: Some(Limits {
                        client_frame_bytes: 65_536,
                        server_frame_bytes: 1_048_576,
                        text_bytes: 32_768,
                        command_bytes: 5_120,
                        barrage_bytes: 5_120,
                        custom_bytes: 32_768,
                        room_history_messages: 50,
                        // Newer than these bytes.
                        rooms_per_session: 0,
                    }),
                    // Newer than these bytes.
                    datagrams: false,
                    ..LoginResult::default()
                })),
                ..Reply::default()
            })),
        },
    );
}

#[test]
fn a_message_of_a_room() {
    assert_golden(
        "3fc2043c0a056c6f626279102a1880808080802020fbd095ffbc312a0e0a05616c6963651205416c69636530013a0568 \
         656c6c6f5201785a036d2d3160016802",
        Frame {
            request_id: 0,
            body: Some(Body::RoomMessage(RoomMessage {
                room_id: "lobby".into(),
                sequence: 42,
                message_id: 1 << 40,
                server_time_ms: 1_700_000_000_123,
                sender: Some(UserInfo {
                    user_id: "alice".into(),
                    user_name: "Alice".into(),
                }),
                r#type: MessageType::Text.into(),
                content: Bytes::from_static(b"hello"),
                object_name: String::new(),
                priority: Priority::Default.into(),
                extended_data: "x".into(),
                client_message_id: "m-1".into(),
                history: true,
                left: 2,
                ..RoomMessage::default()
            })),
        },
    );
}

#[test]
fn a_close() {
    let close = Close {
        code: 31010,
        message: "elsewhere".into(),
        detail: "newer_login".into(),
        retry_after_ms: 0,
    };
    assert_golden(
        "1f82041c08a2f2011209656c736577686572651a0b6e657765725f6c6f67696e",
        Frame {
            request_id: 0,
            body: Some(Body::Close(close)),
        },
    );
}

#[test]
fn a_message_to_a_user() {
    assert_golden(
        "480805c202431203626f62180b42036d2d324a270a1568747470733a2f2f6578616d706c652e636f6d2f6312036a7067 \
         188080800528800530e0035a03626f626a0561206361747802",
        Frame {
            request_id: 5,
            body: Some(Body::SendMessage(SendMessage {
                conversation_type: ConversationType::Peer.into(),
                target_id: "bob".into(),
                r#type: MessageType::Image.into(),
                client_message_id: "m-2".into(),
                media: Some(MediaInfo {
                    url: "https://example.com/c".into(),
                    format: "jpg".into(),
                    size_bytes: 10_485_760,
                    width: 640,
                    height: 480,
                    ..MediaInfo::default()
                }),
                mentioned_user_ids: vec!["bob".into()],
                push_content: "a cat".into(),
                keep: MessageKeep::Stored.into(),
                ..SendMessage::default()
            })),
        },
    );
}

#[test]
fn a_question_for_what_was_missed() {
    assert_golden(
        "1c0802ca021708141a020200220563686573732203626f622a0328ac02",
        Frame {
            request_id: 2,
            body: Some(Body::SyncConversations(SyncConversations {
                newest: 20,
                cursor: String::new(),
                known_types: vec![2, 0],
                known_ids: vec!["chess".into(), "bob".into()],
                known_sequences: vec![40, 300],
            })),
        },
    );
}

#[test]
fn an_ack_of_messages() {
    let ack = AckMessages {
        r#type: ConversationType::Group.into(),
        id: "chess".into(),
        delivered_sequence: 300,
        read_sequence: 41,
    };
    assert_golden(
        "130803d2020e08021205636865737318ac022029",
        Frame {
            request_id: 3,
            body: Some(Body::AckMessages(ack)),
        },
    );
}

fn message_of_a_group() -> ConversationMessage {
    ConversationMessage {
        conversation_type: ConversationType::Group.into(),
        target_id: "chess".into(),
        sequence: 41,
        message_id: 1 << 40,
        server_time_ms: 1_700_000_000_123,
        sender: Some(UserInfo {
            user_id: "carol".into(),
            user_name: "Carol".into(),
        }),
        r#type: MessageType::Text.into(),
        content: Bytes::from_static(b"e4"),
        client_message_id: "m-3".into(),
        ..ConversationMessage::default()
    }
}

#[test]
fn a_message_of_a_group() {
    assert_golden(
        "37a2053408021205636865737318292080808080802028fbd095ffbc31320e0a056361726f6c12054361726f6c380142 \
         02653462036d2d33",
        Frame {
            request_id: 0,
            body: Some(Body::ConversationMessage(message_of_a_group())),
        },
    );
}

#[test]
fn a_page_of_what_was_missed() {
    let info = ConversationInfo {
        r#type: ConversationType::Group.into(),
        id: "chess".into(),
        name: "Chess".into(),
        member_count: 3,
        created_at_ms: 1_700_000_000_000,
        last_sequence: 42,
        ..ConversationInfo::default()
    };
    let page = SyncPage {
        conversations: vec![OwnConversation {
            info: Some(info),
            role: MemberRole::Manager.into(),
            delivered_sequence: 40,
            read_sequence: 39,
            unread: 2,
            first_sequence: 1,
        }],
        more_conversations: 1,
        messages: vec![ConversationMessage {
            history: true,
            left: 1,
            ..message_of_a_group()
        }],
        next_cursor: "9.42.42".into(),
    };
    assert_golden(
        "7708021273ca02700a270a1b0802120563686573731a05436865737338034080d095ffbc31502a100218282027280230 \
         0110011a3a08021205636865737318292080808080802028fbd095ffbc31320e0a056361726f6c12054361726f6c3801 \
         4202653462036d2d338002018802012207392e34322e3432",
        Frame {
            request_id: 2,
            body: Some(Body::Reply(Reply {
                result: Some(reply::Result::SyncPage(page)),
                ..Reply::default()
            })),
        },
    );
}

#[test]
fn a_change_of_a_conversation_that_sets_one_field_to_nothing_and_leaves_the_others() {
    let update = UpdateConversation {
        r#type: ConversationType::Group.into(),
        id: "chess".into(),
        name: None,
        attributes: None,
        notice: Some(String::new()),
    };
    assert_golden(
        "100809b2030b0802120563686573732a00",
        Frame {
            request_id: 9,
            body: Some(Body::UpdateConversation(update)),
        },
    );
}
