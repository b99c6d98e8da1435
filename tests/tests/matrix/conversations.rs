//! Every command about conversations, by everybody who is not simply the owner.
//!
//! What is refused is tried in one conversation after the other of the same cell, since it must change nothing there; what is done needs a cell of its own.

mod standing;

use prost::Message as _;
use sluice_gateway::config::{Config, Rate, SingleLogin};
use sluice_protocol::frame::Body;
use sluice_protocol::{
    AckMessages, AddMembers, ConversationType, CreateConversation, CreateGroup, DismissGroup, EditBlacklist,
    EditMessage, JoinConversation, MuteGroupMembers, PutCombinedPart, QueryBlacklist, QueryCombined, QueryConversation,
    QueryConversationMembers, QueryConversations, QueryMessages, QuitConversation, RecallMessage, RemoveMembers, Reply,
    SetGroupManagers, SyncConversations, TransferGroup, UpdateConversation,
};
use sluice_tests::{APP_KEY, Gateway};

use self::standing::{Aim, Cell, Standing};
use super::commands::{commands_of_conversations, tells_nothing};
use super::standing::{Client, login};
use super::{ask, three_apps};
use crate::conversations::to;

const DONE: i32 = 0;
const UNWANTED: i32 = 405;
const UNKNOWN: i32 = 4303;
const SYSTEM: i32 = 20109;
const NOT_IN_DISCUSSION: i32 = 21406;
const NO_SUCH_MESSAGE: i32 = 22201;
const NOT_IN_GROUP: i32 = 22406;
const MUTED: i32 = 22408;
const NOT_YOURS: i32 = 25107;
const NO_PERMISSION: i32 = 25405;
const GROUP_EXISTS: i32 = 25409;
const TOKEN_ENDED: i32 = 31004;
const NOT_LOGGED_IN: i32 = 6_000_121;
const USER_BLOCKED: i32 = 31009;

/// One command, and the code it must answer for each standing.
#[derive(Debug, Clone)]
struct Row {
    command: Body,
    reach: Reach,
    /// Never inside, or not any more.
    outside: i32,
    /// The receiver does not want this user.
    unwanted: i32,
    member: i32,
    manager: i32,
    muted: i32,
    in_muted_group: i32,
    foreign: i32,
}

/// Whom a command that is done can concern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// The members of a conversation that there is.
    Members,
    /// Nobody but who does it.
    Oneself,
}

impl Row {
    /// What all members may do.
    fn inside(kind: ConversationType, command: Body) -> Self {
        let outside = match kind {
            ConversationType::Group => NOT_IN_GROUP,
            _ => NOT_IN_DISCUSSION,
        };
        Self {
            command,
            reach: Reach::Members,
            outside,
            unwanted: outside,
            member: DONE,
            manager: DONE,
            muted: DONE,
            in_muted_group: DONE,
            foreign: UNKNOWN,
        }
    }

    /// What takes a manager in a group.
    fn leads(kind: ConversationType, command: Body) -> Self {
        let row = Self::inside(kind, command);
        match kind {
            ConversationType::Group => row.for_members(NO_PERMISSION),
            _ => row,
        }
    }

    /// What takes the owner of a group.
    fn owns(command: Body) -> Self {
        Self {
            manager: NO_PERMISSION,
            ..Self::inside(ConversationType::Group, command).for_members(NO_PERMISSION)
        }
    }

    /// What needs no conversation, or that of two users.
    fn free(reach: Reach, command: Body) -> Self {
        Self {
            reach,
            outside: DONE,
            unwanted: DONE,
            foreign: DONE,
            ..Self::inside(ConversationType::Peer, command)
        }
    }

    fn for_members(self, code: i32) -> Self {
        Self {
            member: code,
            muted: code,
            in_muted_group: code,
            ..self
        }
    }

    /// What is refused to all who are logged in.
    fn never(code: i32, command: Body) -> Self {
        Self {
            outside: code,
            unwanted: code,
            manager: code,
            foreign: code,
            ..Self::free(Reach::Oneself, command).for_members(code)
        }
    }

    fn code(&self, standing: Standing) -> i32 {
        match standing {
            Standing::Nobody => NOT_LOGGED_IN,
            Standing::Expired => TOKEN_ENDED,
            Standing::Stranger | Standing::Left | Standing::PutOut => self.outside,
            Standing::Unwanted => self.unwanted,
            Standing::Member => self.member,
            Standing::Manager => self.manager,
            Standing::Muted => self.muted,
            Standing::InMutedGroup => self.in_muted_group,
            Standing::Foreign | Standing::Nowhere => self.foreign,
        }
    }

    /// Whether nobody else may notice, even if it is done.
    fn concerns_nobody(&self, standing: Standing) -> bool {
        self.reach == Reach::Oneself || matches!(standing, Standing::Foreign | Standing::Nowhere)
    }
}

fn apps(config: &mut Config) {
    three_apps(config);
    config.conversations.writes_per_second = Rate::Unlimited;
    config.conversations.queries_per_second = Rate::Unlimited;
    for app in &mut config.apps {
        app.single_login = SingleLogin::Multi(8);
    }
}

/// All rows, with conversations that there are.
fn rows(aim: &Aim) -> Vec<Row> {
    commands_of_conversations()
        .iter()
        .flat_map(|command| rows_of(command, aim))
        .chain(messages(aim))
        .collect()
}

/// The rows of a command: at least one.
fn rows_of(command: &Body, aim: &Aim) -> Vec<Row> {
    let own = |command| vec![Row::free(Reach::Oneself, command)];
    let peer = ConversationType::Peer.into();
    match command {
        Body::SyncConversations(_) => own(Body::SyncConversations(SyncConversations {
            known_types: vec![2, 3],
            known_ids: vec![aim.group.clone(), aim.discussion.clone()],
            known_sequences: vec![0, 0],
            ..SyncConversations::default()
        })),
        Body::QueryConversations(_) => own(Body::QueryConversations(QueryConversations::default())),
        Body::CreateConversation(_) => own(Body::CreateConversation(CreateConversation {
            name: "ours".into(),
            ..CreateConversation::default()
        })),
        Body::CreateGroup(_) => {
            let group = |id: &str| {
                Body::CreateGroup(CreateGroup {
                    id: id.into(),
                    ..CreateGroup::default()
                })
            };
            // Where it is in another app, or nowhere, the id is free.
            let taken = Row {
                foreign: DONE,
                ..Row::never(GROUP_EXISTS, group(&aim.group))
            };
            vec![Row::free(Reach::Oneself, group("")), taken]
        }
        Body::PutCombinedPart(_) => own(Body::PutCombinedPart(PutCombinedPart {
            combined_id: aim.combined.clone(),
            part: 0,
            content: "another part".into(),
        })),
        Body::EditBlacklist(_) => own(Body::EditBlacklist(EditBlacklist {
            add: true,
            user_ids: vec![aim.witness.clone()],
        })),
        Body::QueryBlacklist(_) => own(Body::QueryBlacklist(QueryBlacklist::default())),
        Body::AckMessages(_) => {
            let ack = |kind: i32, id: &str| {
                Body::AckMessages(AckMessages {
                    r#type: kind,
                    id: id.into(),
                    read_sequence: 1,
                    ..AckMessages::default()
                })
            };
            let mut rows = both(aim, |kind, id| Row::inside(kind, ack(kind.into(), id)));
            rows.push(Row::free(Reach::Oneself, ack(peer, &aim.witness)));
            rows
        }
        Body::QueryConversation(_) => {
            let query = |kind: i32, id: &str| {
                Body::QueryConversation(QueryConversation {
                    r#type: kind,
                    id: id.into(),
                })
            };
            let mut rows = both(aim, |kind, id| Row::inside(kind, query(kind.into(), id)));
            rows.push(Row::free(Reach::Oneself, query(peer, &aim.witness)));
            rows
        }
        Body::QueryConversationMembers(_) => both(aim, |kind, id| {
            let query = QueryConversationMembers {
                r#type: kind.into(),
                id: id.into(),
                ..QueryConversationMembers::default()
            };
            Row::inside(kind, Body::QueryConversationMembers(query))
        }),
        Body::QueryMessages(_) => {
            let query = |kind: i32, id: &str| {
                Body::QueryMessages(QueryMessages {
                    r#type: kind,
                    id: id.into(),
                    ..QueryMessages::default()
                })
            };
            let mut rows = both(aim, |kind, id| Row::inside(kind, query(kind.into(), id)));
            rows.push(Row::free(Reach::Oneself, query(peer, &aim.witness)));
            rows
        }
        Body::QueryCombined(_) => both(aim, |kind, id| {
            let query = QueryCombined {
                r#type: kind.into(),
                id: id.into(),
                message_id: aim.combined_message(kind),
                from_part: 0,
            };
            Row::inside(kind, Body::QueryCombined(query))
        }),
        Body::AddMembers(_) => both(aim, |kind, id| {
            let add = AddMembers {
                r#type: kind.into(),
                id: id.into(),
                user_ids: vec![aim.newcomer.clone()],
            };
            Row::leads(kind, Body::AddMembers(add))
        }),
        Body::RemoveMembers(_) => both(aim, |kind, id| {
            let remove = RemoveMembers {
                r#type: kind.into(),
                id: id.into(),
                user_ids: vec![aim.other.clone()],
            };
            Row::leads(kind, Body::RemoveMembers(remove))
        }),
        Body::JoinConversation(_) => both(aim, |kind, id| {
            let join = JoinConversation {
                r#type: kind.into(),
                id: id.into(),
            };
            Row {
                outside: DONE,
                unwanted: DONE,
                ..Row::inside(kind, Body::JoinConversation(join))
            }
        }),
        Body::QuitConversation(_) => both(aim, |kind, id| {
            let quit = QuitConversation {
                r#type: kind.into(),
                id: id.into(),
            };
            Row::inside(kind, Body::QuitConversation(quit))
        }),
        Body::UpdateConversation(_) => both(aim, |kind, id| {
            let update = UpdateConversation {
                r#type: kind.into(),
                id: id.into(),
                name: Some("mine".into()),
                ..UpdateConversation::default()
            };
            Row::leads(kind, Body::UpdateConversation(update))
        }),
        Body::RecallMessage(_) => {
            let recall = |kind: i32, id: &str, message_id| {
                Body::RecallMessage(RecallMessage {
                    r#type: kind,
                    id: id.into(),
                    message_id,
                })
            };
            let mut rows = both(aim, |kind, id| {
                let command = recall(kind.into(), id, aim.text_message(kind));
                let row = Row::inside(kind, command).for_members(NOT_YOURS);
                match kind {
                    ConversationType::Group => row,
                    _ => Row {
                        manager: NOT_YOURS,
                        ..row
                    },
                }
            });
            // A message that is elsewhere.
            let elsewhere = aim.text_message(ConversationType::Group);
            rows.push(Row::never(NO_SUCH_MESSAGE, recall(peer, &aim.witness, elsewhere)));
            rows
        }
        Body::EditMessage(_) => both(aim, |kind, id| {
            let edit = EditMessage {
                r#type: kind.into(),
                id: id.into(),
                message_id: aim.text_message(kind),
                content: "never said".into(),
                ..EditMessage::default()
            };
            Row {
                manager: NOT_YOURS,
                ..Row::inside(kind, Body::EditMessage(edit)).for_members(NOT_YOURS)
            }
        }),
        Body::DismissGroup(_) => vec![Row::owns(Body::DismissGroup(DismissGroup { id: aim.group.clone() }))],
        Body::TransferGroup(_) => vec![Row::owns(Body::TransferGroup(TransferGroup {
            id: aim.group.clone(),
            user_id: aim.other.clone(),
        }))],
        Body::SetGroupManagers(_) => vec![Row::owns(Body::SetGroupManagers(SetGroupManagers {
            id: aim.group.clone(),
            user_ids: vec![aim.other.clone()],
            manager: true,
        }))],
        Body::MuteGroupMembers(_) => {
            let mute = |user_ids: &[&String]| {
                Body::MuteGroupMembers(MuteGroupMembers {
                    id: aim.group.clone(),
                    user_ids: user_ids.iter().map(ToString::to_string).collect(),
                    muted: true,
                    seconds: 0,
                })
            };
            let rows = [mute(&[&aim.other]), mute(&[])];
            rows.map(|command| Row::leads(ConversationType::Group, command)).into()
        }
        other => panic!("{other:?} is about conversations and has no row"),
    }
}

/// Messages are sent by a command of rooms.
fn messages(aim: &Aim) -> Vec<Row> {
    let mut rows = both(aim, |kind, id| {
        let row = Row::inside(kind, Body::SendMessage(to(kind, id, "let me say this")));
        match kind {
            ConversationType::Group => Row {
                muted: MUTED,
                in_muted_group: MUTED,
                ..row
            },
            _ => row,
        }
    });
    let to_witness = Body::SendMessage(to(ConversationType::Peer, &aim.witness, "you"));
    rows.push(Row {
        unwanted: UNWANTED,
        ..Row::free(Reach::Members, to_witness)
    });
    let to_system = Body::SendMessage(to(ConversationType::System, &aim.witness, "you"));
    rows.push(Row::never(SYSTEM, to_system));
    rows
}

fn both(aim: &Aim, row: impl Fn(ConversationType, &str) -> Row) -> Vec<Row> {
    vec![
        row(ConversationType::Group, &aim.group),
        row(ConversationType::Discussion, &aim.discussion),
    ]
}

/// Has everybody of this standing try everything. Returns the refusals.
async fn column(gateway: &Gateway, standing: Standing) -> Vec<Reply> {
    let mut cell = Cell::new(gateway, standing, 0).await;
    cell.mature().await;
    let all = rows(&cell.aim);
    let mut refusals = Vec::new();
    for row in &all {
        let expected = row.code(standing);
        if expected == DONE {
            continue;
        }
        let before = cell.look().await;
        let reply = cell.sender.call(row.command.clone()).await;
        assert_eq!(reply.code, expected, "{standing:?} {row:?}: {reply:?}");
        assert!(tells_nothing(&reply), "{standing:?} {row:?}: {reply:?}");
        assert_eq!(cell.look().await, before, "{standing:?} {row:?}");
        refusals.push(reply);
    }
    cell.expect_nothing_told().await;
    cell.expect_sender_told().await;

    let done = (0..all.len()).filter(|number| all[*number].code(standing) == DONE);
    for (cell_number, number) in (1..).zip(done) {
        let mut cell = Cell::new(gateway, standing, cell_number).await;
        let row = rows(&cell.aim).swap_remove(number);
        let before = cell.look().await;
        let reply = cell.sender.call(row.command.clone()).await;
        assert_eq!(reply.code, DONE, "{standing:?} {row:?}: {reply:?}");
        if row.concerns_nobody(standing) {
            assert_eq!(cell.look().await, before, "{standing:?} {row:?}");
            cell.expect_nothing_told().await;
        }
    }
    refusals
}

macro_rules! columns {
    ($($name:ident: $standing:ident,)+) => {$(
        #[tokio::test]
        async fn $name() {
            let gateway = Gateway::start(apps);
            column(&gateway, Standing::$standing).await;
        }
    )+};
}

columns!(
    who_is_not_logged_in_can_do_nothing_with_conversations: Nobody,
    who_was_never_a_member_sees_and_changes_nothing_but_may_join: Stranger,
    who_has_quit_sees_and_changes_nothing_but_may_come_back: Left,
    who_was_put_out_sees_and_changes_nothing_but_may_come_back: PutOut,
    who_is_on_a_blacklist_can_do_all_but_write_to_its_owner: Unwanted,
    a_member_can_do_all_but_what_takes_a_manager: Member,
    a_manager_can_do_all_but_what_takes_the_owner: Manager,
    a_member_who_is_muted_can_do_all_that_members_do_but_send: Muted,
    in_a_muted_group_members_can_do_all_that_members_do_but_send: InMutedGroup,
    whose_token_has_ended_can_do_nothing_with_conversations: Expired,
);

#[tokio::test]
async fn conversations_of_another_app_are_answered_byte_by_byte_like_such_that_are_nowhere() {
    let gateway = Gateway::start(apps);
    let foreign = column(&gateway, Standing::Foreign).await;
    let nowhere = column(&gateway, Standing::Nowhere).await;
    assert!(foreign.len() > 30, "{}", foreign.len());
    for (foreign, nowhere) in foreign.iter().zip(&nowhere) {
        assert_eq!(foreign.encode_to_vec(), nowhere.encode_to_vec());
    }
    assert_eq!(foreign.len(), nowhere.len());
}

#[tokio::test]
async fn who_is_blocked_in_the_app_does_nothing_with_conversations_behind_a_login_that_is_refused() {
    let gateway = Gateway::start(apps);
    let mut cell = Cell::new(&gateway, Standing::Member, 0).await;
    let user = cell.aim.sender.clone();
    ask(&gateway, "/user/block.json", &[("userId", &user), ("minute", "60")]).await;
    for row in rows(&cell.aim) {
        let before = cell.look().await;
        let mut sender = Client::connect(&gateway).await;
        let login_id = sender.send(login(APP_KEY, &user, 3600)).await;
        sender.send(row.command.clone()).await;
        for frame in sender.frames_until_end().await {
            match &frame.body {
                Some(Body::Reply(reply)) if frame.request_id == login_id => assert_eq!(reply.code, USER_BLOCKED),
                Some(Body::Close(close)) => assert_eq!(close.code, USER_BLOCKED, "{row:?}"),
                _ => panic!("{row:?}: {frame:?}"),
            }
        }
        assert_eq!(cell.look().await, before, "{row:?}");
    }
    cell.expect_nothing_told().await;
}
