//! Whoever guesses tokens is not told for ever what is wrong, and nobody else suffers.

use sluice_protocol::frame::Body;
use sluice_protocol::{Login, Reply};
use sluice_tests::{Gateway, RawClient, Transport, on_all_transports, wait_until};

on_all_transports!(a_few_failed_logins_are_told_why_and_further_ones_only_when_to_come_back);

const TOLD: usize = 3;

async fn fail(gateway: &Gateway, transport: Transport, number: usize) -> (Reply, RawClient) {
    let mut client = RawClient::connect(gateway, transport).await;
    let login = Login {
        token: format!("{}x", gateway.token("alice")),
        user_id: format!("alice{number}"),
        ..client.login_command("alice")
    };
    let reply = client.call(1, Body::Login(login)).await;
    (reply, client)
}

async fn a_few_failed_logins_are_told_why_and_further_ones_only_when_to_come_back(transport: Transport) {
    let gateway = Gateway::start(|config| {
        config.workers = 1;
        config.connections.failed_logins_per_minute = TOLD;
    });
    for number in 0..TOLD {
        let (reply, mut client) = fail(&gateway, transport, number).await;
        assert_eq!((reply.code, &*reply.detail), (31004, "bad_signature"), "{reply:?}");
        assert_eq!(client.expect_close().await.code, 31004);
    }
    for other in Transport::ALL {
        let (reply, mut client) = fail(&gateway, other, 0).await;
        assert_eq!((reply.code, &*reply.detail), (30015, ""), "{reply:?}");
        assert!((1..=60_000).contains(&reply.retry_after_ms), "{reply:?}");
        let close = client.expect_close().await;
        assert_eq!(close.code, 30015);
        assert!(close.retry_after_ms > 0, "{close:?}");
        client.expect_end().await;
    }
    // From the same address.
    RawClient::online(&gateway, transport, "alice").await;
    wait_until("it is counted", async || {
        gateway.metric("sluice_logins_too_often_total").await == 3.0
            && gateway
                .metric("sluice_token_rejects_total{reason=\"bad_signature\"}")
                .await
                == 6.0
            && gateway.metric("sluice_request_errors_total{code=\"30015\"}").await == 3.0
    })
    .await;
}
