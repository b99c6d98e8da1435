//! One of the two servers with its members: how it is started, asked for rounds, and measured.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::report::{Idle, Part, SideName};
use super::settings::Settings;
use crate::bare::ORDER;
use crate::bench_error::{BenchError, Doing};
use crate::child::{Child, Inbox};
use crate::cores::Cores;
use crate::credentials::Credentials;
use crate::gateway_process::GatewayProcess;
use crate::messages::{BareTask, Entry, ReceiveTask, Report, Transport};
use crate::process_figures::{CpuTimes, resident_bytes};
use crate::publisher::Publisher;

/// How long one step of a run may take: all members coming in, or one round.
const PATIENCE: Duration = Duration::from_secs(120);

/// A server is idle that works less than 1 % of this time.
const IDLE_WINDOW: Duration = Duration::from_millis(300);

/// How long a server may take to become idle after its members came in.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// What makes a server send a round.
enum Trigger {
    Control(TcpStream),
    Publisher(Publisher),
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

impl Side {
    pub(super) fn start_bare(
        settings: &Settings,
        credentials: &Credentials,
        cores: &Cores,
        inbox: &Inbox,
    ) -> Result<Self, BenchError> {
        let subcommand = match settings.transport {
            Transport::Tcp => "bare-tcp",
            Transport::Tls => "bare-tls",
            Transport::Quic => "bare-quic",
        };
        let mut command = this_program(subcommand)?;
        let mut server = cores.on_server(|| Child::start_reporting("the bare loop", &mut command, inbox))?;
        server.tell(&BareTask {
            members: settings.members,
            talk: settings.talk(),
            certificate: credentials.certificate.clone(),
            key: credentials.key.clone(),
        })?;
        let (members, control) = match inbox.next("starting the bare loop", PATIENCE)? {
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
        Self::fill(
            SideName::Bare,
            server,
            trigger,
            members,
            &Entry::Bare,
            settings,
            credentials,
            cores,
            inbox,
        )
    }

    pub(super) fn start_sluice(
        settings: &Settings,
        binary: &Path,
        credentials: &Credentials,
        folder: &Path,
        cores: &Cores,
        inbox: &Inbox,
    ) -> Result<Self, BenchError> {
        let gateway = GatewayProcess::start(
            binary,
            1,
            settings.transport,
            settings.members,
            credentials,
            folder,
            cores,
            inbox,
        )?;
        let entry = GatewayProcess::entry();
        let publisher = Publisher::enter(gateway.tcp, &settings.talk(), &entry)?;
        let trigger = Trigger::Publisher(publisher);
        Self::fill(
            SideName::Sluice,
            gateway.process,
            trigger,
            gateway.members,
            &entry,
            settings,
            credentials,
            cores,
            inbox,
        )
    }

    /// Brings the members in and looks at the memory they take.
    #[expect(
        clippy::too_many_arguments,
        reason = "all of a side, from two callers that know half of it each"
    )]
    fn fill(
        name: SideName,
        server: Child,
        trigger: Trigger,
        address: SocketAddr,
        entry: &Entry,
        settings: &Settings,
        credentials: &Credentials,
        cores: &Cores,
        inbox: &Inbox,
    ) -> Result<Self, BenchError> {
        let resident_before = resident_bytes(server.pid())?;
        let began = Instant::now();
        let mut receivers = Vec::new();
        let mut first_member = 0;
        for number in 0..settings.receiver_processes {
            let members = (settings.members - first_member).div_ceil(settings.receiver_processes - number);
            let who = format!("receiver {number} of {}", name.as_str());
            let mut receiver = Child::start_reporting(&who, &mut this_program("receive")?, inbox)?;
            receiver.tell(&ReceiveTask {
                transport: settings.transport,
                server: address,
                members,
                first_member,
                talk: settings.talk(),
                certificate: credentials.certificate.clone(),
                entry: entry.clone(),
            })?;
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
            members: settings.members,
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
            load_cores: cores.load_count(),
            members: settings.members,
            window: settings.window,
            round: 0,
            frame_bytes: 0,
        })
    }

    pub(super) fn name(&self) -> &'static str {
        self.name.as_str()
    }

    /// What was seen before the first round.
    pub(super) fn idle(&self) -> Idle {
        self.idle.clone()
    }

    /// Runs rounds that do not count, and answers how long the fastest took.
    pub(super) fn warm_up(&mut self, time: Duration, rounds_min: u32, inbox: &Inbox) -> Result<Duration, BenchError> {
        let began = Instant::now();
        let mut fastest = Duration::MAX;
        let mut rounds = 0;
        while rounds < rounds_min || began.elapsed() < time {
            let round_began = Instant::now();
            self.run_round(inbox)?;
            fastest = fastest.min(round_began.elapsed());
            rounds += 1;
        }
        Ok(fastest)
    }

    /// Runs `rounds` and measures them together.
    pub(super) fn measure(&mut self, repeat: u32, rounds: u32, inbox: &Inbox) -> Result<Part, BenchError> {
        let frame_bytes_before = self.frame_bytes;
        let server_before = CpuTimes::of(self.server.pid())?;
        let receivers_before = self.receivers_cpu()?;
        let began = Instant::now();
        for _ in 0..rounds {
            self.run_round(inbox)?;
        }
        let wall = began.elapsed();
        let server_cpu = CpuTimes::of(self.server.pid())?.since(&server_before);
        let receivers_cpu: u64 = self
            .receivers_cpu()?
            .iter()
            .zip(&receivers_before)
            .map(|(after, before)| after.since(before))
            .sum();
        Ok(Part {
            side: self.name,
            repeat,
            deliveries: self.members as u64 * u64::from(self.window) * u64::from(rounds),
            wall_seconds: wall.as_secs_f64(),
            server_cpu_seconds: server_cpu as f64 / 1e9,
            receivers_cpu_seconds: receivers_cpu as f64 / 1e9,
            load_cores: self.load_cores,
            frame_bytes: self.frame_bytes - frame_bytes_before,
        })
    }

    /// From the request for W messages to the last member having them all.
    fn run_round(&mut self, inbox: &Inbox) -> Result<(), BenchError> {
        self.round += 1;
        match &mut self.trigger {
            Trigger::Control(control) => control.write_all(&[ORDER]).doing("ordering a round")?,
            Trigger::Publisher(publisher) => publisher.send_round()?,
        }
        let mut frame_bytes_total = 0;
        for _ in &self.receivers {
            match inbox.next("delivering a round", PATIENCE)? {
                (_, Report::Round { round, frame_bytes }) if round == self.round => frame_bytes_total += frame_bytes,
                (who, other) => {
                    return Err(BenchError::peer(
                        &who,
                        format!("reported {other:?} in round {}", self.round),
                    ));
                }
            }
        }
        self.frame_bytes = frame_bytes_total;
        Ok(())
    }

    fn receivers_cpu(&self) -> Result<Vec<CpuTimes>, BenchError> {
        self.receivers
            .iter()
            .map(|receiver| CpuTimes::of(receiver.pid()))
            .collect()
    }
}

/// After members came in there are member events to send and memory to give back.
fn wait_until_idle(server: u32, inbox: &Inbox) -> Result<(), BenchError> {
    let deadline = Instant::now() + IDLE_TIMEOUT;
    let mut before = CpuTimes::of(server)?;
    loop {
        inbox.pause(IDLE_WINDOW)?;
        let now = CpuTimes::of(server)?;
        if u128::from(now.since(&before)) * 100 < IDLE_WINDOW.as_nanos() {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(BenchError::peer(
                "the server",
                "does not become idle though nothing is asked of it",
            ));
        }
        before = now;
    }
}

fn this_program(subcommand: &str) -> Result<Command, BenchError> {
    let mut command = Command::new(std::env::current_exe().doing("finding this program")?);
    command.arg(subcommand);
    Ok(command)
}
