//! Nothing is left of clients that misbehaved: descriptors, tasks and gauges are back where they were.
//!
//! The gateway has a process of its own here, whose descriptors are its alone.

use sluice_protocol::frame::Body;
use sluice_protocol::{ALPN, EnterRoom, ErrorCode};
use sluice_tests::crafted::{framed, length_prefix, unknown_command};
use sluice_tests::{GatewayProcess, RawClient, Transport, on_all_transports, quic_connect, tls_connect, wait_until};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UdpSocket};

on_all_transports!(waves_of_misbehaving_clients_leave_nothing_behind);

/// More than one, so that places that were given back are taken again.
const WAVES: usize = 2;

/// Of each kind, in each wave.
const CLIENTS: usize = 5;

/// What a gateway holds for its clients.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Holdings {
    descriptors: usize,
    tasks: f64,
    connections: f64,
    sessions: f64,
    parked: f64,
    users: f64,
    rooms: f64,
    room_members: f64,
    /// Connections that were opened and not closed since the start.
    unclosed: f64,
}

impl Holdings {
    async fn of(gateway: &GatewayProcess) -> Self {
        let opened = gateway.metric("sluice_connections_opened_total").await;
        let closed = gateway.metric("sluice_connections_closed_total").await;
        Self {
            tasks: gateway.metric("sluice_tasks").await,
            connections: gateway.metric("sluice_connections").await,
            sessions: gateway.metric("sluice_sessions_online").await,
            parked: gateway.metric("sluice_sessions_parked").await,
            users: gateway.metric("sluice_users_online").await,
            rooms: gateway.metric("sluice_rooms").await,
            room_members: gateway.metric("sluice_room_members").await,
            descriptors: gateway.descriptors(),
            unclosed: opened - closed,
        }
    }
}

async fn waves_of_misbehaving_clients_leave_nothing_behind(transport: Transport) {
    let settings = [
        "connections.login_timeout=200ms",
        "connections.handshake_timeout=200ms",
        "connections.heartbeat_interval=200ms",
        "connections.closing_timeout=200ms",
        "sessions.resume_window=500ms",
    ];
    let gateway = GatewayProcess::start(&settings).await;
    let untouched = GatewayProcess::start(&settings).await;
    for _ in 0..WAVES {
        wave(&gateway, transport).await;
    }
    let mut shown = None;
    wait_until("the gateway holds no more than one that had no clients", async || {
        let (left, expected) = (Holdings::of(&gateway).await, Holdings::of(&untouched).await);
        if shown.replace((left, expected)) != Some((left, expected)) {
            println!("held {left:?}, expected {expected:?}");
        }
        expected.tasks > 0.0 && left == expected
    })
    .await;
    let opened = gateway.metric("sluice_connections_opened_total").await;
    assert!(opened >= (WAVES * CLIENTS) as f64, "{opened}");
    assert_eq!(gateway.metric("sluice_task_panics_total").await, 0.0);
}

/// One client of each kind after the other, and those that wait for a timeout together.
async fn wave(gateway: &GatewayProcess, transport: Transport) {
    let mut waiting = Vec::new();
    for number in 0..CLIENTS {
        let user = |kind: &str| format!("{kind}{number}");

        // Bytes that end the connection, before and after login.
        for (input, code) in [
            (vec![0], ErrorCode::MALFORMED_FRAME),
            (framed(&[0xff; 20]), ErrorCode::MALFORMED_FRAME),
            (length_prefix(1 << 30), ErrorCode::FRAME_TOO_LONG),
        ] {
            let mut client = RawClient::connect(gateway, transport).await;
            client.send_bytes(&input).await;
            assert_eq!(client.expect_close().await.code, code.number());
            let mut client = RawClient::online(gateway, transport, &user("bad")).await;
            client.send_bytes(&input).await;
            assert_eq!(client.expect_close().await.code, code.number());
        }

        // Gone in the middle of everything: before a byte, within a frame, inside a room, with commands under way.
        drop(RawClient::connect(gateway, transport).await);
        let mut client = RawClient::connect(gateway, transport).await;
        client.send_bytes(&unknown_command(2000)[..1000]).await;
        drop(client);
        let mut client = RawClient::connect(gateway, transport).await;
        let login = client.login_command(&user("hasty"));
        client.send(1, Body::Login(login)).await;
        drop(client);
        let mut client = RawClient::online(gateway, transport, &user("member")).await;
        client.send(1, enter(number)).await;
        client.reply(1).await;
        drop(client);
        let mut client = RawClient::online(gateway, transport, &user("guest")).await;
        client.send(1, enter(number)).await;
        drop(client);

        // These end their side and wait.
        let mut client = RawClient::online(gateway, transport, &user("half")).await;
        client.send(1, enter(number)).await;
        client.finish_sending().await;
        waiting.push(client);

        // These say nothing, or nothing more, and hold on.
        waiting.push(RawClient::connect(gateway, transport).await);
        let mut client = RawClient::online(gateway, transport, &user("silent")).await;
        client.send(1, enter(number)).await;
        waiting.push(client);
    }
    strangers(gateway, transport).await;
    for client in &mut waiting {
        while client.next_frame_or_end().await.is_some() {}
    }
}

fn enter(number: usize) -> Body {
    Body::EnterRoom(EnterRoom {
        room_id: format!("room{number}"),
        ..EnterRoom::default()
    })
}

/// Those who do not even speak the transport.
async fn strangers(gateway: &GatewayProcess, transport: Transport) {
    for _ in 0..CLIENTS {
        let address = gateway.address(transport);
        match transport {
            Transport::Tcp => {
                let mut stream = TcpStream::connect(address).await.expect("TCP takes connections");
                stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("and bytes");
            }
            Transport::Tls => {
                drop(TcpStream::connect(address).await.expect("TCP takes connections"));
                let mut stream = TcpStream::connect(address).await.expect("TCP takes connections");
                stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("and bytes");
                drop(tls_connect(gateway, &[]).await);
                drop(tls_connect(gateway, &[ALPN]).await);
            }
            Transport::Quic => {
                let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
                socket
                    .send_to(&[0xff; 1200], address)
                    .await
                    .expect("UDP takes everything");
                socket.send_to(b"hello", address).await.expect("UDP takes everything");
                assert!(quic_connect(gateway, &[b"h3"]).await.is_err());
                // A handshake, no stream, and no goodbye.
                drop(quic_connect(gateway, &[ALPN]).await);
            }
        }
    }
}
