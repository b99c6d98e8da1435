//! Connections of the server API: HTTP/1.1, in the clear or over TLS, few and not for long.
//!
//! hyper is driven directly, where axum would do it for us: it cannot be told how long the head of a request may take, and a client
//! that sends its head a byte a minute would hold a place for hours.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use crate::api::serve::serve;
use crate::api::visitor::{Strangers, Visitor};
use crate::api::{Api, CALLS_MAX};

/// Connections at once; who comes then waits to be let in. An app's server has a few for all its calls, and there are not that many
/// apps. Each may cost [`crate::api::serve::BODY_BYTES_MAX`] and a head.
pub(super) const CONNECTIONS_MAX: usize = 256;

/// How long the head of a request may take, from the end of the one before: also how long a connection may idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client may leave an answer unread that the system's buffers have no room for. Without it, who asks and asks and never
/// reads would keep its place for ever.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Largest head of a request.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// Headers of a request.
const HEADERS_MAX: usize = 64;

/// How long clients may take for what they have begun to say when the gateway stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// How long calls may take then that are under way: longer than any order to a room.
const CALLS_STOP_TIMEOUT: Duration = Duration::from_secs(6);

/// How long to wait where the system has no descriptor or memory for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How often counters go to the shared series.
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);

/// Serves until `stopping`, and then until those are answered that have asked.
pub(super) async fn run(
    api: Arc<Api>,
    listener: std::net::TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    mut stopping: watch::Receiver<bool>,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let strangers = Arc::<Strangers>::default();
    let flushing = tokio::spawn(flush(api.clone()));
    let until = stopping.clone();
    tokio::select! {
        () = accept(&api, &listener, tls.map(TlsAcceptor::from), &places, &strangers, &until) => {}
        // An error means that the server is gone, which is as good a reason to stop.
        _ = stopping.wait_for(|stop| *stop) => {}
    }
    drop(listener);
    if tokio::time::timeout(STOP_TIMEOUT, all_of(&places, CONNECTIONS_MAX))
        .await
        .is_err()
    {
        tracing::warn!("connections of the server API were cut off by the end of the gateway");
    }
    // Those whose clients hung up have no connection; what they change must be done and written down all the same.
    if tokio::time::timeout(CALLS_STOP_TIMEOUT, all_of(&api.calls, CALLS_MAX))
        .await
        .is_err()
    {
        let calls = CALLS_MAX - api.calls.available_permits();
        tracing::warn!(calls, "calls of the server API were cut off by the end of the gateway");
    }
    flushing.abort();
    api.figures.flush(api.audit.take_lost());
    Ok(())
}

/// Waits until nobody has one of these places.
async fn all_of(places: &Semaphore, max: usize) {
    let all = u32::try_from(max).unwrap_or(u32::MAX);
    let _ = places.acquire_many(all).await;
}

async fn flush(api: Arc<Api>) {
    loop {
        tokio::time::sleep(FLUSH_INTERVAL).await;
        api.figures.flush(api.audit.take_lost());
    }
}

/// Takes connections for ever.
async fn accept(
    api: &Arc<Api>,
    listener: &TcpListener,
    tls: Option<TlsAcceptor>,
    places: &Arc<Semaphore>,
    strangers: &Arc<Strangers>,
    stopping: &watch::Receiver<bool>,
) {
    loop {
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(visitor) = strangers.let_in(peer.ip().to_canonical()) else {
            tracing::debug!(%peer, "too many connections from there that have signed nothing");
            continue;
        };
        // An answer is one write: it should leave at once. A connection that is gone already refuses both.
        let _ = stream.set_nodelay(true);
        let _ = SockRef::from(&stream).set_tcp_user_timeout(Some(WRITE_TIMEOUT));
        let (api, tls, stopping) = (api.clone(), tls.clone(), stopping.clone());
        tokio::spawn(async move {
            let _place = place;
            let _counted = Counted::one_more(&api);
            let patience = api.operator.shared().config.connections.handshake_timeout;
            match tls {
                None => converse(api.clone(), stream, visitor, stopping).await,
                Some(tls) => match tokio::time::timeout(patience, tls.accept(stream)).await {
                    Ok(Ok(stream)) => converse(api.clone(), stream, visitor, stopping).await,
                    Ok(Err(error)) => tracing::debug!(%error, %peer, "TLS handshake"),
                    Err(_) => tracing::debug!(%peer, "TLS handshake took too long"),
                },
            }
        });
    }
}

/// A connection among those that are counted.
struct Counted(Arc<Api>);

impl Counted {
    fn one_more(api: &Arc<Api>) -> Self {
        api.figures.connections(1);
        Self(api.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.figures.connections(-1);
    }
}

/// Serves the requests of one connection.
async fn converse(
    api: Arc<Api>,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    visitor: Visitor,
    mut stopping: watch::Receiver<bool>,
) {
    let visitor = &visitor;
    let service = service_fn(|request| {
        let api = api.clone();
        async move { Ok::<_, Infallible>(serve(api, visitor, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let stop = async move {
        // An error means that the server is gone, which is as good a reason.
        let _ = stopping.wait_for(|stop| *stop).await;
    };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, peer = %visitor.address, "a connection of the server API");
    }
}
