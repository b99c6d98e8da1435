//! What is asked for, and whether this machine can do it.

use std::path::PathBuf;

use rustix::process::{Resource, getrlimit};
use serde::Serialize;

use crate::bench_error::BenchError;
use crate::cores::Cores;
use crate::messages::{Talk, Transport};
use crate::peer::{PeerBinary, SEQUENCE_BYTES};

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
    /// Members of the room; several, with commas, are measured one after the other [default: 9000, with quic 1500]
    #[arg(long, value_name = "N", value_delimiter = ',')]
    members: Vec<usize>,
    /// Bytes of content of each message, 1 to 32768
    #[arg(long, value_name = "B", default_value_t = 128)]
    payload: usize,
    /// Messages in flight: sent together, a round, 1 to 4096; several, with commas, are measured one after the other
    #[arg(
        long,
        value_name = "W",
        value_delimiter = ',',
        default_value = "1",
        visible_alias = "windows"
    )]
    window: Vec<u32>,
    /// Workers of the gateway, each on a core of its own; several, with commas, are as many gateways that take turns
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1")]
    workers: Vec<usize>,
    /// Another server on the same rounds, only with tcp: nats, mosquitto or rumqttd and its binary; may be repeated
    #[arg(long = "peer", value_name = "NAME=PATH")]
    peers: Vec<PeerBinary>,
    /// Rounds of a repeat [default: as many as fill 2 seconds]; a peer does no more than fill 2 seconds
    #[arg(long, value_name = "R")]
    pub(super) rounds: Option<u32>,
    /// How often each server is measured, in turns
    #[arg(long, value_name = "K", default_value_t = 5)]
    repeats: u32,
    /// Receiver processes for each server [default: one per core that is not the server's]
    #[arg(long, value_name = "P")]
    processes: Option<usize>,
    /// Measure only one of the two, and no peers
    #[arg(long, value_enum)]
    only: Option<Only>,
    /// Write all figures, with hardware, versions and settings, to this file
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// The gateway's binary [default: `sluice` next to this program]
    #[arg(long, value_name = "PATH")]
    pub(super) gateway: Option<PathBuf>,
}

impl Arguments {
    /// Cores of the largest gateway.
    pub(super) fn server_cores(&self) -> usize {
        self.workers.iter().copied().max().unwrap_or(1)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Only {
    Bare,
    Sluice,
}

/// Arguments that this machine can do.
#[derive(Debug, Serialize)]
pub(super) struct Settings {
    pub(super) transport: Transport,
    pub(super) members: Vec<usize>,
    pub(super) windows: Vec<u32>,
    pub(super) payload_bytes: usize,
    /// Of each gateway.
    pub(super) workers: Vec<usize>,
    pub(super) repeats: u32,
    pub(super) receiver_processes: usize,
    /// The receivers run on servers' cores too, since these are all there are.
    pub(super) receivers_share_cores: bool,
    #[serde(skip)]
    pub(super) peers: Vec<PeerBinary>,
    #[serde(skip)]
    only: Option<Only>,
}

/// What is measured at a time.
pub(super) struct Load {
    pub(super) transport: Transport,
    pub(super) members: usize,
    pub(super) payload_bytes: usize,
    pub(super) window: u32,
    pub(super) receiver_processes: usize,
}

impl Settings {
    pub(super) fn check(arguments: &Arguments, cores: &Cores) -> Result<Self, BenchError> {
        let members = match (&arguments.members[..], arguments.transport) {
            ([], Transport::Tcp | Transport::Tls) => vec![MEMBERS_DEFAULT],
            ([], Transport::Quic) => vec![QUIC_MEMBERS_DEFAULT],
            (members, _) => members.to_vec(),
        };
        let receiver_processes = arguments.processes.unwrap_or(cores.load_count());
        let settings = Self {
            transport: arguments.transport,
            members,
            windows: arguments.window.clone(),
            payload_bytes: arguments.payload,
            workers: arguments.workers.clone(),
            repeats: arguments.repeats,
            receiver_processes,
            receivers_share_cores: cores.are_shared(),
            peers: arguments.peers.clone(),
            only: arguments.only,
        };
        if arguments.rounds == Some(0) {
            return Err(BenchError::Unsuitable("--rounds is at least 1".into()));
        }
        match settings.unsuitable(getrlimit(Resource::Nofile).current) {
            Some(what) => Err(BenchError::Unsuitable(what)),
            None => Ok(settings),
        }
    }

    /// What stands against these settings where a process may have so many descriptors.
    fn unsuitable(&self, descriptors: Option<u64>) -> Option<String> {
        if self.members.contains(&0)
            || self.receiver_processes == 0
            || self.repeats == 0
            || self.workers.is_empty()
            || self.workers.contains(&0)
        {
            return Some("--members, --workers, --processes and --repeats are at least 1".into());
        }
        let repeated = |workers: &usize| self.workers.iter().filter(|other| *other == workers).count() > 1;
        if self.workers.iter().any(repeated) {
            return Some("--workers names a number twice".into());
        }
        if !(1..=PAYLOAD_BYTES_MAX).contains(&self.payload_bytes) {
            return Some(format!("--payload is 1 to {PAYLOAD_BYTES_MAX}"));
        }
        if self.windows.iter().any(|window| !(1..=WINDOW_MAX).contains(window)) {
            return Some(format!("--window is 1 to {WINDOW_MAX}"));
        }
        if !self.peers.is_empty() {
            if self.transport != Transport::Tcp {
                return Some("--peer is for --transport tcp".into());
            }
            if self.payload_bytes < SEQUENCE_BYTES {
                return Some(format!(
                    "--payload is at least {SEQUENCE_BYTES} with --peer: a message's number is in its content there"
                ));
            }
            let twice = |peer: &PeerBinary| self.peers.iter().filter(|other| other.kind == peer.kind).count() > 1;
            if self.peers.iter().any(twice) {
                return Some("--peer names a server twice".into());
            }
        }
        let most = self.members.iter().max()? + OTHER_DESCRIPTORS;
        if self.transport != Transport::Quic
            && let Some(limit) = descriptors
            && most as u64 > limit
        {
            return Some(format!(
                "the members need {most} descriptors in the server, and this process may have {limit}: raise it with \
                 `ulimit -n` or take fewer members"
            ));
        }
        None
    }

    pub(super) fn measures_bare(&self) -> bool {
        self.only != Some(Only::Sluice)
    }

    pub(super) fn measures_sluice(&self) -> bool {
        self.only != Some(Only::Bare)
    }

    /// The peers to measure.
    pub(super) fn peers(&self) -> &[PeerBinary] {
        if self.only.is_some() { &[] } else { &self.peers }
    }

    /// All that is to be measured, one after the other.
    pub(super) fn loads(&self) -> impl Iterator<Item = Load> {
        self.members.iter().flat_map(move |members| {
            self.windows.iter().map(move |window| Load {
                transport: self.transport,
                members: *members,
                payload_bytes: self.payload_bytes,
                window: *window,
                receiver_processes: self.receiver_processes.min(*members),
            })
        })
    }
}

impl Load {
    pub(super) fn talk(&self) -> Talk {
        Talk {
            room: "bench".into(),
            sender: "publisher".into(),
            content: "x".repeat(self.payload_bytes),
            window: self.window,
        }
    }
}

#[cfg(test)]
impl Settings {
    /// Settings for tests of what is made of them.
    pub(super) fn of_one_point(transport: Transport) -> Self {
        Self {
            transport,
            members: vec![1_000],
            windows: vec![1],
            payload_bytes: 128,
            workers: vec![1],
            repeats: 2,
            receiver_processes: 1,
            receivers_share_cores: false,
            peers: Vec::new(),
            only: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::PeerKind;

    fn settings() -> Settings {
        Settings {
            members: vec![100, 9_000],
            windows: vec![1, 128],
            ..Settings::of_one_point(Transport::Tcp)
        }
    }

    #[test]
    fn every_number_of_members_is_measured_with_every_window() {
        let loads: Vec<_> = settings().loads().map(|load| (load.members, load.window)).collect();
        assert_eq!(loads, [(100, 1), (100, 128), (9_000, 1), (9_000, 128)]);
    }

    #[test]
    fn what_cannot_be_measured_is_refused_before_anything_starts() {
        let unsuitable = |change: fn(&mut Settings)| {
            let mut settings = settings();
            change(&mut settings);
            settings.unsuitable(Some(20_000)).unwrap_or_default()
        };
        assert_eq!(unsuitable(|_| {}), "");
        assert!(unsuitable(|settings| settings.windows.push(0)).contains("--window"));
        assert!(unsuitable(|settings| settings.members.push(30_000)).contains("ulimit"));
        assert!(unsuitable(|settings| settings.workers.push(1)).contains("twice"));
        let peer = |kind| PeerBinary {
            kind,
            path: "server".into(),
        };
        let mut with_peer = settings();
        with_peer.peers = vec![peer(PeerKind::Nats)];
        with_peer.payload_bytes = 7;
        assert!(with_peer.unsuitable(None).unwrap().contains("--payload"));
        with_peer.payload_bytes = 128;
        assert_eq!(with_peer.unsuitable(None), None);
        with_peer.peers.push(peer(PeerKind::Nats));
        assert!(with_peer.unsuitable(None).unwrap().contains("twice"));
        with_peer.peers.pop();
        with_peer.transport = Transport::Quic;
        assert!(with_peer.unsuitable(None).unwrap().contains("tcp"));
    }
}
