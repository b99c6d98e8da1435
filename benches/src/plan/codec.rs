//! What do our frames cost to encode and decode beyond what prost takes for the same message?
//!
//! The codec finds the end of a frame and looks over its fields before anything is decoded. Bare prost does the same
//! message without that. Both take turns on one core, a few milliseconds each, and neighbours in time are compared.

mod cases;

use std::fmt;
use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::bench_error::BenchError;
use crate::cores::Cores;
use crate::hardware::Hardware;
use crate::report::{Spread, Versions, nanoseconds, spread, times, write_json};
use cases::{Case, cases};

/// How long one turn lasts: long for a clock, short for whatever else the machine does.
const TURN: Duration = Duration::from_millis(5);

/// Our speed divided by that of bare prost.
const GOAL: f64 = 0.9;

/// Largest content of a text message.
const PAYLOAD_BYTES_MAX: usize = sluice_protocol::limits::TEXT_BYTES;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Bytes of content of the message, 1 to 32768
    #[arg(long, value_name = "B", default_value_t = 128)]
    payload: usize,
    /// How often each of the two has its turn
    #[arg(long, value_name = "K", default_value_t = 101)]
    repeats: u32,
    /// Write all figures, with hardware, versions and settings, to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// One thing done in two ways.
#[derive(Debug, Serialize)]
struct Measured {
    case: &'static str,
    frame_bytes: usize,
    nanoseconds: Spread,
    bare_prost_nanoseconds: Spread,
    /// Our speed divided by that of bare prost, each turn with its own neighbour.
    speed_to_bare_prost: Spread,
    goal: f64,
    reached: bool,
}

#[derive(Debug, Serialize)]
struct CodecReport {
    plan: &'static str,
    versions: Versions,
    hardware: Hardware,
    payload_bytes: usize,
    repeats: u32,
    cases: Vec<Measured>,
}

/// Runs the plan and prints its figures.
pub(crate) fn run(arguments: &Arguments) -> Result<(), BenchError> {
    if !(1..=PAYLOAD_BYTES_MAX).contains(&arguments.payload) || arguments.repeats == 0 {
        return Err(BenchError::Unsuitable(format!(
            "--payload is 1 to {PAYLOAD_BYTES_MAX}, --repeats at least 1"
        )));
    }
    let hardware = Hardware::look();
    let cores = Cores::divide()?;
    let measured = cores.on_server(|| {
        Ok(cases(arguments.payload)
            .iter()
            .map(|case| measure(case, arguments.repeats))
            .collect())
    })?;
    let report = CodecReport {
        plan: "codec",
        versions: Versions {
            sluice_bench: env!("CARGO_PKG_VERSION"),
            gateway: None,
        },
        hardware,
        payload_bytes: arguments.payload,
        repeats: arguments.repeats,
        cases: measured,
    };
    print!("{report}");
    match &arguments.json {
        Some(path) => write_json(&report, path),
        None => Ok(()),
    }
}

fn measure(case: &Case, repeats: u32) -> Measured {
    let runs = runs_that_fill(TURN, &case.bare_prost);
    let mut ours = Vec::new();
    let mut bare = Vec::new();
    for repeat in 0..repeats {
        // Whoever is first finds caches as the other left them: each is as often.
        if repeat % 2 == 0 {
            ours.push(nanoseconds_of(&case.ours, runs));
            bare.push(nanoseconds_of(&case.bare_prost, runs));
        } else {
            bare.push(nanoseconds_of(&case.bare_prost, runs));
            ours.push(nanoseconds_of(&case.ours, runs));
        }
    }
    let speed = Spread::of(ours.iter().zip(&bare).map(|(ours, bare)| bare / ours));
    Measured {
        case: case.name,
        frame_bytes: case.frame_bytes,
        nanoseconds: Spread::of(ours.into_iter()),
        bare_prost_nanoseconds: Spread::of(bare.into_iter()),
        speed_to_bare_prost: speed,
        goal: GOAL,
        reached: speed.median >= GOAL,
    }
}

/// How often `work` can be done in `time`, found by doubling; also warms it up.
fn runs_that_fill(time: Duration, work: &dyn Fn(u32)) -> u32 {
    let mut runs = 1;
    loop {
        let began = Instant::now();
        black_box(work)(runs);
        if began.elapsed() >= time {
            return runs;
        }
        runs *= 2;
    }
}

fn nanoseconds_of(work: &dyn Fn(u32), runs: u32) -> f64 {
    let began = Instant::now();
    black_box(work)(runs);
    began.elapsed().as_nanos() as f64 / f64::from(runs)
}

impl fmt::Display for CodecReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "codec: {}-byte payload, {} turns of {} ms each; median (smallest..largest)",
            self.payload_bytes,
            self.repeats,
            TURN.as_millis()
        )?;
        writeln!(f, "on {}, Linux {}\n", self.hardware.cpu_model, self.hardware.kernel)?;
        writeln!(
            f,
            "{:38}{:>12}{:>32}{:>32}{:>24}",
            "", "frame", "sluice-codec", "bare prost", "speed of it"
        )?;
        for case in &self.cases {
            writeln!(
                f,
                "{:38}{:>12}{:>32}{:>32}{:>24}",
                case.case,
                format!("{} bytes", case.frame_bytes),
                spread(case.nanoseconds, nanoseconds),
                spread(case.bare_prost_nanoseconds, nanoseconds),
                spread(case.speed_to_bare_prost, times)
            )?;
        }
        for case in &self.cases {
            writeln!(
                f,
                "goal: {}, speed of bare prost ≥ {}: {:.3}, {}",
                case.case,
                case.goal,
                case.speed_to_bare_prost.median,
                if case.reached { "reached" } else { "not reached" }
            )?;
        }
        Ok(())
    }
}
