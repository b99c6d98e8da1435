//! The table of settings: every key once, with its kind, range, default, meaning and what raising it costs.
//!
//! The loader, the names in the environment, `sluice config` and `docs/configuration.md` are made from it. Keys of an
//! app are in the tables of `config/app.rs`, which have the same shape.

use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use sluice_protocol::limits;

use super::certificate::{CERTIFICATE_FILE, KEY_FILE};
use super::kind::Kind;
use super::{Config, LogFormat, TlsVersion};

/// One setting of the struct `S`.
pub(super) struct Setting<S: 'static> {
    /// Its name in a TOML file, with dots between sections.
    pub(super) path: &'static str,
    pub(super) kind: Kind<S>,
    pub(super) default: Default,
    /// What it does, in a sentence.
    pub(super) meaning: &'static str,
    /// What raising it, or switching it on, costs.
    pub(super) cost: &'static str,
}

/// What holds where nobody says anything.
pub(super) enum Default {
    /// This text, as if it had been written.
    Text(&'static str),
    /// A file of this name in the data folder.
    InData(&'static str),
    /// An empty list.
    Empty,
    /// Nothing: it may be left out.
    Absent,
    /// Nothing: it must be said.
    Required,
}

impl<S> Setting<S> {
    /// Its name in the environment.
    pub(super) fn variable(&self) -> String {
        format!("{VARIABLE_PREFIX}{}", self.path.to_ascii_uppercase().replace('.', "__"))
    }
}

/// How every variable begins that is meant for the gateway.
pub(super) const VARIABLE_PREFIX: &str = "SLUICE_";

/// One per core is the design; this leaves room for any machine one can buy.
const WORKERS_MAX: usize = 1024;

/// Above any machine's memory: a hundred million connections of a kilobyte each.
const CONNECTIONS_MAX: usize = 100_000_000;

/// Below, a phone's radio would never sleep; above, the gateway would keep the dead for half an hour.
const HEARTBEAT_MIN: Duration = Duration::from_millis(100);
const HEARTBEAT_MAX: Duration = Duration::from_secs(600);

/// Waits for a peer are at least this long, or a slow network never gets through.
const WAIT_MIN: Duration = Duration::from_millis(100);

/// Waits for a peer are at most this long, or a silent one holds a descriptor for nothing.
const WAIT_MAX: Duration = Duration::from_secs(120);

/// A day is the life of a short token: nobody warns or forgives for longer than that.
const TOKEN_TIME_MAX: Duration = Duration::from_secs(86_400);

/// Clocks further apart than this are broken, not late.
const LEEWAY_MAX: Duration = Duration::from_secs(600);

/// More bytes than this for one queue is a memory limit nobody set on purpose.
const QUEUE_BYTES_MAX: usize = 1 << 30;

/// Each message of a budget takes memory in every busy room; more than this in 200 ms is no budget.
pub(super) const BUDGET_MAX: usize = 100_000;

/// Whoever fails more often in a minute than this is no person behind a slip of the pen, however many share an address.
const FAILED_LOGINS_MAX: usize = 1_000_000;

/// Places that are kept for longer are ghosts to everybody else in the room.
const RESUME_WINDOW_MAX: Duration = Duration::from_secs(600);

/// Room for a busy room's log and some private queues on each of a few workers.
const BACKLOG_BYTES_MIN: usize = 16 << 20;

/// Above any machine's memory.
const BACKLOG_BYTES_MAX: usize = 1 << 46;

/// Above any room there is.
pub(super) const MEMBERS_MAX: usize = 10_000_000;

/// A room that is idle for less may be waiting for its next message; one that is for longer is forgotten.
pub(super) const IDLE_MIN: Duration = Duration::from_secs(60);
pub(super) const IDLE_MAX: Duration = Duration::from_secs(7 * 86_400);

/// Above it, joins and leaves could not be told from counts any more.
const MEMBER_EVENTS_MAX: usize = 10_000_000;

/// More waiting values than this are seconds of work that nobody waits for any more.
const MAILBOX_MAX: usize = 1 << 24;

/// More than this in a minute is no guess but a flood, and telling it apart costs memory for each.
const FAILED_SIGNATURES_MAX: usize = 10_000;

/// Some thousand changes.
const AUDIT_BYTES_MIN: usize = 1 << 20;

/// More than anybody reads.
const AUDIT_BYTES_MAX: usize = 1 << 40;

/// The descriptors that `auto` leaves for files, the store and HTTP: a fifth of what the system allows.
const CONNECTIONS_SHARE_PERCENT: u64 = 80;

/// Stands in where the system sets no limit on open files.
const OPEN_FILES_UNLIMITED: u64 = 1 << 20;

/// Every setting but those of apps, by section.
pub(super) const SETTINGS: &[Setting<Config>] = &[
    Setting {
        path: "data",
        kind: Kind::Path(|c| &mut c.data),
        default: Default::Text("./data"),
        meaning: "The folder for all that the gateway keeps.",
        cost: "",
    },
    Setting {
        path: "workers",
        kind: Kind::Count {
            min: 1,
            max: WORKERS_MAX,
            auto: Some(cores),
            field: |c| &mut c.workers,
        },
        default: Default::Text("auto"),
        meaning: "Worker threads, each with its own listener, connections and slice of every room. `auto` is one per core.",
        cost: "A thread each, and a copy of the log of every room with members on it. More than cores only adds switching.",
    },
    Setting {
        path: "listen.tcp",
        kind: Kind::Address(|c| &mut c.listen.tcp),
        default: Default::Text("127.0.0.1:7400"),
        meaning: "Address for plain TCP. Port 0 lets the system choose.",
        cost: "Off loopback it needs `listen.allow_plaintext`.",
    },
    Setting {
        path: "listen.tls",
        kind: Kind::Address(|c| &mut c.listen.tls),
        default: Default::Text("127.0.0.1:7401"),
        meaning: "Address for TLS over TCP.",
        cost: "About 9 KiB more per connection than plain TCP.",
    },
    Setting {
        path: "listen.quic",
        kind: Kind::Address(|c| &mut c.listen.quic),
        default: Default::Text("127.0.0.1:7401"),
        meaning: "Address for QUIC, a UDP port; it may have the number of a TCP port.",
        cost: "30 KiB per connection, and up to 50 once it has carried much.",
    },
    Setting {
        path: "listen.http",
        kind: Kind::Address(|c| &mut c.listen.http),
        default: Default::Text("127.0.0.1:7480"),
        meaning: "Address for `/metrics`, `/livez` and `/readyz`.",
        cost: "Off loopback it needs `listen.allow_public_http`.",
    },
    Setting {
        path: "listen.api",
        kind: Kind::Address(|c| &mut c.listen.api),
        default: Default::Text("127.0.0.1:7482"),
        meaning: "Address for the server API, by which the apps' own servers steer the gateway.",
        cost: "Off loopback it needs `api.tls`, `api.allow_public` and API secrets of 32 bytes.",
    },
    Setting {
        path: "listen.allow_plaintext",
        kind: Kind::Boolean(|c| &mut c.listen.allow_plaintext),
        default: Default::Text("false"),
        meaning: "Whether plain TCP may listen off loopback, for instance behind a proxy that ends TLS.",
        cost: "Tokens and messages can be read and changed on the way.",
    },
    Setting {
        path: "listen.allow_public_http",
        kind: Kind::Boolean(|c| &mut c.listen.allow_public_http),
        default: Default::Text("false"),
        meaning: "Whether HTTP may listen off loopback, for instance in a private network.",
        cost: "Whoever reaches it reads the metrics: it asks for no password.",
    },
    Setting {
        path: "tls.certificate",
        kind: Kind::Path(|c| &mut c.tls.certificate),
        default: Default::InData(CERTIFICATE_FILE),
        meaning: "PEM file with the certificate chain for TLS and QUIC, the server's own certificate first.",
        cost: "",
    },
    Setting {
        path: "tls.key",
        kind: Kind::Path(|c| &mut c.tls.key),
        default: Default::InData(KEY_FILE),
        meaning: "PEM file with the private key of that certificate. ECDSA P-256 is the cheapest to serve.",
        cost: "",
    },
    Setting {
        path: "tls.minimum_version",
        kind: Kind::Text {
            expected: "\"1.3\" or \"1.2\"",
            read: |c, text| {
                c.tls.minimum_version = match text {
                    "1.2" => TlsVersion::V1_2,
                    "1.3" => TlsVersion::V1_3,
                    _ => return None,
                };
                Some(())
            },
            show: |c| match c.tls.minimum_version {
                TlsVersion::V1_2 => "1.2".into(),
                TlsVersion::V1_3 => "1.3".into(),
            },
        },
        default: Default::Text("1.3"),
        meaning: "The oldest TLS version taken over TCP. QUIC is always 1.3.",
        cost: "1.2 needs one more round trip to connect.",
    },
    Setting {
        path: "quic.steering",
        kind: Kind::Boolean(|c| &mut c.quic.steering),
        default: Default::Text("true"),
        meaning: "Whether every worker has a QUIC endpoint of its own, on one port: a filter in the kernel leads each packet to its worker by the connection id. Where the system does not allow the filter, or with `false`, one worker has all QUIC connections.",
        cost: "None. `false` leaves all QUIC connections to one core.",
    },
    Setting {
        path: "connections.max",
        kind: Kind::Count {
            min: 1,
            max: CONNECTIONS_MAX,
            auto: Some(most_connections),
            field: |c| &mut c.connections.max,
        },
        default: Default::Text("auto"),
        meaning: "Most connections at once, all transports and workers together; others are turned away. `auto` is 80 % of the open files the system allows (`ulimit -Hn`).",
        cost: "Memory per connection, see `listen.*`; it cannot exceed the open files allowed.",
    },
    Setting {
        path: "connections.handshake_timeout",
        kind: Kind::Duration {
            min: WAIT_MIN,
            max: WAIT_MAX,
            field: |c| &mut c.connections.handshake_timeout,
        },
        default: Default::Text("5s"),
        meaning: "How long a TLS or QUIC handshake may take.",
        cost: "Silent peers hold a place among `connections.handshakes_max` for longer.",
    },
    Setting {
        path: "connections.handshakes_max",
        kind: Kind::Count {
            min: 1,
            max: 1_000_000,
            auto: None,
            field: |c| &mut c.connections.handshakes_max,
        },
        default: Default::Text("1000"),
        meaning: "Most TLS and QUIC handshakes at once; others wait or are turned away.",
        cost: "About 50 KiB and a third of a millisecond of CPU each.",
    },
    Setting {
        path: "connections.login_timeout",
        kind: Kind::Duration {
            min: WAIT_MIN,
            max: WAIT_MAX,
            field: |c| &mut c.connections.login_timeout,
        },
        default: Default::Text("10s"),
        meaning: "How long a connection may take from its start to its login; then it is closed with 4108.",
        cost: "Strangers hold a descriptor for longer.",
    },
    Setting {
        path: "connections.heartbeat_interval",
        kind: Kind::Duration {
            min: HEARTBEAT_MIN,
            max: HEARTBEAT_MAX,
            field: |c| &mut c.connections.heartbeat_interval,
        },
        default: Default::Text("30s"),
        meaning: "How often an otherwise silent client pings, announced at login. After 2.5 intervals of silence it is closed with 30013.",
        cost: "The dead are found later. Lowering it costs a ping and a pong per client and interval, and batteries.",
    },
    Setting {
        path: "connections.closing_timeout",
        kind: Kind::Duration {
            min: WAIT_MIN,
            max: WAIT_MAX,
            field: |c| &mut c.connections.closing_timeout,
        },
        default: Default::Text("2s"),
        meaning: "How long a connection that is being closed may take to read its last frame, which says why.",
        cost: "Closing connections hold a descriptor for longer.",
    },
    Setting {
        path: "connections.private_queue_bytes",
        kind: Kind::Size {
            // A queue that cannot hold one frame closes whoever is sent it.
            min: limits::CLIENT_FRAME_BYTES,
            max: QUEUE_BYTES_MAX,
            field: |c| &mut c.connections.private_queue_bytes,
        },
        default: Default::Text("256KiB"),
        meaning: "Most bytes of one-to-one events that wait for one connection, beside the answers it asked for; a client that lags further is closed as slow.",
        cost: "This much memory for each client that does not read. Idle clients cost nothing.",
    },
    Setting {
        path: "connections.backlog_bytes",
        kind: Kind::Size {
            min: BACKLOG_BYTES_MIN,
            max: BACKLOG_BYTES_MAX,
            field: |c| &mut c.connections.backlog_bytes,
        },
        default: Default::Text("1GiB"),
        meaning: "Most memory for all that waits for clients: their private queues and the logs of rooms. Each worker has an equal share. Beyond it the connections that lag furthest are closed as slow.",
        cost: "This much memory when many clients do not read.",
    },
    Setting {
        path: "connections.failed_logins_per_minute",
        kind: Kind::Count {
            min: 1,
            max: FAILED_LOGINS_MAX,
            auto: None,
            field: |c| &mut c.connections.failed_logins_per_minute,
        },
        default: Default::Text("30"),
        meaning: "Logins from one address (in IPv6, one /64) that fail for their app, token or user and are told why, in a minute and on each worker; further ones get 30015. Logins that are good always pass.",
        cost: "Whoever guesses learns more each minute.",
    },
    Setting {
        path: "sessions.resume_window",
        kind: Kind::Duration {
            min: Duration::ZERO,
            max: RESUME_WINDOW_MAX,
            field: |c| &mut c.sessions.resume_window,
        },
        default: Default::Text("30s"),
        meaning: "How long a session whose connection is lost keeps its places in rooms, so that its client can go on with it on another connection and nobody notices. `0s`: it leaves at once, and nothing can be resumed.",
        cost: "Rooms show members for longer who are gone. About 300 bytes for each lost session and 40 for each of its rooms.",
    },
    Setting {
        path: "tokens.warning",
        kind: Kind::Duration {
            min: Duration::from_secs(1),
            max: TOKEN_TIME_MAX,
            field: |c| &mut c.tokens.warning,
        },
        default: Default::Text("30s"),
        meaning: "How long before its token expires a client is warned.",
        cost: "Earlier renewals. A token with a shorter life is warned about at once.",
    },
    Setting {
        path: "tokens.grace",
        kind: Kind::Duration {
            min: Duration::ZERO,
            max: TOKEN_TIME_MAX,
            field: |c| &mut c.tokens.grace,
        },
        default: Default::Text("30s"),
        meaning: "How long after its token has expired a client stays connected and may renew it.",
        cost: "A revoked user stays connected for longer.",
    },
    Setting {
        path: "tokens.leeway",
        kind: Kind::Duration {
            min: Duration::ZERO,
            max: LEEWAY_MAX,
            field: |c| &mut c.tokens.leeway,
        },
        default: Default::Text("30s"),
        meaning: "How far the clock of an app server may run ahead: applies to `iat` and `nbf` of a token; `exp` is exact.",
        cost: "Tokens are good this much before they say so.",
    },
    Setting {
        path: "tokens.operator_tokens",
        kind: Kind::Boolean(|c| &mut c.tokens.operator_tokens),
        default: Default::Text("false"),
        meaning: "Whether `sluice token --config FILE` issues tokens with the secrets of the file. Development mode always does.",
        cost: "Whoever can read the file can log in as anybody with one command.",
    },
    Setting {
        path: "rooms.live_messages_per_second",
        kind: Kind::Rate(|c| &mut c.rooms.live_messages_per_second),
        default: Default::Text("5"),
        meaning: "Messages a sender may send each second to rooms of the kind `live`; beyond it, 20604.",
        cost: "Every message costs one write per member.",
    },
    Setting {
        path: "rooms.room_messages_per_second",
        kind: Kind::Rate(|c| &mut c.rooms.room_messages_per_second),
        default: Default::Text("10"),
        meaning: "Messages of each type a sender may send each second to rooms of the kind `room`; beyond it, 20604.",
        cost: "Every message costs one write per member.",
    },
    Setting {
        path: "rooms.moves_per_second",
        kind: Kind::Rate(|c| &mut c.rooms.moves_per_second),
        default: Default::Text("100"),
        meaning: "Commands to enter or leave rooms a session may send each second; beyond it, 20607 `rate`.",
        cost: "In rooms of up to `rooms.member_events_each` members each may cost one write per member, which slow members may not miss.",
    },
    Setting {
        path: "rooms.attribute_writes_per_second",
        kind: Kind::Rate(|c| &mut c.rooms.attribute_writes_per_second),
        default: Default::Text("10"),
        meaning: "Attributes of rooms a session may set or delete each second, one of more than 512 bytes counted for each 512 it begins; beyond it, 20607 `rate`. One command may have more: the session then waits for longer. A room takes 100 each second, whoever writes them.",
        cost: "Each is up to 512 bytes for every member, which slow members may not miss.",
    },
    Setting {
        path: "rooms.queries_per_second",
        kind: Kind::Rate(|c| &mut c.rooms.queries_per_second),
        default: Default::Text("10"),
        meaning: "Questions about rooms and their members a session may ask each second, one with an answer of more than 64 KiB counted for each 64 KiB it begins; beyond it, 20607 `rate`.",
        cost: "A page of members is up to 60 KiB, all attributes of a room up to 430 KiB.",
    },
    Setting {
        path: "rooms.room_members_max",
        kind: Kind::Cap {
            max: MEMBERS_MAX,
            field: |c| &mut c.rooms.room_members_max,
        },
        default: Default::Text("unlimited"),
        meaning: "Most members of a room of the preset `room`; beyond it, 23411. Users on the room's allow list and those the app's server put inside neither count nor are refused.",
        cost: "Every message costs one write per member.",
    },
    Setting {
        path: "rooms.live_members_max",
        kind: Kind::Cap {
            max: MEMBERS_MAX,
            field: |c| &mut c.rooms.live_members_max,
        },
        default: Default::Text("unlimited"),
        meaning: "The same for rooms of the preset `live`.",
        cost: "Every message costs one write per member.",
    },
    Setting {
        path: "rooms.live_idle",
        kind: Kind::Duration {
            min: IDLE_MIN,
            max: IDLE_MAX,
            field: |c| &mut c.rooms.live_idle,
        },
        default: Default::Text("1h"),
        meaning: "After how long without a message or a join a room of the preset `live` ends, and its members are told.",
        cost: "Rooms that nobody needs stay for longer.",
    },
    Setting {
        path: "rooms.live_budget",
        kind: Kind::Budget(|c| &mut c.rooms.live_budget),
        default: Default::Text("40"),
        meaning: "Messages that a room of the preset `live` gives to its members in any 200 ms, those that may not be shed not counted. What is more is shed: it keeps its place in the room and in its history, its sender is told `distributed = false`, and the members are told by a gap notice.",
        cost: "Every message costs one write per member.",
    },
    Setting {
        path: "rooms.live_budget_for_high",
        kind: Kind::Count {
            min: 0,
            max: BUDGET_MAX,
            auto: None,
            field: |c| &mut c.rooms.live_budget_for_high,
        },
        default: Default::Text("20"),
        meaning: "How many of `rooms.live_budget` are for messages of class high alone, so that lower classes are shed first.",
        cost: "Fewer places for the lower classes.",
    },
    Setting {
        path: "rooms.log_bytes",
        kind: Kind::Size {
            // The log must hold the largest frame there is.
            min: limits::SERVER_FRAME_BYTES,
            max: QUEUE_BYTES_MAX,
            field: |c| &mut c.rooms.log_bytes,
        },
        default: Default::Text("8MiB"),
        meaning: "Memory for what a room keeps on each worker for members that are slow to read. A member may lag by an eighth of it; who lags further loses the lowest classes first, is told how many, and is closed as slow where even what may not be shed is more.",
        cost: "At most this much memory per busy room and worker; it is freed once all members have read.",
    },
    Setting {
        path: "rooms.member_events_each",
        kind: Kind::Count {
            min: 0,
            max: MEMBER_EVENTS_MAX,
            auto: None,
            field: |c| &mut c.rooms.member_events_each,
        },
        default: Default::Text("500"),
        meaning: "Up to this many members, each join and leave is an event of its own.",
        cost: "Members × joins frames: everybody's join is a write to everybody.",
    },
    Setting {
        path: "rooms.member_events_digest",
        kind: Kind::Count {
            min: 0,
            max: MEMBER_EVENTS_MAX,
            auto: None,
            field: |c| &mut c.rooms.member_events_digest,
        },
        default: Default::Text("10000"),
        meaning: "Up to this many members, joins and leaves come in digests; beyond, only counts do.",
        cost: "Digests grow with joins, and every member gets each.",
    },
    Setting {
        path: "rooms.digest_interval",
        kind: Kind::Duration {
            min: Duration::from_millis(100),
            max: Duration::from_secs(60),
            field: |c| &mut c.rooms.digest_interval,
        },
        default: Default::Text("1s"),
        meaning: "Time between two digests of a room.",
        cost: "Members hear of each other later. Lowering it costs a write per member and interval.",
    },
    Setting {
        path: "rooms.count_interval",
        kind: Kind::Duration {
            min: Duration::from_millis(100),
            max: Duration::from_secs(600),
            field: |c| &mut c.rooms.count_interval,
        },
        default: Default::Text("5s"),
        meaning: "Time between two counts of a room.",
        cost: "Counts are older. Lowering it costs a write per member and interval.",
    },
    Setting {
        path: "rooms.mailbox_messages",
        kind: Kind::Count {
            min: 1024,
            max: MAILBOX_MAX,
            auto: None,
            field: |c| &mut c.rooms.mailbox_messages,
        },
        default: Default::Text("65536"),
        meaning: "Values that may wait in the mailbox of a worker, each KiB of a message counted as one more; a full one turns commands away as busy.",
        cost: "Up to 1 KiB each, and as much more delay when workers are behind.",
    },
    Setting {
        path: "conversations.writes_per_second",
        kind: Kind::Rate(|c| &mut c.conversations.writes_per_second),
        default: Default::Text("20"),
        meaning: "Commands that change something about conversations, but for messages, that a session may send each second; beyond it, 20607 `rate`.",
        cost: "Each is written to disk by the one thread that writes.",
    },
    Setting {
        path: "conversations.queries_per_second",
        kind: Kind::Rate(|c| &mut c.conversations.queries_per_second),
        default: Default::Text("10"),
        meaning: "Questions about conversations, pages of history and of what was missed among them, that a session may ask each second; beyond it, 20607 `rate`.",
        cost: "A page is up to 512 KiB, and up to some thousand messages are read for one.",
    },
    Setting {
        path: "api.tls",
        kind: Kind::Boolean(|c| &mut c.api.tls),
        default: Default::Text("false"),
        meaning: "Whether the server API is served over TLS, with the certificate of `[tls]`.",
        cost: "A handshake for each connection, a third of a millisecond.",
    },
    Setting {
        path: "api.allow_public",
        kind: Kind::Boolean(|c| &mut c.api.allow_public),
        default: Default::Text("false"),
        meaning: "Whether the server API may listen off loopback. Only with `api.tls`, and when every API secret has at least 32 bytes.",
        cost: "Whoever reaches it and has a secret, or sees a `sha1` signature, steers the app.",
    },
    Setting {
        path: "api.failed_signatures_per_minute",
        kind: Kind::Count {
            min: 1,
            max: FAILED_SIGNATURES_MAX,
            auto: None,
            field: |c| &mut c.api.failed_signatures_per_minute,
        },
        default: Default::Text("30"),
        meaning: "Wrongly signed calls from one address in a minute that are answered 1004; further ones get 1008. Rightly signed calls always pass.",
        cost: "Whoever guesses secrets learns more each minute.",
    },
    Setting {
        path: "api.audit_bytes",
        kind: Kind::Size {
            min: AUDIT_BYTES_MIN,
            max: AUDIT_BYTES_MAX,
            field: |c| &mut c.api.audit_bytes,
        },
        default: Default::Text("64MiB"),
        meaning: "How large `audit.log` in the data folder may become: then it is renamed to `audit.log.1`, in place of the one before, and begins anew.",
        cost: "Twice this much disk. A change takes about 300 bytes.",
    },
    Setting {
        path: "log.format",
        kind: Kind::Text {
            expected: "\"text\" or \"json\"",
            read: |c, text| {
                c.log.format = match text {
                    "text" => LogFormat::Text,
                    "json" => LogFormat::Json,
                    _ => return None,
                };
                Some(())
            },
            show: |c| match c.log.format {
                LogFormat::Text => "text".into(),
                LogFormat::Json => "json".into(),
            },
        },
        default: Default::Text("text"),
        meaning: "`text` for people, `json` for machines: one object per line. Both go to standard error.",
        cost: "",
    },
    Setting {
        path: "log.level",
        kind: Kind::Text {
            expected: "a level (\"off\", \"error\", \"warn\", \"info\", \"debug\", \"trace\") or directives such as \"info,sluice_gateway::room=debug\"",
            read: |c, text| {
                c.log.level = Some(text).filter(|text| is_log_level(text))?.to_owned();
                Some(())
            },
            show: |c| c.log.level.clone(),
        },
        default: Default::Text("info"),
        meaning: "How much is logged: a level, or levels per module.",
        cost: "`debug` writes some lines per connection, `trace` some per frame.",
    },
];

/// `EnvFilter` takes a lone word for the name of a module, so that `inof` would silently mean "everything of a module
/// called inof": a directive without `=` must be a level here.
fn is_log_level(text: &str) -> bool {
    let levels = ["off", "error", "warn", "info", "debug", "trace"];
    let each = text
        .split(',')
        .all(|part| part.contains('=') || levels.contains(&part.trim()));
    each && tracing_subscriber::EnvFilter::try_new(text).is_ok()
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The open files that this process may have at most; starting the gateway raises its limit to this.
pub(super) fn open_files_max() -> usize {
    usize::try_from(getrlimit(Resource::Nofile).maximum.unwrap_or(OPEN_FILES_UNLIMITED)).unwrap_or(usize::MAX)
}

fn most_connections() -> usize {
    usize::try_from(open_files_max() as u64 * CONNECTIONS_SHARE_PERCENT / 100).unwrap_or(usize::MAX)
}
