//! What does a whole population of clients cost: coming in, being there, hearing one message all at once, and coming
//! back together after all were lost?
//!
//! One gateway process, many client processes, real sockets. Where `fanout` measures deliveries to members who stay,
//! this measures the connections themselves. There is no bare loop here: what a login costs is mostly cryptography and
//! the kernel's work for a new socket, and nothing bare would check tokens.
//!
//! Not answered here: several gateways, and networks that lose connections without saying so: loopback always says so.

mod report;
mod settings;

pub(crate) use settings::Arguments;

use std::time::Duration;

use crate::bench_error::BenchError;
use crate::child::Inbox;
use crate::cores::Cores;
use crate::credentials::Credentials;
use crate::crowd::{CrowdProcesses, CrowdSettings, Departures, Stage};
use crate::gateway_process::{self, GatewayProcess, Wanted};
use crate::hardware::Hardware;
use crate::monotonic::now_ns;
use crate::process_figures::{CpuTimes, resident_bytes, wait_until_idle};
use crate::report::{Versions, write_json};
use crate::schedule::Pace;
use crate::scratch_folder::ScratchFolder;
use crate::soloist::{self, Order, Part, Soloist};
use report::{Broadcast, Hold, Resident, Rise, Storm, SwarmReport};
use settings::Settings;

const ROOM: &str = "bench";

/// From an order to its first step: all processes have read it by then.
const LEAD: Duration = Duration::from_millis(300);

/// The gateway counts for its metrics once a second; after this long they hold what happened before.
const METRICS_AGE: Duration = Duration::from_millis(1_500);

/// TLS sessions over TCP that were resumed.
const RESUMED: &str = "sluice_tls_resumed_total";

/// Runs the plan and prints its figures.
pub(crate) fn run(arguments: &Arguments) -> Result<(), BenchError> {
    let hardware = Hardware::look();
    let cores = Cores::divide()?;
    let settings = Settings::check(arguments)?;
    let binary = gateway_process::find(arguments.gateway.as_deref())?;
    let versions = Versions {
        sluice_bench: env!("CARGO_PKG_VERSION"),
        gateway: Some(gateway_process::version(&binary)?),
    };
    let folder = ScratchFolder::create()?;
    let credentials = Credentials::make(folder.path())?;
    let inbox = Inbox::open()?;
    let wanted = Wanted {
        workers: 1,
        transport: settings.transport,
        members: settings.members(),
        rooms: "",
    };
    let gateway = GatewayProcess::start_as(&binary, &wanted, &credentials, folder.path(), &cores, &inbox)?;
    let mut swarm = Swarm::gather(&settings, gateway, &credentials, &inbox)?;

    eprintln!("{} clients log in ...", settings.members());
    let ramp = swarm.ramp()?;
    let logged_in = swarm.resident()?;
    let enter = swarm.enter()?;
    let inside = swarm.resident()?;
    eprintln!("they stay and ping for {} s ...", settings.hold_seconds);
    let hold = swarm.hold()?;
    eprintln!("{} broadcasts ...", settings.broadcasts);
    let broadcasts = (0..settings.broadcasts)
        .map(|number| swarm.broadcast(number.into()))
        .collect::<Result<_, _>>()?;
    let mut storms = Vec::new();
    for number in 1..=settings.storms {
        eprintln!("storm {number} of {} ...", settings.storms);
        storms.push(swarm.storm()?);
    }
    let resident = Resident {
        before: swarm.resident_before,
        logged_in,
        inside,
        after_storms: swarm.resident()?,
    };

    let report = SwarmReport::new(
        versions, hardware, settings, ramp, enter, hold, broadcasts, storms, resident,
    );
    print!("{report}");
    if let Some(path) = &arguments.json {
        write_json(&report, path)?;
    }
    Ok(())
}

/// The gateway with all its clients.
struct Swarm<'a> {
    /// Before the gateway, as fields are dropped in this order: a client takes the end of its server for a fault.
    clients: CrowdProcesses,
    speaker: Soloist,
    gateway: GatewayProcess,
    settings: &'a Settings,
    inbox: &'a Inbox,
    resident_before: u64,
}

impl<'a> Swarm<'a> {
    /// Starts the client processes. Nobody has connected yet but one who will speak, always over TCP.
    fn gather(
        settings: &'a Settings,
        gateway: GatewayProcess,
        credentials: &Credentials,
        inbox: &'a Inbox,
    ) -> Result<Self, BenchError> {
        let entry = GatewayProcess::entry();
        let task = soloist::Task {
            server: gateway.tcp,
            user: "publisher".into(),
            room: ROOM.into(),
            entry: entry.clone(),
            part: Part::Speaker,
            content_bytes: settings.payload_bytes,
        };
        let speaker = Soloist::start("the publisher", &task, inbox)?;
        let clients = CrowdSettings {
            name: "clients",
            transport: settings.transport,
            server: gateway.members,
            processes: settings.processes,
            members: settings.members(),
            first_member: 0,
            slow: 0,
            room: ROOM.into(),
            content_bytes: settings.payload_bytes,
            certificate: credentials.certificate.clone(),
            entry,
            resumes: true,
        };
        let resident_before = resident_bytes(gateway.process.pid())?;
        Ok(Self {
            clients: CrowdProcesses::start(&clients, inbox)?,
            speaker,
            gateway,
            settings,
            inbox,
            resident_before,
        })
    }

    /// All log in.
    fn ramp(&mut self) -> Result<Rise, BenchError> {
        let departures = match self.settings.ramp_per_second {
            Some(per_second) => Departures::Paced(Pace {
                start_ns: now_ns() + LEAD.as_nanos() as u64,
                per_second,
            }),
            None => Departures::InTurn,
        };
        self.rise(Stage::LoggedIn, departures)
    }

    /// All enter the room.
    fn enter(&mut self) -> Result<Rise, BenchError> {
        self.rise(Stage::Inside, Departures::InTurn)
    }

    fn rise(&mut self, to: Stage, departures: Departures) -> Result<Rise, BenchError> {
        let before = self.cpu()?;
        let risen = self.clients.rise_persistently(to, departures, self.inbox)?;
        Ok(Rise::new(risen, self.cpu()?.since(&before)))
    }

    /// Nothing happens but pings.
    fn hold(&mut self) -> Result<Hold, BenchError> {
        let pace = Pace {
            start_ns: now_ns() + LEAD.as_nanos() as u64,
            per_second: self.settings.members() as f64 / self.settings.ping_every_seconds as f64,
        };
        let time = Duration::from_secs(self.settings.hold_seconds);
        let (before, began_ns) = (self.cpu()?, now_ns());
        let pinged = self.clients.ping(pace, time, self.inbox)?;
        let wall_ns = now_ns() - began_ns;
        Ok(Hold::new(pinged, wall_ns, self.cpu()?.since(&before)))
    }

    /// One message to all, timed to the last of them.
    fn broadcast(&mut self, number: u64) -> Result<Broadcast, BenchError> {
        self.clients.begin(number, 1, self.inbox)?;
        let before = self.cpu()?;
        self.speaker.begin(Order::Run {
            pace: Pace {
                start_ns: now_ns() + LEAD.as_nanos() as u64,
                per_second: 1.0,
            },
            count: 1,
            first_number: number,
        })?;
        let spoken = self.speaker.ran(self.inbox)?;
        let figures = self.clients.settle(spoken.newest_sequence, true, self.inbox)?;
        let cpu_ns = self.cpu()?.since(&before);
        match figures.messages[..] {
            [Some(times)] if times.members as usize == self.settings.members() => Ok(Broadcast::new(times, cpu_ns)),
            ref other => Err(BenchError::peer(
                "the gateway",
                format!("did not bring a message to all: {other:?}"),
            )),
        }
    }

    /// All connections are lost at once, and all come back.
    fn storm(&mut self) -> Result<Storm, BenchError> {
        let counts_resumed = self.settings.counts_resumed();
        let resumed_until_now = |swarm: &Self| {
            if !counts_resumed {
                return Ok(0.0);
            }
            swarm.inbox.pause(METRICS_AGE)?;
            swarm.gateway.metric(RESUMED)
        };
        let resumed_before = resumed_until_now(self)?;
        let before = self.cpu()?;
        self.clients.fall(self.inbox)?;
        let window_ms = self.settings.jitter_window_seconds * 1_000;
        let risen = self
            .clients
            .rise_persistently(Stage::Inside, Departures::Scattered { window_ms }, self.inbox)?;
        let cpu_ns = self.cpu()?.since(&before);
        let resumed = resumed_until_now(self)? - resumed_before;
        Ok(Storm {
            rise: Rise::new(risen, cpu_ns),
            resumed: counts_resumed.then_some(resumed as u64),
        })
    }

    /// Memory of the gateway when it has nothing to do.
    fn resident(&self) -> Result<u64, BenchError> {
        let pid = self.gateway.process.pid();
        wait_until_idle(pid, self.inbox)?;
        resident_bytes(pid)
    }

    fn cpu(&self) -> Result<CpuTimes, BenchError> {
        CpuTimes::of(self.gateway.process.pid())
    }
}
