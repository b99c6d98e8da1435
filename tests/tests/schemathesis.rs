//! Our own OpenAPI document is one, as a validator of such documents sees it, and holds: whatever schemathesis makes up from it, the server
//! API answers as the document says, and never with a fault.
//!
//! `SLUICE_TEST_PYTHON` names a Python with `schemathesis/requirements.txt`; `cargo xtask test` makes one and sets it. Here each path gets a few
//! cases; `cargo xtask schemathesis` has it try many.

use std::io::{Write as _, stderr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use sluice_gateway::config::Rate;
use sluice_gateway::openapi_document;
use sluice_tests::{APP_KEY, ApiCall, Gateway, TemporaryFolder};
use tokio::task::spawn_blocking;

const PYTHON: &str = "SLUICE_TEST_PYTHON";

/// How many cases each path gets.
const EXAMPLES: &str = "SLUICE_TEST_SCHEMATHESIS_EXAMPLES";
const EXAMPLES_DEFAULT: &str = "8";

/// What is asked of every answer. The others of its checks ask for other manners than the vendor's, which are these: a room that does not exist is
/// no error to most paths, and fields that are not known are passed over.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";

/// A program beside the interpreter, or `None` where there is none, which the terminal is told and CI does not accept.
fn program(name: &str) -> Option<PathBuf> {
    if let Some(interpreter) = env::var_os(PYTHON) {
        return Some(PathBuf::from(interpreter).with_file_name(name));
    }
    assert!(
        env::var_os("CI").is_none(),
        "{PYTHON} is not set: CI runs `cargo xtask test`, which sets it"
    );
    // Unlike eprintln!, this is seen although the test passes.
    let line = format!("NOT TESTED: the server API by {name}, since {PYTHON} is not set; run `cargo xtask test`\n");
    stderr()
        .write_all(line.as_bytes())
        .expect("a terminal that takes a line");
    None
}

/// What the validator says of a document, and whether that is a success.
fn validate(program: &Path, document: &str) -> (bool, String) {
    let scratch = TemporaryFolder::new();
    let file = scratch.path().join("openapi.json");
    fs::write(&file, document).expect("a file to validate");
    let output = Command::new(program)
        .arg(&file)
        .env("PYTHONUTF8", "1")
        .output()
        .expect("the validator starts");
    let told = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&told).into_owned())
}

#[test]
fn the_document_of_the_server_api_is_an_openapi_document() {
    let Some(program) = program("openapi-spec-validator") else {
        return;
    };
    let document = openapi_document();
    let (is_valid, told) = validate(&program, &document);
    assert!(is_valid, "{told}");
    // It looks at all of it: a reference to nothing, deep inside, is found.
    let broken = document.replacen("#/components/schemas/Error", "#/components/schemas/Nothing", 1);
    assert_ne!(broken, document);
    let (is_valid, told) = validate(&program, &broken);
    assert!(!is_valid, "{told}");
}

#[tokio::test]
async fn whatever_is_asked_the_server_api_answers_as_its_document_says() {
    let Some(program) = program("schemathesis") else { return };
    let mut secret = String::new();
    let gateway = Gateway::start(|config| {
        let key = &mut config.apps[0].api_keys[0];
        key.rate = Rate::Unlimited;
        secret = String::from_utf8(key.secret.expose().to_vec()).expect("a secret in text");
    });
    let address = gateway.addresses().api.expect("the server API listens");
    // One signature is good for all: of this kind the nonce and the time are the client's own.
    let signature = sluice_tests::sha1_signature(&secret, "1", "1");
    // Signed wrongly, it would see nothing but refusals, and be content.
    let probe = ApiCall::unsigned("/user/checkOnline", &[("userId", "alice")])
        .header("App-Key", APP_KEY)
        .header("Nonce", "1")
        .header("Timestamp", "1")
        .header("Signature", &signature);
    assert_eq!(probe.send(address).await.status, 200);
    let examples = env::var(EXAMPLES).unwrap_or_else(|_| EXAMPLES_DEFAULT.to_owned());
    let scratch = TemporaryFolder::new();
    let output = spawn_blocking(move || {
        Command::new(program)
            // It leaves notes where it runs.
            .current_dir(scratch.path())
            .arg("run")
            .arg(format!("http://{address}/openapi.json"))
            .args(["--checks", CHECKS])
            .args(["--max-examples", &examples])
            .args(["--seed", "1", "--no-color"])
            .args(["--phases", "examples,coverage,fuzzing"])
            .args(["--generation-database", "none", "--suppress-health-check", "all"])
            .args(["-H", &format!("App-Key: {APP_KEY}")])
            .args(["-H", "Nonce: 1", "-H", "Timestamp: 1"])
            .args(["-H", &format!("Signature: {signature}")])
            .env("PYTHONUTF8", "1")
            .output()
            .expect("schemathesis starts")
    })
    .await
    .expect("schemathesis ran");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{told}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    // Whatever it could not do would be no failure to it.
    assert!(told.contains("Fuzzing (in "), "{told}");
}
