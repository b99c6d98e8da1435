//! From a file's `[[apps]]` to apps that make sense.

use std::collections::HashMap;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::table::{APP_SETTINGS, Algorithm, KEY_SETTINGS, KeyTable, SECRET_BYTES_MAX, SECRET_BYTES_MIN, secret};
use super::{App, Secret, TokenAlgorithm, TokenKey, api_key, push_hook};
use crate::config::document::{self, Place, Present, fill, read_text};
use crate::config::origin::{Origin, Problem, Problems};
use crate::config::policy::{self, PolicyOrigins};
use crate::config::settings::Setting;

/// Apps are numbered with 16 bits inside; a gateway with more tenants than this wants to be several.
const APPS_MAX: usize = 10_000;

/// A token that names no key is checked against each, so there are few.
const KEYS_MAX: usize = 16;

/// Largest file with a key or a secret.
const KEY_FILE_BYTES_MAX: u64 = 16 << 10;

/// Where an app and its keys were said.
#[derive(Debug, Clone)]
pub(in crate::config) struct AppOrigins {
    pub(in crate::config) app: Origin,
    pub(in crate::config) present: Present,
    /// In the order of [`App::policies`].
    pub(in crate::config) policies: Vec<PolicyOrigins>,
    /// In the order of [`App::keys`].
    pub(in crate::config) keys: Vec<Origin>,
    /// In the order of [`App::api_keys`].
    pub(in crate::config) api_keys: Vec<Origin>,
    pub(in crate::config) push_hook: Option<Origin>,
}

/// Only the apps of the file at `path`.
pub(crate) fn apps_of_file(path: &Path) -> Result<Vec<App>, Problems> {
    let mut problems = Vec::new();
    let document = document::read(path, &mut problems);
    if problems.is_empty() {
        Ok(document.apps.into_iter().map(|(app, _)| app).collect())
    } else {
        Err(Problems::new(problems))
    }
}

/// Reads the value of `apps`.
pub(in crate::config) fn read(
    value: &Spanned<DeValue<'_>>,
    origin: &Origin,
    place: &Place<'_>,
    problems: &mut Vec<Problem>,
) -> Vec<(App, AppOrigins)> {
    let mut apps: Vec<(App, AppOrigins)> = Vec::new();
    let mut seen = HashMap::new();
    for (origin, table) in tables("apps", value, origin, place, problems) {
        let (app, origins) = read_app(table, origin, place, problems);
        let at = origins
            .present
            .iter()
            .find(|(path, _)| *path == "apps.key")
            .map(|(_, origin)| origin);
        if let Some(at) = at.filter(|_| !app.key.is_empty())
            && let Some(first) = seen.insert(app.key.clone(), at.clone())
        {
            let message = format!(
                "apps.key: found {:?}, which is the key of another app already ({first})",
                app.key
            );
            problems.push(Problem::new(at, message));
        }
        apps.push((app, origins));
    }
    if apps.len() > APPS_MAX {
        problems.push(Problem::new(
            origin,
            format!("apps: found {}, expected at most {APPS_MAX}", apps.len()),
        ));
    }
    apps
}

/// The tables of an array of tables, each with its line.
pub(in crate::config) fn tables<'a, 'i>(
    path: &str,
    value: &'a Spanned<DeValue<'i>>,
    origin: &Origin,
    place: &Place<'_>,
    problems: &mut Vec<Problem>,
) -> Vec<(Origin, &'a DeTable<'i>)> {
    let DeValue::Array(items) = value.get_ref() else {
        problems.push(Problem::new(
            origin,
            format!(
                "{path}: found a value of type {}, expected tables: [[{path}]]",
                value.get_ref().type_str()
            ),
        ));
        return Vec::new();
    };
    let mut tables = Vec::new();
    for item in items.iter() {
        let origin = place.at(&item.span());
        match item.get_ref() {
            DeValue::Table(table) => tables.push((origin, table)),
            other => problems.push(Problem::new(
                &origin,
                format!(
                    "{path}: found a value of type {}, expected a table: [[{path}]]",
                    other.type_str()
                ),
            )),
        }
    }
    tables
}

fn read_app(table: &DeTable<'_>, origin: Origin, place: &Place<'_>, problems: &mut Vec<Problem>) -> (App, AppOrigins) {
    let mut app = App::new(String::new());
    let mut origins = AppOrigins {
        present: fill(
            APP_SETTINGS,
            &["keys", "api_keys", "policies", "push_hook"],
            &mut app,
            table,
            place,
            problems,
        ),
        app: origin,
        policies: Vec::new(),
        keys: Vec::new(),
        api_keys: Vec::new(),
        push_hook: None,
    };
    require(APP_SETTINGS, "apps.key", &origins.present, &origins.app, problems);

    if let Some((key, value)) = table.iter().find(|(key, _)| key.get_ref() == "policies") {
        let found = policy::read(value, &place.at(&key.span()), place, problems);
        (app.policies, origins.policies) = found.into_iter().unzip();
    }
    let keys = table.iter().find(|(key, _)| key.get_ref() == "keys");
    let found = keys.map_or_else(Vec::new, |(key, value)| {
        tables("apps.keys", value, &place.at(&key.span()), place, problems)
    });
    if keys.is_none() || found.len() > KEYS_MAX {
        let message = format!(
            "apps.keys: found {}, expected 1 to {KEYS_MAX} tables [[apps.keys]]",
            found.len()
        );
        problems.push(Problem::new(&origins.app, message));
    }
    for (origin, table) in found {
        let Some(key) = read_key(table, &origin, place, problems) else {
            continue;
        };
        if key.id.is_some() && app.keys.iter().any(|other| other.id == key.id) {
            problems.push(Problem::new(
                &origin,
                "apps.keys.id: another key of this app has it already",
            ));
        }
        app.keys.push(key);
        origins.keys.push(origin);
    }
    (app.api_keys, origins.api_keys) = api_key::read(table, place, problems);
    (app.conversations.push_hook, origins.push_hook) = push_hook::read(table, place, problems).unzip();
    (app, origins)
}

fn read_key(table: &DeTable<'_>, origin: &Origin, place: &Place<'_>, problems: &mut Vec<Problem>) -> Option<TokenKey> {
    let mut key = KeyTable::default();
    let present = fill(KEY_SETTINGS, &[], &mut key, table, place, problems);
    require(KEY_SETTINGS, "apps.keys.algorithm", &present, origin, problems);
    let at = |path: &str| {
        present
            .iter()
            .find(|(other, _)| *other == path)
            .map(|(_, origin)| origin)
    };

    let (secret_at, secret_file_at, public_key_at) = (
        at("apps.keys.secret"),
        at("apps.keys.secret_file"),
        at("apps.keys.public_key_file"),
    );
    let algorithm = match key.algorithm? {
        Algorithm::Hs256 => {
            if let Some(origin) = public_key_at {
                problems.push(Problem::new(
                    origin,
                    "apps.keys.public_key_file: is for EdDSA, not for HS256",
                ));
            }
            let secret = match (secret_at, secret_file_at) {
                (Some(_), None) => key.secret,
                (None, Some(origin)) => secret_of_file(&key.secret_file)
                    .map_err(|reason| problems.push(Problem::new(origin, format!("apps.keys.secret_file: {reason}"))))
                    .ok(),
                (Some(_), Some(origin)) => {
                    let message = "apps.keys.secret_file: found next to secret, expected only one of them";
                    problems.push(Problem::new(origin, message));
                    None
                }
                (None, None) => {
                    problems.push(Problem::new(
                        origin,
                        "apps.keys.secret: missing; HS256 needs it, or secret_file",
                    ));
                    None
                }
            };
            TokenAlgorithm::Hs256 { secret: secret? }
        }
        Algorithm::EdDsa => {
            for (path, origin) in [("secret", secret_at), ("secret_file", secret_file_at)] {
                if let Some(origin) = origin {
                    problems.push(Problem::new(
                        origin,
                        format!("apps.keys.{path}: is for HS256, not for EdDSA"),
                    ));
                }
            }
            let Some(origin) = public_key_at else {
                problems.push(Problem::new(
                    origin,
                    "apps.keys.public_key_file: missing; EdDSA needs it",
                ));
                return None;
            };
            let pem = public_key_of_file(&key.public_key_file)
                .map_err(|reason| problems.push(Problem::new(origin, format!("apps.keys.public_key_file: {reason}"))));
            TokenAlgorithm::EdDsa {
                public_key_pem: pem.ok()?,
            }
        }
    };
    Some(TokenKey {
        id: at("apps.keys.id").map(|_| key.id),
        algorithm,
    })
}

/// Adds a problem where a key that must be said is not.
pub(in crate::config) fn require<S>(
    settings: &[Setting<S>],
    path: &str,
    present: &Present,
    origin: &Origin,
    problems: &mut Vec<Problem>,
) {
    if !present.iter().any(|(other, _)| *other == path) {
        let expected = settings
            .iter()
            .find(|setting| setting.path == path)
            .map(|setting| setting.kind.expected());
        let message = format!("{path}: missing, expected {}", expected.unwrap_or_default());
        problems.push(Problem::new(origin, message));
    }
}

fn secret_of_file(path: &Path) -> Result<Secret, String> {
    let text = read_text(path, KEY_FILE_BYTES_MAX).map_err(|reason| format!("{} {reason}", path.display()))?;
    let text = text.trim_end_matches(['\r', '\n']);
    secret(text).ok_or_else(|| {
        let (path, found) = (path.display(), text.len());
        format!("{path} holds {found} bytes, expected {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX}")
    })
}

fn public_key_of_file(path: &Path) -> Result<String, String> {
    let pem = read_text(path, KEY_FILE_BYTES_MAX).map_err(|reason| format!("{} {reason}", path.display()))?;
    match jsonwebtoken::DecodingKey::from_ed_pem(pem.as_bytes()) {
        Ok(_) => Ok(pem),
        Err(_) => Err(format!("{} holds no Ed25519 public key in PEM", path.display())),
    }
}
