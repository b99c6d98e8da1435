//! Who may come in: how many connections the whole gateway holds, and how many handshakes at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The limits of the whole process, shared by all workers.
#[derive(Debug)]
pub(crate) struct Admission {
    connections: AtomicUsize,
    connections_max: usize,
    handshakes: AtomicUsize,
    handshakes_max: usize,
}

/// A place among the connections, given back when dropped.
#[derive(Debug)]
pub(crate) struct ConnectionPermit(Arc<Admission>);

/// A place among the handshakes, given back when dropped.
#[derive(Debug)]
pub(crate) struct HandshakePermit(Arc<Admission>);

impl Admission {
    pub(crate) fn new(connections_max: usize, handshakes_max: usize) -> Arc<Self> {
        Arc::new(Self {
            connections: AtomicUsize::new(0),
            connections_max,
            handshakes: AtomicUsize::new(0),
            handshakes_max,
        })
    }

    /// Takes a place for a connection, if there is one.
    pub(crate) fn connection(self: &Arc<Self>) -> Option<ConnectionPermit> {
        take(&self.connections, self.connections_max).then(|| ConnectionPermit(self.clone()))
    }

    /// Takes a place for a handshake, if there is one.
    pub(crate) fn handshake(self: &Arc<Self>) -> Option<HandshakePermit> {
        take(&self.handshakes, self.handshakes_max).then(|| HandshakePermit(self.clone()))
    }
}

fn take(taken: &AtomicUsize, most: usize) -> bool {
    taken
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
            (taken < most).then_some(taken + 1)
        })
        .is_ok()
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for HandshakePermit {
    fn drop(&mut self) {
        self.0.handshakes.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_come_back() {
        let admission = Admission::new(2, 1);
        let first = admission.connection().expect("a place");
        let second = admission.connection().expect("a place");
        assert!(admission.connection().is_none());
        drop(first);
        assert!(admission.connection().is_some());
        drop(second);
        let handshake = admission.handshake().expect("a place");
        assert!(admission.handshake().is_none());
        drop(handshake);
        assert!(admission.handshake().is_some());
    }
}
