//! The gateway inside a process that counts what it allocates.

use std::path::PathBuf;
use std::process;

use rustls::crypto::aws_lc_rs;
use serde::{Deserialize, Serialize};
use sluice_gateway::Server;
use sluice_gateway::config::{Config, Sources};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::allocator;
use crate::bench_error::BenchError;
use crate::child::report;
use crate::messages::Report;
use crate::process_figures::resident_anonymous_bytes;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) configuration: PathBuf,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    Count,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Said {
    Started,
    Counted(Counted),
}

/// What this process holds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Counted {
    /// Allocated and not freed since the process began to count, as asked for, without what the allocator adds; modulo 2^64.
    pub(crate) live_bytes: u64,
    pub(crate) live_allocations: u64,
    /// Of memory that is no file's.
    pub(crate) resident_bytes: u64,
}

/// Serves until the plan is gone.
pub(crate) fn run(task: Task, mut orders: UnboundedReceiver<Order>) -> Result<(), BenchError> {
    allocator::count();
    aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| BenchError::Unsuitable("there is another provider of cryptography".into()))?;
    let sources = Sources {
        file: Some(task.configuration),
        ..Sources::default()
    };
    let unsuitable =
        |error: &dyn std::fmt::Display| BenchError::Unsuitable(format!("the gateway does not start: {error}"));
    let config = Config::load(&sources).map_err(|problems| unsuitable(&problems))?.config;
    let server = Server::start(config).map_err(|error| unsuitable(&error))?;
    report(&Report::Memory(Said::Started));
    while let Some(Order::Count) = orders.blocking_recv() {
        report(&Report::Memory(Said::Counted(Counted {
            live_bytes: allocator::live_bytes(),
            live_allocations: allocator::live_allocations(),
            resident_bytes: resident_anonymous_bytes(process::id())?,
        })));
    }
    server.shutdown();
    Ok(())
}
