//! The table of all metrics. `docs/metrics.md` is made from it.

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution, in the buckets given.
    Histogram(&'static [f64]),
}

/// A label and all values it can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label {
    pub name: &'static str,
    pub values: &'static [&'static str],
}

/// One metric with all its series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Family {
    pub name: &'static str,
    pub kind: Kind,
    /// At most two.
    pub labels: &'static [Label],
    pub help: &'static str,
}

impl Family {
    /// How many series it has.
    pub fn series(&self) -> usize {
        self.labels.iter().map(|label| label.values.len()).product()
    }
}

/// The labels.
pub(crate) mod label {
    use super::Label;

    pub(crate) const TRANSPORT: Label = Label {
        name: "transport",
        values: &["tcp", "tls", "quic"],
    };
    pub(crate) const STATE: Label = Label {
        name: "state",
        values: &["anonymous", "online", "closing"],
    };
    pub(crate) const CLOSE_REASON: Label = Label {
        name: "reason",
        values: &[
            "client_closed",
            "broken",
            "logout",
            "login_refused",
            "login_timeout",
            "handshake_failed",
            "silent",
            "protocol_error",
            "token_expired",
            "displaced",
            "slow",
            "overload",
            "shutdown",
            "fault",
            "resumed",
            "user_blocked",
        ],
    };
    pub(crate) const REJECTION: Label = Label {
        name: "reason",
        values: &["connections_max", "handshakes_max"],
    };
    pub(crate) const ACCEPT_ERROR: Label = Label {
        name: "class",
        values: &["connection", "resources"],
    };
    pub(crate) const OPERATION: Label = Label {
        name: "op",
        values: &[
            "login",
            "logout",
            "ping",
            "renew_token",
            "create_room",
            "join_room",
            "enter_room",
            "join_chat_room",
            "join_exist_chat_room",
            "leave_room",
            "send_message",
            "unknown",
            "switch_room",
            "leave_all_rooms",
            "query_room",
            "query_room_members",
            "query_named_members",
            "set_room_attributes",
            "delete_room_attributes",
            "query_room_attributes",
            "sync_conversations",
            "ack_messages",
            "create_conversation",
            "query_conversation",
            "add_members",
            "remove_members",
            "join_conversation",
            "quit_conversation",
            "query_conversation_members",
            "query_conversations",
            "query_messages",
            "recall_message",
            "edit_message",
            "update_conversation",
            "create_group",
            "dismiss_group",
            "transfer_group",
            "set_group_managers",
            "mute_group_members",
            "put_combined_part",
            "query_combined",
            "edit_blacklist",
            "query_blacklist",
        ],
    };
    pub(crate) const PROTOCOL_ERROR: Label = Label {
        name: "kind",
        values: &["too_long", "empty", "overlong_length", "malformed", "before_login"],
    };
    pub(crate) const SENT: Label = Label {
        name: "kind",
        values: &["reply", "event", "room"],
    };
    pub(crate) const LOGIN_RESULT: Label = Label {
        name: "result",
        values: &["accepted", "refused"],
    };
    pub(crate) const TOKEN_REJECTION: Label = Label {
        name: "reason",
        values: &["malformed", "bad_signature", "expired", "not_yet_valid", "app", "user"],
    };
    pub(crate) const MESSAGE_TYPE: Label = Label {
        name: "kind",
        values: &[
            "text", "command", "barrage", "custom", "image", "file", "audio", "video", "combined",
        ],
    };
    pub(crate) const CLASS: Label = Label {
        name: "class",
        values: &["control", "protected", "high", "normal", "low", "barrage"],
    };
    pub(crate) const PLACE: Label = Label {
        name: "place",
        values: &["ingress", "slow_member"],
    };
    pub(crate) const JOIN_RESULT: Label = Label {
        name: "result",
        values: &["joined", "created", "already_inside", "refused", "resumed"],
    };
    pub(crate) const RESUME_RESULT: Label = Label {
        name: "result",
        values: &["resumed", "taken_over", "unknown"],
    };
    /// The steps in which outboxes count, see `outbox::BATCH_STEPS`.
    pub(crate) const BATCH: Label = Label {
        name: "frames",
        values: &["1", "2", "4", "8", "16", "32", "64", "128", "256", "512", "more"],
    };
    pub(crate) const DATAGRAM: Label = Label {
        name: "how",
        values: &["datagram", "stream"],
    };
    /// Paths of the server API that are counted together; in the order of `api::path::Group`.
    pub(crate) const API_GROUP: Label = Label {
        name: "group",
        values: &[
            "user",
            "room",
            "gag",
            "block",
            "allow_list",
            "priority",
            "distribution",
            "keep_alive",
            "attribute",
            "message",
            "word",
            "group",
            "user_list",
            "conversation",
            "none",
        ],
    };
    /// Codes of the server API; the last stands for any other.
    pub(crate) const API_CODE: Label = Label {
        name: "code",
        values: &[
            "200", "404", "1000", "1001", "1002", "1003", "1004", "1005", "1006", "1007", "1008", "1009", "1015",
            "1016", "1019", "1050", "4303", "4323", "21406", "22201", "22406", "23410", "25411", "other",
        ],
    };
    pub(crate) const PUSH_RESULT: Label = Label {
        name: "result",
        values: &["delivered", "refused", "expired", "dropped"],
    };
    pub(crate) const LEAVE_REASON: Label = Label {
        name: "reason",
        values: &["left", "logout", "offline", "kicked", "blocked", "user_blocked"],
    };
}

use label::{
    ACCEPT_ERROR, CLASS, CLOSE_REASON, LEAVE_REASON, LOGIN_RESULT, MESSAGE_TYPE, OPERATION, PLACE, PROTOCOL_ERROR,
    REJECTION, SENT, STATE, TOKEN_REJECTION, TRANSPORT,
};

const SECONDS: Kind = Kind::Histogram(&[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
]);
const LIFETIME: Kind = Kind::Histogram(&[1.0, 10.0, 60.0, 600.0, 3600.0, 21_600.0, 86_400.0]);

macro_rules! metrics {
    ($($id:ident: $kind:expr, $name:literal, [$($label:expr),*], $help:literal;)*) => {
        /// Names a metric in the code. The order is that of [`FAMILIES`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Metric { $($id),* }

        /// All metrics.
        pub const FAMILIES: &[Family] =
            &[$(Family { name: $name, kind: $kind, labels: &[$($label),*], help: $help }),*];
    };
}

metrics! {
    Connections: Kind::Gauge, "sluice_connections", [TRANSPORT, STATE],
        "Open connections. TLS and QUIC handshakes under way count as anonymous.";
    ConnectionsOpened: Kind::Counter, "sluice_connections_opened_total", [TRANSPORT],
        "Connections accepted.";
    ConnectionsClosed: Kind::Counter, "sluice_connections_closed_total", [TRANSPORT, CLOSE_REASON],
        "Connections ended, by what ended them.";
    ConnectionsRejected: Kind::Counter, "sluice_connections_rejected_total", [REJECTION],
        "Connections turned away at the door because a limit of the configuration was reached.";
    AcceptErrors: Kind::Counter, "sluice_accept_errors_total", [ACCEPT_ERROR],
        "Failed accepts: of one connection, or for want of descriptors or memory. The latter pause accepting.";
    ConnectionDuration: LIFETIME, "sluice_connection_duration_seconds", [],
        "How long connections lived.";
    HandshakeDuration: SECONDS, "sluice_handshake_duration_seconds", [TRANSPORT],
        "Time from accept to the end of the TLS or QUIC handshake.";
    HandshakeFailures: Kind::Counter, "sluice_handshake_failures_total", [TRANSPORT],
        "TLS and QUIC handshakes that failed or took too long.";
    TlsResumed: Kind::Counter, "sluice_tls_resumed_total", [],
        "TLS handshakes over TCP that resumed an earlier session.";
    QuicEndpoints: Kind::Gauge, "sluice_quic_endpoints", [],
        "Workers with a QUIC endpoint: all of them, or one where packets cannot be led to each.";
    QuicRetries: Kind::Counter, "sluice_quic_retries_total", [],
        "QUIC clients that had to prove their address first, because many handshakes were under way.";
    QuicRefused: Kind::Counter, "sluice_quic_refused_total", [],
        "QUIC clients refused because a limit of the configuration was reached. They count as rejected connections as well.";
    QuicMigrations: Kind::Counter, "sluice_quic_migrations_total", [],
        "QUIC connections that ended with another client address than they began with. A connection counts once.";
    FramesReceived: Kind::Counter, "sluice_frames_received_total", [OPERATION],
        "Whole frames received, by command.";
    FramesSent: Kind::Counter, "sluice_frames_sent_total", [SENT],
        "Frames queued for one connection (replies, events) or written in whole from a room's log (room).";
    BytesReceived: Kind::Counter, "sluice_bytes_received_total", [TRANSPORT],
        "Bytes of frames received, before encryption.";
    BytesSent: Kind::Counter, "sluice_bytes_sent_total", [TRANSPORT],
        "Bytes of frames handed to the transport, before encryption.";
    ProtocolErrors: Kind::Counter, "sluice_protocol_errors_total", [PROTOCOL_ERROR],
        "Connections ended for bytes that make no frame or too long a one, or for too many before login.";
    RequestErrors: Kind::Counter, "sluice_request_errors_total", [super::registry::CODE],
        "Commands refused and connections closed, by error code.";
    SessionsOnline: Kind::Gauge, "sluice_sessions_online", [],
        "Logged-in sessions.";
    UsersOnline: Kind::Gauge, "sluice_users_online", [],
        "Users with at least one session.";
    SessionsParked: Kind::Gauge, "sluice_sessions_parked", [],
        "Sessions whose connection is lost and whose places in rooms are kept.";
    Resumes: Kind::Counter, "sluice_resume_total", [label::RESUME_RESULT],
        "Logins that asked to go on with a session: it was parked (resumed), its connection was not known to be lost (taken_over), or there is none that can be resumed and it was a login like any other (unknown).";
    Logins: Kind::Counter, "sluice_logins_total", [LOGIN_RESULT],
        "Logins answered.";
    LoginsTooOften: Kind::Counter, "sluice_logins_too_often_total", [],
        "Failed logins that were answered 30015 instead of their reason, because too many from their address had failed.";
    LoginDuration: SECONDS, "sluice_login_duration_seconds", [],
        "Time from accept to the answer of a successful login.";
    TokenRejects: Kind::Counter, "sluice_token_rejects_total", [TOKEN_REJECTION],
        "Tokens refused, at login or renewal.";
    Kicks: Kind::Counter, "sluice_kicks_total", [],
        "Sessions displaced by a newer login of the same user.";
    PingTimeouts: Kind::Counter, "sluice_ping_timeouts_total", [],
        "Sessions closed because the client was silent.";
    MessagesAccepted: Kind::Counter, "sluice_messages_accepted_total", [MESSAGE_TYPE],
        "Messages of members that a room took: numbered, or answered while the app had stopped distribution.";
    MessagesUndistributed: Kind::Counter, "sluice_messages_undistributed_total", [],
        "Of those, messages that went to nobody because the app had stopped distribution in their room.";
    MessagesDuplicate: Kind::Counter, "sluice_messages_duplicate_total", [],
        "Messages that were repeats and got the first answer.";
    MessagesShed: Kind::Counter, "sluice_messages_shed_total", [CLASS, PLACE],
        "What was left out: messages that a room had no budget for (ingress), deliveries that a slow member does not get (slow_member). Each is told to those who miss it in a gap notice.";
    Gaps: Kind::Counter, "sluice_room_gaps_total", [PLACE],
        "Gap notices: one to all members of a room (ingress), or one to a slow member.";
    SlowDisconnects: Kind::Counter, "sluice_slow_disconnects_total", [],
        "Connections closed because they could not take even what may not be shed, or took nothing for too long.";
    BudgetDisconnects: Kind::Counter, "sluice_budget_disconnects_total", [],
        "Connections closed as slow because all that waits for clients was more than `connections.backlog_bytes`: those that were furthest behind.";
    Rooms: Kind::Gauge, "sluice_rooms", [],
        "Rooms.";
    RoomMembers: Kind::Gauge, "sluice_room_members", [],
        "Members of all rooms; a user counts once for each room.";
    RoomAttributeBytes: Kind::Gauge, "sluice_room_attribute_bytes", [],
        "What the attributes of all rooms count against `apps.room_attribute_bytes`.";
    RoomJoins: Kind::Counter, "sluice_room_joins_total", [label::JOIN_RESULT],
        "Ways into rooms, by what came of them.";
    RoomLeaves: Kind::Counter, "sluice_room_leaves_total", [LEAVE_REASON],
        "Connections that left rooms.";
    RoomLogBytes: Kind::Gauge, "sluice_room_log_bytes", [],
        "Bytes kept in room logs for members who have still to get them.";
    RoomWrites: Kind::Counter, "sluice_room_writes_total", [label::BATCH],
        "Writes that carried frames of a room, by how many of them the write completed: up to that many, and more than the next smaller one.";
    Datagrams: Kind::Counter, "sluice_datagrams_total", [label::DATAGRAM],
        "Barrage for members who take it in datagrams: sent in one, or fallen back to the stream because it did not fit.";
    SweepDuration: SECONDS, "sluice_room_sweep_seconds", [],
        "Time from when a room had something to deliver until all its members on a worker were visited.";
    BlockedMembers: Kind::Gauge, "sluice_blocked_connections", [],
        "Connections whose transport is full.";
    PrivateBytes: Kind::Gauge, "sluice_private_queue_bytes", [],
        "Bytes of replies and one-to-one events that wait for their connections.";
    MailboxRefusals: Kind::Counter, "sluice_mailbox_refusals_total", [],
        "Commands refused with 20607 because a mailbox between workers was full.";
    ConversationMessages: Kind::Counter, "sluice_conversation_messages_total", [MESSAGE_TYPE],
        "Messages of users that conversations took, whether they are kept or not.";
    ConversationPublished: Kind::Counter, "sluice_conversation_published_total", [MESSAGE_TYPE],
        "Messages of apps' servers that conversations took, whether they are kept or not: one for each conversation.";
    ConversationDuration: SECONDS, "sluice_conversation_command_seconds", [],
        "Time from a command about conversations to its answer, which for what changes something is when it is on disk.";
    ConversationHeldBytes: Kind::Gauge, "sluice_conversation_held_bytes", [],
        "Bytes of events that wait for sessions which are asking what they missed.";
    ConversationsLost: Kind::Counter, "sluice_conversations_lost_total", [],
        "Sessions told to ask again what they missed, because more came meanwhile than is held back for one.";
    PushEvents: Kind::Counter, "sluice_push_events_total", [label::PUSH_RESULT],
        "Events for push hooks: taken, refused by the hook for good, given up because it took none for too long, or dropped because too many were waiting or the gateway stopped.";
    PushRetries: Kind::Counter, "sluice_push_retries_total", [],
        "Calls of push hooks with an event that was told before, in a call that failed.";
    PushWaiting: Kind::Gauge, "sluice_push_waiting", [],
        "Events that wait for push hooks or are being told.";
    PushDuration: SECONDS, "sluice_push_call_seconds", [],
        "Time of one call of a push hook, whatever came of it.";
    Tasks: Kind::Gauge, "sluice_tasks", [],
        "Tasks alive on the workers.";
    TaskPanics: Kind::Counter, "sluice_task_panics_total", [],
        "Panics in what was done for one connection. Each is a defect, and the connection is gone.";
    RoomPanics: Kind::Counter, "sluice_room_panics_total", [],
        "Panics in what was done for one room. Each is a defect, and the room is gone.";
    ApiRequests: Kind::Counter, "sluice_api_requests_total", [label::API_GROUP, label::API_CODE],
        "Calls of the server API by group of paths and code of the answer. `none` is what was turned away before its path was looked at, or has no path.";
    ApiRequestDuration: SECONDS, "sluice_api_request_duration_seconds", [label::API_GROUP],
        "Time from the head of a call to its answer.";
    ApiConnections: Kind::Gauge, "sluice_api_connections", [],
        "Connections to the server API.";
    AuditLost: Kind::Counter, "sluice_audit_lines_lost_total", [],
        "Changes by the server API that the file of the audit log does not have, because the disk was slow or full.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_conventions_of_prometheus() {
        for family in FAMILIES {
            assert!(family.name.starts_with("sluice_"), "{}", family.name);
            assert_eq!(
                family.name.ends_with("_total"),
                family.kind == Kind::Counter,
                "{}",
                family.name
            );
            assert!(family.labels.len() <= 2, "{}", family.name);
            assert!(family.help.ends_with('.'), "{}", family.name);
        }
        let mut names: Vec<_> = FAMILIES.iter().map(|family| family.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FAMILIES.len());
    }

    #[test]
    fn the_number_of_series_is_small() {
        let series: usize = FAMILIES.iter().map(Family::series).sum();
        assert!(series < 700, "{series}");
    }
}
