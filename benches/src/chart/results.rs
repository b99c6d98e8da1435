//! The results of `fanout`, read back from the files it wrote: of all that is in them, what charts show.

use std::fs;
use std::path::PathBuf;

use serde::Deserialize;

use crate::bench_error::{BenchError, Doing};
use crate::messages::Transport;
use crate::report::Spread;

#[derive(Deserialize)]
struct Document {
    hardware: Hardware,
    settings: Settings,
    points: Vec<Point>,
}

#[derive(Deserialize)]
struct Hardware {
    cpu_model: String,
    cores: usize,
}

#[derive(Deserialize)]
struct Settings {
    transport: Transport,
    payload_bytes: usize,
    receivers_share_cores: bool,
}

/// What must be the same for all figures of a chart: others would compare nothing.
#[derive(Debug, PartialEq)]
struct Conditions {
    payload_bytes: usize,
    receivers_share_cores: bool,
    cpu_model: String,
    cores: usize,
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
    /// `None` as long as there is no file.
    conditions: Option<Conditions>,
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
        let document: Document =
            serde_json::from_str(text).map_err(|error| format!("not a result of the plan fanout: {error}"))?;
        let (hardware, settings) = (document.hardware, document.settings);
        let conditions = Conditions {
            payload_bytes: settings.payload_bytes,
            receivers_share_cores: settings.receivers_share_cores,
            cpu_model: hardware.cpu_model,
            cores: hardware.cores,
        };
        match &self.conditions {
            None => self.conditions = Some(conditions),
            Some(before) if *before == conditions => {}
            Some(before) => {
                return Err(format!(
                    "cannot be drawn together with the files before it: {conditions:?} here, {before:?} there"
                ));
            }
        }
        for point in document.points {
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

    /// Bytes of content of each message.
    pub(super) fn payload_bytes(&self) -> usize {
        self.conditions
            .as_ref()
            .map_or(0, |conditions| conditions.payload_bytes)
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

#[cfg(test)]
mod tests {
    use super::*;

    const RESULT: &str = include_str!("golden/result.json");

    #[test]
    fn of_figures_that_two_files_have_the_first_file_s_are_taken() {
        let mut results = Results::default();
        results.add(RESULT).unwrap();
        let before = results.samples.len();
        results
            .add(&RESULT.replace("\"window\": 128", "\"window\": 512"))
            .unwrap();
        assert_eq!(results.samples.len(), before + before / 3);
    }

    #[test]
    fn results_of_other_conditions_are_not_drawn_together() {
        for (from, to) in [
            ("\"payload_bytes\": 128", "\"payload_bytes\": 64"),
            ("\"cores\": 2", "\"cores\": 4"),
            ("\"receivers_share_cores\": false", "\"receivers_share_cores\": true"),
        ] {
            let mut results = Results::default();
            results.add(RESULT).unwrap();
            let other = RESULT.replace(from, to);
            assert_ne!(other, RESULT);
            assert!(results.add(&other).unwrap_err().contains("together"));
        }
    }
}
