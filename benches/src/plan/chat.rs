//! What do messages of conversations cost that are on disk before they are acknowledged?
//!
//! For each size of conversation: a bare loop that inserts the same rows, one that delivers them too, and the gateway take turns, then an open loop sends at
//! half of what the gateway committed. With `--list`: how long two questions take that every client asks at its start, with more and more messages in the table.
//!
//! The users are connections of this process, served by one thread: a delivery and the acknowledgement of the same message are seen by one clock.
//!
//! Not answered here: several workers; users that are away; a disk under other load than this.

mod bare;
mod list;
mod people;
mod report;
mod settings;
mod talk;

pub(crate) use settings::Arguments;

use std::path::Path;

use crate::bench_error::BenchError;
use crate::child::Inbox;
use crate::cores::Cores;
use crate::credentials::Credentials;
use crate::gateway_process::{self, GatewayProcess, Wanted};
use crate::hardware::Hardware;
use crate::messages::Transport;
use crate::report::{Versions, write_json};
use crate::scratch_folder::ScratchFolder;
use bare::{Audience, Bare, GROUP_MAX};
use people::People;
use report::{ChatReport, Point, Turn};
use settings::Settings;
use talk::Talk;

/// What is needed for each measurement.
struct Stage<'a> {
    binary: &'a Path,
    credentials: &'a Credentials,
    cores: &'a Cores,
    inbox: &'a Inbox,
}

/// Runs the plan and prints its figures.
pub(crate) fn run(arguments: &Arguments) -> Result<(), BenchError> {
    let hardware = Hardware::look();
    let settings = Settings::check(arguments)?;
    let cores = Cores::divide()?;
    let binary = gateway_process::find(arguments.gateway.as_deref())?;
    let versions = Versions {
        sluice_bench: env!("CARGO_PKG_VERSION"),
        gateway: Some(gateway_process::version(&binary)?),
    };
    let folder = ScratchFolder::create()?;
    let credentials = Credentials::make(folder.path())?;
    let inbox = Inbox::open()?;
    let stage = Stage {
        binary: &binary,
        credentials: &credentials,
        cores: &cores,
        inbox: &inbox,
    };

    let mut report = ChatReport::new(versions, hardware, settings.clone());
    if settings.list {
        report.tables = list::measure(&stage, folder.path(), &settings)?;
    } else {
        for size in &settings.sizes {
            report.points.push(measure(&stage, folder.path(), &settings, *size)?);
        }
    }
    print!("{report}");
    match &arguments.json {
        Some(path) => write_json(&report, path),
        None => Ok(()),
    }
}

/// Conversations of one size, in a file of their own.
fn measure(stage: &Stage<'_>, folder: &Path, settings: &Settings, size: usize) -> Result<Point, BenchError> {
    let folder = folder.join(format!("of-{size}"));
    std::fs::create_dir_all(&folder).map_err(|source| BenchError::Io {
        doing: format!("making {}", folder.display()),
        source,
    })?;
    let conversations = settings.users / size;
    let gateway = stage.start(&folder, settings.users)?;
    eprintln!(
        "{} users enter {conversations} conversations of {size} ...",
        conversations * size
    );
    let mut people = People::enter(gateway.tcp, conversations * size)?;
    let mut talk = Talk::begin(&mut people, conversations, size, settings.payload_bytes)?;
    let bare = |file| Bare::open(&folder.join(file), conversations, size, settings.payload_bytes);
    let (mut bare, mut delivering) = (bare("bare.db")?, bare("delivering.db")?);

    let mut audience = Audience::gather(conversations, size)?;

    let mut turns: Vec<Turn> = Vec::new();
    // The first warms all up, and shows how many messages the gateway commits together.
    for repeat in 0..=settings.repeats {
        eprintln!("conversations of {size}: repeat {repeat} of {} ...", settings.repeats);
        let group = turns.last().map_or(GROUP_MAX, Turn::group);
        let bare_per_second = stage
            .cores
            .on_server(|| bare.insert_for(settings.time(), group, None))?;
        let delivering_per_second = stage
            .cores
            .on_server(|| delivering.insert_for(settings.time(), group, Some(&mut audience)))?;
        let groups = Groups::so_far(&gateway)?;
        let committed_per_second = talk.flood(&mut people, settings.window_of(size), settings.time())?;
        turns.push(Turn {
            bare_per_second,
            delivering_per_second,
            committed_per_second,
            messages_per_commit: Groups::so_far(&gateway)?.since(&groups),
        });
    }
    turns.remove(0);

    let mut point = Point::new(size, conversations, turns);
    eprintln!(
        "conversations of {size}: {:.0} messages/s at intended times ...",
        point.half_load()
    );
    point.pace = Some(talk.pace(&mut people, point.half_load(), settings.time() * settings.repeats)?);
    Ok(point)
}

impl Stage<'_> {
    fn start(&self, folder: &Path, users: usize) -> Result<GatewayProcess, BenchError> {
        let wanted = Wanted {
            workers: 1,
            transport: Transport::Tcp,
            members: users,
            rooms: "",
        };
        GatewayProcess::start_as(self.binary, &wanted, self.credentials, folder, self.cores, self.inbox)
    }
}

/// How many commits the store has made, and of how much.
struct Groups {
    commits: f64,
    changes: f64,
}

impl Groups {
    fn so_far(gateway: &GatewayProcess) -> Result<Self, BenchError> {
        Ok(Self {
            commits: gateway.metric("sluice_store_commits_total")?,
            changes: gateway.metric("sluice_store_changes_total")?,
        })
    }

    fn since(&self, earlier: &Self) -> f64 {
        (self.changes - earlier.changes) / (self.commits - earlier.commits)
    }
}
