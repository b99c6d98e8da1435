//! What must not be in the gateway: a second cryptography, and C libraries that a build would have to find.

use crate::worktree::{cargo, output};
use crate::{Outcome, failure};

/// With two cryptographic providers in one process rustls cannot choose and panics; the others need a system's OpenSSL.
const FORBIDDEN: [&str; 4] = ["ring", "openssl-sys", "openssl", "native-tls"];

/// Looks through what the crates of the workspace are built from on this platform; what only tests use may differ.
pub(crate) fn check() -> Outcome<String> {
    let tree = output(&mut cargo(&[
        "tree",
        "--workspace",
        "--edges",
        "normal,build",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]))?;
    let mut crates: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    crates.sort_unstable();
    crates.dedup();
    let found: Vec<&str> = crates.iter().copied().filter(|name| FORBIDDEN.contains(name)).collect();
    match found.first() {
        None => Ok(format!("{} crates, none of {}", crates.len(), FORBIDDEN.join(", "))),
        Some(name) => failure(format!(
            "found {}; see who needs it: cargo tree --workspace --edges normal,build --invert {name}",
            found.join(", ")
        )),
    }
}
