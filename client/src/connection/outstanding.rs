//! The requests that wait for a reply. Knows no clock and no socket.

use std::collections::{BTreeSet, HashMap};

use sluice_protocol::reply;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::error::ClientError;
use crate::places::Entry;

/// Requests that may wait for replies at once. More stay in the queue of calls, so that this bounds what a server can
/// be made to answer in one go; at a round trip of 100 ms it still lets 10,000 requests through each second.
pub(super) const OUTSTANDING_MAX: usize = 1024;

/// What a call gets: the result of a reply with code 0.
pub(crate) type Answer = Result<Option<reply::Result>, ClientError>;

/// The requests that wait for a reply, by request id and by deadline.
#[derive(Debug)]
pub(super) struct Outstanding {
    requests: HashMap<u32, Request>,
    deadlines: BTreeSet<(Instant, u32)>,
    last_id: u32,
}

#[derive(Debug)]
struct Request {
    deadline: Instant,
    answer: oneshot::Sender<Answer>,
    /// Of a command that enters a room.
    entry: Option<Entry>,
}

impl Outstanding {
    /// Request ids count up from the one after `last_id`.
    pub(super) fn new(last_id: u32) -> Self {
        Self {
            requests: HashMap::new(),
            deadlines: BTreeSet::new(),
            last_id,
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.requests.len() < OUTSTANDING_MAX
    }

    /// An id that no outstanding request has. Never 0, which means that no reply is wanted.
    pub(super) fn next_id(&mut self) -> u32 {
        loop {
            self.last_id = self.last_id.wrapping_add(1);
            if self.last_id != 0 && !self.requests.contains_key(&self.last_id) {
                return self.last_id;
            }
        }
    }

    /// Remembers a request and gives it an id.
    pub(super) fn insert(&mut self, deadline: Instant, answer: oneshot::Sender<Answer>, entry: Option<Entry>) -> u32 {
        let id = self.next_id();
        self.deadlines.insert((deadline, id));
        let request = Request {
            deadline,
            answer,
            entry,
        };
        self.requests.insert(id, request);
        id
    }

    /// What the request `id` said that enters a room.
    pub(super) fn take_entry(&mut self, id: u32) -> Option<Entry> {
        self.requests.get_mut(&id)?.entry.take()
    }

    /// Answers the request `id`. Ids of nobody are those of pings and of requests that were given up.
    pub(super) fn complete(&mut self, id: u32, answer: Answer) {
        if let Some(request) = self.requests.remove(&id) {
            self.deadlines.remove(&(request.deadline, id));
            tell(request.answer, answer);
        }
    }

    /// Fails the requests whose deadline has passed.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some(&(deadline, id)) = self.deadlines.first() {
            if deadline > now {
                break;
            }
            self.complete(id, Err(ClientError::timeout()));
        }
    }

    pub(super) fn fail_all(&mut self, error: &ClientError) {
        self.deadlines.clear();
        for (_, request) in self.requests.drain() {
            tell(request.answer, Err(error.clone()));
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }
}

/// Callers may stop waiting at any time; their answer is not missed then.
pub(crate) fn tell(answer: oneshot::Sender<Answer>, value: Answer) {
    drop(answer.send(value));
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sluice_protocol::ErrorCode;

    use super::*;

    fn request(outstanding: &mut Outstanding, deadline: Instant) -> (u32, oneshot::Receiver<Answer>) {
        let (answer, answered) = oneshot::channel();
        (outstanding.insert(deadline, answer, None), answered)
    }

    #[test]
    fn a_request_fails_with_5004_at_its_deadline_and_not_before() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut outstanding = Outstanding::new(1);
        let (_, mut early) = request(&mut outstanding, start + second);
        let (_, mut late) = request(&mut outstanding, start + 2 * second);
        assert_eq!(outstanding.next_deadline(), Some(start + second));

        outstanding.expire(start + second / 2);
        assert!(early.try_recv().is_err());
        outstanding.expire(start + second);
        assert_eq!(
            early.try_recv().expect("answered").expect_err("failed").code,
            ErrorCode::TIMEOUT
        );
        assert!(late.try_recv().is_err());
        assert_eq!(outstanding.next_deadline(), Some(start + 2 * second));
    }

    #[test]
    fn replies_find_their_request_in_any_order_and_strangers_are_ignored() {
        let start = Instant::now();
        let mut outstanding = Outstanding::new(1);
        let (first_id, mut first) = request(&mut outstanding, start);
        let (second_id, mut second) = request(&mut outstanding, start);
        assert_eq!((first_id, second_id), (2, 3));
        outstanding.complete(99, Ok(None));
        outstanding.complete(second_id, Ok(None));
        assert!(first.try_recv().is_err());
        assert_eq!(second.try_recv(), Ok(Ok(None)));
        outstanding.complete(first_id, Ok(None));
        assert_eq!(first.try_recv(), Ok(Ok(None)));
        assert_eq!(outstanding.next_deadline(), None);
    }

    #[test]
    fn ids_wrap_past_zero_and_past_those_in_use() {
        let start = Instant::now();
        let mut outstanding = Outstanding::new(0);
        let (used, _answered) = request(&mut outstanding, start);
        assert_eq!(used, 1);
        outstanding.last_id = u32::MAX;
        assert_eq!(outstanding.next_id(), 2);
    }

    #[test]
    fn there_is_no_room_beyond_the_limit() {
        let start = Instant::now();
        let mut outstanding = Outstanding::new(1);
        let waiting: Vec<_> = (0..OUTSTANDING_MAX).map(|_| request(&mut outstanding, start)).collect();
        assert!(!outstanding.has_room());
        outstanding.complete(waiting[0].0, Ok(None));
        assert!(outstanding.has_room());
    }
}
