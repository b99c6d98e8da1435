//! What is asked for, and whether this machine can do it.

use std::path::PathBuf;

use rustix::process::{Resource, getrlimit};
use serde::Serialize;

use crate::bench_error::BenchError;
use crate::messages::Transport;

/// Members for TCP and TLS when not given: enough that what there is once does not show.
const MEMBERS_DEFAULT: usize = 4_000;

/// Members for QUIC when not given: each costs several times as much.
const QUIC_MEMBERS_DEFAULT: usize = 1_500;

/// Descriptors a process needs besides its connections.
const OTHER_DESCRIPTORS: usize = 200;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How frames travel
    #[arg(long, value_enum, default_value = "all")]
    transport: Which,
    /// Members of the room [default: 4000, over quic 1500]
    #[arg(long, value_name = "N")]
    members: Option<usize>,
    /// How often each transport is measured, with a new gateway each time
    #[arg(long, value_name = "K", default_value_t = 3)]
    repeats: u32,
    /// Write all figures, with hardware, versions and settings, to this file
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
enum Which {
    Tcp,
    Tls,
    Quic,
    All,
}

/// Arguments that this machine can do.
#[derive(Debug, Serialize)]
pub(super) struct Settings {
    transport: Which,
    members: Option<usize>,
    pub(super) repeats: u32,
}

impl Settings {
    pub(super) fn check(arguments: &Arguments) -> Result<Self, BenchError> {
        let refuse = |what: String| Err(BenchError::Unsuitable(what));
        if arguments.members == Some(0) || arguments.repeats == 0 {
            return refuse("--members and --repeats are at least 1".into());
        }
        let settings = Self {
            transport: arguments.transport,
            members: arguments.members,
            repeats: arguments.repeats,
        };
        let descriptors = settings
            .transports()
            .iter()
            .map(|transport| settings.members_over(*transport));
        let descriptors = descriptors.max().unwrap_or(0) + OTHER_DESCRIPTORS;
        if let Some(limit) = getrlimit(Resource::Nofile).current
            && descriptors as u64 > limit
        {
            return refuse(format!(
                "{descriptors} descriptors are needed, and this process may have {limit}: raise it with `ulimit -n` or take \
                 fewer members"
            ));
        }
        Ok(settings)
    }

    pub(super) fn transports(&self) -> &'static [Transport] {
        match self.transport {
            Which::Tcp => &[Transport::Tcp],
            Which::Tls => &[Transport::Tls],
            Which::Quic => &[Transport::Quic],
            Which::All => &[Transport::Tcp, Transport::Tls, Transport::Quic],
        }
    }

    pub(super) fn members_over(&self, transport: Transport) -> usize {
        self.members.unwrap_or(match transport {
            Transport::Tcp | Transport::Tls => MEMBERS_DEFAULT,
            Transport::Quic => QUIC_MEMBERS_DEFAULT,
        })
    }
}
