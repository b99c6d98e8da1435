//! The commands about rooms: what is written for each, and what becomes of the answer.

use sluice_protocol::frame::Body;
use sluice_protocol::{
    AttributeRefusal, ErrorCode, LeaveAllRoomsResult, NamedMembers, Reply, RoomAttribute, RoomAttributes,
    RoomAttributesWritten, RoomEntered, RoomInfo, RoomMember, RoomMembers, RoomStatus, limits, reply,
};

use super::peer::{self, Peer};
use crate::{ChatRoomOptions, DeleteAttributes, History, Mute, Pending, RoomOptions, SetAttributes, SwitchOptions};

/// The command that a call writes, and what the call makes of `answer`.
async fn answered<T>(
    server: &mut Peer,
    call: Pending<T>,
    answer: impl Into<Reply>,
) -> (Body, Result<T, crate::ClientError>) {
    let (request_id, command) = server.next_command().await;
    server.reply(request_id, answer.into()).await;
    (command, call.await)
}

fn entered() -> Reply {
    peer::success(reply::Result::RoomEntered(RoomEntered {
        room: Some(RoomInfo {
            room_id: "quiz".into(),
            policy: "party".into(),
            ..RoomInfo::default()
        }),
        muted: true,
        muted_until_ms: 1_700_000_000_000,
        room_muted: true,
        distribution_stopped: true,
        attributes_version: 4,
        ..RoomEntered::default()
    }))
}

#[tokio::test]
async fn what_is_said_on_entering_is_written_and_how_the_room_is_comes_back() {
    let (client, _events, mut server) = peer::connected().await;
    let options = RoomOptions::named("Quiz")
        .policy("party")
        .extra("hat")
        .attribute("round", "1");
    let (command, room) = answered(&mut server, client.enter_room("quiz", options), entered()).await;
    let Body::EnterRoom(command) = command else {
        panic!("not {command:?}")
    };
    assert_eq!((command.policy.as_str(), command.extra.as_str()), ("party", "hat"));
    assert_eq!(
        (command.attribute_keys, command.attribute_values),
        (vec!["round".to_owned()], vec!["1".to_owned()])
    );
    let room = room.expect("entered");
    assert_eq!(room.policy, "party");
    assert_eq!(
        room.mute,
        Mute::Until {
            unix_ms: 1_700_000_000_000
        }
    );
    assert!(room.room_muted && room.distribution_stopped);
    assert_eq!(room.attributes_version, 4);

    let (command, _) = answered(&mut server, client.join_room_with("quiz", "hat"), entered()).await;
    assert!(matches!(command, Body::JoinRoom(join) if join.extra == "hat"));
    let options = ChatRoomOptions::default()
        .history(History::Newest(3))
        .policy("gala")
        .extra("hat");
    let (command, _) = answered(&mut server, client.join_chat_room("quiz", options), entered()).await;
    assert!(matches!(
        command,
        Body::JoinChatRoom(join) if (join.message_count, &*join.policy, &*join.extra) == (3, "gala", "hat")
    ));
    let options = SwitchOptions::default().create("Den");
    let (command, _) = answered(&mut server, client.switch_room("quiz", "den", options), entered()).await;
    assert!(matches!(
        command,
        Body::SwitchRoom(switch) if switch.create && (&*switch.leave_room_id, &*switch.room_id) == ("quiz", "den")
    ));
}

#[tokio::test]
async fn leaving_all_rooms_says_which_they_were() {
    let (client, _events, mut server) = peer::connected().await;
    let result = LeaveAllRoomsResult {
        room_ids: vec!["a".into(), "b".into()],
    };
    let answer = peer::success(reply::Result::LeaveAllRooms(result));
    let (command, left) = answered(&mut server, client.leave_all_rooms(), answer).await;
    assert!(matches!(command, Body::LeaveAllRooms(_)));
    assert_eq!(left, Ok(vec!["a".to_owned(), "b".into()]));
}

#[tokio::test]
async fn queries_say_how_a_room_is_and_who_is_inside() {
    let (client, _events, mut server) = peer::connected().await;
    let status = RoomStatus {
        member_count: 9,
        room_muted: true,
        ..RoomStatus::default()
    };
    let answer = peer::success(reply::Result::RoomStatus(status));
    let (_, status) = answered(&mut server, client.query_room("quiz"), answer).await;
    let status = status.expect("answered");
    assert_eq!((status.member_count, status.room_muted), (9, true));

    let members = vec![member("bob")];
    let answer = peer::success(reply::Result::NamedMembers(NamedMembers { members }));
    let asking = client.query_named_members("quiz", ["bob", "carol"]);
    let (command, named) = answered(&mut server, asking, answer).await;
    assert!(matches!(command, Body::QueryNamedMembers(query) if query.user_ids == ["bob", "carol"]));
    assert_eq!(named.expect("answered")[0].user_id, "bob");
}

fn member(user_id: &str) -> RoomMember {
    RoomMember {
        user_id: user_id.into(),
        ..RoomMember::default()
    }
}

fn page(user_ids: &[&str], next_cursor: &str) -> Reply {
    peer::success(reply::Result::RoomMembers(RoomMembers {
        members: user_ids.iter().copied().map(member).collect(),
        next_cursor: next_cursor.into(),
        member_count: 3,
    }))
}

#[tokio::test]
async fn members_come_one_after_the_other_over_all_pages() {
    let (client, _events, mut server) = peer::connected().await;
    let mut members = client.members("quiz");
    let script = async {
        let mut cursors = Vec::new();
        // The page in the middle is empty: those on it have left meanwhile.
        for answer in [page(&["dora", "carol"], "c-2"), page(&[], "c-3"), page(&["bob"], "")] {
            let (request_id, command) = server.next_command().await;
            let Body::QueryRoomMembers(query) = command else {
                panic!("not {command:?}")
            };
            cursors.push(query.cursor);
            server.reply(request_id, answer).await;
        }
        cursors
    };
    let reading = async {
        let mut read = Vec::new();
        while let Some(member) = members.next().await.expect("answered") {
            read.push(member.user_id);
        }
        read
    };
    let (cursors, read) = tokio::join!(script, reading);
    assert_eq!(cursors, ["", "c-2", "c-3"]);
    assert_eq!(read, ["dora", "carol", "bob"]);
    assert_eq!(members.next().await, Ok(None), "and it stays at its end");
}

#[tokio::test]
async fn attributes_are_written_key_by_key() {
    let (client, _events, mut server) = peer::connected().await;
    let written = RoomAttributesWritten {
        room_id: "quiz".into(),
        version: 8,
        refused: vec![AttributeRefusal {
            key: "mood".into(),
            code: 23424,
            detail: String::new(),
        }],
    };
    let set = SetAttributes::new("topic", "tea")
        .and("mood", "calm")
        .force()
        .if_version(7);
    let answer = peer::success(reply::Result::RoomAttributesWritten(written.clone()));
    let (command, outcome) = answered(&mut server, client.set_attributes("quiz", set), answer).await;
    let Body::SetRoomAttributes(command) = command else {
        panic!("not {command:?}")
    };
    assert_eq!(
        (command.keys, command.values),
        (
            vec!["topic".to_owned(), "mood".into()],
            vec!["tea".to_owned(), "calm".into()]
        )
    );
    assert!(command.force && !command.take_over && command.if_version == 7 && command.room_id == "quiz");
    let outcome = outcome.expect("partly done");
    assert_eq!(
        (outcome.version, outcome.refused[0].code),
        (8, ErrorCode::ATTRIBUTE_NOT_YOURS)
    );

    let refused = Reply {
        code: ErrorCode::ATTRIBUTES_PARTLY_FAILED.into(),
        result: Some(reply::Result::RoomAttributesWritten(written)),
        ..Reply::default()
    };
    let delete = DeleteAttributes::new(["mood"]);
    let (command, outcome) = answered(&mut server, client.delete_attributes("quiz", delete), refused).await;
    assert!(matches!(command, Body::DeleteRoomAttributes(delete) if delete.keys == ["mood"]));
    let error = outcome.expect_err("all were refused");
    assert_eq!(
        (error.code, error.refused[0].key.as_str()),
        (ErrorCode::ATTRIBUTES_PARTLY_FAILED, "mood")
    );
}

#[tokio::test]
async fn attributes_are_read_with_their_version() {
    let (client, _events, mut server) = peer::connected().await;
    let attributes = RoomAttributes {
        room_id: "quiz".into(),
        attributes: vec![RoomAttribute {
            key: "topic".into(),
            value: "tea".into(),
            owner_id: "alice".into(),
            version: 3,
        }],
        version: 5,
    };
    let answer = peer::success(reply::Result::RoomAttributes(attributes));
    let (command, attributes) = answered(&mut server, client.query_attributes("quiz", [""; 0]), answer).await;
    assert!(matches!(command, Body::QueryRoomAttributes(query) if query.keys.is_empty()));
    let attributes = attributes.expect("answered");
    assert_eq!(
        (attributes.version, attributes.attributes[0].value.as_str()),
        (5, "tea")
    );
}

#[tokio::test]
async fn a_command_longer_than_a_frame_may_be_is_not_sent() {
    let (client, _events, mut server) = peer::connected().await;
    let longest = SetAttributes::new("topic", "x".repeat(limits::CLIENT_FRAME_BYTES));
    let error = client.set_attributes("quiz", longest).await.expect_err("too long");
    assert_eq!(
        (error.code, error.detail.as_str()),
        (ErrorCode::CONTENT_TOO_LARGE_TO_SEND, "65536")
    );
    let (command, _) = answered(&mut server, client.leave_all_rooms(), Reply::default()).await;
    assert!(matches!(command, Body::LeaveAllRooms(_)), "nothing came before it");
}
