//! What the figures were measured on.

use std::fs;

use serde::Serialize;

use crate::process_figures::kibibytes_after;

/// This machine, as far as figures depend on it.
#[derive(Debug, Serialize)]
pub(crate) struct Hardware {
    pub(crate) cpu_model: String,
    pub(crate) cores: usize,
    pub(crate) memory_bytes: u64,
    pub(crate) kernel: String,
}

impl Hardware {
    /// Reads `/proc`. What cannot be read is said to be unknown, since no figure depends on it.
    pub(crate) fn look() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let processors = read("/proc/cpuinfo");
        Self {
            cpu_model: cpu_model(&processors).unwrap_or("unknown").to_owned(),
            // All of them: this process may be confined to some by the time it asks.
            cores: processors.lines().filter(|line| line.starts_with("processor")).count(),
            memory_bytes: kibibytes_after(&read("/proc/meminfo"), "MemTotal:").unwrap_or(0) * 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        }
    }
}

fn cpu_model(cpuinfo: &str) -> Option<&str> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    line.split_once(':').map(|(_, model)| model.trim())
}
