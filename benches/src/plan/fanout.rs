//! What does one delivery of a room message cost beyond the bare write that carries it, and what one idle member?
//!
//! Two servers take turns on the same work: a bare loop and the gateway, each a process on a core of its own. Both keep
//! their members for the whole run, so a repeat measures rounds and nothing else, and turns are short enough that
//! whatever else the machine does hits both. A round begins when the coordinator asks for W messages (the gateway: W
//! commands of a publisher in one write; the bare loop: one byte on its control connection) and ends when the last
//! receiver process reports that all its members have all of them.
//!
//! Not answered here: latency of single messages, several rooms or workers, members that come and go or are slow.

mod report;
mod settings;
mod side;
mod table;

use std::time::Duration;

pub(crate) use settings::Arguments;
use settings::Settings;

use crate::bench_error::BenchError;
use crate::child::Inbox;
use crate::cores::Cores;
use crate::credentials::Credentials;
use crate::gateway_process;
use crate::hardware::Hardware;
use crate::report::Versions;
use crate::scratch_folder::ScratchFolder;
use report::{FanoutReport, Part};
use side::Side;

/// How long each server runs before anything counts: socket buffers grow to their size, caches and allocators fill.
const WARM_UP: Duration = Duration::from_secs(1);

/// Rounds of a warm-up, however long they take.
const WARM_UP_ROUNDS_MIN: u32 = 3;

/// How long a measured part should last when the number of rounds is not given.
const PART: Duration = Duration::from_secs(2);

/// Runs the plan and prints its figures.
pub(crate) fn run(arguments: &Arguments) -> Result<(), BenchError> {
    let hardware = Hardware::look();
    let cores = Cores::divide()?;
    let settings = Settings::check(arguments, cores.load_count())?;
    let gateway = settings
        .measures_sluice()
        .then(|| gateway_process::find(arguments.gateway.as_deref()))
        .transpose()?;
    let versions = Versions {
        sluice_bench: env!("CARGO_PKG_VERSION"),
        gateway: gateway.as_deref().map(gateway_process::version).transpose()?,
    };
    let folder = ScratchFolder::create()?;
    let credentials = Credentials::make(folder.path())?;
    let inbox = Inbox::open()?;

    let mut sides = Vec::new();
    if settings.measures_bare() {
        eprintln!("{} members enter the bare loop ...", settings.members);
        sides.push(Side::start_bare(&settings, &credentials, &cores, &inbox)?);
    }
    if let Some(binary) = &gateway {
        eprintln!("{} members enter the gateway ...", settings.members);
        sides.push(Side::start_sluice(
            &settings,
            binary,
            &credentials,
            folder.path(),
            &cores,
            &inbox,
        )?);
    }

    let mut rounds = arguments.rounds.unwrap_or(1);
    for side in &mut sides {
        let fastest = side.warm_up(WARM_UP, WARM_UP_ROUNDS_MIN, &inbox)?;
        if arguments.rounds.is_none() {
            // Both do the same number of rounds; the faster one decides how many fill the time.
            rounds = rounds.max(PART.div_duration_f64(fastest).ceil() as u32);
        }
    }

    let mut parts: Vec<Part> = Vec::new();
    for repeat in 1..=settings.repeats {
        for side in &mut sides {
            eprintln!(
                "repeat {repeat} of {}: {rounds} rounds of {} ...",
                settings.repeats,
                side.name()
            );
            parts.push(side.measure(repeat, rounds, &inbox)?);
        }
    }

    let report = FanoutReport {
        plan: "fanout",
        versions,
        hardware,
        settings,
        rounds,
        idle: sides.iter().map(Side::idle).collect(),
        parts,
    };
    print!("{report}");
    if let Some(path) = &arguments.json {
        report.write_json(path)?;
    }
    Ok(())
}
