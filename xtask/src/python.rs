//! A Python with packages, in the target folder, for the tests that run the example client of the docs, schemathesis and a validator
//! of OpenAPI documents.

use std::path::PathBuf;

use crate::worktree::{command, run, succeeds, target};
use crate::{Outcome, failure};

/// What the example client needs, schemathesis and the validator, with the versions.
const REQUIREMENTS: [&str; 2] = [
    "docs/examples/python/requirements.txt",
    "tests/tests/schemathesis/requirements.txt",
];

/// Succeeds where the interpreter is no older than the example client allows.
const IS_NEW_ENOUGH: &str = "import sys; sys.exit(sys.version_info < (3, 11))";

/// The interpreter of a virtual environment that has the packages. Makes what is missing; on a machine where the user is
/// root and Debian's packages are at hand, as in CI containers, that includes Python itself.
pub(crate) fn with_packages() -> Outcome<PathBuf> {
    let folder = target().join("python");
    let interpreter = folder.join("bin/python3");
    if !succeeds(&mut command(&interpreter, &["-c", IS_NEW_ENOUGH])) {
        make_environment(&folder.to_string_lossy())?;
        run(&mut command(&interpreter, &["-c", IS_NEW_ENOUGH]))
            .or_else(|_| failure("the tests need Python 3.11 or newer as python3"))?;
    }
    // Compares versions, and asks the network only for what is missing.
    run(&mut command(
        &interpreter,
        &[
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--requirement",
            REQUIREMENTS[0],
            "--requirement",
            REQUIREMENTS[1],
        ],
    ))?;
    Ok(interpreter)
}

/// Makes the environment anew, whatever half-made or outdated one is there.
fn make_environment(folder: &str) -> Outcome {
    let make = || succeeds(&mut command("python3", &["-m", "venv", "--clear", folder]));
    if make() {
        return Ok(());
    }
    install_python()?;
    if make() {
        Ok(())
    } else {
        failure(format!(
            "python3 -m venv {folder} fails even with python3-venv installed"
        ))
    }
}

fn install_python() -> Outcome {
    let root = crate::worktree::output(&mut command("id", &["-u"])).is_ok_and(|id| id.trim() == "0");
    if !root || !succeeds(&mut command("apt-get", &["--version"])) {
        return failure(
            "the tests need python3 with its venv module (on Debian: apt-get install python3 python3-venv)",
        );
    }
    let install = || {
        let mut command = command(
            "apt-get",
            &["install", "--yes", "--no-install-recommends", "python3", "python3-venv"],
        );
        run(command.env("DEBIAN_FRONTEND", "noninteractive"))
    };
    // A fresh container has no package lists yet.
    install().or_else(|_| run(&mut command("apt-get", &["update"])).and_then(|()| install()))
}
