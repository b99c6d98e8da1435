//! Logarithmic axes and what is written at them.

/// What a figure is counted in.
#[derive(Clone, Copy)]
pub(super) enum Unit {
    PerSecond,
    Nanoseconds,
}

impl Unit {
    /// A round value, as short as it can be.
    pub(super) fn shown(self, value: f64) -> String {
        match self {
            Self::PerSecond => scaled(value, &[(1e9, " G"), (1e6, " M"), (1e3, " k"), (0.0, "")]),
            Self::Nanoseconds => scaled(value, &[(1e9, " s"), (1e6, " ms"), (1e3, " µs"), (0.0, " ns")]),
        }
    }
}

/// A value in the largest of the units that it has one of.
fn scaled(value: f64, units: &[(f64, &str)]) -> String {
    let (size, name) = units.iter().find(|(size, _)| value >= *size).unwrap_or(&(0.0, ""));
    let value = if *size > 0.0 { value / size } else { value };
    format!("{value}{name}")
}

/// Values to pixels, each factor the same length.
pub(super) struct LogAxis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

/// Round values within a decade.
const STEPS: [f64; 3] = [1.0, 2.0, 5.0];

impl LogAxis {
    /// From the pixel `from` to the pixel `to`, over exactly these positive values.
    pub(super) fn exactly(low: f64, high: f64, from: f64, to: f64) -> Self {
        Self { low, high, from, to }
    }

    /// The same, widened to round values on both sides.
    pub(super) fn rounded(low: f64, high: f64, from: f64, to: f64) -> Self {
        let below = round_values(low / 10.0, low).last().copied();
        let above = round_values(high, high * 10.0).first().copied();
        Self::exactly(below.unwrap_or(low), above.unwrap_or(high), from, to)
    }

    pub(super) fn at(&self, value: f64) -> f64 {
        if self.low >= self.high {
            return (self.from + self.to) / 2.0;
        }
        let share = (value / self.low).ln() / (self.high / self.low).ln();
        self.from + share * (self.to - self.from)
    }

    /// Round values on it.
    pub(super) fn ticks(&self) -> Vec<f64> {
        round_values(self.low, self.high)
    }
}

/// The round values within these bounds, in order.
fn round_values(low: f64, high: f64) -> Vec<f64> {
    // A billionth of tolerance: powers and products are not exact.
    let (low_edge, high_edge) = (low * (1.0 - 1e-9), high * (1.0 + 1e-9));
    let decades = low.log10().floor() as i32..=high.log10().ceil() as i32;
    decades
        .flat_map(|decade| STEPS.map(|step| step * 10f64.powi(decade)))
        .filter(|value| (low_edge..=high_edge).contains(value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_begins_and_ends_at_round_values() {
        let axis = LogAxis::rounded(67.0, 7_800.0, 400.0, 40.0);
        assert_eq!(
            axis.ticks(),
            [50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0]
        );
        assert_eq!((axis.at(50.0), axis.at(10_000.0)), (400.0, 40.0));
    }

    #[test]
    fn a_single_value_is_in_the_middle() {
        assert_eq!(LogAxis::exactly(8.0, 8.0, 0.0, 100.0).at(8.0), 50.0);
    }

    #[test]
    fn values_are_shown_in_the_unit_they_fit() {
        assert_eq!(Unit::PerSecond.shown(2e6), "2 M");
        assert_eq!(Unit::PerSecond.shown(500.0), "500");
        assert_eq!(Unit::Nanoseconds.shown(50.0), "50 ns");
        assert_eq!(Unit::Nanoseconds.shown(20_000.0), "20 µs");
    }
}
