//! What the plan found, and what it comes to.

use std::fmt;

use serde::Serialize;

use super::server::Counted;
use super::settings::Settings;
use crate::hardware::Hardware;
use crate::messages::Transport;
use crate::report::{Spread, Versions, kibibytes, spread, tenths};

/// Bytes of resident memory that an idle member may take, of everything the process has.
const TCP_GOAL_BYTES: f64 = 1024.0;
const TLS_GOAL_BYTES: f64 = 10.0 * 1024.0;
const QUIC_GOAL_BYTES: f64 = 32.0 * 1024.0;

/// Bytes of a room for each member, beyond the connection.
const MEMBERSHIP_GOAL_BYTES: f64 = 100.0;

/// Width of the names of rows, and of a column of figures.
const NAME: usize = 62;
const COLUMN: usize = 30;

/// When the gateway was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reading {
    Before,
    Connected,
    LoggedIn,
    Inside,
    AfterMessages,
}

impl Reading {
    /// What it shows that the one before it did not, by part.
    fn part(self) -> &'static str {
        match self {
            Self::Before => "",
            Self::Connected => "connected: task, registration, transport, empty outbox",
            Self::LoggedIn => "logged in: session, registry of users",
            Self::Inside => "inside a room: membership at its home, in its slice, cursor",
            Self::AfterMessages => "after messages, idle again",
        }
    }
}

/// One gateway from its start to its end.
#[derive(Debug, Serialize)]
pub(super) struct Run {
    pub(super) transport: Transport,
    pub(super) repeat: u32,
    pub(super) members: usize,
    pub(super) readings: Vec<(Reading, Counted)>,
}

/// What a step adds for each connection.
#[derive(Debug, Clone, Copy)]
struct Added {
    live_bytes: f64,
    allocations: f64,
    resident_bytes: f64,
}

impl Run {
    /// What was added from one reading to a later one, by their places.
    fn added(&self, from: usize, to: usize) -> Added {
        let (before, after) = (self.readings[from].1, self.readings[to].1);
        // The counts go round; their differences are far from half of that, so their signs are right.
        let each = |before: u64, after: u64| after.wrapping_sub(before) as i64 as f64 / self.members as f64;
        Added {
            live_bytes: each(before.live_bytes, after.live_bytes),
            allocations: each(before.live_allocations, after.live_allocations),
            resident_bytes: each(before.resident_bytes, after.resident_bytes),
        }
    }
}

/// All of a run.
#[derive(Debug, Serialize)]
pub(super) struct MemoryReport {
    plan: &'static str,
    versions: Versions,
    hardware: Hardware,
    settings: Settings,
    runs: Vec<Run>,
    summary: Vec<TransportSummary>,
}

#[derive(Debug, Serialize)]
struct TransportSummary {
    transport: Transport,
    members: usize,
    parts: Vec<PartSummary>,
    sum: PartSummary,
    /// Resident and not allocated, for each connection.
    slack_bytes: Spread,
}

#[derive(Debug, Serialize)]
struct PartSummary {
    /// `None`: all together.
    reading: Option<Reading>,
    live_bytes: Spread,
    allocations: Spread,
    resident_bytes: Spread,
}

impl MemoryReport {
    pub(super) fn new(versions: Versions, hardware: Hardware, settings: Settings, runs: Vec<Run>) -> Self {
        let summary = settings
            .transports()
            .iter()
            .map(|transport| {
                let of_transport: Vec<_> = runs.iter().filter(|run| run.transport == *transport).collect();
                TransportSummary::of(*transport, settings.members_over(*transport), &of_transport)
            })
            .collect();
        Self {
            plan: "memory",
            versions,
            hardware,
            settings,
            runs,
            summary,
        }
    }
}

impl TransportSummary {
    fn of(transport: Transport, members: usize, runs: &[&Run]) -> Self {
        let readings = [
            Reading::Connected,
            Reading::LoggedIn,
            Reading::Inside,
            Reading::AfterMessages,
        ];
        let part = |reading, from, to| {
            let over = |figure: fn(Added) -> f64| Spread::of(runs.iter().map(|run| figure(run.added(from, to))));
            PartSummary {
                reading,
                live_bytes: over(|added| added.live_bytes),
                allocations: over(|added| added.allocations),
                resident_bytes: over(|added| added.resident_bytes),
            }
        };
        let slack = |added: Added| added.resident_bytes - added.live_bytes;
        Self {
            transport,
            members,
            parts: readings
                .into_iter()
                .enumerate()
                .map(|(place, reading)| part(Some(reading), place, place + 1))
                .collect(),
            sum: part(None, 0, readings.len()),
            slack_bytes: Spread::of(runs.iter().map(|run| slack(run.added(0, readings.len())))),
        }
    }
}

impl fmt::Display for MemoryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hardware = &self.hardware;
        writeln!(
            f,
            "memory of the gateway's process for each connection, {} repeats, median (smallest..largest)",
            self.settings.repeats
        )?;
        writeln!(
            f,
            "on {}, {:.1} GiB, Linux {}; {}",
            hardware.cpu_model,
            hardware.memory_bytes as f64 / f64::from(1 << 30),
            hardware.kernel,
            self.versions.gateway.as_deref().unwrap_or("no gateway")
        )?;
        for summary in &self.summary {
            summary.write(f)?;
        }
        Ok(())
    }
}

impl TransportSummary {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = format!("{}, {} members", self.transport.name(), self.members);
        writeln!(
            f,
            "\n{title:NAME$}{:>COLUMN$}{:>COLUMN$}{:>COLUMN$}",
            "bytes allocated", "allocations", "bytes resident"
        )?;
        for part in self.parts.iter().chain([&self.sum]) {
            writeln!(
                f,
                "{:NAME$}{:>COLUMN$}{:>COLUMN$}{:>COLUMN$}",
                part.reading.map_or("sum", Reading::part),
                spread(part.live_bytes, bytes),
                spread(part.allocations, tenths),
                spread(part.resident_bytes, bytes)
            )?;
        }
        writeln!(
            f,
            "{:NAME$}{:>COLUMN$}",
            "resident and not allocated: the allocator's own",
            spread(self.slack_bytes, bytes)
        )?;
        let goal = match self.transport {
            Transport::Tcp => TCP_GOAL_BYTES,
            Transport::Tls => TLS_GOAL_BYTES,
            Transport::Quic => QUIC_GOAL_BYTES,
        };
        let verdict = |reached| if reached { "reached" } else { "missed" };
        let resident = self.sum.resident_bytes;
        writeln!(
            f,
            "goal: an idle member takes at most {} of resident memory: {}, {}",
            kibibytes(goal),
            spread(resident, kibibytes),
            verdict(resident.median <= goal)
        )?;
        if let Some(inside) = self.parts.iter().find(|part| part.reading == Some(Reading::Inside)) {
            writeln!(
                f,
                "goal: being inside a room takes at most {MEMBERSHIP_GOAL_BYTES} bytes: {}, {}",
                spread(inside.live_bytes, bytes),
                verdict(inside.live_bytes.median <= MEMBERSHIP_GOAL_BYTES)
            )?;
        }
        Ok(())
    }
}

fn bytes(value: f64) -> String {
    format!("{value:.0}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_adds_the_difference_of_two_readings_for_each_connection() {
        let counted = |live_bytes, live_allocations, resident_bytes| Counted {
            live_bytes,
            live_allocations,
            resident_bytes,
        };
        let run = Run {
            transport: Transport::Tcp,
            repeat: 1,
            members: 10,
            readings: vec![
                (Reading::Before, counted(1_000, 50, 8_000)),
                (Reading::Connected, counted(6_000, 80, 16_000)),
                (Reading::LoggedIn, counted(5_000, 90, 12_000)),
            ],
        };
        let step = run.added(0, 1);
        assert_eq!(
            (step.live_bytes, step.allocations, step.resident_bytes),
            (500.0, 3.0, 800.0)
        );
        // A step may give back what an earlier one took.
        assert_eq!(run.added(1, 2).live_bytes, -100.0);
        assert_eq!(run.added(0, 2).resident_bytes, 400.0);
    }
}
