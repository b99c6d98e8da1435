//! What a session needs to go on with another connection.

use std::fmt;
use std::sync::Arc;

use prost::Message;
use sluice_protocol::{Login, limits};

use crate::following::Following;
use crate::places::Places;
use crate::session::Session;
use crate::sync::{KnownConversation, OwnMessage, SyncOptions};

/// The longest login: what may be sent before its answer, without the few bytes around it.
const LOGIN_BYTES_MAX: usize = limits::CLIENT_FRAME_BYTES_BEFORE_LOGIN - 16;

/// What a client remembers beyond a connection.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) session: Arc<Session>,
    pub(crate) places: Places,
    /// The newest token the server took, if it is not that of the options.
    pub(crate) token: Option<String>,
    /// If the client follows conversations.
    pub(crate) following: Option<Following>,
}

/// A secret that no log shows.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct Secret(pub(crate) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// Resumes a session whose connection was lost, see [`Client::resume`](crate::Client::resume): a secret, as good as the token for as
/// long as the session is kept, and the newest message known of each room, and of each conversation if the client follows them.
///
/// Its messages are those that came until it was taken. Read the lost connection's events to their end, and nothing is missing and
/// nothing comes twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumeTicket {
    secret: Secret,
    started_at_ms: i64,
    places: Places,
    conversations: Vec<KnownConversation>,
    own_messages: Vec<OwnMessage>,
}

impl ResumeTicket {
    pub(crate) fn of(memory: &Memory) -> Self {
        Self {
            secret: memory.session.resume_secret.clone(),
            started_at_ms: memory.session.started_at_ms,
            places: memory.places.clone(),
            conversations: memory.following.as_ref().map(Following::known).unwrap_or_default(),
            own_messages: memory.following.as_ref().map(Following::own).unwrap_or_default(),
        }
    }

    /// The rooms the session was inside, and the sequence number of the newest message known of each.
    pub fn rooms(&self) -> impl Iterator<Item = (&str, u64)> {
        self.places.iter()
    }

    /// Says what is known of conversations.
    pub(crate) fn fill_in_known(&self, sync: &mut SyncOptions) {
        sync.known.extend_from_slice(&self.conversations);
        sync.own.extend_from_slice(&self.own_messages);
    }

    pub(crate) fn started_at_ms(&self) -> i64 {
        self.started_at_ms
    }

    pub(crate) fn into_places(self) -> Places {
        self.places
    }

    /// Makes a login, which is whole but for this, that of a library which connects again by itself. Without a secret, from a server that
    /// resumes nothing, it is an ordinary one of that kind. Rooms that do not fit are left out: they go on from now.
    pub(crate) fn fill_in(&self, login: &mut Login) {
        login.automatic = true;
        login.previous_session_started_at_ms = self.started_at_ms;
        if self.secret.0.is_empty() {
            return;
        }
        login.resume_secret.clone_from(&self.secret.0);
        // A session cannot be inside more than a login can name.
        for (room_id, sequence) in self.places.iter().take(limits::ROOMS_PER_SESSION) {
            login.resume_rooms.push(room_id.to_owned());
            login.resume_sequences.push(sequence);
            if login.encoded_len() > LOGIN_BYTES_MAX {
                login.resume_rooms.pop();
                login.resume_sequences.pop();
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use sluice_protocol::frame::Body;
    use sluice_protocol::{Frame, RoomEntered, RoomInfo};

    use super::*;
    use crate::session::LOGIN_REQUEST_ID;

    fn ticket(rooms: usize) -> ResumeTicket {
        let mut places = Places::default();
        for number in 0..rooms {
            let room = RoomInfo {
                room_id: format!("{number:0>width$}", width = limits::ROOM_ID_BYTES),
                ..RoomInfo::default()
            };
            let entered = RoomEntered {
                room: Some(room),
                sequence: u64::MAX,
                ..RoomEntered::default()
            };
            places.on_entered(&entered, String::new());
        }
        ResumeTicket {
            secret: Secret("5".repeat(32)),
            started_at_ms: i64::MAX,
            places,
            conversations: Vec::new(),
            own_messages: Vec::new(),
        }
    }

    fn login(rooms: usize) -> Login {
        let text = |bytes| "x".repeat(bytes);
        let mut login = Login {
            app_key: text(limits::APP_KEY_BYTES),
            user_id: text(limits::USER_ID_BYTES),
            user_name: text(limits::USER_NAME_BYTES),
            token: text(limits::TOKEN_BYTES),
            device_id: text(limits::DEVICE_ID_BYTES),
            package_name: text(limits::PACKAGE_NAME_BYTES),
            sdk: text(limits::SDK_BYTES),
            protocol_version: u32::MAX,
            datagrams: true,
            ..Login::default()
        };
        ticket(rooms).fill_in(&mut login);
        login
    }

    fn frame_bytes(login: Login) -> usize {
        let frame = Frame {
            request_id: LOGIN_REQUEST_ID,
            body: Some(Body::Login(login)),
        };
        frame.encoded_len()
    }

    #[test]
    fn five_rooms_fit_into_the_longest_login_there_is() {
        let login = login(5);
        assert_eq!((login.resume_rooms.len(), login.resume_sequences.len()), (5, 5));
        assert!(frame_bytes(login) <= limits::CLIENT_FRAME_BYTES_BEFORE_LOGIN);
    }

    #[test]
    fn rooms_that_do_not_fit_into_a_login_are_left_out() {
        let login = login(100);
        let named = login.resume_rooms.len();
        assert_eq!(login.resume_sequences.len(), named);
        let bytes = frame_bytes(login);
        let one_more = limits::ROOM_ID_BYTES + 32;
        let max = limits::CLIENT_FRAME_BYTES_BEFORE_LOGIN;
        assert!(bytes <= max && bytes + one_more > max, "{bytes} with {named} rooms");
    }
}
