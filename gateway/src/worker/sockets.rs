//! Looking after the connections over sockets: those that changed, and those that somebody woke, one after the other.

use std::rc::Rc;
use std::task::{Context, Waker};

use crate::fan_out::STEP_BYTES_MAX;
use crate::identity::ConnectionKey;
use crate::worker::Worker;
use crate::worker::close::CloseReason;
use crate::worker::connection::{Connection, Progress};

/// Connections with something to read that are served before other tasks get their turn: each takes some microseconds, and a
/// millisecond at most.
const READERS_PER_TURN: usize = 16;

/// Connections that go on writing, unless the first of them have written [`STEP_BYTES_MAX`]: each may have as much to write as a member
/// may lag.
const WRITERS_PER_TURN: usize = 16;

impl Worker {
    /// Looks after them, for ever.
    pub(super) async fn serve_sockets(self: Rc<Self>) {
        loop {
            self.sockets.collect(|key, change| {
                if let Some(connection) = self.connection(key)
                    && let Some(socket) = connection.transport.socket()
                {
                    socket.on_change(change);
                }
            });
            // Who has more to do when it was served stands at the end of the queue, and has its next turn in the next round.
            for _ in 0..READERS_PER_TURN.min(self.sockets.waiting()) {
                let Some(key) = self.sockets.next() else { break };
                self.serve(key);
            }
            let before = self.moved.borrow().all_bytes();
            for _ in 0..WRITERS_PER_TURN {
                let Some(key) = self.sockets.next_writable() else { break };
                self.serve(key);
                if self.moved.borrow().all_bytes() - before > STEP_BYTES_MAX {
                    break;
                }
            }
            if self.sockets.is_empty() {
                self.sockets.wait().await;
            } else {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Has changes of a new connection's socket told.
    pub(super) fn watch(self: &Rc<Self>, connection: &Rc<Connection>) {
        let socket = connection
            .transport
            .socket()
            .expect("only those with a socket are watched");
        if let Err(error) = socket.watch(connection.key) {
            tracing::warn!(%error, "a socket cannot be watched");
            connection.state.borrow_mut().reason = Some(CloseReason::Broken);
            self.forget(connection);
        }
    }

    fn serve(self: &Rc<Self>, key: ConnectionKey) {
        let Some(connection) = self.connection(key) else { return };
        if let Some(socket) = connection.transport.socket() {
            socket.on_turn();
        }
        // Sockets are heard of through the queue.
        let mut context = Context::from_waker(Waker::noop());
        self.contain(key, || {
            if self.poll(&connection, &mut context) == Progress::Over {
                self.forget(&connection);
            }
        });
    }
}
