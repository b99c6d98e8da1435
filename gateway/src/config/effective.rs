//! `sluice config`: the effective configuration as TOML.

use std::fmt::Write as _;

use super::app::{APP_SETTINGS, ApiKey, App, AppOrigins, Secret, TokenAlgorithm};
use super::kind::{MASK, toml_text};
use super::origin::Origin;
use super::policy::POLICY_SETTINGS;
use super::settings::{Default, SETTINGS};
use super::{Loaded, Mode, Rate};

/// Column of the comments; longer lines have theirs two blanks after the value.
const COMMENT_COLUMN: usize = 48;

pub(super) fn print(loaded: &Loaded) -> String {
    let mut toml = String::new();
    // The table's fields are reached through a mutable reference; a copy keeps printing free of side effects.
    let mut config = loaded.config.clone();
    let mut section = "";
    for (setting, origin) in SETTINGS.iter().zip(&loaded.origins) {
        let (of, key) = setting.path.rsplit_once('.').unwrap_or(("", setting.path));
        if of != section {
            section = of;
            line(&mut toml, "", "");
            line(&mut toml, &format!("[{section}]"), "");
        }
        let comment = match (origin, &setting.default) {
            (Origin::Default, Default::Text("auto")) => "default: auto".to_owned(),
            (origin, _) => origin.to_string(),
        };
        line(
            &mut toml,
            &format!("{key} = {}", setting.kind.show(&mut config)),
            &comment,
        );
    }
    for (app, origins) in config.apps.iter().zip(&loaded.app_origins) {
        print_app(&mut toml, app, origins);
    }
    if config.apps.is_empty() && loaded.mode == Mode::Development {
        line(&mut toml, "", "");
        line(
            &mut toml,
            "# Development mode: the first start makes an app \"dev\".",
            "",
        );
    }
    toml
}

fn print_app(toml: &mut String, app: &App, origins: &AppOrigins) {
    line(toml, "", "");
    line(toml, "[[apps]]", &origins.app.to_string());
    let mut app = app.clone();
    for setting in APP_SETTINGS {
        let key = setting.path.rsplit('.').next().unwrap_or(setting.path);
        let said = origins.present.iter().find(|(path, _)| *path == setting.path);
        let comment = said.map_or(Origin::Default, |(_, origin)| origin.clone()).to_string();
        line(toml, &format!("{key} = {}", setting.kind.show(&mut app)), &comment);
    }
    for (policy, origins) in app.policies.iter_mut().zip(&origins.policies) {
        line(toml, "", "");
        line(toml, "[[apps.policies]]", &origins.policy.to_string());
        for setting in POLICY_SETTINGS {
            if let Some(origin) = origins.at(setting.path) {
                let key = setting.path.rsplit('.').next().unwrap_or(setting.path);
                line(
                    toml,
                    &format!("{key} = {}", setting.kind.show(policy)),
                    &origin.to_string(),
                );
            }
        }
    }
    for (key, origin) in app.keys.iter().zip(&origins.keys) {
        line(toml, "", "");
        line(toml, "[[apps.keys]]", &origin.to_string());
        if let Some(id) = &key.id {
            line(toml, &format!("id = {}", toml_text(id)), "");
        }
        match &key.algorithm {
            TokenAlgorithm::Hs256 { secret } => {
                line(toml, "algorithm = \"HS256\"", "");
                line(toml, &format!("secret = {}", toml_text(MASK)), &described(secret));
            }
            TokenAlgorithm::EdDsa { public_key_pem } => {
                line(toml, "algorithm = \"EdDSA\"", "");
                line(
                    toml,
                    &format!("public_key = {}", toml_text(public_key_pem.trim_end())),
                    "",
                );
            }
        }
    }
    for (key, origin) in app.api_keys.iter().zip(&origins.api_keys) {
        line(toml, "", "");
        line(toml, "[[apps.api_keys]]", &origin.to_string());
        print_api_key(toml, key);
    }
    if let Some((hook, origin)) = app.conversations.push_hook.as_ref().zip(origins.push_hook.as_ref()) {
        line(toml, "", "");
        line(toml, "[apps.push_hook]", &origin.to_string());
        line(toml, &format!("url = {}", toml_text(&hook.shown_url())), "");
        line(toml, &format!("secret = {}", toml_text(MASK)), &described(&hook.secret));
        if let Some(ca_file) = &hook.ca_file {
            line(
                toml,
                &format!("ca_file = {}", toml_text(&ca_file.display().to_string())),
                "",
            );
        }
    }
}

fn print_api_key(toml: &mut String, key: &ApiKey) {
    let list = |names: Vec<&str>| names.iter().map(|name| toml_text(name)).collect::<Vec<_>>().join(", ");
    let scopes = list(key.scopes.iter().map(|scope| scope.name()).collect());
    let signatures = list(key.signatures.iter().map(|signature| signature.name()).collect());
    let rate = match key.rate {
        Rate::PerSecond(rate) => rate.to_string(),
        Rate::Unlimited => toml_text("unlimited"),
    };
    line(toml, &format!("id = {}", toml_text(&key.id)), "");
    line(toml, &format!("secret = {}", toml_text(MASK)), &described(&key.secret));
    line(toml, &format!("scopes = [{scopes}]"), "");
    line(toml, &format!("rate = {rate}"), "");
    line(toml, &format!("signatures = [{signatures}]"), "");
}

/// Enough to see that the right secret was read, too little to guess it.
fn described(secret: &Secret) -> String {
    format!("{} bytes", secret.expose().len())
}

fn line(toml: &mut String, text: &str, comment: &str) {
    let written = if comment.is_empty() {
        writeln!(toml, "{text}")
    } else {
        writeln!(toml, "{text:COMMENT_COLUMN$}  # {}", comment.escape_debug())
    };
    written.expect("a String takes everything");
}
