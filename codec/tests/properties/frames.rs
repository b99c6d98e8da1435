//! Strategies that make frames of every kind.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use sluice_protocol::frame::Body;
use sluice_protocol::*;

pub(crate) fn text() -> impl Strategy<Value = String> {
    "[a-z0-9\u{4e2d}\u{6587} ]{0,24}"
}

pub(crate) fn content() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..300).prop_map(Bytes::from)
}

fn login() -> impl Strategy<Value = Login> {
    let who = (any::<u32>(), text(), text(), text(), text());
    let what = (
        any::<i32>(),
        text(),
        text(),
        any::<bool>(),
        any::<i64>(),
        text(),
        any::<bool>(),
    );
    (who, what).prop_map(|(who, what)| Login {
        protocol_version: who.0,
        app_key: who.1,
        user_id: who.2,
        user_name: who.3,
        token: who.4,
        platform: what.0,
        device_id: what.1,
        package_name: what.2,
        automatic: what.3,
        previous_session_started_at_ms: what.4,
        sdk: what.5,
        datagrams: what.6,
        ..Login::default()
    })
}

fn send_message() -> impl Strategy<Value = SendMessage> {
    (
        any::<i32>(),
        text(),
        any::<i32>(),
        content(),
        text(),
        any::<i32>(),
        text(),
        text(),
    )
        .prop_map(|parts| SendMessage {
            conversation_type: parts.0,
            target_id: parts.1,
            r#type: parts.2,
            content: parts.3,
            object_name: parts.4,
            priority: parts.5,
            extended_data: parts.6,
            client_message_id: parts.7,
        })
}

pub(crate) fn command() -> impl Strategy<Value = Body> {
    prop_oneof![
        login().prop_map(Body::Login),
        Just(Body::Logout(Logout {})),
        Just(Body::Ping(Ping {})),
        text().prop_map(|token| Body::RenewToken(RenewToken { token })),
        (text(), text()).prop_map(|(room_id, room_name)| Body::CreateRoom(CreateRoom {
            room_id,
            room_name,
            ..CreateRoom::default()
        })),
        text().prop_map(|room_id| Body::JoinRoom(JoinRoom {
            room_id,
            ..JoinRoom::default()
        })),
        (text(), text()).prop_map(|(room_id, room_name)| Body::EnterRoom(EnterRoom {
            room_id,
            room_name,
            ..EnterRoom::default()
        })),
        (text(), any::<i32>()).prop_map(|(room_id, message_count)| Body::JoinChatRoom(JoinChatRoom {
            room_id,
            message_count,
            ..JoinChatRoom::default()
        })),
        (text(), any::<i32>()).prop_map(|(room_id, message_count)| Body::JoinExistChatRoom(JoinExistChatRoom {
            room_id,
            message_count,
            ..JoinExistChatRoom::default()
        })),
        text().prop_map(|room_id| Body::LeaveRoom(LeaveRoom { room_id })),
        send_message().prop_map(Body::SendMessage),
    ]
}

fn user() -> impl Strategy<Value = UserInfo> {
    (text(), text()).prop_map(|(user_id, user_name)| UserInfo { user_id, user_name })
}

fn room_message() -> impl Strategy<Value = RoomMessage> {
    let place = (
        text(),
        any::<u64>(),
        any::<u64>(),
        any::<i64>(),
        proptest::option::of(user()),
        any::<i32>(),
    );
    let rest = (
        content(),
        text(),
        any::<i32>(),
        text(),
        text(),
        any::<bool>(),
        any::<u32>(),
    );
    (place, rest).prop_map(|(place, rest)| RoomMessage {
        room_id: place.0,
        sequence: place.1,
        message_id: place.2,
        server_time_ms: place.3,
        sender: place.4,
        r#type: place.5,
        content: rest.0,
        object_name: rest.1,
        priority: rest.2,
        extended_data: rest.3,
        client_message_id: rest.4,
        history: rest.5,
        left: rest.6,
        ..RoomMessage::default()
    })
}

fn reply() -> impl Strategy<Value = Reply> {
    let result = prop_oneof![
        Just(None),
        any::<i64>().prop_map(|server_time_ms| Some(reply::Result::Pong(Pong { server_time_ms }))),
        text().prop_map(|room_id| Some(reply::Result::LeaveRoom(LeaveRoomResult { room_id }))),
    ];
    (any::<i32>(), text(), text(), any::<u32>(), result).prop_map(|(code, message, detail, retry_after_ms, result)| {
        Reply {
            code,
            message,
            detail,
            retry_after_ms,
            result,
        }
    })
}

/// Replies and events, with the number of their field.
pub(crate) fn not_a_command() -> impl Strategy<Value = (u32, Body)> {
    let members = || vec(user(), 0..8);
    prop_oneof![
        reply().prop_map(|reply| (2, Body::Reply(reply))),
        (any::<i32>(), text(), text(), any::<u32>()).prop_map(|(code, message, detail, retry_after_ms)| {
            (
                64,
                Body::Close(Close {
                    code,
                    message,
                    detail,
                    retry_after_ms,
                }),
            )
        }),
        any::<u32>().prop_map(|seconds| (65, Body::TokenWillExpire(TokenWillExpire { seconds }))),
        room_message().prop_map(|message| (72, Body::RoomMessage(message))),
        (text(), members(), any::<u64>()).prop_map(|(room_id, members, member_count)| {
            (
                73,
                Body::RoomMemberJoined(RoomMemberJoined {
                    room_id,
                    members,
                    member_count,
                    ..RoomMemberJoined::default()
                }),
            )
        }),
        (text(), members(), any::<i32>(), any::<u64>()).prop_map(|(room_id, members, reason, member_count)| {
            (
                74,
                Body::RoomMemberLeft(RoomMemberLeft {
                    room_id,
                    members,
                    reason,
                    member_count,
                }),
            )
        }),
        (text(), members(), members(), any::<u64>()).prop_map(|(room_id, joined, left, member_count)| {
            let (joined_count, left_count) = (joined.len() as u64, left.len() as u64);
            let digest = RoomMemberDigest {
                room_id,
                joined,
                left,
                joined_count,
                left_count,
                member_count,
            };
            (75, Body::RoomMemberDigest(digest))
        }),
        (text(), any::<u64>()).prop_map(|(room_id, member_count)| {
            (76, Body::RoomMemberCount(RoomMemberCount { room_id, member_count }))
        }),
        (text(), any::<[u64; 6]>()).prop_map(|(room_id, numbers)| {
            let [first_sequence, last_sequence, high, normal, low, barrage] = numbers;
            (
                77,
                Body::RoomGap(RoomGap {
                    room_id,
                    first_sequence,
                    last_sequence,
                    high,
                    normal,
                    low,
                    barrage,
                }),
            )
        }),
    ]
}

pub(crate) fn frame() -> impl Strategy<Value = Frame> {
    let body = prop_oneof![command(), not_a_command().prop_map(|(_, body)| body)];
    (any::<u32>(), body).prop_map(|(request_id, body)| Frame {
        request_id,
        body: Some(body),
    })
}
