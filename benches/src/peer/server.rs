//! A peer's server under test: its binary, its configuration, its start.
//!
//! Each is configured as one would for this work: no limits that the work reaches, TCP without delay where that is a
//! choice, nothing written to disk, no log. What is not named is at the server's default.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::{PeerBinary, PeerKind};
use crate::bench_error::{BenchError, Doing};
use crate::child::{Child, Inbox};
use crate::cores::Cores;
use crate::gateway_process::{free_tcp_ports, last_lines};
use crate::messages::Talk;

/// From start to the first connection it takes.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// How often it is tried.
const TRY_EVERY: Duration = Duration::from_millis(20);

/// Connections besides the members': the publisher, and the one that tries.
const OTHER_CONNECTIONS: usize = 10;

/// What a member may have waiting in NATS: several times the largest round, or its default of 64 MiB.
const NATS_PENDING_MIN: usize = 64 << 20;

/// A publication's bytes besides its content, amply.
const ENVELOPE_BYTES: usize = 256;

/// A peer's server that takes connections.
pub(crate) struct PeerServer {
    pub(crate) process: Child,
    pub(crate) address: SocketAddr,
}

impl PeerServer {
    /// Starts the server on the server's core, and waits until it takes connections.
    pub(crate) fn start(
        binary: &PeerBinary,
        members: usize,
        talk: &Talk,
        folder: &Path,
        cores: &Cores,
        inbox: &Inbox,
    ) -> Result<Self, BenchError> {
        let name = binary.kind.name();
        let [address] = free_tcp_ports()?;
        let suffix = match binary.kind {
            // rumqttd tells formats by their suffix.
            PeerKind::Rumqttd => "toml",
            PeerKind::Nats | PeerKind::Mosquitto => "conf",
        };
        let settings = folder.join(format!("{name}.{suffix}"));
        let text = configuration(binary.kind, address, members + OTHER_CONNECTIONS, talk);
        fs::write(&settings, text).doing(format!("writing the configuration of {name}"))?;
        let log = folder.join(format!("{name}.log"));
        let output = File::create(&log).doing(format!("making the log of {name}"))?;
        let mut command = Command::new(&binary.path);
        command
            .arg(match binary.kind {
                PeerKind::Nats | PeerKind::Mosquitto => "-c",
                PeerKind::Rumqttd => "--config",
            })
            .arg(&settings)
            .current_dir(folder)
            .stdout(output.try_clone().doing(format!("making the log of {name}"))?)
            .stderr(output);
        if binary.kind == PeerKind::Nats {
            command.env("GOMAXPROCS", "1");
        }
        let mut process = cores.on_server(|| Child::start(name, &mut command))?;
        let deadline = Instant::now() + START_TIMEOUT;
        while TcpStream::connect_timeout(&address, START_TIMEOUT).is_err() {
            let ended = process.exit_status()?;
            if ended.is_some() || Instant::now() > deadline {
                let what = ended.map_or_else(
                    || "takes no connection".to_owned(),
                    |status| format!("ended with {status}"),
                );
                return Err(BenchError::peer(
                    name,
                    format!("{what}; its log ends with\n{}", last_lines(&log)),
                ));
            }
            inbox.pause(TRY_EVERY)?;
        }
        Ok(Self { process, address })
    }
}

/// What the server says of its version.
pub(crate) fn version(binary: &PeerBinary) -> Result<String, BenchError> {
    let ask = match binary.kind {
        PeerKind::Nats | PeerKind::Rumqttd => "--version",
        // It has no question for the version alone; the help begins with it.
        PeerKind::Mosquitto => "-h",
    };
    let output = Command::new(&binary.path)
        .arg(ask)
        .output()
        .doing(format!("running {}", binary.path.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.lines().next().unwrap_or_default().trim();
    if version.is_empty() {
        return Err(BenchError::Unsuitable(format!(
            "{} does not say its version: is it {}?",
            binary.path.display(),
            binary.kind.name()
        )));
    }
    Ok(version.to_owned())
}

fn configuration(kind: PeerKind, address: SocketAddr, connections: usize, talk: &Talk) -> String {
    let message_bytes = talk.content.len() + ENVELOPE_BYTES;
    let round_bytes = talk.window as usize * message_bytes;
    match kind {
        PeerKind::Nats => format!(
            "listen: \"{address}\"\n\
             max_connections: {connections}\n\
             max_payload: {message_bytes}\n\
             # A member that lags is waited for; what it may lag by is several rounds.\n\
             write_deadline: \"60s\"\n\
             max_pending: {}\n\
             # Members are silent while other servers have their turn.\n\
             ping_interval: \"1h\"\n",
            NATS_PENDING_MIN.max(4 * round_bytes)
        ),
        PeerKind::Mosquitto => format!(
            "listener {port} {ip}\n\
             allow_anonymous true\n\
             set_tcp_nodelay true\n\
             max_connections -1\n\
             # No limit to what waits for a member.\n\
             max_queued_messages 0\n\
             max_queued_bytes 0\n\
             max_inflight_messages 0\n\
             persistence false\n\
             sys_interval 0\n\
             log_dest none\n",
            port = address.port(),
            ip = address.ip()
        ),
        PeerKind::Rumqttd => format!(
            "id = 0\n\
             \n\
             [router]\n\
             id = 0\n\
             max_connections = {connections}\n\
             # The rest of this table is as the server ships.\n\
             max_outgoing_packet_count = 200\n\
             max_segment_size = 104857600\n\
             max_segment_count = 10\n\
             \n\
             [v4.1]\n\
             name = \"v4-1\"\n\
             listen = \"{address}\"\n\
             next_connection_delay_ms = 0\n\
             [v4.1.connections]\n\
             connection_timeout_ms = 60000\n\
             max_payload_size = {message_bytes}\n\
             max_inflight_count = 500\n\
             dynamic_filters = true\n"
        ),
    }
}
