//! What does a room cost beyond its connections, up to a million members, and does a member cost more in a larger room?
//!
//! The gateway's own home, slice and sweep run in a process of their own for each size, with connections in memory that take
//! everything at once ([`sluice_gateway::in_memory`]). A bare loop beside it visits as many sinks through the same pointers: what
//! a machine's caches make of so many members is no doing of the room.
//!
//! Not answered here: sockets, which cost a hundred times as much each; the home of a room on another worker.

mod room;
mod table;

use std::path::PathBuf;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::bench_error::{BenchError, Doing};
use crate::hardware::Hardware;
use crate::report::{Spread, write_json};

/// Sizes when none are given.
const SIZES: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Members of the room, several sizes with commas between
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = SIZES)]
    members: Vec<usize>,
    /// Bytes of content of each message
    #[arg(long, value_name = "B", default_value_t = 128)]
    payload: usize,
    /// How often each size is measured, each time in a new process
    #[arg(long, value_name = "K", default_value_t = 3)]
    repeats: usize,
    /// Write all figures, with hardware and settings, to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(clap::Args)]
pub(crate) struct RoomArguments {
    members: usize,
    payload: usize,
}

/// One room, from its first member to its last.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Part {
    members: usize,
    /// Bytes allocated for each member by joining, all of the room's state.
    bytes_per_member: f64,
    /// The same by resident memory.
    resident_bytes_per_member: f64,
    join_ns: f64,
    /// Nanoseconds for each member of a broadcast, the median of many.
    broadcast_ns: f64,
    /// The same of a loop that does nothing but visit as many sinks.
    bare_ns: f64,
    leave_ns: f64,
}

/// The parts of one size.
#[derive(Debug, Serialize)]
struct Size {
    members: usize,
    bytes_per_member: Spread,
    resident_bytes_per_member: Spread,
    join_ns: Spread,
    broadcast_ns: Spread,
    bare_ns: Spread,
    leave_ns: Spread,
}

#[derive(Debug, Serialize)]
struct MillionReport {
    plan: &'static str,
    sluice_bench: &'static str,
    hardware: Hardware,
    payload_bytes: usize,
    sizes: Vec<Size>,
    parts: Vec<Part>,
}

/// Runs the plan and prints its figures.
pub(crate) fn run(arguments: &Arguments) -> Result<(), BenchError> {
    if arguments.repeats == 0 || arguments.members.is_empty() || arguments.members.contains(&0) {
        return Err(BenchError::Unsuitable("--members and --repeats are at least 1".into()));
    }
    let mut parts = Vec::new();
    for repeat in 1..=arguments.repeats {
        for members in &arguments.members {
            eprintln!("repeat {repeat} of {}: {members} members ...", arguments.repeats);
            parts.push(in_a_process(*members, arguments.payload)?);
        }
    }
    let report = MillionReport {
        plan: "million",
        sluice_bench: env!("CARGO_PKG_VERSION"),
        hardware: Hardware::look(),
        payload_bytes: arguments.payload,
        sizes: arguments
            .members
            .iter()
            .map(|members| Size::of(*members, &parts))
            .collect(),
        parts,
    };
    print!("{report}");
    if let Some(path) = &arguments.json {
        write_json(&report, path)?;
    }
    Ok(())
}

/// One part, in this process, as a line of JSON on standard output.
pub(crate) fn run_room(arguments: &RoomArguments) -> Result<(), BenchError> {
    let part = room::measure(arguments.members, arguments.payload)?;
    println!("{}", serde_json::to_string(&part).expect("plain numbers"));
    Ok(())
}

fn in_a_process(members: usize, payload: usize) -> Result<Part, BenchError> {
    let program = std::env::current_exe().doing("finding this program")?;
    let output = Command::new(program)
        .args(["million-room", &members.to_string(), &payload.to_string()])
        .stderr(std::process::Stdio::inherit())
        .output()
        .doing("starting a process for a room")?;
    if !output.status.success() {
        return Err(BenchError::Unsuitable(format!("a room of {members} members failed")));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| BenchError::peer("the process of a room", error.to_string()))
}

impl Size {
    fn of(members: usize, parts: &[Part]) -> Self {
        let spread = |figure: fn(&Part) -> f64| {
            let of_size = parts.iter().filter(|part| part.members == members);
            Spread::of(of_size.map(figure))
        };
        Self {
            members,
            bytes_per_member: spread(|part| part.bytes_per_member),
            resident_bytes_per_member: spread(|part| part.resident_bytes_per_member),
            join_ns: spread(|part| part.join_ns),
            broadcast_ns: spread(|part| part.broadcast_ns),
            bare_ns: spread(|part| part.bare_ns),
            leave_ns: spread(|part| part.leave_ns),
        }
    }
}
