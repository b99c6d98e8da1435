//! Messages that the app's server sends, in the name of somebody who need not be inside, or known at all. Neither mutes nor words hold for them.

use std::sync::Arc;

use sluice_protocol::{ConversationType, ErrorCode, SendMessage, SendMessageResult, UserId, reply};

use crate::conversation::inside::{self, not_inside};
use crate::conversation::key::Key;
use crate::conversation::send::{self, store};
use crate::conversation::{Actor, Audience, Context, No, Outcome, Ruled, Tell};
use crate::refusal::Refusal;
use crate::store::{ConversationRow, Rows, RowsMut, UserList};
use crate::words::in_message::Text;

/// A message of the app's server. All conversations it is for are written to in one transaction, so who has more than a hundred asks several times.
#[derive(Debug)]
pub(crate) struct Publish {
    /// In whose name.
    pub as_user: UserId,
    /// Users, if the message is for PEER or SYSTEM; else conversations.
    pub targets: Vec<String>,
    /// Its `target_id` says nothing. Checked for form.
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

/// Keeps it in each of its conversations.
pub(super) fn keep(rows: &dyn RowsMut, context: Context<'_>, by: &Actor, publish: &Publish) -> Ruled<Outcome> {
    each(by, publish, |target| {
        let message = publish.to(target);
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
        Ok((placed.result(message.client_message_id), tell))
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
        Ok((placed.result(message.client_message_id), tell))
    })
}

/// Each target for itself: what is refused for one is done for the others.
fn each(
    by: &Actor,
    publish: &Publish,
    mut send: impl FnMut(&str) -> Ruled<(SendMessageResult, Tell)>,
) -> Ruled<Outcome> {
    if !matches!(by, Actor::Server) {
        return Err(ErrorCode::OPERATION_NOT_SUPPORTED.into());
    }
    let mut outcome = Outcome::answer(reply::Result::Done(sluice_protocol::Done {}));
    for target in &publish.targets {
        let result = match send(target) {
            Ok((result, tell)) => {
                outcome.tell.push(tell);
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
