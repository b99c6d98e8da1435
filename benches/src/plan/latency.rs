//! How long does a message take to the first, the median and the last member of a room, and what delays it?
//!
//! An open loop: a publisher sends at intended times whatever the server does, each message carries the time it was to
//! be sent, and every member's process compares that with its own clock, which is the same for all processes of the
//! machine. *Phases* take turns: a bare loop, the gateway undisturbed (quiet), and the gateway with one disturbance
//! each: another publisher who floods the room, members who come and go, members who stop reading. What counts is the
//! ratio of a disturbed phase to the quiet one next to it.
//!
//! In each phase all members account for all messages: what was published was delivered or told as missed.
//!
//! Not answered here: several rooms or workers; networks.

mod report;
mod settings;
mod side;

pub(crate) use settings::Arguments;

use crate::bench_error::BenchError;
use crate::child::Inbox;
use crate::cores::Cores;
use crate::credentials::Credentials;
use crate::gateway_process;
use crate::hardware::Hardware;
use crate::report::{Versions, write_json};
use crate::scratch_folder::ScratchFolder;
use report::LatencyReport;
use settings::{Phase, Settings};
use side::Side;

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

    let mut sides = Sides::default();
    if settings.measures_bare() {
        eprintln!("{} members enter the bare loop ...", settings.members);
        sides.bare = Some(Side::start_bare(&settings, &credentials, &cores, &inbox)?);
    }
    if let Some(binary) = &gateway {
        eprintln!("{} members enter the gateway ...", settings.members);
        sides.sluice = Some(Side::start_sluice(
            &settings,
            binary,
            &credentials,
            folder.path(),
            &cores,
            &inbox,
        )?);
    }
    for phase in settings.undisturbed() {
        sides.of(phase).warm_up(&settings, phase, &inbox)?;
    }
    let mut parts = Vec::new();
    for repeat in 1..=settings.repeats {
        for phase in settings.phases() {
            eprintln!(
                "repeat {repeat} of {}: {}, {} s ...",
                settings.repeats,
                phase.name(),
                settings.seconds
            );
            parts.push(sides.of(phase).measure(&settings, phase, repeat, &inbox)?);
        }
    }

    let report = LatencyReport::new(versions, hardware, settings, parts);
    print!("{report}");
    if let Some(path) = &arguments.json {
        write_json(&report, path)?;
    }
    Ok(())
}

/// The servers under test, as far as they are measured.
#[derive(Default)]
struct Sides {
    bare: Option<Side>,
    sluice: Option<Side>,
}

impl Sides {
    fn of(&mut self, phase: Phase) -> &mut Side {
        let side = match phase {
            Phase::Bare => &mut self.bare,
            _ => &mut self.sluice,
        };
        side.as_mut().expect("settings have phases of these servers only")
    }
}
