//! A worker's own counters: plain integers, added to the shared series once a second.

use std::cell::{Cell, RefCell};

use metrics::{Counter, Gauge, Histogram};
use sluice_protocol::ErrorCode;

use crate::metrics::registry::{Registry, code_index};
use crate::metrics::table::{FAMILIES, Kind, Metric};

/// See the module.
pub(crate) struct Local {
    /// One for each series, family after family.
    series: Vec<Series>,
    /// Where the series of a family begin.
    offsets: Vec<usize>,
}

enum Series {
    Counter {
        unflushed: Cell<u64>,
        shared: Counter,
    },
    Gauge {
        value: Cell<i64>,
        flushed: Cell<i64>,
        shared: Gauge,
    },
    Histogram {
        unflushed: RefCell<Vec<f64>>,
        shared: Histogram,
    },
}

impl Local {
    pub(super) fn new(registry: &Registry) -> Self {
        let mut offsets = Vec::new();
        let mut series = Vec::new();
        for family in FAMILIES {
            offsets.push(series.len());
            for index in 0..family.series() {
                series.push(match family.kind {
                    Kind::Counter => Series::Counter {
                        unflushed: Cell::new(0),
                        shared: registry.counter(family, index),
                    },
                    Kind::Gauge => Series::Gauge {
                        value: Cell::new(0),
                        flushed: Cell::new(0),
                        shared: registry.gauge(family, index),
                    },
                    Kind::Histogram(_) => Series::Histogram {
                        unflushed: RefCell::default(),
                        shared: registry.histogram(family, index),
                    },
                });
            }
        }
        Self { series, offsets }
    }

    /// Adds to a counter without labels.
    pub(crate) fn add(&self, metric: Metric, more: u64) {
        self.add_labelled(metric, 0, more);
    }

    /// Adds to the counter with the label's value number `value`.
    pub(crate) fn add_labelled(&self, metric: Metric, value: usize, more: u64) {
        if let Series::Counter { unflushed, .. } = self.series(metric, value) {
            unflushed.set(unflushed.get() + more);
        }
    }

    /// Adds to the counter with the two labels' values.
    pub(crate) fn add_labelled_twice(&self, metric: Metric, first: usize, second: usize, more: u64) {
        self.add_labelled(metric, twice(metric, first, second), more);
    }

    /// Counts an error code.
    pub(crate) fn add_code(&self, code: ErrorCode) {
        self.add_labelled(Metric::RequestErrors, code_index(code), 1);
    }

    /// Moves a gauge.
    pub(crate) fn shift(&self, metric: Metric, by: i64) {
        self.shift_series(metric, 0, by);
    }

    /// Moves the gauge with the two labels' values.
    pub(crate) fn shift_labelled_twice(&self, metric: Metric, first: usize, second: usize, by: i64) {
        self.shift_series(metric, twice(metric, first, second), by);
    }

    /// Sets this worker's share of a gauge.
    pub(crate) fn set(&self, metric: Metric, to: usize) {
        if let Series::Gauge { value, .. } = self.series(metric, 0) {
            value.set(i64::try_from(to).unwrap_or(i64::MAX));
        }
    }

    /// Records a sample.
    pub(crate) fn record(&self, metric: Metric, value: usize, sample: f64) {
        if let Series::Histogram { unflushed, .. } = self.series(metric, value) {
            unflushed.borrow_mut().push(sample);
        }
    }

    /// Adds everything to the shared series.
    pub(crate) fn flush(&self) {
        for series in &self.series {
            match series {
                Series::Counter { unflushed, shared } => {
                    let more = unflushed.take();
                    if more > 0 {
                        shared.increment(more);
                    }
                }
                Series::Gauge { value, flushed, shared } => {
                    let by = value.get() - flushed.replace(value.get());
                    if by != 0 {
                        #[expect(clippy::cast_precision_loss, reason = "a second's change is far below 2^52")]
                        shared.increment(by as f64);
                    }
                }
                Series::Histogram { unflushed, shared } => {
                    for sample in unflushed.take() {
                        shared.record(sample);
                    }
                }
            }
        }
    }

    fn shift_series(&self, metric: Metric, index: usize, by: i64) {
        if let Series::Gauge { value, .. } = self.series(metric, index) {
            value.set(value.get() + by);
        }
    }

    fn series(&self, metric: Metric, index: usize) -> &Series {
        debug_assert!(index < FAMILIES[metric as usize].series());
        &self.series[self.offsets[metric as usize] + index]
    }
}

fn twice(metric: Metric, first: usize, second: usize) -> usize {
    first * FAMILIES[metric as usize].labels[1].values.len() + second
}

impl Drop for Local {
    /// A worker that ends takes its share of the gauges along and leaves its counts.
    fn drop(&mut self) {
        for series in &self.series {
            if let Series::Gauge { value, .. } = series {
                value.set(0);
            }
        }
        self.flush();
    }
}

impl std::fmt::Debug for Local {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Local").field("series", &self.series.len()).finish()
    }
}
