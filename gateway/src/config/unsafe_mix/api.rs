//! The server API: with its secrets one steers everything, so it asks for more than other listeners, off loopback most of all.

use std::collections::HashMap;

use super::is_public;
use crate::config::app::{API_SECRET_BYTES_PUBLIC, DEVELOPMENT_APP_FILE, TokenAlgorithm};
use crate::config::origin::Problem;
use crate::config::{App, Loaded, Mode, Secret, apps_of_file};

/// Off loopback it is served over TLS, on purpose, and with secrets that nobody guesses or finds in a folder.
pub(super) fn stays_home_or_is_safe(loaded: &Loaded, problems: &mut Vec<Problem>) {
    let config = &loaded.config;
    let Some(address) = config.listen.api.filter(|address| is_public(Some(*address))) else {
        return;
    };
    let at = loaded.origin("listen.api");
    if loaded.mode == Mode::Development {
        let message = format!(
            "listen.api: found {address}, expected a loopback address: the development app is for this machine only; \
             write a configuration file with an app of its own and name it with --config"
        );
        problems.push(Problem::new(at, message));
        return;
    }
    if !config.api.tls {
        let message = format!(
            "listen.api: found {address}, expected a loopback address or api.tls = true: what signs calls could be seen \
             on the way and used again"
        );
        problems.push(Problem::new(at, message));
    }
    if !config.api.allow_public {
        let message = format!(
            "listen.api: found {address}, expected a loopback address: whoever reaches it can try secrets; use a private \
             network and set api.allow_public = true"
        );
        problems.push(Problem::new(at, message));
    }
    let made = secrets(&apps_of_file(&config.data.join(DEVELOPMENT_APP_FILE)).unwrap_or_default());
    for (app, origins) in config.apps.iter().zip(&loaded.app_origins) {
        for (key, origin) in app.api_keys.iter().zip(&origins.api_keys) {
            let found = key.secret.expose().len();
            if found < API_SECRET_BYTES_PUBLIC {
                let message = format!(
                    "apps.api_keys.secret: found {found} bytes, expected at least {API_SECRET_BYTES_PUBLIC} where \
                     listen.api is {address}"
                );
                problems.push(Problem::new(origin, message));
            }
            if made.contains(&key.secret) {
                let message = format!(
                    "apps.api_keys.secret: the app {:?} has the secret that development mode made, and listen.api is \
                     {address}; expected a secret of its own, or a loopback address",
                    app.key
                );
                problems.push(Problem::new(origin, message));
            }
        }
    }
}

/// A secret says which app and which key is meant: a signature covers neither. Where two have the same, a call that was seen of one is good
/// for the other.
pub(super) fn secrets_differ(loaded: &Loaded, problems: &mut Vec<Problem>) {
    let apps = || loaded.config.apps.iter().zip(&loaded.app_origins);
    let mut seen = HashMap::new();
    for (app, origins) in apps() {
        for (key, origin) in app.keys.iter().zip(&origins.keys) {
            if let TokenAlgorithm::Hs256 { secret } = &key.algorithm {
                seen.insert(secret.expose(), origin);
            }
        }
    }
    for (app, origins) in apps() {
        for (key, origin) in app.api_keys.iter().zip(&origins.api_keys) {
            if let Some(other) = seen.insert(key.secret.expose(), origin) {
                let message =
                    format!("apps.api_keys.secret: another key has it already ({other}), expected one of its own");
                problems.push(Problem::new(origin, message));
            }
        }
    }
}

fn secrets(apps: &[App]) -> Vec<Secret> {
    let keys = apps.iter().flat_map(|app| &app.api_keys);
    keys.map(|key| key.secret.clone()).collect()
}
