//! Conversations over sockets: who gets what, in which order, and how a client catches up.

mod catching_up;
mod positions;

use std::time::Duration;

use bytes::Bytes;
use sluice_gateway::config::{Config, SingleLogin};
use sluice_protocol::frame::Body;
use sluice_protocol::{
    AckMessages, AddMembers, ConversationMessage, ConversationType, CreateConversation, CreateGroup, JoinChatRoom,
    JoinConversation, MessageType, QueryConversations, QuitConversation, RemoveMembers, SendMessage, SendMessageResult,
    SyncConversations, SyncPage, UpdateConversation, reply,
};
use sluice_tests::{Gateway, RawClient, Transport, on_all_transports, wait_until};

use crate::rooms::{refused, sent};

on_all_transports!(
    a_message_comes_to_all_devices_but_the_one_that_sent_it,
    nothing_comes_to_a_session_that_has_not_asked,
    a_message_to_a_group_comes_to_all_in_one_order_on_all_transports,
    what_was_missed_comes_with_a_number_that_falls_to_zero_and_then_what_happens,
    a_session_may_do_only_so_much_in_a_second,
    the_reply_to_a_message_comes_behind_all_that_was_kept_before_it,
    what_happens_to_members_is_told_to_all_their_connections_and_to_the_one_that_did_it,
);

/// Several devices for each user.
pub(crate) fn several_devices(config: &mut Config) {
    config.apps[0].single_login = SingleLogin::Multi(8);
}

pub(crate) fn to(kind: ConversationType, id: &str, content: impl Into<Bytes>) -> SendMessage {
    SendMessage {
        conversation_type: kind.into(),
        target_id: id.into(),
        r#type: MessageType::Text.into(),
        content: content.into(),
        ..SendMessage::default()
    }
}

pub(crate) fn to_peer(user: &str, content: &str) -> SendMessage {
    to(ConversationType::Peer, user, content.to_owned())
}

pub(crate) async fn say(client: &mut RawClient, request_id: u32, message: SendMessage) -> SendMessageResult {
    sent(client.call(request_id, Body::SendMessage(message)).await)
}

pub(crate) async fn sync_page(client: &mut RawClient, request_id: u32, command: SyncConversations) -> SyncPage {
    let reply = client.call(request_id, Body::SyncConversations(command)).await;
    match reply.result {
        Some(reply::Result::SyncPage(page)) if reply.code == 0 => page,
        _ => panic!("{reply:?}; {client:?}"),
    }
}

/// Has events flow to a client that missed nothing it wants.
pub(crate) async fn listen(client: &mut RawClient) {
    let mut page = sync_page(client, 900_000, SyncConversations::default()).await;
    while !page.next_cursor.is_empty() {
        let command = SyncConversations {
            cursor: page.next_cursor,
            ..SyncConversations::default()
        };
        page = sync_page(client, 900_001, command).await;
    }
}

/// Logs in and has events flow.
pub(crate) async fn listening(gateway: &Gateway, transport: Transport, user: &str) -> RawClient {
    let mut client = RawClient::online(gateway, transport, user).await;
    listen(&mut client).await;
    client
}

pub(crate) async fn next(client: &mut RawClient) -> ConversationMessage {
    match client.event().await {
        Body::ConversationMessage(message) => message,
        other => panic!("{other:?}; {client:?}"),
    }
}

/// Makes a group of these users; the client is its owner. Those who listen get their invitations.
pub(crate) async fn group(client: &mut RawClient, id: &str, others: &[String]) {
    let command = CreateGroup {
        id: id.into(),
        user_ids: others.to_vec(),
        ..CreateGroup::default()
    };
    let reply = client.call(800_000, Body::CreateGroup(command)).await;
    match reply.result {
        Some(reply::Result::ConversationCreated(created)) if reply.code == 0 => {
            assert_eq!(created.conversation.expect("which").id, id);
        }
        _ => panic!("{reply:?}; {client:?}"),
    }
}

async fn a_message_comes_to_all_devices_but_the_one_that_sent_it(transport: Transport) {
    let gateway = Gateway::start(several_devices);
    let mut alice = listening(&gateway, transport, "alice").await;
    let mut alice_too = listening(&gateway, Transport::Tcp, "alice").await;
    let mut bob = listening(&gateway, transport, "bob").await;
    let mut bob_too = listening(&gateway, Transport::Quic, "bob").await;
    let first = say(&mut bob, 1, to_peer("alice", "hello")).await;
    assert_eq!(first.sequence, 1);
    for client in [&mut alice, &mut alice_too, &mut bob_too] {
        let message = next(client).await;
        assert_eq!((message.sequence, message.message_id), (1, first.message_id));
        assert_eq!((&*message.content, &*message.target_id), (&b"hello"[..], "alice"));
        assert_eq!((message.history, message.left), (false, 0));
        assert_eq!(message.sender.expect("a sender").user_id, "bob");
    }
    let second = say(&mut alice, 1, to_peer("bob", "hello yourself")).await;
    assert_eq!(second.sequence, 2, "it is one conversation");
    // The first thing that comes to the one that sent the first: its own message would have come before.
    for client in [&mut bob, &mut bob_too, &mut alice_too] {
        assert_eq!(next(client).await.sequence, 2);
    }
}

async fn nothing_comes_to_a_session_that_has_not_asked(transport: Transport) {
    let gateway = Gateway::start(|_| ());
    let mut alice = RawClient::online(&gateway, transport, "alice").await;
    let mut bob = listening(&gateway, transport, "bob").await;
    assert_eq!(say(&mut bob, 1, to_peer("alice", "one")).await.sequence, 1);
    // What came for it while it had not asked is in the page, once.
    let page = sync_page(&mut alice, 1, SyncConversations::default()).await;
    assert_eq!(page.messages.len(), 1);
    assert_eq!(say(&mut bob, 2, to_peer("alice", "two")).await.sequence, 2);
    assert_eq!(next(&mut alice).await.sequence, 2);
}

async fn a_message_to_a_group_comes_to_all_in_one_order_on_all_transports(transport: Transport) {
    const EACH: usize = 4;
    const MESSAGES: u32 = 10;
    let gateway = Gateway::start(|_| ());
    let mut users = Vec::new();
    for (number, transport) in (0..EACH).flat_map(|_| Transport::ALL).enumerate() {
        let user = format!("user{number}");
        users.push((user.clone(), listening(&gateway, transport, &user).await));
    }
    let names: Vec<String> = users.iter().map(|(name, _)| name.clone()).collect();
    let mut owner = listening(&gateway, transport, "owner").await;
    group(&mut owner, "g1", &names).await;
    assert!(matches!(owner.event().await, Body::MembersJoined(_)));
    for (_, client) in &mut users {
        assert!(matches!(client.event().await, Body::Invited(_)));
    }
    // All at once.
    for (_, client) in &mut users {
        let message = |number: u32| Body::SendMessage(to(ConversationType::Group, "g1", format!("{number}")));
        client.send_together(1, (0..MESSAGES).map(message)).await;
    }
    let all = u64::from(MESSAGES) * users.len() as u64;
    let mut order = Vec::new();
    for _ in 0..all {
        let message = next(&mut owner).await;
        order.push((message.sequence, message.message_id));
    }
    let sequences: Vec<u64> = order.iter().map(|(sequence, _)| *sequence).collect();
    assert_eq!(sequences, (1..=all).collect::<Vec<_>>());
    assert!(order.is_sorted_by_key(|(_, id)| *id), "ids grow too");
    for (name, client) in &mut users {
        let mut own = Vec::new();
        for request_id in 1..=MESSAGES {
            own.push(sent(client.reply(request_id).await).sequence);
        }
        assert!(own.is_sorted(), "{name}: in the order they were sent");
        for (sequence, message_id) in order.iter().filter(|(sequence, _)| !own.contains(sequence)) {
            let message = next(client).await;
            assert_eq!(
                (message.sequence, message.message_id),
                (*sequence, *message_id),
                "{name}"
            );
        }
    }
}

async fn what_was_missed_comes_with_a_number_that_falls_to_zero_and_then_what_happens(transport: Transport) {
    let gateway = Gateway::start(|_| ());
    let mut friends = Vec::new();
    for number in 0..3 {
        let mut friend = listening(&gateway, transport, &format!("friend{number}")).await;
        for text in 0..9 {
            say(&mut friend, text + 1, to_peer("alice", &format!("{text}"))).await;
        }
        friends.push(friend);
    }
    let mut alice = RawClient::online(&gateway, transport, "alice").await;
    let command = SyncConversations {
        newest: 5,
        ..SyncConversations::default()
    };
    let page = sync_page(&mut alice, 1, command).await;
    let unread: Vec<u32> = page.conversations.iter().map(|own| own.unread).collect();
    assert_eq!(unread, [9, 9, 9]);
    let got: Vec<_> = page
        .messages
        .iter()
        .map(|message| {
            (
                message.sender.as_ref().expect("one").user_id.as_str(),
                message.sequence,
                message.left,
            )
        })
        .collect();
    let expected = ["friend2", "friend1", "friend0"]
        .into_iter()
        .flat_map(|name| (5..=9).map(move |n| (name, n)));
    let expected: Vec<_> = expected
        .zip((0..15).rev())
        .map(|((name, n), left)| (name, n, left))
        .collect();
    assert_eq!(got, expected);
    assert_eq!(page.next_cursor, "");
    assert_eq!(say(&mut friends[0], 100, to_peer("alice", "now")).await.sequence, 10);
    let message = next(&mut alice).await;
    assert_eq!((message.sequence, message.history), (10, false));
}

async fn a_session_may_do_only_so_much_in_a_second(transport: Transport) {
    // A second can only be seen to be full if all that fills it comes within it.
    const WRITES: u32 = 200;
    let gateway = Gateway::start(|_| ());
    let mut alice = listening(&gateway, transport, "alice").await;
    let ack = Body::AckMessages(sluice_protocol::AckMessages {
        r#type: ConversationType::Peer.into(),
        id: "bob".into(),
        delivered_sequence: 1,
        read_sequence: 1,
    });
    alice.send_together(1, (0..WRITES).map(|_| ack.clone())).await;
    let message = |number: u32| Body::SendMessage(to_peer("bob", &number.to_string()));
    alice.send_together(1_000, (0..WRITES).map(message)).await;
    let question = Body::QueryConversation(sluice_protocol::QueryConversation {
        r#type: ConversationType::Peer.into(),
        id: "bob".into(),
    });
    alice.send_together(2_000, (0..WRITES).map(|_| question.clone())).await;
    for (from, code, detail) in [(1, 20607, "rate"), (1_000, 20604, "10/s"), (2_000, 20607, "rate")] {
        let mut refusals = 0;
        for request_id in from..from + WRITES {
            let reply = alice.reply(request_id).await;
            if reply.code != 0 {
                assert_eq!(refused(&reply), (code, detail));
                assert!(Duration::from_millis(reply.retry_after_ms.into()) <= Duration::from_secs(1));
                assert_ne!(reply.retry_after_ms, 0);
                refusals += 1;
            }
        }
        assert!(refusals > 0 && refusals < WRITES, "{refusals} of {WRITES} with {code}");
    }
}

async fn the_reply_to_a_message_comes_behind_all_that_was_kept_before_it(transport: Transport) {
    const EACH: usize = 4;
    const MESSAGES: u32 = 10;
    let gateway = Gateway::start(|config| config.workers = 3);
    let mut users = Vec::new();
    for (number, transport) in (0..EACH).flat_map(|_| Transport::ALL).enumerate() {
        users.push(listening(&gateway, transport, &format!("user{number}")).await);
    }
    let names: Vec<String> = (1..users.len()).map(|number| format!("user{number}")).collect();
    group(&mut users[0], "g1", &names).await;
    for client in &mut users {
        assert!(matches!(
            client.event().await,
            Body::MembersJoined(_) | Body::Invited(_)
        ));
    }
    // Half of them are asked for what they missed while it goes on.
    for client in users.iter_mut().step_by(2) {
        listen(client).await;
    }
    for client in &mut users {
        let message = |number: u32| Body::SendMessage(to(ConversationType::Group, "g1", format!("{number}")));
        client.send_together(1, (0..MESSAGES).map(message)).await;
    }
    for client in &mut users {
        let (mut before, mut replies) = (0, 0);
        while replies < MESSAGES {
            let frame = client.next_frame().await;
            let sequence = match frame.body {
                Some(Body::ConversationMessage(message)) => message.sequence,
                Some(Body::Reply(reply)) => {
                    replies += 1;
                    sent(reply).sequence
                }
                other => panic!("{other:?}; {client:?}"),
            };
            assert_eq!(sequence, before + 1, "{transport}: one after the other; {client:?}");
            before = sequence;
        }
    }
}

async fn what_happens_to_members_is_told_to_all_their_connections_and_to_the_one_that_did_it(transport: Transport) {
    let gateway = Gateway::start(several_devices);
    let mut tom = listening(&gateway, transport, "tom").await;
    let mut tom_too = listening(&gateway, Transport::Tcp, "tom").await;
    let mut jerry = listening(&gateway, transport, "jerry").await;
    let mut mary = listening(&gateway, transport, "mary").await;
    let mut william = listening(&gateway, transport, "william").await;
    let command = Body::CreateConversation(CreateConversation {
        user_ids: vec!["jerry".into()],
        ..CreateConversation::default()
    });
    let id = match tom.call(1, command).await.result {
        Some(reply::Result::ConversationCreated(created)) => created.conversation.expect("which").id,
        other => panic!("{other:?}"),
    };
    for tom in [&mut tom, &mut tom_too] {
        assert_eq!(told(tom).await, "tom: tom and jerry joined");
    }
    assert_eq!(told(&mut jerry).await, "tom: invited");
    let kind = ConversationType::Discussion.into();

    let (named, mary_alone) = (id.clone(), vec!["mary".to_owned()]);
    let add = Body::AddMembers(AddMembers {
        r#type: kind,
        id: named.clone(),
        user_ids: mary_alone.clone(),
    });
    assert_eq!(tom.call(2, add).await.code, 0);
    for client in [&mut tom, &mut tom_too, &mut jerry] {
        assert_eq!(told(client).await, "tom: mary joined");
    }
    assert_eq!(told(&mut mary).await, "tom: invited");

    let remove = Body::RemoveMembers(RemoveMembers {
        r#type: kind,
        id: named.clone(),
        user_ids: mary_alone,
    });
    assert_eq!(tom.call(3, remove).await.code, 0);
    for client in [&mut tom, &mut tom_too, &mut jerry] {
        assert_eq!(told(client).await, "tom: mary left");
    }
    assert_eq!(told(&mut mary).await, "tom: kicked");

    let join = Body::JoinConversation(JoinConversation {
        r#type: kind,
        id: named.clone(),
    });
    assert_eq!(william.call(1, join).await.code, 0);
    for client in [&mut tom, &mut tom_too, &mut jerry, &mut william] {
        assert_eq!(told(client).await, "william: william joined");
    }

    let quit = Body::QuitConversation(QuitConversation {
        r#type: kind,
        id: named,
    });
    assert_eq!(jerry.call(1, quit).await.code, 0);
    for client in [&mut tom, &mut tom_too, &mut william, &mut jerry] {
        assert_eq!(told(client).await, "jerry: jerry left");
    }

    // A message and an ack have their answers; only other devices are told.
    let message = to(ConversationType::Discussion, &id, "bye");
    assert_eq!(say(&mut tom, 4, message).await.sequence, 1);
    let ack = Body::AckMessages(AckMessages {
        r#type: kind,
        id: id.clone(),
        delivered_sequence: 1,
        read_sequence: 1,
    });
    assert_eq!(william.call(2, ack).await.code, 0);
    let update = Body::UpdateConversation(UpdateConversation {
        r#type: kind,
        id,
        name: Some("Cartoon".into()),
        ..UpdateConversation::default()
    });
    assert_eq!(tom.call(5, update).await.code, 0);
    assert_eq!(told(&mut tom).await, "tom: changed");
    assert_eq!(next(&mut william).await.sequence, 1);
    assert_eq!(told(&mut william).await, "tom: changed");
}

/// Who did what, in words.
async fn told(client: &mut RawClient) -> String {
    let (by, what) = match client.event().await {
        Body::Invited(event) => (event.by_user_id, "invited".to_owned()),
        Body::KickedFromConversation(event) => (event.by_user_id, "kicked".to_owned()),
        Body::MembersJoined(event) => (event.by_user_id, format!("{} joined", event.user_ids.join(" and "))),
        Body::MembersLeft(event) => (event.by_user_id, format!("{} left", event.user_ids.join(" and "))),
        Body::ConversationChanged(event) => (event.by_user_id, "changed".to_owned()),
        other => panic!("{other:?}; {client:?}"),
    };
    format!("{by}: {what}")
}

#[tokio::test]
async fn a_message_is_refused_while_a_mailbox_is_full_and_a_question_is_not() {
    let gateway = Gateway::start(|config| {
        config.workers = 1;
        config.rooms.mailbox_messages = 1;
    });
    let mut alice = RawClient::online(&gateway, Transport::Tcp, "alice").await;
    let mut bob = listening(&gateway, Transport::Tcp, "bob").await;
    let room = "lobby";
    // Whatever else there is to do, of a login and such, may be in the mailbox too: a refusal of what it is full for means again.
    let mut request_id = 0;
    loop {
        request_id += 1;
        let enter = Body::JoinChatRoom(JoinChatRoom {
            room_id: room.into(),
            ..JoinChatRoom::default()
        });
        let reply = alice.call(request_id, enter).await;
        if reply.code == 0 {
            break;
        }
        assert_eq!(refused(&reply), (20607, "overload"));
    }
    // What is for the room waits in the mailbox until all that came with it has been read.
    loop {
        let commands = [
            Body::SendMessage(to(ConversationType::Room, room, "to all")),
            Body::SendMessage(to_peer("bob", "too much")),
            Body::QueryConversations(QueryConversations::default()),
        ];
        alice.send_together(request_id + 1, commands).await;
        request_id += 3;
        let to_room = alice.reply(request_id - 2).await;
        let to_bob = alice.reply(request_id - 1).await;
        assert_eq!(refused(&to_bob), (20607, "overload"));
        assert_ne!(to_bob.retry_after_ms, 0);
        assert_eq!(alice.reply(request_id).await.code, 0);
        if to_room.code == 0 {
            break;
        }
        assert_eq!(refused(&to_room), (20607, "overload"));
    }
    let sent = loop {
        request_id += 1;
        let again = Body::SendMessage(to_peer("bob", "again"));
        let reply = alice.call(request_id, again).await;
        match reply.result {
            Some(reply::Result::SendMessage(sent)) if reply.code == 0 => break sent,
            _ => assert_eq!(refused(&reply), (20607, "overload")),
        }
    };
    assert_eq!(sent.sequence, 1);
    assert_eq!(&*next(&mut bob).await.content, b"again");
    wait_until("it is counted", async || {
        gateway.metric("sluice_mailbox_refusals_total").await > 0.5
    })
    .await;
}
