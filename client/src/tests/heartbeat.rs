//! The heartbeat on a connection, with a paused clock.

use sluice_protocol::frame::Body;
use sluice_protocol::{ErrorCode, Pong, reply};
use tokio::time::{Duration, Instant};

use super::peer;
use crate::Event;

#[tokio::test(start_paused = true)]
async fn an_idle_client_pings_at_the_announced_interval() {
    let start = Instant::now();
    let (_client, _events, mut server) = peer::connected().await;
    for count in 1..=10 {
        let (request_id, command) = server.next_command().await;
        assert!(matches!(command, Body::Ping(_)));
        let elapsed = start.elapsed();
        let due = Duration::from_millis(u64::from(peer::HEARTBEAT_INTERVAL_MS) * count);
        // The clock of the runtime counts whole milliseconds and rounds up.
        assert!(
            elapsed >= due && elapsed < due + Duration::from_secs(1),
            "ping {count} came after {elapsed:?}"
        );
        server
            .reply(
                request_id,
                peer::success(reply::Result::Pong(Pong { server_time_ms: 1 })),
            )
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_30013_for_the_app_and_for_calls_in_flight() {
    let (client, mut events, _server) = peer::connected().await;
    // Sent just before the end, so that it is still in flight then.
    tokio::time::sleep(Duration::from_secs(70)).await;
    let in_flight = client.ping();
    let Some(Event::Closed(closed)) = events.next().await else {
        panic!("the connection has ended")
    };
    assert_eq!(closed.code, ErrorCode::PING_TIMEOUT);
    assert_eq!(in_flight.await.expect_err("ended").code, ErrorCode::PING_TIMEOUT);
}
