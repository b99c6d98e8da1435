//! The figures of a run, kept raw and summed up.

use std::fmt;
use std::path::Path;

use serde::{Serialize, Serializer};

use super::goals::{self, Goal};
use super::settings::Settings;
use crate::bench_error::BenchError;
use crate::hardware::Hardware;
use crate::peer::PeerKind;
use crate::report::{Spread, Versions, write_json};

/// Which of the servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SideName {
    Bare,
    Sluice { workers: usize },
    Peer(PeerKind),
}

impl fmt::Display for SideName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bare => f.pad("bare"),
            Self::Sluice { workers: 1 } => f.pad("sluice"),
            Self::Sluice { workers } => f.pad(&format!("sluice ({workers} workers)")),
            Self::Peer(kind) => f.pad(kind.name()),
        }
    }
}

impl Serialize for SideName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A server whose members are inside and silent.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Idle {
    pub(super) side: SideName,
    pub(super) members: usize,
    /// From the first connection to the last member being inside.
    pub(super) entering_seconds: f64,
    pub(super) resident_bytes_before: u64,
    pub(super) resident_bytes_after: u64,
}

impl Idle {
    fn resident_bytes_per_connection(&self) -> f64 {
        self.resident_bytes_after.saturating_sub(self.resident_bytes_before) as f64 / self.members as f64
    }
}

/// The rounds of one repeat on one server, as they were measured.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Part {
    pub(super) side: SideName,
    pub(super) repeat: u32,
    pub(super) rounds: u32,
    pub(super) deliveries: u64,
    pub(super) wall_seconds: f64,
    pub(super) server_cpu_seconds: f64,
    pub(super) receivers_cpu_seconds: f64,
    /// Cores the receivers had.
    pub(super) load_cores: usize,
    /// Bytes of frames that members received, length prefixes included; of a peer, of its protocol's packets.
    pub(super) frame_bytes: u64,
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

    /// How much of a core the server used, percent; more than 100 for one with more workers.
    fn server_busy(&self) -> f64 {
        100.0 * self.server_cpu_seconds / self.wall_seconds
    }

    /// How much of their cores the receivers used, percent.
    fn receivers_busy(&self) -> f64 {
        100.0 * self.receivers_cpu_seconds / self.wall_seconds / self.load_cores as f64
    }
}

/// A repeat on a peer that came to no figures.
#[derive(Debug, Serialize)]
pub(super) struct Incomplete {
    pub(super) side: SideName,
    /// 0: before the first, while it was warmed up.
    pub(super) repeat: u32,
    /// Rounds of it that did complete.
    pub(super) rounds_complete: u32,
    #[serde(flatten)]
    pub(super) end: End,
}

/// What came instead of figures.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum End {
    /// Messages of a round did not reach their members; both are counted once for each member.
    Lost { lost: u64, of: u64 },
    /// The server ended, did not start, or took too long.
    Failed { reason: String },
}

impl fmt::Display for Incomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.repeat {
            0 => write!(f, "{}, warming up: ", self.side)?,
            repeat => write!(f, "{}, repeat {repeat}: ", self.side)?,
        }
        match &self.end {
            End::Lost { lost, of } => write!(
                f,
                "lost {lost} of {of}; the round did not complete, {} before it did",
                self.rounds_complete
            ),
            End::Failed { reason } => f.write_str(reason),
        }
    }
}

/// All that was measured with one number of members and one window.
#[derive(Debug, Serialize)]
pub(super) struct Point {
    pub(super) members: usize,
    pub(super) window: u32,
    pub(super) idle: Vec<Idle>,
    pub(super) parts: Vec<Part>,
    pub(super) incomplete: Vec<Incomplete>,
}

/// A peer's server, so that a run can be repeated.
#[derive(Debug, Serialize)]
pub(super) struct PeerVersion {
    pub(super) peer: PeerKind,
    /// What it says of itself.
    pub(super) version: String,
}

/// All of a run of the plan `fanout`.
#[derive(Debug, Serialize)]
pub(super) struct FanoutReport {
    pub(super) plan: &'static str,
    pub(super) versions: Versions,
    pub(super) peers: Vec<PeerVersion>,
    pub(super) hardware: Hardware,
    pub(super) settings: Settings,
    pub(super) points: Vec<Point>,
}

/// What the raw figures of a point come to.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    pub(super) sides: Vec<SideSummary>,
    pub(super) goals: Vec<Goal>,
}

#[derive(Debug, Serialize)]
pub(super) struct SideSummary {
    pub(super) side: SideName,
    /// `None`: no repeat came to figures.
    pub(super) figures: Option<Figures>,
    pub(super) resident_bytes_per_connection: f64,
    pub(super) members_entered_per_second: f64,
    /// This server divided by the bare loop, each repeat by its own neighbour.
    pub(super) to_bare: Option<Ratios>,
    /// The gateway divided by this server, in the same way: the first gateway, if there are several.
    pub(super) sluice_to_it: Option<Ratios>,
}

#[derive(Debug, Serialize)]
pub(super) struct Figures {
    pub(super) deliveries_per_second: Spread,
    pub(super) cpu_nanoseconds_per_delivery: Spread,
    pub(super) frame_bytes_per_delivery: Spread,
    pub(super) server_busy_percent: Spread,
    pub(super) receivers_busy_percent: Spread,
    /// Rounds of each repeat, and repeats that came to figures.
    pub(super) rounds: u32,
    pub(super) repeats: usize,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Ratios {
    pub(super) deliveries_per_second: Spread,
    pub(super) cpu_nanoseconds_per_delivery: Spread,
}

impl FanoutReport {
    /// Writes the raw figures and their summary.
    pub(super) fn write_json(&self, path: &Path) -> Result<(), BenchError> {
        let mut document = serde_json::to_value(self).expect("a report is plain data");
        for (point, value) in self
            .points
            .iter()
            .zip(document["points"].as_array_mut().into_iter().flatten())
        {
            value["summary"] = serde_json::to_value(point.summary(&self.settings)).expect("a summary is plain data");
        }
        write_json(&document, path)
    }
}

impl Point {
    pub(super) fn summary(&self, settings: &Settings) -> Summary {
        let gateway = self.idle.iter().map(|idle| idle.side);
        let gateway = gateway.into_iter().find(|side| matches!(side, SideName::Sluice { .. }));
        let sides: Vec<_> = self.idle.iter().map(|idle| self.side_summary(idle, gateway)).collect();
        let goals = goals::of(settings, self, &sides);
        Summary { sides, goals }
    }

    fn side_summary(&self, idle: &Idle, gateway: Option<SideName>) -> SideSummary {
        let side = idle.side;
        SideSummary {
            side,
            figures: self.figures(side),
            resident_bytes_per_connection: idle.resident_bytes_per_connection(),
            members_entered_per_second: idle.members as f64 / idle.entering_seconds,
            to_bare: (side != SideName::Bare)
                .then(|| self.ratio_of(side, SideName::Bare))
                .flatten(),
            sluice_to_it: gateway
                .filter(|gateway| *gateway != side && side != SideName::Bare)
                .and_then(|gateway| self.ratio_of(gateway, side)),
        }
    }

    fn figures(&self, side: SideName) -> Option<Figures> {
        let first = self.parts_of(side).next()?;
        let spread = |figure: fn(&Part) -> f64| Spread::of(self.parts_of(side).map(figure));
        Some(Figures {
            deliveries_per_second: spread(Part::deliveries_per_second),
            cpu_nanoseconds_per_delivery: spread(Part::cpu_nanoseconds_per_delivery),
            frame_bytes_per_delivery: spread(Part::frame_bytes_per_delivery),
            server_busy_percent: spread(Part::server_busy),
            receivers_busy_percent: spread(Part::receivers_busy),
            rounds: first.rounds,
            repeats: self.parts_of(side).count(),
        })
    }

    /// `of` divided by `to`, if both have figures of the same repeat. Neighbours in time are compared, so that what
    /// disturbs the machine for a while disturbs both.
    pub(super) fn ratio_of(&self, of: SideName, to: SideName) -> Option<Ratios> {
        let pairs: Vec<_> = self
            .parts_of(of)
            .filter_map(|part| Some((part, self.parts_of(to).find(|other| other.repeat == part.repeat)?)))
            .collect();
        if pairs.is_empty() {
            return None;
        }
        let ratio = |figure: fn(&Part) -> f64| Spread::of(pairs.iter().map(|(of, to)| figure(of) / figure(to)));
        Some(Ratios {
            deliveries_per_second: ratio(Part::deliveries_per_second),
            cpu_nanoseconds_per_delivery: ratio(Part::cpu_nanoseconds_per_delivery),
        })
    }

    fn parts_of(&self, side: SideName) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(move |part| part.side == side)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::Transport;

    const SLUICE: SideName = SideName::Sluice { workers: 1 };
    const NATS: SideName = SideName::Peer(PeerKind::Nats);

    fn part(side: SideName, repeat: u32, wall_seconds: f64) -> Part {
        Part {
            side,
            repeat,
            rounds: 1,
            deliveries: 1_000,
            wall_seconds,
            server_cpu_seconds: wall_seconds,
            receivers_cpu_seconds: wall_seconds,
            load_cores: 1,
            frame_bytes: 1_000,
        }
    }

    fn point() -> Point {
        let idle = |side| Idle {
            side,
            members: 9_000,
            entering_seconds: 1.0,
            resident_bytes_before: 0,
            resident_bytes_after: 9_000 * 922,
        };
        Point {
            members: 9_000,
            window: 128,
            idle: vec![idle(SideName::Bare), idle(SLUICE), idle(NATS)],
            parts: vec![
                part(SideName::Bare, 1, 1.0),
                part(SLUICE, 1, 1.25),
                part(SideName::Bare, 2, 2.0),
                part(SLUICE, 2, 2.5),
                part(NATS, 2, 100.0),
            ],
            incomplete: vec![Incomplete {
                side: NATS,
                repeat: 1,
                rounds_complete: 0,
                end: End::Lost { lost: 17, of: 128_000 },
            }],
        }
    }

    #[test]
    fn a_peer_is_compared_with_its_neighbours_of_the_same_repeat() {
        let point = point();
        let ratio = point.ratio_of(SLUICE, NATS).unwrap().deliveries_per_second;
        assert_eq!((ratio.median, ratio.min, ratio.max), (40.0, 40.0, 40.0));
        assert!(point.ratio_of(SideName::Peer(PeerKind::Rumqttd), NATS).is_none());
    }

    #[test]
    fn a_repeat_that_lost_messages_is_told_with_their_number() {
        assert_eq!(
            point().incomplete[0].to_string(),
            "nats, repeat 1: lost 17 of 128000; the round did not complete, 0 before it did"
        );
    }

    #[test]
    fn goals_are_judged_by_the_figure_they_are_set_for() {
        let mut settings = Settings::of_one_point(Transport::Tcp);
        let judged = |point: &Point, settings: &Settings| -> Vec<_> {
            let goals = point.summary(settings).goals;
            goals
                .into_iter()
                .map(|goal| (goal.goal, (goal.figure * 10.0).round() / 10.0, goal.reached))
                .collect()
        };
        let mut point = point();
        assert_eq!(
            judged(&point, &settings),
            [(0.7, 0.8, true), (20.0, 40.0, true), (1.0, 0.9, true)]
        );
        point.window = 1;
        assert_eq!(judged(&point, &settings), [(1.15, 1.3, false), (1.0, 0.9, true)]);
        settings.transport = Transport::Quic;
        assert_eq!(judged(&point, &settings), [(1.5, 1.3, true), (32.0, 0.9, true)]);
    }
}
