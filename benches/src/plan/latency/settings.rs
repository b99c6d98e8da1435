//! What is asked for, and whether this machine can do it.

use std::path::PathBuf;

use rustix::process::{Resource, getrlimit};
use serde::Serialize;

use crate::bench_error::BenchError;
use crate::messages::{Talk, Transport};
use crate::stamp::STAMP_BYTES;

/// Members for TCP and TLS when not given: with both servers' connections well below 20,000 descriptors per process.
const MEMBERS_DEFAULT: usize = 9_000;

/// Members for QUIC when not given: they cost several times as much on both ends.
const QUIC_MEMBERS_DEFAULT: usize = 1_500;

/// Descriptors a process needs besides its connections.
const OTHER_DESCRIPTORS: usize = 200;

/// Most delays that members keep until a phase is over, eight bytes each.
const DELAYS_MAX: f64 = 50e6;

/// Joins each second of one session: with as many leaves, the moves that a session may do by default.
const JOINS_PER_SESSION: f64 = 50.0;

/// Most messages in flight of a flood.
const FLOOD_MAX: u64 = 4_096;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How frames travel to the members
    #[arg(long, value_enum, default_value = "tcp")]
    transport: Transport,
    /// Members of the room [default: 9000, with quic 1500]
    #[arg(long, value_name = "N")]
    members: Option<usize>,
    /// Bytes of content of each message, 33 to 32768
    #[arg(long, value_name = "B", default_value_t = 128)]
    payload: usize,
    /// Timed messages each second, whatever becomes of them
    #[arg(long, value_name = "R", default_value_t = 5.0)]
    rate: f64,
    /// Length of a phase
    #[arg(long, value_name = "S", default_value_t = 10)]
    seconds: u64,
    /// How often each phase is measured, in turns
    #[arg(long, value_name = "K", default_value_t = 5)]
    repeats: u32,
    /// Measure phases in which a second publisher keeps W messages in flight to the same room, 1 to 4096
    #[arg(long, value_name = "W")]
    flood: Option<u64>,
    /// Measure phases in which J members each second enter the room and leave it again
    #[arg(long, value_name = "J")]
    joins_per_second: Option<f64>,
    /// Measure phases in which this share of the members does not read, above 0 and below 100
    #[arg(long, value_name = "PERCENT")]
    slow: Option<f64>,
    /// Messages each second that are not timed, in all phases of the gateway that are not flooded
    #[arg(long, value_name = "R", default_value_t = 0.0)]
    background: f64,
    /// Pings each second of one member
    #[arg(long, value_name = "P", default_value_t = 100.0)]
    pings_per_second: f64,
    /// Processes that hold the members of each server [default: one per core that is not the server's]
    #[arg(long, value_name = "P")]
    processes: Option<usize>,
    /// Measure only one of the two servers
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

/// What goes on while messages are timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Phase {
    /// The bare loop, undisturbed.
    Bare,
    /// The gateway, undisturbed. The others are the gateway's too.
    Quiet,
    /// Another publisher floods the room.
    Flooded,
    /// Members come and go.
    Stormy,
    /// Some members do not read.
    Slow,
}

impl Phase {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Quiet => "quiet",
            Self::Flooded => "flooded",
            Self::Stormy => "stormy",
            Self::Slow => "slow",
        }
    }
}

/// Arguments that this machine can do.
#[derive(Debug, Serialize)]
pub(super) struct Settings {
    pub(super) transport: Transport,
    pub(super) members: usize,
    pub(super) payload_bytes: usize,
    pub(super) messages_per_second: f64,
    pub(super) seconds: u64,
    pub(super) repeats: u32,
    pub(super) flood_window: Option<u64>,
    pub(super) joins_per_second: Option<f64>,
    /// Sessions that come and go.
    pub(super) churners: usize,
    /// Members who can stop reading.
    pub(super) slow_members: usize,
    pub(super) background_per_second: f64,
    pub(super) pings_per_second: f64,
    pub(super) crowd_processes: usize,
    #[serde(skip)]
    only: Option<Only>,
}

impl Settings {
    pub(super) fn check(arguments: &Arguments, load_cores: usize) -> Result<Self, BenchError> {
        let refuse = |what: String| Err(BenchError::Unsuitable(what));
        let members = arguments.members.unwrap_or(match arguments.transport {
            Transport::Tcp | Transport::Tls => MEMBERS_DEFAULT,
            Transport::Quic => QUIC_MEMBERS_DEFAULT,
        });
        let crowd_processes = arguments.processes.unwrap_or(load_cores).min(members);
        if members == 0 || !(1..=100).contains(&crowd_processes) || arguments.repeats == 0 || arguments.seconds == 0 {
            return refuse("--members, --seconds and --repeats are at least 1, --processes is 1 to 100".into());
        }
        let largest = sluice_protocol::limits::TEXT_BYTES;
        if !(STAMP_BYTES..=largest).contains(&arguments.payload) {
            return refuse(format!("--payload is {STAMP_BYTES} to {largest}"));
        }
        if arguments.flood.is_some_and(|window| !(1..=FLOOD_MAX).contains(&window)) {
            return refuse(format!("--flood is 1 to {FLOOD_MAX}"));
        }
        let is_rate = |rate: f64| rate.is_finite() && rate > 0.0;
        let joins = arguments.joins_per_second;
        if !is_rate(arguments.rate) || !is_rate(arguments.pings_per_second) || !joins.is_none_or(is_rate) {
            return refuse("--rate, --pings-per-second and --joins-per-second are above 0".into());
        }
        if !(arguments.background.is_finite() && arguments.background >= 0.0) {
            return refuse("--background is 0 or above".into());
        }
        let delays = arguments.rate * arguments.seconds as f64 * members as f64;
        if delays > DELAYS_MAX {
            return refuse(format!(
                "{delays:.0} delays in a phase are more than the {DELAYS_MAX:.0} that are kept: take fewer members, a lower \
                 --rate or fewer --seconds"
            ));
        }
        let slow_members = match arguments.slow {
            None => 0,
            Some(percent) if percent > 0.0 && percent < 100.0 => (members as f64 * percent / 100.0).round() as usize,
            Some(_) => return refuse("--slow is above 0 and below 100".into()),
        };
        if arguments.slow.is_some() && !(1..members).contains(&slow_members) {
            return refuse("--slow leaves nobody slow, or nobody else, of so few members".into());
        }
        let churners = joins.map_or(0, |joins| (joins / JOINS_PER_SESSION).ceil() as usize);
        let descriptors = members + churners + OTHER_DESCRIPTORS;
        if let Some(limit) = getrlimit(Resource::Nofile).current
            && arguments.transport != Transport::Quic
            && descriptors as u64 > limit
        {
            return refuse(format!(
                "{members} members and {churners} who come and go need {descriptors} descriptors in the server, and this \
                 process may have {limit}: raise it with `ulimit -n` or take fewer members"
            ));
        }
        Ok(Self {
            transport: arguments.transport,
            members,
            payload_bytes: arguments.payload,
            messages_per_second: arguments.rate,
            seconds: arguments.seconds,
            repeats: arguments.repeats,
            flood_window: arguments.flood,
            joins_per_second: joins,
            churners,
            slow_members,
            background_per_second: arguments.background,
            pings_per_second: arguments.pings_per_second,
            crowd_processes,
            only: arguments.only,
        })
    }

    pub(super) fn measures_bare(&self) -> bool {
        self.only != Some(Only::Sluice)
    }

    pub(super) fn measures_sluice(&self) -> bool {
        self.only != Some(Only::Bare)
    }

    /// Members who always read; only these are timed.
    pub(super) fn steady_members(&self) -> usize {
        self.members - self.slow_members
    }

    /// The phases without a disturbance, in the order of a repeat.
    pub(super) fn undisturbed(&self) -> impl Iterator<Item = Phase> {
        let bare = self.measures_bare().then_some(Phase::Bare);
        let quiet = self.measures_sluice().then_some(Phase::Quiet);
        bare.into_iter().chain(quiet)
    }

    /// The phases of a repeat.
    pub(super) fn phases(&self) -> Vec<Phase> {
        let mut phases: Vec<_> = self.undisturbed().collect();
        if self.measures_sluice() {
            phases.extend(self.flood_window.map(|_| Phase::Flooded));
            phases.extend(self.joins_per_second.map(|_| Phase::Stormy));
            phases.extend((self.slow_members > 0).then_some(Phase::Slow));
        }
        phases
    }

    pub(super) fn talk(&self) -> Talk {
        Talk {
            room: "bench".into(),
            sender: "publisher".into(),
            content: "x".repeat(self.payload_bytes),
            window: 1,
        }
    }
}
