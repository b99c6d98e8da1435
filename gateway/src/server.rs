//! The gateway as a whole: the one place that joins its parts.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Instant;

use sluice_protocol::RoomId;
use tokio::sync::watch;

use crate::accept;
use crate::accept::quic::{ResetSecret, ResetSecretError, Sockets};
use crate::admission::Admission;
use crate::api;
use crate::clock::Now;
use crate::config::Config;
use crate::conversation::Conversations;
use crate::handshake::{self, TlsError};
use crate::http::{self, Health};
use crate::identity::{RoomKey, WorkerIndex};
use crate::metrics::{Registry, WorkerFigures};
use crate::policy::Policies;
use crate::push::{self, PushError, PushHandle};
use crate::room::RoomPlaces;
use crate::session::apps::Apps;
use crate::session::token::TokenKeyError;
use crate::store::{KeptRoom, Store};
use crate::worker::{self, Listeners, Operator, Shared, WorkerHandle};

/// Where a running gateway listens. The ports are the real ones, also where the configuration said 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Addresses {
    /// Plain TCP.
    pub tcp: Option<SocketAddr>,
    /// TLS over TCP.
    pub tls: Option<SocketAddr>,
    /// QUIC, a UDP port.
    pub quic: Option<SocketAddr>,
    /// Metrics and health.
    pub http: Option<SocketAddr>,
    /// The server API.
    pub api: Option<SocketAddr>,
}

/// Why a gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address} ({what}): {cause}")]
    Listen {
        /// Which listener.
        what: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why not.
        cause: io::Error,
    },
    /// The certificate or its key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The key of QUIC's stateless resets cannot be read or made.
    #[error(transparent)]
    QuicSecret(#[from] ResetSecretError),
    /// An app's public key cannot be used.
    #[error(transparent)]
    TokenKey(#[from] TokenKeyError),
    /// The store cannot be opened.
    #[error("the store: {0}")]
    Store(String),
    /// The server API cannot be started.
    #[error("the server API: {0}")]
    Api(io::Error),
    /// Push hooks cannot be called.
    #[error(transparent)]
    Push(#[from] PushError),
    /// A thread cannot be started.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}

/// A running gateway. Dropping it stops it without waiting; [`Server::shutdown`] waits.
#[derive(Debug)]
pub struct Server {
    addresses: Addresses,
    shutdown: watch::Sender<bool>,
    workers: Vec<WorkerHandle>,
    http: Option<http::HttpHandle>,
    api: Option<api::ApiHandle>,
    push: Option<PushHandle>,
    /// A second handle on each socket of QUIC. When one leaves the group, the kernel counts the others anew: a worker that has
    /// ended already would turn the last packets of the others away from them.
    _quic_sockets: Vec<UdpSocket>,
}

impl Server {
    /// Binds the listeners of `config` and starts the workers. When this returns, clients can connect.
    ///
    /// # Errors
    /// When an address is in use, a certificate or key cannot be used, or a thread cannot be started.
    pub fn start(config: Config) -> Result<Self, ServerError> {
        let workers = config.workers;
        let mut addresses = Addresses::default();
        let mut quic_sockets = Vec::new();
        let mut listeners: Vec<Listeners> = (0..workers).map(|_| Listeners::default()).collect();

        if let Some(address) = config.listen.tcp {
            for (worker, listener) in listeners.iter_mut().zip(bind_tcp("tcp", address, workers)?) {
                addresses.tcp = listener.local_addr().ok();
                worker.tcp = Some(listener);
            }
        }
        if let Some(address) = config.listen.tls {
            let tls = handshake::tls_config(&config)?;
            for (worker, listener) in listeners.iter_mut().zip(bind_tcp("tls", address, workers)?) {
                addresses.tls = listener.local_addr().ok();
                worker.tls = Some((listener, tls.clone()));
            }
        }
        if let Some(address) = config.listen.quic {
            let secret = ResetSecret::of_folder(&config.data)?;
            let sockets = bind_quic(address, &config)?;
            let quic = handshake::quic_config(&config, sockets.len())?;
            let second_handles = sockets.iter().map(UdpSocket::try_clone).collect::<io::Result<_>>();
            quic_sockets = second_handles.map_err(|cause| listen("quic", address, cause))?;
            let doors = accept::quic::doors(sockets, &quic, &secret);
            for (worker, door) in listeners.iter_mut().zip(doors) {
                addresses.quic = door.socket.local_addr().ok();
                worker.quic = Some(door);
            }
        }
        let http = config
            .listen
            .http
            .map(|address| http::bind(address).map_err(|cause| listen("http", address, cause)));
        let http = http.transpose()?;
        let api = config
            .listen
            .api
            .map(|address| http::bind(address).map_err(|cause| listen("api", address, cause)));
        let api = api.transpose()?;
        let api_tls = config.api.tls.then(|| handshake::api_tls_config(&config));
        let api_tls = api_tls.filter(|_| api.is_some()).transpose()?;

        let now = Now::read();
        let (store, kept) =
            Store::open(&config.data, now.unix_ms).map_err(|error| ServerError::Store(error.to_string()))?;
        let apps = config.apps.iter();
        store.keep_messages_for(apps.map(|app| (app.key.clone(), app.conversations.history_kept)));
        let policies = Policies::new(&config.apps);
        policies
            .restore(kept.apps, now)
            .map_err(|error| ServerError::Store(error.to_string()))?;
        let policies = Arc::new(policies);
        // The server API's operator numbers with the first number behind those of the workers.
        let number = WorkerIndex(u16::try_from(workers + 1).expect("fewer than 65535 workers"));
        let conversations = Conversations::new(store.clone(), &config.apps, policies.clone(), number);
        let (shutdown, stopping) = watch::channel(false);
        let admission = Admission::new(config.connections.max, config.connections.handshakes_max);
        let registry = Registry::new();
        let (pushes, push) = push::start(&config.apps, &handshake::provider(), &registry)?;
        let shared = Arc::new(Shared {
            apps: Apps::new(&config)?,
            store,
            conversations,
            policies,
            pushes,
            room_places: Arc::new(RoomPlaces::new(&config.apps)),
            registry,
            homes: hashbrown::DefaultHashBuilder::default(),
            random: handshake::provider().secure_random,
            workers: (0..workers).map(|_| WorkerFigures::default()).collect(),
            started: Instant::now(),
            config,
        });
        let http = match http {
            Some(listener) => {
                let health = Health {
                    shared: shared.clone(),
                    stopping: stopping.clone(),
                };
                addresses.http = listener.local_addr().ok();
                Some(http::start(listener, health).map_err(ServerError::Thread)?)
            }
            None => None,
        };
        let kept = rooms_by_home(kept.rooms, &shared);
        let mailboxes = worker::mailboxes(workers);
        let outside = mailboxes
            .first()
            .map(|first| first.outside(shared.config.rooms.mailbox_messages));
        let workers = mailboxes
            .into_iter()
            .zip(listeners)
            .zip(kept)
            .map(|((mailbox, listeners), kept)| {
                worker::start(
                    mailbox,
                    shared.clone(),
                    admission.clone(),
                    listeners,
                    kept,
                    stopping.clone(),
                )
            })
            .collect::<Result<_, _>>()
            .map_err(ServerError::Thread)?;
        let api = match api.zip(outside) {
            Some((listener, outside)) => {
                addresses.api = listener.local_addr().ok();
                let operator = Operator::new(shared, outside);
                Some(api::start(listener, api_tls, operator, stopping).map_err(ServerError::Api)?)
            }
            None => None,
        };
        Ok(Self {
            addresses,
            shutdown,
            workers,
            http,
            api,
            push,
            _quic_sockets: quic_sockets,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Stops: accepts nobody any more, tells every client (31003 with a time to come back, spread over five seconds), and
    /// returns when the workers have ended, within the closing timeout and a second, and push hooks were told the rest, within
    /// another.
    pub fn shutdown(self) {
        self.shutdown.send_replace(true);
        for worker in self.workers {
            worker.join();
        }
        if let Some(api) = self.api {
            api.join();
        }
        // Behind the workers, which offer events until they have ended.
        if let Some(push) = self.push {
            push.stop();
        }
        if let Some(http) = self.http {
            http.stop();
        }
    }
}

fn bind_tcp(
    what: &'static str,
    address: SocketAddr,
    workers: usize,
) -> Result<Vec<std::net::TcpListener>, ServerError> {
    accept::tcp::bind(address, workers).map_err(|cause| listen(what, address, cause))
}

/// What is kept of rooms, for each worker that of the rooms whose home it is.
fn rooms_by_home(rooms: Vec<KeptRoom>, shared: &Shared) -> Vec<Vec<(RoomKey, KeptRoom)>> {
    let mut by_home: Vec<Vec<_>> = shared.workers.iter().map(|_| Vec::new()).collect();
    for kept in rooms {
        let (Some((app, _)), Ok(id)) = (shared.apps.by_key(&kept.app), RoomId::parse(&kept.room)) else {
            tracing::warn!(
                app = kept.app,
                room = kept.room,
                "a room is kept of an app that is not configured"
            );
            continue;
        };
        let home = shared.home((app, &id));
        by_home[home.get()].push((RoomKey { app, id }, kept));
    }
    by_home
}

/// One socket for each worker, or for the first alone where packets cannot be led to each.
fn bind_quic(address: SocketAddr, config: &Config) -> Result<Vec<UdpSocket>, ServerError> {
    let wanted = if config.quic.steering { config.workers } else { 1 };
    let wanted = u16::try_from(wanted).unwrap_or(u16::MAX);
    let Sockets { sockets, unsteered } =
        accept::quic::bind(address, wanted).map_err(|cause| listen("quic", address, cause))?;
    if let Some(error) = unsteered {
        tracing::warn!(
            %error,
            "the system does not let packets be led to workers (SO_ATTACH_REUSEPORT_CBPF): all QUIC connections are on worker 0"
        );
    } else if !config.quic.steering && config.workers > 1 {
        tracing::warn!("quic.steering is off: all QUIC connections are on worker 0");
    }
    Ok(sockets)
}

fn listen(what: &'static str, address: SocketAddr, cause: io::Error) -> ServerError {
    ServerError::Listen { what, address, cause }
}
