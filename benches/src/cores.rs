//! Which core serves and which ones load it.
//!
//! The server gets the first core this process may use, everything else the others, so that the scheduler moves neither
//! and a receiver's work is never the server's. A child inherits the cores of the thread that starts it.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::bench_error::{BenchError, Doing};

/// The cores of this machine, divided.
pub(crate) struct Cores {
    server: CpuSet,
    load: CpuSet,
    load_count: usize,
}

impl Cores {
    /// Divides the cores and moves this thread to those of the load.
    pub(crate) fn divide() -> Result<Self, BenchError> {
        let all = sched_getaffinity(None).doing("reading the cores this process may use")?;
        let mut usable = (0..CpuSet::MAX_CPU).filter(|core| all.is_set(*core));
        let mut server = CpuSet::new();
        server.set(usable.next().expect("this thread runs on some core"));
        let mut load = CpuSet::new();
        for core in usable {
            load.set(core);
        }
        let load_count = load.count() as usize;
        if load_count == 0 {
            return Err(BenchError::Unsuitable(
                "at least two cores are needed: one for the server, one for the load".into(),
            ));
        }
        let cores = Self {
            server,
            load,
            load_count,
        };
        cores.settle_on(&cores.load)?;
        Ok(cores)
    }

    /// Runs `start` on the server's core; what it starts stays there.
    pub(crate) fn on_server<T>(&self, start: impl FnOnce() -> Result<T, BenchError>) -> Result<T, BenchError> {
        self.settle_on(&self.server)?;
        let started = start();
        self.settle_on(&self.load)?;
        started
    }

    /// How many cores the load has.
    pub(crate) fn load_count(&self) -> usize {
        self.load_count
    }

    fn settle_on(&self, cores: &CpuSet) -> Result<(), BenchError> {
        sched_setaffinity(None, cores).doing("choosing a core")
    }
}
