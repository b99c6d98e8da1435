//! Inputs made from real frames: every kind of body, and every way to be wrong that has a name.

mod conversations;

use bytes::Bytes;
use prost::Message;
use sluice_codec::encode;
use sluice_protocol::frame::Body;
use sluice_protocol::*;

type Seeds = Vec<(String, Vec<u8>)>;

/// Bodies of single frames.
pub(crate) fn client_frame() -> Seeds {
    let mut seeds: Seeds = commands()
        .into_iter()
        .chain(not_commands())
        .map(|(name, body)| (name.to_owned(), frame(7, body).encode_to_vec()))
        .collect();

    let ping = frame(7, Body::Ping(Ping {})).encode_to_vec();
    let join = frame(
        7,
        Body::JoinRoom(JoinRoom {
            room_id: "lobby".into(),
            ..JoinRoom::default()
        }),
    )
    .encode_to_vec();
    let mut bad_text = join.clone();
    *bad_text.last_mut().expect("a room's name") = 0xff;
    let mut bad_length = join.clone();
    bad_length[4] += 1;
    let broken: [(&str, Vec<u8>); 20] = [
        ("broken-empty", vec![]),
        ("broken-no-body", vec![0x08, 7]),
        ("broken-two-bodies", [&ping[..], &join].concat()),
        ("broken-same-body-twice", [&ping[..], &ping].concat()),
        ("broken-known-and-later-body", [&ping[..], &[0xba, 0x02, 0]].concat()),
        ("broken-truncated", join[..join.len() - 1].to_vec()),
        ("broken-text", bad_text),
        ("broken-length", bad_length),
        ("broken-length-huge", vec![0x92, 0x01, 0xff, 0xff, 0xff, 0xff, 0x0f]),
        ("broken-request-id-as-bytes", [&[0x0a, 1, 7][..], &ping].concat()),
        ("broken-body-as-number", vec![0x90, 0x01, 1]),
        ("broken-group", [&[0x1b, 0x1c][..], &ping].concat()),
        ("broken-group-end", [&ping[..], &[0x1c]].concat()),
        ("broken-field-zero", [&ping[..], &[0x00, 0]].concat()),
        ("broken-varint", [&[0x08][..], &[0xff; 10], &[1]].concat()),
        ("later-command", vec![0x08, 7, 0xba, 0x02, 2, 0xff, 0xff]),
        ("later-event", vec![0x92, 0x07, 2, 0xff, 0xff]),
        ("later-frame-field", [&[0x18, 1, 0x7d, 0, 0, 0, 0][..], &ping].concat()),
        (
            "later-field-of-a-command",
            vec![0x08, 7, 0x92, 0x01, 5, 0xfa, 0x3e, 2, 1, 2],
        ),
        ("request-id-twice", [&[0x08, 1][..], &ping].concat()),
    ];
    seeds.extend(broken.map(|(name, bytes)| (name.to_owned(), bytes)));
    let nested_groups = [&[0x92, 0x01, 64][..], &[0x0b; 32], &[0x0c; 32]].concat();
    seeds.push(("later-nested-groups-in-a-command".to_owned(), nested_groups));
    seeds
}

/// A byte for the limit, a byte for the pieces, and a stream.
pub(crate) fn frame_decoder() -> Seeds {
    // Numbers of limits in the check: 127 bytes, 4 KiB, 64 KiB, none.
    let (bytes_127, kib_4, kib_64, none) = (2, 4, 5, 7);
    let session: Vec<u8> = commands()
        .into_iter()
        .flat_map(|(_, body)| encode(&frame(7, body)))
        .collect();
    let pushes: Vec<u8> = not_commands()
        .into_iter()
        .flat_map(|(_, body)| encode(&frame(0, body)))
        .collect();
    let ping = encode(&frame(1, Body::Ping(Ping {}))).to_vec();
    let streams: [(&str, u8, u8, Vec<u8>); 22] = [
        ("nothing", kib_4, 0, vec![]),
        ("ping", kib_4, 255, ping.clone()),
        ("ping-byte-by-byte", kib_4, 0, ping.clone()),
        ("pings", kib_4, 3, ping.repeat(9)),
        ("session", kib_64, 255, session.clone()),
        ("session-byte-by-byte", kib_64, 0, session.clone()),
        ("session-in-odd-pieces", kib_64, 12, session.clone()),
        ("session-truncated", kib_64, 30, session[..session.len() - 3].to_vec()),
        ("session-over-the-limit", bytes_127, 30, session),
        ("pushes", kib_64, 63, pushes),
        (
            "two-byte-prefix",
            bytes_127 + 1,
            1,
            [&[0x80, 0x01][..], &[7; 128], &ping].concat(),
        ),
        ("at-the-limit", bytes_127, 40, [&[0x7f][..], &[7; 127], &ping].concat()),
        ("over-the-limit-by-one", bytes_127, 0, vec![0x80, 0x01]),
        ("over-the-limit-unfinished", kib_4, 0, vec![0xff, 0xff]),
        ("empty-frame", kib_4, 2, [&ping[..], &[0], &ping].concat()),
        ("not-canonical", kib_4, 0, vec![0x86, 0x00, 0x08, 1]),
        ("not-canonical-long", none, 0, vec![0x86, 0x80, 0x80, 0x00]),
        ("six-byte-prefix", none, 0, vec![0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        ("largest-prefix", none, 0, vec![0xff, 0xff, 0xff, 0xff, 0x7f]),
        (
            "http",
            kib_4,
            255,
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(3),
        ),
        ("http-2", kib_4, 255, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        (
            "tls-client-hello",
            kib_4,
            255,
            [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[9; 40]].concat(),
        ),
    ];
    streams
        .into_iter()
        .map(|(name, limit, piece, stream)| (name.to_owned(), [&[limit, piece][..], &stream].concat()))
        .collect()
}

fn frame(request_id: u32, body: Body) -> Frame {
    Frame {
        request_id,
        body: Some(body),
    }
}

fn commands() -> Vec<(&'static str, Body)> {
    let mut commands = of_sessions_and_rooms();
    commands.extend(conversations::commands());
    commands
}

fn of_sessions_and_rooms() -> Vec<(&'static str, Body)> {
    let (room_id, room_name) = (String::from("lobby"), String::from("The lobby"));
    vec![
        (
            "login",
            Body::Login(Login {
                protocol_version: 1,
                app_key: "dev".into(),
                user_id: "alice".into(),
                user_name: "Alice \u{4e2d}".into(),
                token: "header.payload.signature".into(),
                platform: Platform::Ios.into(),
                device_id: "device-1".into(),
                package_name: "com.example.chat".into(),
                automatic: true,
                previous_session_started_at_ms: 1_700_000_000_000,
                sdk: "sluice-rust/0.1.0".into(),
                datagrams: false,
                ..Login::default()
            }),
        ),
        (
            "login-resume",
            Body::Login(Login {
                protocol_version: 1,
                app_key: "dev".into(),
                user_id: "alice".into(),
                token: "header.payload.signature".into(),
                resume_secret: "0123456789abcdef0123456789abcdef".into(),
                resume_rooms: vec![room_id.clone(), "den".into()],
                resume_sequences: vec![300, 0],
                ..Login::default()
            }),
        ),
        ("logout", Body::Logout(Logout {})),
        ("ping", Body::Ping(Ping {})),
        (
            "renew-token",
            Body::RenewToken(RenewToken {
                token: "header.payload.signature".into(),
            }),
        ),
        (
            "create-room",
            Body::CreateRoom(CreateRoom {
                room_id: room_id.clone(),
                room_name: room_name.clone(),
                ..CreateRoom::default()
            }),
        ),
        (
            "join-room",
            Body::JoinRoom(JoinRoom {
                room_id: room_id.clone(),
                ..JoinRoom::default()
            }),
        ),
        (
            "enter-room",
            Body::EnterRoom(EnterRoom {
                room_id: room_id.clone(),
                room_name: room_name.clone(),
                ..EnterRoom::default()
            }),
        ),
        (
            "enter-room-with-everything",
            Body::EnterRoom(EnterRoom {
                room_id: room_id.clone(),
                room_name: room_name.clone(),
                policy: "room".into(),
                destroy_delay_seconds: 10_800,
                extra: r#"{"colour":"red"}"#.into(),
                attribute_keys: vec!["topic".into(), String::new()],
                attribute_values: vec!["\u{4e2d}".into(), "2".into()],
            }),
        ),
        (
            "join-chat-room",
            Body::JoinChatRoom(JoinChatRoom {
                room_id: room_id.clone(),
                message_count: -1,
                ..JoinChatRoom::default()
            }),
        ),
        (
            "join-exist-chat-room",
            Body::JoinExistChatRoom(JoinExistChatRoom {
                room_id: room_id.clone(),
                message_count: 50,
                ..JoinExistChatRoom::default()
            }),
        ),
        (
            "leave-room",
            Body::LeaveRoom(LeaveRoom {
                room_id: room_id.clone(),
            }),
        ),
        (
            "switch-room",
            Body::SwitchRoom(SwitchRoom {
                leave_room_id: room_id.clone(),
                room_id: "den".into(),
                create: true,
                room_name,
                message_count: 50,
                extra: "{}".into(),
            }),
        ),
        ("leave-all-rooms", Body::LeaveAllRooms(LeaveAllRooms {})),
        (
            "query-room",
            Body::QueryRoom(QueryRoom {
                room_id: room_id.clone(),
            }),
        ),
        (
            "query-room-members",
            Body::QueryRoomMembers(QueryRoomMembers {
                room_id: room_id.clone(),
                limit: 100,
                cursor: "1700000000.17".into(),
            }),
        ),
        (
            "query-named-members",
            Body::QueryNamedMembers(QueryNamedMembers {
                room_id: room_id.clone(),
                user_ids: vec!["alice".into(), "bob".into()],
            }),
        ),
        (
            "set-room-attributes",
            Body::SetRoomAttributes(SetRoomAttributes {
                room_id: room_id.clone(),
                keys: vec!["topic".into(), "mood".into()],
                values: vec!["tea".into(), String::new()],
                force: true,
                take_over: true,
                delete_on_leave: true,
                if_version: 7,
            }),
        ),
        (
            "delete-room-attributes",
            Body::DeleteRoomAttributes(DeleteRoomAttributes {
                room_id: room_id.clone(),
                keys: vec!["topic".into()],
                force: true,
                if_version: 8,
            }),
        ),
        (
            "query-room-attributes",
            Body::QueryRoomAttributes(QueryRoomAttributes {
                room_id: room_id.clone(),
                keys: vec!["topic".into(), "mood".into()],
            }),
        ),
        (
            "send-message",
            Body::SendMessage(SendMessage {
                conversation_type: ConversationType::Room.into(),
                target_id: room_id,
                r#type: MessageType::Custom.into(),
                content: Bytes::from_static(&[0, 0xff, 0x80, 1]),
                object_name: "app:poll".into(),
                priority: Priority::High.into(),
                extended_data: "{}".into(),
                client_message_id: "m-1".into(),
                ..SendMessage::default()
            }),
        ),
    ]
}

fn not_commands() -> Vec<(&'static str, Body)> {
    let mut others = replies_and_events();
    others.extend(conversations::events());
    others
}

fn replies_and_events() -> Vec<(&'static str, Body)> {
    let room_id = String::from("lobby");
    let alice = UserInfo {
        user_id: "alice".into(),
        user_name: "Alice".into(),
    };
    let members = vec![alice.clone(), UserInfo::default(), UserInfo::default()];
    vec![
        (
            "reply",
            Body::Reply(Reply {
                code: 23410,
                detail: "room".into(),
                ..Reply::default()
            }),
        ),
        (
            "close",
            Body::Close(Close {
                code: 30013,
                message: "silent".into(),
                ..Close::default()
            }),
        ),
        (
            "token-will-expire",
            Body::TokenWillExpire(TokenWillExpire { seconds: 30 }),
        ),
        (
            "room-message",
            Body::RoomMessage(RoomMessage {
                room_id: room_id.clone(),
                sequence: 300,
                sender: Some(alice.clone()),
                content: Bytes::from_static(b"hello"),
                ..RoomMessage::default()
            }),
        ),
        (
            "room-member-joined",
            Body::RoomMemberJoined(RoomMemberJoined {
                room_id: room_id.clone(),
                members,
                member_count: 3,
                ..RoomMemberJoined::default()
            }),
        ),
        (
            "room-member-left",
            Body::RoomMemberLeft(RoomMemberLeft {
                room_id: room_id.clone(),
                reason: LeaveReason::Offline.into(),
                ..RoomMemberLeft::default()
            }),
        ),
        (
            "room-member-digest",
            Body::RoomMemberDigest(RoomMemberDigest {
                joined_count: 70,
                ..RoomMemberDigest::default()
            }),
        ),
        (
            "room-member-count",
            Body::RoomMemberCount(RoomMemberCount {
                room_id: room_id.clone(),
                member_count: 20_000,
            }),
        ),
        (
            "room-gap",
            Body::RoomGap(RoomGap {
                room_id: room_id.clone(),
                first_sequence: 3,
                last_sequence: 9,
                ..RoomGap::default()
            }),
        ),
        (
            "room-destroyed",
            Body::RoomDestroyed(RoomDestroyed {
                room_id: room_id.clone(),
                reason: RoomDestroyedReason::Idle.into(),
            }),
        ),
        (
            "room-resumed",
            Body::RoomResumed(RoomResumed {
                room_id: room_id.clone(),
                sequence: 400,
                replayed: 50,
                missed: 50,
                muted: true,
                muted_until_ms: 1_700_000_000_000,
                ..RoomResumed::default()
            }),
        ),
        (
            "room-kicked-out",
            Body::RoomKickedOut(RoomKickedOut {
                room_id: room_id.clone(),
                reason: LeaveReason::Blocked.into(),
                until_ms: 1_700_000_000_000,
                extra: "spam".into(),
            }),
        ),
        (
            "room-mute-changed",
            Body::RoomMuteChanged(RoomMuteChanged {
                room_id: room_id.clone(),
                scope: MuteScope::Room.into(),
                muted: true,
                ..RoomMuteChanged::default()
            }),
        ),
        (
            "room-attributes-changed",
            Body::RoomAttributesChanged(RoomAttributesChanged {
                room_id: room_id.clone(),
                version: 3,
                set: vec![RoomAttribute {
                    key: "topic".into(),
                    value: "tea".into(),
                    owner_id: "alice".into(),
                    version: 3,
                }],
                deleted: vec!["mood".into()],
                by: Some(alice),
            }),
        ),
        (
            "room-message-recalled",
            Body::RoomMessageRecalled(RoomMessageRecalled {
                room_id,
                message_id: u64::MAX,
                sequence: 300,
                operator_id: "moderator".into(),
                recalled_at_ms: 1_700_000_000_000,
            }),
        ),
        (
            "system-message",
            Body::SystemMessage(SystemMessage {
                message_id: 1,
                sender_id: "system".into(),
                r#type: MessageType::Text.into(),
                content: Bytes::from_static(b"maintenance at noon"),
                ..SystemMessage::default()
            }),
        ),
    ]
}
