//! Opening a connection over real sockets.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use quinn::crypto::rustls::QuicServerConfig;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::PrivateKeyDer;
use sluice_protocol::frame::Body;
use sluice_protocol::{ALPN, Close, ErrorCode, Frame, LoginResult, reply};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::peer::{self, Peer};
use crate::event::EVENT_QUEUE_LENGTH;
use crate::{Client, ClientError, Event, Events, Options, Transport, Trust};

/// A certificate for `localhost`, as text for the client and as a configuration for the server.
struct Certificate {
    pem: Vec<u8>,
    server: ServerConfig,
}

fn certificate(alpn: &[u8]) -> Certificate {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).expect("a key");
    let mut server = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(rustls::DEFAULT_VERSIONS)
        .expect("the provider has the versions")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .expect("the key fits the certificate");
    server.alpn_protocols = vec![alpn.to_vec()];
    Certificate {
        pem: cert.pem().into_bytes(),
        server,
    }
}

fn options(transport: Transport, address: SocketAddr, pem: Vec<u8>) -> Options {
    Options::new(address.to_string(), "dev", "alice", "a token")
        .transport(transport)
        .server_name("localhost")
        .trust(Trust::CertificatePem(pem))
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

async fn accept(listener: &TcpListener) -> TcpStream {
    listener.accept().await.expect("a connection").0
}

fn quic_server(tls: ServerConfig) -> (quinn::Endpoint, SocketAddr) {
    let crypto = QuicServerConfig::try_from(tls).expect("TLS 1.3 is on");
    let config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    let endpoint = quinn::Endpoint::server(config, (Ipv4Addr::LOCALHOST, 0).into()).expect("a free port");
    let address = endpoint.local_addr().expect("an address");
    (endpoint, address)
}

fn code_and_detail<T: std::fmt::Debug>(outcome: Result<T, ClientError>) -> (ErrorCode, String) {
    let error = outcome.expect_err("this cannot be opened");
    (error.code, error.detail)
}

fn not_opened(detail: &str) -> (ErrorCode, String) {
    (ErrorCode::SOCKET_CREATE_FAILED, detail.to_owned())
}

#[tokio::test]
async fn a_client_logs_in_over_tcp() {
    let (listener, address) = listener().await;
    let server = async { Peer::new(accept(&listener).await).accept_login().await };
    let (connected, ()) = tokio::join!(Client::connect(options(Transport::Tcp, address, Vec::new())), server);
    assert_eq!(connected.expect("logged in").0.session().user_id, "alice");
}

#[tokio::test]
async fn a_client_logs_in_over_tls() {
    let (listener, address) = listener().await;
    let certificate = certificate(ALPN);
    let acceptor = TlsAcceptor::from(Arc::new(certificate.server));
    let server = async {
        let stream = acceptor.accept(accept(&listener).await).await.expect("a handshake");
        Peer::new(stream).accept_login().await;
    };
    let (connected, ()) = tokio::join!(
        Client::connect(options(Transport::Tls, address, certificate.pem)),
        server
    );
    assert_eq!(connected.expect("logged in").0.session().user_id, "alice");
}

#[tokio::test]
async fn a_client_logs_in_over_quic_and_takes_the_reason_of_a_close_without_a_frame() {
    let certificate = certificate(ALPN);
    let (endpoint, address) = quic_server(certificate.server);
    let server = async {
        let connection = endpoint
            .accept()
            .await
            .expect("a connection")
            .await
            .expect("a handshake");
        let (writer, reader) = connection.accept_bi().await.expect("the control stream");
        let mut peer = Peer::new(tokio::io::join(reader, writer));
        peer.accept_login().await;
        // Dropping the stream would end it in order, ahead of the connection.
        (connection, peer)
    };
    let (connected, (connection, _peer)) = tokio::join!(
        Client::connect(options(Transport::Quic, address, certificate.pem)),
        server
    );
    let (client, mut events) = connected.expect("logged in");
    assert_eq!(client.session().user_id, "alice");

    connection.close(31_011_u32.into(), b"restart");
    let Some(Event::Closed(closed)) = events.next().await else {
        panic!("the connection has ended")
    };
    assert_eq!(
        (closed.code, closed.message.as_str()),
        (ErrorCode::DISCONNECTED_BY_SERVER, "restart")
    );
}

/// Both ends of a QUIC connection that is logged in.
async fn over_quic(datagrams: bool) -> (Client, Events, quinn::Connection, QuicPeer, quinn::Endpoint) {
    let certificate = certificate(ALPN);
    let (endpoint, address) = quic_server(certificate.server);
    let server = async {
        let incoming = endpoint.accept().await.expect("a connection");
        let connection = incoming.await.expect("a handshake");
        let (writer, reader) = connection.accept_bi().await.expect("the control stream");
        let mut peer = Peer::new(tokio::io::join(reader, writer));
        let (request_id, login) = peer.next_login().await;
        assert_eq!(login.datagrams, datagrams);
        let result = LoginResult {
            datagrams: login.datagrams,
            ..peer::login_result()
        };
        peer.reply(request_id, peer::success(reply::Result::Login(result)))
            .await;
        (connection, peer)
    };
    let options = options(Transport::Quic, address, certificate.pem).datagrams(datagrams);
    let (connected, (connection, peer)) = tokio::join!(Client::connect(options), server);
    let (client, events) = connected.expect("logged in");
    (client, events, connection, peer, endpoint)
}

type QuicPeer = Peer<tokio::io::Join<quinn::RecvStream, quinn::SendStream>>;

fn datagram(sequence: u64, content: &str) -> bytes::Bytes {
    sluice_codec::encode(&Frame {
        request_id: 0,
        body: Some(peer::room_message(sequence, content)),
    })
}

async fn next_sequence(events: &mut Events) -> u64 {
    match events.next().await {
        Some(Event::RoomMessage(message)) => message.sequence,
        other => panic!("a message was expected, not {other:?}"),
    }
}

#[tokio::test]
async fn room_messages_in_datagrams_are_events_and_anything_else_in_them_is_ignored() {
    let (client, mut events, connection, mut server, _endpoint) = over_quic(true).await;
    assert!(client.session().datagrams);
    connection
        .send_datagram(datagram(1, "one"))
        .expect("the client takes them");
    assert_eq!(next_sequence(&mut events).await, 1);

    for nonsense in [&b""[..], b"x", b"\x05hello", &[0xff; 40]] {
        connection
            .send_datagram(nonsense.to_vec().into())
            .expect("the client takes them");
    }
    let closing = sluice_codec::encode(&Frame {
        request_id: 0,
        body: Some(Body::Close(Close::default())),
    });
    connection.send_datagram(closing).expect("the client takes them");
    connection
        .send_datagram(datagram(2, "two"))
        .expect("the client takes them");
    assert_eq!(next_sequence(&mut events).await, 2);
    server.event(peer::room_message(3, "on the stream")).await;
    assert_eq!(next_sequence(&mut events).await, 3);
}

#[tokio::test]
async fn a_client_that_did_not_ask_for_datagrams_cannot_be_sent_any() {
    let (client, mut events, connection, mut server, _endpoint) = over_quic(false).await;
    assert!(!client.session().datagrams);
    assert_eq!(connection.max_datagram_size(), None);
    server.event(peer::room_message(1, "on the stream")).await;
    assert_eq!(next_sequence(&mut events).await, 1);
}

/// Of a kilobyte each: about twice what a client keeps of them.
const LARGE_DATAGRAMS: u64 = 120;

#[tokio::test]
async fn datagrams_that_a_busy_app_has_no_room_for_cost_nothing_of_the_stream_and_the_newest_stay() {
    let (_client, mut events, connection, mut server, _endpoint) = over_quic(true).await;
    // Fills the app's queue, so that the client stops reading both.
    let on_stream = EVENT_QUEUE_LENGTH as u64 + 1;
    for sequence in 1..=on_stream {
        server.event(peer::room_message(sequence, "on the stream")).await;
    }
    let (large, newest) = (1_000_000, 2_000_000);
    let content = "x".repeat(1000);
    for _ in 0..LARGE_DATAGRAMS {
        connection
            .send_datagram_wait(datagram(large, &content))
            .await
            .expect("the client lives");
    }
    connection
        .send_datagram_wait(datagram(newest, ""))
        .await
        .expect("the client lives");
    while connection.stats().frame_tx.datagram <= LARGE_DATAGRAMS {
        tokio::task::yield_now().await;
    }
    let (mut expected, mut has_newest) = (1, false);
    while expected <= on_stream || !has_newest {
        match next_sequence(&mut events).await {
            sequence if sequence == large => assert!(!has_newest, "datagrams came in order here"),
            sequence if sequence == newest => has_newest = true,
            sequence => {
                assert_eq!(sequence, expected);
                expected += 1;
            }
        }
    }
}

#[tokio::test]
async fn a_port_nobody_listens_on_is_refused() {
    let (listener, address) = listener().await;
    drop(listener);
    for transport in [Transport::Tcp, Transport::Tls] {
        let outcome = Client::connect(options(transport, address, certificate(ALPN).pem)).await;
        assert_eq!(code_and_detail(outcome), not_opened("refused"));
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_tls() {
    let stranger = certificate(ALPN).pem;
    let (listener, address) = listener().await;
    let acceptor = TlsAcceptor::from(Arc::new(certificate(ALPN).server));
    let server = async { drop(acceptor.accept(accept(&listener).await).await) };
    let (outcome, ()) = tokio::join!(
        Client::connect(options(Transport::Tls, address, stranger.clone())),
        server
    );
    assert_eq!(code_and_detail(outcome), not_opened("tls"));

    let (endpoint, address) = quic_server(certificate(ALPN).server);
    let server = async { drop(endpoint.accept().await.expect("a connection").await) };
    let (outcome, ()) = tokio::join!(Client::connect(options(Transport::Quic, address, stranger)), server);
    assert_eq!(code_and_detail(outcome), not_opened("tls"));
}

#[tokio::test]
async fn a_server_of_another_protocol_is_alpn() {
    let (listener, address) = listener().await;
    let other = certificate(b"h2");
    let acceptor = TlsAcceptor::from(Arc::new(other.server));
    let server = async { drop(acceptor.accept(accept(&listener).await).await) };
    let (outcome, ()) = tokio::join!(Client::connect(options(Transport::Tls, address, other.pem)), server);
    assert_eq!(code_and_detail(outcome), not_opened("alpn"));

    let other = certificate(b"h3");
    let (endpoint, address) = quic_server(other.server);
    let server = async { drop(endpoint.accept().await.expect("a connection").await) };
    let (outcome, ()) = tokio::join!(Client::connect(options(Transport::Quic, address, other.pem)), server);
    assert_eq!(code_and_detail(outcome), not_opened("alpn"));
}

#[tokio::test]
async fn options_that_cannot_work_are_33003() {
    let address: SocketAddr = (Ipv4Addr::LOCALHOST, 1).into();
    let invalid = |parameter: &str| (ErrorCode::INVALID_PARAMETER, parameter.to_owned());
    let no_port = Options::new("localhost", "dev", "alice", "a token");
    assert_eq!(code_and_detail(Client::connect(no_port).await), invalid("address"));
    let no_trust = Options::new(address.to_string(), "dev", "alice", "a token").transport(Transport::Tls);
    assert_eq!(code_and_detail(Client::connect(no_trust).await), invalid("trust"));
    for pem in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let outcome = Client::connect(options(Transport::Quic, address, pem.into())).await;
        assert_eq!(code_and_detail(outcome), invalid("trust"));
    }
    let named = options(Transport::Tls, address, certificate(ALPN).pem).server_name("not a name");
    assert_eq!(code_and_detail(Client::connect(named).await), invalid("server_name"));
}
