//! HTTP for operators: metrics and health, on a thread and a listener of their own.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::sync::{oneshot, watch};

use crate::store;
use crate::worker::Shared;

/// A worker that has not ticked for so long is stuck. It ticks ten times a second.
const STUCK_AFTER: Duration = Duration::from_secs(10);

/// The same for taking on new clients: a load balancer should look elsewhere sooner than a supervisor restarts.
const UNREADY_AFTER: Duration = Duration::from_secs(2);

/// How often histograms are tidied up; they keep every sample until then.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// What health is judged by.
#[derive(Debug, Clone)]
pub(crate) struct Health {
    pub shared: Arc<Shared>,
    pub stopping: watch::Receiver<bool>,
}

/// The running HTTP thread.
#[derive(Debug)]
pub(crate) struct HttpHandle {
    thread: JoinHandle<()>,
    /// Dropping it ends the thread.
    end: oneshot::Sender<()>,
}

/// # Errors
/// When the address is in use or not ours.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serves until the handle is stopped or dropped: a gateway that is stopping still says so.
///
/// # Errors
/// When the thread cannot be started.
pub(crate) fn start(listener: TcpListener, health: Health) -> io::Result<HttpHandle> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (end, ended) = oneshot::channel();
    let thread = std::thread::Builder::new().name("http".to_owned()).spawn(move || {
        if let Err(error) = runtime.block_on(serve(listener, health, ended)) {
            tracing::error!(%error, "HTTP ended");
        }
    })?;
    Ok(HttpHandle { thread, end })
}

impl HttpHandle {
    /// Ends it and waits until it has ended.
    pub(crate) fn stop(self) {
        drop(self.end);
        let _ = self.thread.join();
    }
}

async fn serve(listener: TcpListener, health: Health, ended: oneshot::Receiver<()>) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let upkeep = tokio::spawn({
        let shared = health.shared.clone();
        async move {
            loop {
                tokio::time::sleep(UPKEEP_INTERVAL).await;
                shared.registry.upkeep();
            }
        }
    });
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .with_state(health);
    tokio::select! {
        result = axum::serve(listener, router) => result?,
        _ = ended => {}
    }
    upkeep.abort();
    Ok(())
}

async fn metrics(State(health): State<Health>) -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        health.shared.registry.render(
            &health.shared.workers,
            &health.shared.store,
            health.shared.started.elapsed(),
        ),
    )
}

async fn livez(State(health): State<Health>) -> impl IntoResponse {
    judge(health.quiet_for() < STUCK_AFTER, "a worker is stuck")
}

async fn readyz(State(health): State<Health>) -> impl IntoResponse {
    if *health.stopping.borrow() {
        return judge(false, "stopping");
    }
    if health.quiet_for() >= UNREADY_AFTER {
        return judge(false, "a worker is slow to answer");
    }
    judge(
        health.shared.store.health() == store::Health::Ok,
        "the store cannot be written",
    )
}

fn judge(good: bool, otherwise: &'static str) -> (StatusCode, String) {
    if good {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("{otherwise}\n"))
    }
}

impl Health {
    /// How long the quietest worker has not ticked.
    fn quiet_for(&self) -> Duration {
        let since_start = self.shared.started.elapsed();
        let workers = self.shared.workers.iter();
        workers
            .map(|worker| worker.tick_age(since_start))
            .max()
            .unwrap_or_default()
    }
}
