//! Where log lines go: standard error, for people or for machines.

use std::io::IsTerminal as _;

use sluice_gateway::config::{Log, LogFormat};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

/// Starts logging for the whole process.
pub(super) fn start(log: &Log) {
    let filter = EnvFilter::try_new(&log.level).expect("the configuration has checked the level");
    let lines = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match log.format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .init(),
    }
}
