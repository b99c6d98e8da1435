//! Frames for one connection alone, back to back. An empty queue owns no memory.

use crate::outbox::Overflow;

#[derive(Debug)]
pub(super) struct PrivateQueue {
    bytes: Vec<u8>,
    /// How many of `bytes` the transport has taken.
    sent: usize,
    /// Small numbers: each connection has these.
    bytes_max: u32,
    /// Bytes of answers that surely wait still. They take nothing from the bound: a page of history that a slow client has asked for is no reason to close
    /// it at the next event.
    answers: u32,
}

impl PrivateQueue {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            bytes: Vec::new(),
            sent: 0,
            bytes_max: small(bytes_max),
            answers: 0,
        }
    }

    pub(super) fn push(&mut self, frame: &[u8]) -> Result<(), Overflow> {
        if frame.len() > self.free() {
            return Err(Overflow);
        }
        self.bytes.extend_from_slice(frame);
        Ok(())
    }

    /// What its own command asked for, beyond the bound.
    pub(super) fn push_answer(&mut self, frame: &[u8]) {
        self.bytes.extend_from_slice(frame);
        self.answers = self.answers.saturating_add(small(frame.len()));
    }

    /// Puts the rest of a frame that is already half on the wire before everything else.
    pub(super) fn finish_first(&mut self, rest: Vec<u8>) {
        debug_assert_eq!(self.sent, 0, "only one frame can be half written");
        let queued = std::mem::replace(&mut self.bytes, rest);
        self.bytes.extend_from_slice(&queued);
    }

    /// What still fits beside the answers.
    pub(super) fn free(&self) -> usize {
        (self.bytes_max as usize).saturating_sub(self.len() - self.answers as usize)
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn unsent(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    pub(super) fn advance(&mut self, bytes: usize) {
        self.sent += bytes;
        // As if answers went first: so they never seem to be more than they are, and the bound holds.
        self.answers = self.answers.saturating_sub(small(bytes));
        if self.sent == self.bytes.len() {
            self.bytes = Vec::new();
            self.sent = 0;
        } else if self.sent > self.bytes.len() / 2 {
            // A queue that is never quite empty must not keep all that ever went through it. Moving at most as many bytes as were
            // sent keeps the cost of a byte constant.
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
    }
}

/// What is more than 4 GiB counts as that.
fn small(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_is_never_empty_keeps_only_what_waits() {
        let mut queue = PrivateQueue::new(1 << 20);
        queue.push(&[0; 1000]).unwrap();
        for _ in 0..10_000 {
            queue.push(&[0; 1000]).unwrap();
            queue.advance(1000);
            assert_eq!(queue.len(), 1000);
        }
        assert!(queue.bytes.capacity() < 16 * 1024, "{}", queue.bytes.capacity());
    }

    #[test]
    fn an_answer_that_waits_takes_no_room_from_what_comes_unasked_and_gives_it_none() {
        let mut queue = PrivateQueue::new(100);
        queue.push(&[0; 60]).unwrap();
        queue.push_answer(&[0; 500]);
        queue.push(&[0; 40]).unwrap();
        assert_eq!(queue.push(&[0; 1]), Err(Overflow));
        queue.advance(600);
        assert_eq!(queue.push(&[0; 101]), Err(Overflow));
        queue.push(&[0; 100]).unwrap();
    }

    #[test]
    fn answers_do_not_lift_the_bound_of_a_queue_that_is_never_empty() {
        let mut queue = PrivateQueue::new(100);
        for _ in 0..1000 {
            queue.push_answer(&[0; 50]);
            while queue.push(&[0; 10]).is_ok() {}
            queue.advance(60);
            assert!(queue.len() <= 150, "{}", queue.len());
        }
    }

    #[test]
    fn the_rest_of_a_frame_goes_first() {
        let mut queue = PrivateQueue::new(100);
        queue.push(b"whole").unwrap();
        queue.finish_first(b"rest".to_vec());
        assert_eq!(queue.unsent(), b"restwhole");
        assert_eq!(queue.free(), 91);
        assert_eq!(queue.push(&[0; 92]), Err(Overflow));
    }
}
