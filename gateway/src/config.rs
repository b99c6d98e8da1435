//! The gateway's configuration: what can be set, where it comes from, and what is refused.
//!
//! Start with [`Config`], the result, and [`Config::load`], which layers defaults, a TOML file, the environment and
//! flags. One table (`config/settings.rs`) names every setting once; reading, environment names, `sluice config` and
//! `docs/configuration.md` all come from it. Whatever is wrong is found in one go: [`Problems`] lists everything, each
//! with its origin.
//!
//! This module opens no socket, and it writes nothing: files are made by [`crate::development`] alone.

mod app;
mod certificate;
mod document;
mod effective;
mod environment;
mod kind;
mod layers;
mod origin;
mod policy;
mod reference;
mod settings;
mod suggestion;
mod unsafe_mix;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use app::{
    ApiKey, ApiScope, ApiSignature, App, AppConversations, AppState, PushHook, Secret, SingleLogin, TokenAlgorithm,
    TokenKey,
};
pub use certificate::CertificateError;
pub use kind::parse_duration;
pub use layers::{Flag, Loaded, Mode, Sources};
pub use origin::{Origin, Problem, Problems};
pub use policy::{AppPolicySettings, AttributeLimits, EndsKind, RoomEnds, RoomPolicy, preset_name};
pub use reference::{app_reference, setting_reference};

pub(crate) use app::{DEVELOPMENT_APP_FILE, apps_of_file};
pub(crate) use certificate::CERTIFICATE_FILE;

/// Everything the gateway needs to know before it starts.
///
/// All fields are public so that tests can start from [`crate::development::configuration`] and change what they are
/// about; a configuration changed in code is not checked again.
#[derive(Debug, Clone)]
pub struct Config {
    /// The folder for all that the gateway keeps. Default `./data`.
    pub data: PathBuf,
    /// Worker threads, each with its own listener, connections and slice of every room. Default: one per core.
    pub workers: usize,
    /// Addresses to listen on.
    pub listen: Listen,
    /// Certificate and versions, shared by TLS and QUIC.
    pub tls: Tls,
    /// How QUIC is spread over the workers.
    pub quic: Quic,
    /// Limits and times of a connection.
    pub connections: Connections,
    /// Times around tokens.
    pub tokens: Tokens,
    /// What becomes of sessions whose connection is lost.
    pub sessions: Sessions,
    /// Limits of rooms.
    pub rooms: Rooms,
    /// What a session may ask of conversations.
    pub conversations: Conversations,
    /// The server API.
    pub api: Api,
    /// What is logged and how.
    pub log: Log,
    /// The apps (tenants) that may log in. Keys are unique.
    pub apps: Vec<App>,
}

/// Addresses to listen on; `None` means off. Port 0 lets the system choose.
#[derive(Debug, Clone)]
pub struct Listen {
    /// Plain TCP. Default `127.0.0.1:7400`.
    pub tcp: Option<SocketAddr>,
    /// TLS over TCP. Default `127.0.0.1:7401`.
    pub tls: Option<SocketAddr>,
    /// QUIC, a UDP port. Default `127.0.0.1:7401`.
    pub quic: Option<SocketAddr>,
    /// HTTP for metrics and health. Default `127.0.0.1:7480`.
    pub http: Option<SocketAddr>,
    /// The server API. Default `127.0.0.1:7482`.
    pub api: Option<SocketAddr>,
    /// Whether plain TCP may listen beyond loopback, where tokens and messages can be read on the way. Default no.
    pub allow_plaintext: bool,
    /// Whether HTTP, which asks nobody for a password, may listen beyond loopback. Default no.
    pub allow_public_http: bool,
}

/// Certificate and versions, shared by TLS and QUIC.
#[derive(Debug, Clone)]
pub struct Tls {
    /// PEM file with the certificate chain, the server's own first. Default `DATA/certificate.pem`.
    pub certificate: PathBuf,
    /// PEM file with the private key of that certificate. Default `DATA/key.pem`.
    pub key: PathBuf,
    /// The oldest version taken over TCP; QUIC is always 1.3. Default 1.3.
    pub minimum_version: TlsVersion,
}

/// How QUIC is spread over the workers.
#[derive(Debug, Clone)]
pub struct Quic {
    /// Whether every worker has a QUIC endpoint; otherwise one has. Default yes.
    pub steering: bool,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2.
    V1_2,
    /// TLS 1.3.
    V1_3,
}

/// Limits and times of a connection.
#[derive(Debug, Clone)]
pub struct Connections {
    /// Most connections at once, all transports and workers together. Default: 80 % of the open files allowed.
    pub max: usize,
    /// How long a TLS or QUIC handshake may take. Default 5 s.
    pub handshake_timeout: Duration,
    /// Most TLS and QUIC handshakes at once. Default 1000.
    pub handshakes_max: usize,
    /// How long a connection may take from its start to its login. Default 10 s.
    pub login_timeout: Duration,
    /// How often a silent client sends a ping; after 2.5 of these it is taken for gone. Default 30 s.
    pub heartbeat_interval: Duration,
    /// How long a closing connection may take to read its last frame. Default 2 s.
    pub closing_timeout: Duration,
    /// Most bytes of replies and one-to-one events that wait for one connection. Default 256 KiB.
    pub private_queue_bytes: usize,
    /// Most memory for all that waits for clients: private queues and room logs, all workers together. Default 1 GiB.
    pub backlog_bytes: usize,
    /// Failed logins from one address in a minute that are told why, for each worker. Default 30.
    pub failed_logins_per_minute: usize,
}

/// What becomes of sessions whose connection is lost.
#[derive(Debug, Clone)]
pub struct Sessions {
    /// How long a session and its places in rooms are kept for its client to come back; nothing: not at all. Default 30 s.
    pub resume_window: Duration,
}

/// Times around tokens, and who may issue them.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// How long before its token expires a client is warned. Default 30 s.
    pub warning: Duration,
    /// How long after its token has expired a client may still renew it. Default 30 s.
    pub grace: Duration,
    /// How far an app server's clock may run ahead: applies to `iat` and `nbf`, never to `exp`. Default 30 s.
    pub leeway: Duration,
    /// Whether `sluice token` may issue tokens with the secrets of this configuration. Default no.
    pub operator_tokens: bool,
}

/// Limits of rooms.
#[derive(Debug, Clone)]
pub struct Rooms {
    /// Messages a sender may send to rooms of the kind `live`. Default 5 per second.
    pub live_messages_per_second: Rate,
    /// Messages of each type a sender may send to rooms of the kind `room`. Default 10 per second.
    pub room_messages_per_second: Rate,
    /// Commands to enter or leave rooms that a session may send each second; 100. Each may cost one write per member.
    pub moves_per_second: Rate,
    /// Attributes of rooms that a session may set or delete each second, one of more than 512 bytes counted for each 512 it begins.
    /// Default 10.
    pub attribute_writes_per_second: Rate,
    /// Questions about rooms that a session may ask each second, one with an answer of more than 64 KiB counted for each 64 KiB it
    /// begins. Default 10.
    pub queries_per_second: Rate,
    /// Most members of a room of the kind `room`; `None` for no limit. Default none.
    pub room_members_max: Option<usize>,
    /// Most members of a room of the kind `live`; `None` for no limit. Default none.
    pub live_members_max: Option<usize>,
    /// How long a room of the kind `live` may be without a message or a join. Default an hour.
    pub live_idle: Duration,
    /// Messages of classes that may be shed which a room of the kind `live` distributes in any 200 ms. Default 40.
    pub live_budget: Budget,
    /// How many of those are for class high alone. Default 20.
    pub live_budget_for_high: usize,
    /// Memory for what a room keeps on each worker for members that are slow to read. Default 8 MiB.
    pub log_bytes: usize,
    /// Up to this many members, each join and leave is an event of its own. Default 500.
    pub member_events_each: usize,
    /// Up to this many members, joins and leaves come in digests; beyond, only counts do. Default 10000.
    pub member_events_digest: usize,
    /// Time between two digests. Default 1 s.
    pub digest_interval: Duration,
    /// Time between two counts. Default 5 s.
    pub count_interval: Duration,
    /// Values that may wait in the mailbox from one worker to another. Default 65536.
    pub mailbox_messages: usize,
}

/// What a session may ask of conversations. How they are kept, each app says for itself: [`AppConversations`].
#[derive(Debug, Clone)]
pub struct Conversations {
    /// Commands that change something, but for messages, that a session may send each second. Default 20.
    pub writes_per_second: Rate,
    /// Questions that a session may ask each second. Default 10.
    pub queries_per_second: Rate,
}

/// The server API, by which the apps' own servers steer the gateway.
#[derive(Debug, Clone)]
pub struct Api {
    /// Whether it is served over TLS, with the certificate of [`Tls`]. Default no.
    pub tls: bool,
    /// Whether it may listen beyond loopback. Needs TLS, and secrets of 32 bytes. Default no.
    pub allow_public: bool,
    /// Wrongly signed calls from one address in a minute that are told what is wrong. Default 30.
    pub failed_signatures_per_minute: usize,
    /// How large the audit log may become before it begins anew; the last one is kept beside it. Default 64 MiB.
    pub audit_bytes: usize,
}

/// How often something may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// At most this often in a second, at least 1.
    PerSecond(u32),
    /// As often as one likes.
    Unlimited,
}

/// How much there may be in a window of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    /// At most this many, at least 1.
    Messages(usize),
    /// As many as come.
    Unlimited,
}

/// What is logged and how.
#[derive(Debug, Clone)]
pub struct Log {
    /// Default text.
    pub format: LogFormat,
    /// A level, or directives per module as in `info,sluice_gateway::room=debug`. Default `info`.
    pub level: String,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

impl Config {
    /// Layers defaults, file, environment and flags, in rising order, and checks the whole.
    ///
    /// # Errors
    /// All that is wrong, in every layer, each with its origin and what was expected.
    pub fn load(sources: &Sources) -> Result<Loaded, Problems> {
        layers::load(sources)
    }

    /// Whether anything is served with the certificate.
    pub(crate) fn needs_certificate(&self) -> bool {
        let api = self.api.tls && self.listen.api.is_some();
        self.listen.tls.is_some() || self.listen.quic.is_some() || api
    }

    /// All defaults, for a gateway that keeps its things in `data`. There is no app in it yet.
    pub(crate) fn defaults(data: &Path) -> Self {
        layers::defaults(data)
    }
}
