//! What waits to be written, and how it is taken out: in groups, since a sync costs the same for one change and for many.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::change::Change;
use super::error::StoreError;
use super::rows::RowsMut;

/// Changes that wait when whoever asks for more is turned away: 64 full groups, a second if each takes 15 ms, as on a slow disk. More
/// waiting would help nobody. What has no asker, the end of a room say, is taken all the same: there is no more of it than there are rows.
pub(super) const QUEUED_CHANGES_MAX: usize = 16_384;

/// Changes in a group: beyond it groups gain little and those in front wait longer for their answer. A submission is never
/// split, so one that is longer is a group of its own.
pub(super) const GROUP_CHANGES_MAX: usize = 256;

/// How long several that came together wait for more to come.
const GROUP_WAIT: Duration = Duration::from_millis(2);

/// Work for one transaction, and whom to tell what became of it. Told exactly once, even if it is lost in a panic.
pub(super) struct Submission {
    pub work: Work,
    done: Option<Done>,
}

/// What a submission does.
pub(super) enum Work {
    /// Changes that belong together.
    Changes(Vec<Change>),
    /// Something that reads and decides what to change. May be called again, if the transaction it was part of failed because of another.
    Job {
        job: Job,
        /// As how many changes it counts.
        weight: usize,
    },
}

/// See [`Work`].
pub(super) type Job = Box<dyn FnMut(&dyn RowsMut) -> Result<(), StoreError> + Send>;

/// Called with what became of a submission.
type Done = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// What there is to do.
#[derive(Debug)]
pub(super) enum Next {
    Group(Vec<Submission>),
    /// Nothing came.
    Nothing,
    /// Nothing is there, and nothing will come.
    Closed,
}

/// Between those who submit and the writer.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// Something came, or the end.
    news: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Submission>,
    /// The sum of their weights.
    changes: usize,
    closed: bool,
}

impl Submission {
    pub(super) fn new(changes: Vec<Change>, done: impl FnOnce(Result<(), StoreError>) + Send + 'static) -> Self {
        Self::of(Work::Changes(changes), done)
    }

    pub(super) fn of(work: Work, done: impl FnOnce(Result<(), StoreError>) + Send + 'static) -> Self {
        Self {
            work,
            done: Some(Box::new(done)),
        }
    }

    /// Those it names. A job makes its own.
    pub(super) fn changes(&self) -> &[Change] {
        match &self.work {
            Work::Changes(changes) => changes,
            Work::Job { .. } => &[],
        }
    }

    /// How many changes it is counted as once it is done.
    pub(super) fn count(&self) -> usize {
        match &self.work {
            Work::Changes(changes) => changes.len(),
            Work::Job { weight, .. } => *weight,
        }
    }

    /// Tells what became of it. A panic of whoever is told stays there: others wait for their answers.
    pub(super) fn finish(mut self, outcome: Result<(), StoreError>) {
        self.tell(outcome);
    }

    /// As no writer may: see `Shared::answers_early`.
    #[cfg(test)]
    pub(super) fn answer_early(&mut self) {
        self.tell(Ok(()));
    }

    fn tell(&mut self, outcome: Result<(), StoreError>) {
        if let Some(done) = self.done.take()
            && catch_unwind(AssertUnwindSafe(|| done(outcome))).is_err()
        {
            tracing::error!("what was to be done after a commit panicked");
        }
    }

    /// An empty one counts too: it has a place in the queue.
    fn weight(&self) -> usize {
        self.count().max(1)
    }
}

impl Drop for Submission {
    fn drop(&mut self) {
        self.tell(Err(StoreError::Failed("the writer panicked".to_owned())));
    }
}

impl std::fmt::Debug for Submission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Submission")
            .field("changes", &self.count())
            .finish_non_exhaustive()
    }
}

impl Queue {
    pub(super) fn push(&self, submission: Submission) {
        let mut state = self.lock();
        state.changes += submission.weight();
        state.waiting.push_back(submission);
        drop(state);
        self.news.notify_one();
    }

    /// Waits for `patience` at most until something is there. Somebody alone is not held up, since others may be far away;
    /// where several came while the last group was written, more are on their way.
    pub(super) fn next(&self, patience: Duration) -> Next {
        let mut state = self.lock();
        let idle = |state: &mut State| state.waiting.is_empty() && !state.closed;
        state = unpoisoned(self.news.wait_timeout_while(state, patience, idle)).0;
        if state.waiting.len() > 1 {
            let short = |state: &mut State| state.changes < GROUP_CHANGES_MAX && !state.closed;
            state = unpoisoned(self.news.wait_timeout_while(state, GROUP_WAIT, short)).0;
        }
        match state.take_group() {
            group if !group.is_empty() => Next::Group(group),
            _ if state.closed => Next::Closed,
            _ => Next::Nothing,
        }
    }

    /// Nothing comes any more.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.news.notify_one();
    }

    /// Changes that wait.
    pub(super) fn changes(&self) -> usize {
        self.lock().changes
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        unpoisoned(self.state.lock())
    }
}

impl State {
    fn take_group(&mut self) -> Vec<Submission> {
        let mut group = Vec::new();
        let mut changes = 0;
        while let Some(submission) = self.waiting.front() {
            changes += submission.weight();
            if changes > GROUP_CHANGES_MAX && !group.is_empty() {
                break;
            }
            self.changes -= submission.weight();
            group.extend(self.waiting.pop_front());
        }
        group
    }
}

/// The lock is never held where something can panic half way.
fn unpoisoned<T>(result: Result<T, PoisonError<T>>) -> T {
    result.unwrap_or_else(PoisonError::into_inner)
}
