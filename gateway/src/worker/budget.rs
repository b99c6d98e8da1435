//! The bound on all that waits for clients, rooms' logs and private queues together.
//!
//! Each connection and each room has a bound of its own, but there are many of them. What waits is there because of clients
//! that do not read, so when it is too much in all, those that are furthest behind go: as slow, which they may come back from.

use std::cmp::Reverse;
use std::rc::Rc;

use crate::metrics::Metric;
use crate::worker::Worker;
use crate::worker::connection::Connection;

/// Of the slow connections, this part goes at a time; the next tick sees whether it was enough.
const PART: usize = 8;

/// Few go together.
const AT_LEAST: usize = 16;

impl Worker {
    /// Closes some of those that are furthest behind, if what waits is too much.
    pub(super) fn keep_the_budget(self: &Rc<Self>) {
        let share = self.config().connections.backlog_bytes / self.shared.workers.len();
        let waiting = self.slices.borrow().log_bytes() + self.private_bytes.get();
        if waiting <= share || waiting - self.private_bytes_of_closing() <= share {
            return;
        }
        let mut slow: Vec<(usize, Rc<Connection>)> = self
            .connections
            .borrow()
            .values()
            .filter(|connection| connection.outbox.borrow().is_blocked())
            .filter(|connection| !connection.state.borrow().session.is_closing())
            .map(|connection| (connection.outbox.borrow().backlog_bytes(), connection.clone()))
            .collect();
        slow.sort_by_key(|(backlog_bytes, _)| Reverse(*backlog_bytes));
        let count = (slow.len() / PART).max(AT_LEAST);
        // A healthy client may be full for a moment; it has next to nothing before it beside those that are the cause.
        let least = slow.first().map_or(0, |(furthest_bytes, _)| furthest_bytes / 2);
        let furthest = slow
            .into_iter()
            .take_while(|(backlog_bytes, _)| *backlog_bytes >= least);
        for (_, connection) in furthest.take(count) {
            self.metrics.add(Metric::BudgetDisconnects, 1);
            self.close_slow(&connection);
        }
    }

    /// What waits for those that are closed already, and goes with them.
    fn private_bytes_of_closing(&self) -> usize {
        let connections = self.connections.borrow();
        let closing = connections
            .values()
            .filter(|connection| connection.state.borrow().session.is_closing());
        let bytes: usize = closing
            .map(|connection| connection.outbox.borrow().private_bytes())
            .sum();
        bytes.min(self.private_bytes.get())
    }
}
