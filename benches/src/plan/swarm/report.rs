//! What the plan found, and what it comes to.

mod table;

use std::collections::BTreeMap;

use serde::Serialize;

use super::settings::Settings;
use crate::crowd::{MessageTimes, Pinged, Risen};
use crate::hardware::Hardware;
use crate::latencies::Percentiles;
use crate::report::Versions;

/// All coming to a stage.
#[derive(Debug, Serialize)]
pub(super) struct Rise {
    /// Until the last was there.
    seconds: f64,
    server_cpu_seconds: f64,
    /// The most that any second held.
    peak_logins_per_second: f64,
    /// From setting out, failed attempts included.
    login: Percentiles,
    /// Attempts that failed and were made again, by cause.
    failures: BTreeMap<String, u64>,
}

impl Rise {
    pub(super) fn new(risen: Risen, server_cpu_ns: u64) -> Self {
        Self {
            seconds: risen.seconds,
            server_cpu_seconds: server_cpu_ns as f64 / 1e9,
            peak_logins_per_second: risen.peak_logins_per_second(),
            login: risen.login_latencies.percentiles(),
            failures: risen.failures,
        }
    }

    fn server_busy_percent(&self) -> f64 {
        100.0 * self.server_cpu_seconds / self.seconds
    }
}

/// All staying.
#[derive(Debug, Serialize)]
pub(super) struct Hold {
    wall_seconds: f64,
    server_cpu_seconds: f64,
    pings_sent: u64,
    pings_answered: u64,
    ping: Percentiles,
}

impl Hold {
    pub(super) fn new(pinged: Pinged, wall_ns: u64, server_cpu_ns: u64) -> Self {
        Self {
            wall_seconds: wall_ns as f64 / 1e9,
            server_cpu_seconds: server_cpu_ns as f64 / 1e9,
            pings_sent: pinged.sent,
            pings_answered: pinged.answered,
            ping: pinged.latencies.percentiles(),
        }
    }
}

/// One message to all.
#[derive(Debug, Serialize)]
pub(super) struct Broadcast {
    times: MessageTimes,
    server_cpu_ns: u64,
}

impl Broadcast {
    pub(super) fn new(times: MessageTimes, server_cpu_ns: u64) -> Self {
        Self { times, server_cpu_ns }
    }

    fn deliveries_per_second(&self) -> f64 {
        self.times.members as f64 * 1e9 / self.times.last_ns as f64
    }

    fn cpu_nanoseconds_per_delivery(&self) -> f64 {
        self.server_cpu_ns as f64 / self.times.members as f64
    }
}

/// All lost and coming back.
#[derive(Debug, Serialize)]
pub(super) struct Storm {
    pub(super) rise: Rise,
    /// TLS sessions that were resumed; `None` where the gateway does not count them.
    pub(super) resumed: Option<u64>,
}

/// The gateway's memory, bytes, when it was idle.
#[derive(Debug, Serialize)]
pub(super) struct Resident {
    pub(super) before: u64,
    pub(super) logged_in: u64,
    pub(super) inside: u64,
    pub(super) after_storms: u64,
}

/// All of a run.
#[derive(Debug, Serialize)]
pub(super) struct SwarmReport {
    plan: &'static str,
    versions: Versions,
    hardware: Hardware,
    settings: Settings,
    ramp: Rise,
    enter: Rise,
    hold: Hold,
    broadcasts: Vec<Broadcast>,
    storms: Vec<Storm>,
    resident_bytes: Resident,
}

impl SwarmReport {
    #[expect(clippy::too_many_arguments, reason = "the phases of a run, each once")]
    pub(super) fn new(
        versions: Versions,
        hardware: Hardware,
        settings: Settings,
        ramp: Rise,
        enter: Rise,
        hold: Hold,
        broadcasts: Vec<Broadcast>,
        storms: Vec<Storm>,
        resident_bytes: Resident,
    ) -> Self {
        Self {
            plan: "swarm",
            versions,
            hardware,
            settings,
            ramp,
            enter,
            hold,
            broadcasts,
            storms,
            resident_bytes,
        }
    }
}
