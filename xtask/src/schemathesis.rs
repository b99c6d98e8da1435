//! The server API, tried with many made-up cases.

use crate::checks::PYTHON;
use crate::worktree::{self, cargo};
use crate::{Outcome, python};

/// How many cases the test tries for each path.
const EXAMPLES: &str = "SLUICE_TEST_SCHEMATHESIS_EXAMPLES";

pub(crate) fn run(examples: &str) -> Outcome {
    let interpreter = python::with_packages()?;
    let arguments = ["test", "--package", "sluice-tests", "--", "schemathesis::"];
    worktree::run(cargo(&arguments).env(PYTHON, interpreter).env(EXAMPLES, examples))
}
