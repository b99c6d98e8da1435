//! Tests of safety that take longer than one waits before a commit. The same tests run for a short while in `cargo xtask test`.

use crate::worktree::{self, cargo};
use crate::{Outcome, failure};

/// The power fails under the store.
pub(crate) fn power_cut(cuts: &str) -> Outcome {
    run(
        &[
            "--package",
            "sluice-gateway",
            "--lib",
            "--",
            "conversation::tests::power_cut::",
        ],
        "SLUICE_TEST_POWER_CUTS",
        cuts,
    )
}

/// Random histories of conversations are played.
pub(crate) fn histories(times: &str) -> Outcome {
    run(
        &[
            "--package",
            "sluice-gateway",
            "--lib",
            "--",
            "conversation::tests::against_a_model::",
        ],
        "SLUICE_TEST_CONVERSATION_HISTORIES",
        times,
    )
}

/// The gateway is killed.
pub(crate) fn kill(times: &str) -> Outcome {
    run(
        &["--package", "sluice-tests", "--", "kill::"],
        "SLUICE_TEST_KILLS",
        times,
    )
}

/// Connections are cut.
pub(crate) fn cut_connections(times: &str) -> Outcome {
    run(
        &["--package", "sluice-tests", "--", "connection_cuts::"],
        "SLUICE_TEST_CONNECTION_CUTS",
        times,
    )
}

fn run(tests: &[&str], variable: &str, times: &str) -> Outcome {
    if times.parse::<u32>().is_err() {
        return failure(format!("how often is a whole number, not {times:?}"));
    }
    let arguments: Vec<&str> = ["test"].iter().chain(tests).copied().chain(["--nocapture"]).collect();
    worktree::run(cargo(&arguments).env(variable, times))
}
