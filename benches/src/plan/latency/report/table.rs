//! The figures as tables for a terminal.

use std::fmt;

use super::{LatencyReport, Phase, Ratio};
use crate::latencies::{Percentiles, readable};
use crate::report::{count, percent, spread, times};

/// Width of the names of rows.
const NAME: usize = 26;
/// Width of a column of delays.
const DELAY: usize = 12;
/// Width of a column of ratios.
const RATIO: usize = 26;

/// The longest that 99 of 100 pings may take while their room is flooded.
const FLOODED_PING_P99_NS: u64 = 20_000_000;

/// How much longer 99 of 100 deliveries may take while members come and go.
const STORMY_P99_RATIO: f64 = 2.0;

impl fmt::Display for LatencyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (settings, hardware) = (&self.settings, &self.hardware);
        writeln!(
            f,
            "latency over {}: {} members, {}-byte payload, {} messages/s, phases of {} s, {} repeats",
            settings.transport.name(),
            settings.members,
            settings.payload_bytes,
            settings.messages_per_second,
            settings.seconds,
            settings.repeats
        )?;
        writeln!(
            f,
            "on {}, {} cores (one for the server), {:.1} GiB, Linux {}; {}",
            hardware.cpu_model,
            hardware.cores,
            hardware.memory_bytes as f64 / f64::from(1 << 30),
            hardware.kernel,
            self.versions.gateway.as_deref().unwrap_or("no gateway")
        )?;
        writeln!(
            f,
            "every message to each of {} members is timed, from when it was to be sent",
            settings.steady_members()
        )?;
        self.write_delays(f)?;
        self.write_ratios(f)?;
        writeln!(f)?;
        self.write_disturbances(f)?;
        self.write_goals(f)
    }
}

impl LatencyReport {
    fn write_delays(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{:NAME$}", "all repeats together")?;
        for heading in ["p50", "p99", "p99.9", "max", "of"] {
            write!(f, "{heading:>DELAY$}")?;
        }
        writeln!(f)?;
        for summary in &self.summary.phases {
            let phase = summary.phase.name();
            let mut row = |name: &str, found: Option<Percentiles>| match found {
                None => Ok(()),
                Some(found) => {
                    write!(f, "{:NAME$}", format!("{phase}, {name}"))?;
                    for delay_ns in [found.p50_ns, found.p99_ns, found.p999_ns, found.max_ns] {
                        write!(f, "{:>DELAY$}", readable(delay_ns))?;
                    }
                    writeln!(f, "{:>DELAY$}", count(found.count as f64))
                }
            };
            row("first member", Some(summary.first))?;
            row("median member", Some(summary.median))?;
            row("last member", Some(summary.last))?;
            row("every delivery", Some(summary.every))?;
            row("answer", summary.answer)?;
            row("sent late by", Some(summary.lateness))?;
            row("ping", summary.ping)?;
            row("pinged late by", summary.ping_lateness)?;
        }
        Ok(())
    }

    fn write_ratios(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.summary.ratios.is_empty() {
            return Ok(());
        }
        write!(f, "\n{:NAME$}", "median (min..max)")?;
        for heading in ["first p50", "median p50", "last p50", "every p50", "every p99"] {
            write!(f, "{heading:>RATIO$}")?;
        }
        writeln!(f)?;
        for ratio in &self.summary.ratios {
            write!(f, "{:NAME$}", format!("{} / {}", ratio.phase.name(), ratio.to.name()))?;
            for found in [
                ratio.first_p50,
                ratio.median_p50,
                ratio.last_p50,
                ratio.every_p50,
                ratio.every_p99,
            ] {
                write!(f, "{:>RATIO$}", spread(found, times))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }

    fn write_disturbances(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for summary in &self.summary.phases {
            writeln!(
                f,
                "{}: server busy {}, kept waiting by others {}; members' processes busy {}",
                summary.phase.name(),
                spread(summary.server_busy_percent, percent),
                spread(summary.server_kept_waiting_percent, percent),
                spread(summary.crowd_busy_percent, percent)
            )?;
        }
        for part in self.parts_of(Phase::Flooded) {
            if let Some(chattered) = &part.chattered {
                writeln!(
                    f,
                    "flooded, repeat {}: {} other messages/s; {} delivered and {} told as missed, together all",
                    part.repeat,
                    count(chattered.sent as f64 / self.settings.seconds as f64),
                    count(part.figures.delivered as f64),
                    count(part.figures.missed as f64)
                )?;
            }
        }
        for part in &self.parts {
            if !part.spoken.refused.is_empty() {
                writeln!(
                    f,
                    "{}, repeat {}: timed messages refused, by code: {:?}",
                    part.phase.name(),
                    part.repeat,
                    part.spoken.refused
                )?;
            }
        }
        for part in self.parts_of(Phase::Stormy) {
            if let Some(churned) = &part.churned {
                writeln!(
                    f,
                    "stormy, repeat {}: {} joins/s and as many leaves of {} sessions; {} turns passed over, refused: {:?}",
                    part.repeat,
                    count(churned.joins as f64 / churned.seconds),
                    self.settings.churners,
                    churned.passed_over,
                    churned.refused
                )?;
            }
        }
        for part in self.parts_of(Phase::Slow) {
            if let Some(slow) = &part.slow {
                writeln!(
                    f,
                    "slow, repeat {}: the {} others missed {}; {} slow ones: {} delivered + {} told as missed = all, in {} \
                     notices",
                    part.repeat,
                    self.settings.steady_members(),
                    part.figures.missed,
                    self.settings.slow_members,
                    count(slow.slow_delivered as f64),
                    count(slow.slow_missed as f64),
                    slow.slow_gaps
                )?;
            }
        }
        let nobody_missed = self
            .parts_of(Phase::Slow)
            .all(|part| part.slow.as_ref().is_none_or(|slow| slow.slow_missed == 0));
        if self.settings.slow_members > 0 && nobody_missed {
            writeln!(
                f,
                "slow: nobody fell behind, the sockets and the log held it all: raise --background, --payload or --seconds"
            )?;
        }
        Ok(())
    }

    fn write_goals(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = |reached| if reached { "reached" } else { "missed" };
        for summary in &self.summary.phases {
            if let (Phase::Flooded, Some(ping)) = (summary.phase, summary.ping) {
                writeln!(
                    f,
                    "goal: a ping while the room is flooded, p99 at most {}: {}, {}",
                    readable(FLOODED_PING_P99_NS),
                    readable(ping.p99_ns),
                    verdict(ping.p99_ns <= FLOODED_PING_P99_NS)
                )?;
            }
        }
        for Ratio { phase, every_p99, .. } in &self.summary.ratios {
            if *phase == Phase::Stormy {
                writeln!(
                    f,
                    "goal: deliveries while members come and go, p99 at most {STORMY_P99_RATIO} times the quiet one: {}, {}",
                    spread(*every_p99, times),
                    verdict(every_p99.median <= STORMY_P99_RATIO)
                )?;
            }
        }
        Ok(())
    }
}
