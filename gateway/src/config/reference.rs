//! The tables of `docs/configuration.md`, from the tables of settings.

use std::fmt::Write as _;

use super::app::{API_KEY_SETTINGS, APP_SETTINGS, KEY_SETTINGS, PUSH_HOOK_SETTINGS};
use super::policy::POLICY_SETTINGS;
use super::settings::{Default, SETTINGS, Setting};

/// Every setting but those of apps, one Markdown table per section.
#[must_use]
pub fn setting_reference() -> String {
    let mut markdown = String::new();
    let mut start = 0;
    let section = |setting: &Setting<_>| setting.path.rsplit_once('.').map_or("", |(section, _)| section);
    while start < SETTINGS.len() {
        let name = section(&SETTINGS[start]);
        let length = SETTINGS[start..]
            .iter()
            .take_while(|setting| section(setting) == name)
            .count();
        let heading = if name.is_empty() {
            "At the top".to_owned()
        } else {
            format!("`[{name}]`")
        };
        table(
            &mut markdown,
            &heading,
            &SETTINGS[start..start + length],
            Names::WithVariable,
        );
        start += length;
    }
    markdown
}

/// The keys of `[[apps]]` and of the tables in it as Markdown tables.
#[must_use]
pub fn app_reference() -> String {
    let mut markdown = String::new();
    table(&mut markdown, "`[[apps]]`", APP_SETTINGS, Names::KeyOnly);
    table(&mut markdown, "`[[apps.policies]]`", POLICY_SETTINGS, Names::KeyOnly);
    table(&mut markdown, "`[[apps.keys]]`", KEY_SETTINGS, Names::KeyOnly);
    table(&mut markdown, "`[[apps.api_keys]]`", API_KEY_SETTINGS, Names::KeyOnly);
    table(&mut markdown, "`[apps.push_hook]`", PUSH_HOOK_SETTINGS, Names::KeyOnly);
    markdown
}

enum Names {
    /// The key and its variable.
    WithVariable,
    /// Only the key: it can be said in a file alone.
    KeyOnly,
}

fn table<S>(markdown: &mut String, heading: &str, settings: &[Setting<S>], names: Names) {
    let mut add = |text: String| writeln!(markdown, "{text}").expect("a String takes everything");
    add(format!("### {heading}\n"));
    add("| key | value | default | meaning | what raising it costs |\n|---|---|---|---|---|".into());
    for setting in settings {
        let key = match names {
            Names::WithVariable => format!("`{}`<br>`{}`", setting.path, setting.variable()),
            Names::KeyOnly => format!("`{}`", setting.path.rsplit('.').next().unwrap_or(setting.path)),
        };
        let default = match setting.default {
            Default::Text(text) => format!("`{text}`"),
            Default::InData(name) => format!("`{name}` in `data`"),
            Default::Empty => "empty".into(),
            Default::Absent => "none".into(),
            Default::Required => "must be set".into(),
        };
        let (bounds, meaning, cost) = (setting.kind.bounds(), setting.meaning, setting.cost);
        let cost = if cost.is_empty() { "–" } else { cost };
        add(format!("| {key} | {bounds} | {default} | {meaning} | {cost} |"));
    }
    add(String::new());
}
