//! QUIC on all workers: who begins where, what happens without steering, and what a flood of handshakes costs others.

use std::collections::HashSet;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use quinn::Endpoint;
use sluice_protocol::ALPN;
use sluice_protocol::frame::Body;
use sluice_tests::{
    Direction, Gateway, QuicRelay, RawClient, Transport, begin_at_worker, quic_client_config, quic_connect_to,
    wait_until, within,
};

use crate::rooms::{enter, enter_room, next_message, send, text};

const WORKERS: u16 = 2;

/// That all of so many begin at the same worker happens once in two billion times.
const CLIENTS: usize = 32;

/// More than one endpoint lets be under way before it has new clients prove their address.
const HANDSHAKES: usize = 150;

/// Workers publish their figures once a second.
pub(crate) async fn expect_endpoints(gateway: &Gateway, count: u16) {
    wait_until("all endpoints are counted", async || {
        gateway.metric("sluice_quic_endpoints").await == f64::from(count)
    })
    .await;
}

/// The worker that packets to this id go to.
fn worker_of(id: &[u8]) -> u16 {
    u16::from_be_bytes([id[0], id[1]]) % WORKERS
}

/// The ids that the gateway gives itself towards a new client.
async fn server_ids(gateway: &Gateway, choose: impl FnOnce(&mut quinn::ClientConfig)) -> Vec<Vec<u8>> {
    let relay = QuicRelay::start(gateway.address(Transport::Quic), Direction::Both).await;
    let mut config = quic_client_config(gateway, &[ALPN]);
    choose(&mut config);
    let (_endpoint, _connection) = quic_connect_to(relay.address(), config).await.expect("a connection");
    relay.server_ids()
}

#[tokio::test]
async fn clients_begin_on_all_workers_and_each_id_leads_to_where_its_connection_is() {
    let gateway = Gateway::start(|config| config.workers = WORKERS.into());
    expect_endpoints(&gateway, WORKERS).await;
    for number in 0..u16::try_from(CLIENTS).expect("a few") {
        let worker = number % WORKERS;
        let ids = server_ids(&gateway, |config| begin_at_worker(config, worker)).await;
        assert!(!ids.is_empty());
        assert!(ids.iter().all(|id| worker_of(id) == worker), "{worker}: {ids:?}");
    }
    let mut workers = HashSet::new();
    for _ in 0..CLIENTS {
        let ids = server_ids(&gateway, |_| ()).await;
        workers.extend(ids.iter().map(|id| worker_of(id)));
    }
    assert_eq!(workers.len(), usize::from(WORKERS));
}

#[tokio::test]
async fn without_steering_one_worker_serves_all_of_quic() {
    let gateway = Gateway::start(|config| config.quic.steering = false);
    expect_endpoints(&gateway, 1).await;
    let mut clients = Vec::new();
    for number in 0..4 {
        let mut client = RawClient::online(&gateway, Transport::Quic, &format!("user{number}")).await;
        enter(&mut client, 1, enter_room("lobby")).await;
        clients.push(client);
    }
    let mut last = clients.pop().expect("four of them");
    send(&mut last, 2, text("lobby", "to all of you")).await;
    for client in &mut clients {
        loop {
            if let Body::RoomMessage(message) = client.event().await {
                assert_eq!(message.sequence, 1);
                break;
            }
        }
    }
    assert_eq!(next_message(&mut last).await.sequence, 1);
}

#[tokio::test]
async fn without_steering_a_client_may_change_its_address_as_well() {
    let gateway = Gateway::start(|config| config.quic.steering = false);
    let config = quic_client_config(&gateway, &[ALPN]);
    let (endpoint, connection) = quic_connect_to(gateway.address(Transport::Quic), config)
        .await
        .expect("QUIC takes connections");
    let (writer, reader) = connection.open_bi().await.expect("the server allows a stream");
    let mut client = RawClient::of_stream(&gateway, Transport::Quic, tokio::io::join(reader, writer));
    client.login("alice").await;
    let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 9), 0)).expect("all of 127/8 is ours");
    endpoint.rebind(socket).expect("a socket that works");
    enter(&mut client, 1, enter_room("lobby")).await;
}

#[tokio::test]
async fn a_flood_of_handshakes_makes_new_clients_prove_their_address_and_lets_them_in() {
    let gateway = Gateway::start(|config| config.connections.handshake_timeout = Duration::from_secs(60));
    // What the gateway answers is lost: these handshakes stay under way.
    let relay = QuicRelay::start(gateway.address(Transport::Quic), Direction::ToGateway).await;
    let flood = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).expect("a port for a client");
    let mut config = quic_client_config(&gateway, &[ALPN]);
    begin_at_worker(&mut config, 0);
    let connecting: Vec<_> = (0..HANDSHAKES)
        .map(|_| flood.connect_with(config.clone(), relay.address(), "localhost"))
        .collect();
    assert!(connecting.iter().all(Result::is_ok));
    wait_until("clients are sent back", async || {
        gateway.metric("sluice_quic_retries_total").await > 0.0
    })
    .await;

    let before = gateway.metric("sluice_quic_retries_total").await;
    let connected = quic_connect_to(gateway.address(Transport::Quic), config).await;
    assert!(connected.is_ok(), "an honest client gets in");
    wait_until("it was sent back first", async || {
        gateway.metric("sluice_quic_retries_total").await > before
    })
    .await;
    let mut other = quic_client_config(&gateway, &[ALPN]);
    begin_at_worker(&mut other, 1);
    let connected = quic_connect_to(gateway.address(Transport::Quic), other).await;
    assert!(connected.is_ok(), "the other worker is not under pressure");
    drop(connecting);
    flood.close(0_u32.into(), b"");
    within("the flood's last packets", flood.wait_idle()).await;
}

#[tokio::test]
async fn a_quic_client_for_whom_there_is_no_place_is_refused_and_counted() {
    let gateway = Gateway::start(|config| config.connections.max = 1);
    let _first = RawClient::online(&gateway, Transport::Quic, "alice").await;
    let config = quic_client_config(&gateway, &[ALPN]);
    let refused = quic_connect_to(gateway.address(Transport::Quic), config).await;
    let error = refused.expect_err("there is no place");
    assert!(matches!(error, quinn::ConnectionError::ConnectionClosed(_)), "{error}");
    wait_until("it is counted", async || {
        gateway.metric("sluice_quic_refused_total").await == 1.0
    })
    .await;
}
