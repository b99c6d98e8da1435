//! A Python with the protobuf package, in the target folder, for the tests that run the example client of the docs.

use std::path::PathBuf;

use crate::worktree::{command, run, succeeds, target};
use crate::{Outcome, failure};

/// What the example client needs. Pinned, so that a new release cannot break an old checkout.
const PACKAGE: &str = "protobuf==7.36.2";

/// The interpreter of a virtual environment that has the package. Makes what is missing; on a machine where the user is
/// root and Debian's packages are at hand, as in CI containers, that includes Python itself.
pub(crate) fn with_protobuf() -> Outcome<PathBuf> {
    let folder = target().join("python");
    let interpreter = folder.join("bin/python3");
    let has_package = || succeeds(&mut command(&interpreter, &["-c", "import google.protobuf"]));
    if has_package() {
        return Ok(interpreter);
    }
    let folder = folder.to_string_lossy().into_owned();
    // A half-made environment, or one whose Python has gone, is made anew.
    let make = || succeeds(&mut command("python3", &["-m", "venv", "--clear", &folder]));
    if !make() {
        install_python()?;
        if !make() {
            return failure(format!(
                "python3 -m venv {folder} fails even with python3-venv installed"
            ));
        }
    }
    run(&mut command(
        &interpreter,
        &[
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            PACKAGE,
        ],
    ))?;
    if has_package() {
        Ok(interpreter)
    } else {
        failure(format!("{PACKAGE} is installed and cannot be imported"))
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
