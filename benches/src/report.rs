//! What the reports of all plans share: how figures are spread and written, and where they are kept.
//!
//! What a plan found is its own affair: each has a report of its own beside it.

mod figure;
mod spread;

use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::bench_error::{BenchError, Doing};
pub(crate) use figure::{count, kibibytes, nanoseconds, percent, spread, tenths, times};
pub(crate) use spread::Spread;

/// What was measured with.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Versions {
    pub(crate) sluice_bench: &'static str,
    /// What the gateway says of itself; `None` when it was not measured.
    pub(crate) gateway: Option<String>,
}

/// Writes a report to `path` as one JSON object on many lines.
pub(crate) fn write_json(report: &impl Serialize, path: &Path) -> Result<(), BenchError> {
    let mut text = serde_json::to_string_pretty(report).expect("a report is plain data");
    text.push('\n');
    fs::write(path, text).doing(format!("writing {}", path.display()))
}
