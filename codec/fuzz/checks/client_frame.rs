//! Opening what a client sent. The whole input is the body of one frame.

use bytes::Bytes;
use prost::Message;
use sluice_codec::{ClientFrame, FrameError, encode, open_client_frame, open_server_frame, split_frame};
use sluice_protocol::Frame;
use sluice_protocol::frame::Body;

/// Panics if a promise of the decoder does not hold for this input.
pub(crate) fn check(input: &[u8]) {
    match open_client_frame(input) {
        Ok(ClientFrame::Command { request_id, command }) => {
            assert!(is_command(&command));
            let frame = Frame {
                request_id,
                body: Some(command),
            };
            assert_eq!(Frame::decode(input).as_ref(), Ok(&frame));
            assert_eq!(open_server_frame(input).as_ref(), Ok(&frame));
            assert_opens_to_itself(&frame);
        }
        // What was not decoded may still be bad inside.
        Ok(ClientFrame::Unknown { request_id, number }) => {
            assert!(number == 2 || (16..=127).contains(&number));
            if let Ok(frame) = open_server_frame(input) {
                assert_eq!(frame.request_id, request_id);
                assert!(!frame.body.as_ref().is_some_and(is_command));
            }
        }
        Err(error) => {
            assert_eq!(error, FrameError::Malformed);
            assert!(open_server_frame(input).is_err());
        }
    }
}

fn assert_opens_to_itself(frame: &Frame) {
    let bytes: Bytes = encode(frame);
    let split = split_frame(&bytes, usize::MAX)
        .expect("a canonical prefix")
        .expect("a whole frame");
    assert_eq!(split.consumed, bytes.len());
    assert_eq!(open_server_frame(split.body).as_ref(), Ok(frame));
}

fn is_command(body: &Body) -> bool {
    match body {
        Body::Login(_)
        | Body::Logout(_)
        | Body::Ping(_)
        | Body::RenewToken(_)
        | Body::CreateRoom(_)
        | Body::JoinRoom(_)
        | Body::EnterRoom(_)
        | Body::JoinChatRoom(_)
        | Body::JoinExistChatRoom(_)
        | Body::LeaveRoom(_)
        | Body::SwitchRoom(_)
        | Body::LeaveAllRooms(_)
        | Body::QueryRoom(_)
        | Body::QueryRoomMembers(_)
        | Body::QueryNamedMembers(_)
        | Body::SetRoomAttributes(_)
        | Body::DeleteRoomAttributes(_)
        | Body::QueryRoomAttributes(_)
        | Body::SyncConversations(_)
        | Body::AckMessages(_)
        | Body::CreateConversation(_)
        | Body::QueryConversation(_)
        | Body::AddMembers(_)
        | Body::RemoveMembers(_)
        | Body::JoinConversation(_)
        | Body::QuitConversation(_)
        | Body::QueryConversationMembers(_)
        | Body::QueryConversations(_)
        | Body::QueryMessages(_)
        | Body::RecallMessage(_)
        | Body::EditMessage(_)
        | Body::UpdateConversation(_)
        | Body::CreateGroup(_)
        | Body::DismissGroup(_)
        | Body::TransferGroup(_)
        | Body::SetGroupManagers(_)
        | Body::MuteGroupMembers(_)
        | Body::PutCombinedPart(_)
        | Body::QueryCombined(_)
        | Body::EditBlacklist(_)
        | Body::QueryBlacklist(_)
        | Body::SendMessage(_) => true,
        Body::Reply(_)
        | Body::Close(_)
        | Body::TokenWillExpire(_)
        | Body::RoomMessage(_)
        | Body::RoomMemberJoined(_)
        | Body::RoomMemberLeft(_)
        | Body::RoomMemberDigest(_)
        | Body::RoomMemberCount(_)
        | Body::RoomGap(_)
        | Body::RoomDestroyed(_)
        | Body::RoomResumed(_)
        | Body::RoomKickedOut(_)
        | Body::RoomMuteChanged(_)
        | Body::RoomAttributesChanged(_)
        | Body::RoomMessageRecalled(_)
        | Body::ConversationMessage(_)
        | Body::MembersJoined(_)
        | Body::MembersLeft(_)
        | Body::Invited(_)
        | Body::KickedFromConversation(_)
        | Body::ConversationChanged(_)
        | Body::GroupDismissed(_)
        | Body::MessageRecalled(_)
        | Body::MessageEdited(_)
        | Body::PositionMoved(_)
        | Body::ConversationsLost(_)
        | Body::SystemMessage(_) => false,
    }
}
