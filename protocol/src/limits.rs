//! The limits of the protocol, by name. All sizes are bytes; one KiB is 1024 of them.
//!
//! These hold for every server and client. Limits an operator may set are in the gateway's configuration.

/// Longest client frame before login, length prefix not counted: room for a token and names, little for an attacker.
pub const CLIENT_FRAME_BYTES_BEFORE_LOGIN: usize = 4 * 1024;

/// Longest client frame after login: the largest content (32 KiB) with everything around it, doubled.
pub const CLIENT_FRAME_BYTES: usize = 64 * 1024;

/// Longest server frame: a full page of anything the server answers.
pub const SERVER_FRAME_BYTES: usize = 1024 * 1024;

/// All that a client may send before it is logged in: the largest login and a few tries with smaller ones.
pub const BYTES_BEFORE_LOGIN: usize = 16 * 1024;

/// Longest `Login.app_key`.
pub const APP_KEY_BYTES: usize = 64;

/// Longest user id in the profile [`crate::IdProfile::Zim`].
pub const USER_ID_BYTES_ZIM: usize = 32;

/// Longest user id in the profile [`crate::IdProfile::Wide`], in characters.
pub const USER_ID_CHARACTERS_WIDE: usize = 64;

/// Longest user id in any profile.
pub const USER_ID_BYTES: usize = 256;

/// Longest user name.
pub const USER_NAME_BYTES: usize = 256;

/// Longest token.
pub const TOKEN_BYTES: usize = 2048;

/// Longest device id.
pub const DEVICE_ID_BYTES: usize = 64;

/// Longest package name.
pub const PACKAGE_NAME_BYTES: usize = 128;

/// Longest name and version of a client library.
pub const SDK_BYTES: usize = 64;

/// Longest room id.
pub const ROOM_ID_BYTES: usize = 128;

/// Longest room name.
pub const ROOM_NAME_BYTES: usize = 256;

/// Largest content of a text message, extended data counted in.
pub const TEXT_BYTES: usize = 32 * 1024;

/// Largest content of a command message.
pub const COMMAND_BYTES: usize = 5 * 1024;

/// Largest content of a barrage message.
pub const BARRAGE_BYTES: usize = 5 * 1024;

/// Largest content of a custom message.
pub const CUSTOM_BYTES: usize = 32 * 1024;

/// Longest object name of a custom message.
pub const OBJECT_NAME_BYTES: usize = 64;

/// Longest client message id.
pub const CLIENT_MESSAGE_ID_BYTES: usize = 64;

/// Newest messages kept for a room, and the most a join can ask for.
pub const ROOM_HISTORY_MESSAGES: usize = 50;

/// The most that a join delivers, whatever it asks for: the newest messages that fit.
pub const ROOM_HISTORY_BYTES: usize = 256 * 1024;

/// New tokens one session can send each second: whoever retries has enough, and verifying them takes no worker's time away.
pub const TOKEN_RENEWALS_PER_SECOND: u32 = 5;

/// Rooms one session can be inside at once, whatever an app allows: with each it takes memory and a place in every list of rooms.
pub const ROOMS_PER_SESSION: usize = 100;

/// What a newcomer can bring for those inside.
pub const JOIN_EXTRA_BYTES: usize = 256;

/// Longest that a room may outlive its last member: three hours.
pub const DESTROY_DELAY_SECONDS: u32 = 3 * 60 * 60;

/// Longest name of a room's policy.
pub const POLICY_NAME_BYTES: usize = 64;

/// Members on one page of a query, and what a query gets that asks for 0.
pub const MEMBERS_PER_PAGE: usize = 100;

/// Members that can be listed at all: in larger rooms the newest of them.
pub const MEMBERS_LISTED: usize = 500;

/// Members that one query can name.
pub const NAMED_MEMBERS: usize = 10;

/// Attributes that a client can write in one command.
pub const ATTRIBUTES_PER_COMMAND: usize = 10;

/// Bytes of key and value up to which an attribute that is written counts as one against the rates of writing; a longer one counts as one
/// for each of these that it begins.
pub const ATTRIBUTE_PIECE_BYTES: usize = 512;

/// Attributes that a client can name in one query.
pub const ATTRIBUTES_PER_QUERY: usize = 100;

/// Bytes up to which the answer to a question about a room counts as one question against their rate; a longer one counts as one for each
/// of these that it begins.
pub const ANSWER_PIECE_BYTES: usize = 64 * 1024;

/// Longest `LoginResult.resume_secret`.
pub const RESUME_SECRET_BYTES: usize = 32;

/// What the app's server can say to somebody it mutes or puts out.
pub const NOTICE_EXTRA_BYTES: usize = 1024;

/// What a join gets that asks for 0 messages.
pub const ROOM_HISTORY_MESSAGES_DEFAULT: usize = 10;

/// The silence, in heartbeat intervals, after which a client is taken for gone: two and a half.
pub const HEARTBEAT_INTERVALS_UNTIL_SILENT: f64 = 2.5;

impl crate::Limits {
    /// The limits of the protocol, as a server announces them that has no others.
    #[must_use]
    pub fn of_protocol() -> Self {
        let announced = |limit: usize| u32::try_from(limit).expect("limits of the protocol are small");
        Self {
            client_frame_bytes: announced(CLIENT_FRAME_BYTES),
            server_frame_bytes: announced(SERVER_FRAME_BYTES),
            text_bytes: announced(TEXT_BYTES),
            command_bytes: announced(COMMAND_BYTES),
            barrage_bytes: announced(BARRAGE_BYTES),
            custom_bytes: announced(CUSTOM_BYTES),
            room_history_messages: announced(ROOM_HISTORY_MESSAGES),
            rooms_per_session: announced(ROOMS_PER_SESSION),
        }
    }
}
