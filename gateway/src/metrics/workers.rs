//! Figures of each worker, written by the worker ten times a second and read when somebody looks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics::{Key, Label, Level, Metadata, Recorder};

const METADATA: Metadata<'static> = Metadata::new("worker", Level::INFO, None);

/// Name and meaning. The label `worker` is its number, from 0.
pub const WORKER_GAUGES: &[(&str, &str)] = &[
    (
        "sluice_worker_tick_age_seconds",
        "Time since the worker last looked at its deadlines, which it does ten times a second: how late it is with everything.",
    ),
    (
        "sluice_worker_sweep_lag_seconds",
        "How long the room has waited that has waited longest for all its members on this worker to be visited.",
    ),
    (
        "sluice_worker_mailbox_depth",
        "Values waiting in the worker's mailbox, and one for each KiB that a value carries or that a room's log has too much. \
         At `rooms.mailbox_messages` commands are refused.",
    ),
];

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct WorkerFigures {
    ticked_at_ms: AtomicU64,
    sweep_lag_us: AtomicU64,
    mailbox_depth: AtomicU64,
}

impl WorkerFigures {
    /// What the worker has to say at its tick, `since_start` after the gateway began.
    pub(crate) fn set(&self, since_start: Duration, sweep_lag: Duration, mailbox_depth: usize) {
        let whole = |count: u128| u64::try_from(count).unwrap_or(u64::MAX);
        self.sweep_lag_us.store(whole(sweep_lag.as_micros()), Ordering::Relaxed);
        self.mailbox_depth.store(mailbox_depth as u64, Ordering::Relaxed);
        self.ticked_at_ms
            .store(whole(since_start.as_millis()), Ordering::Relaxed);
    }

    /// How long ago that was, `since_start` after the gateway began.
    pub(crate) fn tick_age(&self, since_start: Duration) -> Duration {
        since_start.saturating_sub(Duration::from_millis(self.ticked_at_ms.load(Ordering::Relaxed)))
    }
}

pub(super) fn describe(recorder: &dyn Recorder) {
    for (name, help) in WORKER_GAUGES {
        recorder.describe_gauge((*name).into(), None, (*help).into());
    }
}

pub(super) fn update(recorder: &dyn Recorder, workers: &[WorkerFigures], since_start: Duration) {
    for (index, worker) in workers.iter().enumerate() {
        let lag = Duration::from_micros(worker.sweep_lag_us.load(Ordering::Relaxed));
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let depth = worker.mailbox_depth.load(Ordering::Relaxed) as f64;
        let values = [worker.tick_age(since_start).as_secs_f64(), lag.as_secs_f64(), depth];
        for ((name, _), value) in WORKER_GAUGES.iter().zip(values) {
            let key = Key::from_parts(*name, vec![Label::new("worker", index.to_string())]);
            recorder.register_gauge(&key, &METADATA).set(value);
        }
    }
}
