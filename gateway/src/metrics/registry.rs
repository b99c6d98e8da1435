//! The shared series, and their rendering.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use sluice_protocol::ErrorCode;

use crate::metrics::local::Local;
use crate::metrics::process;
use crate::metrics::store;
use crate::metrics::table::{FAMILIES, Family, Kind, Label, Metric};
use crate::metrics::workers::{self, WorkerFigures};
use crate::store::Store;

const METADATA: Metadata<'static> = Metadata::new("sluice", Level::INFO, None);

/// Every code that a server may send; the last stands for any other.
pub(super) const CODE: Label = Label {
    name: "code",
    values: CODES,
};

const CODES: &[&str] = &[
    "405", "407", "4108", "4109", "4200", "4303", "4311", "4323", "5004", "20106", "20109", "20114", "20115", "20116",
    "20604", "20606", "20607", "21406", "21501", "22201", "22406", "22408", "23406", "23408", "23409", "23410",
    "23411", "23423", "23424", "23426", "23427", "23428", "23429", "23431", "23437", "25101", "25107", "25405",
    "25409", "25411", "25414", "25417", "25418", "30013", "30015", "31001", "31002", "31003", "31004", "31005",
    "31007", "31008", "31009", "31010", "31011", "32002", "33003", "33007", "34001", "6000121", "6000213", "6000214",
    "6000215", "6000278", "6000279", "6000323", "6000324", "6000325", "other",
];

/// Where a code stands in [`CODE`].
pub(super) fn code_index(code: ErrorCode) -> usize {
    let number = code.number();
    CODES
        .iter()
        .position(|known| known.parse() == Ok(number))
        .unwrap_or(CODES.len() - 1)
}

/// All series of one gateway.
pub(crate) struct Registry {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

impl Registry {
    /// Describes every metric. Several gateways in one process have one each.
    pub(crate) fn new() -> Self {
        let mut builder = PrometheusBuilder::new();
        for family in FAMILIES {
            if let Kind::Histogram(buckets) = family.kind {
                builder = builder
                    .set_buckets_for_metric(Matcher::Full(family.name.to_owned()), buckets)
                    .expect("buckets are not empty");
            }
        }
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        for family in FAMILIES {
            let help = family.help.into();
            match family.kind {
                Kind::Counter => recorder.describe_counter(family.name.into(), None, help),
                Kind::Gauge => recorder.describe_gauge(family.name.into(), None, help),
                Kind::Histogram(_) => recorder.describe_histogram(family.name.into(), None, help),
            }
        }
        process::describe(&recorder);
        workers::describe(&recorder);
        store::describe(&recorder);
        let registry = Self { recorder, handle };
        // Registers every series, so that the first scrape shows zeros even if no worker runs yet.
        drop(registry.local());
        registry
    }

    /// A worker's counters, which add to these series.
    pub(crate) fn local(&self) -> Local {
        Local::new(self)
    }

    /// Adds to a counter from whatever thread, which has to look it up: for what does not happen all the time.
    pub(crate) fn add_labelled(&self, metric: Metric, label: usize, by: u64) {
        self.counter(&FAMILIES[metric as usize], label).increment(by);
    }

    /// The series of a counter without labels, for who counts from any thread, and seldom.
    pub(crate) fn shared(&self, metric: Metric) -> Counter {
        self.counter(&FAMILIES[metric as usize], 0)
    }

    /// Everything in the text format of Prometheus.
    pub(crate) fn render(&self, worker_figures: &[WorkerFigures], kept: &Store, since_start: Duration) -> String {
        process::update(&self.recorder);
        store::update(&self.recorder, kept);
        workers::update(&self.recorder, worker_figures, since_start);
        self.handle.render()
    }

    /// What was flushed, without the figures that are read when somebody looks.
    #[cfg(test)]
    pub(crate) fn flushed(&self) -> String {
        self.handle.render()
    }

    /// To be called now and then: histograms keep every sample until it is.
    pub(crate) fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    pub(super) fn counter(&self, family: &Family, index: usize) -> Counter {
        let counter = self.recorder.register_counter(&key(family, index), &METADATA);
        // A counter is not rendered before it is touched; operators want to see the zero.
        counter.increment(0);
        counter
    }

    pub(super) fn gauge(&self, family: &Family, index: usize) -> Gauge {
        let gauge = self.recorder.register_gauge(&key(family, index), &METADATA);
        gauge.increment(0.0);
        gauge
    }

    pub(super) fn histogram(&self, family: &Family, index: usize) -> Histogram {
        self.recorder.register_histogram(&key(family, index), &METADATA)
    }
}

fn key(family: &Family, index: usize) -> Key {
    let mut rest = index;
    let mut labels: Vec<_> = family
        .labels
        .iter()
        .rev()
        .map(|label| {
            let value = label.values[rest % label.values.len()];
            rest /= label.values.len();
            metrics::Label::from_static_parts(label.name, value)
        })
        .collect();
    labels.reverse();
    Key::from_parts(family.name, labels)
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}
