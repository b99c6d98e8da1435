//! QUIC clients whose address changes, as a telephone's does on its way.

use std::net::{Ipv4Addr, UdpSocket};

use quinn::Endpoint;
use sluice_protocol::ALPN;
use sluice_protocol::frame::Body;
use sluice_tests::{
    Gateway, RawClient, Transport, begin_at_worker, quic_client_config, quic_connect_to, wait_until, within,
};

use crate::quic_workers::expect_endpoints;
use crate::rooms::{enter, enter_room, no_rate_limits, sent, text};

const ROOM: &str = "lobby";

/// How often the address changes, and how many messages are on their way each time.
const MOVES: u32 = 100;
const MESSAGES_OF_A_MOVE: u32 = 10;

/// A client that is logged in at this worker and inside the room; and what its address can be changed with.
async fn inside(gateway: &Gateway, worker: u16, user: &str) -> (RawClient, Endpoint) {
    let mut config = quic_client_config(gateway, &[ALPN]);
    begin_at_worker(&mut config, worker);
    let (endpoint, connection) = quic_connect_to(gateway.address(Transport::Quic), config)
        .await
        .expect("QUIC takes connections");
    let (writer, reader) = connection.open_bi().await.expect("the server allows a stream");
    let mut client = RawClient::of_stream(gateway, Transport::Quic, tokio::io::join(reader, writer));
    client.login(user).await;
    enter(&mut client, 1, enter_room(ROOM)).await;
    (client, endpoint)
}

/// The room's sequence numbers in the order in which they come, until `last`.
async fn sequences_until(client: &mut RawClient, last: u64) -> Vec<u64> {
    let mut sequences = Vec::new();
    while sequences.last() != Some(&last) {
        match client.event().await {
            Body::RoomMessage(message) => sequences.push(message.sequence),
            Body::RoomMemberJoined(_) => {}
            other => panic!("{other:?}; {client:?}"),
        }
    }
    sequences
}

#[tokio::test]
async fn a_client_that_changes_its_address_a_hundred_times_under_load_loses_nothing_and_disturbs_nobody() {
    let gateway = Gateway::start(no_rate_limits);
    expect_endpoints(&gateway, 2).await;
    let (mut moving, moving_endpoint) = inside(&gateway, 0, "moving").await;
    let (mut staying, staying_endpoint) = inside(&gateway, 1, "staying").await;
    let mut sender = RawClient::online(&gateway, Transport::Tcp, "sender").await;
    enter(&mut sender, 1, enter_room(ROOM)).await;

    let mut last = 0;
    for number in 1..=MOVES {
        let first_request = number * 1000;
        for request_id in first_request..first_request + MESSAGES_OF_A_MOVE {
            sender
                .send(request_id, Body::SendMessage(text(ROOM, "on the way")))
                .await;
        }
        let host = u8::try_from(number % 200 + 2).expect("a byte");
        let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, host), 0)).expect("all of 127/8 is ours");
        moving_endpoint.rebind(socket).expect("a socket that works");
        let reply = moving
            .call(number + 1, Body::SendMessage(text(ROOM, "from elsewhere")))
            .await;
        last = last.max(sent(reply).sequence);
        for request_id in first_request..first_request + MESSAGES_OF_A_MOVE {
            last = last.max(sent(sender.reply(request_id).await).sequence);
        }
    }
    let all: Vec<u64> = (1..=last).collect();
    assert_eq!(last, u64::from(MOVES * (MESSAGES_OF_A_MOVE + 1)));
    assert_eq!(sequences_until(&mut moving, last).await, all);
    assert_eq!(sequences_until(&mut staying, last).await, all);

    // Both are the connections that they were from the start.
    wait_until("both are counted", async || {
        gateway
            .metric("sluice_connections_opened_total{transport=\"quic\"}")
            .await
            == 2.0
    })
    .await;
    assert_eq!(
        gateway
            .metric("sluice_connections_closed_total{transport=\"quic\"}")
            .await,
        0.0
    );

    moving_endpoint.close(0_u32.into(), b"");
    staying_endpoint.close(0_u32.into(), b"");
    within("the last packets", moving_endpoint.wait_idle()).await;
    within("the last packets", staying_endpoint.wait_idle()).await;
    wait_until("one of them has moved", async || {
        gateway
            .metric("sluice_connections_closed_total{transport=\"quic\"}")
            .await
            == 2.0
            && gateway.metric("sluice_quic_migrations_total").await == 1.0
    })
    .await;
}
