//! Likes: taps that come by the hundred and are sent as a number, once a second.
//!
//! Each like as a message of its own would be refused by the sender's rate and shed by the room's budget. [`Likes`] counts them
//! and sends the sum.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::client::Client;
use crate::message::OutgoingMessage;

/// The shortest time between two messages.
const INTERVAL: Duration = Duration::from_secs(1);

/// Gathers the likes of one user in one room and sends their sum as a custom message, at most once a second.
///
/// The first like goes out at once. Those that follow within a second go out together when it is over. The message has the lowest
/// priority; if it does not get through, its likes are lost, as the next ones would be. Dropping this sends what is left, while
/// the connection lasts.
#[derive(Debug)]
pub struct Likes {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: AtomicU64,
    more: Notify,
    over: AtomicBool,
}

impl Likes {
    /// Likes for `room_id`, as messages named `object_name` (1 to 64 bytes, not beginning with `RC:`) whose content `encode` makes
    /// of their number. Must be called inside a Tokio runtime with timers.
    pub fn new(
        client: Client,
        room_id: impl Into<String>,
        object_name: impl Into<String>,
        encode: impl Fn(u64) -> Bytes + Send + 'static,
    ) -> Self {
        let (room_id, object_name) = (room_id.into(), object_name.into());
        let send = move |likes| {
            let message = OutgoingMessage::custom(room_id.clone(), object_name.clone(), encode(likes));
            // Queued by the call; nobody waits for the answer.
            drop(client.send(message.priority(crate::Priority::Low)));
        };
        Self::sending(send)
    }

    /// Adds `count` likes.
    pub fn add(&self, count: u64) {
        self.shared.waiting.fetch_add(count, Ordering::Relaxed);
        self.shared.more.notify_one();
    }

    fn sending(send: impl Fn(u64) + Send + 'static) -> Self {
        let shared = Arc::new(Shared::default());
        tokio::spawn(run(shared.clone(), send));
        Self { shared }
    }
}

impl Drop for Likes {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        self.shared.more.notify_one();
    }
}

async fn run(shared: Arc<Shared>, send: impl Fn(u64)) {
    loop {
        shared.more.notified().await;
        let likes = shared.waiting.swap(0, Ordering::Relaxed);
        if likes > 0 {
            send(likes);
        }
        if shared.over.load(Ordering::Relaxed) {
            return;
        }
        if likes > 0 {
            let until = Instant::now() + INTERVAL;
            // The end does not wait for the second to be over, but more likes do.
            while !shared.over.load(Ordering::Relaxed) && Instant::now() < until {
                tokio::select! {
                    () = sleep_until(until) => {}
                    () = shared.more.notified() => {}
                }
            }
            shared.more.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;
    use tokio::time::advance;

    use super::*;

    fn likes() -> (Likes, mpsc::UnboundedReceiver<u64>) {
        let (sent, messages) = mpsc::unbounded_channel();
        let likes = Likes::sending(move |count| sent.send(count).expect("somebody counts"));
        (likes, messages)
    }

    async fn settle() {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_like_goes_out_at_once_and_those_that_follow_together() {
        let (likes, mut messages) = likes();
        likes.add(1);
        settle().await;
        assert_eq!(messages.try_recv(), Ok(1));
        for _ in 0..100 {
            likes.add(2);
            advance(Duration::from_millis(9)).await;
            settle().await;
        }
        assert!(messages.try_recv().is_err());
        advance(Duration::from_millis(100)).await;
        settle().await;
        assert_eq!(messages.try_recv(), Ok(200));
        assert!(messages.try_recv().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_sent_where_there_was_nothing() {
        let (likes, mut messages) = likes();
        likes.add(3);
        settle().await;
        assert_eq!(messages.try_recv(), Ok(3));
        for _ in 0..5 {
            advance(INTERVAL).await;
            settle().await;
        }
        assert!(messages.try_recv().is_err());
        likes.add(4);
        settle().await;
        assert_eq!(messages.try_recv(), Ok(4), "at once again");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_goes_out_at_the_end() {
        let (likes, mut messages) = likes();
        likes.add(1);
        settle().await;
        likes.add(5);
        drop(likes);
        assert_eq!(messages.recv().await, Some(1));
        assert_eq!(messages.recv().await, Some(5));
        assert_eq!(messages.recv().await, None, "and it ends");
    }
}
