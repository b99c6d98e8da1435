//! Charts from the results that `fanout` wrote, as SVG files.
//!
//! [`results`] reads the files, [`lines`] and [`bars`] draw, on axes of [`axis`], with the shapes of [`svg`]. The same
//! results make the same bytes, so that a chart in the repository changes when its figures do and not before.

mod axis;
mod bars;
mod lines;
mod results;
mod style;
mod svg;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use crate::bench_error::{BenchError, Doing};
use crate::messages::Transport;
use bars::{Bar, BarChart, Group};
use lines::{Dot, Line, LineChart};
use results::{Results, Sample};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What `fanout` wrote with --json; where two files answer the same question, the one named first is taken
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The folder for the charts; it is made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// A chart and the name of its file.
struct Named {
    file: String,
    svg: String,
}

/// Draws all charts that the files have figures for, and prints their names.
pub(crate) fn run(arguments: &Arguments) -> Result<(), BenchError> {
    let results = Results::read(&arguments.files)?;
    let charts = draw(&results);
    if charts.is_empty() {
        return Err(BenchError::Unsuitable("there is nothing to draw in these files".into()));
    }
    fs::create_dir_all(&arguments.out).doing(format!("making {}", arguments.out.display()))?;
    for chart in charts {
        let path = arguments.out.join(&chart.file);
        fs::write(&path, chart.svg).doing(format!("writing {}", path.display()))?;
        println!("{}", path.display());
    }
    Ok(())
}

/// Over windows for each number of members that has several, over members for each window that has several, and memory.
fn draw(results: &Results) -> Vec<Named> {
    let mut charts = Vec::new();
    for transport in [Transport::Tcp, Transport::Tls, Transport::Quic] {
        let samples: Vec<&Sample> = results.of(transport).collect();
        let name = transport.name();
        let upper = name.to_uppercase();
        for members in distinct(&samples, |sample| sample.members) {
            let chosen: Vec<_> = samples.iter().copied().filter(|s| s.members == members).collect();
            let place = format!("{upper}, {} members", grouped(members));
            let file = |figure: &str| format!("{name}-{figure}-over-window-{members}-members.svg");
            let x = |sample: &Sample| sample.window as usize;
            charts.extend(pair(results, &chosen, x, "window: messages in flight", &place, &file));
        }
        for window in distinct(&samples, |sample| sample.window as usize) {
            let chosen: Vec<_> = samples
                .iter()
                .copied()
                .filter(|s| s.window as usize == window)
                .collect();
            let place = format!("{upper}, window {window}");
            let file = |figure: &str| format!("{name}-{figure}-over-members-window-{window}.svg");
            charts.extend(pair(
                results,
                &chosen,
                |sample| sample.members,
                "members",
                &place,
                &file,
            ));
        }
    }
    charts.extend(memory(results));
    charts
}

/// Deliveries per second and CPU per delivery over `x`, if there is more than one.
fn pair(
    results: &Results,
    samples: &[&Sample],
    x: impl Fn(&Sample) -> usize,
    x_name: &'static str,
    place: &str,
    file: &dyn Fn(&str) -> String,
) -> Vec<Named> {
    if distinct(samples, &x).len() < 2 {
        return Vec::new();
    }
    let subtitle = format!(
        "{place}, {}-byte payload; median, smallest and largest",
        results.payload_bytes()
    );
    let missing = samples.iter().filter(|sample| sample.figures.is_none());
    let missing: Vec<_> = missing
        .map(|sample| format!("{} at {}", sample.side, grouped(x(sample))))
        .collect();
    let note = match &missing[..] {
        [] => String::new(),
        missing => format!("lost messages or too slow: {}", missing.join(", ")),
    };
    let figures = [
        (
            "deliveries",
            "Deliveries per second (more is better)",
            axis::Unit::PerSecond,
        ),
        (
            "cpu",
            "Server CPU per delivery (less is better)",
            axis::Unit::Nanoseconds,
        ),
    ];
    let charts = figures.into_iter().map(|(short, title, unit)| {
        let lines = results::sides(samples).into_iter().map(|side| Line {
            style: style::of(&side),
            dots: samples
                .iter()
                .filter(|sample| sample.side == side)
                .filter_map(|sample| {
                    let figures = sample.figures.as_ref()?;
                    Some(Dot {
                        x: x(sample) as f64,
                        y: match unit {
                            axis::Unit::PerSecond => figures.deliveries_per_second,
                            axis::Unit::Nanoseconds => figures.cpu_nanoseconds_per_delivery,
                        },
                    })
                })
                .collect(),
            name: side,
        });
        let chart = LineChart {
            title,
            subtitle: &subtitle,
            x_name,
            unit,
            lines: lines.filter(|line| !line.dots.is_empty()).collect(),
            note: note.clone(),
        };
        Named {
            file: file(short),
            svg: chart.draw(),
        }
    });
    charts.collect()
}

/// Memory by transport, each at its largest number of members, where what is there anyhow weighs least.
fn memory(results: &Results) -> Option<Named> {
    let mut groups = Vec::new();
    for transport in [Transport::Tcp, Transport::Tls, Transport::Quic] {
        let samples: Vec<&Sample> = results.of(transport).collect();
        let Some(members) = samples.iter().map(|sample| sample.members).max() else {
            continue;
        };
        let chosen: Vec<_> = samples.into_iter().filter(|sample| sample.members == members).collect();
        // Of gateways only the one with a single worker, which has the plain name.
        let sides = results::sides(&chosen)
            .into_iter()
            .filter(|side| !side.starts_with("sluice "));
        let bars = sides.map(|side| {
            let values = chosen.iter().filter(|sample| sample.side == side);
            Bar {
                style: style::of(&side),
                value: crate::report::Spread::of(values.map(|sample| sample.resident_bytes_per_connection / 1024.0)),
                name: side,
            }
        });
        groups.push(Group {
            name: format!("{}, {} members", transport.name().to_uppercase(), grouped(members)),
            bars: bars.collect(),
        });
    }
    if groups.is_empty() {
        return None;
    }
    let chart = BarChart {
        title: "Resident memory per idle connection (less is better)",
        subtitle: "KiB of the server process; kernel socket buffers are not in it",
        groups,
    };
    Some(Named {
        file: "memory-per-connection.svg".into(),
        svg: chart.draw(),
    })
}

fn distinct(samples: &[&Sample], value: impl Fn(&Sample) -> usize) -> BTreeSet<usize> {
    samples.iter().map(|sample| value(sample)).collect()
}

/// A count with commas, as in "9,000".
fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESULT: &str = include_str!("chart/golden/result.json");

    fn charts() -> Vec<Named> {
        let mut results = Results::default();
        results.add(RESULT).unwrap();
        draw(&results)
    }

    #[test]
    fn results_make_the_same_charts_byte_for_byte() {
        let golden = [
            (
                "tcp-deliveries-over-window-9000-members.svg",
                include_str!("chart/golden/deliveries.svg"),
            ),
            (
                "tcp-cpu-over-window-9000-members.svg",
                include_str!("chart/golden/cpu.svg"),
            ),
            ("memory-per-connection.svg", include_str!("chart/golden/memory.svg")),
        ];
        let charts = charts();
        assert_eq!(
            charts.iter().map(|chart| &chart.file[..]).collect::<Vec<_>>(),
            golden.map(|(file, _)| file)
        );
        for (chart, (file, svg)) in charts.iter().zip(golden) {
            assert!(chart.svg == svg, "{file} has changed: draw it again and look at it");
        }
    }

    #[test]
    fn counts_have_commas_between_thousands() {
        let shown = [7, 100, 1_000, 28_000, 1_234_567].map(grouped);
        assert_eq!(shown, ["7", "100", "1,000", "28,000", "1,234,567"]);
    }
}
