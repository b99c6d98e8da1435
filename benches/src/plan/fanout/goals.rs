//! What the gateway should reach, beside what it did.

use serde::Serialize;

use super::report::{Point, SideName, SideSummary};
use super::settings::Settings;
use crate::messages::Transport;
use crate::peer::PeerKind;

/// One goal with the figure that answers it.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Goal {
    pub(super) what: String,
    pub(super) bound: Bound,
    pub(super) goal: f64,
    pub(super) figure: f64,
    pub(super) reached: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Bound {
    AtMost,
    AtLeast,
}

/// The gateway that goals are set for.
const ONE_WORKER: SideName = SideName::Sluice { workers: 1 };

/// The window that shows what the gateway adds to each write.
const SINGLE: u32 = 1;

/// The window that shows how it gathers messages into writes.
const GATHERED: u32 = 128;

/// Those of TCP are set for so many members; others near it are judged too, and told.
const TCP_MEMBERS: usize = 9_000;

/// With fewer members goals say nothing: what a server needs anyhow is too much of the whole.
const MEMBERS_MIN: usize = 1_500;

/// The goals that this point answers. Those of speed are set for a single worker and the windows 1 and 128.
pub(super) fn of(settings: &Settings, point: &Point, sides: &[SideSummary]) -> Vec<Goal> {
    let mut goals = Vec::new();
    let mut add = |what: String, bound: Bound, goal: f64, figure: Option<f64>| {
        if let Some(figure) = figure.filter(|figure| figure.is_finite()) {
            let reached = match bound {
                Bound::AtMost => figure <= goal,
                Bound::AtLeast => figure >= goal,
            };
            goals.push(Goal {
                what,
                bound,
                goal,
                figure,
                reached,
            });
        }
    };
    let cpu = |of, to| point.ratio_of(of, to).map(|r| r.cpu_nanoseconds_per_delivery.median);
    let speed = |of, to| point.ratio_of(of, to).map(|r| r.deliveries_per_second.median);

    let (cpu_goal, memory_goal_kib) = match settings.transport {
        Transport::Tcp => (1.15, 1.0),
        Transport::Tls => (1.2, 10.0),
        Transport::Quic => (1.5, 32.0),
    };
    let over_tcp = settings.transport == Transport::Tcp;
    let condition = if over_tcp && point.members != TCP_MEMBERS {
        " (set for 9,000 members)"
    } else {
        ""
    };
    let enough = point.members >= MEMBERS_MIN;
    if enough && (point.window == SINGLE || point.window == GATHERED && !over_tcp) {
        add(
            format!("CPU per delivery, sluice / bare{condition}"),
            Bound::AtMost,
            cpu_goal,
            cpu(ONE_WORKER, SideName::Bare),
        );
    }
    if enough && point.window == GATHERED && over_tcp {
        for (other, goal) in [
            (SideName::Bare, 0.7),
            (SideName::Peer(PeerKind::Rumqttd), 4.0),
            (SideName::Peer(PeerKind::Nats), 20.0),
        ] {
            add(
                format!("deliveries/s, sluice / {other}{condition}"),
                Bound::AtLeast,
                goal,
                speed(ONE_WORKER, other),
            );
        }
    }
    for workers in settings.workers.iter().filter(|workers| **workers > 1) {
        let more = SideName::Sluice { workers: *workers };
        add(
            format!("deliveries/s, {more} / sluice"),
            Bound::AtLeast,
            1.0,
            speed(more, ONE_WORKER),
        );
    }
    let sluice = sides.iter().find(|summary| enough && summary.side == ONE_WORKER);
    add(
        "KiB resident per connection of sluice".into(),
        Bound::AtMost,
        memory_goal_kib,
        sluice.map(|summary| summary.resident_bytes_per_connection / 1024.0),
    );
    goals
}
