//! The results of `fanout`, read back from the files it wrote: of all that is in them, what charts show.

use std::fs;
use std::path::PathBuf;

use serde::Deserialize;

use crate::bench_error::{BenchError, Doing};
use crate::messages::Transport;
use crate::report::Spread;

#[derive(Deserialize)]
struct Document {
    settings: Settings,
    points: Vec<Point>,
}

#[derive(Deserialize)]
struct Settings {
    transport: Transport,
    payload_bytes: usize,
}

#[derive(Deserialize)]
struct Point {
    members: usize,
    window: u32,
    summary: Summary,
}

#[derive(Deserialize)]
struct Summary {
    sides: Vec<Side>,
}

#[derive(Deserialize)]
struct Side {
    side: String,
    figures: Option<Figures>,
    resident_bytes_per_connection: f64,
}

/// What a server did.
#[derive(Deserialize)]
pub(super) struct Figures {
    pub(super) deliveries_per_second: Spread,
    pub(super) cpu_nanoseconds_per_delivery: Spread,
}

/// One server at one point.
pub(super) struct Sample {
    pub(super) transport: Transport,
    pub(super) members: usize,
    pub(super) window: u32,
    pub(super) side: String,
    /// `None`: it came to none.
    pub(super) figures: Option<Figures>,
    pub(super) resident_bytes_per_connection: f64,
}

/// Several files together.
#[derive(Default)]
pub(super) struct Results {
    /// Of all of them: charts of different payloads would compare nothing.
    pub(super) payload_bytes: usize,
    samples: Vec<Sample>,
}

impl Results {
    pub(super) fn read(files: &[PathBuf]) -> Result<Self, BenchError> {
        let mut results = Self::default();
        for file in files {
            let text = fs::read_to_string(file).doing(format!("reading {}", file.display()))?;
            results
                .add(&text)
                .map_err(|what| BenchError::Unsuitable(format!("{}: {what}", file.display())))?;
        }
        Ok(results)
    }

    /// Adds a file's figures to those of earlier ones, which stay where both have the same.
    pub(super) fn add(&mut self, text: &str) -> Result<(), String> {
        let Document { settings, points } =
            serde_json::from_str(text).map_err(|error| format!("not a result of the plan fanout: {error}"))?;
        if self.samples.is_empty() {
            self.payload_bytes = settings.payload_bytes;
        } else if self.payload_bytes != settings.payload_bytes {
            return Err(format!(
                "its payload is {} bytes, that of the files before it {}",
                settings.payload_bytes, self.payload_bytes
            ));
        }
        for point in points {
            for side in point.summary.sides {
                let known = self.samples.iter().any(|sample| {
                    (sample.transport, sample.members, sample.window)
                        == (settings.transport, point.members, point.window)
                        && sample.side == side.side
                });
                if !known {
                    self.samples.push(Sample {
                        transport: settings.transport,
                        members: point.members,
                        window: point.window,
                        side: side.side,
                        figures: side.figures,
                        resident_bytes_per_connection: side.resident_bytes_per_connection,
                    });
                }
            }
        }
        Ok(())
    }

    pub(super) fn of(&self, transport: Transport) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(move |sample| sample.transport == transport)
    }
}

/// The servers of some samples, in the order in which they were measured.
pub(super) fn sides(samples: &[&Sample]) -> Vec<String> {
    let mut sides: Vec<String> = Vec::new();
    for sample in samples {
        if !sides.contains(&sample.side) {
            sides.push(sample.side.clone());
        }
    }
    sides
}
