//! Commands and events about conversations.

use bytes::Bytes;
use sluice_protocol::frame::Body;
use sluice_protocol::*;

const GROUP: i32 = ConversationType::Group as i32;
const PEER: i32 = ConversationType::Peer as i32;

fn users(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

pub(super) fn commands() -> Vec<(&'static str, Body)> {
    let (id, user) = (String::from("chess"), String::from("bob"));
    vec![
        (
            "send-message-to-a-user",
            Body::SendMessage(SendMessage {
                conversation_type: PEER,
                target_id: user.clone(),
                r#type: MessageType::Image.into(),
                client_message_id: "m-2".into(),
                media: Some(MediaInfo {
                    url: "https://example.com/cat.jpg".into(),
                    format: "jpg".into(),
                    size_bytes: 10 << 20,
                    duration_ms: 0,
                    width: 640,
                    height: 480,
                    file_name: "cat.jpg".into(),
                }),
                sender_info: Some(SenderInfo {
                    user_id: "alice".into(),
                    name: "Alice".into(),
                    portrait_url: "https://example.com/a".into(),
                    extra: "{}".into(),
                }),
                mentioned_user_ids: users(&["bob", "carol"]),
                mention_all: true,
                push_content: "a cat".into(),
                push_data: "{}".into(),
                keep: MessageKeep::Stored.into(),
                ..SendMessage::default()
            }),
        ),
        (
            "send-message-combined",
            Body::SendMessage(SendMessage {
                conversation_type: GROUP,
                target_id: id.clone(),
                r#type: MessageType::Combined.into(),
                content: Bytes::from_static(b"three messages"),
                combined_id: "c-1".into(),
                ..SendMessage::default()
            }),
        ),
        (
            "sync-conversations",
            Body::SyncConversations(SyncConversations {
                newest: 100,
                cursor: String::new(),
                known_types: vec![0, 2, 300],
                known_ids: users(&["bob", "chess", ""]),
                known_sequences: vec![1, u64::MAX, 0],
            }),
        ),
        (
            "sync-conversations-next",
            Body::SyncConversations(SyncConversations {
                cursor: "382416248085938176.3.9".into(),
                ..SyncConversations::default()
            }),
        ),
        (
            "ack-messages",
            Body::AckMessages(AckMessages {
                r#type: GROUP,
                id: id.clone(),
                delivered_sequence: 300,
                read_sequence: 2,
            }),
        ),
        (
            "create-conversation",
            Body::CreateConversation(CreateConversation {
                name: "we".into(),
                user_ids: users(&["bob", "carol"]),
                attributes: "{}".into(),
                unique: true,
                temporary_seconds: 604_800,
                transient: true,
            }),
        ),
        (
            "query-conversation",
            Body::QueryConversation(QueryConversation {
                r#type: PEER,
                id: user.clone(),
            }),
        ),
        (
            "add-members",
            Body::AddMembers(AddMembers {
                r#type: GROUP,
                id: id.clone(),
                user_ids: users(&["bob", ""]),
            }),
        ),
        (
            "remove-members",
            Body::RemoveMembers(RemoveMembers {
                r#type: GROUP,
                id: id.clone(),
                user_ids: users(&["bob"]),
            }),
        ),
        (
            "join-conversation",
            Body::JoinConversation(JoinConversation {
                r#type: GROUP,
                id: id.clone(),
            }),
        ),
        (
            "quit-conversation",
            Body::QuitConversation(QuitConversation {
                r#type: GROUP,
                id: id.clone(),
            }),
        ),
        (
            "query-conversation-members",
            Body::QueryConversationMembers(QueryConversationMembers {
                r#type: GROUP,
                id: id.clone(),
                limit: 100,
                cursor: user.clone(),
            }),
        ),
        (
            "query-conversations",
            Body::QueryConversations(QueryConversations {
                limit: 1000,
                skip: 20,
                type_plus_one: 3,
                containing_user_ids: users(&["bob"]),
                name_contains: "\u{4e2d}".into(),
                updated_after_ms: 1_700_000_000_000,
            }),
        ),
        (
            "query-messages",
            Body::QueryMessages(QueryMessages {
                r#type: GROUP,
                id: id.clone(),
                limit: 1000,
                direction: HistoryDirection::Newer.into(),
                message_id: 382_416_248_085_938_176,
                time_ms: -1,
                message_types: vec![1, 200, u32::MAX],
            }),
        ),
        (
            "recall-message",
            Body::RecallMessage(RecallMessage {
                r#type: PEER,
                id: user.clone(),
                message_id: 1,
            }),
        ),
        (
            "edit-message",
            Body::EditMessage(EditMessage {
                r#type: PEER,
                id: user.clone(),
                message_id: u64::MAX,
                content: Bytes::from_static(&[0, 0xff]),
                extended_data: "{}".into(),
            }),
        ),
        (
            "update-conversation",
            Body::UpdateConversation(UpdateConversation {
                r#type: GROUP,
                id: id.clone(),
                name: Some(String::new()),
                attributes: None,
                notice: Some("be kind".into()),
            }),
        ),
        (
            "create-group",
            Body::CreateGroup(CreateGroup {
                id: id.clone(),
                name: "Chess".into(),
                notice: "e4".into(),
                attributes: "{}".into(),
                user_ids: users(&["bob"]),
            }),
        ),
        ("dismiss-group", Body::DismissGroup(DismissGroup { id: id.clone() })),
        (
            "transfer-group",
            Body::TransferGroup(TransferGroup {
                id: id.clone(),
                user_id: user.clone(),
            }),
        ),
        (
            "set-group-managers",
            Body::SetGroupManagers(SetGroupManagers {
                id: id.clone(),
                user_ids: users(&["bob"]),
                manager: true,
            }),
        ),
        (
            "mute-group-members",
            Body::MuteGroupMembers(MuteGroupMembers {
                id: id.clone(),
                user_ids: users(&["bob"]),
                muted: true,
                seconds: 2_592_000,
            }),
        ),
        (
            "put-combined-part",
            Body::PutCombinedPart(PutCombinedPart {
                combined_id: "c-1".into(),
                part: 1023,
                content: Bytes::from_static(&[7; 300]),
            }),
        ),
        (
            "query-combined",
            Body::QueryCombined(QueryCombined {
                r#type: GROUP,
                id,
                message_id: 9,
                from_part: 16,
            }),
        ),
        (
            "edit-blacklist",
            Body::EditBlacklist(EditBlacklist {
                add: true,
                user_ids: users(&["mallory"]),
            }),
        ),
        ("query-blacklist", Body::QueryBlacklist(QueryBlacklist { cursor: user })),
    ]
}

pub(super) fn events() -> Vec<(&'static str, Body)> {
    let (id, by_user_id) = (String::from("chess"), String::from("alice"));
    let conversation = ConversationInfo {
        r#type: GROUP,
        id: id.clone(),
        name: "Chess".into(),
        member_count: 500,
        muted: true,
        ..ConversationInfo::default()
    };
    let message = ConversationMessage {
        conversation_type: GROUP,
        target_id: id.clone(),
        sequence: 300,
        message_id: 382_416_248_085_938_176,
        sender: Some(UserInfo {
            user_id: "alice".into(),
            user_name: "Alice".into(),
        }),
        r#type: MessageType::Text.into(),
        content: Bytes::from_static(b"e4"),
        history: true,
        left: 7,
        ..ConversationMessage::default()
    };
    let member = ConversationMember {
        user_id: "bob".into(),
        role: MemberRole::Manager.into(),
        muted_until_ms: i64::MAX,
        ..ConversationMember::default()
    };
    vec![
        (
            "reply-sync-page",
            Body::Reply(Reply {
                result: Some(reply::Result::SyncPage(SyncPage {
                    conversations: vec![OwnConversation {
                        info: Some(conversation.clone()),
                        role: MemberRole::Owner.into(),
                        unread: 999,
                        ..OwnConversation::default()
                    }],
                    more_conversations: 3,
                    messages: vec![message.clone(), message.clone()],
                    next_cursor: "1.2.3".into(),
                })),
                ..Reply::default()
            }),
        ),
        ("conversation-message", Body::ConversationMessage(message.clone())),
        (
            "members-joined",
            Body::MembersJoined(MembersJoined {
                r#type: GROUP,
                id: id.clone(),
                user_ids: users(&["bob", "carol"]),
                by_user_id: by_user_id.clone(),
                member_count: 3,
            }),
        ),
        (
            "members-left",
            Body::MembersLeft(MembersLeft {
                r#type: GROUP,
                id: id.clone(),
                user_ids: users(&["bob"]),
                by_user_id: by_user_id.clone(),
                member_count: 2,
            }),
        ),
        (
            "invited",
            Body::Invited(Invited {
                conversation: Some(conversation.clone()),
                by_user_id: by_user_id.clone(),
            }),
        ),
        (
            "kicked-from-conversation",
            Body::KickedFromConversation(KickedFromConversation {
                r#type: GROUP,
                id: id.clone(),
                by_user_id: by_user_id.clone(),
            }),
        ),
        (
            "conversation-changed",
            Body::ConversationChanged(ConversationChanged {
                conversation: Some(conversation),
                by_user_id: by_user_id.clone(),
                roles: vec![member],
            }),
        ),
        (
            "group-dismissed",
            Body::GroupDismissed(GroupDismissed {
                id: id.clone(),
                by_user_id: by_user_id.clone(),
            }),
        ),
        (
            "message-recalled",
            Body::MessageRecalled(MessageRecalled {
                r#type: GROUP,
                target_id: id.clone(),
                sender_id: "bob".into(),
                sequence: 300,
                message_id: 9,
                by_user_id: by_user_id.clone(),
                recalled_at_ms: 1_700_000_000_000,
            }),
        ),
        (
            "message-edited",
            Body::MessageEdited(ConversationMessage {
                edited_at_ms: 1_700_000_000_000,
                ..message
            }),
        ),
        (
            "position-moved",
            Body::PositionMoved(PositionMoved {
                r#type: PEER,
                target_id: by_user_id,
                user_id: "bob".into(),
                delivered_sequence: 300,
                read_sequence: 299,
            }),
        ),
        ("conversations-lost", Body::ConversationsLost(ConversationsLost {})),
    ]
}
