//! How a room ends.

use std::time::Duration;

/// What ends a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ends {
    /// So long after the last member has left.
    WhenEmpty { delay: Duration },
    /// When there was no message and no join for so long.
    WhenIdle { after: Duration },
    /// At this time, milliseconds since 1970-01-01 UTC, whoever is inside.
    At { unix_ms: i64 },
    /// By the app's server alone.
    Never,
}
