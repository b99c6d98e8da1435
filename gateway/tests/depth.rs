//! The count of what waits for a worker, under every interleaving of the workers that change it.

/// The code under test takes its atomics from here.
mod sync {
    pub(crate) use loom::sync::atomic::{AtomicUsize, Ordering};
}

#[path = "../src/worker/mailbox/depth.rs"]
mod depth;

use loom::sync::Arc;
use loom::sync::mpsc;
use loom::thread;

use depth::Depth;

/// More than there ever is: what a count below nothing would look like.
const ABSURD: usize = 1_000;

#[test]
fn nobody_ever_sees_less_than_nothing_and_in_the_end_there_is_nothing() {
    loom::model(|| {
        let depth = Arc::new(Depth::default());
        let (sender, receiver) = mpsc::channel();
        let senders: Vec<_> = [2, 3]
            .into_iter()
            .map(|weight| {
                let (depth, sender) = (depth.clone(), sender.clone());
                thread::spawn(move || {
                    depth.add(weight);
                    sender.send(weight).expect("the receiver lives");
                })
            })
            .collect();
        for _ in 0..2 {
            let weight = receiver.recv().expect("two were sent");
            // What was taken out and is still being worked on.
            depth.replace(0, 4);
            depth.subtract(weight);
            assert!(depth.get() < ABSURD);
            depth.replace(4, 0);
            assert!(depth.get() < ABSURD);
        }
        for sender in senders {
            sender.join().expect("it ends");
        }
        assert_eq!(depth.get(), 0);
    });
}
