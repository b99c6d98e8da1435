//! The push hook of an app. In a file, a table `[apps.push_hook]`.

use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::read::require;
use super::{Secret, table};
use crate::config::document::{Place, fill, read_text};
use crate::config::kind::{Kind, MASK};
use crate::config::origin::{Origin, Problem};
use crate::config::settings::{Default, Setting};

/// Shortest secret: as long as the hash that is made with it.
const SECRET_BYTES_MIN: usize = 32;

/// Longest secret: longer ones are hashed first and gain nothing.
const SECRET_BYTES_MAX: usize = 1024;

/// Longest address.
const URL_BYTES_MAX: usize = 1024;

/// Largest file with a secret.
const SECRET_FILE_BYTES_MAX: u64 = 16 << 10;

/// Where an app's server is told of messages for users who are not online.
#[derive(Clone, PartialEq, Eq)]
pub struct PushHook {
    /// `http://` or `https://`. Some services have a secret in its query, so that is never shown.
    pub url: String,
    /// What its calls are signed with (HMAC-SHA256).
    pub secret: Secret,
    /// A PEM file with the certificates that its server is checked against, in place of those of the system.
    pub ca_file: Option<PathBuf>,
}

impl PushHook {
    /// The address without what may be secret in it.
    pub(in crate::config) fn shown_url(&self) -> String {
        shown(&self.url)
    }
}

impl std::fmt::Debug for PushHook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PushHook")
            .field("url", &self.shown_url())
            .field("secret", &self.secret)
            .field("ca_file", &self.ca_file)
            .finish()
    }
}

/// A table `[apps.push_hook]` as it is read, before it is known to make sense.
#[derive(std::default::Default)]
pub(in crate::config) struct PushHookTable {
    url: String,
    secret: Option<Secret>,
    secret_file: PathBuf,
    ca_file: PathBuf,
}

/// The keys of a table `[apps.push_hook]`.
pub(in crate::config) const PUSH_HOOK_SETTINGS: &[Setting<PushHookTable>] = &[
    Setting {
        path: "apps.push_hook.url",
        kind: Kind::Text {
            expected: "an address of at most 1024 bytes such as \"https://chat.example.com/push\", without a user in it",
            read: |hook, text| {
                hook.url = Some(text).filter(|text| is_address(text))?.to_owned();
                Some(())
            },
            show: |hook| shown(&hook.url),
        },
        default: Default::Required,
        meaning: "Where the app's server is told, by POST, of messages for users who have no connection. `sluice config` masks its query.",
        cost: "A call for each message with such users. Over `http` whoever is on the way reads them.",
    },
    Setting {
        path: "apps.push_hook.secret",
        kind: Kind::Secret {
            expected: "text of 32 to 1024 bytes",
            read: |hook, text| {
                hook.secret = Some(secret(text)?);
                Some(())
            },
        },
        default: Default::Absent,
        meaning: "What calls are signed with; the bytes are taken as they are. Better kept in `secret_file`.",
        cost: "",
    },
    Setting {
        path: "apps.push_hook.secret_file",
        kind: Kind::Path(|hook| &mut hook.secret_file),
        default: Default::Absent,
        meaning: "In place of `secret`: a file that holds it. Line ends after it are cut off.",
        cost: "",
    },
    Setting {
        path: "apps.push_hook.ca_file",
        kind: Kind::Path(|hook| &mut hook.ca_file),
        default: Default::Absent,
        meaning: "For `https`: a PEM file with the certificates that the server is checked against, in place of those the system trusts.",
        cost: "",
    },
];

/// Reads the value of `push_hook` of an app's table, with its line.
pub(super) fn read(table: &DeTable<'_>, place: &Place<'_>, problems: &mut Vec<Problem>) -> Option<(PushHook, Origin)> {
    let (key, value) = table.iter().find(|(key, _)| key.get_ref() == "push_hook")?;
    let origin = place.at(&key.span());
    let DeValue::Table(table) = value.get_ref() else {
        let found = value.get_ref().type_str();
        let message = format!("apps.push_hook: found a value of type {found}, expected a table: [apps.push_hook]");
        problems.push(Problem::new(&origin, message));
        return None;
    };
    let mut hook = PushHookTable::default();
    let present = fill(PUSH_HOOK_SETTINGS, &[], &mut hook, table, place, problems);
    require(PUSH_HOOK_SETTINGS, "apps.push_hook.url", &present, &origin, problems);
    let at = |path: &str| present.iter().find(|(other, _)| *other == path).map(|(_, at)| at);
    let secret = match (at("apps.push_hook.secret"), at("apps.push_hook.secret_file")) {
        (Some(_), None) => hook.secret,
        (None, Some(at)) => secret_of_file(&hook.secret_file)
            .map_err(|reason| problems.push(Problem::new(at, format!("apps.push_hook.secret_file: {reason}"))))
            .ok(),
        (Some(_), Some(at)) => {
            let message = "apps.push_hook.secret_file: found next to secret, expected only one of them";
            problems.push(Problem::new(at, message));
            None
        }
        (None, None) => {
            require(PUSH_HOOK_SETTINGS, "apps.push_hook.secret", &present, &origin, problems);
            None
        }
    };
    let ca_file = at("apps.push_hook.ca_file").map(|_| hook.ca_file);
    let hook = PushHook {
        url: hook.url,
        secret: secret?,
        ca_file,
    };
    Some((hook, origin))
}

/// Whether a hook can be called there. Names and passwords of users have no place in it: they would be in logs.
fn is_address(text: &str) -> bool {
    let Ok(address) = text.parse::<hyper::Uri>() else {
        return false;
    };
    let known = matches!(address.scheme_str(), Some("http" | "https"));
    let plain = address
        .authority()
        .is_some_and(|authority| !authority.as_str().contains('@'));
    known && plain && text.len() <= URL_BYTES_MAX
}

fn shown(url: &str) -> String {
    match url.split_once('?') {
        Some((address, _)) => format!("{address}?{MASK}"),
        None => url.to_owned(),
    }
}

fn secret_of_file(path: &Path) -> Result<Secret, String> {
    let text = read_text(path, SECRET_FILE_BYTES_MAX).map_err(|reason| format!("{} {reason}", path.display()))?;
    let text = text.trim_end_matches(['\r', '\n']);
    secret(text).ok_or_else(|| {
        let (path, found) = (path.display(), text.len());
        format!("{path} holds {found} bytes, expected {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX}")
    })
}

fn secret(text: &str) -> Option<Secret> {
    table::secret_of(text, SECRET_BYTES_MIN..=SECRET_BYTES_MAX)
}
