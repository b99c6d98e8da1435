//! How many rooms each app may have: counted over all workers, whatever worker is a room's home.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::config::App;
use crate::identity::AppIndex;

/// See the module.
#[derive(Debug)]
pub(crate) struct RoomPlaces {
    apps: Box<[Places]>,
}

#[derive(Debug)]
struct Places {
    taken: AtomicUsize,
    max: usize,
}

/// One room's place. Dropping it gives it back.
#[derive(Debug)]
pub(super) struct RoomPlace {
    places: Arc<RoomPlaces>,
    app: AppIndex,
}

impl RoomPlaces {
    /// The apps by their index, all places free.
    pub(crate) fn new(apps: &[App]) -> Self {
        let places = |app: &App| Places {
            taken: AtomicUsize::new(0),
            max: app.rooms_max,
        };
        Self {
            apps: apps.iter().map(places).collect(),
        }
    }

    /// A place for a room more, if there is one.
    pub(super) fn take(self: &Arc<Self>, app: AppIndex) -> Option<RoomPlace> {
        let Places { taken, max } = &self.apps[usize::from(app.0)];
        let below = |taken| (taken < *max).then_some(taken + 1);
        // Nothing else depends on the order of these.
        taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, below)
            .ok()
            .map(|_| self.place(app))
    }

    /// A place for a room that was there before the start, whether there is one or not.
    pub(super) fn take_again(self: &Arc<Self>, app: AppIndex) -> RoomPlace {
        self.apps[usize::from(app.0)].taken.fetch_add(1, Ordering::Relaxed);
        self.place(app)
    }

    fn place(self: &Arc<Self>, app: AppIndex) -> RoomPlace {
        RoomPlace {
            places: self.clone(),
            app,
        }
    }
}

impl Drop for RoomPlace {
    fn drop(&mut self) {
        self.places.apps[usize::from(self.app.0)]
            .taken
            .fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_app_has_its_places_and_gets_them_back() {
        let app = |rooms_max| App {
            rooms_max,
            ..App::new("app")
        };
        let places = Arc::new(RoomPlaces::new(&[app(2), app(1)]));
        let first = places.take(AppIndex(0)).expect("a place");
        let _second = places.take(AppIndex(0)).expect("a place");
        assert!(places.take(AppIndex(0)).is_none());
        let _other = places.take(AppIndex(1)).expect("a place of the other app");
        drop(first);
        let _third = places.take(AppIndex(0)).expect("a place that was given back");
        // Who was there before is never turned away, but counts.
        let again = places.take_again(AppIndex(0));
        drop(again);
        assert!(places.take(AppIndex(0)).is_none());
    }
}
