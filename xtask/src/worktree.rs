//! The source tree and the tools that work on it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Outcome, failure};

/// The folder with the workspace's `Cargo.toml`.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the workspace")
}

/// Where cargo builds.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |folder| root().join(folder))
}

/// A command in the root of the tree.
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    command
}

/// The cargo that runs this, with these arguments.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()), arguments)
}

/// Runs `command`, with its output on the terminal.
pub(crate) fn run(command: &mut Command) -> Outcome {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => failure(format!("{} ended with {status}", shown(command))),
        Err(error) => failure(format!("{} cannot be started: {error}", shown(command))),
    }
}

/// Runs `command` and returns what it printed on standard output.
pub(crate) fn output(command: &mut Command) -> Outcome<String> {
    match command.stderr(Stdio::inherit()).output() {
        Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(output) => failure(format!("{} ended with {}", shown(command), output.status)),
        Err(error) => failure(format!("{} cannot be started: {error}", shown(command))),
    }
}

/// Whether `command` runs and succeeds; its output goes nowhere.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// What differs from the last commit, file by file with its content, or `None` outside of a git checkout.
///
/// Compared before and after the tests, it tells whether they wrote a file anew, in a clean tree and in one being
/// worked on.
pub(crate) fn changes() -> Option<Vec<String>> {
    let git = |arguments: &[&str]| {
        let output = command("git", arguments).stderr(Stdio::null()).output().ok()?;
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let files = git(&["ls-files", "--modified", "--others", "--exclude-standard"])?;
    let hash = |file: &str| git(&["hash-object", "--", file]).unwrap_or_else(|| "removed\n".into());
    Some(
        files
            .lines()
            .map(|file| format!("{file} {}", hash(file).trim_end()))
            .collect(),
    )
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
