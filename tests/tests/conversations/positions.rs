//! How far users have got, and history.

use sluice_protocol::frame::Body;
use sluice_protocol::{
    AckMessages, AckMessagesResult, ConversationType, HistoryDirection, Messages, PositionMoved, QueryMessages, reply,
};
use sluice_tests::{Gateway, RawClient, Transport, on_all_transports};

use super::{listening, next, say, several_devices, to_peer};
use crate::rooms::refused;

on_all_transports!(
    a_position_moves_for_ones_own_devices_and_for_the_other_one,
    history_comes_in_pages_from_the_end_and_from_the_beginning,
);

async fn ack(client: &mut RawClient, request_id: u32, id: &str, delivered: u64, read: u64) -> AckMessagesResult {
    let command = AckMessages {
        r#type: ConversationType::Peer.into(),
        id: id.into(),
        delivered_sequence: delivered,
        read_sequence: read,
    };
    let reply = client.call(request_id, Body::AckMessages(command)).await;
    match reply.result {
        Some(reply::Result::AckMessages(result)) if reply.code == 0 => result,
        _ => panic!("{reply:?}"),
    }
}

async fn moved(client: &mut RawClient) -> PositionMoved {
    match client.event().await {
        Body::PositionMoved(moved) => moved,
        other => panic!("{other:?}; {client:?}"),
    }
}

async fn a_position_moves_for_ones_own_devices_and_for_the_other_one(transport: Transport) {
    let gateway = Gateway::start(several_devices);
    let mut alice = listening(&gateway, transport, "alice").await;
    let mut alice_too = listening(&gateway, transport, "alice").await;
    let mut bob = listening(&gateway, transport, "bob").await;
    for text in 1..=3 {
        say(&mut bob, text, to_peer("alice", &text.to_string())).await;
    }
    for client in [&mut alice, &mut alice_too] {
        for sequence in 1..=3 {
            assert_eq!(next(client).await.sequence, sequence);
        }
    }
    let result = ack(&mut alice, 1, "bob", 3, 2).await;
    assert_eq!(
        (result.delivered_sequence, result.read_sequence, result.unread),
        (3, 2, 1)
    );
    for client in [&mut alice_too, &mut bob] {
        let expected = PositionMoved {
            r#type: ConversationType::Peer.into(),
            target_id: "bob".into(),
            user_id: "alice".into(),
            delivered_sequence: 3,
            read_sequence: 2,
        };
        assert_eq!(moved(client).await, expected);
    }
    // From the other device, back and beyond the end.
    let result = ack(&mut alice_too, 1, "bob", 1, 99).await;
    assert_eq!(
        (result.delivered_sequence, result.read_sequence, result.unread),
        (3, 3, 0)
    );
    for client in [&mut alice, &mut bob] {
        assert_eq!(moved(client).await.read_sequence, 3);
    }
}

async fn history_comes_in_pages_from_the_end_and_from_the_beginning(transport: Transport) {
    let gateway = Gateway::start(|_| ());
    let mut clients = Vec::new();
    for (user, other) in [("alice", "bob"), ("bob", "alice")] {
        clients.push((RawClient::online(&gateway, transport, user).await, other));
    }
    let mut ids = Vec::new();
    for number in 1..=16 {
        let (client, other) = &mut clients[number as usize % 2];
        ids.push(
            say(client, number, to_peer(other, &number.to_string()))
                .await
                .message_id,
        );
    }
    let (alice, _) = &mut clients[0];
    for direction in [HistoryDirection::Older, HistoryDirection::Newer] {
        let mut command = QueryMessages {
            r#type: ConversationType::Peer.into(),
            id: "bob".into(),
            limit: 7,
            direction: direction.into(),
            ..QueryMessages::default()
        };
        let mut pages = Vec::new();
        loop {
            let page = query(alice, command.clone()).await;
            assert!(page.messages.iter().all(|message| message.history));
            pages.push(
                page.messages
                    .iter()
                    .map(|message| message.message_id)
                    .collect::<Vec<_>>(),
            );
            if !page.more {
                break;
            }
            command.message_id = page.beyond_message_id;
        }
        let lengths: Vec<usize> = pages.iter().map(Vec::len).collect();
        assert_eq!(lengths, [7, 7, 2]);
        if direction == HistoryDirection::Older {
            pages.reverse();
        }
        assert_eq!(pages.concat(), ids);
    }
    let too_many = QueryMessages {
        r#type: ConversationType::Peer.into(),
        id: "bob".into(),
        limit: 1001,
        ..QueryMessages::default()
    };
    let reply = alice.call(70, Body::QueryMessages(too_many)).await;
    assert_eq!(refused(&reply), (33003, "limit"));
}

async fn query(client: &mut RawClient, command: QueryMessages) -> Messages {
    let reply = client.call(50, Body::QueryMessages(command)).await;
    match reply.result {
        Some(reply::Result::Messages(messages)) if reply.code == 0 => messages,
        _ => panic!("{reply:?}"),
    }
}
