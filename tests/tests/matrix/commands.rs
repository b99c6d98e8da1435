//! Every command, by everybody who is not simply a member.

use prost::Message as _;
use sluice_protocol::frame::Body;
use sluice_protocol::{
    CreateRoom, DeleteRoomAttributes, EnterRoom, Frame, JoinChatRoom, JoinExistChatRoom, JoinRoom, LeaveRoom,
    QueryNamedMembers, QueryRoom, QueryRoomAttributes, QueryRoomMembers, RenewToken, Reply, SendMessageResult,
    SetRoomAttributes, SwitchRoom, reply,
};
use sluice_tests::{APP_KEY, Gateway, crafted};

use super::standing::{Cell, Client, Standing, login, token};
use super::{ask, three_apps};
use crate::rooms::text;

const DONE: i32 = 0;
const NOT_LOGGED_IN: i32 = 6_000_121;
const NOT_INSIDE: i32 = 23406;
const MUTED: i32 = 23408;
const PUT_OUT: i32 = 23409;
const NO_SUCH_ROOM: i32 = 23410;
const TOKEN_ENDED: i32 = 31004;
const TOKEN_OF_ANOTHER_APP: i32 = 31005;
const LOGGED_IN_ALREADY: i32 = 34001;
const ROOM_EXISTS: i32 = 6_000_323;
const USER_BLOCKED: i32 = 31009;

/// One command, and the code it must answer for each standing.
#[derive(Debug)]
struct Row {
    command: Body,
    about: About,
    nobody: i32,
    stranger: i32,
    left: i32,
    kicked: i32,
    blocked: i32,
    gagged: i32,
    gagged_everywhere: i32,
    in_muted_room: i32,
    expired: i32,
    foreign: i32,
}

/// What a command is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    /// What members do in a room.
    Inside,
    WayIn,
    /// The sender's session alone.
    Session,
}

impl Row {
    fn inside(command: Body) -> Self {
        Self {
            command,
            about: About::Inside,
            nobody: NOT_LOGGED_IN,
            stranger: NOT_INSIDE,
            left: NOT_INSIDE,
            kicked: PUT_OUT,
            blocked: PUT_OUT,
            gagged: DONE,
            gagged_everywhere: DONE,
            in_muted_room: DONE,
            expired: TOKEN_ENDED,
            foreign: NO_SUCH_ROOM,
        }
    }

    /// Rooms are open to all of the app but those who are blocked.
    fn way_in(command: Body) -> Self {
        Self {
            about: About::WayIn,
            stranger: DONE,
            left: DONE,
            kicked: DONE,
            ..Self::inside(command)
        }
    }

    fn session(command: Body) -> Self {
        Self {
            about: About::Session,
            blocked: DONE,
            foreign: DONE,
            ..Self::way_in(command)
        }
    }

    fn code(&self, standing: Standing) -> i32 {
        match standing {
            Standing::Nobody => self.nobody,
            Standing::Stranger => self.stranger,
            Standing::Left => self.left,
            Standing::Kicked => self.kicked,
            Standing::Blocked => self.blocked,
            Standing::Gagged => self.gagged,
            Standing::GaggedEverywhere => self.gagged_everywhere,
            Standing::InMutedRoom => self.in_muted_room,
            Standing::Expired => self.expired,
            Standing::Foreign | Standing::Nowhere => self.foreign,
        }
    }
}

/// Whom and what commands name.
#[derive(Debug, Clone, Copy)]
struct Aim<'a> {
    room: &'a str,
    /// Where the sender is inside.
    hall: &'a str,
    sender: &'a str,
    /// Somebody inside of the room.
    witness: &'a str,
}

/// To count rows by.
const NOBODYS: Aim<'_> = Aim {
    room: "room",
    hall: "hall",
    sender: "subject",
    witness: "witness",
};

/// A command of each kind, with nothing in it: all numbers a command may have are tried.
pub(super) fn commands() -> Vec<Body> {
    let command = |number| {
        let bytes = [crafted::request_id(1), crafted::field(number, &[])].concat();
        Frame::decode(&*bytes).expect("an empty command").body
    };
    (16..64).filter_map(command).collect()
}

/// Those of them that are about conversations.
pub(super) fn commands_of_conversations() -> Vec<Body> {
    let mut commands = commands();
    commands.retain(|command| rows(command, NOBODYS).is_empty());
    commands
}

/// The rows of a command. There is no other arm: a new command needs cells before this compiles.
fn rows(command: &Body, aim: Aim<'_>) -> Vec<Row> {
    let room_id = aim.room.to_owned();
    let row = match command {
        Body::Login(_) => Row {
            nobody: DONE,
            stranger: LOGGED_IN_ALREADY,
            left: LOGGED_IN_ALREADY,
            kicked: LOGGED_IN_ALREADY,
            blocked: LOGGED_IN_ALREADY,
            gagged: LOGGED_IN_ALREADY,
            gagged_everywhere: LOGGED_IN_ALREADY,
            in_muted_room: LOGGED_IN_ALREADY,
            foreign: LOGGED_IN_ALREADY,
            ..Row::session(login(APP_KEY, aim.sender, 3600))
        },
        Body::Logout(logout) => Row {
            expired: DONE,
            ..Row::session(Body::Logout(*logout))
        },
        Body::Ping(ping) => Row {
            expired: DONE,
            ..Row::session(Body::Ping(*ping))
        },
        // For whoever is of another app, the token of the namesake.
        Body::RenewToken(_) => Row {
            expired: DONE,
            foreign: TOKEN_OF_ANOTHER_APP,
            ..Row::session(Body::RenewToken(RenewToken {
                token: token(APP_KEY, aim.sender, 3600),
            }))
        },
        Body::LeaveAllRooms(all) => Row::session(Body::LeaveAllRooms(*all)),
        Body::CreateRoom(_) => Row {
            stranger: ROOM_EXISTS,
            left: ROOM_EXISTS,
            kicked: ROOM_EXISTS,
            blocked: ROOM_EXISTS,
            gagged: ROOM_EXISTS,
            gagged_everywhere: ROOM_EXISTS,
            in_muted_room: ROOM_EXISTS,
            foreign: DONE,
            ..Row::way_in(Body::CreateRoom(CreateRoom {
                room_id,
                ..CreateRoom::default()
            }))
        },
        Body::JoinRoom(_) => Row::way_in(Body::JoinRoom(JoinRoom {
            room_id,
            ..JoinRoom::default()
        })),
        Body::EnterRoom(_) => Row {
            foreign: DONE,
            ..Row::way_in(Body::EnterRoom(EnterRoom {
                room_id,
                ..EnterRoom::default()
            }))
        },
        Body::JoinChatRoom(_) => Row {
            foreign: DONE,
            ..Row::way_in(Body::JoinChatRoom(JoinChatRoom {
                room_id,
                message_count: 50,
                ..JoinChatRoom::default()
            }))
        },
        Body::JoinExistChatRoom(_) => Row::way_in(Body::JoinExistChatRoom(JoinExistChatRoom {
            room_id,
            message_count: 50,
            ..JoinExistChatRoom::default()
        })),
        Body::SwitchRoom(_) => {
            let switch = |from: &str, to: &str| {
                Body::SwitchRoom(SwitchRoom {
                    leave_room_id: from.to_owned(),
                    room_id: to.to_owned(),
                    message_count: 50,
                    ..SwitchRoom::default()
                })
            };
            let out = Row {
                foreign: NOT_INSIDE,
                kicked: NOT_INSIDE,
                blocked: NOT_INSIDE,
                ..Row::inside(switch(aim.room, aim.hall))
            };
            return vec![Row::way_in(switch(aim.hall, aim.room)), out];
        }
        Body::LeaveRoom(_) => Row {
            // Whoever wants to be outside is, whether there is a room or not.
            foreign: NOT_INSIDE,
            ..Row::inside(Body::LeaveRoom(LeaveRoom { room_id }))
        },
        Body::QueryRoom(_) => Row::inside(Body::QueryRoom(QueryRoom { room_id })),
        Body::QueryRoomMembers(_) => Row::inside(Body::QueryRoomMembers(QueryRoomMembers {
            room_id,
            ..QueryRoomMembers::default()
        })),
        Body::QueryNamedMembers(_) => Row::inside(Body::QueryNamedMembers(QueryNamedMembers {
            room_id,
            user_ids: vec![aim.witness.to_owned()],
        })),
        Body::SetRoomAttributes(_) => Row::inside(Body::SetRoomAttributes(SetRoomAttributes {
            room_id,
            keys: vec!["topic".into()],
            values: vec!["mine".into()],
            force: true,
            ..SetRoomAttributes::default()
        })),
        Body::DeleteRoomAttributes(_) => Row::inside(Body::DeleteRoomAttributes(DeleteRoomAttributes {
            room_id,
            keys: vec!["topic".into()],
            force: true,
            if_version: 0,
        })),
        Body::QueryRoomAttributes(_) => Row::inside(Body::QueryRoomAttributes(QueryRoomAttributes {
            room_id,
            keys: Vec::new(),
        })),
        Body::SendMessage(_) => Row {
            gagged: MUTED,
            gagged_everywhere: MUTED,
            in_muted_room: MUTED,
            ..Row::inside(Body::SendMessage(text(aim.room, "let me say this")))
        },
        // What is about conversations has a matrix of its own, which fails where one of these has no row.
        Body::SyncConversations(_)
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
        | Body::QueryBlacklist(_) => return Vec::new(),
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
        | Body::SystemMessage(_) => panic!("{command:?} has a number of commands and is none"),
    };
    vec![row]
}

/// How many rows there are.
fn row_count() -> usize {
    commands().iter().map(|command| rows(command, NOBODYS).len()).sum()
}

/// The row of a cell.
fn row(number: usize, cell: &Cell) -> Row {
    let aim = Aim {
        room: &cell.named,
        hall: &cell.hall,
        sender: &cell.sender_id,
        witness: &cell.witness_id,
    };
    let mut rows = commands().into_iter().flat_map(|command| rows(&command, aim));
    rows.nth(number).expect("as many as were counted")
}

/// Has everybody of this standing try everything. Returns the answers by row.
async fn column(gateway: &Gateway, standing: Standing, first_number: usize) -> Vec<Reply> {
    let mut cells = Vec::new();
    for number in 0..row_count() {
        cells.push(Cell::new(gateway, standing, first_number + number).await);
    }
    let mut replies = Vec::new();
    for (number, cell) in cells.iter_mut().enumerate() {
        cell.mature().await;
        let row = row(number, cell);
        let expected = row.code(standing);
        let before = cell.look(gateway).await;
        let reply = cell.sender.call(row.command.clone()).await;
        assert_eq!(reply.code, expected, "{standing:?} {row:?}: {reply:?}");
        if expected != DONE {
            assert!(tells_nothing(&reply), "{standing:?} {row:?}: {reply:?}");
        }
        let changes_nothing = match row.about {
            _ if expected != DONE => true,
            About::Session => !cell.is_inside(),
            // An app's own room of the same name is made elsewhere.
            About::WayIn => matches!(standing, Standing::Foreign | Standing::Nowhere),
            About::Inside => false,
        };
        if changes_nothing {
            assert_eq!(cell.look(gateway).await, before, "{standing:?} {row:?}");
            cell.expect_nothing_told().await;
        }
        if expected != DONE && !cell.is_inside() {
            cell.expect_sender_kept_out().await;
        }
        replies.push(reply);
    }
    replies
}

/// Whether a refusal says no more than its code and words.
pub(super) fn tells_nothing(reply: &Reply) -> bool {
    match &reply.result {
        None => true,
        Some(reply::Result::SendMessage(result)) => *result == SendMessageResult::default(),
        Some(_) => false,
    }
}

#[test]
fn every_number_of_a_command_is_looked_at() {
    let commands = commands();
    assert_eq!(commands.len(), 42, "{commands:?}");
    assert_eq!(commands_of_conversations().len(), 23);
    // Those that the schema has no name for decode to nothing.
    assert!(
        Frame::decode(&*crafted::field(39, &[]))
            .expect("a frame")
            .body
            .is_none()
    );
}

macro_rules! columns {
    ($($name:ident: $standing:ident,)+) => {$(
        #[tokio::test]
        async fn $name() {
            let gateway = Gateway::start(three_apps);
            column(&gateway, Standing::$standing, 0).await;
        }
    )+};
}

columns!(
    who_is_not_logged_in_can_do_nothing_but_log_in: Nobody,
    who_was_never_inside_sees_and_changes_nothing_but_may_come_in: Stranger,
    who_has_left_sees_and_changes_nothing_but_may_come_back: Left,
    who_was_kicked_sees_and_changes_nothing_but_may_come_back: Kicked,
    who_is_blocked_sees_and_changes_nothing_and_stays_out: Blocked,
    who_is_gagged_can_do_all_but_send: Gagged,
    who_is_gagged_in_all_rooms_can_do_all_but_send: GaggedEverywhere,
    in_a_muted_room_all_can_do_all_but_send: InMutedRoom,
    whose_token_has_ended_can_only_renew_it_and_go: Expired,
);

/// The same bytes, but for times, which pass, and the name of the room.
fn comparable(reply: &Reply, room: &str) -> Vec<u8> {
    let mut reply = reply.clone();
    match &mut reply.result {
        Some(reply::Result::Pong(pong)) => pong.server_time_ms = 0,
        Some(reply::Result::RoomEntered(entered)) => {
            let info = entered.room.as_mut().expect("a room");
            info.created_at_ms = 0;
            assert_eq!(info.room_id, room);
            info.room_id = "room".into();
        }
        _ => {}
    }
    reply.encode_to_vec()
}

#[tokio::test]
async fn rooms_of_another_app_are_answered_byte_by_byte_like_rooms_that_are_nowhere() {
    let gateway = Gateway::start(three_apps);
    let foreign = column(&gateway, Standing::Foreign, 0).await;
    let nowhere = column(&gateway, Standing::Nowhere, 0).await;
    assert_eq!(foreign.len(), row_count());
    for (number, (foreign, nowhere)) in foreign.iter().zip(&nowhere).enumerate() {
        let there = comparable(foreign, &format!("room{number:03}"));
        let here = comparable(nowhere, &format!("none{number:03}"));
        assert_eq!(there, here, "{foreign:?} and {nowhere:?}");
    }
}

#[tokio::test]
async fn who_is_blocked_in_the_app_does_nothing_behind_a_login_that_is_refused() {
    let gateway = Gateway::start(three_apps);
    for number in 0..row_count() {
        let mut cell = Cell::new(&gateway, Standing::Nobody, number).await;
        let block = [("userId", &*cell.sender_id), ("minute", "60")];
        ask(&gateway, "/user/block.json", &block).await;
        let row = row(number, &cell);
        let before = cell.look(&gateway).await;
        let mut sender = Client::connect(&gateway).await;
        let login_id = sender.send(login(APP_KEY, &cell.sender_id, 3600)).await;
        sender.send(row.command.clone()).await;
        let frames = sender.frames_until_end().await;
        let mut closed = false;
        for frame in &frames {
            match &frame.body {
                Some(Body::Reply(reply)) if frame.request_id == login_id => assert_eq!(reply.code, USER_BLOCKED),
                Some(Body::Close(close)) => closed = close.code == USER_BLOCKED,
                _ => panic!("{row:?}: {frame:?}"),
            }
        }
        assert!(closed, "{row:?}: {frames:?}");
        assert_eq!(cell.look(&gateway).await, before, "{row:?}");
        cell.expect_nothing_told().await;
    }
}
