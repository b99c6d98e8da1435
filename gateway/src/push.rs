//! The push hook: calls of an app's server that tell it of messages for users who have no connection, so that it can have them pushed.
//!
//! Workers [offer](PushHooks::offer) and go on. A thread of its own makes the calls, for each app with a hook some at a time, and tries again until one is
//! answered or too old; [`turns`] says when. Nothing of this is on disk: what waits when the gateway stops is lost, and the messages themselves are not.
//!
//! It does not know who is to be told, or whether a message is to be pushed.

mod backoff;
mod call;
mod event;
mod queue;
mod roots;
#[cfg(test)]
mod tests;
mod turns;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
// Tests move it.
use tokio::time::Instant;

use crate::config::{App, PushHook};
use crate::identity::{AppIndex, WorkerIndex};
use crate::metrics::{Local, Metric, Registry};

pub(crate) use event::Message;

use call::{Called, Caller, Open};
use queue::{Event, Load, Queue};
use turns::{Next, Trial, Turns};

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
    /// Too many were waiting, or the gateway stopped.
    Dropped = 3,
}

/// What workers offer events to. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct PushHooks {
    /// By app.
    queues: Arc<[Option<Queue>]>,
}

/// The thread that calls.
#[derive(Debug)]
pub(crate) struct PushHandle {
    /// The thread ends when this is gone, too.
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

/// One app's hook, on the thread that calls.
#[derive(Debug)]
struct Hook {
    caller: Arc<Caller>,
    offered: mpsc::UnboundedReceiver<Event>,
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
) -> Result<(PushHooks, Option<PushHandle>), PushError> {
    let mut callers = Vec::new();
    for app in apps {
        let hook = app.conversations.push_hook.as_ref();
        callers.push(hook.map(|hook| caller(app, hook, provider)).transpose()?);
    }
    let (pushes, hooks, figures) = join(callers, registry);
    if hooks.is_empty() {
        return Ok((pushes, None));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (stop, stopped) = oneshot::channel();
    let thread = std::thread::Builder::new().name("push".to_owned()).spawn(move || {
        runtime.block_on(run(hooks, figures, stopped));
        // What is being called is not waited for any longer.
        runtime.shutdown_background();
    })?;
    Ok((pushes, Some(PushHandle { stop, thread })))
}

/// Joins what workers see of hooks with what calls them.
fn join(callers: Vec<Option<Caller>>, registry: &Registry) -> (PushHooks, Vec<Hook>, Arc<Figures>) {
    let (mut queues, mut hooks, mut loads) = (Vec::new(), Vec::new(), Vec::new());
    for caller in callers {
        queues.push(caller.map(|caller| {
            let (queue, offered, load) = Queue::new(caller.app().to_owned());
            let caller = Arc::new(caller);
            hooks.push(Hook { caller, offered });
            loads.push(load);
            queue
        }));
    }
    let figures = Arc::new(Figures {
        local: Mutex::new(registry.local()),
        loads,
    });
    let queues = queues.into();
    (PushHooks { queues }, hooks, figures)
}

impl PushHandle {
    /// Waits until what waits has been told, for a moment at most, and it has ended. To be called when nothing is offered any more.
    pub(crate) fn stop(self) {
        let _ = self.stop.send(());
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
            queue.offer(id, body, Instant::now().into_std());
        }
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
async fn run(hooks: Vec<Hook>, figures: Arc<Figures>, stopped: oneshot::Receiver<()>) {
    for hook in hooks {
        tokio::spawn(tell(hook, figures.clone()));
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
    let _ = stopped.await;
    let until = Instant::now() + LAST_CALLS_TIMEOUT;
    while figures.waiting() > 0 && Instant::now() < until {
        tokio::time::sleep(DRAIN_INTERVAL).await;
    }
    flushing.abort();
    figures.count(Outcome::Dropped, figures.waiting());
    figures.flush();
}

/// Tells one app's hook of events.
async fn tell(mut hook: Hook, figures: Arc<Figures>) {
    let mut turns = Turns::default();
    let mut calls = JoinSet::new();
    // Those that are not in use.
    let mut connections: Vec<Open> = Vec::new();
    loop {
        let now = Instant::now().into_std();
        figures.count(Outcome::Expired, turns.expire(now));
        let until = match turns.next(now, calls.len()) {
            Next::Call(trial) => {
                if trial.failed_before > 0 {
                    figures.count_retry();
                }
                calls.spawn(call(hook.caller.clone(), connections.pop(), trial));
                continue;
            }
            Next::Wait(until) => until,
        };
        tokio::select! {
            Some(event) = hook.offered.recv() => turns.push(event),
            Some(called) = calls.join_next() => {
                // One that panicked has taken its event along.
                if let Ok(mut call) = called {
                    connections.extend(call.connection.take());
                    handle_call(&hook.caller, &mut turns, call, &figures);
                }
            }
            () = sleep_until(until) => {}
        }
    }
}

fn handle_call(caller: &Caller, turns: &mut Turns, call: Call, figures: &Figures) {
    figures.record(call.took);
    match call.called {
        Called::Taken => {
            turns.handle_answer();
            figures.count(Outcome::Delivered, 1);
        }
        Called::Refused(status) => {
            tracing::debug!(app = caller.app(), status, "the push hook refuses an event");
            turns.handle_answer();
            figures.count(Outcome::Refused, 1);
        }
        Called::Failed { why, retry_after } => {
            tracing::debug!(app = caller.app(), %why, "the push hook does not take an event");
            turns.handle_failure(Instant::now().into_std(), call.trial, retry_after);
        }
    }
}

/// A call that was made.
#[derive(Debug)]
struct Call {
    trial: Trial,
    called: Called,
    took: Duration,
    /// That can be used again.
    connection: Option<Open>,
}

async fn call(caller: Arc<Caller>, mut connection: Option<Open>, trial: Trial) -> Call {
    let started = Instant::now();
    let called = caller.call(&mut connection, &trial.event.id, &trial.event.body).await;
    Call {
        trial,
        called,
        took: started.elapsed(),
        connection,
    }
}

async fn sleep_until(until: Option<std::time::Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until.into()).await,
        None => std::future::pending().await,
    }
}

/// What is counted. Workers only touch the loads; the lock is for the thread that calls alone.
#[derive(Debug)]
struct Figures {
    local: Mutex<Local>,
    /// One for each hook.
    loads: Vec<Arc<Load>>,
}

impl Figures {
    fn count(&self, outcome: Outcome, events: usize) {
        self.local()
            .add_labelled(Metric::PushEvents, outcome as usize, events as u64);
    }

    fn count_retry(&self) {
        self.local().add(Metric::PushRetries, 1);
    }

    fn record(&self, took: Duration) {
        self.local().record(Metric::PushDuration, 0, took.as_secs_f64());
    }

    /// Events that wait or are being told.
    fn waiting(&self) -> usize {
        self.loads.iter().map(|load| load.events()).sum()
    }

    fn flush(&self) {
        let dropped = self.loads.iter().map(|load| load.take_dropped()).sum();
        let local = self.local();
        local.add_labelled(Metric::PushEvents, Outcome::Dropped as usize, dropped);
        local.set(Metric::PushWaiting, self.waiting());
        local.flush();
    }

    fn local(&self) -> MutexGuard<'_, Local> {
        self.local.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
