//! Joining again the rooms that a lost session was inside, where it could not be resumed. Knows no clock and no socket.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use sluice_protocol::ErrorCode;
use tokio::time::Instant;

use crate::error::ClientError;

/// Rooms that are joined at once: enough to hide the round trip, few enough to stay below a server's rate for one session.
const UNDER_WAY_MAX: usize = 16;

/// How long all of it may take. The app's calls wait meanwhile, and none of them waits longer.
const RESTORING_TIMEOUT: Duration = Duration::from_secs(20);

/// The wait after a refusal that names none.
const PAUSE: Duration = Duration::from_secs(1);

/// The rooms that are still to be joined.
#[derive(Debug)]
pub(crate) struct Restoring {
    waiting: VecDeque<String>,
    under_way: HashMap<u32, String>,
    not_before: Option<Instant>,
    give_up_at: Instant,
}

/// What an answer means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Restored {
    Inside(String),
    Lost(String, ClientError),
    /// It is asked for again later.
    Later,
}

impl Restoring {
    pub(crate) fn new(room_ids: Vec<String>, now: Instant) -> Self {
        Self {
            waiting: room_ids.into(),
            under_way: HashMap::new(),
            not_before: None,
            give_up_at: now + RESTORING_TIMEOUT,
        }
    }

    /// Whether the app's calls can go on.
    pub(super) fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.under_way.is_empty()
    }

    /// The room to join next, if it is time for one. Call [`Self::on_asked`] with it.
    pub(super) fn next(&mut self, now: Instant) -> Option<String> {
        let may = self.under_way.len() < UNDER_WAY_MAX && self.not_before.is_none_or(|at| at <= now);
        may.then(|| self.waiting.pop_front()).flatten()
    }

    pub(super) fn on_asked(&mut self, request_id: u32, room_id: String) {
        self.under_way.insert(request_id, room_id);
    }

    /// An answer: `None` if it is for somebody else. `refusal` is what it says when it is none.
    pub(super) fn on_answer(
        &mut self,
        request_id: u32,
        refusal: Option<ClientError>,
        now: Instant,
    ) -> Option<Restored> {
        let room_id = self.under_way.remove(&request_id)?;
        Some(match refusal {
            None => Restored::Inside(room_id),
            Some(refusal) if refusal.code == ErrorCode::REQUEST_TOO_FREQUENT => {
                let pause = refusal.retry_after.unwrap_or(PAUSE);
                self.not_before = self.not_before.max(Some(now + pause));
                self.waiting.push_back(room_id);
                Restored::Later
            }
            Some(refusal) => Restored::Lost(room_id, refusal),
        })
    }

    /// The rooms to give up.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<String> {
        if now < self.give_up_at {
            return Vec::new();
        }
        self.unfinished()
    }

    /// Those that are neither inside nor lost.
    pub(super) fn unfinished(&mut self) -> Vec<String> {
        let under_way = self.under_way.drain().map(|(_, room_id)| room_id);
        self.waiting.drain(..).chain(under_way).collect()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        if self.is_done() {
            return None;
        }
        let pause = self
            .not_before
            .filter(|_| !self.waiting.is_empty() && self.under_way.len() < UNDER_WAY_MAX);
        Some(pause.map_or(self.give_up_at, |at| at.min(self.give_up_at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rooms(count: usize) -> Vec<String> {
        (0..count).map(|n| format!("room-{n}")).collect()
    }

    fn ask_all(restoring: &mut Restoring, now: Instant) -> u32 {
        let mut asked = 0;
        while let Some(room_id) = restoring.next(now) {
            asked += 1;
            restoring.on_asked(asked, room_id);
        }
        asked
    }

    #[test]
    fn a_few_rooms_are_joined_at_once_and_the_others_as_answers_come() {
        let now = Instant::now();
        let mut restoring = Restoring::new(rooms(20), now);
        assert_eq!(ask_all(&mut restoring, now), 16);
        assert_eq!(
            restoring.on_answer(1, None, now),
            Some(Restored::Inside("room-0".into()))
        );
        assert_eq!(restoring.on_answer(1, None, now), None, "an answer for somebody else");
        assert_eq!(restoring.next(now), Some("room-16".into()));
        assert!(!restoring.is_done());
    }

    #[test]
    fn a_room_that_is_refused_is_lost_and_the_others_are_not() {
        let now = Instant::now();
        let mut restoring = Restoring::new(rooms(2), now);
        ask_all(&mut restoring, now);
        let refusal = ClientError::new(ErrorCode::CHATROOM_NOT_EXIST, "", "");
        assert_eq!(
            restoring.on_answer(1, Some(refusal.clone()), now),
            Some(Restored::Lost("room-0".into(), refusal))
        );
        assert!(!restoring.is_done());
        restoring.on_answer(2, None, now);
        assert!(restoring.is_done());
        assert_eq!(restoring.next_deadline(), None);
    }

    #[test]
    fn a_server_that_is_too_busy_is_asked_again_when_it_says() {
        let now = Instant::now();
        let mut restoring = Restoring::new(rooms(1), now);
        ask_all(&mut restoring, now);
        let mut refusal = ClientError::new(ErrorCode::REQUEST_TOO_FREQUENT, "rate", "");
        refusal.retry_after = Some(Duration::from_millis(300));
        assert_eq!(restoring.on_answer(1, Some(refusal), now), Some(Restored::Later));
        let later = now + Duration::from_millis(300);
        assert_eq!(restoring.next_deadline(), Some(later));
        assert_eq!(restoring.next(later - Duration::from_millis(1)), None);
        assert_eq!(restoring.next(later), Some("room-0".into()));
    }

    #[test]
    fn after_twenty_seconds_what_is_left_is_given_up() {
        let now = Instant::now();
        let mut restoring = Restoring::new(rooms(20), now);
        ask_all(&mut restoring, now);
        assert_eq!(restoring.expire(now + Duration::from_secs(19)), rooms(0));
        assert_eq!(restoring.next_deadline(), Some(now + Duration::from_secs(20)));
        let mut given_up = restoring.expire(now + Duration::from_secs(20));
        given_up.sort_unstable();
        let mut all = rooms(20);
        all.sort_unstable();
        assert_eq!(given_up, all);
        assert!(restoring.is_done());
    }
}
