//! The figures as a table for a terminal.

use std::fmt;

use super::report::{FanoutReport, Ratios, SideSummary};
use crate::report::{count, kibibytes, nanoseconds, percent, spread, tenths, times};

/// Heads the names of rows, and is the longest of them.
const HEADING: &str = "median (smallest..largest)";
/// Width of the names of rows.
const NAME: usize = HEADING.len();
/// Width of a column of figures.
const COLUMN: usize = 31;

/// When neither side of a run uses its cores to this share, something else does, or the rounds are too small.
const BUSY_PERCENT_MIN: f64 = 80.0;

impl fmt::Display for FanoutReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (settings, hardware) = (&self.settings, &self.hardware);
        writeln!(
            f,
            "fanout over {}: {} members, {}-byte payload, window {}, {} rounds a repeat, {} repeats",
            settings.transport.name(),
            settings.members,
            settings.payload_bytes,
            settings.window,
            self.rounds,
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
        let summary = self.summary();
        write!(f, "\n{HEADING:NAME$}")?;
        for side in &summary.sides {
            write!(f, "{:>COLUMN$}", side.side.as_str())?;
        }
        if summary.ratios.is_some() {
            write!(f, "{:>COLUMN$}", "sluice / bare")?;
        }
        writeln!(f)?;
        let ratios = summary.ratios.as_ref();
        let mut row = |name: &str, side: &dyn Fn(&SideSummary) -> String, ratio: &dyn Fn(&Ratios) -> String| {
            write!(f, "{name:NAME$}")?;
            for summary in &summary.sides {
                write!(f, "{:>COLUMN$}", side(summary))?;
            }
            if let Some(ratios) = ratios {
                write!(f, "{:>COLUMN$}", ratio(ratios))?;
            }
            writeln!(f)
        };
        row("deliveries/s", &|s| spread(s.deliveries_per_second, count), &|r| {
            spread(r.deliveries_per_second, times)
        })?;
        row(
            "server CPU per delivery",
            &|s| spread(s.cpu_nanoseconds_per_delivery, nanoseconds),
            &|r| spread(r.cpu_nanoseconds_per_delivery, times),
        )?;
        row(
            "bytes per delivery",
            &|s| spread(s.frame_bytes_per_delivery, tenths),
            &|r| spread(r.frame_bytes_per_delivery, times),
        )?;
        row("server busy", &|s| spread(s.server_busy_percent, percent), &|_| {
            String::new()
        })?;
        row(
            "receivers busy",
            &|s| spread(s.receivers_busy_percent, percent),
            &|_| String::new(),
        )?;
        row(
            "resident per connection",
            &|s| kibibytes(s.resident_bytes_per_connection),
            &|r| times(r.resident_bytes_per_connection),
        )?;
        row("members entered/s", &|s| count(s.members_entered_per_second), &|r| {
            times(r.members_entered_per_second)
        })?;
        for side in &summary.sides {
            if side.server_busy_percent.median.max(side.receivers_busy_percent.median) < BUSY_PERCENT_MIN {
                writeln!(
                    f,
                    "{}: neither server nor receivers filled their cores, so deliveries/s is not the server's limit: \
                     something else used the machine, or the rounds are too small",
                    side.side.as_str()
                )?;
            }
        }
        Ok(())
    }
}
