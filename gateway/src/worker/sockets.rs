//! Looking after the connections over sockets: those that changed, and those that somebody woke, one after the other.

use std::rc::Rc;
use std::task::{Context, Waker};

use crate::worker::Worker;
use crate::worker::close::CloseReason;
use crate::worker::connection::{Connection, Progress};

/// Connections in a row before other tasks get their turn: each takes some microseconds, and a millisecond at most.
const CONNECTIONS_PER_TURN: usize = 16;

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
            let mut served = 0;
            while served < CONNECTIONS_PER_TURN
                && let Some(key) = self.sockets.next()
            {
                if let Some(connection) = self.connection(key) {
                    self.serve(&connection);
                    served += 1;
                }
            }
            if served < CONNECTIONS_PER_TURN {
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

    fn serve(self: &Rc<Self>, connection: &Rc<Connection>) {
        if let Some(socket) = connection.transport.socket() {
            socket.on_turn();
        }
        // Sockets are heard of through the queue.
        let mut context = Context::from_waker(Waker::noop());
        self.contain(connection.key, || {
            if self.poll(connection, &mut context) == Progress::Over {
                self.forget(connection);
            }
        });
    }
}
