//! The end of a connection, and who still holds what until then.

use std::rc::Rc;

use quinn::ConnectionError;
use tokio::runtime;
use tokio::task::{LocalSet, spawn_blocking, yield_now};

use super::*;
use crate::refusal::Refusal;
use crate::transport::Transport;
use crate::writer::Wire as _;

#[tokio::test]
async fn a_connection_keeps_its_place_until_the_client_has_all_of_it() {
    LocalSet::new().run_until(end_of_a_connection()).await;
}

async fn end_of_a_connection() {
    let endpoints = Arc::new(Endpoints::new(1));
    let of_client = endpoints.clone();
    // A runtime of its own: while nobody waits for something on it, the client acknowledges nothing.
    let connecting = spawn_blocking(move || {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let connected = runtime.block_on(async {
            let client = client();
            let connection = of_client.connect(&client, [0, 0], TransportConfig::default()).await;
            let (mut send, mut receive) = connection.open_bi().await.expect("a stream");
            send.write_all(b"hello").await.expect("it lives");
            within(receive.read_exact(&mut [0; 7])).await.expect("the answer");
            (client, connection, send, receive)
        });
        (runtime, connected)
    });
    let connection = endpoints.accept(0).await;
    let quic = control_stream(connection, PATIENCE).await.expect("a stream");
    let transport = Transport::Quic(Box::new(quic));
    assert_eq!(transport.try_write(b"welcome").expect("it lives"), 7);
    let (runtime, (client, connection, send, mut receive)) = connecting.await.expect("it connects");

    assert_eq!(transport.try_write(b"goodbye").expect("it lives"), 7);
    let place = Rc::new(());
    transport.finish(&Refusal::new(ErrorCode::NO_ERROR), PATIENCE, place.clone());
    drop(transport);
    for _ in 0..10 {
        yield_now().await;
    }
    assert_eq!(Rc::strong_count(&place), 2, "the client has not got it");

    let reading = spawn_blocking(move || {
        let end = runtime.block_on(async {
            let last = within(receive.read_to_end(100)).await.expect("the last words");
            assert_eq!(last, b"goodbye");
            within(connection.closed()).await
        });
        drop((client, connection, send));
        end
    });
    let end = reading.await.expect("it reads");
    assert!(matches!(end, ConnectionError::ApplicationClosed(_)), "{end}");
    assert_eq!(Rc::strong_count(&place), 1);
}
