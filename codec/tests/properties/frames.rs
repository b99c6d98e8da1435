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

fn texts() -> impl Strategy<Value = Vec<String>> {
    vec(text(), 0..4)
}

fn login() -> impl Strategy<Value = Login> {
    let resume = (text(), texts(), vec(any::<u64>(), 0..4));
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
    (who, what, resume).prop_map(|(who, what, resume)| Login {
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
        resume_secret: resume.0,
        resume_rooms: resume.1,
        resume_sequences: resume.2,
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
            ..SendMessage::default()
        })
}

fn create_room() -> impl Strategy<Value = CreateRoom> {
    (text(), text(), text(), any::<u32>(), text(), texts(), texts()).prop_map(|parts| CreateRoom {
        room_id: parts.0,
        room_name: parts.1,
        policy: parts.2,
        destroy_delay_seconds: parts.3,
        extra: parts.4,
        attribute_keys: parts.5,
        attribute_values: parts.6,
    })
}

fn enter_room() -> impl Strategy<Value = EnterRoom> {
    create_room().prop_map(|create| EnterRoom {
        room_id: create.room_id,
        room_name: create.room_name,
        policy: create.policy,
        destroy_delay_seconds: create.destroy_delay_seconds,
        extra: create.extra,
        attribute_keys: create.attribute_keys,
        attribute_values: create.attribute_values,
    })
}

fn switch_room() -> impl Strategy<Value = SwitchRoom> {
    (text(), text(), any::<bool>(), text(), any::<i32>(), text()).prop_map(|parts| SwitchRoom {
        leave_room_id: parts.0,
        room_id: parts.1,
        create: parts.2,
        room_name: parts.3,
        message_count: parts.4,
        extra: parts.5,
    })
}

fn set_room_attributes() -> impl Strategy<Value = SetRoomAttributes> {
    let flags = any::<[bool; 3]>();
    (text(), texts(), texts(), flags, any::<u64>()).prop_map(|(room_id, keys, values, flags, if_version)| {
        let [force, take_over, delete_on_leave] = flags;
        SetRoomAttributes {
            room_id,
            keys,
            values,
            force,
            take_over,
            delete_on_leave,
            if_version,
        }
    })
}

fn moves() -> impl Strategy<Value = Body> {
    prop_oneof![
        create_room().prop_map(Body::CreateRoom),
        (text(), text()).prop_map(|(room_id, extra)| Body::JoinRoom(JoinRoom { room_id, extra })),
        enter_room().prop_map(Body::EnterRoom),
        (text(), any::<i32>(), text(), text()).prop_map(|(room_id, message_count, policy, extra)| {
            Body::JoinChatRoom(JoinChatRoom {
                room_id,
                message_count,
                policy,
                extra,
            })
        }),
        (text(), any::<i32>(), text()).prop_map(|(room_id, message_count, extra)| {
            Body::JoinExistChatRoom(JoinExistChatRoom {
                room_id,
                message_count,
                extra,
            })
        }),
        text().prop_map(|room_id| Body::LeaveRoom(LeaveRoom { room_id })),
        switch_room().prop_map(Body::SwitchRoom),
        Just(Body::LeaveAllRooms(LeaveAllRooms {})),
    ]
}

fn questions() -> impl Strategy<Value = Body> {
    prop_oneof![
        text().prop_map(|room_id| Body::QueryRoom(QueryRoom { room_id })),
        (text(), any::<u32>(), text()).prop_map(|(room_id, limit, cursor)| {
            Body::QueryRoomMembers(QueryRoomMembers { room_id, limit, cursor })
        }),
        (text(), texts())
            .prop_map(|(room_id, user_ids)| Body::QueryNamedMembers(QueryNamedMembers { room_id, user_ids })),
        (text(), texts()).prop_map(|(room_id, keys)| Body::QueryRoomAttributes(QueryRoomAttributes { room_id, keys })),
    ]
}

pub(crate) fn command() -> impl Strategy<Value = Body> {
    prop_oneof![
        login().prop_map(Body::Login),
        Just(Body::Logout(Logout {})),
        Just(Body::Ping(Ping {})),
        text().prop_map(|token| Body::RenewToken(RenewToken { token })),
        moves(),
        questions(),
        set_room_attributes().prop_map(Body::SetRoomAttributes),
        (text(), texts(), any::<bool>(), any::<u64>()).prop_map(|(room_id, keys, force, if_version)| {
            Body::DeleteRoomAttributes(DeleteRoomAttributes {
                room_id,
                keys,
                force,
                if_version,
            })
        }),
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
        any::<bool>(),
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
        from_server: rest.7,
    })
}

fn attribute() -> impl Strategy<Value = RoomAttribute> {
    (text(), text(), text(), any::<u64>()).prop_map(|(key, value, owner_id, version)| RoomAttribute {
        key,
        value,
        owner_id,
        version,
    })
}

fn attributes_written() -> impl Strategy<Value = RoomAttributesWritten> {
    let refusal = (text(), any::<i32>(), text()).prop_map(|(key, code, detail)| AttributeRefusal { key, code, detail });
    (text(), any::<u64>(), vec(refusal, 0..4)).prop_map(|(room_id, version, refused)| RoomAttributesWritten {
        room_id,
        version,
        refused,
    })
}

fn room_members() -> impl Strategy<Value = RoomMembers> {
    let member = (text(), text(), any::<i64>()).prop_map(|(user_id, user_name, joined_at_ms)| RoomMember {
        user_id,
        user_name,
        joined_at_ms,
    });
    (vec(member, 0..4), text(), any::<u64>()).prop_map(|(members, next_cursor, member_count)| RoomMembers {
        members,
        next_cursor,
        member_count,
    })
}

fn reply() -> impl Strategy<Value = Reply> {
    let result = prop_oneof![
        Just(None),
        any::<i64>().prop_map(|server_time_ms| Some(reply::Result::Pong(Pong { server_time_ms }))),
        text().prop_map(|room_id| Some(reply::Result::LeaveRoom(LeaveRoomResult { room_id }))),
        texts().prop_map(|room_ids| Some(reply::Result::LeaveAllRooms(LeaveAllRoomsResult { room_ids }))),
        room_members().prop_map(|page| Some(reply::Result::RoomMembers(page))),
        attributes_written().prop_map(|written| Some(reply::Result::RoomAttributesWritten(written))),
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

fn room_resumed() -> impl Strategy<Value = RoomResumed> {
    let numbers = (any::<[u64; 4]>(), any::<u32>(), any::<i32>(), any::<i64>());
    (text(), numbers, any::<[bool; 3]>()).prop_map(|(room_id, numbers, flags)| {
        let ([sequence, missed, member_count, attributes_version], replayed, member_events, muted_until_ms) = numbers;
        let [muted, room_muted, distribution_stopped] = flags;
        RoomResumed {
            room_id,
            sequence,
            replayed,
            missed,
            member_count,
            member_events,
            muted,
            muted_until_ms,
            room_muted,
            distribution_stopped,
            attributes_version,
        }
    })
}

fn attributes_changed() -> impl Strategy<Value = RoomAttributesChanged> {
    let by = proptest::option::of(user());
    (text(), any::<u64>(), vec(attribute(), 0..4), texts(), by).prop_map(|(room_id, version, set, deleted, by)| {
        RoomAttributesChanged {
            room_id,
            version,
            set,
            deleted,
            by,
        }
    })
}

fn system_message() -> impl Strategy<Value = SystemMessage> {
    let what = (any::<i32>(), content(), text(), text());
    (any::<u64>(), any::<i64>(), text(), what).prop_map(|(message_id, server_time_ms, sender_id, what)| SystemMessage {
        message_id,
        server_time_ms,
        sender_id,
        r#type: what.0,
        content: what.1,
        object_name: what.2,
        extended_data: what.3,
    })
}

/// What has come to rooms beside messages and members, with the number of its field.
fn change_of_a_room() -> impl Strategy<Value = (u32, Body)> {
    prop_oneof![
        (text(), any::<i32>())
            .prop_map(|(room_id, reason)| (78, Body::RoomDestroyed(RoomDestroyed { room_id, reason }))),
        room_resumed().prop_map(|resumed| (79, Body::RoomResumed(resumed))),
        (text(), any::<i32>(), any::<i64>(), text()).prop_map(|(room_id, reason, until_ms, extra)| {
            let kicked = RoomKickedOut {
                room_id,
                reason,
                until_ms,
                extra,
            };
            (80, Body::RoomKickedOut(kicked))
        }),
        (text(), any::<i32>(), any::<bool>(), any::<i64>(), text()).prop_map(|parts| {
            let changed = RoomMuteChanged {
                room_id: parts.0,
                scope: parts.1,
                muted: parts.2,
                until_ms: parts.3,
                extra: parts.4,
            };
            (81, Body::RoomMuteChanged(changed))
        }),
        attributes_changed().prop_map(|changed| (82, Body::RoomAttributesChanged(changed))),
        (text(), any::<[u64; 2]>(), text(), any::<i64>()).prop_map(
            |(room_id, [message_id, sequence], operator_id, recalled_at_ms)| {
                let recalled = RoomMessageRecalled {
                    room_id,
                    message_id,
                    sequence,
                    operator_id,
                    recalled_at_ms,
                };
                (83, Body::RoomMessageRecalled(recalled))
            }
        ),
    ]
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
        (text(), members(), any::<u64>(), text()).prop_map(|(room_id, members, member_count, extra)| {
            (
                73,
                Body::RoomMemberJoined(RoomMemberJoined {
                    room_id,
                    members,
                    member_count,
                    extra,
                }),
            )
        }),
        change_of_a_room(),
        system_message().prop_map(|message| (96, Body::SystemMessage(message))),
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
