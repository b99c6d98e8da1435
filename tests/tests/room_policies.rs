//! Rooms of policies, their limits and ends, and commands about more than one room or nobody's messages.

use std::time::Duration;

use sluice_gateway::config::{AppPolicySettings, Config};
use sluice_protocol::frame::Body;
use sluice_protocol::{
    CreateRoom, JoinRoom, LeaveAllRooms, LeaveReason, QueryNamedMembers, QueryRoom, QueryRoomMembers,
    RoomDestroyedReason, RoomPreset, SwitchRoom, limits, reply,
};
use sluice_tests::{Gateway, RawClient, Transport, on_all_transports, wait_until};

use crate::rooms::{
    create_room, enter, enter_room, entered, expect_quiet, join_chat_room, join_room, next_message, no_rate_limits,
    refused, send, sent, text,
};

on_all_transports!(
    a_room_of_a_policy_is_made_filled_and_refused_as_it_says,
    the_sixth_room_is_refused_and_a_switch_is_not,
    after_a_switch_nothing_of_the_room_left_comes,
    leaving_all_rooms_names_them,
    an_idle_room_ends_and_tells_its_members,
    a_room_waits_for_its_delay,
    members_are_asked_for_page_by_page,
    questions_have_a_rate,
    what_a_newcomer_brings_is_told,
);

fn with_class(config: &mut Config) {
    config.apps[0].policies = vec![AppPolicySettings {
        members_max: Some(Some(2)),
        ..AppPolicySettings::new("class", RoomPreset::Room)
    }];
}

fn switch(from: &str, to: &str) -> SwitchRoom {
    SwitchRoom {
        leave_room_id: from.into(),
        room_id: to.into(),
        ..SwitchRoom::default()
    }
}

async fn a_room_of_a_policy_is_made_filled_and_refused_as_it_says(transport: Transport) {
    let gateway = Gateway::start(with_class);
    let mut alice = RawClient::online(&gateway, transport, "alice").await;
    let create = |policy: &str| {
        Body::CreateRoom(CreateRoom {
            room_id: "maths".into(),
            policy: policy.into(),
            ..CreateRoom::default()
        })
    };
    for policy in ["live", "club", &"x".repeat(65)] {
        assert_eq!(refused(&alice.call(1, create(policy)).await), (33003, "policy"));
    }
    let room = enter(&mut alice, 2, create("class")).await.room.expect("the room");
    assert_eq!((&*room.policy, room.preset()), ("class", RoomPreset::Room));
    let mut bob = RawClient::online(&gateway, transport, "bob").await;
    enter(&mut bob, 1, join_room("maths")).await;
    let mut carol = RawClient::online(&gateway, transport, "carol").await;
    assert_eq!(refused(&carol.call(1, join_room("maths")).await), (23411, ""));
}

async fn the_sixth_room_is_refused_and_a_switch_is_not(transport: Transport) {
    let gateway = Gateway::start(|_| ());
    let mut alice = RawClient::connect(&gateway, transport).await;
    let allowed = alice.login("alice").await.limits.expect("the limits in force");
    assert_eq!(allowed.rooms_per_session, 5);
    for number in 1..=5 {
        enter(&mut alice, number, enter_room(&format!("room{number}"))).await;
    }
    assert_eq!(refused(&alice.call(6, enter_room("room6")).await), (6_000_325, ""));
    let to = SwitchRoom {
        create: true,
        ..switch("room1", "room6")
    };
    assert!(entered(alice.call(7, Body::SwitchRoom(to)).await).created);
    assert_eq!(refused(&alice.call(8, enter_room("room7")).await), (6_000_325, ""));
    wait_until("the room left is gone", async || {
        gateway.metric("sluice_rooms").await == 5.0
    })
    .await;
}

async fn after_a_switch_nothing_of_the_room_left_comes(transport: Transport) {
    const SAID: u32 = 50;
    let gateway = Gateway::start(no_rate_limits);
    let mut alice = RawClient::online(&gateway, transport, "alice").await;
    let mut bob = RawClient::online(&gateway, transport, "bob").await;
    enter(&mut alice, 1, enter_room("old")).await;
    enter(&mut bob, 1, enter_room("old")).await;
    // What cannot be entered changes nothing, and neither does what is not left.
    assert_eq!(
        refused(&bob.call(2, Body::SwitchRoom(switch("old", "new"))).await),
        (23410, "")
    );
    assert_eq!(
        refused(&bob.call(3, Body::SwitchRoom(switch("other", "new"))).await),
        (23406, "")
    );
    assert_eq!(
        refused(&bob.call(4, Body::SwitchRoom(switch("old", "old"))).await),
        (33003, "room_id")
    );
    assert_eq!(
        refused(&bob.call(5, Body::SwitchRoom(switch("", "new"))).await),
        (33003, "leave_room_id")
    );
    send(&mut alice, 2, text("old", "still here")).await;
    assert_eq!(next_message(&mut bob).await.content, "still here");

    let mut carol = RawClient::online(&gateway, transport, "carol").await;
    enter(&mut carol, 1, enter_room("new")).await;
    for number in 0..SAID {
        alice
            .send(10 + number, Body::SendMessage(text("old", "before and after")))
            .await;
    }
    bob.send(6, Body::SwitchRoom(switch("old", "new"))).await;
    loop {
        let frame = bob.next_frame().await;
        match frame.body {
            Some(Body::RoomMessage(message)) => assert_eq!(message.room_id, "old"),
            Some(Body::Reply(reply)) => {
                assert_eq!(frame.request_id, 6);
                let entered = entered(reply);
                assert_eq!(
                    (entered.room.expect("the room").room_id, entered.member_count),
                    ("new".into(), 2)
                );
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    for number in 0..SAID {
        sent(alice.reply(10 + number).await);
    }
    expect_quiet(&mut bob, 7).await;
    assert_eq!(bob.call(8, Body::SendMessage(text("old", "?"))).await.code, 23406);
    let left = loop {
        match alice.event().await {
            Body::RoomMessage(_) | Body::RoomMemberJoined(_) => {}
            Body::RoomMemberLeft(left) => break left,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((&*left.members[0].user_id, left.reason()), ("bob", LeaveReason::Left));
    // And back: what is asked next finds it where it is.
    enter(&mut bob, 9, Body::SwitchRoom(switch("new", "old"))).await;
    send(&mut bob, 10, text("old", "back")).await;
}

async fn leaving_all_rooms_names_them(transport: Transport) {
    let gateway = Gateway::start(|_| ());
    let mut alice = RawClient::online(&gateway, transport, "alice").await;
    let mut bob = RawClient::online(&gateway, transport, "bob").await;
    for (request_id, room) in (1..).zip(["one", "two", "three"]) {
        enter(&mut alice, request_id, enter_room(room)).await;
    }
    enter(&mut bob, 1, join_room("two")).await;
    let left = |reply: sluice_protocol::Reply| match reply.result {
        Some(reply::Result::LeaveAllRooms(left)) if reply.code == 0 => {
            let mut rooms = left.room_ids;
            rooms.sort();
            rooms
        }
        _ => panic!("{reply:?}"),
    };
    let leave_all = || Body::LeaveAllRooms(LeaveAllRooms {});
    assert_eq!(left(alice.call(4, leave_all()).await), ["one", "three", "two"]);
    // The homes of the rooms hear of it on their own, so the answer may be first.
    match bob.event().await {
        Body::RoomMemberLeft(event) => assert_eq!((event.reason(), event.member_count), (LeaveReason::Left, 1)),
        other => panic!("{other:?}"),
    }
    send(&mut bob, 2, text("two", "anybody?")).await;
    assert!(left(alice.call(5, leave_all()).await).is_empty());
    // Nothing but the answers came.
    let again = enter(&mut alice, 6, create_room("one", "")).await;
    assert!(again.created);
    expect_quiet(&mut alice, 7).await;
}

async fn an_idle_room_ends_and_tells_its_members(transport: Transport) {
    let gateway = Gateway::start(|config| config.rooms.live_idle = Duration::from_millis(300));
    let mut alice = RawClient::online(&gateway, transport, "alice").await;
    enter(&mut alice, 1, join_chat_room("lobby", 0)).await;
    match alice.event().await {
        Body::RoomDestroyed(event) => {
            assert_eq!((&*event.room_id, event.reason()), ("lobby", RoomDestroyedReason::Idle));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(alice.call(2, Body::SendMessage(text("lobby", "?"))).await.code, 23410);
    assert!(enter(&mut alice, 3, join_chat_room("lobby", 0)).await.created);
}

async fn a_room_waits_for_its_delay(transport: Transport) {
    let gateway = Gateway::start(|_| ());
    let mut alice = RawClient::online(&gateway, transport, "alice").await;
    let create = |seconds| {
        Body::CreateRoom(CreateRoom {
            room_id: "lobby".into(),
            destroy_delay_seconds: seconds,
            ..CreateRoom::default()
        })
    };
    assert_eq!(
        refused(&alice.call(1, create(limits::DESTROY_DELAY_SECONDS + 1)).await),
        (33003, "destroy_delay_seconds")
    );
    enter(&mut alice, 2, create(1)).await;
    send(&mut alice, 3, text("lobby", "hello")).await;
    alice.call(4, Body::LeaveAllRooms(LeaveAllRooms {})).await;
    let again = enter(&mut alice, 5, join_room("lobby")).await;
    assert_eq!((again.created, again.sequence), (false, 1));
    alice.call(6, Body::LeaveAllRooms(LeaveAllRooms {})).await;
    // Whoever is outside can tell a room that is there from one that is not, and does not keep it by asking.
    for request_id in 10.. {
        match alice.call(request_id, Body::SendMessage(text("lobby", "?"))).await.code {
            23406 => tokio::time::sleep(Duration::from_millis(20)).await,
            code => {
                assert_eq!(code, 23410);
                break;
            }
        }
    }
    assert_eq!(refused(&alice.call(7, join_room("lobby")).await), (23410, ""));
}

async fn members_are_asked_for_page_by_page(transport: Transport) {
    const MEMBERS: usize = 5;
    let gateway = Gateway::start(no_rate_limits);
    let mut members = Vec::new();
    for number in 0..MEMBERS {
        let mut member = RawClient::online(&gateway, Transport::Tcp, &format!("user{number}")).await;
        enter(&mut member, 1, enter_room("lobby")).await;
        members.push(member);
    }
    let mut asker = RawClient::online(&gateway, transport, "asker").await;
    let ask = |limit, cursor: &str| {
        Body::QueryRoomMembers(QueryRoomMembers {
            room_id: "lobby".into(),
            limit,
            cursor: cursor.into(),
        })
    };
    assert_eq!(refused(&asker.call(1, ask(0, "")).await), (23406, ""));
    let joined = enter(&mut asker, 2, enter_room("lobby")).await;
    assert_eq!(refused(&asker.call(3, ask(101, "")).await), (33003, "limit"));
    assert_eq!(refused(&asker.call(4, ask(0, "what?")).await), (33003, "cursor"));
    let mut told = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = match asker.call(5, ask(4, &cursor)).await.result {
            Some(reply::Result::RoomMembers(page)) => page,
            other => panic!("{other:?}"),
        };
        assert_eq!(page.member_count, MEMBERS as u64 + 1);
        told.extend(page.members.into_iter().map(|member| member.user_id));
        cursor = page.next_cursor;
        if cursor.is_empty() {
            break;
        }
    }
    told.sort();
    assert_eq!(told, ["asker", "user0", "user1", "user2", "user3", "user4"]);

    let named = |users: &[&str]| {
        Body::QueryNamedMembers(QueryNamedMembers {
            room_id: "lobby".into(),
            user_ids: users.iter().map(|user| (*user).to_owned()).collect(),
        })
    };
    match asker.call(6, named(&["user1", "nobody", "user1"])).await.result {
        Some(reply::Result::NamedMembers(found)) => {
            assert_eq!(found.members.len(), 1);
            assert_eq!(found.members[0].user_id, "user1");
        }
        other => panic!("{other:?}"),
    }
    for users in [&[][..], &["x"; 11], &["", "user1"]] {
        assert_eq!(refused(&asker.call(7, named(users)).await), (33003, "user_ids"));
    }
    let query = |room: &str| {
        Body::QueryRoom(QueryRoom {
            room_id: room.to_owned(),
        })
    };
    match asker.call(8, query("lobby")).await.result {
        Some(reply::Result::RoomStatus(status)) => {
            assert_eq!((status.room, status.member_count), (joined.room, MEMBERS as u64 + 1));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(refused(&asker.call(9, query("nowhere")).await), (23410, ""));
}

async fn questions_have_a_rate(transport: Transport) {
    let gateway = Gateway::start(|_| ());
    let mut alice = RawClient::online(&gateway, transport, "alice").await;
    enter(&mut alice, 1, enter_room("lobby")).await;
    let query = || {
        Body::QueryRoom(QueryRoom {
            room_id: "lobby".into(),
        })
    };
    // Faster than any second passes twice: at most twenty are answered within two of them.
    for request_id in 2..42 {
        alice.send(request_id, query()).await;
    }
    let mut answered = 0;
    for request_id in 2..42 {
        let reply = alice.reply(request_id).await;
        if reply.code == 0 {
            answered += 1;
        } else {
            assert_eq!(refused(&reply), (20607, "rate"));
            assert!(reply.retry_after_ms > 0);
        }
    }
    assert!((10..40).contains(&answered), "{answered}");
}

async fn what_a_newcomer_brings_is_told(transport: Transport) {
    let gateway = Gateway::start(|_| ());
    let mut alice = RawClient::online(&gateway, transport, "alice").await;
    let mut bob = RawClient::online(&gateway, transport, "bob").await;
    enter(&mut alice, 1, enter_room("lobby")).await;
    let join = |extra: &str| {
        Body::JoinRoom(JoinRoom {
            room_id: "lobby".into(),
            extra: extra.into(),
        })
    };
    assert_eq!(refused(&bob.call(1, join(&"x".repeat(257))).await), (23437, ""));
    enter(&mut bob, 2, join("{\"colour\":\"red\"}")).await;
    match alice.event().await {
        Body::RoomMemberJoined(joined) => assert_eq!(joined.extra, "{\"colour\":\"red\"}"),
        other => panic!("{other:?}"),
    }
}
