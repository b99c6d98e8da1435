//! What an app says beside the room's name when it enters.

use std::time::Duration;

use sluice_protocol::{CreateRoom, EnterRoom, JoinChatRoom, JoinExistChatRoom, SwitchRoom, limits};

use crate::error::ClientError;
use crate::options::measure;

/// How many of a room's newest messages are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum History {
    /// None.
    None,
    /// As many as the server gives unasked: 10.
    #[default]
    Default,
    /// That many, 1 to 50.
    Newest(u8),
}

impl History {
    fn message_count(self) -> i32 {
        match self {
            Self::None => -1,
            Self::Default => 0,
            Self::Newest(count) => count.into(),
        }
    }

    /// SwitchRoom takes no number for none.
    fn message_count_of_switch(self) -> i32 {
        match self {
            Self::None => 0,
            Self::Default => {
                i32::try_from(limits::ROOM_HISTORY_MESSAGES_DEFAULT).expect("limits of the protocol are small")
            }
            Self::Newest(count) => count.into(),
        }
    }
}

/// How a room is made by [`Client::create_room`](crate::Client::create_room) and [`Client::enter_room`](crate::Client::enter_room).
/// All but [`extra`](Self::extra) counts only for whoever makes the room.
///
/// A text alone is the room's name.
///
/// ```
/// use std::time::Duration;
/// use sluice_client::RoomOptions;
///
/// let quiz = RoomOptions::named("Quiz").destroy_delay(Duration::from_secs(600)).attribute("round", "1");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RoomOptions {
    room_name: String,
    policy: String,
    destroy_delay_seconds: u32,
    extra: String,
    attribute_keys: Vec<String>,
    attribute_values: Vec<String>,
}

impl RoomOptions {
    /// A room with this name, at most 256 bytes; may be empty.
    pub fn named(room_name: impl Into<String>) -> Self {
        Self {
            room_name: room_name.into(),
            ..Self::default()
        }
    }

    /// The rules the room lives by: a policy of the family "room" that the app has defined. Default: "room".
    #[must_use]
    pub fn policy(mut self, name: impl Into<String>) -> Self {
        self.policy = name.into();
        self
    }

    /// How long the room outlives its last member, in whole seconds, at most three hours. Default: not at all.
    #[must_use]
    pub fn destroy_delay(mut self, delay: Duration) -> Self {
        self.destroy_delay_seconds = u32::try_from(delay.as_secs()).unwrap_or(u32::MAX);
        self
    }

    /// Something short for those inside, see [`MemberJoined::extra`](crate::MemberJoined::extra); at most 256 bytes. Default: empty.
    #[must_use]
    pub fn extra(mut self, extra: impl Into<String>) -> Self {
        self.extra = extra.into();
        self
    }

    /// An attribute that the room has from the beginning and that belongs to its creator; at most 10 of them.
    #[must_use]
    pub fn attribute(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.attribute_keys.push(key.into());
        self.attribute_values.push(value.into());
        self
    }

    pub(crate) fn create(self, room_id: &str) -> Result<CreateRoom, ClientError> {
        check_room_name(&self.room_name)?;
        Ok(CreateRoom {
            room_id: room_id.into(),
            room_name: self.room_name,
            policy: self.policy,
            destroy_delay_seconds: self.destroy_delay_seconds,
            extra: self.extra,
            attribute_keys: self.attribute_keys,
            attribute_values: self.attribute_values,
        })
    }

    pub(crate) fn enter(self, room_id: &str) -> Result<EnterRoom, ClientError> {
        let create = self.create(room_id)?;
        Ok(EnterRoom {
            room_id: create.room_id,
            room_name: create.room_name,
            policy: create.policy,
            destroy_delay_seconds: create.destroy_delay_seconds,
            extra: create.extra,
            attribute_keys: create.attribute_keys,
            attribute_values: create.attribute_values,
        })
    }
}

impl From<&str> for RoomOptions {
    fn from(room_name: &str) -> Self {
        Self::named(room_name)
    }
}

/// How a chat room is joined by [`Client::join_chat_room`](crate::Client::join_chat_room) and
/// [`Client::join_exist_chat_room`](crate::Client::join_exist_chat_room). A [`History`] alone does, too.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChatRoomOptions {
    history: History,
    policy: String,
    extra: String,
}

impl ChatRoomOptions {
    /// Asks for this many of the newest messages, which follow as events. Default: [`History::Default`].
    #[must_use]
    pub fn history(mut self, history: History) -> Self {
        self.history = history;
        self
    }

    /// The rules the room lives by, if it is made: a policy of the family "live" that the app has defined. Default: "live".
    #[must_use]
    pub fn policy(mut self, name: impl Into<String>) -> Self {
        self.policy = name.into();
        self
    }

    /// As [`RoomOptions::extra`].
    #[must_use]
    pub fn extra(mut self, extra: impl Into<String>) -> Self {
        self.extra = extra.into();
        self
    }

    pub(crate) fn join(self, room_id: &str) -> JoinChatRoom {
        JoinChatRoom {
            room_id: room_id.into(),
            message_count: self.history.message_count(),
            policy: self.policy,
            extra: self.extra,
        }
    }

    pub(crate) fn join_exist(self, room_id: &str) -> JoinExistChatRoom {
        JoinExistChatRoom {
            room_id: room_id.into(),
            message_count: self.history.message_count(),
            extra: self.extra,
        }
    }
}

impl From<History> for ChatRoomOptions {
    fn from(history: History) -> Self {
        Self::default().history(history)
    }
}

/// How [`Client::switch_room`](crate::Client::switch_room) enters the other room. By default the room must exist, and no history
/// comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwitchOptions {
    create: bool,
    room_name: String,
    history: History,
    extra: String,
}

impl Default for SwitchOptions {
    fn default() -> Self {
        Self {
            create: false,
            room_name: String::new(),
            history: History::None,
            extra: String::new(),
        }
    }
}

impl SwitchOptions {
    /// Makes the room if it does not exist, by the policy "room" and with this name of at most 256 bytes.
    #[must_use]
    pub fn create(mut self, room_name: impl Into<String>) -> Self {
        self.create = true;
        self.room_name = room_name.into();
        self
    }

    /// Asks for this many of the newest messages, which follow as events.
    #[must_use]
    pub fn history(mut self, history: History) -> Self {
        self.history = history;
        self
    }

    /// As [`RoomOptions::extra`].
    #[must_use]
    pub fn extra(mut self, extra: impl Into<String>) -> Self {
        self.extra = extra.into();
        self
    }

    pub(crate) fn switch(self, leave_room_id: &str, room_id: &str) -> Result<SwitchRoom, ClientError> {
        check_room_name(&self.room_name)?;
        Ok(SwitchRoom {
            leave_room_id: leave_room_id.into(),
            room_id: room_id.into(),
            create: self.create,
            room_name: self.room_name,
            message_count: self.history.message_count_of_switch(),
            extra: self.extra,
        })
    }
}

fn check_room_name(room_name: &str) -> Result<(), ClientError> {
    measure("room_name", room_name, 0, limits::ROOM_NAME_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_alone_and_a_history_alone_are_options() {
        let entered = RoomOptions::from("The lobby").enter("lobby").expect("valid");
        assert_eq!(
            entered,
            EnterRoom {
                room_id: "lobby".into(),
                room_name: "The lobby".into(),
                ..EnterRoom::default()
            }
        );
        assert_eq!(ChatRoomOptions::from(History::None).join("den").message_count, -1);
        assert_eq!(
            ChatRoomOptions::from(History::Newest(7))
                .join_exist("den")
                .message_count,
            7
        );
    }

    #[test]
    fn attributes_keep_their_order_and_delays_are_whole_seconds() {
        let options = RoomOptions::default()
            .attribute("a", "1")
            .attribute("b", "2")
            .destroy_delay(Duration::from_millis(1999));
        let created = options.create("lobby").expect("valid");
        assert_eq!(
            (created.attribute_keys, created.attribute_values),
            (vec!["a".to_owned(), "b".into()], vec!["1".to_owned(), "2".into()])
        );
        assert_eq!(created.destroy_delay_seconds, 1);
    }

    #[test]
    fn a_switch_asks_for_no_history_unless_it_is_told_to() {
        let count = |options: SwitchOptions| options.switch("a", "b").expect("valid").message_count;
        assert_eq!(count(SwitchOptions::default()), 0);
        assert_eq!(count(SwitchOptions::default().history(History::Default)), 10);
        assert_eq!(count(SwitchOptions::default().history(History::Newest(50))), 50);
        assert!(
            SwitchOptions::default()
                .create("")
                .switch("a", "b")
                .expect("valid")
                .create
        );
    }

    #[test]
    fn a_name_that_is_too_long_is_found_before_it_is_sent() {
        let long = "x".repeat(257);
        let detail = |error: ClientError| error.detail;
        assert_eq!(
            RoomOptions::named(&long).create("r").map_err(detail),
            Err("room_name".into())
        );
        assert_eq!(
            SwitchOptions::default().create(&long).switch("a", "b").map_err(detail),
            Err("room_name".into())
        );
    }
}
