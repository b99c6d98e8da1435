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

/// Largest content of a media or combined message: what is shown beside the file, or of the messages that were forwarded.
pub const MEDIA_CONTENT_BYTES: usize = 32 * 1024;

/// Longest `MediaInfo.url`.
pub const MEDIA_URL_BYTES: usize = 2048;

/// Longest `MediaInfo.file_name`.
pub const MEDIA_FILE_NAME_BYTES: usize = 256;

/// Largest image.
pub const IMAGE_FILE_BYTES: u64 = 10 * 1024 * 1024;

/// Largest file, and largest video.
pub const FILE_BYTES: u64 = 100 * 1024 * 1024;

/// Largest audio recording.
pub const AUDIO_FILE_BYTES: u64 = 6 * 1024 * 1024;

/// Longest audio recording, milliseconds.
pub const AUDIO_MS: u32 = 300_000;

/// Longest `SenderInfo.portrait_url`, and longest `SenderInfo.extra`.
pub const SENDER_INFO_BYTES: usize = 1024;

/// Most users that a message names as meant.
pub const MENTIONS: usize = 50;

/// Longest `SendMessage.push_content`.
pub const PUSH_CONTENT_BYTES: usize = 1024;

/// Longest `SendMessage.push_data`.
pub const PUSH_DATA_BYTES: usize = 4096;

/// Messages of one type that a session may send in a second in conversations.
pub const CONVERSATION_MESSAGES_PER_SECOND: u32 = 10;

/// Longest name of a conversation.
pub const CONVERSATION_NAME_BYTES: usize = 100;

/// Longest notice of a group.
pub const GROUP_NOTICE_BYTES: usize = 300;

/// Longest attributes of a conversation.
pub const CONVERSATION_ATTRIBUTES_BYTES: usize = 4096;

/// Longest id of a conversation, whatever its type: the longest user id.
pub const CONVERSATION_ID_BYTES: usize = USER_ID_BYTES;

/// Longest id of a group.
pub const GROUP_ID_BYTES: usize = 64;

/// Most users that a command on a conversation names.
pub const CONVERSATION_USERS_PER_COMMAND: usize = 100;

/// Most users in the commands that name few: managers, mutes, blacklists.
pub const FEW_USERS_PER_COMMAND: usize = 20;

/// Most conversations of which a client says what it knows.
pub const KNOWN_CONVERSATIONS: usize = 50;

/// Most conversations in the first page of a synchronisation.
pub const SYNCED_CONVERSATIONS: usize = 50;

/// Newest messages of each conversation in a synchronisation, when the client names no number, and the most it may name.
pub const SYNC_NEWEST_DEFAULT: u32 = 20;
/// See [`SYNC_NEWEST_DEFAULT`].
pub const SYNC_NEWEST_MAX: u32 = 100;

/// The most that a number of unread messages says.
pub const UNREAD_MAX: u32 = 999;

/// Messages in an answer to a question for history, when the client names no number, and the most it may name.
pub const HISTORY_PAGE_DEFAULT: u32 = 20;
/// See [`HISTORY_PAGE_DEFAULT`].
pub const HISTORY_PAGE_MAX: u32 = 1000;

/// Most message types that a question for history names.
pub const HISTORY_TYPES: usize = 10;

/// Conversations in an answer to a question for the list, when the client names no number, and the most it may name.
pub const CONVERSATIONS_PAGE_DEFAULT: u32 = 10;
/// See [`CONVERSATIONS_PAGE_DEFAULT`].
pub const CONVERSATIONS_PAGE_MAX: u32 = 1000;

/// Most users that a question for the list names.
pub const CONTAINING_USERS: usize = 20;

/// Members in an answer.
pub const CONVERSATION_MEMBERS_PAGE: u32 = 100;

/// Shortest and longest life of a temporary conversation, seconds.
pub const TEMPORARY_SECONDS: std::ops::RangeInclusive<u32> = 60..=604_800;

/// Longest mute of a member of a group, seconds: 30 days.
pub const GROUP_MUTE_SECONDS: u32 = 2_592_000;

/// Longest id of a combined message's parts.
pub const COMBINED_ID_BYTES: usize = 64;

/// Most parts of a combined message.
pub const COMBINED_PARTS: u32 = 1024;

/// Largest part of a combined message.
pub const COMBINED_PART_BYTES: usize = 32 * 1024;

/// Most users on a blacklist.
pub const BLACKLIST_USERS: usize = 1000;

/// What a page of messages or conversations takes at most, if it has more than one.
pub const PAGE_BYTES: usize = 512 * 1024;
