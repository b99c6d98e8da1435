//! RongCloud's official server SDK for Node.js against our server API: its own suite, unchanged, but for the cases listed with a reason.
//!
//! `SLUICE_TEST_NODE` names a folder with the packages of `node_sdk/package.json`; `cargo xtask test` makes one and sets it.

use std::collections::BTreeMap;
use std::env;
use std::io::{Write as _, stderr};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use sluice_gateway::config::{Rate, Secret};
use sluice_tests::{Gateway, within};
use tokio::task::spawn_blocking;

const NODE: &str = "SLUICE_TEST_NODE";

/// The parts of the suite: all that there are.
const SPECS: [&str; 12] = [
    "chatroomSpec.js",
    "message/chatroomSpec.js",
    "sensitiveSpec.js",
    "userSpec.js",
    "conversationSpec.js",
    "groupSpec.js",
    "message/discussionSpec.js",
    "message/groupSpec.js",
    "message/historySpec.js",
    "message/privateSpec.js",
    "message/systemSpec.js",
    "pushSpec.js",
];

/// What the suite signs with.
const APP_KEY: &str = "8luwapkvucoil";
const SECRET: &str = "y0icysjl4h3LWz";

/// `None` where there is none, which the terminal is told and CI does not accept.
fn folder() -> Option<PathBuf> {
    if let Some(folder) = env::var_os(NODE) {
        return Some(folder.into());
    }
    assert!(
        env::var_os("CI").is_none(),
        "{NODE} is not set: CI runs `cargo xtask test`, which sets it"
    );
    // Unlike eprintln!, this is seen although the test passes.
    let line = format!("NOT TESTED: the SDK for Node.js, since {NODE} is not set; run `cargo xtask test`\n");
    stderr()
        .write_all(line.as_bytes())
        .expect("a terminal that takes a line");
    None
}

fn own_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node_sdk")
}

/// The cases that cannot pass, with their reasons.
fn not_applicable() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(own_folder().join("not_applicable.txt")).expect("the list");
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| {
            let (name, reason) = line.split_once('\t').expect("a name, a tab and a reason");
            (name.to_owned(), reason.to_owned())
        })
        .collect()
}

#[tokio::test]
async fn the_suite_of_the_sdk_for_node_passes() {
    let Some(folder) = folder() else { return };
    let gateway = Gateway::start(|config| {
        let app = &mut config.apps[0];
        app.key = APP_KEY.into();
        let key = &mut app.api_keys[0];
        key.secret = Secret::new(SECRET);
        // The whole suite takes a second.
        key.rate = Rate::Unlimited;
    });
    let address = format!("http://{}", gateway.addresses().api.expect("the server API listens"));
    let output = within(
        "the suite",
        spawn_blocking(move || {
            Command::new("node")
                .arg(own_folder().join("run.js"))
                .arg(folder)
                .arg(address)
                .args(SPECS)
                .output()
                .expect("node starts")
        }),
    )
    .await
    .expect("the suite ran");
    let told = String::from_utf8(output.stdout).expect("JSON");
    let errors = String::from_utf8_lossy(&output.stderr);
    let mut listed = not_applicable();
    let mut passed = 0;
    let mut wrong = Vec::new();
    for line in told.lines() {
        let case: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}\n{errors}"));
        let name = case["name"].as_str().expect("a name").to_owned();
        match (case["status"].as_str().expect("a status"), listed.remove(&name)) {
            ("passed", None) => passed += 1,
            ("passed", Some(reason)) => wrong.push(format!("passes, but is listed: {name} ({reason})")),
            ("failed", Some(_)) => {}
            _ => wrong.push(format!("{name}: {}", case["why"])),
        }
    }
    wrong.extend(
        listed
            .into_keys()
            .map(|name| format!("listed, but not in the suite: {name}")),
    );
    assert!(wrong.is_empty(), "{}\n{errors}", wrong.join("\n"));
    // A suite that does not run at all passes nothing.
    assert!(passed >= 195, "only {passed} cases\n{errors}");
}
