//! Figures as they are printed.

use super::Spread;

/// The median with the smallest and largest value, each written by `figure`.
pub(crate) fn spread(spread: Spread, figure: fn(f64) -> String) -> String {
    format!(
        "{} ({}..{})",
        figure(spread.median),
        figure(spread.min),
        figure(spread.max)
    )
}

pub(crate) fn count(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{:.2} M", value / 1e6),
        value if value >= 1e4 => format!("{:.1} k", value / 1e3),
        value => format!("{value:.0}"),
    }
}

pub(crate) fn nanoseconds(value: f64) -> String {
    if value >= 1e3 {
        format!("{:.2} µs", value / 1e3)
    } else {
        format!("{value:.1} ns")
    }
}

pub(crate) fn kibibytes(bytes: f64) -> String {
    format!("{:.2} KiB", bytes / 1024.0)
}

pub(crate) fn percent(value: f64) -> String {
    format!("{value:.0} %")
}

pub(crate) fn tenths(value: f64) -> String {
    format!("{value:.1}")
}

/// A ratio to nothing is none: a bare loop over TCP may take no memory that shows.
pub(crate) fn times(value: f64) -> String {
    match value {
        value if !value.is_finite() => "-".to_owned(),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.3}"),
    }
}
