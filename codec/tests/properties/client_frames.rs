//! Frames that clients send, good and bad.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use prost::Message;
use sluice_codec::{ClientFrame, FrameError, open_client_frame};
use sluice_protocol::frame::Body;
use sluice_protocol::{Frame, Ping, QueryRoomAttributes, RoomMemberJoined, SendMessage, UserInfo};

use crate::frames::{command, not_a_command};

/// A field's key: its number and its wire type.
fn key(number: u32, wire_type: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let key = number << 3 | wire_type;
    prost::encode_length_delimiter(key as usize, &mut bytes).unwrap();
    bytes
}

const VARINT: u32 = 0;
const FIXED_64: u32 = 1;
const BYTES: u32 = 2;
const GROUP_START: u32 = 3;
const GROUP_END: u32 = 4;
const FIXED_32: u32 = 5;

fn ping(request_id: u32) -> Vec<u8> {
    Frame {
        request_id,
        body: Some(Body::Ping(Ping {})),
    }
    .encode_to_vec()
}

fn owned_by_texts(texts: &[&String]) -> usize {
    texts.iter().map(|text| text.capacity()).sum()
}

fn owned_by_list(list: &Vec<String>) -> usize {
    list.capacity() * size_of::<String>() + list.iter().map(String::capacity).sum::<usize>()
}

/// Bytes that the values inside a command own.
fn owned_bytes(command: &Body) -> usize {
    match command {
        Body::Login(login) => {
            owned_by_texts(&[
                &login.app_key,
                &login.user_id,
                &login.user_name,
                &login.token,
                &login.device_id,
                &login.package_name,
                &login.sdk,
                &login.resume_secret,
            ]) + owned_by_list(&login.resume_rooms)
                + login.resume_sequences.capacity() * size_of::<u64>()
        }
        Body::Logout(_) | Body::Ping(_) | Body::LeaveAllRooms(_) => 0,
        Body::RenewToken(renew) => renew.token.capacity(),
        Body::CreateRoom(create) => {
            owned_by_texts(&[&create.room_id, &create.room_name, &create.policy, &create.extra])
                + owned_by_list(&create.attribute_keys)
                + owned_by_list(&create.attribute_values)
        }
        Body::JoinRoom(join) => owned_by_texts(&[&join.room_id, &join.extra]),
        Body::EnterRoom(enter) => {
            owned_by_texts(&[&enter.room_id, &enter.room_name, &enter.policy, &enter.extra])
                + owned_by_list(&enter.attribute_keys)
                + owned_by_list(&enter.attribute_values)
        }
        Body::JoinChatRoom(join) => owned_by_texts(&[&join.room_id, &join.policy, &join.extra]),
        Body::JoinExistChatRoom(join) => owned_by_texts(&[&join.room_id, &join.extra]),
        Body::LeaveRoom(leave) => leave.room_id.capacity(),
        Body::SwitchRoom(switch) => {
            owned_by_texts(&[&switch.leave_room_id, &switch.room_id, &switch.room_name, &switch.extra])
        }
        Body::QueryRoom(query) => query.room_id.capacity(),
        Body::QueryRoomMembers(query) => owned_by_texts(&[&query.room_id, &query.cursor]),
        Body::QueryNamedMembers(query) => query.room_id.capacity() + owned_by_list(&query.user_ids),
        Body::SetRoomAttributes(set) => set.room_id.capacity() + owned_by_list(&set.keys) + owned_by_list(&set.values),
        Body::DeleteRoomAttributes(delete) => delete.room_id.capacity() + owned_by_list(&delete.keys),
        Body::QueryRoomAttributes(query) => query.room_id.capacity() + owned_by_list(&query.keys),
        Body::SendMessage(send) => {
            send.content.len()
                + owned_by_texts(&[
                    &send.target_id,
                    &send.object_name,
                    &send.extended_data,
                    &send.client_message_id,
                    &send.push_content,
                    &send.push_data,
                    &send.combined_id,
                ])
                + owned_by_list(&send.mentioned_user_ids)
                + send.media.as_ref().map_or(0, |media| {
                    owned_by_texts(&[&media.url, &media.format, &media.file_name])
                })
                + send.sender_info.as_ref().map_or(0, |info| {
                    owned_by_texts(&[&info.user_id, &info.name, &info.portrait_url, &info.extra])
                })
        }
        Body::SyncConversations(sync) => {
            sync.cursor.capacity()
                + sync.known_types.capacity() * size_of::<u32>()
                + owned_by_list(&sync.known_ids)
                + sync.known_sequences.capacity() * size_of::<u64>()
        }
        Body::AckMessages(ack) => ack.id.capacity(),
        Body::CreateConversation(create) => {
            owned_by_texts(&[&create.name, &create.attributes]) + owned_by_list(&create.user_ids)
        }
        Body::QueryConversation(query) => query.id.capacity(),
        Body::AddMembers(add) => add.id.capacity() + owned_by_list(&add.user_ids),
        Body::RemoveMembers(remove) => remove.id.capacity() + owned_by_list(&remove.user_ids),
        Body::JoinConversation(join) => join.id.capacity(),
        Body::QuitConversation(quit) => quit.id.capacity(),
        Body::QueryConversationMembers(query) => owned_by_texts(&[&query.id, &query.cursor]),
        Body::QueryConversations(query) => query.name_contains.capacity() + owned_by_list(&query.containing_user_ids),
        Body::QueryMessages(query) => query.id.capacity() + query.message_types.capacity() * size_of::<u32>(),
        Body::RecallMessage(recall) => recall.id.capacity(),
        Body::EditMessage(edit) => edit.content.len() + owned_by_texts(&[&edit.id, &edit.extended_data]),
        Body::UpdateConversation(update) => {
            let texts = [&update.name, &update.attributes, &update.notice].into_iter().flatten();
            update.id.capacity() + texts.map(String::capacity).sum::<usize>()
        }
        Body::CreateGroup(create) => {
            owned_by_texts(&[&create.id, &create.name, &create.notice, &create.attributes])
                + owned_by_list(&create.user_ids)
        }
        Body::DismissGroup(dismiss) => dismiss.id.capacity(),
        Body::TransferGroup(transfer) => owned_by_texts(&[&transfer.id, &transfer.user_id]),
        Body::SetGroupManagers(set) => set.id.capacity() + owned_by_list(&set.user_ids),
        Body::MuteGroupMembers(mute) => mute.id.capacity() + owned_by_list(&mute.user_ids),
        Body::PutCombinedPart(put) => put.combined_id.capacity() + put.content.len(),
        Body::QueryCombined(query) => query.id.capacity(),
        Body::EditBlacklist(edit) => owned_by_list(&edit.user_ids),
        Body::QueryBlacklist(query) => query.cursor.capacity(),
        Body::Reply(_)
        | Body::Close(_)
        | Body::TokenWillExpire(_)
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
        | Body::SystemMessage(_) => panic!("{command:?} is no command"),
    }
}

/// What a list of numbers takes in memory for each byte on the wire.
const NUMBERS_INFLATION: usize = 8;

/// What lists of texts take beyond their bytes: a command has 256 fields at most, in lists that have grown to twice their length.
const LISTS_BYTES: usize = 2 * 256 * size_of::<String>();

/// Whatever is opened is what the bare decoder sees, is a command, and owns no more than its lists may inflate to.
fn assert_sound(body: &[u8]) {
    if let Ok(ClientFrame::Command { request_id, command }) = open_client_frame(body) {
        assert!(owned_bytes(&command) <= NUMBERS_INFLATION * body.len() + LISTS_BYTES);
        assert_eq!(
            Frame::decode(body).unwrap(),
            Frame {
                request_id,
                body: Some(command)
            }
        );
    }
}

proptest! {
    #[test]
    fn every_command_opens_to_what_the_bare_decoder_sees(request_id in any::<u32>(), command in command()) {
        let body = Frame { request_id, body: Some(command.clone()) }.encode_to_vec();
        prop_assert_eq!(open_client_frame(&body), Ok(ClientFrame::Command { request_id, command }));
        assert_sound(&body);
    }

    #[test]
    fn replies_and_events_are_unknown_to_a_server(request_id in any::<u32>(), (number, body) in not_a_command()) {
        let body = Frame { request_id, body: Some(body) }.encode_to_vec();
        prop_assert_eq!(open_client_frame(&body), Ok(ClientFrame::Unknown { request_id, number }));
    }

    #[test]
    fn every_truncation_of_a_command_is_malformed(request_id in any::<u32>(), command in command()) {
        let body = Frame { request_id, body: Some(command) }.encode_to_vec();
        for end in 0..body.len() {
            prop_assert_eq!(open_client_frame(&body[..end]), Err(FrameError::Malformed));
        }
    }

    #[test]
    fn a_damaged_frame_is_refused_or_still_sound(
        command in command(), damages in vec((any::<Index>(), any::<u8>()), 1..6)
    ) {
        let mut body = Frame { request_id: 1, body: Some(command) }.encode_to_vec();
        for (place, value) in damages {
            let place = place.index(body.len());
            body[place] = value;
        }
        assert_sound(&body);
    }

    #[test]
    fn noise_never_panics(body in vec(any::<u8>(), 0..200)) {
        assert_sound(&body);
    }

    #[test]
    fn a_field_given_many_times_owns_no_more_than_a_command_may(texts in vec("[a-z]{0,40}", 1..30)) {
        let fields: Vec<u8> = texts
            .iter()
            .flat_map(|text| SendMessage { target_id: text.clone(), ..SendMessage::default() }.encode_to_vec())
            .collect();
        let mut body = key(40, BYTES);
        prost::encode_length_delimiter(fields.len(), &mut body).unwrap();
        body.extend(fields);
        prop_assert!(open_client_frame(&body).is_ok());
        assert_sound(&body);
    }
}

fn query_of(keys: usize) -> Vec<u8> {
    let query = QueryRoomAttributes {
        keys: vec![String::new(); keys],
        ..QueryRoomAttributes::default()
    };
    let body = Some(Body::QueryRoomAttributes(query));
    Frame { request_id: 1, body }.encode_to_vec()
}

#[test]
fn a_command_of_more_fields_than_any_has_is_malformed_before_it_is_decoded() {
    for keys in [1, 255, 256] {
        assert!(open_client_frame(&query_of(keys)).is_ok(), "{keys}");
        assert_sound(&query_of(keys));
    }
    for keys in [257, 258, 30_000] {
        assert_eq!(open_client_frame(&query_of(keys)), Err(FrameError::Malformed), "{keys}");
    }
}

#[test]
fn events_full_of_members_reach_no_decoder() {
    let members = vec![UserInfo::default(); 30_000];
    let event = RoomMemberJoined {
        members,
        ..RoomMemberJoined::default()
    };
    let mut body = Frame {
        request_id: 5,
        body: Some(Body::RoomMemberJoined(event)),
    }
    .encode_to_vec();
    // The decoder would refuse the last member, so an answer other than "malformed" shows that it was not asked.
    *body.last_mut().unwrap() = 1;
    assert!(Frame::decode(&body[..]).is_err());
    assert_eq!(
        open_client_frame(&body),
        Ok(ClientFrame::Unknown {
            request_id: 5,
            number: 73
        })
    );
}

#[test]
fn a_command_of_a_later_version_is_unknown_and_not_malformed() {
    for number in [20, 39, 64, 127] {
        let body = [&[8, 9][..], &key(number, BYTES), &[2, 0xff, 0xff]].concat();
        assert_eq!(
            open_client_frame(&body),
            Ok(ClientFrame::Unknown { request_id: 9, number })
        );
    }
}

#[test]
fn a_frame_field_of_a_later_version_is_skipped() {
    for addition in [
        [key(3, VARINT), vec![0x85, 0x01]].concat(),
        [key(15, FIXED_32), vec![0; 4]].concat(),
        [key(128, FIXED_64), vec![0; 8]].concat(),
        [key(1000, BYTES), vec![3, 1, 2, 3]].concat(),
    ] {
        for body in [[addition.clone(), ping(9)].concat(), [ping(9), addition].concat()] {
            let expected = ClientFrame::Command {
                request_id: 9,
                command: Body::Ping(Ping {}),
            };
            assert_eq!(open_client_frame(&body), Ok(expected));
        }
    }
}

#[test]
fn no_body_and_two_bodies_are_malformed() {
    let later_command = [key(50, BYTES), vec![0]].concat();
    let event = [key(64, BYTES), vec![0]].concat();
    for body in [
        vec![],
        vec![8, 9],
        [ping(1), ping(2)].concat(),
        [ping(1), later_command.clone()].concat(),
        [later_command.clone(), later_command].concat(),
        [event, ping(1)].concat(),
    ] {
        assert_eq!(open_client_frame(&body), Err(FrameError::Malformed), "{body:x?}");
    }
}

#[test]
fn fields_of_the_wrong_wire_type_are_malformed() {
    for wrong in [
        [key(1, BYTES), vec![0]].concat(),
        [key(1, FIXED_32), vec![0; 4]].concat(),
        [key(18, VARINT), vec![0]].concat(),
        [key(50, FIXED_64), vec![0; 8]].concat(),
        [key(3, GROUP_START), key(3, GROUP_END)].concat(),
        [key(18, GROUP_START), key(18, GROUP_END)].concat(),
        key(3, GROUP_END),
        [key(3, 6), vec![0]].concat(),
        [key(3, 7), vec![0]].concat(),
        [key(0, VARINT), vec![0]].concat(),
    ] {
        for body in [
            [wrong.clone(), ping(9)].concat(),
            [ping(9), wrong.clone()].concat(),
            wrong,
        ] {
            assert_eq!(open_client_frame(&body), Err(FrameError::Malformed), "{body:x?}");
        }
    }
}

#[test]
fn lengths_and_numbers_that_run_over_are_malformed() {
    for wrong in [
        vec![0x92, 0x01, 1],
        vec![0x92, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        vec![0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02],
        vec![0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
        vec![0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 0],
    ] {
        let body = [ping(9), wrong].concat();
        assert_eq!(open_client_frame(&body), Err(FrameError::Malformed), "{body:x?}");
    }
}

#[test]
fn a_text_that_is_not_utf_8_is_malformed_but_content_may_be_anything() {
    let bad = Bytes::from_static(&[0xff, 0xfe]);
    let send = SendMessage {
        content: bad,
        ..SendMessage::default()
    };
    let mut body = Frame {
        request_id: 1,
        body: Some(Body::SendMessage(send)),
    }
    .encode_to_vec();
    assert!(open_client_frame(&body).is_ok());
    // The same bytes as field 2, the room's id.
    let place = body.iter().position(|byte| *byte == 4 << 3 | 2).unwrap();
    body[place] = 2 << 3 | 2;
    assert_eq!(open_client_frame(&body), Err(FrameError::Malformed));
}

#[test]
fn each_refusal_has_its_code() {
    use sluice_protocol::ErrorCode;
    assert_eq!(
        FrameError::TooLong {
            announced: 2,
            bytes_max: 1
        }
        .code(),
        ErrorCode::FRAME_TOO_LONG
    );
    for error in [FrameError::Empty, FrameError::OverlongLength, FrameError::Malformed] {
        assert_eq!(error.code(), ErrorCode::MALFORMED_FRAME);
    }
}
