//! What the kernel knows of a process: CPU time and resident memory, from `/proc`.

use std::collections::HashMap;
use std::fs;
use std::time::{Duration, Instant};

use crate::bench_error::{BenchError, Doing};
use crate::child::Inbox;

/// CPU time of each thread of a process.
pub(crate) struct CpuTimes(HashMap<String, Spent>);

/// What a thread spent, nanoseconds.
#[derive(Clone, Copy, Default)]
struct Spent {
    running: u64,
    /// Ready to run while something else had the core.
    waiting: u64,
}

impl CpuTimes {
    /// Reads `schedstat` of every thread: unlike `stat` it counts nanoseconds and not ticks of 10 ms.
    pub(crate) fn of(pid: u32) -> Result<Self, BenchError> {
        let tasks = format!("/proc/{pid}/task");
        let mut times = HashMap::new();
        for task in fs::read_dir(&tasks).doing(format!("reading {tasks}"))? {
            let task = task.doing(format!("reading {tasks}"))?;
            // A thread that ended since the folder was read takes its few nanoseconds with it.
            let Ok(text) = fs::read_to_string(task.path().join("schedstat")) else {
                continue;
            };
            let mut numbers = text.split(' ').map(|number| number.parse().unwrap_or(0));
            let spent = Spent {
                running: numbers.next().unwrap_or(0),
                waiting: numbers.next().unwrap_or(0),
            };
            times.insert(task.file_name().to_string_lossy().into_owned(), spent);
        }
        Ok(Self(times))
    }

    /// Nanoseconds spent since `earlier`, by all threads there are now.
    pub(crate) fn since(&self, earlier: &Self) -> u64 {
        self.sum_since(earlier, |spent| spent.running)
    }

    /// Nanoseconds that threads were kept waiting for a core since `earlier`: on a quiet machine next to none.
    pub(crate) fn kept_waiting_since(&self, earlier: &Self) -> u64 {
        self.sum_since(earlier, |spent| spent.waiting)
    }

    fn sum_since(&self, earlier: &Self, which: fn(Spent) -> u64) -> u64 {
        let before = |thread| earlier.0.get(thread).copied().unwrap_or_default();
        self.0
            .iter()
            .map(|(thread, now)| which(*now).saturating_sub(which(before(thread))))
            .sum()
    }
}

/// A server is idle that works less than 1 % of this time.
const IDLE_WINDOW: Duration = Duration::from_millis(300);

/// How long a server may take to become idle.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// After members came in there are member events to send and memory to give back.
pub(crate) fn wait_until_idle(server: u32, inbox: &Inbox) -> Result<(), BenchError> {
    let deadline = Instant::now() + IDLE_TIMEOUT;
    let mut before = CpuTimes::of(server)?;
    loop {
        inbox.pause(IDLE_WINDOW)?;
        let now = CpuTimes::of(server)?;
        if u128::from(now.since(&before)) * 100 < IDLE_WINDOW.as_nanos() {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(BenchError::peer(
                "the server",
                "does not become idle though nothing is asked of it",
            ));
        }
        before = now;
    }
}

/// Resident memory of a process, bytes.
pub(crate) fn resident_bytes(pid: u32) -> Result<u64, BenchError> {
    bytes_of_status(pid, "VmRSS:")
}

/// The same without what is a file's, which is mostly the program itself: it grows as parts of it run for the first time.
pub(crate) fn resident_anonymous_bytes(pid: u32) -> Result<u64, BenchError> {
    bytes_of_status(pid, "RssAnon:")
}

fn bytes_of_status(pid: u32, key: &str) -> Result<u64, BenchError> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).doing(format!("reading {path}"))?;
    kibibytes_after(&status, key)
        .map(|kibibytes| kibibytes * 1024)
        .ok_or_else(|| BenchError::Unsuitable(format!("{path} has no {key}")))
}

/// The number after `key` in the text of a `/proc` file that counts in kB.
pub(crate) fn kibibytes_after(text: &str, key: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_found_among_the_other_lines() {
        let status = "Name:\tsluice\nVmHWM:\t    9000 kB\nVmRSS:\t    8124 kB\nRssAnon:\t 1 kB\n";
        assert_eq!(kibibytes_after(status, "VmRSS:"), Some(8124));
        assert_eq!(kibibytes_after(status, "VmSwap:"), None);
    }

    #[test]
    fn the_work_of_this_process_shows_up_in_its_cpu_time() {
        let pid = std::process::id();
        let before = CpuTimes::of(pid).unwrap();
        let mut after = CpuTimes::of(pid).unwrap();
        while after.since(&before) == 0 {
            after = CpuTimes::of(pid).unwrap();
        }
    }
}
