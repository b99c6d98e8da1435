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
