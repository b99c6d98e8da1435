//! The client library's calls about rooms, against a gateway: moving, asking, attributes.

use std::time::Duration;

use sluice_client::{
    ChatRoomOptions, Client, DeleteAttributes, ErrorCode, Event, Events, History, OutgoingMessage, Pending,
    RoomOptions, SetAttributes, SwitchOptions,
};
use sluice_tests::{Gateway, Transport, on_all_transports, within};

on_all_transports!(
    what_a_room_begins_with_is_known_to_all_who_come,
    members_are_told_newest_first_over_pages,
    attributes_belong_to_whoever_set_them,
    a_switch_leaves_one_room_and_enters_the_other,
    a_transient_conversation_is_a_room_that_others_enter_by_its_id,
);

async fn online(gateway: &Gateway, user: &str, transport: Transport) -> (Client, Events) {
    let connecting = Client::connect(gateway.options(user, transport));
    within("a login", connecting).await.expect("a login")
}

async fn done<T>(call: Pending<T>) -> T {
    within("an answer", call)
        .await
        .unwrap_or_else(|error| panic!("{error}"))
}

async fn refused<T>(call: Pending<T>) -> (ErrorCode, String) {
    match within("an answer", call).await {
        Ok(_) => panic!("it was done"),
        Err(error) => (error.code, error.detail),
    }
}

async fn next(events: &mut Events) -> Event {
    within("an event", events.next()).await.expect("the connection lives")
}

async fn what_a_room_begins_with_is_known_to_all_who_come(transport: Transport) {
    let gateway = Gateway::start(|_| {});
    let (alice, mut events) = online(&gateway, "alice", transport).await;
    let options = RoomOptions::named("Quiz")
        .destroy_delay(Duration::from_secs(60))
        .attribute("round", "1")
        .extra("host");
    let room = done(alice.create_room("quiz", options)).await;
    assert_eq!((room.policy.as_str(), room.attributes_version > 0), ("room", true));

    let (bob, _bobs_events) = online(&gateway, "bob", transport).await;
    done(bob.join_room_with("quiz", "hat")).await;
    assert!(matches!(next(&mut events).await, Event::MemberJoined(joined) if joined.extra == "hat"));
    let attributes = done(bob.query_attributes("quiz", [""; 0])).await;
    assert_eq!(attributes.attributes.len(), 1);
    assert_eq!(
        (
            attributes.attributes[0].key.as_str(),
            attributes.attributes[0].owner_id.as_str()
        ),
        ("round", "alice")
    );

    // The last member goes, and the room outlives that.
    done(alice.leave_room("quiz")).await;
    assert_eq!(done(bob.leave_all_rooms()).await, ["quiz"]);
    assert!(!done(bob.enter_room("quiz", "")).await.created);
    gateway.stop().await;
}

async fn members_are_told_newest_first_over_pages(transport: Transport) {
    let gateway = Gateway::start(|_| {});
    let mut clients = Vec::new();
    for user in ["alice", "bob", "carol"] {
        let (client, events) = online(&gateway, user, transport).await;
        done(client.enter_room("quiz", "")).await;
        clients.push((client, events));
    }
    let (alice, _) = &clients[0];
    assert_eq!(done(alice.query_room("quiz")).await.member_count, 3);
    let first = done(alice.query_members("quiz", 2, "")).await;
    assert_eq!((first.members.len(), first.member_count), (2, 3));
    let cursor = first.next_cursor.expect("there is one more");
    let second = done(alice.query_members("quiz", 2, &cursor)).await;
    assert_eq!((second.members.len(), second.next_cursor), (1, None));
    let told: Vec<_> = first.members.into_iter().chain(second.members).collect();
    let mut users: Vec<_> = told.iter().map(|member| member.user_id.as_str()).collect();
    users.sort_unstable();
    assert_eq!(users, ["alice", "bob", "carol"]);

    let mut members = alice.members("quiz");
    let mut one_by_one = Vec::new();
    while let Some(member) = within("a member", members.next()).await.expect("answered") {
        one_by_one.push(member);
    }
    assert_eq!(one_by_one, told);

    let named = done(alice.query_named_members("quiz", ["bob", "nobody"])).await;
    assert_eq!(named.len(), 1);
    let outside = refused(alice.query_room("elsewhere")).await;
    assert!(
        [ErrorCode::NOT_IN_CHATROOM, ErrorCode::CHATROOM_NOT_EXIST].contains(&outside.0),
        "{outside:?}"
    );
    gateway.stop().await;
}

async fn attributes_belong_to_whoever_set_them(transport: Transport) {
    let gateway = Gateway::start(|_| {});
    let (alice, mut events) = online(&gateway, "alice", transport).await;
    let (bob, _bobs_events) = online(&gateway, "bob", transport).await;
    done(alice.enter_room("quiz", "")).await;
    done(bob.enter_room("quiz", "")).await;
    assert!(matches!(next(&mut events).await, Event::MemberJoined(_)));

    let written = done(bob.set_attributes("quiz", SetAttributes::new("topic", "tea"))).await;
    assert!(written.refused.is_empty());
    let Event::AttributesChanged(changed) = next(&mut events).await else {
        panic!("all are told")
    };
    assert_eq!(
        (changed.version, changed.set[0].value.as_str()),
        (written.version, "tea")
    );
    assert_eq!(changed.by.expect("bob").user_id, "bob");

    let mixed = SetAttributes::new("topic", "coffee").and("mood", "calm");
    let written = done(alice.set_attributes("quiz", mixed)).await;
    assert_eq!(written.refused.len(), 1);
    assert_eq!(
        (written.refused[0].key.as_str(), written.refused[0].code),
        ("topic", ErrorCode::ATTRIBUTE_NOT_YOURS)
    );
    assert!(matches!(next(&mut events).await, Event::AttributesChanged(changed) if changed.set[0].key == "mood"));

    let deleting = alice.delete_attributes("quiz", DeleteAttributes::new(["topic"]));
    let error = within("an answer", deleting).await.expect_err("it is bob's");
    assert_eq!(error.code, ErrorCode::ATTRIBUTES_PARTLY_FAILED);
    assert_eq!(
        (error.refused[0].key.as_str(), error.refused[0].code),
        ("topic", ErrorCode::ATTRIBUTE_NOT_YOURS)
    );

    let force = DeleteAttributes::new(["topic"]).force();
    done(alice.delete_attributes("quiz", force)).await;
    assert!(matches!(next(&mut events).await, Event::AttributesChanged(changed) if changed.deleted == ["topic"]));
    let left = done(bob.query_attributes("quiz", ["topic", "mood"])).await;
    assert_eq!(left.attributes.len(), 1);
    gateway.stop().await;
}

async fn a_transient_conversation_is_a_room_that_others_enter_by_its_id(transport: Transport) {
    let gateway = Gateway::start(|_| {});
    let (alice, _alices_events) = online(&gateway, "alice", transport).await;
    let (bob, mut bobs_events) = online(&gateway, "bob", transport).await;
    let made = done(alice.create_transient_conversation("Launch")).await;
    assert!(made.created);
    assert_eq!((made.room_id.len(), &*made.room_name), (24, "Launch"));
    let entered = done(bob.join_exist_chat_room(&made.room_id, ChatRoomOptions::default())).await;
    assert_eq!((entered.member_count, entered.created), (2, false));
    done(alice.send(OutgoingMessage::text(&made.room_id, "lift-off"))).await;
    assert!(matches!(next(&mut bobs_events).await, Event::RoomMessage(message) if message.content == "lift-off"));
}

async fn a_switch_leaves_one_room_and_enters_the_other(transport: Transport) {
    let gateway = Gateway::start(|_| {});
    let (alice, mut events) = online(&gateway, "alice", transport).await;
    let (bob, mut bobs_events) = online(&gateway, "bob", transport).await;
    done(alice.enter_room("quiz", "")).await;
    done(bob.enter_room("quiz", "")).await;
    done(alice.join_chat_room("den", ChatRoomOptions::default().history(History::None))).await;
    done(alice.send(OutgoingMessage::text("den", "welcome"))).await;

    let nowhere = bob.switch_room("quiz", "nowhere", SwitchOptions::default());
    assert_eq!(refused(nowhere).await.0, ErrorCode::CHATROOM_NOT_EXIST);
    let options = SwitchOptions::default().history(History::Newest(5));
    let room = done(bob.switch_room("quiz", "den", options)).await;
    assert_eq!((room.room_id.as_str(), room.history_count), ("den", 1));
    assert!(matches!(next(&mut bobs_events).await, Event::RoomMessage(message) if message.content == "welcome"));
    assert_eq!(bob.resume_ticket().rooms().collect::<Vec<_>>(), [("den", 1)]);

    let mut left = false;
    let mut joined = false;
    while !(left && joined) {
        match next(&mut events).await {
            Event::MemberLeft(event) => left = event.room_id == "quiz",
            Event::MemberJoined(event) => joined |= event.room_id == "den",
            _ => {}
        }
    }
    gateway.stop().await;
}
