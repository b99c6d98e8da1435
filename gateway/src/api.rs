//! The server API: HTTP by which the apps' own servers steer the gateway, in the words of a vendor whose libraries they may have.
//!
//! On a listener and threads of its own, like `http`, it turns calls into orders to rooms and users, and waits for their answers. One
//! table says what paths there are ([`paths`]); checking, the OpenAPI document and the audit log are made from it. Start with
//! [`serve`](serve::serve), which follows one call. What is decided lives elsewhere: in rooms, in the policies of apps, in the store.

mod audit;
mod batches;
mod body;
mod broadcasts;
mod call;
mod failure;
mod field;
mod figures;
mod keys;
mod listener;
mod nonces;
mod openapi;
mod path;
mod paths;
mod serve;
mod signature;
mod times;
mod token;
mod turns;
mod visitor;

use std::io;
use std::net::{IpAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Semaphore, watch};

use crate::clock::Now;
use crate::session::guesses::Guesses;
use crate::worker::Operator;
use audit::{Audit, Record};
use broadcasts::Broadcasts;
use failure::{Code, Failure};
use figures::Figures;
use keys::Keys;
use turns::Turns;

pub use openapi::document as openapi_document;
pub(crate) use signature::sign_sha1;

/// Threads for calls: one call that works, on a long list of words say, leaves one for the others.
const THREADS: usize = 2;

/// Calls under way at once. Those whose clients hung up go on without a connection, so there may be more than connections; each keeps what
/// its body said, up to some hundred KiB.
const CALLS_MAX: usize = 2048;

/// How long an app's server waits that finds no place.
const OVERLOAD_RETRY: Duration = Duration::from_secs(1);

/// What all calls share.
#[derive(Debug)]
struct Api {
    operator: Operator,
    keys: Keys,
    audit: Arc<Audit>,
    figures: Figures,
    guesses: Mutex<Guesses>,
    broadcasts: Broadcasts,
    turns: Turns,
    /// Places for calls under way.
    calls: Arc<Semaphore>,
    /// The OpenAPI document.
    document: Bytes,
    /// Of this start, so that ids of requests are not those of the last one.
    random: u64,
    requests: AtomicU64,
}

/// The running threads of the server API.
#[derive(Debug)]
pub(crate) struct ApiHandle {
    thread: JoinHandle<()>,
}

/// Serves on `listener`, over TLS if there is a configuration for it, until `stopping`.
///
/// # Errors
/// When the audit log cannot be opened, or a thread not started.
pub(crate) fn start(
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    operator: Operator,
    stopping: watch::Receiver<bool>,
) -> io::Result<ApiHandle> {
    let shared = operator.shared().clone();
    let config = &shared.config;
    let mut random = [0; 8];
    shared
        .random
        .fill(&mut random)
        .map_err(|_| io::Error::other("the system has no random bytes"))?;
    let api = Api {
        keys: Keys::new(&config.apps, Now::read()),
        audit: Arc::new(Audit::start(&config.data, config.api.audit_bytes)?),
        figures: Figures::new(&shared.registry),
        guesses: Mutex::new(Guesses::new(config.api.failed_signatures_per_minute)),
        broadcasts: Broadcasts::default(),
        turns: Turns::new(&config.apps),
        calls: Arc::new(Semaphore::new(CALLS_MAX)),
        document: openapi_document().into(),
        random: u64::from_le_bytes(random),
        requests: AtomicU64::new(0),
        operator,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("api")
        .enable_all()
        .build()?;
    let thread = std::thread::Builder::new().name("api".to_owned()).spawn(move || {
        if let Err(error) = runtime.block_on(listener::run(Arc::new(api), listener, tls, stopping)) {
            tracing::error!(%error, "the server API ended");
        }
    })?;
    Ok(ApiHandle { thread })
}

impl ApiHandle {
    /// Waits until it has ended.
    pub(crate) fn join(self) {
        let _ = self.thread.join();
    }
}

impl Api {
    /// What is answered to a known caller who is refused. Where it was to change something, that is written down.
    fn refused(&self, record: Option<Record>, failure: Failure) -> Failure {
        if let Some(record) = record {
            self.audit.begin(record).end(failure.code);
        }
        failure
    }

    /// What somebody is told whose signature is wrong: that, or only that there were too many.
    fn guessed(&self, now: Now, peer: IpAddr, failure: Failure) -> Failure {
        let mut guesses = self.guesses.lock().unwrap_or_else(PoisonError::into_inner);
        match guesses.count(now.instant, peer) {
            Ok(()) => failure,
            Err(wait) => Failure::new(Code::RATE, "too many wrong signatures").retry_after(wait),
        }
    }

    fn new_request_id(&self) -> String {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        format!("{:016x}-{number}", self.random)
    }
}
