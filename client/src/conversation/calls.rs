//! The commands on conversations.

use bytes::Bytes;
use sluice_protocol::frame::Body;
use sluice_protocol::{
    AckMessages, AddMembers, DismissGroup, EditBlacklist, EditMessage, JoinConversation, Messages, MuteGroupMembers,
    PutCombinedPart, QueryBlacklist, QueryCombined, QueryConversation, QueryConversationMembers, QuitConversation,
    RecallMessage, RemoveMembers, SetGroupManagers, SyncConversations, TransferGroup, reply,
};

use crate::client::Client;
use crate::conversation::{
    Conversation, ConversationCreated, ConversationId, ConversationList, ConversationMembersPage,
    ConversationMembersWritten, ConversationMessage, ConversationQuery, ConversationUpdate, ConversationsPage,
    MessageHistory, MessagesPage, MessagesQuery, NewConversation, NewGroup, Position,
};
use crate::error::ClientError;
use crate::pending::Pending;
use crate::sync::{KnownConversation, SyncPage};
use sluice_protocol::ErrorCode;

/// Commands on conversations. Where one names a conversation, it can fail with 4303 (there is none), 21406 or 22406 (this user is not in the
/// discussion or the group), 4323 (a temporary one has ended) and 33003 (detail: the field); those that change something with 5004 and 31003
/// too, when the server's store has too much to do, or no room: then it was not done (31003 with the detail `store`: it may be), and
/// [`ClientError::retry_after`] says when to try again.
impl Client {
    /// Asks for a page of what came while this user was away, and turns on the events of conversations for this session. `newest` is 0 to 100,
    /// for each conversation; 0 means 20. `cursor` is [`SyncPage::next_cursor`] of the page before, and empty for the first; `known` says of at
    /// most 50 conversations which messages are here, on the first page.
    ///
    /// This is the command as it is. With [`Options::sync`](crate::Options::sync) the client does it by itself, and an app does not call this.
    ///
    /// # Errors
    /// 33003.
    pub fn sync_conversations(&self, newest: u32, cursor: &str, known: &[KnownConversation]) -> Pending<SyncPage> {
        let command = SyncConversations {
            newest,
            cursor: cursor.to_owned(),
            known_types: known
                .iter()
                .map(|known| known.conversation.wire_type() as u32)
                .collect(),
            known_ids: known.iter().map(|known| known.conversation.id.clone()).collect(),
            known_sequences: known.iter().map(|known| known.sequence).collect(),
        };
        let user_id = self.session().user_id.clone();
        self.call(Ok(Body::SyncConversations(command)), move |result| match result {
            Some(reply::Result::SyncPage(page)) => Some(SyncPage::of_wire(page, &user_id)),
            _ => None,
        })
    }

    /// Says how far this user has got. Both positions only grow; 0 leaves one as it is. Answers how far it is now.
    ///
    /// With [`Options::sync`](crate::Options::sync) the client says by itself what was delivered, and [`mark_read`](Self::mark_read) is enough.
    ///
    /// # Errors
    /// Those of every command that names a conversation.
    pub fn ack_messages(
        &self,
        conversation: &ConversationId,
        delivered_sequence: u64,
        read_sequence: u64,
    ) -> Pending<Position> {
        let command = conversation.check("id").map(|()| AckMessages {
            r#type: conversation.wire_type().into(),
            id: conversation.id.clone(),
            delivered_sequence,
            read_sequence,
        });
        self.call(command.map(Body::AckMessages), |result| match result {
            Some(reply::Result::AckMessages(position)) => Some(position.into()),
            _ => None,
        })
    }

    /// Says that this user has read all messages up to this one. The other one of two, and this user's other devices, are told.
    ///
    /// # Errors
    /// Those of every command that names a conversation.
    pub fn mark_read(&self, conversation: &ConversationId, sequence: u64) -> Pending<Position> {
        self.ack_messages(conversation, 0, sequence)
    }

    /// Makes a discussion.
    ///
    /// # Errors
    /// 33003, 25411 when there are more members than allowed.
    pub fn create_conversation(&self, conversation: NewConversation) -> Pending<ConversationCreated> {
        self.create(Body::CreateConversation(conversation.into_command()))
    }

    /// Makes a group, which this user owns.
    ///
    /// # Errors
    /// 33003, 25409 when the id is taken, 25411 when there are more members than allowed.
    pub fn create_group(&self, group: NewGroup) -> Pending<ConversationCreated> {
        self.create(Body::CreateGroup(group.into_command()))
    }

    /// Asks about a conversation this user is in.
    ///
    /// # Errors
    /// Those of every command that names a conversation.
    pub fn query_conversation(&self, conversation: &ConversationId) -> Pending<Conversation> {
        let command = conversation.check("id").map(|()| QueryConversation {
            r#type: conversation.wire_type().into(),
            id: conversation.id.clone(),
        });
        self.call(command.map(Body::QueryConversation), |result| match result {
            Some(reply::Result::OwnConversation(own)) => Conversation::of_wire(own),
            _ => None,
        })
    }

    /// Asks for a page of this user's conversations. [`conversations`](Self::conversations) asks for page after page.
    ///
    /// # Errors
    /// 33003.
    pub fn query_conversations(&self, query: ConversationQuery) -> Pending<ConversationsPage> {
        let command = Body::QueryConversations(query.into_command());
        self.call(Ok(command), |result| match result {
            Some(reply::Result::Conversations(page)) => Some(ConversationsPage {
                conversations: page
                    .conversations
                    .into_iter()
                    .filter_map(Conversation::of_wire)
                    .collect(),
                more: page.more,
            }),
            _ => None,
        })
    }

    /// This user's conversations one after the other, the one with the newest message first.
    pub fn conversations(&self) -> ConversationList {
        ConversationList::new(self.clone())
    }

    /// Asks for messages of a conversation, those since this user came. [`history`](Self::history) asks for page after page.
    ///
    /// # Errors
    /// Those of every command that names a conversation; 33007 where the app has no history.
    pub fn query_messages(&self, conversation: &ConversationId, query: MessagesQuery) -> Pending<MessagesPage> {
        let command = conversation.check("id").map(|()| query.into_command(conversation));
        let user_id = self.session().user_id.clone();
        self.call(command.map(Body::QueryMessages), move |result| match result {
            Some(reply::Result::Messages(page)) => Some(messages_page(page, &user_id)),
            _ => None,
        })
    }

    /// The messages of a conversation from the newest back, `page_size` at a time: 1 to 1000, or 0 for 20.
    pub fn history(&self, conversation: &ConversationId, page_size: u32) -> MessageHistory {
        MessageHistory::new(self.clone(), conversation.clone(), page_size)
    }

    /// Adds users, 1 to 100. Each is judged for itself. In a group owner and managers may, and members if the group lets them.
    ///
    /// # Errors
    /// Those of every command that names a conversation; 25405 when this user may not.
    pub fn add_members(
        &self,
        conversation: &ConversationId,
        user_ids: impl IntoIterator<Item = impl Into<String>>,
    ) -> Pending<ConversationMembersWritten> {
        let command = conversation.check("id").map(|()| AddMembers {
            r#type: conversation.wire_type().into(),
            id: conversation.id.clone(),
            user_ids: user_ids.into_iter().map(Into::into).collect(),
        });
        self.write_members(command.map(Body::AddMembers))
    }

    /// Removes users, 1 to 100: from a discussion any member may, from a group owner and managers. Each is judged for itself.
    ///
    /// # Errors
    /// As [`add_members`](Self::add_members).
    pub fn remove_members(
        &self,
        conversation: &ConversationId,
        user_ids: impl IntoIterator<Item = impl Into<String>>,
    ) -> Pending<ConversationMembersWritten> {
        let command = conversation.check("id").map(|()| RemoveMembers {
            r#type: conversation.wire_type().into(),
            id: conversation.id.clone(),
            user_ids: user_ids.into_iter().map(Into::into).collect(),
        });
        self.write_members(command.map(Body::RemoveMembers))
    }

    /// Joins a discussion or a group.
    ///
    /// # Errors
    /// Those of every command that names a conversation; 25411 when it is full, 25414 when nobody joins this group by itself.
    pub fn join_conversation(&self, conversation: &ConversationId) -> Pending<ConversationMembersWritten> {
        let command = conversation.check("id").map(|()| JoinConversation {
            r#type: conversation.wire_type().into(),
            id: conversation.id.clone(),
        });
        self.write_members(command.map(Body::JoinConversation))
    }

    /// Leaves a discussion or a group.
    ///
    /// # Errors
    /// Those of every command that names a conversation; 25417 for the owner of a group with others in it, who hands it over first.
    pub fn quit_conversation(&self, conversation: &ConversationId) -> Pending<ConversationMembersWritten> {
        let command = conversation.check("id").map(|()| QuitConversation {
            r#type: conversation.wire_type().into(),
            id: conversation.id.clone(),
        });
        self.write_members(command.map(Body::QuitConversation))
    }

    /// Asks for a page of members, by user id. `limit` is 1 to 100, or 0 for 100; `cursor` is [`ConversationMembersPage::next_cursor`] of the
    /// page before, and empty for the first.
    ///
    /// # Errors
    /// Those of every command that names a conversation.
    pub fn query_conversation_members(
        &self,
        conversation: &ConversationId,
        limit: u32,
        cursor: &str,
    ) -> Pending<ConversationMembersPage> {
        let command = conversation.check("id").map(|()| QueryConversationMembers {
            r#type: conversation.wire_type().into(),
            id: conversation.id.clone(),
            limit,
            cursor: cursor.to_owned(),
        });
        self.call(command.map(Body::QueryConversationMembers), |result| match result {
            Some(reply::Result::ConversationMembers(page)) => Some(page.into()),
            _ => None,
        })
    }

    /// Changes what a conversation says of itself. In a discussion any member may, in a group owner and managers.
    ///
    /// # Errors
    /// Those of every command that names a conversation; 25405 when this user may not.
    pub fn update_conversation(&self, conversation: &ConversationId, update: ConversationUpdate) -> Pending<()> {
        let command = conversation.check("id").map(|()| update.into_command(conversation));
        self.call_done(command.map(Body::UpdateConversation))
    }

    /// Takes a message back: one's own soon after it was sent, in a group owner and managers any. Answers when, milliseconds since 1970-01-01
    /// UTC.
    ///
    /// # Errors
    /// Those of every command that names a conversation; 22201 when there is no such message, 25101 for a kind of conversation in which nothing is
    /// taken back, 25107 when it is not one's own, 6000278 when it is too late, 6000279 when it was taken back.
    pub fn recall_message(&self, conversation: &ConversationId, message_id: u64) -> Pending<i64> {
        let command = conversation.check("id").map(|()| RecallMessage {
            r#type: conversation.wire_type().into(),
            id: conversation.id.clone(),
            message_id,
        });
        self.call(command.map(Body::RecallMessage), |result| match result {
            Some(reply::Result::MessageChanged(changed)) => Some(changed.changed_at_ms),
            _ => None,
        })
    }

    /// Changes content and extended data of one's own text or custom message. Answers [`ErrorCode::WORD_REPLACED`] when words of the new text
    /// were replaced.
    ///
    /// # Errors
    /// As [`recall_message`](Self::recall_message), but 20114 when it is too late and 20116 when it is of no such kind or was taken back; 20115
    /// when it is too large, 21501 when the text holds a word that the app does not allow.
    pub fn edit_message(
        &self,
        conversation: &ConversationId,
        message_id: u64,
        content: impl Into<Bytes>,
        extended_data: &str,
    ) -> Pending<Option<ErrorCode>> {
        let command = conversation.check("id").map(|()| EditMessage {
            r#type: conversation.wire_type().into(),
            id: conversation.id.clone(),
            message_id,
            content: content.into(),
            extended_data: extended_data.to_owned(),
        });
        self.call(command.map(Body::EditMessage), |result| match result {
            Some(reply::Result::MessageChanged(changed)) => {
                Some(Some(changed.notice.into()).filter(|notice| *notice != ErrorCode::NO_ERROR))
            }
            _ => None,
        })
    }

    /// Ends a group. Only its owner may.
    ///
    /// # Errors
    /// Those of every command that names a conversation; 25405.
    pub fn dismiss_group(&self, group_id: &str) -> Pending<()> {
        let command = ConversationId::group(group_id).check("id").map(|()| DismissGroup {
            id: group_id.to_owned(),
        });
        self.call_done(command.map(Body::DismissGroup))
    }

    /// Hands a group over to a member. Only its owner may.
    ///
    /// # Errors
    /// Those of every command that names a conversation; 25405, 25418 when the user is not inside.
    pub fn transfer_group(&self, group_id: &str, user_id: &str) -> Pending<()> {
        let command = ConversationId::group(group_id).check("id").map(|()| TransferGroup {
            id: group_id.to_owned(),
            user_id: user_id.to_owned(),
        });
        self.call_done(command.map(Body::TransferGroup))
    }

    /// Makes members, 1 to 20, managers, or members again. Only the owner may. Each is judged for itself.
    ///
    /// # Errors
    /// As [`transfer_group`](Self::transfer_group).
    pub fn set_group_managers(
        &self,
        group_id: &str,
        user_ids: impl IntoIterator<Item = impl Into<String>>,
        manager: bool,
    ) -> Pending<ConversationMembersWritten> {
        let command = ConversationId::group(group_id).check("id").map(|()| SetGroupManagers {
            id: group_id.to_owned(),
            user_ids: user_ids.into_iter().map(Into::into).collect(),
            manager,
        });
        self.write_members(command.map(Body::SetGroupManagers))
    }

    /// Keeps members, 1 to 20, from sending for so many seconds (0: without end), or lets them send again. Owner and managers may. Each is judged for
    /// itself.
    ///
    /// # Errors
    /// As [`transfer_group`](Self::transfer_group).
    pub fn mute_group_members(
        &self,
        group_id: &str,
        user_ids: impl IntoIterator<Item = impl Into<String>>,
        muted: bool,
        seconds: u32,
    ) -> Pending<ConversationMembersWritten> {
        let user_ids: Vec<String> = user_ids.into_iter().map(Into::into).collect();
        let command = ConversationId::group(group_id).check("id").and_then(|()| {
            // On the wire nobody means everybody.
            if user_ids.is_empty() {
                return Err(ClientError::invalid("user_ids", "nobody is named"));
            }
            Ok(MuteGroupMembers {
                id: group_id.to_owned(),
                user_ids,
                muted,
                seconds,
            })
        });
        self.write_members(command.map(Body::MuteGroupMembers))
    }

    /// Keeps all but owner and managers of a group from sending, or lets them send again. Owner and managers may.
    ///
    /// # Errors
    /// As [`transfer_group`](Self::transfer_group).
    pub fn mute_group(&self, group_id: &str, muted: bool) -> Pending<ConversationMembersWritten> {
        let command = ConversationId::group(group_id).check("id").map(|()| MuteGroupMembers {
            id: group_id.to_owned(),
            muted,
            ..MuteGroupMembers::default()
        });
        self.write_members(command.map(Body::MuteGroupMembers))
    }

    /// Puts one part of the messages that a combined message carries; parts count from 0 and have 1 to 32768 bytes. When all are there, send
    /// [`OutgoingMessage::combined`](crate::OutgoingMessage::combined). `combined_id` is 1 to 64 letters, digits and `-`.
    ///
    /// # Errors
    /// 33003 (detail `combined_id`: a message has named these parts already), 20115 (detail: the limit).
    pub fn put_combined_part(&self, combined_id: &str, part: u32, content: impl Into<Bytes>) -> Pending<()> {
        self.call_done(Ok(Body::PutCombinedPart(PutCombinedPart {
            combined_id: combined_id.to_owned(),
            part,
            content: content.into(),
        })))
    }

    /// Asks for the parts of a combined message from this one on. Answers them, and the first part of the next page if there is one.
    ///
    /// # Errors
    /// Those of every command that names a conversation; 22201 when there is no such message, or it was taken back.
    pub fn query_combined(
        &self,
        conversation: &ConversationId,
        message_id: u64,
        from_part: u32,
    ) -> Pending<(Vec<Bytes>, Option<u32>)> {
        let command = conversation.check("id").map(|()| QueryCombined {
            r#type: conversation.wire_type().into(),
            id: conversation.id.clone(),
            message_id,
            from_part,
        });
        self.call(command.map(Body::QueryCombined), |result| match result {
            Some(reply::Result::CombinedParts(page)) => {
                Some((page.parts, Some(page.next_part).filter(|part| *part > 0)))
            }
            _ => None,
        })
    }

    /// Adds users, 1 to 20, to those whose messages this user does not want.
    ///
    /// # Errors
    /// 33003, 25411 when the list would have more than 1000.
    pub fn add_to_blacklist(&self, user_ids: impl IntoIterator<Item = impl Into<String>>) -> Pending<()> {
        self.edit_blacklist(true, user_ids.into_iter().map(Into::into).collect())
    }

    /// Takes users, 1 to 20, off that list.
    ///
    /// # Errors
    /// 33003.
    pub fn remove_from_blacklist(&self, user_ids: impl IntoIterator<Item = impl Into<String>>) -> Pending<()> {
        self.edit_blacklist(false, user_ids.into_iter().map(Into::into).collect())
    }

    /// Asks for a page of that list, by user id. Answers the users, and what to ask for the next page with if there is one.
    ///
    /// # Errors
    /// 33003.
    pub fn query_blacklist(&self, cursor: &str) -> Pending<(Vec<String>, Option<String>)> {
        let command = Body::QueryBlacklist(QueryBlacklist {
            cursor: cursor.to_owned(),
        });
        self.call(Ok(command), |result| match result {
            Some(reply::Result::Blacklist(page)) => Some((
                page.user_ids,
                Some(page.next_cursor).filter(|cursor| !cursor.is_empty()),
            )),
            _ => None,
        })
    }

    fn edit_blacklist(&self, add: bool, user_ids: Vec<String>) -> Pending<()> {
        self.call_done(Ok(Body::EditBlacklist(EditBlacklist { add, user_ids })))
    }

    fn create(&self, command: Body) -> Pending<ConversationCreated> {
        self.call(Ok(command), |result| match result {
            Some(reply::Result::ConversationCreated(created)) => ConversationCreated::of_wire(created),
            _ => None,
        })
    }

    fn write_members(&self, command: Result<Body, ClientError>) -> Pending<ConversationMembersWritten> {
        self.call(command, |result| match result {
            Some(reply::Result::MembersChanged(changed)) => ConversationMembersWritten::of_wire(changed),
            _ => None,
        })
    }

    fn call_done(&self, command: Result<Body, ClientError>) -> Pending<()> {
        self.call(command, |result| {
            matches!(result, Some(reply::Result::Done(_))).then_some(())
        })
    }
}

pub(crate) fn messages_page(page: Messages, own_user_id: &str) -> MessagesPage {
    let message = |message| ConversationMessage::of_wire(message, own_user_id);
    MessagesPage {
        messages: page.messages.into_iter().filter_map(message).collect(),
        more: page.more,
        beyond_message_id: page.beyond_message_id,
    }
}
