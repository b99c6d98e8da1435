//! Starting a worker: its thread, its runtime, its listeners, and stopping it again.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use quinn::VarInt;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use sluice_protocol::ErrorCode;
use tokio::runtime;
use tokio::sync::watch;
use tokio::task::LocalSet;

use crate::accept::quic::QuicError;
use crate::accept::{quic, tcp};
use crate::admission::{Admission, ConnectionPermit};
use crate::clock::Now;
use crate::frames;
use crate::identity::RoomKey;
use crate::metrics::Metric;
use crate::refusal::Refusal;
use crate::store::KeptRoom;
use crate::transport::{ReadySockets, Socket, Tcp, Tls, Transport, TransportKind};
use crate::worker::close::{CloseReason, shutdown};
use crate::worker::connection::Label;
use crate::worker::{Mailbox, Shared, Worker};

/// The doors of one worker.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    pub tcp: Option<TcpListener>,
    pub tls: Option<(TcpListener, Arc<rustls::ServerConfig>)>,
    /// On the first worker alone, where packets cannot be led to each.
    pub quic: Option<quic::Door>,
}

/// A running worker.
#[derive(Debug)]
pub(crate) struct WorkerHandle {
    thread: JoinHandle<()>,
}

/// Clients that are told to come back are spread over so long.
const RETURN_WINDOW: Duration = Duration::from_secs(5);

/// How long the last packets of QUIC may take when the gateway stops: they are three round trips from being settled.
const LAST_PACKETS_TIMEOUT: Duration = Duration::from_millis(300);

/// How long a client waits that found the gateway full.
const FULL_RETRY: Duration = Duration::from_secs(5);

/// Starts the worker that owns `mailbox`. It runs until `shutdown` changes.
///
/// # Errors
/// When the thread cannot be started.
pub(crate) fn start(
    mailbox: Mailbox,
    shared: Arc<Shared>,
    admission: Arc<Admission>,
    listeners: Listeners,
    kept: Vec<(RoomKey, KeptRoom)>,
    shutdown: watch::Receiver<bool>,
) -> io::Result<WorkerHandle> {
    let name = format!("worker-{}", mailbox.index().0);
    let thread = std::thread::Builder::new().name(name).spawn(move || {
        pin(mailbox.index().get());
        let run = AssertUnwindSafe(|| run(mailbox, shared, admission, listeners, kept, shutdown));
        if catch_unwind(run).is_err() {
            // Rooms and users have their home here; without it the gateway answers wrongly.
            tracing::error!("a worker panicked; the gateway cannot go on");
            std::process::abort();
        }
    })?;
    Ok(WorkerHandle { thread })
}

impl WorkerHandle {
    /// Waits until the worker has stopped.
    pub(crate) fn join(self) {
        // A panic has ended the process.
        let _ = self.thread.join();
    }
}

/// Keeps a worker on one processor of those the process may use, so that its caches stay warm.
fn pin(index: usize) {
    let Ok(allowed) = sched_getaffinity(None) else { return };
    let processors: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).collect();
    if let Some(processor) = processors.get(index % processors.len().max(1)) {
        let mut one = CpuSet::new();
        one.set(*processor);
        if let Err(error) = sched_setaffinity(None, &one) {
            tracing::debug!(%error, "the worker is not pinned");
        }
    }
}

fn run(
    mailbox: Mailbox,
    shared: Arc<Shared>,
    admission: Arc<Admission>,
    listeners: Listeners,
    kept: Vec<(RoomKey, KeptRoom)>,
    mut shutdown: watch::Receiver<bool>,
) {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made");
    let index = mailbox.index();
    let outside = mailbox.outside(shared.config.rooms.mailbox_messages);
    let (incoming, mailboxes) = mailbox.open(shared.config.rooms.mailbox_messages);
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        let sockets = ReadySockets::new().expect("a descriptor for the epoll of all sockets");
        let worker = Worker::new(index, shared, mailboxes, outside, sockets);
        let outdated = worker.rooms.borrow_mut().restore(kept, Now::read());
        if !outdated.is_empty() {
            // What the store does not take now comes up again with the next start.
            worker.keep(outdated, |_| ());
        }
        worker.spawn(core("sockets", worker.clone().serve_sockets()));
        worker.spawn(core("pump", worker.clone().pump(incoming)));
        worker.spawn(core("sweep", worker.clone().sweep()));
        worker.spawn(core("broadcast", worker.clone().broadcast()));
        worker.spawn(core("announce", worker.clone().announce()));
        worker.spawn(core("tick", worker.clone().tick()));
        let mut doors = Vec::new();
        if let Some(listener) = listeners.tcp {
            let accept = worker.clone().accept_tcp(listener, admission.clone());
            doors.push(worker.spawn(core("accept", accept)));
        }
        if let Some((listener, tls)) = listeners.tls {
            let accept = worker.clone().accept_tls(listener, tls, admission.clone());
            doors.push(worker.spawn(core("accept", accept)));
        }
        if let Some(door) = listeners.quic {
            let accept = worker.clone().accept_quic(door, admission);
            doors.push(worker.spawn(core("accept", accept)));
        }
        // An error means that the server is gone, which is as good a reason to stop.
        let _ = shutdown.wait_for(|stop| *stop).await;
        doors.iter().for_each(tokio::task::JoinHandle::abort);
        worker.stop().await;
    });
}

/// A task without which the worker is worth nothing: its panic ends the process rather than half of it.
async fn core(name: &'static str, task: impl Future<Output = ()>) {
    struct Guard(&'static str);
    impl Drop for Guard {
        fn drop(&mut self) {
            if std::thread::panicking() {
                tracing::error!(task = self.0, "panicked; the gateway cannot go on");
                std::process::abort();
            }
        }
    }
    let _guard = Guard(name);
    task.await;
}

/// One of the QUIC handshakes under way.
struct Pending(Rc<Cell<usize>>);

impl Pending {
    fn one_more(count: &Rc<Cell<usize>>) -> Self {
        count.update(|pending| pending + 1);
        Self(count.clone())
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.update(|pending| pending - 1);
    }
}

impl Worker {
    async fn accept_tcp(self: Rc<Self>, listener: TcpListener, admission: Arc<Admission>) {
        let admit = |stream: TcpStream, peer: SocketAddr| {
            let opened = Instant::now();
            match admission.connection() {
                Some(permit) => {
                    self.count_opened(TransportKind::Tcp);
                    self.open(
                        Transport::Tcp(Tcp::new(self.socket(stream, peer))),
                        permit,
                        None,
                        opened,
                        opened,
                    );
                }
                None => {
                    self.metrics.add_labelled(Metric::ConnectionsRejected, 0, 1);
                    // In the clear there is room for a word.
                    let refusal = Refusal::with_detail(ErrorCode::SERVER_UNAVAILABLE, "full").retry_after(FULL_RETRY);
                    self.count_refusal(&refusal);
                    tcp::turn_away(&stream, &frames::close(&refusal));
                }
            }
        };
        self.accept(listener, admit).await;
    }

    async fn accept_tls(
        self: Rc<Self>,
        listener: TcpListener,
        tls: Arc<rustls::ServerConfig>,
        admission: Arc<Admission>,
    ) {
        let admit = |stream: TcpStream, peer: SocketAddr| {
            let opened = Instant::now();
            let Some(permit) = admission.connection() else {
                self.metrics.add_labelled(Metric::ConnectionsRejected, 0, 1);
                return;
            };
            let Some(handshake) = admission.handshake() else {
                self.metrics.add_labelled(Metric::ConnectionsRejected, 1, 1);
                return;
            };
            match Tls::new(self.socket(stream, peer), tls.clone()) {
                Ok(tls) => {
                    self.count_opened(TransportKind::Tls);
                    self.open(Transport::Tls(Box::new(tls)), permit, Some(handshake), opened, opened);
                }
                Err(error) => tracing::error!(%error, "TLS cannot be set up"),
            }
        };
        self.accept(listener, admit).await;
    }

    async fn accept(&self, listener: TcpListener, admit: impl FnMut(TcpStream, SocketAddr)) {
        let failed = |kind: tcp::AcceptError, error: &io::Error| {
            self.metrics.add_labelled(Metric::AcceptErrors, kind as usize, 1);
            tracing::debug!(%error, "accept");
        };
        if let Err(error) = tcp::accept(listener, admit, failed).await {
            tracing::error!(%error, "the listener cannot be used");
        }
    }

    fn socket(&self, stream: TcpStream, peer: SocketAddr) -> Socket {
        Socket::new(stream, peer, self.sockets.clone())
    }

    async fn accept_quic(self: Rc<Self>, door: quic::Door, admission: Arc<Admission>) {
        let endpoint = match quic::endpoint(door.socket, door.config, door.endpoint) {
            Ok(endpoint) => endpoint,
            Err(error) => return tracing::error!(%error, "the QUIC endpoint cannot be used"),
        };
        *self.endpoint.borrow_mut() = Some(endpoint.clone());
        self.metrics.set(Metric::QuicEndpoints, 1);
        let pending = Rc::new(Cell::new(0));
        while let Some(incoming) = endpoint.accept().await {
            if pending.get() >= door.pending_max && incoming.may_retry() {
                // Costs a forger a round trip, and an honest client too: only under pressure.
                self.metrics.add(Metric::QuicRetries, 1);
                if let Err(error) = incoming.retry() {
                    tracing::trace!(%error, "retry");
                }
                continue;
            }
            let Some(permit) = admission.connection() else {
                self.refuse_quic(incoming, 0);
                continue;
            };
            let Some(handshake) = admission.handshake() else {
                self.refuse_quic(incoming, 1);
                continue;
            };
            let worker = self.clone();
            let pending = Pending::one_more(&pending);
            self.spawn(async move {
                let opened = Instant::now();
                worker.count_opened(TransportKind::Quic);
                let connection = quic::handshake(incoming, worker.config().connections.handshake_timeout).await;
                drop((handshake, pending));
                match connection {
                    Ok(connection) => worker.open_quic(connection, permit, opened).await,
                    Err(error) => {
                        tracing::debug!(%error, "QUIC handshake");
                        worker
                            .metrics
                            .add_labelled(Metric::HandshakeFailures, TransportKind::Quic as usize, 1);
                        worker.count_quic_failure(CloseReason::HandshakeFailed, opened);
                    }
                }
            });
        }
    }

    /// Turns a QUIC client away, for the limit that is the label's value number `limit`.
    fn refuse_quic(&self, incoming: quinn::Incoming, limit: usize) {
        self.metrics.add_labelled(Metric::ConnectionsRejected, limit, 1);
        self.metrics.add(Metric::QuicRefused, 1);
        incoming.refuse();
    }

    /// Waits for the control stream of a client whose handshake is done.
    async fn open_quic(self: Rc<Self>, connection: quinn::Connection, permit: ConnectionPermit, opened: Instant) {
        let secured = Instant::now();
        let took = (secured - opened).as_secs_f64();
        self.metrics
            .record(Metric::HandshakeDuration, TransportKind::Quic as usize, took);
        let login_timeout = self.config().connections.login_timeout;
        match quic::control_stream(connection, login_timeout).await {
            // The stream was a part of the time for the login.
            Ok(quic) => self.open(Transport::Quic(Box::new(quic)), permit, None, opened, secured),
            Err(QuicError::NoStream) => {
                self.count_refusal(&Refusal::new(ErrorCode::LOGIN_TIMEOUT));
                self.count_quic_failure(CloseReason::LoginTimeout, opened);
            }
            Err(error) => {
                tracing::debug!(%error, "QUIC control stream");
                self.count_quic_failure(CloseReason::ClientClosed, opened);
            }
        }
    }

    fn count_quic_failure(&self, reason: CloseReason, opened: Instant) {
        self.count_closed(TransportKind::Quic, Label::Anonymous, reason, opened.elapsed());
    }

    /// Ends every connection with a word, and waits until they are gone.
    async fn stop(self: &Rc<Self>) {
        self.stopping.set(true);
        let connections: Vec<_> = self.connections.borrow().values().cloned().collect();
        let window = connections.len().max(1);
        for (place, connection) in connections.iter().enumerate() {
            let spread = u32::try_from(place * 1000 / window).unwrap_or(0);
            let refusal = shutdown(RETURN_WINDOW * spread / 1000);
            self.close(connection, &refusal, CloseReason::Shutdown);
        }
        drop(connections);
        let patience = self.config().connections.closing_timeout + Duration::from_secs(1);
        let until = Instant::now() + patience;
        while !self.connections.borrow().is_empty() && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let endpoint = self.endpoint.take();
        if let Some(endpoint) = endpoint {
            // Clients whose handshake or stream was still to come.
            let refusal = shutdown(RETURN_WINDOW);
            let code = VarInt::from_u32(refusal.code.number().unsigned_abs());
            endpoint.close(code, refusal.detail.as_bytes());
            // What is not gone by then is lost, which the client's own timeout covers.
            let _ = tokio::time::timeout(LAST_PACKETS_TIMEOUT, endpoint.wait_idle()).await;
        }
        self.flush_metrics();
    }
}
