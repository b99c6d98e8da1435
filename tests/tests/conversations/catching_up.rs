//! A client that comes back, asks again, or is slow: no gap, no repeat, in order.

use std::time::Duration;

use sluice_protocol::frame::Body;
use sluice_protocol::{ConversationType, Login, QueryMessages, SyncConversations, limits, reply};
use sluice_tests::{Gateway, RawClient, Transport, on_all_transports, wait_until};
use tokio::sync::watch;
use tokio::time::sleep;

use super::{group, listen, listening, next, say, sync_page, to, to_peer};
use crate::rooms::{refused, sent};

on_all_transports!(
    while_messages_flow_a_client_that_comes_back_again_and_again_gets_each_once_and_in_order,
    a_session_that_is_resumed_asks_for_what_came_after_what_it_knows,
    a_page_is_followed_only_on_the_connection_that_asked_for_the_first,
    a_session_for_which_too_much_came_meanwhile_is_told_to_ask_again,
    a_client_that_does_not_read_is_closed_as_slow_and_catches_up,
);

const GROUP: &str = "g1";

/// Each sends as many as the rate allows at once, again and again.
const SENDERS: usize = 12;
const ROUNDS: usize = 3;

/// How often the one who is looked at comes back between two rounds.
const RETURNS: usize = 2;

/// What a client asks for that knows the group up to here.
fn knowing(sequence: u64) -> SyncConversations {
    SyncConversations {
        newest: limits::SYNC_NEWEST_MAX,
        known_types: vec![ConversationType::Group as u32],
        known_ids: vec![GROUP.into()],
        known_sequences: vec![sequence],
        ..SyncConversations::default()
    }
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("user{number}")).collect()
}

/// What a session may send in a second.
const BURST: usize = limits::CONVERSATION_MESSAGES_PER_SECOND as usize;

/// Sends the messages one second's rate allows, and returns when they are taken.
async fn burst(client: &mut RawClient, first_request_id: u32, content: &str) -> Vec<u64> {
    send_together(client, first_request_id, BURST, content).await.0
}

/// Sends messages in one go. Returns those that are taken, and how long to wait before the others.
async fn send_together(
    client: &mut RawClient,
    first_request_id: u32,
    count: usize,
    content: &str,
) -> (Vec<u64>, Duration) {
    let message = |_| Body::SendMessage(to(ConversationType::Group, GROUP, content.to_owned()));
    client.send_together(first_request_id, (0..count).map(message)).await;
    let (mut taken, mut wait_ms) = (Vec::new(), 0);
    for request_id in (first_request_id..).take(count) {
        let reply = client.reply(request_id).await;
        // The second of the one before may not be over yet.
        if reply.code == 20604 {
            wait_ms = reply.retry_after_ms;
        } else {
            taken.push(sent(reply).sequence);
        }
    }
    (taken, Duration::from_millis(wait_ms.into()))
}

async fn while_messages_flow_a_client_that_comes_back_again_and_again_gets_each_once_and_in_order(
    transport: Transport,
) {
    let gateway =
        Gateway::start(|config| config.conversations.queries_per_second = sluice_gateway::config::Rate::Unlimited);
    let mut senders = Vec::new();
    for name in names(SENDERS) {
        senders.push(RawClient::online(&gateway, transport, &name).await);
    }
    let mut owner = RawClient::online(&gateway, transport, "owner").await;
    group(&mut owner, GROUP, &[names(SENDERS), vec!["alice".into()]].concat()).await;
    let (returned, returns) = watch::channel(0);
    let sending = senders.into_iter().map(|mut client| {
        let mut returns = returns.clone();
        tokio::spawn(async move {
            let mut taken = Vec::new();
            let mut request_ids = (1..).step_by(BURST);
            for round in 0..ROUNDS {
                // Between two rounds alice goes and comes back.
                returns
                    .wait_for(|times| *times >= RETURNS * round)
                    .await
                    .expect("she does");
                while taken.len() < (round + 1) * BURST {
                    let lacking = (round + 1) * BURST - taken.len();
                    let first_request_id = request_ids.next().expect("enough of them");
                    let (more, wait) = send_together(&mut client, first_request_id, lacking, "hello").await;
                    taken.extend(more);
                    sleep(wait).await;
                }
            }
            (client, taken)
        })
    });
    let sending: Vec<_> = sending.collect();

    let mut got: Vec<u64> = Vec::new();
    let mut asked = 0;
    loop {
        let done = sending.iter().all(tokio::task::JoinHandle::is_finished);
        let mut alice = RawClient::online(&gateway, transport, "alice").await;
        returned.send_modify(|times| *times += 1);
        // Asked anew while events flow, on each connection.
        for _ in 0..3 {
            asked += 1;
            let known = got.last().copied().unwrap_or(0);
            alice.send(asked, Body::SyncConversations(knowing(known))).await;
            // What came before the page was read goes out before the page.
            let mut page = loop {
                let frame = alice.next_frame().await;
                match frame.body {
                    Some(Body::Reply(reply)) => match reply.result {
                        Some(reply::Result::SyncPage(page)) => break page,
                        _ => panic!("{reply:?}"),
                    },
                    Some(Body::ConversationMessage(message)) => got.push(message.sequence),
                    other => panic!("{other:?}"),
                }
            };
            // The client knows better than when it asked: it passes over what came meanwhile.
            let newest = got.last().copied().unwrap_or(0);
            let mut missed = page.messages;
            while !page.next_cursor.is_empty() {
                asked += 1;
                let command = SyncConversations {
                    cursor: page.next_cursor,
                    ..SyncConversations::default()
                };
                page = sync_page(&mut alice, asked, command).await;
                missed.extend(page.messages);
            }
            missed.retain(|message| message.sequence > newest);
            if let Some(first) = missed.first().filter(|first| first.sequence > newest + 1) {
                // More than the newest hundred: history has the others.
                got.extend(before(&mut alice, first.message_id, newest).await);
            }
            got.extend(missed.iter().map(|message| message.sequence));
            if done {
                break;
            }
            for _ in 0..7 {
                if !alice.has_frame_within(Duration::from_millis(200)).await {
                    break;
                }
                got.push(next(&mut alice).await.sequence);
            }
        }
        assert!(
            got.windows(2).all(|pair| pair[0] + 1 == pair[1]),
            "a gap or a repeat: {got:?}"
        );
        if done {
            break;
        }
    }
    let mut taken = Vec::new();
    for sending in sending {
        taken.extend(sending.await.expect("no panic").1);
    }
    taken.sort_unstable();
    assert_eq!(got, taken, "each once and in order");
    assert_eq!(taken.len(), SENDERS * ROUNDS * BURST);
}

/// The messages between these two, from history.
async fn before(client: &mut RawClient, message_id: u64, after: u64) -> Vec<u64> {
    let command = QueryMessages {
        r#type: ConversationType::Group.into(),
        id: GROUP.into(),
        limit: limits::HISTORY_PAGE_MAX,
        message_id,
        ..QueryMessages::default()
    };
    // Events that come before the answer stay where they are.
    let reply = client.call(700_000, Body::QueryMessages(command)).await;
    match reply.result {
        Some(reply::Result::Messages(page)) if reply.code == 0 => {
            let sequences = page.messages.iter().map(|message| message.sequence);
            sequences.filter(|sequence| *sequence > after).collect()
        }
        _ => panic!("{reply:?}"),
    }
}

async fn a_session_that_is_resumed_asks_for_what_came_after_what_it_knows(transport: Transport) {
    let gateway = Gateway::start(|_| ());
    let mut bob = listening(&gateway, transport, "bob").await;
    let mut alice = RawClient::connect(&gateway, transport).await;
    let granted = alice.login("alice").await;
    listen(&mut alice).await;
    say(&mut bob, 1, to_peer("alice", "one")).await;
    assert_eq!(next(&mut alice).await.sequence, 1);
    // What it sends itself it knows by the answer.
    assert_eq!(say(&mut alice, 2, to_peer("bob", "two")).await.sequence, 2);
    drop(alice);
    say(&mut bob, 3, to_peer("alice", "three")).await;
    let mut alice = RawClient::connect(&gateway, transport).await;
    let login = Login {
        resume_secret: granted.resume_secret.clone(),
        ..alice.login_command("alice")
    };
    let reply = alice.call(1, Body::Login(login)).await;
    match reply.result {
        Some(reply::Result::Login(result)) => assert_eq!(result.session_id, granted.session_id),
        _ => panic!("{reply:?}"),
    }
    let known = SyncConversations {
        known_types: vec![0],
        known_ids: vec!["bob".into()],
        known_sequences: vec![2],
        ..SyncConversations::default()
    };
    let page = sync_page(&mut alice, 2, known).await;
    let sequences: Vec<u64> = page.messages.iter().map(|message| message.sequence).collect();
    assert_eq!(sequences, [3]);
    say(&mut bob, 4, to_peer("alice", "four")).await;
    assert_eq!(next(&mut alice).await.sequence, 4);
}

/// Forty large messages, which are three pages.
async fn three_pages(gateway: &Gateway, transport: Transport) {
    let large = "x".repeat(30_000);
    let mut senders = Vec::new();
    for name in names(4) {
        senders.push(RawClient::online(gateway, transport, &name).await);
    }
    group(
        &mut senders[0],
        GROUP,
        &[names(4)[1..].to_vec(), vec!["alice".into()]].concat(),
    )
    .await;
    for sender in &mut senders {
        assert_eq!(burst(sender, 1, &large).await.len(), 10);
    }
}

async fn a_page_is_followed_only_on_the_connection_that_asked_for_the_first(transport: Transport) {
    let gateway = Gateway::start(|_| ());
    three_pages(&gateway, transport).await;
    let mut alice = RawClient::online(&gateway, transport, "alice").await;
    let page = sync_page(&mut alice, 1, knowing(0)).await;
    assert_ne!(page.next_cursor, "");
    let next = SyncConversations {
        cursor: page.next_cursor,
        ..SyncConversations::default()
    };
    let mut again = RawClient::online(&gateway, transport, "alice").await;
    let reply = again.call(1, Body::SyncConversations(next)).await;
    assert_eq!(refused(&reply), (33003, "cursor"));
    // And not beyond the last.
    let mut page = sync_page(&mut again, 2, knowing(0)).await;
    let mut cursor = String::new();
    while !page.next_cursor.is_empty() {
        cursor = page.next_cursor;
        let command = SyncConversations {
            cursor: cursor.clone(),
            ..SyncConversations::default()
        };
        page = sync_page(&mut again, 3, command).await;
    }
    let last = SyncConversations {
        cursor,
        ..SyncConversations::default()
    };
    let reply = again.call(4, Body::SyncConversations(last)).await;
    assert_eq!(refused(&reply), (33003, "cursor"));
}

async fn a_session_for_which_too_much_came_meanwhile_is_told_to_ask_again(transport: Transport) {
    let gateway = Gateway::start(|_| ());
    three_pages(&gateway, transport).await;
    let mut alice = RawClient::online(&gateway, transport, "alice").await;
    let mut page = sync_page(&mut alice, 1, knowing(0)).await;
    // More than is held back for one.
    let mut bob = listening(&gateway, transport, "bob").await;
    let bytes = gateway.metric("sluice_conversation_held_bytes").await;
    assert!(bytes < 1.0, "nothing is held back yet, but {bytes}");
    for number in 1..=8 {
        say(&mut bob, number, to_peer("alice", &"y".repeat(30_000))).await;
    }
    let mut messages = page.messages.len();
    while !page.next_cursor.is_empty() {
        let command = SyncConversations {
            cursor: page.next_cursor,
            ..SyncConversations::default()
        };
        page = sync_page(&mut alice, 2, command).await;
        messages += page.messages.len();
    }
    assert_eq!(messages, 40);
    assert!(matches!(alice.event().await, Body::ConversationsLost(_)));
    wait_until("it is counted", async || {
        gateway.metric("sluice_conversations_lost_total").await > 0.5
    })
    .await;
    // Nothing comes until it asks again, and then nothing is missing.
    let page = sync_page(&mut alice, 3, knowing(40)).await;
    let sequences: Vec<u64> = page.messages.iter().map(|message| message.sequence).collect();
    assert_eq!(sequences, (1..=8).collect::<Vec<_>>());
    say(&mut bob, 100, to_peer("alice", "nine")).await;
    assert_eq!(next(&mut alice).await.sequence, 9);
}

async fn a_client_that_does_not_read_is_closed_as_slow_and_catches_up(transport: Transport) {
    const CLOSED: &str = "sluice_slow_disconnects_total";
    let gateway = Gateway::start(|_| ());
    let mut senders = Vec::new();
    for name in names(SENDERS) {
        senders.push(RawClient::online(&gateway, transport, &name).await);
    }
    group(
        &mut senders[0],
        GROUP,
        &[names(SENDERS)[1..].to_vec(), vec!["alice".into()]].concat(),
    )
    .await;
    let mut alice = listening(&gateway, transport, "alice").await;
    let large = "x".repeat(30_000);
    let mut taken = 0;
    let mut first_request_id = 1;
    wait_until("the client is closed", async || {
        for sender in &mut senders {
            taken += burst(sender, first_request_id, &large).await.len() as u64;
        }
        first_request_id += 1_000;
        gateway.metric(CLOSED).await > 0.5
    })
    .await;
    // It reads at last: what is there, without a gap, and why there is no more. QUIC throws away what was not sent.
    let mut known = 0;
    while transport != Transport::Quic
        && let Some(frame) = alice.next_frame_or_end().await
    {
        match frame.body {
            Some(Body::ConversationMessage(message)) => {
                known += 1;
                assert_eq!(message.sequence, known);
            }
            Some(Body::Close(close)) => assert_eq!((close.code, close.detail.as_str()), (31011, "slow")),
            other => panic!("{other:?}"),
        }
    }
    assert!(known < taken);
    let mut alice = RawClient::online(&gateway, transport, "alice").await;
    let page = sync_page(&mut alice, 1, knowing(taken - 5)).await;
    let sequences: Vec<u64> = page.messages.iter().map(|message| message.sequence).collect();
    assert_eq!(sequences, (taken - 4..=taken).collect::<Vec<_>>());
}
