//! The gateway under test: its binary, its configuration, its start.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, io};

use crate::bench_error::{BenchError, Doing};
use crate::child::{Child, Inbox};
use crate::cores::Cores;
use crate::credentials::Credentials;
use crate::messages::{Entry, Transport};

/// From start to a first "ready".
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// How often readiness is asked for.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// Connections besides the members': the publisher, and the few of HTTP.
const OTHER_CONNECTIONS: usize = 100;

/// What is shown of the gateway's log when it does not start.
const LOG_LINES_SHOWN: usize = 10;

const APP: &str = "bench";

/// Guards nothing: the gateway listens on loopback for the time of a run.
const SECRET: &str = "of no worth outside of this benchmark";

/// A gateway that is ready.
pub(crate) struct GatewayProcess {
    pub(crate) process: Child,
    /// Where metrics and health are.
    pub(crate) http: SocketAddr,
    /// Where the members connect.
    pub(crate) members: SocketAddr,
    /// Where the publisher connects.
    pub(crate) tcp: SocketAddr,
}

impl GatewayProcess {
    /// Starts `binary` with as many workers on as many cores, and waits until it is ready.
    #[expect(
        clippy::too_many_arguments,
        reason = "what a gateway is made from, each of them once"
    )]
    pub(crate) fn start(
        binary: &Path,
        workers: usize,
        transport: Transport,
        members: usize,
        credentials: &Credentials,
        folder: &Path,
        cores: &Cores,
        inbox: &Inbox,
    ) -> Result<Self, BenchError> {
        let wanted = Wanted {
            workers,
            transport,
            members,
            rooms: "",
        };
        Self::start_as(binary, &wanted, credentials, folder, cores, inbox)
    }

    /// The same with settings of a plan's own.
    pub(crate) fn start_as(
        binary: &Path,
        wanted: &Wanted<'_>,
        credentials: &Credentials,
        folder: &Path,
        cores: &Cores,
        inbox: &Inbox,
    ) -> Result<Self, BenchError> {
        let workers = wanted.workers;
        let Configured {
            file: settings,
            tcp,
            http,
            members,
        } = wanted.write(credentials, folder)?;
        let log = folder.join(format!("gateway-{workers}.log"));
        let mut command = Command::new(binary);
        command
            .arg("serve")
            .arg("--config")
            .arg(&settings)
            .stdout(Stdio::null());
        command.stderr(File::create(&log).doing("making the gateway's log")?);
        for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SLUICE_")) {
            command.env_remove(name);
        }
        let mut process = cores.on_servers(workers, || Child::start("the gateway", &mut command))?;
        wait_until_ready(&mut process, http, &log, inbox)?;
        Ok(Self {
            process,
            http,
            members,
            tcp,
        })
    }

    /// The sum of all series of a metric.
    pub(crate) fn metric(&self, name: &str) -> Result<f64, BenchError> {
        let text = get(self.http, "/metrics").doing("asking for metrics")?;
        Ok(sum_of_series(&text, name))
    }

    /// How members of this gateway get in.
    pub(crate) fn entry() -> Entry {
        Entry::Sluice {
            app: APP.into(),
            secret: SECRET.into(),
        }
    }
}

/// What a gateway is to be like; everything else is at its default.
pub(crate) struct Wanted<'a> {
    pub(crate) workers: usize,
    pub(crate) transport: Transport,
    /// Connections besides those of the plan itself.
    pub(crate) members: usize,
    /// Further lines of the section `[rooms]`, whose rates are unlimited.
    pub(crate) rooms: &'a str,
}

/// A configuration that was written, and where a gateway that reads it listens.
pub(crate) struct Configured {
    pub(crate) file: PathBuf,
    pub(crate) tcp: SocketAddr,
    pub(crate) http: SocketAddr,
    /// The listener of the transport that was wanted.
    pub(crate) members: SocketAddr,
}

impl Wanted<'_> {
    /// Writes the configuration to `folder`, with ports that were free a moment ago.
    pub(crate) fn write(&self, credentials: &Credentials, folder: &Path) -> Result<Configured, BenchError> {
        let [tcp, http, tls] = free_tcp_ports()?;
        let quic = free_udp_port()?;
        let settings = folder.join(format!("gateway-{}.toml", self.workers));
        let address = |wanted: Transport, address: SocketAddr| {
            if self.transport == wanted {
                address.to_string()
            } else {
                "off".to_owned()
            }
        };
        let data = folder.join(format!("data-{}", self.workers));
        fs::create_dir_all(&data).doing("making the gateway's data folder")?;
        let text = format!(
            r#"data = {data:?}
workers = {workers}

[listen]
tcp = "{tcp}"
tls = "{tls}"
quic = "{quic}"
http = "{http}"
# Nobody steers it.
api = "off"

[tls]
certificate = {certificate:?}
key = {key:?}

[connections]
max = {connections}
# A whole crowd connects before the first of it logs in.
login_timeout = "120s"
# Members are silent while the other server has its turn.
heartbeat_interval = "600s"

[rooms]
live_messages_per_second = "unlimited"
room_messages_per_second = "unlimited"
moves_per_second = "unlimited"
{rooms}

[conversations]
writes_per_second = "unlimited"
queries_per_second = "unlimited"

[log]
level = "warn"

[[apps]]
key = "{APP}"
conversation_users_name_groups = true

[[apps.keys]]
algorithm = "HS256"
secret = "{SECRET}"
"#,
            workers = self.workers,
            rooms = self.rooms,
            tls = address(Transport::Tls, tls),
            quic = address(Transport::Quic, quic),
            certificate = credentials.certificate,
            key = credentials.key,
            connections = self.members + OTHER_CONNECTIONS,
        );
        fs::write(&settings, text).doing("writing the gateway's configuration")?;
        Ok(Configured {
            file: settings,
            tcp,
            http,
            members: match self.transport {
                Transport::Tcp => tcp,
                Transport::Tls => tls,
                Transport::Quic => quic,
            },
        })
    }
}

/// The gateway's binary: the one named, or `sluice` next to this program.
pub(crate) fn find(named: Option<&Path>) -> Result<PathBuf, BenchError> {
    let binary = match named {
        Some(path) => path.to_owned(),
        None => env::current_exe()
            .doing("finding this program")?
            .with_file_name("sluice"),
    };
    if binary.is_file() {
        return Ok(binary);
    }
    Err(BenchError::Unsuitable(format!(
        "there is no gateway at {}: build it with `cargo build --release`, name it with --gateway, or use --only bare",
        binary.display()
    )))
}

/// What the gateway says of its version.
pub(crate) fn version(binary: &Path) -> Result<String, BenchError> {
    let output = Command::new(binary)
        .arg("--version")
        .output()
        .doing(format!("running {}", binary.display()))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn wait_until_ready(process: &mut Child, http: SocketAddr, log: &Path, inbox: &Inbox) -> Result<(), BenchError> {
    let deadline = Instant::now() + START_TIMEOUT;
    while !is_ready(http) {
        let ended = process.exit_status()?;
        if ended.is_some() || Instant::now() > deadline {
            let what = ended.map_or_else(|| "is not ready".to_owned(), |status| format!("ended with {status}"));
            return Err(BenchError::peer(
                "the gateway",
                format!("{what}; its log ends with\n{}", last_lines(log)),
            ));
        }
        inbox.pause(ASK_EVERY)?;
    }
    Ok(())
}

fn is_ready(http: SocketAddr) -> bool {
    // While it starts, the port refuses.
    get(http, "/readyz").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200 "))
}

/// The whole answer to a request for `path`.
fn get(http: SocketAddr, path: &str) -> io::Result<String> {
    let mut socket = TcpStream::connect_timeout(&http, START_TIMEOUT)?;
    socket.set_read_timeout(Some(START_TIMEOUT))?;
    write!(
        socket,
        "GET {path} HTTP/1.1\r\nhost: {http}\r\nconnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    Ok(answer)
}

fn sum_of_series(text: &str, name: &str) -> f64 {
    let series = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        rest.starts_with(['{', ' '])
            .then(|| rest.rsplit(' ').next()?.parse::<f64>().ok())?
    });
    series.sum()
}

pub(crate) fn last_lines(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
}

/// Ports that were free a moment ago, all different: the listeners are closed together.
pub(crate) fn free_tcp_ports<const N: usize>() -> Result<[SocketAddr; N], BenchError> {
    let mut listeners = Vec::with_capacity(N);
    let mut addresses = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); N];
    for address in &mut addresses {
        let listener = TcpListener::bind(*address).doing("looking for a free port")?;
        *address = listener.local_addr().doing("looking for a free port")?;
        listeners.push(listener);
    }
    Ok(addresses)
}

fn free_udp_port() -> Result<SocketAddr, BenchError> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    UdpSocket::bind(any)
        .and_then(|socket| socket.local_addr())
        .doing("looking for a free port")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_the_sum_of_its_series() {
        let text = "# TYPE a counter\na{x=\"1\"} 3\na{x=\"2 3\"} 4.5\nab 100\nb 7\n";
        assert_eq!(sum_of_series(text, "a"), 7.5);
        assert_eq!(sum_of_series(text, "b"), 7.0);
        assert_eq!(sum_of_series(text, "c"), 0.0);
    }
}
