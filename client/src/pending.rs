//! The answer to a call, before it is there.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use sluice_protocol::reply;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::connection::Answer;
use crate::error::ClientError;

/// A call on its way: a future of its result.
///
/// The command is queued already; awaiting this only waits for the reply, at most until 20 seconds after the call.
/// Dropping it stops the waiting, not the command.
#[must_use = "only the reply says whether the command was done"]
pub struct Pending<T> {
    outcome: Pin<Box<dyn Future<Output = Result<T, ClientError>> + Send>>,
}

impl<T: 'static> Pending<T> {
    /// Waits for `answered`; `open` takes what the reply carries, or says that it is not what was asked for.
    pub(crate) fn new(
        answered: Result<oneshot::Receiver<Answer>, ClientError>,
        deadline: Instant,
        open: impl FnOnce(Option<reply::Result>) -> Option<T> + Send + 'static,
    ) -> Self {
        let outcome = async move {
            let result = match timeout_at(deadline, answered?).await {
                Ok(Ok(answer)) => answer?,
                // The connection's task answers every call before it ends, unless the runtime was shut down.
                Ok(Err(_)) => return Err(ClientError::unavailable()),
                Err(_) => return Err(ClientError::timeout()),
            };
            open(result).ok_or_else(ClientError::unexpected_reply)
        };
        Self {
            outcome: Box::pin(outcome),
        }
    }

    /// The same with another ending.
    pub(crate) fn map<U: 'static>(self, change: fn(Result<T, ClientError>) -> Result<U, ClientError>) -> Pending<U> {
        Pending {
            outcome: Box::pin(async move { change(self.outcome.await) }),
        }
    }
}

impl<T> Future for Pending<T> {
    type Output = Result<T, ClientError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.outcome.as_mut().poll(context)
    }
}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").finish_non_exhaustive()
    }
}
