//! The layers and their order: defaults, the file, the environment, flags; then the whole is judged.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::app::{AppOrigins, DEVELOPMENT_APP_FILE};
use super::document::{self, Document, Sense};
use super::kind::{Written, quoted};
use super::origin::{Origin, Problem, Problems};
use super::settings::{Default, SETTINGS, Setting};
use super::suggestion::nearest;
use super::{
    Api, Budget, Config, Connections, Conversations, Listen, Log, LogFormat, Quic, Rate, Rooms, Sessions, Tls,
    TlsVersion, Tokens,
};
use super::{effective, environment, unsafe_mix};

/// Everything a configuration can come from.
#[derive(Debug, Clone, std::default::Default)]
pub struct Sources {
    /// The TOML file. Without one the gateway is in development mode.
    pub file: Option<PathBuf>,
    /// The environment, names and values; names that do not begin with `SLUICE_` are left alone.
    pub environment: Vec<(String, String)>,
    /// Settings on the command line; later ones win.
    pub flags: Vec<Flag>,
}

/// A setting on the command line.
#[derive(Debug, Clone)]
pub struct Flag {
    /// The flag as typed, for problems: `--tcp` or `--set listen.tcp`.
    pub name: String,
    /// The setting, such as `listen.tcp`.
    pub path: String,
    /// The value as typed.
    pub value: String,
}

/// How the gateway was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// With a configuration file.
    Configured,
    /// Without one: an app `dev` and a self-signed certificate are made where they are missing.
    Development,
}

/// A configuration and where its parts came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration itself.
    pub config: Config,
    /// How the gateway was started.
    pub mode: Mode,
    /// In the order of the table of settings.
    pub(super) origins: Vec<Origin>,
    /// In the order of [`Config::apps`].
    pub(super) app_origins: Vec<AppOrigins>,
}

impl Loaded {
    /// The effective configuration as TOML, with the origin of every value as a comment and secrets masked.
    #[must_use]
    pub fn effective(&self) -> String {
        effective::print(self)
    }

    /// Whether certificate and key are where development mode keeps its own.
    #[must_use]
    pub fn certificate_is_default(&self) -> bool {
        let default = |path| *self.origin(path) == Origin::Default;
        default("tls.certificate") && default("tls.key")
    }

    /// Where the value of a setting came from.
    pub(super) fn origin(&self, path: &str) -> &Origin {
        let setting = SETTINGS.iter().position(|setting| setting.path == path);
        &self.origins[setting.expect("a path of the table of settings")]
    }
}

/// A value for one setting.
#[derive(Debug)]
pub(super) struct Entry {
    /// The setting's place in the table.
    pub(super) setting: usize,
    pub(super) written: Written,
    pub(super) origin: Origin,
}

pub(super) fn load(sources: &Sources) -> Result<Loaded, Problems> {
    let mut problems = Vec::new();
    let file = sources.file.as_ref().map(|path| document::read(path, &mut problems));
    let loaded = layer(sources, file, &mut problems);
    if problems.is_empty() {
        Ok(loaded)
    } else {
        Err(Problems::new(problems))
    }
}

/// Puts the layers on each other. `file` is what the configuration file says, where there is one.
fn layer(sources: &Sources, file: Option<Document>, problems: &mut Vec<Problem>) -> Loaded {
    let mode = if file.is_some() {
        Mode::Configured
    } else {
        Mode::Development
    };
    let mut loaded = Loaded {
        config: unset(),
        mode,
        origins: vec![Origin::Default; SETTINGS.len()],
        app_origins: Vec::new(),
    };
    for setting in SETTINGS {
        set_default(&mut loaded.config, setting);
    }

    let mut document = file.unwrap_or_default();
    let entries = std::mem::take(&mut document.entries);
    // Paths in a file start at its folder, wherever the gateway was started; others at the working folder.
    let base = sources.file.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
    let mut broken = BTreeSet::new();
    apply(&mut loaded, entries, base, &mut broken, problems);
    let entries = environment::entries(&sources.environment, problems);
    apply(&mut loaded, entries, Path::new(""), &mut broken, problems);
    let entries = flag_entries(&sources.flags, problems);
    apply(&mut loaded, entries, Path::new(""), &mut broken, problems);

    // These follow the data folder, which is known only now.
    for (setting, origin) in SETTINGS.iter().zip(&loaded.origins) {
        if *origin == Origin::Default {
            set_default(&mut loaded.config, setting);
        }
    }
    if mode == Mode::Development {
        let made = loaded.config.data.join(DEVELOPMENT_APP_FILE);
        if made.exists() {
            document = document::read(&made, problems);
            let strangers = std::mem::take(&mut document.entries);
            problems.extend(strangers.iter().map(|entry| {
                let path = SETTINGS[entry.setting].path;
                Problem::new(
                    &entry.origin,
                    format!("{path}: found in the file of the development app, expected [[apps]] only"),
                )
            }));
        }
    }
    (loaded.config.apps, loaded.app_origins) = document.apps.into_iter().unzip();
    match document.sense {
        Sense::Complete => unsafe_mix::check(&loaded, &broken, problems),
        Sense::WithoutApps => {
            broken.insert("apps");
            unsafe_mix::check(&loaded, &broken, problems);
        }
        // What the file meant to say is unknown, so nothing can be said about the whole.
        Sense::None => {}
    }
    loaded
}

fn apply(
    loaded: &mut Loaded,
    entries: Vec<Entry>,
    base: &Path,
    broken: &mut BTreeSet<&'static str>,
    problems: &mut Vec<Problem>,
) {
    for entry in entries {
        let setting = &SETTINGS[entry.setting];
        match setting.kind.read(&mut loaded.config, &entry.written, base) {
            Ok(()) => loaded.origins[entry.setting] = entry.origin,
            Err(reason) => {
                broken.insert(setting.path);
                problems.push(Problem::new(&entry.origin, format!("{}: {reason}", setting.path)));
            }
        }
    }
}

fn flag_entries(flags: &[Flag], problems: &mut Vec<Problem>) -> Vec<Entry> {
    let mut entries = Vec::new();
    for flag in flags {
        let origin = Origin::Flag(flag.name.clone());
        match SETTINGS.iter().position(|setting| setting.path == flag.path) {
            Some(setting) => entries.push(Entry {
                setting,
                written: Written::Bare(flag.value.clone()),
                origin,
            }),
            None => {
                let hint = nearest(&flag.path, SETTINGS.iter().map(|setting| setting.path))
                    .map_or_else(String::new, |path| format!("; did you mean {path}?"));
                problems.push(Problem::new(
                    &origin,
                    format!("unknown key {}{hint}", quoted(&flag.path)),
                ));
            }
        }
    }
    entries
}

pub(super) fn defaults(data: &Path) -> Config {
    let mut config = unset();
    let mut set = |wanted: fn(&Default) -> bool| {
        for setting in SETTINGS.iter().filter(|setting| wanted(&setting.default)) {
            set_default(&mut config, setting);
        }
        data.clone_into(&mut config.data);
    };
    set(|default| !matches!(default, Default::InData(_)));
    set(|default| matches!(default, Default::InData(_)));
    config
}

fn set_default(config: &mut Config, setting: &Setting<Config>) {
    let written = match setting.default {
        Default::Text(text) => Written::Bare(text.into()),
        Default::InData(name) => Written::Bare(config.data.join(name).to_string_lossy().into_owned()),
        Default::Empty | Default::Absent | Default::Required => return,
    };
    setting
        .kind
        .read(config, &written, Path::new(""))
        .expect("a test reads every default");
}

/// A configuration in which nothing is set, for the table to fill.
fn unset() -> Config {
    Config {
        data: PathBuf::new(),
        workers: 0,
        listen: Listen {
            tcp: None,
            tls: None,
            quic: None,
            http: None,
            api: None,
            allow_plaintext: false,
            allow_public_http: false,
        },
        tls: Tls {
            certificate: PathBuf::new(),
            key: PathBuf::new(),
            minimum_version: TlsVersion::V1_3,
        },
        quic: Quic { steering: false },
        connections: Connections {
            max: 0,
            handshake_timeout: Duration::ZERO,
            handshakes_max: 0,
            login_timeout: Duration::ZERO,
            heartbeat_interval: Duration::ZERO,
            closing_timeout: Duration::ZERO,
            private_queue_bytes: 0,
            backlog_bytes: 0,
            failed_logins_per_minute: 0,
        },
        tokens: Tokens {
            warning: Duration::ZERO,
            grace: Duration::ZERO,
            leeway: Duration::ZERO,
            operator_tokens: false,
        },
        sessions: Sessions {
            resume_window: Duration::ZERO,
        },
        rooms: Rooms {
            live_messages_per_second: Rate::Unlimited,
            room_messages_per_second: Rate::Unlimited,
            moves_per_second: Rate::Unlimited,
            attribute_writes_per_second: Rate::Unlimited,
            queries_per_second: Rate::Unlimited,
            room_members_max: None,
            live_members_max: None,
            live_idle: Duration::ZERO,
            live_budget: Budget::Unlimited,
            live_budget_for_high: 0,
            log_bytes: 0,
            member_events_each: 0,
            member_events_digest: 0,
            digest_interval: Duration::ZERO,
            count_interval: Duration::ZERO,
            mailbox_messages: 0,
        },
        conversations: Conversations {
            writes_per_second: Rate::Unlimited,
            queries_per_second: Rate::Unlimited,
        },
        api: Api {
            tls: false,
            allow_public: false,
            failed_signatures_per_minute: 0,
            audit_bytes: 0,
        },
        log: Log {
            format: LogFormat::Text,
            level: String::new(),
        },
        apps: Vec::new(),
    }
}

#[cfg(test)]
#[path = "layers/tests.rs"]
mod tests;
