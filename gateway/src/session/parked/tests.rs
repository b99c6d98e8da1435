use sluice_protocol::{IdProfile, RoomId, UserId};

use super::*;
use crate::identity::{AppIndex, ConnectionKey, WorkerIndex};

const WINDOW: Duration = Duration::from_secs(30);

struct Desk {
    parked: Parked,
    start: Instant,
}

impl Desk {
    fn new(sessions_max: usize) -> Self {
        Self {
            parked: Parked::new(WINDOW, sessions_max),
            start: Instant::now(),
        }
    }

    fn at(&self, seconds: u64) -> Instant {
        self.start + Duration::from_secs(seconds)
    }

    fn park(&mut self, seconds: u64, user: &str, rooms: usize) -> Option<Box<Lost>> {
        let now = self.at(seconds);
        self.parked.park(now, lost(user, rooms))
    }

    /// Who leaves when so many rooms may be left.
    fn expire(&mut self, seconds: u64, rooms_max: usize) -> Vec<String> {
        let now = self.at(seconds);
        let over = self.parked.expire(now, rooms_max);
        over.iter().map(|lost| name(lost)).collect()
    }
}

fn user(id: &str) -> Arc<User> {
    Arc::new(User {
        app: AppIndex(0),
        id: UserId::parse(id, IdProfile::Zim).expect("a user id"),
        name: "".into(),
    })
}

fn lost(id: &str, rooms: usize) -> Box<Lost> {
    let connection = ConnectionRef {
        worker: WorkerIndex(0),
        key: ConnectionKey::default(),
    };
    let room = |number| RoomKey {
        app: AppIndex(0),
        id: RoomId::parse(&format!("room{number}")).expect("a room id"),
    };
    Box::new(Lost::new(user(id), connection, (0..rooms).map(room).collect()))
}

fn name(lost: &Lost) -> String {
    lost.user.id.as_str().to_owned()
}

#[test]
fn places_are_kept_for_the_window_to_the_instant() {
    let mut desk = Desk::new(10);
    assert!(desk.park(0, "alice", 1).is_none());
    assert!(desk.park(1, "bob", 1).is_none());
    let just_before = desk.at(30) - Duration::from_nanos(1);
    assert!(desk.parked.expire(just_before, 100).is_empty());
    assert_eq!(desk.expire(30, 100), ["alice"]);
    assert_eq!(desk.expire(31, 100), ["bob"]);
    assert_eq!(desk.parked.len(), 0);
    assert!(desk.parked.by_user.is_empty() && desk.parked.queue.is_empty());
}

#[test]
fn many_whose_time_is_over_together_leave_a_part_at_a_time() {
    let mut desk = Desk::new(10);
    for user in ["alice", "bob", "carol", "dave"] {
        desk.park(0, user, 2);
    }
    assert_eq!(desk.expire(40, 3), ["alice", "bob"]);
    assert_eq!(desk.expire(40, 2), ["carol"]);
    assert_eq!(desk.expire(40, 3), ["dave"]);
}

#[test]
fn beyond_the_bound_the_oldest_leaves_early() {
    let mut desk = Desk::new(2);
    assert!(desk.park(0, "alice", 1).is_none());
    assert!(desk.park(1, "bob", 1).is_none());
    assert_eq!(desk.park(2, "carol", 1).as_deref().map(name), Some("alice".into()));
    assert_eq!(desk.parked.len(), 2);
    assert!(desk.parked.take_all(&user("alice").key()).is_empty());
}

#[test]
fn places_in_the_queue_that_were_taken_out_count_for_the_bound_until_they_are_at_its_head() {
    let mut desk = Desk::new(3);
    for user in ["alice", "bob", "carol"] {
        assert!(desk.park(0, user, 1).is_none());
    }
    assert_eq!(desk.parked.take_all(&user("bob").key()).len(), 1);
    assert_eq!(desk.park(1, "dave", 1).as_deref().map(name), Some("alice".into()));
    assert!(desk.park(1, "erin", 1).is_none(), "in the place of bob");
    assert_eq!(desk.parked.queue.len(), 3);
    assert_eq!(desk.parked.len(), 3);
}

#[test]
fn all_of_a_user_are_taken_out_together() {
    let mut desk = Desk::new(10);
    for user in ["alice", "bob", "alice"] {
        desk.park(0, user, 1);
    }
    assert_eq!(desk.parked.take_all(&user("alice").key()).len(), 2);
    assert_eq!(desk.expire(30, 100), ["bob"]);
    assert!(desk.parked.by_user.is_empty());
}
