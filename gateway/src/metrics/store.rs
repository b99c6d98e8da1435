//! The store, read from its own figures when somebody looks.

use metrics::{Key, Level, Metadata, Recorder};

use super::table::Kind;
use crate::store::{Health, Store};

const METADATA: Metadata<'static> = Metadata::new("store", Level::INFO, None);

/// Name, kind and meaning.
pub const STORE_FIGURES: &[(&str, Kind, &str)] = &[
    (
        "sluice_store_healthy",
        Kind::Gauge,
        "1 while what is decided can be kept; 0 when the store cannot be written, has failed or is damaged, as `/readyz` says then.",
    ),
    (
        "sluice_store_commits_total",
        Kind::Counter,
        "Commits, each of a group of changes, synced to the disk.",
    ),
    ("sluice_store_changes_total", Kind::Counter, "Changes in them."),
    (
        "sluice_store_commit_seconds_total",
        Kind::Gauge,
        "Time that commits took, from their first change to the end of the sync. Only grows.",
    ),
    (
        "sluice_store_writing_seconds",
        Kind::Gauge,
        "How long the writer has been at one commit or one copy of the log; 0 between them. From 2 on `/readyz` says that the store is slow.",
    ),
    (
        "sluice_store_failures_total",
        Kind::Counter,
        "Submissions of changes that failed: whoever asked for them was told so.",
    ),
    (
        "sluice_store_busy_total",
        Kind::Counter,
        "Orders and commands turned away because too many changes were waiting.",
    ),
    (
        "sluice_store_questions_total",
        Kind::Counter,
        "Questions about conversations, and messages that are not kept, answered by the threads that read.",
    ),
    (
        "sluice_store_question_seconds_total",
        Kind::Gauge,
        "Time from when they were asked to when they were answered. Only grows.",
    ),
    (
        "sluice_store_questions_busy_total",
        Kind::Counter,
        "Questions turned away because too many were waiting.",
    ),
    (
        "sluice_store_unreadable_total",
        Kind::Counter,
        "Questions, and looks at what is old, that met something that was kept and cannot be read. The log says what.",
    ),
    (
        "sluice_store_queued_questions",
        Kind::Gauge,
        "Questions that wait for a thread that reads.",
    ),
    (
        "sluice_store_expired_total",
        Kind::Counter,
        "Rows deleted because their time was over: old messages, ends of gags and blocks, and what belongs to them.",
    ),
    (
        "sluice_store_queued_changes",
        Kind::Gauge,
        "Changes that wait for the disk.",
    ),
    (
        "sluice_store_owed_changes",
        Kind::Gauge,
        "Changes that the disk has refused and that are still to be written, as soon as it can be.",
    ),
    (
        "sluice_store_file_bytes",
        Kind::Gauge,
        "Size of the database and its log.",
    ),
    (
        "sluice_store_log_bytes",
        Kind::Gauge,
        "Size of the log alone: some MiB, more while much is read or somebody makes a copy.",
    ),
    (
        "sluice_store_log_copies_total",
        Kind::Counter,
        "Copies of the log into the database, of a MiB or more each.",
    ),
    (
        "sluice_store_log_waits_total",
        Kind::Counter,
        "How often commits waited because 16 MiB had come while the log was copied: the disk is slower than what is written.",
    ),
];

pub(super) fn describe(recorder: &dyn Recorder) {
    for (name, kind, help) in STORE_FIGURES {
        match kind {
            Kind::Counter => recorder.describe_counter((*name).into(), None, (*help).into()),
            _ => recorder.describe_gauge((*name).into(), None, (*help).into()),
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "gauges are floating point; the figures are far below 2^52"
)]
pub(super) fn update(recorder: &dyn Recorder, store: &Store) {
    let figures = store.figures();
    let healthy = store.health() == Health::Ok && !store.is_damaged();
    let gauge = |name: &'static str, value: f64| {
        recorder
            .register_gauge(&Key::from_static_name(name), &METADATA)
            .set(value);
    };
    let counter = |name: &'static str, value: u64| {
        let counter = recorder.register_counter(&Key::from_static_name(name), &METADATA);
        // Touched, or a zero would not be shown.
        counter.increment(0);
        counter.absolute(value);
    };
    gauge("sluice_store_healthy", f64::from(u8::from(healthy)));
    counter("sluice_store_commits_total", figures.commits);
    counter("sluice_store_changes_total", figures.changes);
    gauge("sluice_store_commit_seconds_total", figures.commit_time.as_secs_f64());
    gauge("sluice_store_writing_seconds", figures.writing_for.as_secs_f64());
    counter("sluice_store_failures_total", figures.failures);
    counter("sluice_store_busy_total", figures.busy);
    counter("sluice_store_questions_total", figures.questions);
    gauge(
        "sluice_store_question_seconds_total",
        figures.question_time.as_secs_f64(),
    );
    counter("sluice_store_questions_busy_total", figures.questions_busy);
    counter("sluice_store_unreadable_total", figures.unreadable);
    gauge("sluice_store_queued_questions", figures.questions_queued as f64);
    counter("sluice_store_expired_total", figures.expired);
    gauge("sluice_store_queued_changes", figures.queued as f64);
    gauge("sluice_store_owed_changes", figures.owed as f64);
    gauge("sluice_store_file_bytes", figures.file_bytes as f64);
    gauge("sluice_store_log_bytes", figures.log_bytes as f64);
    counter("sluice_store_log_copies_total", figures.log_copies);
    counter("sluice_store_log_waits_total", figures.log_waits);
}
