use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use super::super::steering::place_of;
use super::*;

/// Whether nobody knocks at an endpoint. Whoever did before is there already.
async fn is_left_alone(endpoint: &Endpoint) -> bool {
    let mut next = pin!(endpoint.accept());
    poll_fn(|cx| Poll::Ready(next.as_mut().poll(cx).is_pending())).await
}

#[tokio::test]
async fn a_client_comes_to_the_endpoint_that_its_own_first_id_names() {
    let all = Endpoints::new(3);
    let client = client();
    for first in [[0, 0], [0, 1], [0, 2], [0xff, 0xff], [0x80, 0x01]] {
        let place = usize::from(place_of(first, 3));
        let connect = all.connect(&client, first, TransportConfig::default());
        let (_client_side, _server_side) = tokio::join!(connect, all.accept(place));
        for (other, endpoint) in all.endpoints.iter().enumerate().filter(|(other, _)| *other != place) {
            assert!(is_left_alone(endpoint).await, "{first:?} knocked at {other} as well");
        }
    }
}

#[tokio::test]
async fn a_client_that_has_to_prove_its_address_comes_back_to_the_same_endpoint() {
    let all = Endpoints::new(3);
    let client = client();
    for first in [[0, 0], [0, 1], [0, 2]] {
        let place = usize::from(place_of(first, 3));
        let server = async {
            let incoming = within(all.endpoints[place].accept()).await.expect("it is open");
            assert!(!incoming.remote_address_validated());
            incoming.retry().expect("the first attempt can be sent back");
            let incoming = within(all.endpoints[place].accept()).await.expect("it is open");
            assert!(incoming.remote_address_validated());
            assert!(!incoming.may_retry());
            handshake(incoming, PATIENCE).await.expect("a handshake")
        };
        let connect = all.connect(&client, first, TransportConfig::default());
        let (_client_side, _server_side) = tokio::join!(connect, server);
    }
}

#[tokio::test]
async fn a_client_whose_address_changes_stays_where_it_is() {
    let all = Endpoints::new(4);
    let client = client();
    let place = usize::from(place_of([0, 2], 4));
    let connect = all.connect(&client, [0, 2], TransportConfig::default());
    let (client_side, server_side) = tokio::join!(connect, all.accept(place));
    let (mut send, _) = client_side.open_bi().await.expect("one stream is allowed");
    send.write_all(b"0").await.expect("connected");
    let (_, mut receive) = within(server_side.accept_bi()).await.expect("connected");
    let mut byte = [0];
    within(receive.read_exact(&mut byte)).await.expect("connected");
    for host in 1..=20 {
        let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, 1, host), 0)).expect("all of 127/8 is ours");
        client.rebind(socket).expect("a socket that works");
        send.write_all(&[host]).await.expect("connected");
        within(receive.read_exact(&mut byte)).await.expect("connected");
        assert_eq!(byte, [host]);
    }
    for endpoint in &all.endpoints {
        assert!(is_left_alone(endpoint).await);
    }
    assert_eq!(client_side.close_reason(), None);
}
