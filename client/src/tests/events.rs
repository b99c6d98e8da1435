//! Events and the queue between the connection and the app.

use std::time::Duration;

use sluice_protocol::frame::Body;
use sluice_protocol::{
    Close, ErrorCode, LeaveReason, MuteScope, Pong, RoomAttributesChanged, RoomGap, RoomKickedOut, RoomMemberCount,
    RoomMemberDigest, RoomMemberJoined, RoomMemberLeft, RoomMessageRecalled, RoomMuteChanged, SystemMessage,
    TokenWillExpire, UserInfo, reply,
};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::peer;
use crate::event::EVENT_QUEUE_LENGTH;
use crate::{Event, Events, MessageKind, Mute};

#[tokio::test]
async fn every_event_arrives_typed_and_in_order() {
    let (_client, mut events, mut server) = peer::connected().await;
    let room_id = || "lobby".to_owned();
    let carol = || {
        vec![UserInfo {
            user_id: "carol".into(),
            user_name: "Carol".into(),
        }]
    };
    for body in [
        peer::room_message(5, "hello"),
        Body::RoomMemberJoined(RoomMemberJoined {
            room_id: room_id(),
            members: carol(),
            member_count: 2,
            ..RoomMemberJoined::default()
        }),
        Body::RoomMemberLeft(RoomMemberLeft {
            room_id: room_id(),
            members: carol(),
            reason: 3,
            member_count: 1,
        }),
        Body::RoomMemberDigest(RoomMemberDigest {
            joined_count: 9,
            ..RoomMemberDigest::default()
        }),
        Body::RoomMemberCount(RoomMemberCount {
            room_id: room_id(),
            member_count: 12_000,
        }),
        Body::RoomGap(RoomGap {
            first_sequence: 6,
            last_sequence: 9,
            low: 1,
            barrage: 2,
            ..RoomGap::default()
        }),
        Body::RoomKickedOut(RoomKickedOut {
            room_id: room_id(),
            reason: LeaveReason::Blocked.into(),
            until_ms: 9,
            extra: "spam".into(),
        }),
        Body::RoomMuteChanged(RoomMuteChanged {
            room_id: room_id(),
            scope: MuteScope::User.into(),
            muted: true,
            ..RoomMuteChanged::default()
        }),
        Body::RoomAttributesChanged(RoomAttributesChanged {
            room_id: room_id(),
            version: 3,
            deleted: vec!["topic".into()],
            by: Some(UserInfo::default()),
            ..RoomAttributesChanged::default()
        }),
        Body::RoomMessageRecalled(RoomMessageRecalled {
            message_id: 77,
            ..RoomMessageRecalled::default()
        }),
        Body::SystemMessage(SystemMessage {
            r#type: 200,
            object_name: "app:news".into(),
            ..SystemMessage::default()
        }),
        Body::TokenWillExpire(TokenWillExpire { seconds: 30 }),
    ] {
        server.event(body).await;
    }
    assert!(matches!(events.next().await, Some(Event::RoomMessage(event)) if event.sequence == 5));
    assert!(matches!(events.next().await, Some(Event::MemberJoined(event)) if event.members == carol()));
    assert!(matches!(events.next().await, Some(Event::MemberLeft(event)) if event.reason == LeaveReason::Offline));
    assert!(matches!(events.next().await, Some(Event::MemberDigest(event)) if event.joined_count == 9));
    assert!(matches!(events.next().await, Some(Event::MemberCount(event)) if event.member_count == 12_000));
    assert!(matches!(events.next().await, Some(Event::Gap(event)) if event.missed() == 3));
    assert!(matches!(
        events.next().await,
        Some(Event::KickedOut(event)) if (event.reason, event.until_ms) == (LeaveReason::Blocked, 9)
    ));
    assert!(matches!(
        events.next().await,
        Some(Event::MuteChanged(event)) if (event.scope, event.mute) == (MuteScope::User, Mute::WithoutEnd)
    ));
    assert!(matches!(
        events.next().await,
        Some(Event::AttributesChanged(event)) if event.deleted == ["topic"] && event.by.is_none()
    ));
    assert!(matches!(events.next().await, Some(Event::MessageRecalled(event)) if event.message_id == 77));
    assert!(matches!(
        events.next().await,
        Some(Event::SystemMessage(event)) if matches!(&event.kind, MessageKind::Custom { object_name } if object_name == "app:news")
    ));
    assert_eq!(
        events.next().await,
        Some(Event::TokenWillExpire {
            remaining: Duration::from_secs(30)
        })
    );
}

#[tokio::test]
async fn an_event_this_version_does_not_know_is_skipped() {
    let (_client, mut events, mut server) = peer::connected().await;
    // Field 99, an empty message.
    server
        .stream
        .write_all(&[3, 0x9a, 0x06, 0])
        .await
        .expect("the client is connected");
    server.event(peer::room_message(1, "hello")).await;
    assert!(matches!(events.next().await, Some(Event::RoomMessage(_))));
}

/// With a paused clock the hour passes at once when nothing is left that could bring the message.
async fn expect_message(events: &mut Events, sequence: u64) {
    match timeout(Duration::from_secs(3600), events.next()).await {
        Ok(Some(Event::RoomMessage(message))) => assert_eq!(message.sequence, sequence),
        other => panic!("message {sequence} was lost: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_app_does_not_read_stops_reading_the_socket_and_loses_nothing() {
    let (_client, mut events, mut server) = peer::connected().await;
    // Far more than the app's queue, the buffers and the link hold together.
    let content = "x".repeat(1000);
    let count = EVENT_QUEUE_LENGTH as u64 + 100;
    let mut written = 0;
    // The clock is paused: it moves only when nobody has anything left to do, so that this ends when writing stalls.
    while written < count {
        let writing = server.event(peer::room_message(written + 1, &content));
        match timeout(Duration::from_millis(1), writing).await {
            Ok(()) => written += 1,
            Err(_) => break,
        }
    }
    assert!(
        written >= EVENT_QUEUE_LENGTH as u64,
        "the queue takes as many as it says"
    );
    assert!(written < count, "writing stalls while the app does not read");
    for sequence in 1..=written {
        expect_message(&mut events, sequence).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_app_does_not_read_still_pings_and_does_not_call_the_server_silent() {
    let (_client, mut events, mut server) = peer::connected().await;
    // One more than the app's queue holds: from then on nothing is read, and nothing more is sent either.
    let count = EVENT_QUEUE_LENGTH as u64 + 1;
    for sequence in 1..=count {
        server.event(peer::room_message(sequence, "hello")).await;
    }
    for _ in 0..20 {
        let (_, command) = server.next_command().await;
        assert!(matches!(command, Body::Ping(_)));
    }
    for sequence in 1..=count {
        expect_message(&mut events, sequence).await;
    }
}

#[tokio::test]
async fn calls_go_on_when_the_app_wants_no_events() {
    let (client, events, mut server) = peer::connected().await;
    drop(events);
    for sequence in 1..=EVENT_QUEUE_LENGTH as u64 + 10 {
        server.event(peer::room_message(sequence, "unwanted")).await;
    }
    let pinged = client.ping();
    let (request_id, _) = server.next_command().await;
    server
        .reply(
            request_id,
            peer::success(reply::Result::Pong(Pong { server_time_ms: 3 })),
        )
        .await;
    assert_eq!(pinged.await, Ok(3));
}

#[tokio::test]
async fn what_came_before_the_close_is_delivered_before_it() {
    let (client, mut events, mut server) = peer::connected().await;
    server.event(peer::room_message(1, "hello")).await;
    server
        .close(Close {
            code: 31011,
            retry_after_ms: 2000,
            ..Close::default()
        })
        .await;
    // The connection has ended when this answers.
    let error = client.ping().await.expect_err("closed");
    assert!([ErrorCode::DISCONNECTED_BY_SERVER, ErrorCode::CONNECTION_UNAVAILABLE].contains(&error.code));
    assert!(matches!(events.next().await, Some(Event::RoomMessage(_))));
    let Some(Event::Closed(closed)) = events.next().await else {
        panic!("the connection has ended")
    };
    assert_eq!(
        (closed.code, closed.retry_after),
        (ErrorCode::DISCONNECTED_BY_SERVER, Some(Duration::from_secs(2)))
    );
}
