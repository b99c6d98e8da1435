//! What the plan found, and what it comes to.

use std::fmt;

use serde::Serialize;

use super::list::Table;
use super::settings::Settings;
use super::talk::Paced;
use crate::hardware::Hardware;
use crate::latencies::{Percentiles, readable};
use crate::report::{Spread, Versions, count, spread, tenths, times};

/// Committed messages/s divided by those of the bare loop.
const GOAL_COMMITTED: f64 = 0.7;
/// From the intended time to the acknowledgement, p99, at half of what is committed.
const GOAL_ACKNOWLEDGEMENT_NS: u64 = 20_000_000;
/// From the acknowledgement to an online member, p50.
const GOAL_DELIVERY_NS: u64 = 1_000_000;
/// The list of conversations and the newest page, p99.
const GOAL_QUESTION_NS: u64 = 10_000_000;

/// Neighbours in time.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Turn {
    pub(super) bare_per_second: f64,
    /// Of a bare loop that sends to the members as well.
    pub(super) delivering_per_second: f64,
    pub(super) committed_per_second: f64,
    pub(super) messages_per_commit: f64,
}

impl Turn {
    /// Messages that a bare loop is to commit together, to do as the gateway does.
    pub(super) fn group(&self) -> usize {
        self.messages_per_commit.round().max(1.0) as usize
    }
}

/// Conversations of one size.
#[derive(Debug, Serialize)]
pub(super) struct Point {
    size: usize,
    conversations: usize,
    turns: Vec<Turn>,
    bare_per_second: Spread,
    delivering_per_second: Spread,
    committed_per_second: Spread,
    /// Each turn with its own neighbours.
    committed_to_bare: Spread,
    committed_to_delivering: Spread,
    messages_per_commit: Spread,
    pub(super) pace: Option<Paced>,
}

#[derive(Debug, Serialize)]
pub(super) struct ChatReport {
    plan: &'static str,
    versions: Versions,
    hardware: Hardware,
    settings: Settings,
    pub(super) points: Vec<Point>,
    pub(super) tables: Vec<Table>,
}

impl Point {
    pub(super) fn new(size: usize, conversations: usize, turns: Vec<Turn>) -> Self {
        let spread = |figure: fn(&Turn) -> f64| Spread::of(turns.iter().map(figure));
        Self {
            size,
            conversations,
            bare_per_second: spread(|turn| turn.bare_per_second),
            delivering_per_second: spread(|turn| turn.delivering_per_second),
            committed_per_second: spread(|turn| turn.committed_per_second),
            committed_to_bare: spread(|turn| turn.committed_per_second / turn.bare_per_second),
            committed_to_delivering: spread(|turn| turn.committed_per_second / turn.delivering_per_second),
            messages_per_commit: spread(|turn| turn.messages_per_commit),
            turns,
            pace: None,
        }
    }

    /// Messages each second for the open loop.
    pub(super) fn half_load(&self) -> f64 {
        self.committed_per_second.median / 2.0
    }
}

impl ChatReport {
    pub(super) fn new(versions: Versions, hardware: Hardware, settings: Settings) -> Self {
        Self {
            plan: "chat",
            versions,
            hardware,
            settings,
            points: Vec::new(),
            tables: Vec::new(),
        }
    }
}

impl fmt::Display for ChatReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings {
            users,
            payload_bytes,
            window,
            seconds,
            repeats,
            ..
        } = self.settings;
        if self.settings.list {
            writeln!(
                f,
                "chat --list: {payload_bytes}-byte payload, {} questions/s of each kind for {seconds} s",
                self.settings.questions_per_second
            )?;
        } else {
            writeln!(
                f,
                "chat: {users} users, {payload_bytes}-byte payload, {window} in flight, {repeats} turns of {seconds} s each; median (smallest..largest)"
            )?;
        }
        writeln!(f, "on {}, Linux {}", self.hardware.cpu_model, self.hardware.kernel)?;
        for point in &self.points {
            write!(f, "\n{point}")?;
        }
        for table in &self.tables {
            write!(f, "\n{table}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} conversations of {}", self.conversations, self.size)?;
        row(f, "bare loop, messages/s", spread(self.bare_per_second, count))?;
        row(f, "one that delivers too", spread(self.delivering_per_second, count))?;
        row(f, "committed messages/s", spread(self.committed_per_second, count))?;
        row(f, "it / bare", spread(self.committed_to_bare, times))?;
        row(f, "it / one that delivers", spread(self.committed_to_delivering, times))?;
        row(f, "messages in a commit", spread(self.messages_per_commit, tenths))?;
        let Some(pace) = &self.pace else {
            return Ok(());
        };
        writeln!(f, "  at {:.0} messages/s", pace.messages_per_second)?;
        row(f, "acknowledged after", delays(pace.acknowledgement))?;
        row(f, "delivered after that", delays(pace.delivery))?;
        row(f, "sent late by", delays(pace.lateness))?;
        let ratio = self.committed_to_bare.median;
        let what = format!("≥ {GOAL_COMMITTED} × bare: {}", times(ratio));
        goal(f, &what, ratio >= GOAL_COMMITTED)?;
        at_most(
            f,
            "acknowledged, p99",
            pace.acknowledgement.p99_ns,
            GOAL_ACKNOWLEDGEMENT_NS,
        )?;
        at_most(f, "delivered after it, p50", pace.delivery.p50_ns, GOAL_DELIVERY_NS)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mebibytes = self.file_bytes >> 20;
        writeln!(
            f,
            "{} messages in each conversation, {mebibytes} MiB",
            self.messages_each
        )?;
        row(f, "list of conversations", delays(self.list))?;
        row(f, "newest page of one", delays(self.page))?;
        at_most(f, "list, p99", self.list.p99_ns, GOAL_QUESTION_NS)?;
        at_most(f, "page, p99", self.page.p99_ns, GOAL_QUESTION_NS)
    }
}

fn row(f: &mut fmt::Formatter<'_>, what: &str, figure: String) -> fmt::Result {
    writeln!(f, "  {what:24}{figure}")
}

fn delays(delays: Percentiles) -> String {
    format!(
        "p50 {}, p99 {}, p99.9 {}, longest {}",
        readable(delays.p50_ns),
        readable(delays.p99_ns),
        readable(delays.p999_ns),
        readable(delays.max_ns)
    )
}

fn at_most(f: &mut fmt::Formatter<'_>, what: &str, found_ns: u64, goal_ns: u64) -> fmt::Result {
    let text = format!("{what} ≤ {}: {}", readable(goal_ns), readable(found_ns));
    goal(f, &text, found_ns <= goal_ns)
}

fn goal(f: &mut fmt::Formatter<'_>, what: &str, reached: bool) -> fmt::Result {
    writeln!(f, "  goal: {what}, {}", if reached { "reached" } else { "not reached" })
}
