//! What the plan found, and what it comes to.

mod table;

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::settings::{Phase, Settings};
use crate::crowd::{Churned, Figures, MessageTimes};
use crate::hardware::Hardware;
use crate::latencies::{Latencies, Percentiles};
use crate::report::{Spread, Versions};
use crate::soloist::Ran;

/// One phase of one repeat, as it was measured.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) phase: Phase,
    pub(super) repeat: u32,
    pub(super) wall_seconds: f64,
    pub(super) server_cpu_seconds: f64,
    /// While something else had the server's core.
    pub(super) server_kept_waiting_seconds: f64,
    pub(super) crowd_cpu_seconds: f64,
    /// What members who always read got.
    pub(super) figures: Figures,
    pub(super) spoken: Ran,
    pub(super) pinged: Option<Ran>,
    /// The flood, or the background.
    pub(super) chattered: Option<Ran>,
    pub(super) churned: Option<Churned>,
    /// What slow members got once they read again.
    pub(super) slow: Option<Figures>,
}

/// What is kept of a part: its histograms as percentiles.
#[derive(Debug, Serialize)]
struct PartRecord {
    phase: Phase,
    repeat: u32,
    wall_seconds: f64,
    server_cpu_seconds: f64,
    server_kept_waiting_seconds: f64,
    crowd_cpu_seconds: f64,
    first: Percentiles,
    median: Percentiles,
    last: Percentiles,
    every: Percentiles,
    /// Of members who always read.
    delivered: u64,
    missed: u64,
    answer: Percentiles,
    lateness: Percentiles,
    ping: Option<Percentiles>,
    ping_lateness: Option<Percentiles>,
    refused: BTreeMap<String, u64>,
    /// Messages of the flood or of the background, and their refusals.
    other_messages: u64,
    other_refused: BTreeMap<String, u64>,
    churned: Option<Churned>,
    slow: Option<SlowRecord>,
}

/// Members who did not read, once they had read again.
#[derive(Debug, Serialize)]
struct SlowRecord {
    delivered: u64,
    missed: u64,
    gap_notices: u64,
}

impl Part {
    /// One of the delays of each message.
    fn per_message(&self, which: fn(&MessageTimes) -> u64) -> Latencies {
        let mut latencies = Latencies::new();
        let times = self.figures.messages.iter().flatten();
        times.for_each(|times| latencies.record(which(times)));
        latencies
    }

    fn record(&self) -> PartRecord {
        let per_message = |which| self.per_message(which).percentiles();
        let (pinged, chattered) = (self.pinged.as_ref(), self.chattered.as_ref());
        PartRecord {
            phase: self.phase,
            repeat: self.repeat,
            wall_seconds: self.wall_seconds,
            server_cpu_seconds: self.server_cpu_seconds,
            server_kept_waiting_seconds: self.server_kept_waiting_seconds,
            crowd_cpu_seconds: self.crowd_cpu_seconds,
            first: per_message(|times| times.first_ns),
            median: per_message(|times| times.median_ns),
            last: per_message(|times| times.last_ns),
            every: self.figures.every.percentiles(),
            delivered: self.figures.delivered,
            missed: self.figures.missed,
            answer: self.spoken.answers.percentiles(),
            lateness: self.spoken.lateness.percentiles(),
            ping: pinged.map(|ran| ran.answers.percentiles()),
            ping_lateness: pinged.map(|ran| ran.lateness.percentiles()),
            refused: self.spoken.refused.clone(),
            other_messages: chattered.map_or(0, |ran| ran.sent),
            other_refused: chattered.map_or_else(BTreeMap::new, |ran| ran.refused.clone()),
            churned: self.churned.clone(),
            slow: self.slow.as_ref().map(|slow| SlowRecord {
                delivered: slow.slow_delivered,
                missed: slow.slow_missed,
                gap_notices: slow.slow_gaps,
            }),
        }
    }
}

/// All of a run.
#[derive(Debug, Serialize)]
pub(super) struct LatencyReport {
    plan: &'static str,
    versions: Versions,
    hardware: Hardware,
    settings: Settings,
    #[serde(serialize_with = "as_records")]
    parts: Vec<Part>,
    summary: Summary,
}

#[derive(Debug, Serialize)]
struct Summary {
    phases: Vec<PhaseSummary>,
    ratios: Vec<Ratio>,
}

/// All repeats of a phase together.
#[derive(Debug, Serialize)]
struct PhaseSummary {
    phase: Phase,
    first: Percentiles,
    median: Percentiles,
    last: Percentiles,
    every: Percentiles,
    ping: Option<Percentiles>,
    /// From the intended time to the publisher's answer.
    answer: Option<Percentiles>,
    lateness: Percentiles,
    ping_lateness: Option<Percentiles>,
    server_busy_percent: Spread,
    server_kept_waiting_percent: Spread,
    crowd_busy_percent: Spread,
}

/// A phase divided by another of the same repeat.
#[derive(Debug, Serialize)]
struct Ratio {
    phase: Phase,
    to: Phase,
    first_p50: Spread,
    median_p50: Spread,
    last_p50: Spread,
    every_p50: Spread,
    every_p99: Spread,
}

impl LatencyReport {
    pub(super) fn new(versions: Versions, hardware: Hardware, settings: Settings, parts: Vec<Part>) -> Self {
        let phases = settings.phases();
        let summary = Summary {
            phases: phases
                .iter()
                .map(|phase| PhaseSummary::of(*phase, &parts, settings.crowd_processes))
                .collect(),
            ratios: phases
                .iter()
                .filter_map(|phase| {
                    let to = match phase {
                        Phase::Bare => return None,
                        Phase::Quiet if settings.measures_bare() => Phase::Bare,
                        Phase::Quiet => return None,
                        _ => Phase::Quiet,
                    };
                    Some(Ratio::of(*phase, to, &parts))
                })
                .collect(),
        };
        Self {
            plan: "latency",
            versions,
            hardware,
            settings,
            parts,
            summary,
        }
    }

    fn parts_of(&self, phase: Phase) -> impl Iterator<Item = &Part> {
        parts_of(&self.parts, phase)
    }
}

impl PhaseSummary {
    fn of(phase: Phase, parts: &[Part], crowd_processes: usize) -> Self {
        let pooled = |latencies: &dyn Fn(&Part) -> Latencies| {
            let mut sum = Latencies::new();
            parts_of(parts, phase).for_each(|part| sum.add(&latencies(part)));
            sum.percentiles()
        };
        // A bare loop answers nothing.
        let answered = |latencies: &dyn Fn(&Part) -> Latencies| Some(pooled(latencies)).filter(|found| found.count > 0);
        let spread = |figure: &dyn Fn(&Part) -> f64| Spread::of(parts_of(parts, phase).map(figure));
        Self {
            phase,
            first: pooled(&|part| part.per_message(|times| times.first_ns)),
            median: pooled(&|part| part.per_message(|times| times.median_ns)),
            last: pooled(&|part| part.per_message(|times| times.last_ns)),
            every: pooled(&|part| part.figures.every.clone()),
            ping: answered(&|part| {
                part.pinged
                    .as_ref()
                    .map_or_else(Latencies::new, |pinged| pinged.answers.clone())
            }),
            answer: answered(&|part| part.spoken.answers.clone()),
            lateness: pooled(&|part| part.spoken.lateness.clone()),
            ping_lateness: answered(&|part| {
                part.pinged
                    .as_ref()
                    .map_or_else(Latencies::new, |pinged| pinged.lateness.clone())
            }),
            server_busy_percent: spread(&|part| 100.0 * part.server_cpu_seconds / part.wall_seconds),
            server_kept_waiting_percent: spread(&|part| 100.0 * part.server_kept_waiting_seconds / part.wall_seconds),
            crowd_busy_percent: spread(&|part| {
                100.0 * part.crowd_cpu_seconds / part.wall_seconds / crowd_processes as f64
            }),
        }
    }
}

impl Ratio {
    fn of(phase: Phase, to: Phase, parts: &[Part]) -> Self {
        // Neighbours in time are compared, so that what disturbs the machine for a while disturbs both.
        let ratio = |figure: &dyn Fn(&Part) -> u64| {
            let pairs = parts_of(parts, phase).zip(parts_of(parts, to));
            Spread::of(pairs.map(|(part, to)| figure(part) as f64 / figure(to).max(1) as f64))
        };
        let p50 = |which: fn(&MessageTimes) -> u64| ratio(&|part| part.per_message(which).percentiles().p50_ns);
        Self {
            phase,
            to,
            first_p50: p50(|times| times.first_ns),
            median_p50: p50(|times| times.median_ns),
            last_p50: p50(|times| times.last_ns),
            every_p50: ratio(&|part| part.figures.every.percentiles().p50_ns),
            every_p99: ratio(&|part| part.figures.every.percentiles().p99_ns),
        }
    }
}

fn as_records<S: Serializer>(parts: &[Part], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(parts.iter().map(Part::record))
}

fn parts_of(parts: &[Part], phase: Phase) -> impl Iterator<Item = &Part> {
    parts.iter().filter(move |part| part.phase == phase)
}
