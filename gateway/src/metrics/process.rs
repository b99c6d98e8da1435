//! The process itself, read from `/proc` when somebody looks.

use std::fs;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use metrics::{Key, Label, Level, Metadata, Recorder};

const METADATA: Metadata<'static> = Metadata::new("process", Level::INFO, None);

/// Name and meaning. The names are those that Prometheus gives every process, except the first.
pub const GAUGES: &[(&str, &str)] = &[
    ("sluice_build_info", "Always 1; the label carries the version."),
    (
        "process_start_time_seconds",
        "When the process began, seconds since 1970-01-01 UTC.",
    ),
    (
        "process_cpu_seconds_total",
        "Processor time used, user and system, in seconds.",
    ),
    ("process_resident_memory_bytes", "Memory resident."),
    ("process_open_fds", "Open file descriptors."),
    ("process_max_fds", "Limit of open file descriptors."),
];

pub(super) fn describe(recorder: &dyn Recorder) {
    for (name, help) in GAUGES {
        recorder.describe_gauge((*name).into(), None, (*help).into());
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "gauges are floating point; the figures are far below 2^52"
)]
pub(super) fn update(recorder: &dyn Recorder) {
    static START: OnceLock<f64> = OnceLock::new();
    let start = START.get_or_init(|| {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0.0, |unix| unix.as_secs_f64())
            - uptime_seconds()
    });
    let version = Label::from_static_parts("version", env!("CARGO_PKG_VERSION"));
    let build = Key::from_parts("sluice_build_info", vec![version]);
    recorder.register_gauge(&build, &METADATA).set(1.0);
    let set = |name: &'static str, value: f64| {
        recorder
            .register_gauge(&Key::from_static_name(name), &METADATA)
            .set(value);
    };
    set("process_start_time_seconds", *start);
    let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    set(
        "process_cpu_seconds_total",
        cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9,
    );
    if let Some(pages) = fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split_whitespace().nth(1)?.parse::<u64>().ok())
    {
        set(
            "process_resident_memory_bytes",
            (pages * rustix::param::page_size() as u64) as f64,
        );
    }
    if let Ok(entries) = fs::read_dir("/proc/self/fd") {
        // Not the one that reads the folder.
        set("process_open_fds", entries.count().saturating_sub(1) as f64);
    }
    if let Some(limit) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
        set("process_max_fds", limit as f64);
    }
}

/// Seconds this process has been running.
fn uptime_seconds() -> f64 {
    let since_boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    #[expect(clippy::cast_precision_loss, reason = "seconds since boot")]
    let since_boot = since_boot.tv_sec as f64;
    let started = fs::read_to_string("/proc/self/stat").ok().and_then(|text| {
        let after_name = text.rsplit(')').next()?;
        after_name.split_whitespace().nth(19)?.parse::<f64>().ok()
    });
    // The kernel counts these in hundredths of a second, whatever its own tick.
    started.map_or(0.0, |ticks| since_boot - ticks / 100.0)
}
