//! Values that are fine alone and wrong together.

mod api;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::app::{DEVELOPMENT_APP_FILE, TokenAlgorithm};
use super::certificate::CertificateError;
use super::origin::{Origin, Problem};
use super::settings::open_files_max;
use super::{Budget, Loaded, Mode, apps_of_file};

/// Judges the whole. Rules about `broken` settings are left out: their values are not what was meant.
pub(super) fn check(loaded: &Loaded, broken: &BTreeSet<&'static str>, problems: &mut Vec<Problem>) {
    let sound = |paths: &[&str]| paths.iter().all(|path| !broken.contains(path));
    if sound(&["apps"]) {
        apps_exist(loaded, problems);
    }
    if sound(&["apps"]) {
        api::secrets_differ(loaded, problems);
    }
    if sound(&["listen.tcp", "listen.tls", "listen.quic"]) {
        somebody_can_connect(loaded, problems);
    }
    tcp_ports_differ(loaded, broken, problems);
    if sound(&["listen.tcp", "listen.allow_plaintext"]) {
        plaintext_stays_home(loaded, problems);
    }
    if sound(&["listen.http", "listen.allow_public_http"]) {
        http_stays_home(loaded, problems);
    }
    if sound(&["listen.api", "api.tls", "api.allow_public", "data", "apps"]) {
        api::stays_home_or_is_safe(loaded, problems);
    }
    if sound(&["listen.tcp", "listen.tls", "listen.quic", "data", "apps"]) {
        development_secret_stays_home(loaded, problems);
    }
    if sound(&[
        "listen.tls",
        "listen.quic",
        "listen.api",
        "api.tls",
        "tls.certificate",
        "tls.key",
        "data",
    ]) {
        certificate_is_usable(loaded, problems);
    }
    if sound(&["connections.max"]) {
        connections_fit_the_open_files(loaded, problems);
    }
    if sound(&["rooms.member_events_each", "rooms.member_events_digest"]) {
        member_events_climb(loaded, problems);
    }
    if sound(&["rooms.live_budget", "rooms.live_budget_for_high"]) {
        the_part_for_high_is_in_the_budget(loaded, problems);
        if sound(&["apps"]) {
            the_part_for_high_is_in_the_budget_of_each_policy(loaded, problems);
        }
    }
}

fn is_public(address: Option<SocketAddr>) -> bool {
    address.is_some_and(|address| !address.ip().to_canonical().is_loopback())
}

fn apps_exist(loaded: &Loaded, problems: &mut Vec<Problem>) {
    if loaded.mode == Mode::Configured && loaded.config.apps.is_empty() {
        let message = "apps: found none, expected at least one [[apps]] in the configuration file: nobody could log in";
        problems.push(Problem::new(&Origin::Default, message));
    }
}

fn somebody_can_connect(loaded: &Loaded, problems: &mut Vec<Problem>) {
    let listen = &loaded.config.listen;
    if listen.tcp.is_none() && listen.tls.is_none() && listen.quic.is_none() {
        let message = "listen.tcp, listen.tls and listen.quic are all off, expected at least one: nobody could connect";
        problems.push(Problem::new(loaded.origin("listen.tcp"), message));
    }
}

fn tcp_ports_differ(loaded: &Loaded, broken: &BTreeSet<&'static str>, problems: &mut Vec<Problem>) {
    let listen = &loaded.config.listen;
    let listeners = [
        ("listen.tcp", listen.tcp),
        ("listen.tls", listen.tls),
        ("listen.http", listen.http),
        ("listen.api", listen.api),
    ];
    let listeners = listeners.map(|(path, address)| (path, address.filter(|_| !broken.contains(path))));
    for (index, (path, address)) in listeners.into_iter().enumerate() {
        for (other_path, other) in listeners.into_iter().take(index) {
            let (Some(address), Some(other)) = (address, other) else {
                continue;
            };
            let same_ip = address.ip() == other.ip() || address.ip().is_unspecified() || other.ip().is_unspecified();
            if address.port() != 0 && address.port() == other.port() && same_ip {
                let at = loaded.origin(other_path);
                let message = format!("{path}: found {address}, which {other_path} ({at}) takes already: {other}");
                problems.push(Problem::new(loaded.origin(path), message));
            }
        }
    }
}

fn plaintext_stays_home(loaded: &Loaded, problems: &mut Vec<Problem>) {
    let listen = &loaded.config.listen;
    if let (true, Some(address), false) = (is_public(listen.tcp), listen.tcp, listen.allow_plaintext) {
        let message = format!(
            "listen.tcp: found {address}, expected a loopback address: tokens and messages could be read on the way; \
             use listen.tls, or set listen.allow_plaintext = true"
        );
        problems.push(Problem::new(loaded.origin("listen.tcp"), message));
    }
}

fn http_stays_home(loaded: &Loaded, problems: &mut Vec<Problem>) {
    let listen = &loaded.config.listen;
    if let (true, Some(address), false) = (is_public(listen.http), listen.http, listen.allow_public_http) {
        let message = format!(
            "listen.http: found {address}, expected a loopback address: whoever reaches it reads the metrics; \
             use a private network and set listen.allow_public_http = true"
        );
        problems.push(Problem::new(loaded.origin("listen.http"), message));
    }
}

/// The development app's secret lies in a folder people zip up and send around, and any local user who can run the
/// gateway's commands there is anybody. That is fine on loopback only. A configured app with a copy of it is no better.
fn development_secret_stays_home(loaded: &Loaded, problems: &mut Vec<Problem>) {
    let config = &loaded.config;
    let listen = &config.listen;
    let listeners = [
        ("listen.tcp", listen.tcp),
        ("listen.tls", listen.tls),
        ("listen.quic", listen.quic),
    ];
    let Some((path, Some(address))) = listeners.into_iter().find(|(_, address)| is_public(*address)) else {
        return;
    };
    match loaded.mode {
        Mode::Development => {
            let message = format!(
                "{path}: found {address}, expected a loopback address: the development app is for this machine only; \
                 write a configuration file with an app of its own and name it with --config"
            );
            problems.push(Problem::new(loaded.origin(path), message));
        }
        Mode::Configured => {
            let made = apps_of_file(&config.data.join(DEVELOPMENT_APP_FILE)).unwrap_or_default();
            let secrets = |apps: &[super::App]| -> Vec<super::Secret> {
                let keys = apps.iter().flat_map(|app| app.keys.clone());
                keys.filter_map(|key| match key.algorithm {
                    TokenAlgorithm::Hs256 { secret } => Some(secret),
                    TokenAlgorithm::EdDsa { .. } => None,
                })
                .collect()
            };
            let made = secrets(&made);
            for (app, origins) in config.apps.iter().zip(&loaded.app_origins) {
                if secrets(std::slice::from_ref(app))
                    .iter()
                    .any(|secret| made.contains(secret))
                {
                    let message = format!(
                        "apps.keys.secret: the app {:?} has the secret that development mode made, and {path} is \
                         {address}; expected a secret of its own, or loopback addresses",
                        app.key
                    );
                    problems.push(Problem::new(&origins.app, message));
                }
            }
        }
    }
}

fn certificate_is_usable(loaded: &Loaded, problems: &mut Vec<Problem>) {
    let config = &loaded.config;
    let wanted = config.needs_certificate();
    // Development mode makes its own, or says why it cannot.
    let made = loaded.mode == Mode::Development && loaded.certificate_is_default();
    if !wanted || made {
        return;
    }
    if let Err(error) = config.tls.certified_key() {
        let path = match error {
            CertificateError::Certificate { .. } => "tls.certificate",
            CertificateError::Key { .. } | CertificateError::Mismatch { .. } => "tls.key",
        };
        let message =
            format!("{path}: {error}; TLS and QUIC need both (or listen.tls and listen.quic off, and api.tls too)");
        problems.push(Problem::new(loaded.origin(path), message));
    }
}

fn connections_fit_the_open_files(loaded: &Loaded, problems: &mut Vec<Problem>) {
    let (found, allowed) = (loaded.config.connections.max, open_files_max());
    if found > allowed {
        let message = format!(
            "connections.max: found {found}, expected at most {allowed}, the open files this process may have (ulimit -Hn)"
        );
        problems.push(Problem::new(loaded.origin("connections.max"), message));
    }
}

fn member_events_climb(loaded: &Loaded, problems: &mut Vec<Problem>) {
    let rooms = &loaded.config.rooms;
    if rooms.member_events_digest < rooms.member_events_each {
        let message = format!(
            "rooms.member_events_digest: found {}, expected at least rooms.member_events_each, which is {}",
            rooms.member_events_digest, rooms.member_events_each
        );
        problems.push(Problem::new(loaded.origin("rooms.member_events_digest"), message));
    }
}

fn the_part_for_high_is_in_the_budget(loaded: &Loaded, problems: &mut Vec<Problem>) {
    let rooms = &loaded.config.rooms;
    if let Budget::Messages(budget) = rooms.live_budget
        && rooms.live_budget_for_high > budget
    {
        let message = format!(
            "rooms.live_budget_for_high: found {}, expected at most rooms.live_budget, which is {budget}",
            rooms.live_budget_for_high
        );
        problems.push(Problem::new(loaded.origin("rooms.live_budget_for_high"), message));
    }
}

fn the_part_for_high_is_in_the_budget_of_each_policy(loaded: &Loaded, problems: &mut Vec<Problem>) {
    for (app, origins) in loaded.config.apps.iter().zip(&loaded.app_origins) {
        for (own, origins) in app.policies.iter().zip(&origins.policies) {
            let policy = loaded.config.rooms.policy(own);
            if let Some(at) = origins.at("apps.policies.budget_for_high")
                && let Budget::Messages(budget) = policy.budget
                && policy.budget_for_high > budget
            {
                let message = format!(
                    "apps.policies.budget_for_high: found {}, expected at most its budget, which is {budget}",
                    policy.budget_for_high
                );
                problems.push(Problem::new(at, message));
            }
        }
    }
}
