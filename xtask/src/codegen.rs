//! `cargo xtask codegen`: the tests that compare generated files with their sources also write them.

use crate::Outcome;
use crate::worktree::{cargo, run as run_command, succeeds};

/// The tests, by package and target: the generated types, the table of error codes, the tables of settings and of metrics, and
/// the document of the server API.
const WRITERS: [(&str, &str); 5] = [
    ("sluice-protocol", "generated_code"),
    ("sluice-protocol", "error_code_table"),
    ("sluice-gateway", "configuration_reference"),
    ("sluice-gateway", "metrics_table"),
    ("sluice-gateway", "openapi"),
];

/// Runs each once to write and, where that wrote something, once more to make sure.
pub(crate) fn run() -> Outcome {
    for (package, test) in WRITERS {
        let arguments = ["test", "--quiet", "--package", package, "--test", test];
        if !succeeds(&mut cargo(&arguments)) {
            run_command(&mut cargo(&arguments))?;
            println!("{package}: {test} was out of date and has been written anew");
        }
    }
    Ok(())
}
