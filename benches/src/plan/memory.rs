//! Where does the memory of a connection go?
//!
//! The gateway runs as a library in a child process whose allocator counts ([`server`]), and its clients in another. All
//! clients take one step together, the gateway comes to rest, and what is allocated then is compared with before: what a
//! step adds is what that part of a connection holds. The resident size of the process (without pages of its program) is read
//! beside it, so that the sum can be checked: what is resident and not allocated is the allocator's own.
//!
//! Not answered here: memory of the kernel, such as socket buffers.

mod report;
pub(crate) mod server;
mod settings;

pub(crate) use settings::Arguments;

use std::path::Path;
use std::time::Duration;

use crate::bench_error::BenchError;
use crate::child::{Child, Inbox, this_program};
use crate::cores::Cores;
use crate::credentials::Credentials;
use crate::crowd::{CrowdProcesses, CrowdSettings, Departures, Stage};
use crate::gateway_process::{Configured, GatewayProcess, Wanted};
use crate::hardware::Hardware;
use crate::messages::{Report, Transport};
use crate::monotonic::now_ns;
use crate::process_figures::wait_until_idle;
use crate::report::{Versions, write_json};
use crate::schedule::Pace;
use crate::scratch_folder::ScratchFolder;
use crate::soloist::{self, Order, Part, Soloist};
use report::{MemoryReport, Reading, Run};
use server::{Counted, Said, Task};
use settings::Settings;

const ROOM: &str = "bench";

/// Content of the messages that are sent before the last reading.
const CONTENT_BYTES: usize = 128;

/// Those messages: more than a room keeps as history, so that this part of it is full.
const MESSAGES: u64 = 60;
const MESSAGES_PER_SECOND: f64 = 30.0;

/// How long a step of the gateway may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Before a reading, besides waiting until the gateway is idle: what a handshake leaves behind is kept for a moment, two
/// digests go out, and the allocator gives back what it does not need.
const REST: Duration = Duration::from_millis(2_500);

/// Runs the plan and prints its figures.
pub(crate) fn run(arguments: &Arguments) -> Result<(), BenchError> {
    let hardware = Hardware::look();
    let cores = Cores::divide()?;
    let settings = Settings::check(arguments)?;
    let versions = Versions {
        sluice_bench: env!("CARGO_PKG_VERSION"),
        gateway: Some(format!("sluice {}, built in", env!("CARGO_PKG_VERSION"))),
    };
    let folder = ScratchFolder::create()?;
    let credentials = Credentials::make(folder.path())?;
    let inbox = Inbox::open()?;
    let mut runs = Vec::new();
    for repeat in 1..=settings.repeats {
        for transport in settings.transports() {
            eprintln!(
                "repeat {repeat} of {}: {} members over {} ...",
                settings.repeats,
                settings.members_over(*transport),
                transport.name()
            );
            runs.push(measure(
                &settings,
                *transport,
                repeat,
                &credentials,
                folder.path(),
                &cores,
                &inbox,
            )?);
        }
    }
    let report = MemoryReport::new(versions, hardware, settings, runs);
    print!("{report}");
    if let Some(path) = &arguments.json {
        write_json(&report, path)?;
    }
    Ok(())
}

/// One gateway from its start to its end.
fn measure(
    settings: &Settings,
    transport: Transport,
    repeat: u32,
    credentials: &Credentials,
    folder: &Path,
    cores: &Cores,
    inbox: &Inbox,
) -> Result<Run, BenchError> {
    let members = settings.members_over(transport);
    let wanted = Wanted {
        workers: 1,
        transport,
        members,
        rooms: "",
    };
    let Configured {
        file,
        tcp,
        members: address,
        ..
    } = wanted.write(credentials, folder)?;
    let mut command = this_program("memory-server")?;
    let mut server = cores.on_server(|| Child::start_reporting("the gateway", &mut command, inbox))?;
    server.tell(&Task { configuration: file })?;
    hear(&server, inbox)?;

    // Somebody is inside before the first reading: what there is once, the room for one, belongs to no connection.
    let entry = GatewayProcess::entry();
    let chatter = soloist::Task {
        server: tcp,
        user: "publisher".into(),
        room: ROOM.into(),
        entry: entry.clone(),
        part: Part::Chatter,
        content_bytes: CONTENT_BYTES,
    };
    let mut chatter = Soloist::start("the publisher", &chatter, inbox)?;
    let mut crowd = CrowdProcesses::start(
        &CrowdSettings {
            name: "members",
            transport,
            server: address,
            processes: 1,
            members,
            first_member: 0,
            slow: 0,
            room: ROOM.into(),
            content_bytes: CONTENT_BYTES,
            certificate: credentials.certificate.clone(),
            entry,
            resumes: false,
        },
        inbox,
    )?;
    let mut readings = vec![read(&mut server, Reading::Before, inbox)?];
    for (stage, reading) in [
        (Stage::Connected, Reading::Connected),
        (Stage::LoggedIn, Reading::LoggedIn),
        (Stage::Inside, Reading::Inside),
    ] {
        crowd.rise(stage, Departures::InTurn, inbox)?;
        readings.push(read(&mut server, reading, inbox)?);
    }
    crowd.begin(0, 0, inbox)?;
    chatter.begin(Order::Run {
        pace: Pace {
            start_ns: now_ns(),
            per_second: MESSAGES_PER_SECOND,
        },
        count: MESSAGES,
        first_number: 0,
    })?;
    let sent = chatter.ran(inbox)?;
    crowd.settle(sent.newest_sequence, true, inbox)?;
    readings.push(read(&mut server, Reading::AfterMessages, inbox)?);
    Ok(Run {
        transport,
        repeat,
        members,
        readings,
    })
}

/// What the gateway holds once it is at rest.
fn read(server: &mut Child, reading: Reading, inbox: &Inbox) -> Result<(Reading, Counted), BenchError> {
    inbox.pause(REST)?;
    wait_until_idle(server.pid(), inbox)?;
    server.tell(&server::Order::Count)?;
    match hear(server, inbox)? {
        Said::Counted(counted) => Ok((reading, counted)),
        Said::Started => Err(BenchError::peer(server.name(), "started twice")),
    }
}

fn hear(server: &Child, inbox: &Inbox) -> Result<Said, BenchError> {
    match inbox.next_from(server, "counting", PATIENCE)? {
        Report::Memory(said) => Ok(said),
        other => Err(BenchError::peer(server.name(), format!("reported {other:?}"))),
    }
}
