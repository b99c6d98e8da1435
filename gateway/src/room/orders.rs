//! Orders of the app's server to rooms, each led to the part of the room that it concerns.

use crate::clock::Now;
use crate::identity::RoomKey;
use crate::room::{Order, Ordered, Rooms};

impl Rooms {
    /// Carries out an order of the app's server.
    pub(crate) fn order(&mut self, now: Now, key: &RoomKey, order: Order) -> Ordered {
        let mut ordered = match order {
            Order::Create(_)
            | Order::SetEnds(_)
            | Order::Destroy
            | Order::Describe
            | Order::Members { .. }
            | Order::AreInside(_)
            | Order::Join(_) => self.keep_house(now, key, order),
            Order::Enlist { .. }
            | Order::Strike { .. }
            | Order::Listed(_)
            | Order::Kick { .. }
            | Order::Mute { .. }
            | Order::Stop(_)
            | Order::Rules => self.moderate(now, key, order),
            Order::Publish(_) | Order::Recall { .. } => self.speak(now, key, order),
            Order::WriteAttributes { .. } | Order::Attributes(_) => self.order_attributes(now, key, order),
        };
        self.settle(now, key, &mut ordered.effects);
        ordered
    }
}
