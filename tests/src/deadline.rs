//! Waiting: always for something, never for longer than [`DEADLINE`].

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

/// How long a test waits for what must come. Generous, since the machine may be busy; nothing waits this long when all
/// is well.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// How often [`wait_until`] looks.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Waits until `condition` holds.
///
/// # Panics
/// When it does not within [`DEADLINE`]; `what` says what was waited for.
pub async fn wait_until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !condition().await {
        assert!(Instant::now() < until, "waited {DEADLINE:?} in vain until {what}");
        sleep(POLL_INTERVAL).await;
    }
}

/// What `future` comes to.
///
/// # Panics
/// When it takes longer than [`DEADLINE`]; `what` says what was waited for.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match timeout(DEADLINE, future).await {
        Ok(output) => output,
        Err(_) => panic!("waited {DEADLINE:?} in vain for {what}"),
    }
}
