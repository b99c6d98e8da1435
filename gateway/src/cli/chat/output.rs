//! Events as lines: readable, or as JSON objects.

mod json;
mod readable;

use std::io::Write;

use serde::Serialize;
use sluice_client::{
    AttributeRefusal, Attributes, ClientError, Conversation, ConversationId, ConversationMessage, Event, Member,
    MessageKind, RoomDestroyedReason, RoomEntered, SentMessage,
};

use super::failure::Failure;

/// For `--help`.
pub(super) const HELP: &str = "\
Output:
  Messages are lines like `bob: hello`, everything else begins with an asterisk, as in `* carol joined`. Control
  characters are escaped.

  With --json each line is one object. `event` names it; these fields are always there, those in brackets where they
  apply:
    entered            room, name, preset, policy, created, members, sequence
    message            room, sequence, message_id, time_ms, user, name, type, priority,
                       content (text) or content_hex (where it is not UTF-8),
                       [object_name, extended_data, client_message_id, history_left, from_server]
    joined             room, users, members, [extra]
    left               room, users, members, reason
    digest             room, joined, left, joined_count, left_count, members
    members            room, members
    gap                room, first_sequence, last_sequence, high, normal, low, barrage
    destroyed          room, reason
    kicked_out         room, reason, until_ms, [extra]
    mute               room, scope, muted, until_ms, [extra]
    attributes_changed room, version, set, deleted, [by]
    recalled           room, sequence, message_id, operator, time_ms
    system             message_id, time_ms, user, type, content or content_hex, [object_name, extended_data]
    token_will_expire  seconds
    disconnected       code, name, detail
    reconnecting       attempt, delay_ms
    reconnected        resumed
    resumed            room, sequence, replayed, missed, members
    rejoined           room, sequence, members, [messages_meanwhile]
    lost               room, code, name, detail
    member_list        room, users
    attributes         room, version, attributes
    left_all           rooms
    refused            command, code, name, detail, [key]
  and in conversations, where `conversation` is peer, group, discussion or system, and `id` the other user or the id:
    synced             conversations, more
    conversation_list  conversations
    conversation_message, conversation_edited
                       conversation, id, sequence, message_id, time_ms, user, name, type,
                       content or content_hex, [object_name, url, extended_data, client_message_id, edited_ms,
                       taken_back_ms]
    sent               conversation, id, sequence, message_id
    conversation_recalled  conversation, id, sequence, message_id, by
    conversation_joined, conversation_left  conversation, id, users (ids), members, by
    invited, conversation_changed  conversation, id, name, by
    conversation_kicked_out, group_dismissed  conversation, id, by
    position           conversation, id, user, delivered_sequence, read_sequence
    conversation_gap   conversation, id, first_sequence, last_sequence
    conversations_unavailable  code, name, detail
  Conversations are objects with conversation, id, name, members, sequence (of the newest message) and unread.
  Users are objects with user and name. message_id is a string of decimal digits, as it may exceed 2^53.
  Attributes are objects with key, value, owner and version.

Commands:
  /members           who is inside
  /attributes        the room's attributes
  /set KEY VALUE     sets one
  /delete KEY...     deletes some
  /switch ROOM       leaves the room and enters this one
  /leave-all         leaves all rooms
  /to USER           what is said from now on goes to this user alone
  /group ID          what is said from now on goes to this group
  /room              what is said from now on goes to the room again
  /create-group ID USER...
                     makes a group of these users, and speaks there
  /add USER...       adds users to the group
  /quit              leaves the group
  /conversations     whom this user talks with, newest first
  /history [N]       the newest N messages of the conversation (20)
  /read              marks the conversation as read
  /recall ID         takes the message with this id back
  A line that begins with two slashes says one.

Exit code:
  0 on success, 1 on any error, with its code and name on standard error, 130 after Ctrl-C.";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Readable,
    Json,
}

pub(super) struct Output<W> {
    writer: W,
    format: Format,
}

impl<W: Write> Output<W> {
    pub(super) fn new(writer: W, format: Format) -> Self {
        Self { writer, format }
    }

    pub(super) fn entered(&mut self, room: &RoomEntered) -> Result<(), Failure> {
        self.either(|| json::entered(room), || readable::entered(room))
    }

    pub(super) fn members(&mut self, room_id: &str, members: &[Member]) -> Result<(), Failure> {
        self.either(|| json::members(room_id, members), || readable::members(members))
    }

    pub(super) fn attributes(&mut self, attributes: &Attributes) -> Result<(), Failure> {
        self.either(|| json::attributes(attributes), || readable::attributes(attributes))
    }

    pub(super) fn left_all(&mut self, rooms: &[String]) -> Result<(), Failure> {
        self.either(|| json::left_all(rooms), || readable::left_all(rooms))
    }

    pub(super) fn conversations(&mut self, conversations: &[Conversation]) -> Result<(), Failure> {
        let json = || json::EventLine::ConversationList {
            conversations: json::conversation::list(conversations),
        };
        self.either(json, || readable::conversation::list(conversations))
    }

    pub(super) fn history(&mut self, messages: &[ConversationMessage]) -> Result<(), Failure> {
        messages.iter().try_for_each(|message| {
            let json = || json::EventLine::ConversationMessage(Box::new(json::conversation::message(message)));
            self.either(json, || readable::conversation::message(message))
        })
    }

    /// The server has a message that was sent in a conversation.
    pub(super) fn sent(&mut self, conversation: &ConversationId, sent: &SentMessage) -> Result<(), Failure> {
        let readable = || readable::conversation::sent(conversation, sent);
        self.either(|| json::conversation::sent(conversation, sent), readable)
    }

    /// A command was not done.
    pub(super) fn refused(&mut self, command: &str, error: &ClientError) -> Result<(), Failure> {
        self.either(|| json::refused(command, error), || readable::refused(command, error))?;
        error
            .refused
            .iter()
            .try_for_each(|refusal| self.refused_key(command, refusal))
    }

    /// A command was not done for one of its keys.
    pub(super) fn refused_key(&mut self, command: &str, refusal: &AttributeRefusal) -> Result<(), Failure> {
        self.either(
            || json::refused_key(command, refusal),
            || readable::refused_key(command, refusal),
        )
    }

    /// A line of input that is no command.
    pub(super) fn mistake(&mut self, failure: &Failure) -> Result<(), Failure> {
        self.either(|| json::mistake(failure), || readable::mistake(failure))
    }

    fn either<'a>(
        &mut self,
        json: impl FnOnce() -> json::EventLine<'a>,
        readable: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        let line = match self.format {
            Format::Json => text_of(&json())?,
            Format::Readable => readable(),
        };
        self.line(&line)
    }

    /// Writes the line of an event. The end of the connection has none: it is the exit code.
    pub(super) fn event(&mut self, event: &Event) -> Result<(), Failure> {
        let line = match self.format {
            Format::Json => json::event(event).map(|line| text_of(&line)).transpose()?,
            Format::Readable => readable::event(event),
        };
        line.map_or(Ok(()), |line| self.line(&line))
    }

    fn line(&mut self, text: &str) -> Result<(), Failure> {
        // One write, so that two writers to the same terminal or file do not share a line.
        let written = self
            .writer
            .write_all(format!("{text}\n").as_bytes())
            .and_then(|()| self.writer.flush());
        written.map_err(|error| Failure::output(&error))
    }
}

fn text_of(line: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(line).map_err(|error| Failure::invalid("stdout", error.to_string()))
}

fn destroyed_reason(reason: RoomDestroyedReason) -> &'static str {
    match reason {
        RoomDestroyedReason::Unspecified => "unspecified",
        RoomDestroyedReason::Fault => "fault",
        RoomDestroyedReason::Server => "server",
        RoomDestroyedReason::Idle => "idle",
        RoomDestroyedReason::Expired => "expired",
    }
}

fn kind_name(kind: &MessageKind) -> String {
    match kind {
        MessageKind::Text => "text".to_owned(),
        MessageKind::Command => "command".to_owned(),
        MessageKind::Barrage => "barrage".to_owned(),
        MessageKind::Image => "image".to_owned(),
        MessageKind::File => "file".to_owned(),
        MessageKind::Audio => "audio".to_owned(),
        MessageKind::Video => "video".to_owned(),
        MessageKind::Combined => "combined".to_owned(),
        MessageKind::Custom { .. } => "custom".to_owned(),
        MessageKind::Other(number) => number.to_string(),
        _ => "other".to_owned(),
    }
}

/// `text` without what could move a terminal's cursor, change its state or reorder what stands beside it.
pub(super) fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\t' | '\n' | '\r' => printable.extend(character.escape_default()),
            // Line and paragraph separators, and the marks that change the direction of writing.
            '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                printable.extend(character.escape_unicode());
            }
            _ if character.is_control() => printable.extend(character.escape_unicode()),
            _ => printable.push(character),
        }
    }
    printable
}

#[cfg(test)]
mod tests {
    use sluice_protocol::{
        LeaveReason, MessageType, MuteScope, RoomAttribute, RoomAttributesChanged, RoomGap, RoomKickedOut,
        RoomMemberDigest, RoomMemberLeft, RoomMessage, RoomMessageRecalled, RoomMuteChanged, RoomResumed,
        SystemMessage, UserInfo,
    };

    use super::*;

    fn user(user_id: &str) -> UserInfo {
        UserInfo {
            user_id: user_id.into(),
            user_name: "Any Name".into(),
        }
    }

    fn message(message_type: MessageType, content: &[u8]) -> Event {
        let message = RoomMessage {
            room_id: "lobby".into(),
            sequence: 3,
            message_id: u64::MAX,
            server_time_ms: 1_700_000_000_000,
            sender: Some(user("bob")),
            r#type: message_type.into(),
            object_name: if message_type == MessageType::Custom {
                "app:dice".into()
            } else {
                String::new()
            },
            content: content.to_vec().into(),
            ..RoomMessage::default()
        };
        Event::RoomMessage(message.into())
    }

    fn line(format: Format, event: &Event) -> String {
        let mut bytes = Vec::new();
        Output::new(&mut bytes, format)
            .event(event)
            .expect("a Vec takes everything");
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn a_message_is_its_sender_and_its_text() {
        let readable = |event: &Event| line(Format::Readable, event);
        assert_eq!(readable(&message(MessageType::Text, b"hello")), "bob: hello\n");
        assert_eq!(readable(&message(MessageType::Barrage, b"wow")), "bob (barrage): wow\n");
        assert_eq!(
            readable(&message(MessageType::Custom, &[0xff, 0])),
            "bob (custom app:dice): 2 bytes\n"
        );
    }

    #[test]
    fn a_message_cannot_take_over_the_terminal() {
        let evil = "a\u{1b}[2J\u{7}b\nmallory: c\u{9b}d\u{202e}e\u{7f}";
        let shown = line(Format::Readable, &message(MessageType::Text, evil.as_bytes()));
        assert_eq!(shown, "bob: a\\u{1b}[2J\\u{7}b\\nmallory: c\\u{9b}d\\u{202e}e\\u{7f}\n");
        assert_eq!(printable("Zoë 👩‍🚀 你好"), "Zoë 👩‍🚀 你好");
    }

    #[test]
    fn what_is_no_message_begins_with_an_asterisk() {
        let left = |reason: LeaveReason| {
            let members = vec![user("bob"), user("carol")];
            Event::MemberLeft(
                RoomMemberLeft {
                    members,
                    reason: reason.into(),
                    ..RoomMemberLeft::default()
                }
                .into(),
            )
        };
        assert_eq!(line(Format::Readable, &left(LeaveReason::Left)), "* bob, carol left\n");
        assert_eq!(
            line(Format::Readable, &left(LeaveReason::Offline)),
            "* bob, carol left (connection lost)\n"
        );
        let gap = RoomGap {
            first_sequence: 4,
            last_sequence: 9,
            low: 1,
            ..RoomGap::default()
        };
        assert_eq!(
            line(Format::Readable, &Event::Gap(gap.into())),
            "* missed 1 message between 4 and 9\n"
        );
        let digest = RoomMemberDigest {
            joined_count: 7,
            left_count: 2,
            member_count: 900,
            ..RoomMemberDigest::default()
        };
        let shown = line(Format::Readable, &Event::MemberDigest(digest.into()));
        assert_eq!(shown, "* 7 joined, 2 left, now 900 members\n");
    }

    #[test]
    fn a_message_in_json_is_one_line_with_stable_names() {
        let shown = line(Format::Json, &message(MessageType::Text, b"two\nlines \x1b"));
        assert_eq!(
            shown,
            concat!(
                r#"{"event":"message","room":"lobby","sequence":3,"message_id":"18446744073709551615","#,
                r#""time_ms":1700000000000,"user":"bob","name":"Any Name","type":"text","priority":"default","#,
                r#""content":"two\nlines \u001b"}"#,
                "\n"
            )
        );
        let shown = line(Format::Json, &message(MessageType::Custom, &[0xff, 0]));
        assert!(
            shown.contains(r#""content_hex":"ff00","object_name":"app:dice""#),
            "{shown}"
        );
    }

    #[test]
    fn every_event_has_a_line_for_people_and_one_for_programs() {
        for (event, readable, json) in events_of_rooms() {
            assert_eq!(line(Format::Readable, &event), format!("{readable}\n"));
            assert_eq!(line(Format::Json, &event), format!("{json}\n"));
        }
    }

    fn events_of_rooms() -> [(Event, &'static str, &'static str); 7] {
        let room_id = || "lobby".to_owned();
        [
            (
                Event::KickedOut(
                    RoomKickedOut {
                        room_id: room_id(),
                        reason: LeaveReason::Blocked.into(),
                        until_ms: 9,
                        extra: "spam\n".into(),
                    }
                    .into(),
                ),
                "* you were put out of lobby (blocked): spam\\n",
                r#"{"event":"kicked_out","room":"lobby","reason":"blocked","until_ms":9,"extra":"spam\n"}"#,
            ),
            (
                Event::MuteChanged(
                    RoomMuteChanged {
                        room_id: room_id(),
                        scope: MuteScope::Room.into(),
                        muted: true,
                        ..RoomMuteChanged::default()
                    }
                    .into(),
                ),
                "* everybody may not send",
                r#"{"event":"mute","room":"lobby","scope":"room","muted":true,"until_ms":0}"#,
            ),
            (
                Event::AttributesChanged(
                    RoomAttributesChanged {
                        room_id: room_id(),
                        version: 4,
                        set: vec![RoomAttribute {
                            key: "topic".into(),
                            value: "tea".into(),
                            owner_id: "bob".into(),
                            version: 4,
                        }],
                        deleted: vec!["mood".into()],
                        by: Some(user("bob")),
                    }
                    .into(),
                ),
                "* topic = tea, without mood (by bob)",
                concat!(
                    r#"{"event":"attributes_changed","room":"lobby","version":4,"#,
                    r#""set":[{"key":"topic","value":"tea","owner":"bob","version":4}],"deleted":["mood"],"#,
                    r#""by":{"user":"bob","name":"Any Name"}}"#
                ),
            ),
            (
                Event::MessageRecalled(
                    RoomMessageRecalled {
                        room_id: room_id(),
                        message_id: u64::MAX,
                        sequence: 3,
                        operator_id: "mod".into(),
                        recalled_at_ms: 5,
                    }
                    .into(),
                ),
                "* message 3 was taken back",
                concat!(
                    r#"{"event":"recalled","room":"lobby","sequence":3,"message_id":"18446744073709551615","#,
                    r#""operator":"mod","time_ms":5}"#
                ),
            ),
            (
                Event::SystemMessage(
                    SystemMessage {
                        message_id: 6,
                        server_time_ms: 7,
                        sender_id: "ops".into(),
                        r#type: MessageType::Text.into(),
                        content: b"maintenance\x1b".to_vec().into(),
                        ..SystemMessage::default()
                    }
                    .into(),
                ),
                "* to everybody, from ops: maintenance\\u{1b}",
                concat!(
                    r#"{"event":"system","message_id":"6","time_ms":7,"user":"ops","type":"text","#,
                    r#""content":"maintenance\u001b"}"#
                ),
            ),
            (
                Event::RoomResumed(
                    RoomResumed {
                        room_id: room_id(),
                        sequence: 9,
                        replayed: 2,
                        missed: 1,
                        member_count: 4,
                        ..RoomResumed::default()
                    }
                    .into(),
                ),
                "* back in lobby, missed 1 message",
                r#"{"event":"resumed","room":"lobby","sequence":9,"replayed":2,"missed":1,"members":4}"#,
            ),
            (
                Event::Reconnecting {
                    attempt: 3,
                    delay: std::time::Duration::from_millis(1840),
                },
                "* next try in 1.8 s",
                r#"{"event":"reconnecting","attempt":3,"delay_ms":1840}"#,
            ),
        ]
    }

    #[test]
    fn member_events_in_json_name_users_and_reason() {
        let left = RoomMemberLeft {
            room_id: "lobby".into(),
            members: vec![user("bob")],
            reason: LeaveReason::Offline.into(),
            member_count: 4,
        };
        assert_eq!(
            line(Format::Json, &Event::MemberLeft(left.into())),
            concat!(
                r#"{"event":"left","room":"lobby","users":[{"user":"bob","name":"Any Name"}],"members":4,"#,
                r#""reason":"offline"}"#,
                "\n"
            )
        );
    }
}
