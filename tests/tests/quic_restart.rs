//! A gateway that was killed and started again, as its QUIC clients see it.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use quinn::{ConnectionError, TransportConfig};
use sluice_protocol::ALPN;
use sluice_tests::{GatewayProcess, Transport, quic_client_config, quic_connect_to, within};

/// How often a client sends that does not know yet: its packets are lost while there is no gateway.
const SENDS_EACH: Duration = Duration::from_millis(20);

#[tokio::test]
async fn clients_of_a_gateway_that_was_killed_learn_from_the_next_one_that_they_must_connect_again() {
    let gateway = GatewayProcess::start(&[]).await;
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut config = quic_client_config(&gateway, &[ALPN]);
        let mut transport = TransportConfig::default();
        // No timeout of its own would end the connection before the test does.
        transport.max_idle_timeout(None);
        config.transport_config(Arc::new(transport));
        let (endpoint, connection) = quic_connect_to(gateway.address(Transport::Quic), config)
            .await
            .expect("QUIC takes connections");
        let (stream, _) = connection.open_bi().await.expect("the server allows a stream");
        clients.push((endpoint, connection, stream));
    }
    let gateway = gateway.killed_and_started_again().await;
    for (_endpoint, connection, stream) in &mut clients {
        let sending = async {
            let mut sends = tokio::time::interval(SENDS_EACH);
            loop {
                sends.tick().await;
                if stream.write_all(&[0]).await.is_err() {
                    return connection.closed().await;
                }
            }
        };
        let end = within("word from the new gateway", sending).await;
        assert_eq!(end, ConnectionError::Reset);
    }
    let (_endpoint, connection) =
        quic_connect_to(gateway.address(Transport::Quic), quic_client_config(&gateway, &[ALPN]))
            .await
            .expect("the new gateway takes connections");
    assert_eq!(connection.close_reason(), None);
}

#[tokio::test]
async fn the_key_of_resets_is_in_the_data_folder_for_the_owner_alone_and_is_made_once() {
    let gateway = GatewayProcess::start(&[]).await;
    let file = gateway.data().join("quic-reset.key");
    let made = std::fs::read(&file).expect("the first start makes it");
    let mode = std::fs::metadata(&file).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let gateway = gateway.killed_and_started_again().await;
    assert_eq!(
        std::fs::read(gateway.data().join("quic-reset.key")).expect("it stays"),
        made
    );
}
