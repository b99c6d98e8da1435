//! The figures as tables for a terminal.

use std::fmt;

use super::goals::Bound;
use super::report::{FanoutReport, Figures, Point, Ratios, SideSummary, Summary};
use super::settings::Settings;
use crate::report::{Spread, count, kibibytes, nanoseconds, percent, spread, tenths, times};

/// Width of the names of rows, the longest of which is that of a gateway with many workers.
const NAME: usize = 24;
/// Width of a column of figures.
const COLUMN: usize = 31;
/// Width of a column of ratios.
const RATIO: usize = 24;

/// When neither side of a run uses its cores to this share, something else does, or the rounds are too small.
const BUSY_PERCENT_MIN: f64 = 80.0;

impl fmt::Display for FanoutReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hardware = &self.hardware;
        writeln!(
            f,
            "on {}, {} cores, {:.1} GiB, Linux {}; {}",
            hardware.cpu_model,
            hardware.cores,
            hardware.memory_bytes as f64 / f64::from(1 << 30),
            hardware.kernel,
            self.versions.gateway.as_deref().unwrap_or("no gateway")
        )?;
        for peer in &self.peers {
            writeln!(f, "{}: {}", peer.peer.name(), peer.version)?;
        }
        if self.settings.receivers_share_cores {
            writeln!(
                f,
                "the receivers run on the servers' cores too, as there are no others: compare the servers with each other, \
                 not with other runs"
            )?;
        }
        for point in &self.points {
            writeln!(f)?;
            write_point(f, point, &self.settings)?;
        }
        Ok(())
    }
}

/// A row's figure, and its ratios.
type Row<'a> = (&'a dyn Fn(&SideSummary) -> String, Option<fn(&Ratios) -> Spread>);

fn write_point(f: &mut fmt::Formatter<'_>, point: &Point, settings: &Settings) -> fmt::Result {
    writeln!(
        f,
        "fanout over {}: {} members, {}-byte payload, window {}, {} repeats; median (smallest..largest)",
        settings.transport.name(),
        point.members,
        settings.payload_bytes,
        point.window,
        settings.repeats
    )?;
    let summary = point.summary(settings);
    let of_figures = |side: &SideSummary, figure: fn(&Figures) -> String| {
        side.figures.as_ref().map_or_else(|| "-".to_owned(), figure)
    };
    let tables: [(&str, Row<'_>); 8] = [
        (
            "deliveries/s",
            (
                &|side| of_figures(side, |figures| spread(figures.deliveries_per_second, count)),
                Some(|ratios| ratios.deliveries_per_second),
            ),
        ),
        (
            "server CPU per delivery",
            (
                &|side| {
                    of_figures(side, |figures| {
                        spread(figures.cpu_nanoseconds_per_delivery, nanoseconds)
                    })
                },
                Some(|ratios| ratios.cpu_nanoseconds_per_delivery),
            ),
        ),
        (
            "bytes per delivery",
            (
                &|side| of_figures(side, |figures| spread(figures.frame_bytes_per_delivery, tenths)),
                None,
            ),
        ),
        (
            "server busy",
            (
                &|side| of_figures(side, |figures| spread(figures.server_busy_percent, percent)),
                None,
            ),
        ),
        (
            "receivers busy",
            (
                &|side| of_figures(side, |figures| spread(figures.receivers_busy_percent, percent)),
                None,
            ),
        ),
        (
            "rounds × repeats",
            (
                &|side| of_figures(side, |figures| format!("{} × {}", figures.rounds, figures.repeats)),
                None,
            ),
        ),
        (
            "resident per connection",
            (&|side| kibibytes(side.resident_bytes_per_connection), None),
        ),
        (
            "members entered/s",
            (&|side| count(side.members_entered_per_second), None),
        ),
    ];
    for (name, (figure, ratios)) in tables {
        write_table(f, name, &summary, figure, ratios)?;
    }
    for incomplete in &point.incomplete {
        writeln!(f, "{incomplete}")?;
    }
    for side in &summary.sides {
        // Where they share cores none of them fills one by itself.
        if let Some(figures) = &side.figures
            && !settings.receivers_share_cores
            && figures
                .server_busy_percent
                .median
                .max(figures.receivers_busy_percent.median)
                < BUSY_PERCENT_MIN
        {
            writeln!(
                f,
                "{}: neither server nor receivers filled their cores, so deliveries/s is not the server's limit: \
                 something else used the machine, or the rounds are too small",
                side.side
            )?;
        }
    }
    for goal in &summary.goals {
        writeln!(
            f,
            "goal: {} {} {}: {:.3}, {}",
            goal.what,
            match goal.bound {
                Bound::AtMost => "≤",
                Bound::AtLeast => "≥",
            },
            goal.goal,
            goal.figure,
            if goal.reached { "reached" } else { "not reached" }
        )?;
    }
    Ok(())
}

fn write_table(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    summary: &Summary,
    figure: &dyn Fn(&SideSummary) -> String,
    ratios: Option<fn(&Ratios) -> Spread>,
) -> fmt::Result {
    let Some(ratio) = ratios else {
        write!(f, "{name:NAME$}")?;
        for (number, side) in summary.sides.iter().enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            write!(f, "{comma}{} {}", side.side, figure(side))?;
        }
        return writeln!(f);
    };
    writeln!(
        f,
        "{name:NAME$}{:COLUMN$}{:>RATIO$}{:>RATIO$}",
        "", "it / bare", "sluice / it"
    )?;
    for side in &summary.sides {
        let shown = |ratios: &Option<Ratios>| match ratios {
            Some(ratios) => spread(ratio(ratios), times),
            None => String::new(),
        };
        let line = format!(
            "  {:width$}{:>COLUMN$}{:>RATIO$}{:>RATIO$}",
            side.side.to_string(),
            figure(side),
            shown(&side.to_bare),
            shown(&side.sluice_to_it),
            width = NAME - 2
        );
        writeln!(f, "{}", line.trim_end())?;
    }
    Ok(())
}
