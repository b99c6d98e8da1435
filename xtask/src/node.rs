//! A folder with the packages from npm that tests run, in the target folder.

use std::fs;
use std::path::PathBuf;

use crate::worktree::{command, output, root, run, succeeds, target};
use crate::{Outcome, failure};

/// Where the packages are named, with their versions.
const SOURCES: &str = "tests/tests/node_sdk";

/// The folder whose `node_modules` hold them. Makes what is missing; on a machine where the user is root and Debian's packages are at hand,
/// as in CI containers, that includes Node.js itself.
pub(crate) fn with_packages() -> Outcome<PathBuf> {
    if !succeeds(&mut command("npm", &["--version"])) {
        install_node()?;
    }
    let folder = target().join("node");
    fs::create_dir_all(&folder).or_else(|error| failure(format!("{}: {error}", folder.display())))?;
    let mut changed = !folder.join("node_modules").exists();
    for file in ["package.json", "package-lock.json"] {
        let wanted = fs::read(root().join(SOURCES).join(file)).or_else(|error| failure(format!("{file}: {error}")))?;
        let path = folder.join(file);
        if fs::read(&path).ok().as_ref() != Some(&wanted) {
            fs::write(&path, wanted).or_else(|error| failure(format!("{}: {error}", path.display())))?;
            changed = true;
        }
    }
    if changed {
        // No scripts: nothing of these packages needs to be built.
        run(command(
            "npm",
            &["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
        )
        .current_dir(&folder))?;
    }
    Ok(folder)
}

fn install_node() -> Outcome {
    let is_root = output(&mut command("id", &["-u"])).is_ok_and(|id| id.trim() == "0");
    if !is_root || !succeeds(&mut command("apt-get", &["--version"])) {
        return failure("the tests need Node.js with npm (on Debian: apt-get install nodejs npm)");
    }
    let install = || {
        let mut command = command(
            "apt-get",
            &["install", "--yes", "--no-install-recommends", "nodejs", "npm"],
        );
        run(command.env("DEBIAN_FRONTEND", "noninteractive"))
    };
    // A fresh container has no package lists yet.
    install().or_else(|_| run(&mut command("apt-get", &["update"])).and_then(|()| install()))
}
