//! Delays, counted so that their rarest and longest ones stay visible.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Three digits of every delay are kept: 1.23 ms is told from 1.24 ms.
const DIGITS: u8 = 3;

/// A histogram of delays in nanoseconds. Travels and is kept as pairs of a delay and how often it was seen.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "Vec<(u64, u64)>", into = "Vec<(u64, u64)>")]
pub(crate) struct Latencies(Histogram<u64>);

/// The delays that most were below, and the longest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Percentiles {
    pub(crate) count: u64,
    pub(crate) p50_ns: u64,
    pub(crate) p99_ns: u64,
    pub(crate) p999_ns: u64,
    pub(crate) max_ns: u64,
}

impl Latencies {
    pub(crate) fn new() -> Self {
        Self(Histogram::new(DIGITS).expect("three digits are allowed"))
    }

    pub(crate) fn record(&mut self, delay_ns: u64) {
        self.0.record(delay_ns).expect("the histogram grows as needed");
    }

    /// Counts all of `others` too.
    pub(crate) fn add(&mut self, others: &Self) {
        self.0.add(&others.0).expect("the histogram grows as needed");
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// All zero when nothing was recorded. A percentile of fewer delays than it takes is the longest one.
    pub(crate) fn percentiles(&self) -> Percentiles {
        Percentiles {
            count: self.0.len(),
            p50_ns: self.0.value_at_quantile(0.5),
            p99_ns: self.0.value_at_quantile(0.99),
            p999_ns: self.0.value_at_quantile(0.999),
            max_ns: self.0.max(),
        }
    }
}

impl From<Vec<(u64, u64)>> for Latencies {
    fn from(counts: Vec<(u64, u64)>) -> Self {
        let mut latencies = Self::new();
        for (delay_ns, count) in counts {
            latencies
                .0
                .record_n(delay_ns, count)
                .expect("the histogram grows as needed");
        }
        latencies
    }
}

impl From<Latencies> for Vec<(u64, u64)> {
    fn from(latencies: Latencies) -> Self {
        let histogram = &latencies.0;
        histogram
            .iter_recorded()
            .map(|step| (step.value_iterated_to(), step.count_at_value()))
            .collect()
    }
}

/// A delay as people read it: `84 µs`, `1.32 ms`, `2.1 s`.
pub(crate) fn readable(delay_ns: u64) -> String {
    let delay = Duration::from_nanos(delay_ns);
    match delay {
        delay if delay < Duration::from_millis(1) => format!("{} µs", delay.as_micros()),
        delay if delay < Duration::from_secs(1) => {
            let milliseconds = delay.as_secs_f64() * 1e3;
            if milliseconds < 10.0 {
                format!("{milliseconds:.2} ms")
            } else {
                format!("{milliseconds:.1} ms")
            }
        }
        delay => format!("{:.2} s", delay.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_what_was_recorded() {
        let mut latencies = Latencies::new();
        for microseconds in 1..=1_000 {
            latencies.record(microseconds * 1_000);
        }
        let found = latencies.percentiles();
        assert_eq!(found.count, 1_000);
        for (found, expected) in [
            (found.p50_ns, 500_000),
            (found.p99_ns, 990_000),
            (found.p999_ns, 999_000),
            (found.max_ns, 1_000_000),
        ] {
            assert!(
                found.abs_diff(expected) * 1_000 <= expected,
                "{found} is not {expected}"
            );
        }
    }

    #[test]
    fn a_histogram_travels_without_losing_a_count() {
        let mut latencies = Latencies::new();
        for delay_ns in [0, 17, 17, 84_123, 2_000_000_000, 70_000_000_000] {
            latencies.record(delay_ns);
        }
        let text = serde_json::to_string(&latencies).unwrap();
        let mut back: Latencies = serde_json::from_str(&text).unwrap();
        assert_eq!(back.percentiles(), latencies.percentiles());
        back.add(&latencies);
        assert_eq!(back.count(), 12);
    }

    #[test]
    fn nothing_recorded_is_all_zero() {
        assert_eq!(Latencies::new().percentiles().max_ns, 0);
    }

    #[test]
    fn delays_are_written_in_the_unit_that_fits() {
        assert_eq!(readable(84_900), "84 µs");
        assert_eq!(readable(1_324_000), "1.32 ms");
        assert_eq!(readable(61_250_000), "61.2 ms");
        assert_eq!(readable(2_100_000_000), "2.10 s");
    }
}
