//! Which rooms a session is inside, and how far it is in each. Knows no clock and no socket.

use std::collections::HashMap;

use sluice_protocol::{RoomEntered, RoomMessage, RoomResumed, frame::Body, reply};

/// All rooms of a session, by id.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Places {
    rooms: HashMap<String, Place>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    /// Of the newest message that came, or that was in the room before this session.
    sequence: u64,
    /// Of the newest message that came; 0 before the first.
    message_id: u64,
    /// Tells a room from another of the same name.
    created_at_ms: i64,
    /// What the session brought when it came in, to bring it again.
    extra: String,
    progress: Progress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Current,
    /// Messages from while the session was away are on their way. When they are there it knows all up to `to`.
    CatchingUp {
        to: u64,
    },
}

/// What a command to enter a room says that its answer does not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Entry {
    extra: String,
    /// The room that is left for it.
    leaves: Option<String>,
}

impl Entry {
    /// `None` for commands that enter no room.
    pub(crate) fn of(command: &Body) -> Option<Self> {
        let (extra, leaves) = match command {
            Body::CreateRoom(command) => (&command.extra, None),
            Body::JoinRoom(command) => (&command.extra, None),
            Body::EnterRoom(command) => (&command.extra, None),
            Body::JoinChatRoom(command) => (&command.extra, None),
            Body::JoinExistChatRoom(command) => (&command.extra, None),
            Body::SwitchRoom(command) => (&command.extra, Some(command.leave_room_id.clone())),
            _ => return None,
        };
        Some(Self {
            extra: extra.clone(),
            leaves,
        })
    }
}

/// Whether the app gets a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Novelty {
    New,
    /// It had it before the connection was lost.
    Repeated,
}

impl Places {
    /// Rooms and the newest message known of each.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.rooms
            .iter()
            .map(|(room_id, place)| (room_id.as_str(), place.sequence))
    }

    /// What the session brought into the room.
    pub(crate) fn extra(&self, room_id: &str) -> &str {
        self.rooms.get(room_id).map_or("", |place| &place.extra)
    }

    pub(crate) fn forget(&mut self, room_id: &str) {
        self.rooms.remove(room_id);
    }

    /// A command was done. `entry` is what it said, if it entered a room.
    pub(crate) fn on_done(&mut self, result: &reply::Result, entry: Option<Entry>) {
        match result {
            reply::Result::RoomEntered(entered) => {
                let entry = entry.unwrap_or_default();
                if let Some(left) = &entry.leaves {
                    self.forget(left);
                }
                self.on_entered(entered, entry.extra);
            }
            reply::Result::LeaveRoom(left) => self.forget(&left.room_id),
            reply::Result::LeaveAllRooms(left) => left.room_ids.iter().for_each(|room_id| self.forget(room_id)),
            _ => {}
        }
    }

    /// The session is inside a room. Answers how many messages came since it was there last, if it was and the room goes on counting
    /// where it did.
    pub(crate) fn on_entered(&mut self, entered: &RoomEntered, extra: String) -> Option<u64> {
        let room = entered.room.as_ref()?;
        if let Some(place) = self.rooms.get_mut(&room.room_id) {
            if entered.already_inside {
                return Some(0);
            }
            if place.created_at_ms == room.created_at_ms && place.sequence <= entered.sequence {
                let meanwhile = entered.sequence - place.sequence;
                place.catch_up(entered.history_count, entered.sequence);
                return Some(meanwhile);
            }
        }
        let place = Place {
            sequence: entered.sequence,
            message_id: 0,
            created_at_ms: room.created_at_ms,
            extra,
            progress: Progress::Current,
        };
        self.rooms.insert(room.room_id.clone(), place);
        None
    }

    /// An event has come on the stream.
    pub(crate) fn on_event(&mut self, event: &Body) -> Novelty {
        match event {
            Body::RoomMessage(message) => match self.rooms.get_mut(&message.room_id) {
                Some(place) => return place.on_message(message),
                None => return Novelty::New,
            },
            Body::RoomResumed(resumed) => self.on_resumed(resumed),
            Body::RoomDestroyed(event) => self.forget(&event.room_id),
            Body::RoomKickedOut(event) => self.forget(&event.room_id),
            _ => {}
        }
        Novelty::New
    }

    fn on_resumed(&mut self, resumed: &RoomResumed) {
        // It is inside a room of which it does not know when the answer to entering it was lost.
        let place = self.rooms.entry(resumed.room_id.clone()).or_insert(Place {
            sequence: resumed.sequence,
            message_id: 0,
            created_at_ms: 0,
            extra: String::new(),
            progress: Progress::Current,
        });
        place.catch_up(resumed.replayed, resumed.sequence);
    }
}

impl Place {
    /// `count` messages follow from while the session was away, and with them it knows all up to `sequence`.
    fn catch_up(&mut self, count: u32, sequence: u64) {
        self.progress = match count {
            0 => {
                self.sequence = sequence;
                Progress::Current
            }
            _ => Progress::CatchingUp { to: sequence },
        };
    }

    fn on_message(&mut self, message: &RoomMessage) -> Novelty {
        let novelty = match self.progress {
            Progress::CatchingUp { to } if message.history => {
                if message.left == 0 {
                    self.progress = Progress::Current;
                    let repeated = self.is_known(message);
                    self.sequence = self.sequence.max(to);
                    repeated
                } else {
                    self.is_known(message)
                }
            }
            Progress::CatchingUp { .. } | Progress::Current => {
                if !message.history {
                    self.progress = Progress::Current;
                }
                Novelty::New
            }
        };
        self.sequence = self.sequence.max(message.sequence);
        self.message_id = self.message_id.max(message.message_id);
        novelty
    }

    /// By its id, which grows even where a server that was started again counts from 1; by its number where none has come before.
    fn is_known(&self, message: &RoomMessage) -> Novelty {
        let known = match self.message_id {
            0 => message.sequence <= self.sequence,
            newest => message.message_id <= newest,
        };
        if known { Novelty::Repeated } else { Novelty::New }
    }
}

#[cfg(test)]
mod tests {
    use sluice_protocol::{
        LeaveAllRoomsResult, LeaveRoomResult, RoomDestroyed, RoomGap, RoomInfo, RoomKickedOut, SwitchRoom,
    };

    use super::*;

    fn entered(room_id: &str, sequence: u64) -> RoomEntered {
        RoomEntered {
            room: Some(RoomInfo {
                room_id: room_id.into(),
                created_at_ms: 1000,
                ..RoomInfo::default()
            }),
            sequence,
            ..RoomEntered::default()
        }
    }

    fn message(sequence: u64) -> RoomMessage {
        RoomMessage {
            room_id: "lobby".into(),
            sequence,
            message_id: 7000 + sequence,
            ..RoomMessage::default()
        }
    }

    fn history(sequence: u64, left: u32) -> Body {
        Body::RoomMessage(RoomMessage {
            history: true,
            left,
            ..message(sequence)
        })
    }

    fn live(sequence: u64) -> Body {
        Body::RoomMessage(message(sequence))
    }

    fn inside(room_ids: &[&str]) -> Places {
        let mut places = Places::default();
        for room_id in room_ids {
            assert_eq!(places.on_entered(&entered(room_id, 40), String::new()), None);
        }
        places
    }

    fn known(places: &Places) -> Vec<(&str, u64)> {
        let mut known: Vec<_> = places.iter().collect();
        known.sort_unstable();
        known
    }

    #[test]
    fn a_room_is_known_from_its_newest_message_on() {
        let mut places = inside(&["lobby"]);
        assert_eq!(known(&places), [("lobby", 40)]);
        assert_eq!(places.on_event(&live(41)), Novelty::New);
        assert_eq!(places.on_event(&live(42)), Novelty::New);
        assert_eq!(known(&places), [("lobby", 42)]);
    }

    #[test]
    fn messages_between_the_bounds_of_a_gap_are_not_known_before_they_come() {
        let mut places = inside(&["lobby"]);
        places.on_event(&live(41));
        let gap = RoomGap {
            room_id: "lobby".into(),
            first_sequence: 42,
            last_sequence: 45,
            low: 3,
            ..RoomGap::default()
        };
        places.on_event(&Body::RoomGap(gap));
        assert_eq!(known(&places), [("lobby", 41)]);
        places.on_event(&live(43));
        assert_eq!(known(&places), [("lobby", 43)]);
    }

    #[test]
    fn history_of_a_first_join_is_new_and_leaves_nothing_to_catch_up_with() {
        let mut places = inside(&["lobby"]);
        assert_eq!(places.on_event(&history(38, 1)), Novelty::New);
        assert_eq!(known(&places), [("lobby", 40)]);
        assert_eq!(places.on_event(&history(39, 0)), Novelty::New);
        assert_eq!(known(&places), [("lobby", 40)]);
    }

    #[test]
    fn what_a_resumed_room_replays_is_known_as_it_comes() {
        let mut places = inside(&["lobby"]);
        let resumed = |sequence, replayed| {
            Body::RoomResumed(RoomResumed {
                room_id: "lobby".into(),
                sequence,
                replayed,
                ..RoomResumed::default()
            })
        };
        places.on_event(&resumed(50, 2));
        assert_eq!(known(&places), [("lobby", 40)]);
        assert_eq!(places.on_event(&history(44, 1)), Novelty::New);
        assert_eq!(known(&places), [("lobby", 44)]);
        // Numbers 45 and 47 to 50 were of messages that no room keeps.
        assert_eq!(places.on_event(&history(46, 0)), Novelty::New);
        assert_eq!(known(&places), [("lobby", 50)]);

        places.on_event(&resumed(60, 0));
        assert_eq!(known(&places), [("lobby", 60)]);
    }

    #[test]
    fn a_room_whose_answer_was_lost_is_known_when_it_is_resumed() {
        let mut places = Places::default();
        places.on_event(&Body::RoomResumed(RoomResumed {
            room_id: "lobby".into(),
            sequence: 50,
            ..RoomResumed::default()
        }));
        assert_eq!(known(&places), [("lobby", 50)]);
    }

    #[test]
    fn a_room_joined_again_tells_nothing_twice() {
        let mut places = inside(&["lobby"]);
        places.on_event(&live(41));
        let again = RoomEntered {
            history_count: 3,
            ..entered("lobby", 44)
        };
        assert_eq!(places.on_entered(&again, String::new()), Some(3));
        assert_eq!(places.on_event(&history(41, 2)), Novelty::Repeated);
        assert_eq!(places.on_event(&history(42, 1)), Novelty::New);
        assert_eq!(places.on_event(&history(43, 0)), Novelty::New);
        assert_eq!(known(&places), [("lobby", 44)]);
        assert_eq!(places.on_event(&live(45)), Novelty::New);
    }

    #[test]
    fn before_any_message_the_number_tells_what_was_there_before() {
        let mut places = inside(&["lobby"]);
        let again = RoomEntered {
            history_count: 2,
            ..entered("lobby", 41)
        };
        places.on_entered(&again, String::new());
        assert_eq!(places.on_event(&history(40, 1)), Novelty::Repeated);
        assert_eq!(places.on_event(&history(41, 0)), Novelty::New);
    }

    #[test]
    fn a_room_that_counts_from_1_again_is_another() {
        for again in [
            entered("lobby", 3),
            RoomEntered {
                room: Some(RoomInfo {
                    room_id: "lobby".into(),
                    created_at_ms: 2000,
                    ..RoomInfo::default()
                }),
                sequence: 50,
                ..RoomEntered::default()
            },
        ] {
            let mut places = inside(&["lobby"]);
            places.on_event(&live(41));
            let sequence = again.sequence;
            assert_eq!(places.on_entered(&again, String::new()), None);
            assert_eq!(places.on_event(&history(1, 0)), Novelty::New);
            assert_eq!(known(&places), [("lobby", sequence)]);
        }
    }

    #[test]
    fn a_room_that_has_caught_up_with_its_old_count_after_a_restart_loses_nothing() {
        let mut places = inside(&["lobby"]);
        places.on_event(&live(41));
        let again = RoomEntered {
            history_count: 1,
            ..entered("lobby", 41)
        };
        places.on_entered(&again, String::new());
        let mut newer = message(41);
        newer.message_id += 1;
        newer.history = true;
        assert_eq!(places.on_event(&Body::RoomMessage(newer)), Novelty::New);
    }

    #[test]
    fn rooms_that_are_left_in_any_way_are_forgotten() {
        let mut places = inside(&["a", "b", "c", "d", "e", "f"]);
        let left = |room_id: &str| {
            reply::Result::LeaveRoom(LeaveRoomResult {
                room_id: room_id.into(),
            })
        };
        places.on_done(&left("a"), None);
        places.on_event(&Body::RoomDestroyed(RoomDestroyed {
            room_id: "b".into(),
            ..RoomDestroyed::default()
        }));
        places.on_event(&Body::RoomKickedOut(RoomKickedOut {
            room_id: "c".into(),
            ..RoomKickedOut::default()
        }));
        let switch = Body::SwitchRoom(SwitchRoom {
            leave_room_id: "d".into(),
            room_id: "z".into(),
            extra: "hat".into(),
            ..SwitchRoom::default()
        });
        places.on_done(&reply::Result::RoomEntered(entered("z", 9)), Entry::of(&switch));
        assert_eq!(known(&places), [("e", 40), ("f", 40), ("z", 9)]);
        assert_eq!(places.extra("z"), "hat");
        let all = LeaveAllRoomsResult {
            room_ids: vec!["e".into(), "f".into(), "z".into()],
        };
        places.on_done(&reply::Result::LeaveAllRooms(all), None);
        assert_eq!(known(&places), []);
    }

    #[test]
    fn entering_a_room_twice_changes_nothing() {
        let mut places = inside(&["lobby"]);
        places.on_event(&live(41));
        let twice = RoomEntered {
            already_inside: true,
            ..entered("lobby", 43)
        };
        places.on_entered(&twice, String::new());
        assert_eq!(known(&places), [("lobby", 41)], "42 and 43 are on their way");
    }
}
