//! Turns at work that takes a thread for milliseconds: changing a list of an app, listing a long one.
//!
//! One app has one turn at a time, and all apps together only so many: an app that changes a long list without end has the others wait
//! for one such change, not for all of its own. Whoever waits holds no thread.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::api::THREADS;
use crate::api::failure::{Code, Failure};
use crate::config::App;
use crate::identity::AppIndex;

/// Calls of one app that have a turn or wait for one. The longest list of words takes 160 ms to make ready, so the last of them has its
/// turn after 5 s, when there is still time to keep the change.
const WAITING_MAX: usize = 32;

/// Turns at once: one for each thread that calls are served by. Each may take 80 MiB while it lasts.
const AT_ONCE: usize = THREADS;

/// How long an app's server waits that has too many calls waiting.
const RETRY: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub(super) struct Turns {
    apps: Box<[OfApp]>,
    at_once: Semaphore,
}

#[derive(Debug)]
struct OfApp {
    waiting: Semaphore,
    one: Semaphore,
}

/// A turn, for as long as it is held.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    _at_once: SemaphorePermit<'a>,
    _one: SemaphorePermit<'a>,
    _waiting: SemaphorePermit<'a>,
}

impl Turns {
    pub(super) fn new(apps: &[App]) -> Self {
        let of_app = |_| OfApp {
            waiting: Semaphore::new(WAITING_MAX),
            one: Semaphore::new(1),
        };
        Self {
            apps: apps.iter().map(of_app).collect(),
            at_once: Semaphore::new(AT_ONCE),
        }
    }

    /// Waits for a turn. Calls of one app get theirs in the order in which they came, and apps one after the other.
    ///
    /// # Errors
    /// 1008 when too many calls of the app wait already.
    pub(super) async fn take(&self, app: AppIndex) -> Result<Turn<'_>, Failure> {
        const OPEN: &str = "it is never closed";
        let of_app = &self.apps[usize::from(app.0)];
        let waiting = of_app.waiting.try_acquire().map_err(|_| {
            let message = "too many changes of this app's lists are under way";
            Failure::new(Code::RATE, message).retry_after(RETRY)
        })?;
        let one = of_app.one.acquire().await.expect(OPEN);
        let at_once = self.at_once.acquire().await.expect(OPEN);
        Ok(Turn {
            _at_once: at_once,
            _one: one,
            _waiting: waiting,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn turns() -> Turns {
        Turns::new(&["busy", "other", "third"].map(App::new))
    }

    /// Looks whether it is somebody's turn.
    fn poll<'a>(waiting: &mut (impl Future<Output = Result<Turn<'a>, Failure>> + Unpin)) -> Option<Turn<'a>> {
        match std::pin::Pin::new(waiting).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(turn) => Some(turn.expect("a turn")),
            Poll::Pending => None,
        }
    }

    #[test]
    fn an_app_that_changes_its_lists_without_end_has_others_wait_for_one_turn_at_most() {
        let turns = turns();
        let mut busy: Vec<_> = (0..WAITING_MAX).map(|_| Box::pin(turns.take(AppIndex(0)))).collect();
        let first = poll(&mut busy[0]).expect("nobody was before it");
        assert!(busy[1..].iter_mut().all(|waiting| poll(waiting).is_none()));
        let other = poll(&mut Box::pin(turns.take(AppIndex(1)))).expect("another app has a turn meanwhile");
        // Two at once are under way; the third app is the next.
        let mut third = Box::pin(turns.take(AppIndex(2)));
        assert!(poll(&mut third).is_none());
        drop(first);
        assert!(poll(&mut busy[1]).is_none());
        assert!(poll(&mut third).is_some());
        drop(other);
    }

    #[test]
    fn only_so_many_calls_of_an_app_wait() {
        let turns = turns();
        let mut waiting: Vec<_> = (0..WAITING_MAX).map(|_| Box::pin(turns.take(AppIndex(0)))).collect();
        let mut held: Vec<_> = waiting.iter_mut().map(poll).collect();
        let mut refused = Box::pin(turns.take(AppIndex(0)));
        let answer = refused.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(Err(failure)) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!((failure.code, failure.retry_after), (Code::RATE, RETRY));
        // Who hangs up waits no more, and who has had a turn leaves its place to the next.
        waiting.pop();
        assert!(poll(&mut Box::pin(turns.take(AppIndex(0)))).is_none());
        held[0] = None;
        assert!(poll(&mut waiting[1]).is_some());
    }
}
