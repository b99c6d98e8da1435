//! Messages that the app's server sends, in the name of somebody who need not be inside, or known at all. Neither mutes nor words hold for them.

use std::sync::Arc;

use sluice_protocol::{ConversationType, ErrorCode, SendMessage, SendMessageResult, UserId, reply};

use crate::conversation::inside::{self, not_inside};
use crate::conversation::key::Key;
use crate::conversation::send::{self, store};
use crate::conversation::{Actor, Audience, Context, No, Outcome, Ruled, Tell};
use crate::refusal::Refusal;
use crate::store::{ConversationRow, Rows, RowsMut, SentRow, UserList};
use crate::words::in_message::Text;

/// A message of the app's server. All conversations it is for are written to in one transaction, so who has more than a hundred asks several times.
#[derive(Debug)]
pub(crate) struct Publish {
    /// In whose name.
    pub as_user: UserId,
    /// Users, if the message is for PEER or SYSTEM; else conversations.
    pub targets: Vec<String>,
    /// Its `target_id` says nothing. Checked for form. With a client message id, what is kept is remembered by it, for each target: a repeat is answered
    /// as the first time.
    pub message: SendMessage,
    /// Whether the devices of the sender are told too.
    pub include_sender: bool,
    /// Whether a user who has the sender on the blacklist is passed over (405).
    pub verify_blacklist: bool,
    /// In a group or discussion: only these members are told, and nothing is kept. Empty: all.
    pub only_for: Vec<UserId>,
}

/// What became of a message for one of its targets.
#[derive(Debug)]
pub(crate) struct Published {
    pub target: String,
    pub result: Result<SendMessageResult, Refusal>,
}

/// What a message to one target is remembered under, to tell a repeat.
struct Remembered {
    sender_id: String,
    client_message_id: String,
    digest: i64,
}

/// Where a message goes.
enum Place {
    There(ConversationRow),
    /// A conversation that its first message makes.
    New {
        key: Key,
        members: Vec<UserId>,
    },
}

impl Publish {
    pub(super) fn is_kept(&self) -> bool {
        self.only_for.is_empty() && send::is_kept(&self.message)
    }

    fn sender(&self) -> store::Sender<'_> {
        store::Sender {
            id: self.as_user.as_str(),
            name: "",
            from_server: true,
        }
    }

    fn to(&self, target: &str) -> SendMessage {
        SendMessage {
            target_id: target.to_owned(),
            ..self.message.clone()
        }
    }

    /// Those of `all` who are told.
    fn audience(&self, all: Arc<Audience>) -> Arc<Audience> {
        if self.include_sender || !all.users.contains(&self.as_user) {
            return all;
        }
        Audience::of(all.users.iter().filter(|user| **user != self.as_user).cloned())
    }
}

impl Remembered {
    /// `None`: the app's server has named no id.
    fn of(publish: &Publish, message: &mut SendMessage) -> Option<Self> {
        if message.client_message_id.is_empty() {
            return None;
        }
        let digest = send::digest_of(message);
        // A line break is in no id of a user or a conversation: no user sends under this name, and no two targets have one id.
        let (kind, target, id) = (
            message.conversation_type,
            &message.target_id,
            &message.client_message_id,
        );
        Some(Self {
            sender_id: format!("\n{}", publish.as_user.as_str()),
            client_message_id: format!("{kind}\n{target}\n{id}"),
            digest,
        })
    }

    fn first_answer(&self, rows: &dyn Rows, context: Context<'_>) -> Ruled<Option<SendMessageResult>> {
        send::first_answer(rows, context, &self.sender_id, &self.client_message_id, self.digest)
    }

    fn insert(self, rows: &dyn RowsMut, context: Context<'_>, placed: store::Placed) -> Ruled<()> {
        rows.put_sent(&SentRow {
            app: context.app_key.to_owned(),
            sender_id: self.sender_id,
            client_message_id: self.client_message_id,
            digest: self.digest,
            sequence: placed.sequence,
            message_id: placed.message_id,
            sent_at_ms: placed.sent_at_ms,
            notice: 0,
        })?;
        Ok(())
    }
}

/// Keeps it in each of its conversations.
pub(super) fn keep(rows: &dyn RowsMut, context: Context<'_>, by: &Actor, publish: &Publish) -> Ruled<Outcome> {
    each(by, publish, |target| {
        let mut message = publish.to(target);
        let remembered = Remembered::of(publish, &mut message);
        if let Some(remembered) = &remembered
            && let Some(first) = remembered.first_answer(rows, context)?
        {
            return Ok((first, None));
        }
        let conversation = match place(rows, context, publish, &message)? {
            Place::There(conversation) => conversation,
            Place::New { key, members } => {
                let members: Vec<&str> = members.iter().map(UserId::as_str).collect();
                store::make(rows, context, "", key, &members)?
            }
        };
        let event = store::event(&publish.sender(), &message, Text::AsSent);
        let (placed, tell) = store::keep(rows, context, &conversation, event)?;
        let tell = Tell {
            to: publish.audience(tell.to),
            ..tell
        };
        if let Some(remembered) = remembered {
            remembered.insert(rows, context, placed)?;
        }
        Ok((placed.result(message.client_message_id), Some(tell)))
    })
}

/// Gives it to who is online.
pub(super) fn pass_on(rows: &dyn Rows, context: Context<'_>, by: &Actor, publish: &Publish) -> Ruled<Outcome> {
    each(by, publish, |target| {
        let message = publish.to(target);
        let (conversation, to) = match place(rows, context, publish, &message)? {
            Place::There(conversation) if publish.only_for.is_empty() => {
                (conversation.id, context.audiences.of(rows, &conversation)?)
            }
            Place::There(conversation) => (conversation.id, named(rows, &conversation, &publish.only_for)?),
            Place::New { members, .. } => (inside::NOT_MADE, Audience::of(members)),
        };
        let event = store::event(&publish.sender(), &message, Text::AsSent);
        let (placed, tell) = store::pass_on(context, conversation, publish.audience(to), event);
        Ok((placed.result(message.client_message_id), Some(tell)))
    })
}

/// Each target for itself: what is refused for one is done for the others.
fn each(
    by: &Actor,
    publish: &Publish,
    mut send: impl FnMut(&str) -> Ruled<(SendMessageResult, Option<Tell>)>,
) -> Ruled<Outcome> {
    if !matches!(by, Actor::Server) {
        return Err(ErrorCode::OPERATION_NOT_SUPPORTED.into());
    }
    let mut outcome = Outcome::answer(reply::Result::Done(sluice_protocol::Done {}));
    for target in &publish.targets {
        let result = match send(target) {
            Ok((result, tell)) => {
                outcome.tell.extend(tell);
                Ok(result)
            }
            Err(No::Refused(refusal)) => Err(refusal),
            Err(No::Store(error)) => return Err(error.into()),
        };
        outcome.published.push(Published {
            target: target.clone(),
            result,
        });
    }
    Ok(outcome)
}

fn place(rows: &dyn Rows, context: Context<'_>, publish: &Publish, message: &SendMessage) -> Ruled<Place> {
    let kind = message.conversation_type();
    let (key, members) = match kind {
        ConversationType::Peer => {
            let to = send::receiver(context, message)?;
            if to == publish.as_user {
                return Err(Refusal::parameter("target_id").into());
            }
            let (owner, sender) = (to.as_str(), publish.as_user.as_str());
            if publish.verify_blacklist && rows.is_listed(context.app_key, UserList::Blacklist, owner, sender)? {
                return Err(ErrorCode::IN_BLACKLIST.into());
            }
            (Key::peer(sender, owner), vec![publish.as_user.clone(), to])
        }
        ConversationType::System => {
            let to = send::receiver(context, message)?;
            (Key::system(publish.as_user.as_str(), to.as_str()), vec![to])
        }
        ConversationType::Group | ConversationType::Discussion => {
            let (kind, found) = inside::find(rows, context, &Actor::Server, kind.into(), &message.target_id)?;
            return found.map(Place::There).ok_or_else(|| not_inside(kind));
        }
        ConversationType::Room => return Err(ErrorCode::OPERATION_NOT_SUPPORTED.into()),
    };
    let found = rows.conversation(context.app_key, kind.into(), &key.key)?;
    Ok(found.map_or(Place::New { key, members }, Place::There))
}

/// Those of `users` who are inside.
fn named(rows: &dyn Rows, conversation: &ConversationRow, users: &[UserId]) -> Ruled<Arc<Audience>> {
    let mut members = Vec::new();
    for user in users {
        if rows.member(conversation.id, user.as_str())?.is_some() {
            members.push(user.clone());
        }
    }
    Ok(Audience::of(members))
}
