//! Members over QUIC: one thread, a few endpoints, a task for each connection.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Endpoint};
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, LocalSet};

use super::share::{Member, Share};
use super::{CONNECTING_MAX, Hello, user_id};
use crate::bench_error::{BenchError, Doing};
use crate::child::report;
use crate::credentials;
use crate::messages::ReceiveTask;
use crate::quic_transport;

/// A UDP socket's buffer is shared by all its connections; with a few sockets none of them overflows.
const ENDPOINTS: usize = 4;

/// Receives until the process ends.
pub(super) fn run(task: &ReceiveTask) -> Result<(), BenchError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .doing("starting a runtime")?;
    LocalSet::new().block_on(&runtime, receive_all(task))
}

async fn receive_all(task: &ReceiveTask) -> Result<(), BenchError> {
    let tls = QuicClientConfig::try_from(credentials::client_config(&task.certificate)?)
        .map_err(|error| BenchError::Unsuitable(error.to_string()))?;
    let mut config = ClientConfig::new(Arc::new(tls));
    config.transport_config(quic_transport::client_transport());
    let endpoints: Vec<Endpoint> = (0..ENDPOINTS)
        .map(|_| quic_transport::endpoint(None))
        .collect::<Result<_, BenchError>>()?;
    let hello = Hello::new(&task.talk.room, &task.entry);
    let share = Rc::new(RefCell::new(Share::new(&task.talk, task.members, report)));
    let connecting = Rc::new(Semaphore::new(CONNECTING_MAX));
    let mut members = JoinSet::new();
    for number in 0..task.members {
        let endpoint = endpoints[number % ENDPOINTS].clone();
        let (config, share, connecting) = (config.clone(), Rc::clone(&share), Rc::clone(&connecting));
        let (hello, server) = (hello.of(&user_id(task.first_member + number)), task.server);
        members.spawn_local(async move {
            receive(endpoint, config, server, hello, &share, &connecting)
                .await
                .map_err(|what| BenchError::peer(&format!("the server of member {number}"), what))
        });
    }
    // A member stays as long as its connection; the first that ends ends the process.
    match members.join_next().await {
        Some(Ok(ended)) => ended,
        Some(Err(panicked)) => Err(BenchError::peer("a member", panicked)),
        None => Ok(()),
    }
}

async fn receive(
    endpoint: Endpoint,
    config: ClientConfig,
    server: std::net::SocketAddr,
    hello: Vec<u8>,
    share: &RefCell<Share>,
    connecting: &Semaphore,
) -> Result<(), String> {
    let mut permit = Some(connecting.acquire().await.expect("nobody closes it"));
    let connection = endpoint
        .connect_with(config, server, credentials::SERVER_NAME)
        .map_err(|error| error.to_string())?
        .await
        .map_err(|error| error.to_string())?;
    let (mut sending, mut receiving) = connection.open_bi().await.map_err(|error| error.to_string())?;
    sending.write_all(&hello).await.map_err(|error| error.to_string())?;
    let mut member = Member::default();
    while let Some(chunk) = receiving
        .read_chunk(usize::MAX, true)
        .await
        .map_err(|error| error.to_string())?
    {
        share.borrow_mut().take(&mut member, &chunk.bytes)?;
        if member.is_inside() {
            permit.take();
        }
    }
    Err("ended the stream".into())
}
