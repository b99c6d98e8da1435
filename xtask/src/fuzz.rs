//! `cargo xtask fuzz`: every fuzz target for a while.

use std::fs;

use crate::worktree::{cargo, output, root, run as run_command, succeeds, target};
use crate::{Outcome, failure};

/// The fuzz project, which builds apart from the workspace.
const PROJECT: &str = "codec/fuzz";

/// Runs every target for `seconds`, starting from the corpus in the repository. What is found on the way goes to the
/// target folder: the corpus holds chosen inputs, not all there are.
pub(crate) fn run(seconds: &str) -> Outcome {
    if seconds.parse::<u32>().is_err() {
        return failure(format!("--seconds takes a whole number, not {seconds:?}"));
    }
    if !succeeds(&mut cargo(&["fuzz", "--version"])) {
        return failure("cargo-fuzz is missing: cargo install cargo-fuzz");
    }
    let targets = output(&mut cargo(&["fuzz", "list", "--fuzz-dir", PROJECT]))?;
    for name in targets.lines() {
        let found = target().join("fuzz-corpus").join(name);
        if let Err(error) = fs::create_dir_all(&found) {
            return failure(format!("{} cannot be made: {error}", found.display()));
        }
        let corpus = root().join(PROJECT).join("corpus").join(name);
        let (found, corpus) = (found.to_string_lossy(), corpus.to_string_lossy());
        let time = format!("-max_total_time={seconds}");
        println!("\n==> {name}");
        // libFuzzer's instrumentation needs unstable compiler flags, which this variable allows on a stable compiler.
        let mut command = cargo(&["fuzz", "run", "--fuzz-dir", PROJECT, name, &found, &corpus, "--", &time]);
        run_command(command.env("RUSTC_BOOTSTRAP", "1"))?;
    }
    Ok(())
}
