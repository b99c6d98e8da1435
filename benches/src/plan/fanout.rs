//! What does one delivery of a room message cost beyond the bare write that carries it, and what one idle member?
//!
//! Servers take turns on the same work: a bare loop, the gateway, and peers if any are named, each a process on a core
//! of its own. All keep their members while one number of members and one window is measured, so a repeat measures
//! rounds and nothing else, and turns are short enough that whatever else the machine does hits all. A round begins
//! when the coordinator asks for W messages (the gateway: W commands of a publisher in one write; the bare loop: one
//! byte on its control connection; a peer: W publications in one write) and ends when the last receiver process reports
//! that all its members have all of them.
//!
//! Not answered here: latency of single messages, several rooms, members that come and go or are slow.

mod contender;
mod goals;
mod report;
mod settings;
mod side;
mod table;

use std::time::Duration;

pub(crate) use settings::Arguments;

use crate::bench_error::BenchError;
use crate::child::Inbox;
use crate::cores::Cores;
use crate::credentials::Credentials;
use crate::gateway_process;
use crate::hardware::Hardware;
use crate::peer;
use crate::report::Versions;
use crate::scratch_folder::ScratchFolder;
use contender::Contender;
use report::{FanoutReport, PeerVersion, Point};
use settings::Settings;
use side::{Ground, Rounds, Side, WarmUp};

/// How long each server runs before anything counts: socket buffers grow to their size, caches and allocators fill.
const WARM_UP: Duration = Duration::from_secs(1);

/// Rounds of a warm-up, unless it takes [`WARM_UP_MAX`].
const WARM_UP_ROUNDS_MIN: u32 = 3;

/// A round of a slow server may take half a minute: one of them is warm-up enough.
const WARM_UP_MAX: Duration = Duration::from_secs(10);

/// How long a measured part should last when the number of rounds is not given.
const PART: Duration = Duration::from_secs(2);

/// Runs the plan and prints its figures.
pub(crate) fn run(arguments: &Arguments) -> Result<(), BenchError> {
    let hardware = Hardware::look();
    let cores = Cores::divide_for(arguments.server_cores())?;
    let settings = Settings::check(arguments, &cores)?;
    let gateway = settings
        .measures_sluice()
        .then(|| gateway_process::find(arguments.gateway.as_deref()))
        .transpose()?;
    let versions = Versions {
        sluice_bench: env!("CARGO_PKG_VERSION"),
        gateway: gateway.as_deref().map(gateway_process::version).transpose()?,
    };
    let mut peers = Vec::new();
    for binary in settings.peers() {
        peers.push(PeerVersion {
            peer: binary.kind,
            version: peer::version(binary)?,
        });
    }
    let folder = ScratchFolder::create()?;
    let credentials = Credentials::make(folder.path())?;
    let inbox = Inbox::open()?;

    let mut points = Vec::new();
    for load in settings.loads() {
        let ground = Ground {
            load: &load,
            credentials: &credentials,
            folder: folder.path(),
            cores: &cores,
            inbox: &inbox,
        };
        points.push(measure(&settings, arguments.rounds, gateway.as_deref(), &ground)?);
    }

    let report = FanoutReport {
        plan: "fanout",
        versions,
        peers,
        hardware,
        settings,
        points,
    };
    print!("{report}");
    if let Some(path) = &arguments.json {
        report.write_json(path)?;
    }
    Ok(())
}

/// Measures one number of members with one window, on servers of its own.
fn measure(
    settings: &Settings,
    rounds_asked: Option<u32>,
    gateway: Option<&std::path::Path>,
    ground: &Ground<'_>,
) -> Result<Point, BenchError> {
    let (load, inbox) = (ground.load, ground.inbox);
    eprintln!("{} members, window {}", load.members, load.window);
    let mut sides = Vec::new();
    if settings.measures_bare() {
        eprintln!("{} members enter the bare loop ...", load.members);
        sides.push(Side::start_bare(ground)?);
    }
    if let Some(binary) = gateway {
        for workers in &settings.workers {
            eprintln!("{} members enter the gateway ...", load.members);
            sides.push(Side::start_sluice(binary, *workers, ground)?);
        }
    }

    let mut rounds = rounds_asked.unwrap_or(1);
    for side in &mut sides {
        let fastest = match side.warm_up(WARM_UP, WARM_UP_ROUNDS_MIN, WARM_UP_MAX, inbox)? {
            WarmUp::Fastest(fastest) => fastest,
            WarmUp::Lost(lost) => return Err(lost_by(side, lost)),
        };
        if rounds_asked.is_none() {
            // All of these do the same number of rounds; the fastest one decides how many fill the time.
            rounds = rounds.max(PART.div_duration_f64(fastest).ceil() as u32);
        }
    }
    let mut contenders = Vec::new();
    for binary in settings.peers() {
        contenders.push(Contender::start(binary, rounds_asked, ground)?);
    }

    let mut parts = Vec::new();
    for repeat in 1..=settings.repeats {
        for side in &mut sides {
            let name = side.name();
            eprintln!("repeat {repeat} of {}: {rounds} rounds of {name} ...", settings.repeats);
            match side.measure(repeat, rounds, inbox)? {
                Rounds::Complete(part) => parts.push(part),
                Rounds::Lost { lost, .. } => return Err(lost_by(side, lost)),
            }
        }
        for contender in &mut contenders {
            parts.extend(contender.measure(repeat)?);
        }
    }
    let idle = sides.iter().map(Side::idle);
    Ok(Point {
        members: load.members,
        window: load.window,
        idle: idle.chain(contenders.iter().filter_map(Contender::idle)).collect(),
        parts,
        incomplete: contenders.into_iter().flat_map(Contender::into_incomplete).collect(),
    })
}

/// With our own servers nothing may be lost.
fn lost_by(side: &Side, lost: u64) -> BenchError {
    BenchError::peer(&side.name().to_string(), format!("lost {lost} messages"))
}
