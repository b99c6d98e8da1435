//! The push hook: calls of an app's server that tell it of messages for users who have no connection, so that it can have them pushed.
//!
//! Workers [offer](PushHooks::offer) and go on. A thread of its own makes the calls, for each app with a hook some at a time, and tries again until one is
//! answered or too old. Nothing of this is on disk: what waits when the gateway stops is lost, and the messages themselves are not.
//!
//! It does not know who is to be told, or whether a message is to be pushed.

mod backoff;
mod call;
mod event;
mod roots;

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustls::crypto::CryptoProvider;
use tokio::sync::{mpsc, watch};

use crate::config::{App, PushHook};
use crate::identity::{AppIndex, WorkerIndex};
use crate::metrics::{Local, Metric, Registry};

pub(crate) use event::Message;

use call::{Called, Caller};

/// Events that wait for one app's hook: a minute of a busy app, after which a hook that does not answer is no slow one.
const WAITING_MAX: usize = 10_000;

/// Bytes of events that wait for one app's hook.
const WAITING_BYTES_MAX: usize = 16 << 20;

/// Calls of one hook at a time. Each has a connection of its own.
const CALLS_AT_ONCE: usize = 8;

/// How old an event becomes. A push that comes later wakes somebody for nothing.
const AGE_MAX: Duration = Duration::from_secs(600);

/// How long what waits may still take when the gateway stops.
const LAST_CALLS_TIMEOUT: Duration = Duration::from_secs(1);

/// How often counters go to the shared series.
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);

/// How often it is looked whether anything still waits, when the gateway stops.
const DRAIN_INTERVAL: Duration = Duration::from_millis(20);

/// What became of an event. The numbers are those of the metrics' label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Delivered = 0,
    /// The hook's answer says that it never wants it.
    Refused = 1,
    /// Nobody took it while it was young.
    Expired = 2,
    /// Too many were waiting.
    Dropped = 3,
}

/// What workers offer events to. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct PushHooks {
    /// By app.
    queues: Arc<[Option<Queue>]>,
    figures: Arc<Figures>,
}

/// What waits for one hook.
#[derive(Debug)]
struct Queue {
    app: String,
    events: mpsc::Sender<Waiting>,
    bytes: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Waiting {
    id: String,
    body: Bytes,
    since: Instant,
}

/// The thread that calls.
#[derive(Debug)]
pub(crate) struct PushHandle {
    thread: JoinHandle<()>,
}

/// Why hooks cannot be called.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The certificates that servers are checked against cannot be read.
    #[error("{path} holds no certificates that the servers of push hooks can be checked against: {why}")]
    Roots {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// None of the files is there where systems keep them.
    #[error(
        "the system has no file of certificates that the servers of push hooks could be checked against; name one with `push_hook_ca_file`"
    )]
    NoRoots,
    /// An address is none. A configuration that was loaded has no such.
    #[error("the push hook of the app {app:?} has no address that can be called")]
    Address {
        /// The app's key.
        app: String,
    },
    /// TLS cannot be set up.
    #[error("TLS for push hooks cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// The thread cannot be started.
    #[error("the thread of push hooks cannot be started: {0}")]
    Thread(#[from] io::Error),
}

/// Starts the thread, if any app has a hook.
///
/// # Errors
/// When hooks cannot be called.
pub(crate) fn start(
    apps: &[App],
    provider: &Arc<CryptoProvider>,
    registry: &Registry,
    stopping: watch::Receiver<bool>,
) -> Result<(PushHooks, Option<PushHandle>), PushError> {
    let figures = Arc::new(Figures::new(registry));
    let mut queues = Vec::new();
    let mut callers = Vec::new();
    for app in apps {
        queues.push(match &app.conversations.push_hook {
            Some(hook) => {
                let (events, waiting) = mpsc::channel(WAITING_MAX);
                let bytes = Arc::new(AtomicUsize::new(0));
                callers.push((caller(app, hook, provider)?, waiting, bytes.clone()));
                Some(Queue {
                    app: app.key.clone(),
                    events,
                    bytes,
                })
            }
            None => None,
        });
    }
    let hooks = PushHooks {
        queues: queues.into(),
        figures: figures.clone(),
    };
    if callers.is_empty() {
        return Ok((hooks, None));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let thread = std::thread::Builder::new().name("push".to_owned()).spawn(move || {
        runtime.block_on(run(callers, figures, stopping));
        // What is being called is not waited for any longer.
        runtime.shutdown_background();
    })?;
    Ok((hooks, Some(PushHandle { thread })))
}

impl PushHandle {
    /// Waits until it has ended.
    pub(crate) fn join(self) {
        let _ = self.thread.join();
    }
}

impl PushHooks {
    /// Tells an app's hook, if it has one, of a message for these users. `home` tells apart events about one message. If too much is waiting, nothing is
    /// told.
    pub(crate) fn offer<'a>(
        &self,
        app: AppIndex,
        home: WorkerIndex,
        message: &Message<'a>,
        users: impl Iterator<Item = &'a str>,
    ) {
        let Some(Some(queue)) = self.queues.get(usize::from(app.0)) else {
            return;
        };
        for (id, body) in event::encode(&queue.app, home, message, users) {
            let outcome = queue.offer(Waiting {
                id,
                body,
                since: Instant::now(),
            });
            match outcome {
                Ok(()) => self.figures.shift_waiting(1),
                Err(Full) => self.figures.count(Outcome::Dropped),
            }
        }
    }
}

/// As much is waiting as may.
#[derive(Debug)]
struct Full;

impl Queue {
    fn offer(&self, event: Waiting) -> Result<(), Full> {
        let bytes = event.body.len();
        if self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > WAITING_BYTES_MAX
            || self.events.try_send(event).is_err()
        {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err(Full);
        }
        Ok(())
    }
}

fn caller(app: &App, hook: &PushHook, provider: &Arc<CryptoProvider>) -> Result<Caller, PushError> {
    let address = hook
        .url
        .parse()
        .map_err(|_| PushError::Address { app: app.key.clone() })?;
    let tls = call::is_https(&address)
        .then(|| roots::client_config(hook.ca_file.as_deref(), provider))
        .transpose()?;
    Caller::new(&app.key, address, hook.secret.clone(), tls).ok_or_else(|| PushError::Address { app: app.key.clone() })
}

/// Calls until the gateway stops and, for a moment, what waits has been told.
async fn run(
    callers: Vec<(Caller, mpsc::Receiver<Waiting>, Arc<AtomicUsize>)>,
    figures: Arc<Figures>,
    mut stopping: watch::Receiver<bool>,
) {
    for (caller, waiting, bytes) in callers {
        let caller = Arc::new(caller);
        let waiting = Arc::new(tokio::sync::Mutex::new(waiting));
        for _ in 0..CALLS_AT_ONCE {
            tokio::spawn(tell(caller.clone(), waiting.clone(), bytes.clone(), figures.clone()));
        }
    }
    let flushing = tokio::spawn({
        let figures = figures.clone();
        async move {
            loop {
                tokio::time::sleep(FLUSH_INTERVAL).await;
                figures.flush();
            }
        }
    });
    // An error means that the server is gone, which is as good a reason to stop.
    let _ = stopping.wait_for(|stop| *stop).await;
    let until = Instant::now() + LAST_CALLS_TIMEOUT;
    while figures.waiting() > 0 && Instant::now() < until {
        tokio::time::sleep(DRAIN_INTERVAL).await;
    }
    flushing.abort();
    figures.flush();
}

/// Tells one event after the other.
async fn tell(
    caller: Arc<Caller>,
    events: Arc<tokio::sync::Mutex<mpsc::Receiver<Waiting>>>,
    bytes: Arc<AtomicUsize>,
    figures: Arc<Figures>,
) {
    let mut connection = None;
    loop {
        let next = events.lock().await.recv().await;
        let Some(event) = next else { return };
        let outcome = tell_one(&caller, &mut connection, &event, &figures).await;
        bytes.fetch_sub(event.body.len(), Ordering::Relaxed);
        figures.count(outcome);
        figures.shift_waiting(-1);
    }
}

async fn tell_one(caller: &Caller, connection: &mut Option<call::Open>, event: &Waiting, figures: &Figures) -> Outcome {
    for attempt in 0.. {
        let started = Instant::now();
        let called = caller.call(connection, &event.id, &event.body).await;
        figures.record(started.elapsed());
        let wait = match called {
            Called::Taken => return Outcome::Delivered,
            Called::Refused(status) => {
                tracing::debug!(app = caller.app(), status, "the push hook refuses an event");
                return Outcome::Refused;
            }
            Called::Failed { why, retry_after } => {
                tracing::debug!(app = caller.app(), %why, "the push hook does not take an event");
                backoff::wait(attempt, retry_after)
            }
        };
        if event.since.elapsed() + wait > AGE_MAX {
            return Outcome::Expired;
        }
        figures.count_retry();
        tokio::time::sleep(wait).await;
    }
    unreachable!("it is too old before attempts run out")
}

/// What is counted, by workers and by the thread that calls.
#[derive(Debug)]
struct Figures {
    local: Mutex<Local>,
    waiting: AtomicUsize,
}

impl Figures {
    fn new(registry: &Registry) -> Self {
        Self {
            local: Mutex::new(registry.local()),
            waiting: AtomicUsize::new(0),
        }
    }

    fn count(&self, outcome: Outcome) {
        self.local().add_labelled(Metric::PushEvents, outcome as usize, 1);
    }

    fn count_retry(&self) {
        self.local().add(Metric::PushRetries, 1);
    }

    fn record(&self, took: Duration) {
        self.local().record(Metric::PushDuration, 0, took.as_secs_f64());
    }

    fn shift_waiting(&self, by: isize) {
        if by > 0 {
            self.waiting.fetch_add(by.unsigned_abs(), Ordering::Relaxed);
        } else {
            self.waiting.fetch_sub(by.unsigned_abs(), Ordering::Relaxed);
        }
        self.local().shift(Metric::PushWaiting, by as i64);
    }

    fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    fn flush(&self) {
        self.local().flush();
    }

    fn local(&self) -> MutexGuard<'_, Local> {
        self.local.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
