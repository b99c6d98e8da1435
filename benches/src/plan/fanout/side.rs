//! One of the servers with its members: how it is started, asked for rounds, and measured.

use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use super::report::{Idle, Part, SideName};
use super::settings::Load;
use crate::bare::ORDER;
use crate::bench_error::{BenchError, Doing};
use crate::child::{Child, Inbox, this_program};
use crate::cores::Cores;
use crate::credentials::Credentials;
use crate::gateway_process::GatewayProcess;
use crate::messages::{BareTask, Entry, ReceiveTask, Report, Transport};
use crate::peer::{PeerBinary, PeerPublisher, PeerReceiveTask, PeerServer};
use crate::process_figures::{CpuTimes, resident_bytes, wait_until_idle};
use crate::publisher::Publisher;

/// How long one step of a run may take: all members coming in, or one round.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long a round of a peer may take. Some do tens of thousands of deliveries a second where a round has millions.
const PEER_PATIENCE: Duration = Duration::from_secs(60);

/// What a plan holds ready for all its sides.
pub(super) struct Ground<'a> {
    pub(super) load: &'a Load,
    pub(super) credentials: &'a Credentials,
    pub(super) folder: &'a Path,
    pub(super) cores: &'a Cores,
    pub(super) inbox: &'a Inbox,
}

/// What makes a server send a round.
enum Trigger {
    Control(TcpStream),
    Publisher(Publisher),
    Peer(PeerPublisher),
}

/// A server under test, its members inside.
pub(super) struct Side {
    name: SideName,
    /// Before the server, as fields are dropped in this order: a receiver takes the end of its server for a fault.
    receivers: Vec<Child>,
    server: Child,
    trigger: Trigger,
    idle: Idle,
    load_cores: usize,
    members: usize,
    window: u32,
    round: u64,
    frame_bytes: u64,
}

/// How a round ended.
#[derive(Clone, Copy)]
enum Round {
    Complete,
    /// So many of its messages never came.
    Lost(u64),
}

/// Rounds that do not count.
pub(super) enum WarmUp {
    /// How long the fastest took.
    Fastest(Duration),
    /// The server lost so many messages, and is of no more use.
    Lost(u64),
}

/// Rounds that were to be measured together.
pub(super) enum Rounds {
    Complete(Part),
    /// The server lost messages, and is of no more use.
    Lost {
        rounds_complete: u32,
        lost: u64,
    },
}

impl Side {
    pub(super) fn start_bare(ground: &Ground<'_>) -> Result<Self, BenchError> {
        let load = ground.load;
        let subcommand = match load.transport {
            Transport::Tcp => "bare-tcp",
            Transport::Tls => "bare-tls",
            Transport::Quic => "bare-quic",
        };
        let mut command = this_program(subcommand)?;
        let mut server = ground
            .cores
            .on_server(|| Child::start_reporting("the bare loop", &mut command, ground.inbox))?;
        server.tell(&BareTask {
            members: load.members,
            talk: load.talk(),
            certificate: ground.credentials.certificate.clone(),
            key: ground.credentials.key.clone(),
        })?;
        let (address, control) = match ground.inbox.next("starting the bare loop", PATIENCE)? {
            (_, Report::Listening { members, control }) => (members, control),
            (who, other) => {
                return Err(BenchError::peer(
                    &who,
                    format!("reported {other:?} instead of its address"),
                ));
            }
        };
        let control = TcpStream::connect(control).doing("connecting to the bare loop")?;
        control.set_nodelay(true).doing("connecting to the bare loop")?;
        let trigger = Trigger::Control(control);
        Self::fill(SideName::Bare, server, trigger, ground, "receive", |share| {
            share.of_ours(address, &Entry::Bare, ground)
        })
    }

    pub(super) fn start_sluice(binary: &Path, workers: usize, ground: &Ground<'_>) -> Result<Self, BenchError> {
        let load = ground.load;
        let gateway = GatewayProcess::start(
            binary,
            workers,
            load.transport,
            load.members,
            ground.credentials,
            ground.folder,
            ground.cores,
            ground.inbox,
        )?;
        let entry = GatewayProcess::entry();
        let publisher = Publisher::enter(gateway.tcp, &load.talk(), &entry)?;
        let trigger = Trigger::Publisher(publisher);
        let name = SideName::Sluice { workers };
        let address = gateway.members;
        Self::fill(name, gateway.process, trigger, ground, "receive", |share| {
            share.of_ours(address, &entry, ground)
        })
    }

    pub(super) fn start_peer(binary: &PeerBinary, ground: &Ground<'_>) -> Result<Self, BenchError> {
        let talk = ground.load.talk();
        let PeerServer { process, address } = PeerServer::start(
            binary,
            ground.load.members,
            &talk,
            ground.folder,
            ground.cores,
            ground.inbox,
        )?;
        let protocol = binary.kind.protocol();
        let trigger = Trigger::Peer(PeerPublisher::connect(address, protocol, &talk)?);
        let name = SideName::Peer(binary.kind);
        Self::fill(name, process, trigger, ground, "receive-peer", |share| {
            PeerReceiveTask {
                protocol,
                server: address,
                members: share.members,
                first_member: share.first_member,
                talk: talk.clone(),
            }
        })
    }

    /// Brings the members in and looks at the memory they take. A receiver's task is made from its share of them.
    fn fill<T: serde::Serialize>(
        name: SideName,
        server: Child,
        trigger: Trigger,
        ground: &Ground<'_>,
        subcommand: &str,
        task: impl Fn(MemberShare) -> T,
    ) -> Result<Self, BenchError> {
        let (load, inbox) = (ground.load, ground.inbox);
        let resident_before = resident_bytes(server.pid())?;
        let began = Instant::now();
        let mut receivers = Vec::new();
        let mut first_member = 0;
        for number in 0..load.receiver_processes {
            let members = (load.members - first_member).div_ceil(load.receiver_processes - number);
            let who = format!("receiver {number} of {name}");
            let mut receiver = Child::start_reporting(&who, &mut this_program(subcommand)?, inbox)?;
            receiver.tell(&task(MemberShare { members, first_member }))?;
            first_member += members;
            receivers.push(receiver);
        }
        for _ in &receivers {
            match inbox.next("letting members in", PATIENCE)? {
                (_, Report::Inside) => {}
                (who, other) => {
                    return Err(BenchError::peer(
                        &who,
                        format!("reported {other:?} before it was inside"),
                    ));
                }
            }
        }
        let entering = began.elapsed();
        wait_until_idle(server.pid(), inbox)?;
        let idle = Idle {
            side: name,
            members: load.members,
            entering_seconds: entering.as_secs_f64(),
            resident_bytes_before: resident_before,
            resident_bytes_after: resident_bytes(server.pid())?,
        };
        Ok(Self {
            name,
            server,
            trigger,
            receivers,
            idle,
            load_cores: ground.cores.load_count(),
            members: load.members,
            window: load.window,
            round: 0,
            frame_bytes: 0,
        })
    }

    pub(super) fn name(&self) -> SideName {
        self.name
    }

    /// What was seen before the first round.
    pub(super) fn idle(&self) -> Idle {
        self.idle.clone()
    }

    /// Runs rounds that do not count, `rounds_min` at least or as many as begin in `time_max`.
    pub(super) fn warm_up(
        &mut self,
        time: Duration,
        rounds_min: u32,
        time_max: Duration,
        inbox: &Inbox,
    ) -> Result<WarmUp, BenchError> {
        let began = Instant::now();
        let mut fastest = Duration::MAX;
        let mut rounds = 0;
        while rounds == 0 || began.elapsed() < time || rounds < rounds_min && began.elapsed() < time_max {
            let round_began = Instant::now();
            if let Round::Lost(lost) = self.run_round(inbox)? {
                return Ok(WarmUp::Lost(lost));
            }
            fastest = fastest.min(round_began.elapsed());
            rounds += 1;
        }
        Ok(WarmUp::Fastest(fastest))
    }

    /// Runs `rounds` and measures them together.
    pub(super) fn measure(&mut self, repeat: u32, rounds: u32, inbox: &Inbox) -> Result<Rounds, BenchError> {
        let frame_bytes_before = self.frame_bytes;
        let server_before = CpuTimes::of(self.server.pid())?;
        let receivers_before = self.receivers_cpu()?;
        let began = Instant::now();
        for rounds_complete in 0..rounds {
            if let Round::Lost(lost) = self.run_round(inbox)? {
                return Ok(Rounds::Lost { rounds_complete, lost });
            }
        }
        let wall = began.elapsed();
        let server_cpu = CpuTimes::of(self.server.pid())?.since(&server_before);
        let receivers_cpu: u64 = self
            .receivers_cpu()?
            .iter()
            .zip(&receivers_before)
            .map(|(after, before)| after.since(before))
            .sum();
        Ok(Rounds::Complete(Part {
            side: self.name,
            repeat,
            rounds,
            deliveries: self.members as u64 * u64::from(self.window) * u64::from(rounds),
            wall_seconds: wall.as_secs_f64(),
            server_cpu_seconds: server_cpu as f64 / 1e9,
            receivers_cpu_seconds: receivers_cpu as f64 / 1e9,
            load_cores: self.load_cores,
            frame_bytes: self.frame_bytes - frame_bytes_before,
        }))
    }

    /// From the request for W messages to the last member having them all.
    fn run_round(&mut self, inbox: &Inbox) -> Result<Round, BenchError> {
        self.round += 1;
        let patience = match &mut self.trigger {
            Trigger::Control(control) => {
                control.write_all(&[ORDER]).doing("ordering a round")?;
                PATIENCE
            }
            Trigger::Publisher(publisher) => {
                publisher.send_round()?;
                PATIENCE
            }
            Trigger::Peer(publisher) => {
                publisher.send_round()?;
                PEER_PATIENCE
            }
        };
        let mut frame_bytes_total = 0;
        let mut lost_total = 0;
        for _ in &self.receivers {
            match inbox.next("delivering a round", patience)? {
                (_, Report::Round { round, frame_bytes }) if round == self.round => frame_bytes_total += frame_bytes,
                (
                    _,
                    Report::Lost {
                        round,
                        lost,
                        frame_bytes,
                    },
                ) if round == self.round => {
                    lost_total += lost;
                    frame_bytes_total += frame_bytes;
                }
                (who, other) => {
                    return Err(BenchError::peer(
                        &who,
                        format!("reported {other:?} in round {}", self.round),
                    ));
                }
            }
        }
        self.frame_bytes = frame_bytes_total;
        Ok(match lost_total {
            0 => Round::Complete,
            lost => Round::Lost(lost),
        })
    }

    fn receivers_cpu(&self) -> Result<Vec<CpuTimes>, BenchError> {
        self.receivers
            .iter()
            .map(|receiver| CpuTimes::of(receiver.pid()))
            .collect()
    }
}

/// The members of one receiver process.
struct MemberShare {
    members: usize,
    first_member: usize,
}

impl MemberShare {
    /// The task where frames of ours are received.
    fn of_ours(&self, server: std::net::SocketAddr, entry: &Entry, ground: &Ground<'_>) -> ReceiveTask {
        ReceiveTask {
            transport: ground.load.transport,
            server,
            members: self.members,
            first_member: self.first_member,
            talk: ground.load.talk(),
            certificate: ground.credentials.certificate.clone(),
            entry: entry.clone(),
        }
    }
}
