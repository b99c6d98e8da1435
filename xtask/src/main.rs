//! What one cargo command cannot do. `cargo xtask` lists the tasks; `test` is the one that CI runs.
//!
//! Needs nothing but the standard library, so that it builds in a second.

mod cargo_test;
mod checks;
mod codegen;
mod dependencies;
mod fuzz;
mod long_runs;
mod node;
mod python;
mod schemathesis;
mod steps;
mod worktree;

use std::process::ExitCode;
use std::{env, fmt};

const USAGE: &str = "\
Usage: cargo xtask <TASK>

Tasks:
  test                    every check: format, lints, build, dependencies, tests, generated files
  codegen, docs           write generated code and the tables in docs anew, from their sources
  schemathesis [--examples N]  try the server API with N made-up cases for each path (300)
  power-cut [--cuts N]    let the power fail N times (1000) under the store
  histories [--times N]   play N random histories of conversations (100000) against a plain model
  kill [--times N]        kill the gateway N times (100) while clients talk
  cut-connections [--times N]  cut connections at every step of the protocol, N times each (50)
  fuzz [--seconds N]      run every fuzz target for N seconds (60); needs cargo-fuzz
";

/// Why a task did not succeed, in words for a person.
#[derive(Debug)]
struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a task, or a step of one, comes to.
type Outcome<T = ()> = Result<T, Failure>;

fn failure<T>(reason: impl Into<String>) -> Outcome<T> {
    Err(Failure(reason.into()))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments[..] {
        ["test"] => checks::run(),
        // One task under two names: both kinds of files come from the same tests.
        ["codegen" | "docs"] => codegen::run(),
        ["schemathesis"] => schemathesis::run("300"),
        ["schemathesis", "--examples", examples] => schemathesis::run(examples),
        ["power-cut"] => long_runs::power_cut("1000"),
        ["power-cut", "--cuts", cuts] => long_runs::power_cut(cuts),
        ["histories"] => long_runs::histories("100000"),
        ["histories", "--times", times] => long_runs::histories(times),
        ["kill"] => long_runs::kill("100"),
        ["kill", "--times", times] => long_runs::kill(times),
        ["cut-connections"] => long_runs::cut_connections("50"),
        ["cut-connections", "--times", times] => long_runs::cut_connections(times),
        ["fuzz"] => fuzz::run("60"),
        ["fuzz", "--seconds", seconds] => fuzz::run(seconds),
        [] | ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        _ => failure(format!("unknown task: {}\n\n{USAGE}", arguments.join(" "))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("xtask: {reason}");
            ExitCode::FAILURE
        }
    }
}
