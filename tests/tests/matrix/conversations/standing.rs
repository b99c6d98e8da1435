//! Where the sender of a command stands to a group and a discussion.

use sluice_protocol::frame::Body;
use sluice_protocol::{
    AddMembers, ConversationType, CreateConversation, CreateGroup, EditBlacklist, MessageType, MuteGroupMembers, Ping,
    PutCombinedPart, QueryConversation, QueryConversationMembers, QueryMessages, QuitConversation, RemoveMembers,
    Reply, SendMessage, SetGroupManagers, SyncConversations, reply,
};
use sluice_tests::{APP_KEY, Gateway, wait_until};

use crate::conversations::to;
use crate::matrix::standing::Client;
use crate::matrix::{OTHER, THIRD};

/// Long enough to be logged in with.
const SHORT_TOKEN_SECONDS: i64 = 3;

const GROUP: ConversationType = ConversationType::Group;
const DISCUSSION: ConversationType = ConversationType::Discussion;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Not logged in.
    Nobody,
    /// Never inside.
    Stranger,
    /// Was inside, and left.
    Left,
    PutOut,
    /// Never inside, and on the blacklist of somebody who is.
    Unwanted,
    Member,
    Manager,
    /// Inside, but may not send in the group.
    Muted,
    InMutedGroup,
    /// Inside, with a token that has ended since.
    Expired,
    /// The namesake in another app of a member. The conversations are not in that app.
    Foreign,
    /// The same where the conversations are in no app at all.
    Nowhere,
}

/// Whom and what commands name.
#[derive(Debug, Clone)]
pub(super) struct Aim {
    pub sender: String,
    /// The owner of the group, who made the discussion.
    pub witness: String,
    /// A member of both.
    pub other: String,
    /// A member of none.
    pub newcomer: String,
    pub group: String,
    pub discussion: String,
    /// Parts that the witness has put, and a message of each conversation has named.
    pub combined: String,
    /// The messages of the witness in the group and in the discussion: a text, then a combined one.
    messages: [[u64; 2]; 2],
}

impl Aim {
    pub(super) fn text_message(&self, kind: ConversationType) -> u64 {
        self.messages[usize::from(kind == DISCUSSION)][0]
    }

    pub(super) fn combined_message(&self, kind: ConversationType) -> u64 {
        self.messages[usize::from(kind == DISCUSSION)][1]
    }
}

/// A group and a discussion with their members, and somebody who wants something of them.
#[derive(Debug)]
pub(super) struct Cell {
    /// What commands name: these conversations, or some that are nowhere.
    pub aim: Aim,
    pub sender: Client,
    standing: Standing,
    group: String,
    discussion: String,
    witness: Client,
    /// Another device of the same user, which sees what the first does.
    watcher: Client,
}

/// All there is to see of both conversations from inside.
pub(super) type Seen = Vec<Reply>;

impl Cell {
    pub(super) async fn new(gateway: &Gateway, standing: Standing, number: usize) -> Self {
        let name = |role: &str| format!("{role}-{standing:?}-{number}").to_lowercase();
        let (witness_id, sender_id, other) = (name("witness"), name("subject"), name("other"));
        let mut witness = Client::online(gateway, APP_KEY, &witness_id, 3600).await;
        let was_inside = !matches!(standing, Standing::Nobody | Standing::Stranger | Standing::Unwanted);
        let mut user_ids = vec![other.clone()];
        if was_inside {
            user_ids.push(sender_id.clone());
        }
        let group = name("group");
        witness
            .done(Body::CreateGroup(CreateGroup {
                id: group.clone(),
                user_ids: user_ids.clone(),
                ..CreateGroup::default()
            }))
            .await;
        let made = witness
            .done(Body::CreateConversation(CreateConversation {
                user_ids,
                ..CreateConversation::default()
            }))
            .await;
        let Some(reply::Result::ConversationCreated(made)) = made.result else {
            panic!("{made:?}");
        };
        let discussion = made.conversation.expect("which").id;

        let combined = name("parts");
        witness
            .done(Body::PutCombinedPart(PutCombinedPart {
                combined_id: combined.clone(),
                part: 0,
                content: "a part".into(),
            }))
            .await;
        let mut messages = [[0; 2]; 2];
        for (ids, (kind, id)) in messages.iter_mut().zip([(GROUP, &group), (DISCUSSION, &discussion)]) {
            let text = to(kind, id, "before");
            let named = SendMessage {
                r#type: MessageType::Combined.into(),
                combined_id: combined.clone(),
                ..to(kind, id, "both of them")
            };
            for (id, message) in ids.iter_mut().zip([text, named]) {
                let sent = witness.done(Body::SendMessage(message)).await;
                let Some(reply::Result::SendMessage(sent)) = sent.result else {
                    panic!("{sent:?}");
                };
                *id = sent.message_id;
            }
        }
        let mut watcher = Client::online(gateway, APP_KEY, &witness_id, 3600).await;

        let (app, seconds) = match standing {
            Standing::Foreign => (OTHER, 3600),
            Standing::Nowhere => (THIRD, 3600),
            Standing::Expired => (APP_KEY, SHORT_TOKEN_SECONDS),
            _ => (APP_KEY, 3600),
        };
        let sender = match standing {
            Standing::Nobody => Client::connect(gateway).await,
            _ => {
                let mut sender = Client::online(gateway, app, &sender_id, seconds).await;
                sender.done(all_news()).await;
                sender
            }
        };
        watcher.done(all_news()).await;
        let (named_group, named_discussion) = match standing {
            Standing::Nowhere => (name("none"), format!("{number:024x}")),
            _ => (group.clone(), discussion.clone()),
        };
        let mut cell = Self {
            aim: Aim {
                sender: sender_id,
                witness: witness_id,
                other,
                newcomer: name("newcomer"),
                group: named_group,
                discussion: named_discussion,
                combined,
                messages,
            },
            sender,
            standing,
            group,
            discussion,
            witness,
            watcher,
        };
        cell.take_the_stand().await;
        cell
    }

    async fn take_the_stand(&mut self) {
        let user_ids = || vec![self.aim.sender.clone()];
        let both = [(GROUP, self.group.clone()), (DISCUSSION, self.discussion.clone())];
        let mut by_witness = Vec::new();
        match self.standing {
            Standing::Left => {
                for (kind, id) in both {
                    let quit = QuitConversation {
                        r#type: kind.into(),
                        id,
                    };
                    self.sender.done(Body::QuitConversation(quit)).await;
                }
            }
            Standing::PutOut => {
                for (kind, id) in both {
                    by_witness.push(Body::RemoveMembers(RemoveMembers {
                        r#type: kind.into(),
                        id,
                        user_ids: user_ids(),
                    }));
                }
            }
            Standing::Unwanted => by_witness.push(Body::EditBlacklist(EditBlacklist {
                add: true,
                user_ids: user_ids(),
            })),
            Standing::Manager => by_witness.push(Body::SetGroupManagers(SetGroupManagers {
                id: self.group.clone(),
                user_ids: user_ids(),
                manager: true,
            })),
            Standing::Muted => by_witness.push(self.mute(user_ids())),
            Standing::InMutedGroup => by_witness.push(self.mute(Vec::new())),
            // The namesake was brought into both before.
            Standing::Foreign | Standing::Nowhere => {
                let again = AddMembers {
                    r#type: GROUP.into(),
                    id: self.group.clone(),
                    user_ids: user_ids(),
                };
                let reply = self.witness.done(Body::AddMembers(again)).await;
                let Some(reply::Result::MembersChanged(changed)) = reply.result else {
                    panic!("{reply:?}");
                };
                assert_eq!(changed.conversation.expect("which").member_count, 3);
            }
            Standing::Nobody | Standing::Stranger | Standing::Member | Standing::Expired => {}
        }
        for command in by_witness {
            let is_told = !matches!(command, Body::EditBlacklist(_));
            self.witness.done(command).await;
            if is_told {
                // Before anything is tried, what is told of this has come.
                self.watcher.wait_for_event("what the witness did", |_| true).await;
            }
        }
        self.settle().await;
    }

    fn mute(&self, user_ids: Vec<String>) -> Body {
        Body::MuteGroupMembers(MuteGroupMembers {
            id: self.group.clone(),
            user_ids,
            muted: true,
            seconds: 0,
        })
    }

    /// Waits until the sender's token has ended, where that is its standing.
    pub(super) async fn mature(&mut self) {
        if self.standing == Standing::Expired {
            let sender = &mut self.sender;
            wait_until("the token has ended", async || {
                sender.call(all_news()).await.code == 31004
            })
            .await;
        }
    }

    pub(super) async fn look(&mut self) -> Seen {
        let mut seen = Vec::new();
        for (kind, id) in [(GROUP, self.group.clone()), (DISCUSSION, self.discussion.clone())] {
            let kind = kind.into();
            for command in [
                Body::QueryConversation(QueryConversation {
                    r#type: kind,
                    id: id.clone(),
                }),
                Body::QueryConversationMembers(QueryConversationMembers {
                    r#type: kind,
                    id: id.clone(),
                    ..QueryConversationMembers::default()
                }),
                Body::QueryMessages(QueryMessages {
                    r#type: kind,
                    id: id.clone(),
                    ..QueryMessages::default()
                }),
            ] {
                seen.push(self.witness.done(command).await);
            }
        }
        seen
    }

    /// The watcher has seen all that happened so far.
    async fn settle(&mut self) {
        self.say("so far").await;
        self.watcher.events.clear();
    }

    async fn say(&mut self, what: &'static str) {
        let message = to(GROUP, &self.group, what);
        self.witness.done(Body::SendMessage(message)).await;
        let is_it = |event: &Body| matches!(event, Body::ConversationMessage(message) if message.content == what);
        self.watcher.wait_for_event(what, is_it).await;
    }

    /// The witness says something, and its other device sees nothing else that it has not seen yet.
    pub(super) async fn expect_nothing_told(&mut self) {
        self.say("after").await;
        assert_eq!(self.watcher.events.len(), 1, "{:?}", self.watcher.events);
    }

    /// The sender, who is still there, gets what is said if it is inside, and nothing if not.
    pub(super) async fn expect_sender_told(&mut self) {
        let is_after = |event: &Body| matches!(event, Body::ConversationMessage(message) if message.content == "after");
        match self.standing {
            Standing::Member | Standing::Manager | Standing::Muted | Standing::InMutedGroup => {
                self.sender.wait_for_event("what members get", is_after).await;
            }
            Standing::Nobody => assert_eq!(self.sender.call(Body::Ping(Ping {})).await.code, 6_000_121),
            Standing::Expired => {
                self.sender.done(Body::Ping(Ping {})).await;
            }
            Standing::Stranger | Standing::Left | Standing::PutOut | Standing::Unwanted => {
                // Behind what was said to the group, on the same way.
                let fence = to(ConversationType::Peer, &self.aim.sender, "fence");
                self.witness.done(Body::SendMessage(fence)).await;
                let is_fence =
                    |event: &Body| matches!(event, Body::ConversationMessage(message) if message.content == "fence");
                self.sender.wait_for_event("what is for it", is_fence).await;
                assert!(!self.sender.events.iter().any(is_after), "{:?}", self.sender.events);
            }
            Standing::Foreign | Standing::Nowhere => {
                self.sender.done(all_news()).await;
                assert!(self.sender.events.is_empty(), "{:?}", self.sender.events);
            }
        }
    }
}

fn all_news() -> Body {
    Body::SyncConversations(SyncConversations::default())
}
