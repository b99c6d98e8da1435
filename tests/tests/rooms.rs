//! Rooms: the ways in and out, and who hears of what. Messages are in `messages.rs`.

use std::time::Duration;

use bytes::Bytes;
use sluice_gateway::config::{Budget, Config, Rate, SingleLogin};
use sluice_protocol::frame::Body;
use sluice_protocol::{
    ConversationType, CreateRoom, EnterRoom, JoinChatRoom, JoinExistChatRoom, JoinRoom, LeaveReason, LeaveRoom,
    LeaveRoomResult, Login, MemberEvents, MessageType, Ping, Reply, RoomEntered, RoomMemberJoined, RoomMemberLeft,
    RoomMessage, RoomPreset, SendMessage, SendMessageResult, UserInfo, limits, reply,
};
use sluice_tests::{Gateway, RawClient, Transport, on_all_transports, wait_until};

on_all_transports!(
    the_five_ways_in_create_and_join_as_they_say,
    what_cannot_be_entered_or_left_is_refused_with_its_code,
    the_others_hear_who_comes_and_goes,
    a_second_join_changes_nothing,
    a_user_may_be_in_several_rooms_at_once,
    a_join_brings_as_much_history_as_it_asks_for,
    after_leaving_nothing_of_the_room_comes,
    a_room_is_gone_with_its_last_member,
    larger_rooms_tell_in_digests_and_the_largest_in_counts,
);

pub(crate) fn no_rate_limits(config: &mut Config) {
    config.rooms.room_messages_per_second = Rate::Unlimited;
    config.rooms.moves_per_second = Rate::Unlimited;
    config.rooms.live_messages_per_second = Rate::Unlimited;
    config.rooms.live_budget = Budget::Unlimited;
    for app in &mut config.apps {
        app.rooms_per_user = limits::ROOMS_PER_SESSION;
    }
}

pub(crate) fn create_room(room_id: &str, room_name: &str) -> Body {
    Body::CreateRoom(CreateRoom {
        room_id: room_id.into(),
        room_name: room_name.into(),
        ..CreateRoom::default()
    })
}

pub(crate) fn join_room(room_id: &str) -> Body {
    Body::JoinRoom(JoinRoom {
        room_id: room_id.into(),
        ..JoinRoom::default()
    })
}

pub(crate) fn enter_room(room_id: &str) -> Body {
    Body::EnterRoom(EnterRoom {
        room_id: room_id.into(),
        ..EnterRoom::default()
    })
}

pub(crate) fn join_chat_room(room_id: &str, message_count: i32) -> Body {
    Body::JoinChatRoom(JoinChatRoom {
        room_id: room_id.into(),
        message_count,
        ..JoinChatRoom::default()
    })
}

pub(crate) fn join_exist_chat_room(room_id: &str, message_count: i32) -> Body {
    Body::JoinExistChatRoom(JoinExistChatRoom {
        room_id: room_id.into(),
        message_count,
        ..JoinExistChatRoom::default()
    })
}

pub(crate) fn leave_room(room_id: &str) -> Body {
    Body::LeaveRoom(LeaveRoom {
        room_id: room_id.into(),
    })
}

pub(crate) fn message(room_id: &str, kind: MessageType, content: impl Into<Bytes>) -> SendMessage {
    SendMessage {
        conversation_type: ConversationType::Room.into(),
        target_id: room_id.into(),
        r#type: kind.into(),
        content: content.into(),
        object_name: if kind == MessageType::Custom { "app:test" } else { "" }.into(),
        ..SendMessage::default()
    }
}

pub(crate) fn text(room_id: &str, content: &str) -> SendMessage {
    message(room_id, MessageType::Text, content.to_owned())
}

pub(crate) fn entered(reply: Reply) -> RoomEntered {
    match reply.result {
        Some(reply::Result::RoomEntered(entered)) if reply.code == 0 => entered,
        _ => panic!("{reply:?}"),
    }
}

pub(crate) fn sent(reply: Reply) -> SendMessageResult {
    match reply.result {
        Some(reply::Result::SendMessage(result)) if reply.code == 0 => result,
        _ => panic!("{reply:?}"),
    }
}

pub(crate) fn refused(reply: &Reply) -> (i32, &str) {
    assert_ne!(reply.code, 0, "{reply:?}");
    (reply.code, &reply.detail)
}

pub(crate) async fn enter(client: &mut RawClient, request_id: u32, command: Body) -> RoomEntered {
    entered(client.call(request_id, command).await)
}

pub(crate) async fn send(client: &mut RawClient, request_id: u32, message: SendMessage) -> SendMessageResult {
    sent(client.call(request_id, Body::SendMessage(message)).await)
}

pub(crate) async fn next_message(client: &mut RawClient) -> RoomMessage {
    match client.event().await {
        Body::RoomMessage(message) => message,
        other => panic!("{other:?}; {client:?}"),
    }
}

/// Checks that nothing but this answer comes any more: what had been on its way would come before it.
pub(crate) async fn expect_quiet(client: &mut RawClient, request_id: u32) {
    client.send(request_id, Body::Ping(Ping {})).await;
    let frame = client.next_frame().await;
    assert_eq!(frame.request_id, request_id, "{frame:?}; {client:?}");
}

pub(crate) fn user(user_id: &str) -> UserInfo {
    UserInfo {
        user_id: user_id.into(),
        user_name: String::new(),
    }
}

async fn the_five_ways_in_create_and_join_as_they_say(transport: Transport) {
    let gateway = Gateway::start(|_| ());
    let mut alice = RawClient::online(&gateway, transport, "alice").await;
    let mut bob = RawClient::online(&gateway, transport, "bob").await;
    let ways = [
        ("created", create_room("created", "A name"), RoomPreset::Room, "A name"),
        ("entered", enter_room("entered"), RoomPreset::Room, ""),
        ("chat", join_chat_room("chat", 0), RoomPreset::Live, ""),
    ];
    for (request_id, (room_id, command, preset, name)) in (1..).step_by(10).zip(ways) {
        let made = enter(&mut alice, request_id, command).await;
        assert!(made.created && !made.already_inside);
        assert_eq!((made.member_count, made.sequence, made.history_count), (1, 0, 0));
        assert_eq!(made.member_events(), MemberEvents::Each);
        let room = made.room.expect("what is known of it");
        assert_eq!(
            (&*room.room_id, &*room.room_name, room.preset()),
            (room_id, name, preset)
        );
        let joins = [
            join_room(room_id),
            enter_room(room_id),
            join_chat_room(room_id, 0),
            join_exist_chat_room(room_id, 0),
        ];
        for (request_id, join) in (request_id..).zip(joins) {
            let joined = enter(&mut bob, request_id, join).await;
            assert!(!joined.created && !joined.already_inside);
            assert_eq!(joined.member_count, 2);
            assert_eq!(joined.room.as_ref(), Some(&room), "the same for all");
            let left = bob.call(request_id + 100, leave_room(room_id)).await;
            let result = LeaveRoomResult {
                room_id: room_id.into(),
            };
            assert_eq!(left.result, Some(reply::Result::LeaveRoom(result)));
        }
    }
}

async fn what_cannot_be_entered_or_left_is_refused_with_its_code(transport: Transport) {
    let gateway = Gateway::start(|_| ());
    let mut alice = RawClient::online(&gateway, transport, "alice").await;
    enter(&mut alice, 1, create_room("lobby", "")).await;
    let mut bob = RawClient::online(&gateway, transport, "bob").await;
    let long = "x".repeat(300);
    for (request_id, (command, code, detail)) in (1..).zip([
        (create_room("lobby", ""), 6_000_323, ""),
        (join_room("nowhere"), 23410, ""),
        (join_exist_chat_room("nowhere", 0), 23410, ""),
        (leave_room("lobby"), 23406, ""),
        (leave_room("nowhere"), 23406, ""),
        (Body::SendMessage(text("lobby", "hello")), 23406, ""),
        (Body::SendMessage(text("nowhere", "hello")), 23410, ""),
        (create_room("", ""), 33003, "room_id"),
        (create_room("a b", ""), 33003, "room_id"),
        (create_room("new", &long), 33003, "room_name"),
        (join_room(&long), 33003, "room_id"),
        (join_chat_room("new", 51), 33003, "message_count"),
        (join_chat_room("new", -2), 33003, "message_count"),
        (join_exist_chat_room("lobby", 51), 33003, "message_count"),
        (leave_room("ы"), 33003, "room_id"),
        (Body::SendMessage(text("a b", "hello")), 33003, "target_id"),
        (Body::SendMessage(text("lobby", "")), 33003, "content"),
    ]) {
        let reply = bob.call(request_id, command.clone()).await;
        assert_eq!(refused(&reply), (code, detail), "{command:?}");
    }
    enter(&mut bob, 50, join_room("lobby")).await;
}

#[tokio::test]
async fn of_many_who_create_the_same_room_at_once_one_wins() {
    let gateway = Gateway::start(|_| ());
    let mut clients = Vec::new();
    for (number, transport) in Transport::ALL.into_iter().cycle().take(9).enumerate() {
        clients.push(RawClient::online(&gateway, transport, &format!("user{number}")).await);
    }
    for client in &mut clients {
        client.send(1, create_room("lobby", "")).await;
    }
    let mut winners = 0;
    for client in &mut clients {
        let reply = client.reply(1).await;
        match reply.code {
            0 => winners += 1,
            code => assert_eq!(code, 6_000_323, "{reply:?}"),
        }
    }
    assert_eq!(winners, 1);
}

async fn the_others_hear_who_comes_and_goes(transport: Transport) {
    let gateway = Gateway::start(|config| config.apps[0].single_login = SingleLogin::Multi(2));
    let mut alice = RawClient::online(&gateway, transport, "alice").await;
    enter(&mut alice, 1, create_room("lobby", "")).await;
    let mut bob = RawClient::connect(&gateway, transport).await;
    let login = Login {
        user_name: "Bob".into(),
        ..bob.login_command("bob")
    };
    assert_eq!(bob.call(1, Body::Login(login)).await.code, 0);
    enter(&mut bob, 2, join_room("lobby")).await;
    let bob_info = UserInfo {
        user_name: "Bob".into(),
        ..user("bob")
    };
    let joined = RoomMemberJoined {
        room_id: "lobby".into(),
        members: vec![bob_info.clone()],
        member_count: 2,
        ..RoomMemberJoined::default()
    };
    assert_eq!(alice.event().await, Body::RoomMemberJoined(joined));

    // A second device is no news to anybody.
    let mut second = RawClient::online(&gateway, transport, "bob").await;
    assert_eq!(enter(&mut second, 1, join_room("lobby")).await.member_count, 2);
    assert_eq!(bob.call(3, leave_room("lobby")).await.code, 0);
    assert_eq!(second.call(2, leave_room("lobby")).await.code, 0);
    let left = |user: UserInfo| {
        Body::RoomMemberLeft(RoomMemberLeft {
            room_id: "lobby".into(),
            members: vec![user],
            reason: LeaveReason::Left.into(),
            member_count: 1,
        })
    };
    match alice.event().await {
        Body::RoomMemberLeft(event) => assert_eq!(Body::RoomMemberLeft(event), left(user("bob"))),
        other => panic!("{other:?}"),
    }
    expect_quiet(&mut alice, 4).await;
    expect_quiet(&mut bob, 5).await;
}

async fn a_second_join_changes_nothing(transport: Transport) {
    let gateway = Gateway::start(|_| ());
    let mut alice = RawClient::online(&gateway, transport, "alice").await;
    enter(&mut alice, 1, join_chat_room("lobby", 0)).await;
    let mut bob = RawClient::online(&gateway, transport, "bob").await;
    enter(&mut bob, 1, join_room("lobby")).await;
    assert!(matches!(alice.event().await, Body::RoomMemberJoined(_)));
    send(&mut alice, 2, text("lobby", "hello")).await;
    next_message(&mut alice).await;
    next_message(&mut bob).await;
    for (request_id, command) in (2..).zip([join_chat_room("lobby", 10), join_room("lobby"), enter_room("lobby")]) {
        let again = enter(&mut bob, request_id, command).await;
        assert!(again.already_inside && !again.created);
        assert_eq!((again.member_count, again.sequence, again.history_count), (2, 1, 0));
    }
    expect_quiet(&mut bob, 10).await;
    expect_quiet(&mut alice, 10).await;
    send(&mut alice, 3, text("lobby", "once")).await;
    assert_eq!(next_message(&mut bob).await.sequence, 2);
    expect_quiet(&mut bob, 11).await;
}

async fn a_user_may_be_in_several_rooms_at_once(transport: Transport) {
    let gateway = Gateway::start(no_rate_limits);
    let mut alice = RawClient::online(&gateway, transport, "alice").await;
    let mut bob = RawClient::online(&gateway, transport, "bob").await;
    let rooms: Vec<String> = (0..8).map(|number| format!("room-{number}")).collect();
    for (request_id, room) in (1..).zip(&rooms) {
        enter(&mut alice, request_id, enter_room(room)).await;
        enter(&mut bob, request_id, enter_room(room)).await;
        assert!(matches!(alice.event().await, Body::RoomMemberJoined(_)));
    }
    for (request_id, room) in (20..).zip(&rooms) {
        assert_eq!(
            send(&mut alice, request_id, text(room, room)).await.sequence,
            1,
            "{room}"
        );
    }
    let mut received: Vec<String> = Vec::new();
    for _ in &rooms {
        let message = next_message(&mut bob).await;
        assert_eq!(message.content, message.room_id.as_bytes());
        received.push(message.room_id);
    }
    received.sort();
    assert_eq!(received, rooms);
    // Leaving one is no leaving of another.
    assert_eq!(bob.call(30, leave_room(&rooms[3])).await.code, 0);
    send(&mut alice, 40, text(&rooms[3], "not to bob")).await;
    send(&mut alice, 41, text(&rooms[4], "to bob")).await;
    assert_eq!(next_message(&mut bob).await.content, "to bob");
}

async fn a_join_brings_as_much_history_as_it_asks_for(transport: Transport) {
    let gateway = Gateway::start(no_rate_limits);
    let mut alice = RawClient::online(&gateway, transport, "alice").await;
    enter(&mut alice, 1, join_chat_room("lobby", 0)).await;
    for number in 1..=60 {
        let kind = if number % 2 == 0 {
            MessageType::Text
        } else {
            MessageType::Custom
        };
        send(&mut alice, number, message("lobby", kind, format!("message {number}"))).await;
        next_message(&mut alice).await;
    }
    send(&mut alice, 61, message("lobby", MessageType::Command, "not kept")).await;
    send(&mut alice, 62, message("lobby", MessageType::Barrage, "not kept")).await;
    let mut bob = RawClient::online(&gateway, transport, "bob").await;
    for (request_id, (asked, given)) in (1..).zip([(-1, 0), (0, 10), (1, 1), (50, 50)]) {
        let joined = enter(&mut bob, request_id, join_chat_room("lobby", asked)).await;
        assert_eq!((joined.history_count, joined.sequence), (given, 62));
        for place in 0..given {
            let message = next_message(&mut bob).await;
            assert!(message.history);
            assert_eq!(message.left, given - 1 - place);
            assert_eq!(message.sequence, u64::from(60 - given + place + 1));
            assert_eq!(message.content, format!("message {}", message.sequence));
            assert_eq!(message.sender, Some(user("alice")));
        }
        expect_quiet(&mut bob, 100 + request_id).await;
        bob.call(200 + request_id, leave_room("lobby")).await;
    }
    // What is sent after the join comes behind the history, and is none.
    enter(&mut bob, 10, join_exist_chat_room("lobby", 1)).await;
    send(&mut alice, 70, text("lobby", "live")).await;
    assert!(next_message(&mut bob).await.history);
    let live = next_message(&mut bob).await;
    assert_eq!((live.history, live.sequence), (false, 63));
}

async fn after_leaving_nothing_of_the_room_comes(transport: Transport) {
    let gateway = Gateway::start(no_rate_limits);
    let mut alice = RawClient::online(&gateway, transport, "alice").await;
    let mut bob = RawClient::online(&gateway, transport, "bob").await;
    enter(&mut alice, 1, enter_room("lobby")).await;
    enter(&mut bob, 1, enter_room("lobby")).await;
    // Messages are under way while he leaves.
    for number in 0..50 {
        let command = Body::SendMessage(text("lobby", "hello"));
        alice.send(10 + number, command).await;
    }
    bob.send(2, leave_room("lobby")).await;
    let mut sequence = 0;
    loop {
        let frame = bob.next_frame().await;
        match frame.body {
            Some(Body::RoomMessage(message)) => {
                assert_eq!(message.sequence, sequence + 1);
                sequence = message.sequence;
            }
            Some(Body::Reply(reply)) => {
                assert_eq!((frame.request_id, reply.code), (2, 0));
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    for number in 0..50 {
        sent(alice.reply(10 + number).await);
    }
    expect_quiet(&mut bob, 3).await;
}

async fn a_room_is_gone_with_its_last_member(transport: Transport) {
    let gateway = Gateway::start(|config| config.sessions.resume_window = Duration::ZERO);
    let mut alice = RawClient::online(&gateway, transport, "alice").await;
    enter(&mut alice, 1, enter_room("lobby")).await;
    send(&mut alice, 2, text("lobby", "hello")).await;
    assert_eq!(alice.call(3, leave_room("lobby")).await.code, 0);
    let mut bob = RawClient::online(&gateway, transport, "bob").await;
    assert_eq!(bob.call(1, join_room("lobby")).await.code, 23410);
    let new = enter(&mut bob, 2, create_room("lobby", "New")).await;
    assert_eq!((new.sequence, new.history_count), (0, 0));
    assert_eq!(new.room.unwrap().preset(), RoomPreset::Room);
    drop(bob);
    wait_until("a room whose last member was lost is gone too", async || {
        gateway.metric("sluice_rooms").await < 1.0
    })
    .await;
}

async fn larger_rooms_tell_in_digests_and_the_largest_in_counts(transport: Transport) {
    let gateway = Gateway::start(|config| {
        config.rooms.member_events_each = 2;
        config.rooms.member_events_digest = 4;
        config.rooms.digest_interval = Duration::from_millis(100);
        config.rooms.count_interval = Duration::from_millis(100);
    });
    let mut watcher = RawClient::online(&gateway, transport, "watcher").await;
    enter(&mut watcher, 1, enter_room("lobby")).await;
    let mut members = Vec::new();
    for number in 1..=6_u64 {
        let mut member = RawClient::online(&gateway, Transport::Tcp, &format!("user{number}")).await;
        let entered = enter(&mut member, 1, enter_room("lobby")).await;
        members.push(member);
        let joined = user(&format!("user{number}"));
        match watcher.event().await {
            Body::RoomMemberJoined(event) => {
                assert_eq!((number, event.members, event.member_count), (1, vec![joined], 2));
                assert_eq!(entered.member_events(), MemberEvents::Each);
            }
            Body::RoomMemberDigest(digest) => {
                assert!((2..=3).contains(&number), "{digest:?}");
                assert_eq!((digest.joined, digest.joined_count), (vec![joined], 1));
                assert_eq!((digest.left, digest.left_count), (Vec::new(), 0));
                assert_eq!(digest.member_count, number + 1);
                assert_eq!(entered.member_events(), MemberEvents::Digest);
            }
            Body::RoomMemberCount(count) => {
                assert!(number >= 4);
                assert_eq!(count.member_count, number + 1);
                assert_eq!(entered.member_events(), MemberEvents::Count);
            }
            other => panic!("{other:?}"),
        }
    }
}
