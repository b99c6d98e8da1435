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

/// The same for taking on new clients, and for a commit of the store: a load balancer should look elsewhere sooner than a supervisor restarts.
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
    let store = &health.shared.store;
    let fault = fault_of(&store.health(), store.is_damaged(), store.writing_for());
    judge(fault.is_none(), fault.unwrap_or_default())
}

/// Why clients should go elsewhere, if the store gives a reason.
fn fault_of(health: &store::Health, is_damaged: bool, writing_for: Duration) -> Option<&'static str> {
    match health {
        store::Health::ReadOnly { .. } | store::Health::Failed { .. } => Some("the store cannot be written"),
        store::Health::Ok if is_damaged => Some("the store is damaged"),
        // Its health says what became of commits. This one has come to nothing yet, and everybody waits for it.
        store::Health::Ok if writing_for >= UNREADY_AFTER => Some("the store is slow"),
        store::Health::Ok => None,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_that_takes_long_sends_clients_elsewhere() {
        let well = |writing_for| fault_of(&store::Health::Ok, false, writing_for);
        assert_eq!(well(Duration::ZERO), None);
        assert_eq!(well(UNREADY_AFTER - Duration::from_millis(1)), None);
        assert_eq!(well(UNREADY_AFTER), Some("the store is slow"));
    }

    #[test]
    fn a_store_that_cannot_be_written_or_is_damaged_sends_clients_elsewhere() {
        let why = || "on purpose".to_owned();
        let read_only = store::Health::ReadOnly { why: why() };
        let failed = store::Health::Failed { why: why() };
        for health in [read_only, failed] {
            assert_eq!(
                fault_of(&health, false, Duration::ZERO),
                Some("the store cannot be written")
            );
        }
        assert_eq!(
            fault_of(&store::Health::Ok, true, Duration::ZERO),
            Some("the store is damaged")
        );
    }
}
