//! What the app's server decides about a room, what comes of it, and what it says itself.

mod against_a_model;
mod muting;
mod putting_out;
mod staying;
mod stopping;
mod voice;
mod words;

use sluice_protocol::{RoomKickedOut, RoomMuteChanged};

use super::*;
use crate::policy::{ListOf, Name};
use crate::store::{Entry, RoomList};

/// All that one order came to.
#[derive(Debug)]
struct Decided {
    answer: Result<Answer, Refusal>,
    /// To everybody inside, in order.
    published: Vec<Frame>,
    expelled: Vec<(ConnectionRef, RoomKickedOut)>,
    notified: Vec<(ConnectionRef, RoomMuteChanged)>,
    kept: Vec<Change>,
}

impl Hall {
    fn decide(&mut self, order: Order) -> Decided {
        let Ordered { answer, effects } = self.rooms.order(self.now, &lobby(), order);
        let mut decided = Decided {
            answer,
            published: Vec::new(),
            expelled: Vec::new(),
            notified: Vec::new(),
            kept: Vec::new(),
        };
        for effect in effects {
            match effect {
                Effect::Publish { frame, .. } | Effect::Gap { frame, .. } => decided.published.push(open(&frame)),
                Effect::Expel {
                    connection,
                    frame,
                    reason,
                } => {
                    let Some(Body::RoomKickedOut(event)) = open(&frame).body else {
                        panic!("{frame:?}")
                    };
                    assert_eq!((event.reason(), &*event.room_id), (reason, "lobby"));
                    decided.expelled.push((connection, event));
                }
                Effect::Notify { connection, frame } => match open(&frame).body {
                    Some(Body::RoomMuteChanged(event)) => decided.notified.push((connection, event)),
                    other => panic!("{other:?}"),
                },
                Effect::Keep(change) => decided.kept.push(change),
                other => panic!("{other:?}"),
            }
        }
        decided
    }

    fn enlist(&mut self, list: RoomList, users: &[&str], lasts: Option<Duration>) -> Decided {
        let order = Order::Enlist {
            list,
            users: users.iter().map(|id| user(id)).collect(),
            entry: self.entry(lasts),
            tell: Tell::Nobody,
        };
        self.decide(order)
    }

    fn strike(&mut self, list: RoomList, users: &[&str]) -> Decided {
        let users = users.iter().map(|id| user(id)).collect();
        self.decide(Order::Strike {
            list,
            users,
            tell: Tell::Nobody,
            extra: String::new(),
        })
    }

    fn kick(&mut self, users: &[&str]) -> Decided {
        self.decide(Order::Kick {
            users: users.iter().map(|id| user(id)).collect(),
            extra: "spam".to_owned(),
        })
    }

    fn mute(&mut self, muted: bool) -> Decided {
        self.decide(Order::Mute {
            muted,
            tell: Tell::Nobody,
            extra: "quiet please".to_owned(),
        })
    }

    /// Puts something on a list of the app.
    fn enlist_in_app<K: Name>(&self, list: &ListOf<K>, name: K, entry: Entry) {
        let policies = &self.rooms.rules.policies;
        policies
            .enlist(AppIndex(0), list, &[(name, entry)], self.now, |_| ())
            .expect("there is room");
    }

    fn entry(&self, lasts: Option<Duration>) -> Entry {
        Entry {
            until_ms: lasts.map(|lasts| (self.now + lasts).unix_ms),
            since_ms: self.now.unix_ms,
            text: "why".to_owned(),
        }
    }

    fn listed(&mut self, list: RoomList) -> Vec<String> {
        match self.decide(Order::Listed(list)).answer {
            Ok(Answer::Listed(users)) => users.into_iter().map(|(user, _)| user.as_str().to_owned()).collect(),
            other => panic!("{other:?}"),
        }
    }
}

impl Decided {
    /// That it was done.
    #[track_caller]
    fn done(self) -> Self {
        assert_eq!(self.answer, Ok(Answer::Done));
        self
    }

    /// The code and the detail of a refusal that changed nothing.
    fn refused(&self) -> (i32, &str) {
        let Err(refusal) = &self.answer else { panic!("{self:?}") };
        assert!(self.published.is_empty() && self.expelled.is_empty() && self.kept.is_empty());
        (refusal.code.number(), &refusal.detail)
    }
}

fn user(id: &str) -> UserId {
    UserId::parse(id, IdProfile::Zim).unwrap()
}
