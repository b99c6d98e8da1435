//! What workers put events into, and how much of them may wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::mpsc;

/// Events that wait for one app's hook: a minute of a busy app, after which a hook that does not answer is no slow one.
const WAITING_MAX: usize = 10_000;

/// Bytes of events that wait for one app's hook.
const WAITING_BYTES_MAX: usize = 16 << 20;

/// An event that waits or is being told.
#[derive(Debug)]
pub(super) struct Event {
    pub id: String,
    pub body: Bytes,
    pub since: Instant,
    _place: Place,
}

/// The events of one hook, where workers put them. They have their place from then until they are dropped, wherever they are meanwhile: so the channel needs no
/// bound of its own.
#[derive(Debug)]
pub(super) struct Queue {
    pub app: String,
    events: mpsc::UnboundedSender<Event>,
    load: Arc<Load>,
}

/// How much waits for one hook. Workers share it and take no lock.
#[derive(Debug, Default)]
pub(super) struct Load {
    events: AtomicUsize,
    bytes: AtomicUsize,
    /// Since they were last counted.
    dropped: AtomicU64,
}

/// A place among what may wait, until it is dropped.
#[derive(Debug)]
struct Place {
    load: Arc<Load>,
    bytes: usize,
}

impl Queue {
    pub(super) fn new(app: String) -> (Self, mpsc::UnboundedReceiver<Event>, Arc<Load>) {
        let (events, offered) = mpsc::unbounded_channel();
        let load = Arc::new(Load::default());
        let queue = Self {
            app,
            events,
            load: load.clone(),
        };
        (queue, offered, load)
    }

    /// Puts an event in, or drops and counts it: if as much is waiting as may, or nobody calls any more.
    pub(super) fn offer(&self, id: String, body: Bytes, since: Instant) {
        let event = Place::take(&self.load, body.len()).map(|place| Event {
            id,
            body,
            since,
            _place: place,
        });
        if event.is_none_or(|event| self.events.send(event).is_err()) {
            self.load.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Load {
    pub(super) fn events(&self) -> usize {
        self.events.load(Ordering::Relaxed)
    }

    /// How many were dropped since this was last asked.
    pub(super) fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }
}

impl Place {
    fn take(load: &Arc<Load>, bytes: usize) -> Option<Self> {
        let events = load.events.fetch_add(1, Ordering::Relaxed) + 1;
        let all_bytes = load.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let place = Self {
            load: load.clone(),
            bytes,
        };
        (events <= WAITING_MAX && all_bytes <= WAITING_BYTES_MAX).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.load.events.fetch_sub(1, Ordering::Relaxed);
        self.load.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
pub(super) fn event(id: &str, since: Instant) -> Event {
    let place = Place::take(&Arc::default(), 0);
    Event {
        id: id.to_owned(),
        body: Bytes::new(),
        since,
        _place: place.expect("a place of its own"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(queue: &Queue, bytes: usize) {
        queue.offer("1".to_owned(), vec![0; bytes].into(), Instant::now());
    }

    #[test]
    fn as_many_events_wait_as_may_and_what_comes_beyond_is_dropped_and_counted() {
        let (queue, mut offered, load) = Queue::new("shop".to_owned());
        for _ in 0..WAITING_MAX + 3 {
            offer(&queue, 1);
        }
        assert_eq!((load.events(), load.take_dropped()), (WAITING_MAX, 3));
        // One that is being told still waits; one that was told does not.
        let told = offered.try_recv().expect("an event");
        offer(&queue, 1);
        assert_eq!((load.events(), load.take_dropped()), (WAITING_MAX, 1));
        drop(told);
        offer(&queue, 1);
        assert_eq!((load.events(), load.take_dropped()), (WAITING_MAX, 0));
    }

    #[test]
    fn as_many_bytes_wait_as_may() {
        let (queue, mut offered, load) = Queue::new("shop".to_owned());
        for _ in 0..4 {
            offer(&queue, WAITING_BYTES_MAX / 4);
        }
        offer(&queue, 1);
        assert_eq!((load.events(), load.take_dropped()), (4, 1));
        drop(offered.try_recv().expect("an event"));
        offer(&queue, WAITING_BYTES_MAX / 4);
        assert_eq!((load.events(), load.take_dropped()), (4, 0));
    }

    #[test]
    fn what_comes_when_nobody_calls_any_more_is_dropped_and_counted() {
        let (queue, offered, load) = Queue::new("shop".to_owned());
        offer(&queue, 1);
        drop(offered);
        offer(&queue, 1);
        assert_eq!((load.events(), load.take_dropped()), (0, 1));
    }
}
