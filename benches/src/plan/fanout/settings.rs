//! What is asked for, and whether this machine can do it.

use std::path::PathBuf;

use rustix::process::{Resource, getrlimit};
use serde::Serialize;

use crate::bench_error::BenchError;
use crate::messages::{Talk, Transport};

/// Members for TCP and TLS when not given: with both servers' connections well below 20,000 descriptors per process.
const MEMBERS_DEFAULT: usize = 9_000;

/// Members for QUIC when not given: its receivers cost several times as much.
const QUIC_MEMBERS_DEFAULT: usize = 1_500;

/// Descriptors a process needs besides its connections.
const OTHER_DESCRIPTORS: usize = 200;

/// Largest content of a text message.
const PAYLOAD_BYTES_MAX: usize = sluice_protocol::limits::TEXT_BYTES;

/// Most messages of a round: their acknowledgements wait for the publisher in a queue of a few hundred kilobytes.
const WINDOW_MAX: u32 = 4_096;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How frames travel
    #[arg(long, value_enum)]
    transport: Transport,
    /// Members of the room [default: 9000, with quic 1500]
    #[arg(long, value_name = "N")]
    members: Option<usize>,
    /// Bytes of content of each message, 1 to 32768
    #[arg(long, value_name = "B", default_value_t = 128)]
    payload: usize,
    /// Messages in flight: sent together, a round, 1 to 4096
    #[arg(long, value_name = "W", default_value_t = 1)]
    window: u32,
    /// Rounds of a repeat [default: as many as fill 2 seconds]
    #[arg(long, value_name = "R")]
    pub(super) rounds: Option<u32>,
    /// How often each server is measured, in turns
    #[arg(long, value_name = "K", default_value_t = 5)]
    repeats: u32,
    /// Receiver processes for each server [default: one per core that is not the server's]
    #[arg(long, value_name = "P")]
    processes: Option<usize>,
    /// Measure only one of the two
    #[arg(long, value_enum)]
    only: Option<Only>,
    /// Write all figures, with hardware, versions and settings, to this file
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// The gateway's binary [default: `sluice` next to this program]
    #[arg(long, value_name = "PATH")]
    pub(super) gateway: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Only {
    Bare,
    Sluice,
}

/// Arguments that this machine can do.
#[derive(Debug, Serialize)]
pub(crate) struct Settings {
    pub(crate) transport: Transport,
    pub(crate) members: usize,
    pub(crate) payload_bytes: usize,
    pub(crate) window: u32,
    pub(crate) repeats: u32,
    pub(crate) receiver_processes: usize,
    #[serde(skip)]
    only: Option<Only>,
}

impl Settings {
    pub(super) fn check(arguments: &Arguments, load_cores: usize) -> Result<Self, BenchError> {
        let members = arguments.members.unwrap_or(match arguments.transport {
            Transport::Tcp | Transport::Tls => MEMBERS_DEFAULT,
            Transport::Quic => QUIC_MEMBERS_DEFAULT,
        });
        let receiver_processes = arguments.processes.unwrap_or(load_cores).min(members);
        let refuse = |what: String| Err(BenchError::Unsuitable(what));
        if members == 0 || receiver_processes == 0 || arguments.repeats == 0 || arguments.rounds == Some(0) {
            return refuse("--members, --processes, --rounds and --repeats are at least 1".into());
        }
        if !(1..=PAYLOAD_BYTES_MAX).contains(&arguments.payload) {
            return refuse(format!("--payload is 1 to {PAYLOAD_BYTES_MAX}"));
        }
        if !(1..=WINDOW_MAX).contains(&arguments.window) {
            return refuse(format!("--window is 1 to {WINDOW_MAX}"));
        }
        if let Some(limit) = getrlimit(Resource::Nofile).current
            && arguments.transport != Transport::Quic
            && (members + OTHER_DESCRIPTORS) as u64 > limit
        {
            return refuse(format!(
                "{members} members need {} descriptors in the server, and this process may have {limit}: raise it \
                 with `ulimit -n` or take fewer members",
                members + OTHER_DESCRIPTORS
            ));
        }
        Ok(Self {
            transport: arguments.transport,
            members,
            payload_bytes: arguments.payload,
            window: arguments.window,
            repeats: arguments.repeats,
            receiver_processes,
            only: arguments.only,
        })
    }

    pub(super) fn measures_bare(&self) -> bool {
        self.only != Some(Only::Sluice)
    }

    pub(super) fn measures_sluice(&self) -> bool {
        self.only != Some(Only::Bare)
    }

    pub(super) fn talk(&self) -> Talk {
        Talk {
            room: "bench".into(),
            sender: "publisher".into(),
            content: "x".repeat(self.payload_bytes),
            window: self.window,
        }
    }
}
