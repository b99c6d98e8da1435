//! `cargo xtask test`: everything that must hold before a commit.

use std::cell::{Cell, OnceCell};
use std::path::PathBuf;

use crate::cargo_test::{self, Totals};
use crate::steps::{self, Step};
use crate::worktree::{self, cargo, changes};
use crate::{Outcome, dependencies, failure, node, python};

/// Tells the tests which Python has the packages that they run.
pub(crate) const PYTHON: &str = "SLUICE_TEST_PYTHON";

/// Tells them where packages from npm are.
const NODE: &str = "SLUICE_TEST_NODE";

pub(crate) fn run() -> Outcome {
    let before = changes();
    let interpreter: OnceCell<PathBuf> = OnceCell::new();
    let packages: OnceCell<PathBuf> = OnceCell::new();
    let totals = Cell::new(Totals::default());
    let quiet =
        |arguments: &'static [&'static str]| move || worktree::run(&mut cargo(arguments)).map(|()| String::new());
    let counted = |arguments: &[&str]| {
        let mut command = cargo(arguments);
        if let Some(path) = interpreter.get() {
            command.env(PYTHON, path);
        }
        if let Some(path) = packages.get() {
            command.env(NODE, path);
        }
        let (ran, outcome) = cargo_test::run(&mut command);
        totals.set(totals.get() + ran);
        outcome.map(|()| ran.to_string())
    };
    let outcome = steps::run(vec![
        Step::new("format", quiet(&["fmt", "--all", "--check"])),
        Step::new(
            "lints",
            quiet(&["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]),
        ),
        Step::new("build", quiet(&["build", "--workspace", "--bins"])),
        Step::new("dependencies", dependencies::check),
        Step::new("Python for the example client, schemathesis and the validator", || {
            let path = python::with_packages()?;
            Ok(interpreter.get_or_init(|| path).display().to_string())
        }),
        Step::new("Node.js packages for the server API", || {
            let path = node::with_packages()?;
            Ok(packages.get_or_init(|| path).display().to_string())
        }),
        Step::new("unit, integration and doc tests", || {
            counted(&["test", "--workspace", "--no-fail-fast"])
        }),
        Step::new("codec without tokio-util", || {
            counted(&[
                "test",
                "--package",
                "sluice-codec",
                "--no-default-features",
                "--no-fail-fast",
            ])
        }),
        Step::new("generated files are unchanged", || unchanged(before)),
    ]);
    if totals.get() != Totals::default() {
        println!("\n{}", totals.get());
    }
    outcome
}

/// The tests write generated files anew where they are out of date, and fail; a file that changed all the same is one
/// that a test should have complained about.
fn unchanged(before: Option<Vec<String>>) -> Outcome<String> {
    let (Some(before), Some(after)) = (before, changes()) else {
        return Ok("no git checkout, nothing to compare".into());
    };
    let changed: Vec<&str> = after
        .iter()
        .filter(|file| !before.contains(file))
        .map(String::as_str)
        .collect();
    if changed.is_empty() {
        Ok(String::new())
    } else {
        failure(format!("written by the tests:\n{}", changed.join("\n")))
    }
}
