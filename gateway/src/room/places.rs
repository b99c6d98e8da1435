//! How many rooms each app may have, how many of them one user may have made, how much memory all their attributes may take up, and how
//! many users its server may have put inside: counted over all workers, whatever worker is a room's home.
//!
//! Rooms that were there before the start count for the app alone: who made them is not kept.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashbrown::HashMap;
use sluice_protocol::{ErrorCode, UserId};

use crate::config::App;
use crate::identity::AppIndex;
use crate::refusal::Refusal;

/// Users whom an app's server has put inside rooms, which nothing else ends while the rooms are: 200 MiB.
const SERVER_MEMBERS_MAX: usize = 1_000_000;

/// See the module.
#[derive(Debug)]
pub(crate) struct RoomPlaces {
    apps: Box<[Places]>,
}

#[derive(Debug)]
struct Places {
    taken: AtomicUsize,
    max: usize,
    /// The rooms that each user has made. Only whoever makes or ends one waits here, for no longer than to look it up.
    made: Mutex<HashMap<UserId, usize>>,
    made_max: usize,
    attribute_bytes: AtomicUsize,
    attribute_bytes_max: usize,
    server_members: AtomicUsize,
    server_members_max: usize,
}

/// One room's place. Dropping it gives it back, with what its attributes take up.
#[derive(Debug)]
pub(super) struct RoomPlace {
    places: Arc<RoomPlaces>,
    app: AppIndex,
    /// The member who made the room.
    maker: Option<UserId>,
    attribute_bytes: usize,
    server_members: usize,
}

impl RoomPlaces {
    /// The apps by their index, all places free.
    pub(crate) fn new(apps: &[App]) -> Self {
        let places = |app: &App| Places {
            taken: AtomicUsize::new(0),
            max: app.rooms_max,
            made: Mutex::default(),
            made_max: app.rooms_made_per_user,
            attribute_bytes: AtomicUsize::new(0),
            attribute_bytes_max: app.room_attribute_bytes,
            server_members: AtomicUsize::new(0),
            server_members_max: SERVER_MEMBERS_MAX,
        };
        Self {
            apps: apps.iter().map(places).collect(),
        }
    }

    /// A place for a room more. Without a maker it is the app's server that makes it, which may as often as there are places.
    ///
    /// # Errors
    /// When the app has as many rooms as it may have, or its maker.
    pub(super) fn take(self: &Arc<Self>, app: AppIndex, maker: Option<&UserId>) -> Result<RoomPlace, Refusal> {
        let places = &self.apps[usize::from(app.0)];
        let below = |taken| (taken < places.max).then_some(taken + 1);
        // Nothing else depends on the order of these.
        let taken = places.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, below);
        taken.map_err(|_| const { Refusal::new(ErrorCode::ROOM_LIMIT_OF_APP) })?;
        // From here on dropping it gives the app's place back.
        let mut place = self.place(app);
        if let Some(maker) = maker {
            let mut made = places.made();
            let made = made.entry(maker.clone()).or_insert(0);
            if *made >= places.made_max {
                return Err(Refusal::with_detail(ErrorCode::ROOM_LIMIT_OF_APP, "user"));
            }
            *made += 1;
            place.maker = Some(maker.clone());
        }
        Ok(place)
    }

    /// A place for a room that was there before the start, whether there is one or not.
    pub(super) fn take_again(self: &Arc<Self>, app: AppIndex) -> RoomPlace {
        self.apps[usize::from(app.0)].taken.fetch_add(1, Ordering::Relaxed);
        self.place(app)
    }

    /// Whether an app's server may put so many users more inside. Homes that ask at the same moment do not see each other's, as with
    /// attributes.
    pub(super) fn has_place_for_server_members(&self, app: AppIndex, more: usize) -> bool {
        let places = &self.apps[usize::from(app.0)];
        let inside = places.server_members.load(Ordering::Relaxed);
        inside.saturating_add(more) <= places.server_members_max
    }

    fn place(self: &Arc<Self>, app: AppIndex) -> RoomPlace {
        RoomPlace {
            places: self.clone(),
            app,
            maker: None,
            attribute_bytes: 0,
            server_members: 0,
        }
    }
}

impl RoomPlace {
    /// How much the attributes of this room may take up, as things are: what those of the app's other rooms leave.
    ///
    /// Homes that write at the same moment do not see each other's: the app may be beyond its bound by one command for each worker.
    pub(super) fn attribute_bytes_max(&self) -> usize {
        let places = self.of_app();
        let all = places.attribute_bytes.load(Ordering::Relaxed);
        places
            .attribute_bytes_max
            .saturating_sub(all.saturating_sub(self.attribute_bytes))
    }

    /// What the attributes of this room take up.
    pub(super) fn attribute_bytes(&self) -> usize {
        self.attribute_bytes
    }

    /// Notes what they take up now.
    pub(super) fn set_attribute_bytes(&mut self, bytes: usize) {
        let all = &self.of_app().attribute_bytes;
        all.fetch_add(bytes, Ordering::Relaxed);
        all.fetch_sub(self.attribute_bytes, Ordering::Relaxed);
        self.attribute_bytes = bytes;
    }

    /// Notes how many users the app's server has put inside the room.
    pub(super) fn set_server_members(&mut self, count: usize) {
        if count == self.server_members {
            return;
        }
        let all = &self.of_app().server_members;
        all.fetch_add(count, Ordering::Relaxed);
        all.fetch_sub(self.server_members, Ordering::Relaxed);
        self.server_members = count;
    }

    fn of_app(&self) -> &Places {
        &self.places.apps[usize::from(self.app.0)]
    }
}

impl Places {
    /// The lock is never held where something can panic half way.
    fn made(&self) -> MutexGuard<'_, HashMap<UserId, usize>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RoomPlace {
    fn drop(&mut self) {
        let places = self.of_app();
        places.taken.fetch_sub(1, Ordering::Relaxed);
        places
            .attribute_bytes
            .fetch_sub(self.attribute_bytes, Ordering::Relaxed);
        places.server_members.fetch_sub(self.server_members, Ordering::Relaxed);
        if let Some(maker) = &self.maker {
            let mut made = places.made();
            let left = made.get_mut(maker).map_or(0, |made| {
                *made -= 1;
                *made
            });
            if left == 0 {
                made.remove(maker);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use sluice_protocol::IdProfile;

    use super::*;

    #[test]
    fn each_app_has_its_places_and_gets_them_back() {
        let app = |rooms_max| App {
            rooms_max,
            ..App::new("app")
        };
        let places = Arc::new(RoomPlaces::new(&[app(2), app(1)]));
        let take = |app| places.take(AppIndex(app), None);
        let first = take(0).expect("a place");
        let _second = take(0).expect("a place");
        assert!(take(0).is_err());
        let _other = take(1).expect("a place of the other app");
        drop(first);
        let _third = take(0).expect("a place that was given back");
        // Who was there before is never turned away, but counts.
        let again = places.take_again(AppIndex(0));
        drop(again);
        assert!(take(0).is_err());
    }

    #[test]
    fn what_the_attributes_of_one_room_take_up_the_others_cannot_have_until_it_is_given_back() {
        let app = App {
            room_attribute_bytes: 1000,
            ..App::new("app")
        };
        let places = Arc::new(RoomPlaces::new(&[app, App::new("other")]));
        let take = |app| places.take(AppIndex(app), None).expect("a place");
        let (mut one, two, other) = (take(0), take(0), take(1));
        one.set_attribute_bytes(700);
        assert_eq!((one.attribute_bytes_max(), two.attribute_bytes_max()), (1000, 300));
        one.set_attribute_bytes(400);
        assert_eq!(two.attribute_bytes_max(), 600);
        // Those that were kept over a restart count, and may be too many.
        one.set_attribute_bytes(1200);
        assert_eq!((one.attribute_bytes_max(), two.attribute_bytes_max()), (1000, 0));
        assert_eq!(other.attribute_bytes_max(), App::new("other").room_attribute_bytes);
        drop(one);
        assert_eq!(two.attribute_bytes_max(), 1000);
    }

    #[test]
    fn members_by_the_server_are_counted_over_all_rooms_of_the_app_and_go_with_theirs() {
        let mut places = RoomPlaces::new(&[App::new("app"), App::new("other")]);
        places.apps[0].server_members_max = 10;
        let places = Arc::new(places);
        let take = |app| places.take(AppIndex(app), None).expect("a place");
        let (mut one, mut two) = (take(0), take(0));
        one.set_server_members(6);
        two.set_server_members(3);
        assert!(places.has_place_for_server_members(AppIndex(0), 1));
        assert!(!places.has_place_for_server_members(AppIndex(0), 2));
        assert!(places.has_place_for_server_members(AppIndex(1), 50));
        two.set_server_members(2);
        assert!(places.has_place_for_server_members(AppIndex(0), 2));
        drop(one);
        assert!(places.has_place_for_server_members(AppIndex(0), 8));
        assert!(!places.has_place_for_server_members(AppIndex(0), 9));
    }

    #[test]
    fn each_user_makes_so_many_and_gets_them_back() {
        let app = App {
            rooms_max: 6,
            rooms_made_per_user: 2,
            ..App::new("app")
        };
        let places = Arc::new(RoomPlaces::new(&[app]));
        let user = |name| UserId::parse(name, IdProfile::Zim).expect("a user id");
        let (alice, bob) = (user("alice"), user("bob"));
        let take = |user| places.take(AppIndex(0), user);
        let first = take(Some(&alice)).expect("a place");
        let _second = take(Some(&alice)).expect("a place");
        for _ in 0..10 {
            let refused = take(Some(&alice)).expect_err("she has made two");
            assert_eq!((refused.code.number(), &*refused.detail), (6_000_324, "user"));
        }
        let bobs = take(Some(&bob)).expect("a place of his own");
        let _server: Vec<RoomPlace> = (0..3).map(|_| take(None).expect("nobody's")).collect();
        drop(first);
        let _third = take(Some(&alice)).expect("a place that was given back");
        let refused = take(Some(&bob)).expect_err("the app has six");
        assert_eq!((refused.code.number(), &*refused.detail), (6_000_324, ""));
        drop(bobs);
        assert_eq!(places.apps[0].made().len(), 1, "who has no room is forgotten");
    }
}
