//! One reading of the clock, passed to rules instead of read by them.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The same moment on both clocks: the steady one for deadlines, the wall clock for what people and tokens see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Now {
    pub instant: Instant,
    pub unix_ms: i64,
}

impl Now {
    /// Whole seconds since 1970-01-01 UTC. Enough until 2106.
    pub(crate) fn unix_seconds(self) -> u32 {
        u32::try_from(self.unix_ms / 1000).unwrap_or(0)
    }

    /// Reads both clocks.
    pub(crate) fn read() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self {
            instant: Instant::now(),
            unix_ms: i64::try_from(unix.as_millis()).unwrap_or(i64::MAX),
        }
    }
}

impl std::ops::Add<Duration> for Now {
    type Output = Self;

    fn add(self, delay: Duration) -> Self {
        Self {
            instant: self.instant + delay,
            unix_ms: self.unix_ms + i64::try_from(delay.as_millis()).unwrap_or(i64::MAX),
        }
    }
}
