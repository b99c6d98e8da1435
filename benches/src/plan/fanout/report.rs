//! The figures of a run: as a table to read, as JSON to keep.

use std::path::Path;

use serde::Serialize;

use super::settings::Settings;
use crate::bench_error::BenchError;
use crate::hardware::Hardware;
use crate::report::{Spread, Versions, write_json};

/// Which of the two servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SideName {
    Bare,
    Sluice,
}

impl SideName {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Sluice => "sluice",
        }
    }
}

/// A server whose members are inside and silent.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Idle {
    pub(crate) side: SideName,
    pub(crate) members: usize,
    /// From the first connection to the last member being inside.
    pub(crate) entering_seconds: f64,
    pub(crate) resident_bytes_before: u64,
    pub(crate) resident_bytes_after: u64,
}

impl Idle {
    fn resident_bytes_per_connection(&self) -> f64 {
        self.resident_bytes_after.saturating_sub(self.resident_bytes_before) as f64 / self.members as f64
    }
}

/// The rounds of one repeat on one server, as they were measured.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Part {
    pub(crate) side: SideName,
    pub(crate) repeat: u32,
    pub(crate) deliveries: u64,
    pub(crate) wall_seconds: f64,
    pub(crate) server_cpu_seconds: f64,
    pub(crate) receivers_cpu_seconds: f64,
    /// Cores the receivers had.
    pub(crate) load_cores: usize,
    /// Bytes of frames that members received, length prefixes included.
    pub(crate) frame_bytes: u64,
}

impl Part {
    fn deliveries_per_second(&self) -> f64 {
        self.deliveries as f64 / self.wall_seconds
    }

    fn cpu_nanoseconds_per_delivery(&self) -> f64 {
        self.server_cpu_seconds * 1e9 / self.deliveries as f64
    }

    fn frame_bytes_per_delivery(&self) -> f64 {
        self.frame_bytes as f64 / self.deliveries as f64
    }

    /// How much of its core the server used, percent.
    fn server_busy(&self) -> f64 {
        100.0 * self.server_cpu_seconds / self.wall_seconds
    }

    /// How much of their cores the receivers used, percent.
    fn receivers_busy(&self) -> f64 {
        100.0 * self.receivers_cpu_seconds / self.wall_seconds / self.load_cores as f64
    }
}

/// All of a run of the plan `fanout`.
#[derive(Debug, Serialize)]
pub(crate) struct FanoutReport {
    pub(crate) plan: &'static str,
    pub(crate) versions: Versions,
    pub(crate) hardware: Hardware,
    pub(crate) settings: Settings,
    /// Rounds of each part.
    pub(crate) rounds: u32,
    pub(crate) idle: Vec<Idle>,
    pub(crate) parts: Vec<Part>,
}

/// What the raw figures come to.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    pub(super) sides: Vec<SideSummary>,
    /// Sluice divided by bare, each repeat with its own neighbour; `None` when only one was measured.
    pub(super) ratios: Option<Ratios>,
}

#[derive(Debug, Serialize)]
pub(super) struct SideSummary {
    pub(super) side: SideName,
    pub(super) deliveries_per_second: Spread,
    pub(super) cpu_nanoseconds_per_delivery: Spread,
    pub(super) frame_bytes_per_delivery: Spread,
    pub(super) server_busy_percent: Spread,
    pub(super) receivers_busy_percent: Spread,
    pub(super) resident_bytes_per_connection: f64,
    pub(super) members_entered_per_second: f64,
}

#[derive(Debug, Serialize)]
pub(super) struct Ratios {
    pub(super) deliveries_per_second: Spread,
    pub(super) cpu_nanoseconds_per_delivery: Spread,
    pub(super) frame_bytes_per_delivery: Spread,
    pub(super) resident_bytes_per_connection: f64,
    pub(super) members_entered_per_second: f64,
}

impl FanoutReport {
    /// Writes the raw figures and their summary.
    pub(crate) fn write_json(&self, path: &Path) -> Result<(), BenchError> {
        let mut document = serde_json::to_value(self).expect("a report is plain data");
        document["summary"] = serde_json::to_value(self.summary()).expect("a summary is plain data");
        write_json(&document, path)
    }

    pub(super) fn summary(&self) -> Summary {
        let sides: Vec<_> = self.idle.iter().map(|idle| self.side_summary(idle)).collect();
        let ratios = match &sides[..] {
            [bare, sluice] => Some(Ratios {
                deliveries_per_second: self.ratio(Part::deliveries_per_second),
                cpu_nanoseconds_per_delivery: self.ratio(Part::cpu_nanoseconds_per_delivery),
                frame_bytes_per_delivery: self.ratio(Part::frame_bytes_per_delivery),
                resident_bytes_per_connection: sluice.resident_bytes_per_connection
                    / bare.resident_bytes_per_connection,
                members_entered_per_second: sluice.members_entered_per_second / bare.members_entered_per_second,
            }),
            _ => None,
        };
        Summary { sides, ratios }
    }

    fn side_summary(&self, idle: &Idle) -> SideSummary {
        let spread = |figure: fn(&Part) -> f64| Spread::of(self.parts_of(idle.side).map(figure));
        SideSummary {
            side: idle.side,
            deliveries_per_second: spread(Part::deliveries_per_second),
            cpu_nanoseconds_per_delivery: spread(Part::cpu_nanoseconds_per_delivery),
            frame_bytes_per_delivery: spread(Part::frame_bytes_per_delivery),
            server_busy_percent: spread(Part::server_busy),
            receivers_busy_percent: spread(Part::receivers_busy),
            resident_bytes_per_connection: idle.resident_bytes_per_connection(),
            members_entered_per_second: idle.members as f64 / idle.entering_seconds,
        }
    }

    /// Neighbours in time are compared, so that what disturbs the machine for a while disturbs both.
    fn ratio(&self, figure: fn(&Part) -> f64) -> Spread {
        let bare = self.parts_of(SideName::Bare);
        let sluice = self.parts_of(SideName::Sluice);
        Spread::of(bare.zip(sluice).map(|(bare, sluice)| figure(sluice) / figure(bare)))
    }

    fn parts_of(&self, side: SideName) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(move |part| part.side == side)
    }
}
