//! What is asked for, and whether this machine can do it.

use std::path::PathBuf;

use rustix::process::{Resource, getrlimit};
use serde::Serialize;

use crate::bench_error::BenchError;
use crate::messages::Transport;
use crate::stamp::STAMP_BYTES;

/// Descriptors a process needs besides its connections.
const OTHER_DESCRIPTORS: usize = 200;

/// More would only take turns on the same cores.
const PROCESSES_MAX: usize = 200;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Client processes, 1 to 200
    #[arg(long, value_name = "P", default_value_t = 2)]
    processes: usize,
    /// Connections of each process
    #[arg(long, value_name = "N", default_value_t = 4_000)]
    connections: usize,
    /// How frames travel
    #[arg(long, value_enum, default_value = "tcp")]
    transport: Transport,
    /// Logins begun each second by all processes together [default: each process has 200 on their way]
    #[arg(long, value_name = "PER_SECOND")]
    ramp: Option<f64>,
    /// How long all stay and only ping
    #[arg(long, value_name = "S", default_value_t = 15)]
    hold: u64,
    /// Time between two pings of a client
    #[arg(long, value_name = "S", default_value_t = 5)]
    ping_every: u64,
    /// Messages to all, one after the other
    #[arg(long, value_name = "B", default_value_t = 20)]
    broadcasts: u32,
    /// Bytes of content of each message, 33 to 32768
    #[arg(long, value_name = "B", default_value_t = 128)]
    payload: usize,
    /// How often all connections are lost and come back
    #[arg(long, value_name = "K", default_value_t = 3)]
    storms: u32,
    /// After a loss each client waits any part of this time, then comes back
    #[arg(long, value_name = "S", default_value_t = 10)]
    window: u64,
    /// After a loss all clients come back at once
    #[arg(long, conflicts_with = "window")]
    no_jitter: bool,
    /// Write all figures, with hardware, versions and settings, to this file
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// The gateway's binary [default: `sluice` next to this program]
    #[arg(long, value_name = "PATH")]
    pub(super) gateway: Option<PathBuf>,
}

/// Arguments that this machine can do.
#[derive(Debug, Serialize)]
pub(super) struct Settings {
    pub(super) transport: Transport,
    pub(super) processes: usize,
    pub(super) connections_each: usize,
    pub(super) ramp_per_second: Option<f64>,
    pub(super) hold_seconds: u64,
    pub(super) ping_every_seconds: u64,
    pub(super) broadcasts: u32,
    pub(super) payload_bytes: usize,
    pub(super) storms: u32,
    /// 0: all at once.
    pub(super) jitter_window_seconds: u64,
}

impl Settings {
    pub(super) fn check(arguments: &Arguments) -> Result<Self, BenchError> {
        let refuse = |what: String| Err(BenchError::Unsuitable(what));
        if !(1..=PROCESSES_MAX).contains(&arguments.processes) || arguments.connections == 0 {
            return refuse(format!(
                "--processes is 1 to {PROCESSES_MAX}, and --connections at least 1"
            ));
        }
        if arguments.hold == 0 || arguments.ping_every == 0 || arguments.broadcasts == 0 || arguments.storms == 0 {
            return refuse("--hold, --ping-every, --broadcasts and --storms are at least 1".into());
        }
        let largest = sluice_protocol::limits::TEXT_BYTES;
        if !(STAMP_BYTES..=largest).contains(&arguments.payload) {
            return refuse(format!("--payload is {STAMP_BYTES} to {largest}"));
        }
        if arguments.ramp.is_some_and(|ramp| !(ramp.is_finite() && ramp > 0.0)) {
            return refuse("--ramp is above 0".into());
        }
        let settings = Self {
            transport: arguments.transport,
            processes: arguments.processes,
            connections_each: arguments.connections,
            ramp_per_second: arguments.ramp,
            hold_seconds: arguments.hold,
            ping_every_seconds: arguments.ping_every,
            broadcasts: arguments.broadcasts,
            payload_bytes: arguments.payload,
            storms: arguments.storms,
            jitter_window_seconds: if arguments.no_jitter { 0 } else { arguments.window },
        };
        if let Some(limit) = getrlimit(Resource::Nofile).current {
            let descriptors = settings.members() + OTHER_DESCRIPTORS;
            if descriptors as u64 > limit {
                // With QUIC it would not open them, but the gateway does not let itself be configured for more.
                return refuse(format!(
                    "{} processes with {} connections each: the one gateway process that serves them would need {descriptors} \
                     descriptors, and a process may have {limit} here: raise that with `ulimit -n`, or take at most {} \
                     connections",
                    settings.processes,
                    settings.connections_each,
                    limit.saturating_sub(OTHER_DESCRIPTORS as u64)
                ));
            }
        }
        Ok(settings)
    }

    /// Connections of all processes.
    pub(super) fn members(&self) -> usize {
        self.processes * self.connections_each
    }

    /// Whether the gateway counts sessions that were resumed: over TCP it has no such thing, over QUIC no such count.
    pub(super) fn counts_resumed(&self) -> bool {
        self.transport == Transport::Tls
    }
}
