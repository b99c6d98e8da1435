//! Which cores serve and which ones load them.
//!
//! A server gets the first core this process may use, everything else the others, so that the scheduler moves neither
//! and a receiver's work is never the server's. Where a server with more workers is measured too, the cores of the
//! largest are kept free of load; if that leaves none, the load has all cores and shares them with every server alike.
//! A child inherits the cores of the thread that starts it.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::bench_error::{BenchError, Doing};

/// The cores of this machine, divided.
pub(crate) struct Cores {
    usable: Vec<usize>,
    load: CpuSet,
    shared: bool,
}

impl Cores {
    /// Divides the cores, the first for the server, and moves this thread to those of the load.
    pub(crate) fn divide() -> Result<Self, BenchError> {
        Self::divide_for(1)
    }

    /// The same where the largest server has `servers` cores.
    ///
    /// # Errors
    /// There are fewer than two cores, or fewer than `servers`.
    pub(crate) fn divide_for(servers: usize) -> Result<Self, BenchError> {
        let all = sched_getaffinity(None).doing("reading the cores this process may use")?;
        let usable: Vec<_> = (0..CpuSet::MAX_CPU).filter(|core| all.is_set(*core)).collect();
        if usable.len() < servers.max(2) {
            return Err(BenchError::Unsuitable(format!(
                "{} cores are needed, and this process may use {}: one for each worker of the server, and two at least",
                servers.max(2),
                usable.len()
            )));
        }
        let shared = usable.len() == servers;
        let load = cores(if shared { &usable } else { &usable[servers..] });
        settle_on(&load)?;
        Ok(Self { usable, load, shared })
    }

    /// Runs `start` on the server's core; what it starts stays there.
    pub(crate) fn on_server<T>(&self, start: impl FnOnce() -> Result<T, BenchError>) -> Result<T, BenchError> {
        self.on_servers(1, start)
    }

    /// Runs `start` on the first `servers` cores, of at most as many as were asked for; what it starts stays there.
    pub(crate) fn on_servers<T>(
        &self,
        servers: usize,
        start: impl FnOnce() -> Result<T, BenchError>,
    ) -> Result<T, BenchError> {
        settle_on(&cores(&self.usable[..servers]))?;
        let started = start();
        settle_on(&self.load)?;
        started
    }

    /// How many cores the load has.
    pub(crate) fn load_count(&self) -> usize {
        self.load.count() as usize
    }

    /// Whether the load runs on servers' cores too.
    pub(crate) fn are_shared(&self) -> bool {
        self.shared
    }
}

fn cores(numbers: &[usize]) -> CpuSet {
    let mut set = CpuSet::new();
    for number in numbers {
        set.set(*number);
    }
    set
}

fn settle_on(cores: &CpuSet) -> Result<(), BenchError> {
    sched_setaffinity(None, cores).doing("choosing a core")
}
