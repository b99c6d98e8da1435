//! What only the app's server does and asks: groups as it has decided them, who may speak, lists of users, what was said.
//!
//! What it decides about a group that is not there yet waits for the group, as the vendor whose API this serves has it. What it does that users do too
//! is a command like theirs, carried out for [`Actor::Server`].

mod groups;
mod questions;

use sluice_protocol::{ConversationMessage, ConversationType, Done, EditBlacklist, ErrorCode, UserId, reply};

use crate::conversation::key::{Key, is_id};
use crate::conversation::{Actor, Audience, Context, Outcome, Ruled, Tell, blacklist, inside, positions};
use crate::store::{ConversationRow, MemberRow, Rows, RowsMut, Since, UserList};

pub(super) use groups::settle_ahead;

/// Where one user stands in lists that are not of one: their owner.
const NOBODY: &str = "";

/// See the module.
#[derive(Debug)]
pub(crate) enum Order {
    /// Puts users into a group, which is made if there is none, and renames it if a name is given.
    Bring {
        group: String,
        name: Option<String>,
        users: Vec<UserId>,
    },
    /// Keeps users from sending to a group until then, or lets them (`None`), whether they are inside or not. [`i64::MAX`]: without end.
    Gag {
        group: String,
        users: Vec<UserId>,
        until_ms: Option<i64>,
    },
    /// Keeps all but those excepted from sending to a group, or lets them.
    Mute {
        group: String,
        muted: bool,
    },
    Except {
        group: String,
        users: Vec<UserId>,
        excepted: bool,
    },
    /// Changes the blacklist or whitelist of a user.
    EditList {
        list: UserList,
        owner: UserId,
        users: Vec<UserId>,
        add: bool,
    },
    /// Whether only those on their whitelists may write to these users.
    OnlyWanted {
        users: Vec<UserId>,
        only: bool,
    },
    /// Shows a user of a conversation only what is said after this time.
    Hide {
        place: Place,
        user: UserId,
        until_ms: i64,
    },

    /// Who is inside of a group.
    Members {
        group: String,
    },
    /// The groups that a user is in.
    GroupsOf {
        user: UserId,
        skip: usize,
        limit: usize,
    },
    /// Who may not send to a group.
    Gagged {
        group: String,
    },
    /// Which of these groups are muted.
    AreMuted {
        groups: Vec<String>,
    },
    /// All groups that are muted, by their ids.
    Muted {
        skip: usize,
        limit: usize,
    },
    Excepted {
        group: String,
    },
    /// A list of a user, newest first.
    Listed {
        list: UserList,
        owner: UserId,
    },
    /// To which of these users only those on their whitelists may write.
    AreOnlyWanted {
        users: Vec<UserId>,
    },
    /// The conversations of a user, the one with the newest message first.
    List {
        user: UserId,
        kind: Option<ConversationType>,
        skip: usize,
        limit: usize,
    },
    Look {
        place: Place,
    },
    /// A page of what was said after this one, oldest first.
    History {
        place: Place,
        after: i64,
        limit: usize,
    },
    /// A page of the parts of a combined message.
    Parts {
        place: Place,
        message_id: i64,
        from_part: u32,
    },
}

/// A conversation as the app's server names it.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub kind: ConversationType,
    /// With PEER one of the two, with SYSTEM in whose name.
    pub as_user: Option<UserId>,
    /// With PEER and SYSTEM the other user; else the conversation.
    pub target_id: String,
}

/// What was asked for, where clients ask for nothing of the kind.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    #[default]
    Nothing,
    Names(Vec<String>),
    /// Names, with a time each.
    Entries(Vec<(String, i64)>),
    /// Groups, with their names for people.
    Groups(Vec<(String, String)>),
    /// For each that was asked about.
    Flags(Vec<bool>),
    /// What was said, oldest first, and after which sequence number the next page begins, if there is one.
    Messages {
        messages: Vec<ConversationMessage>,
        next: Option<i64>,
    },
}

impl Order {
    pub(super) fn changes_rows(&self) -> bool {
        match self {
            Self::Bring { .. }
            | Self::Gag { .. }
            | Self::Mute { .. }
            | Self::Except { .. }
            | Self::EditList { .. }
            | Self::OnlyWanted { .. }
            | Self::Hide { .. } => true,
            Self::Members { .. }
            | Self::GroupsOf { .. }
            | Self::Gagged { .. }
            | Self::AreMuted { .. }
            | Self::Muted { .. }
            | Self::Excepted { .. }
            | Self::Listed { .. }
            | Self::AreOnlyWanted { .. }
            | Self::List { .. }
            | Self::Look { .. }
            | Self::History { .. }
            | Self::Parts { .. } => false,
        }
    }
}

impl Order {
    /// As how many messages it counts: see [`super::Command::weight`].
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Bring { users, .. }
            | Self::Gag { users, .. }
            | Self::Except { users, .. }
            | Self::EditList { users, .. }
            | Self::OnlyWanted { users, .. } => users.len(),
            _ => 1,
        }
    }
}

pub(super) fn change(rows: &dyn RowsMut, context: Context<'_>, by: &Actor, order: &Order) -> Ruled<Outcome> {
    of_server(by)?;
    match order {
        Order::Bring { group, name, users } => groups::bring(rows, context, by, group, name.as_deref(), users),
        Order::Gag { group, users, until_ms } => groups::gag(rows, context, by, group, users, *until_ms),
        Order::Mute { group, muted } => groups::mute(rows, context, by, group, *muted),
        Order::Except { group, users, excepted } => groups::except(rows, context, group, users, *excepted),
        Order::EditList {
            list,
            owner,
            users,
            add,
        } => {
            let command = EditBlacklist {
                add: *add,
                user_ids: users.iter().map(|user| user.as_str().to_owned()).collect(),
            };
            blacklist::edit_of(rows, context, *list, owner, &command)
        }
        Order::OnlyWanted { users, only } => only_wanted(rows, context, users, *only),
        Order::Hide { place, user, until_ms } => hide(rows, context, place, user, *until_ms),
        _ => look_up(rows, context, by, order),
    }
}

pub(super) fn look_up(rows: &dyn Rows, context: Context<'_>, by: &Actor, order: &Order) -> Ruled<Outcome> {
    of_server(by)?;
    match order {
        Order::Members { group } => questions::members(rows, context, group),
        Order::GroupsOf { user, skip, limit } => questions::groups_of(rows, context, user, *skip, *limit),
        Order::Gagged { group } => questions::gagged(rows, context, group),
        Order::AreMuted { groups } => questions::are_muted(rows, context, groups),
        Order::Muted { skip, limit } => questions::muted(rows, context, *skip, *limit),
        Order::Excepted { group } => questions::excepted(rows, context, group),
        Order::Listed { list, owner } => questions::listed(rows, context, *list, owner),
        Order::AreOnlyWanted { users } => questions::are_only_wanted(rows, context, users),
        Order::List {
            user,
            kind,
            skip,
            limit,
        } => questions::list(rows, context, user, *kind, *skip, *limit),
        Order::Look { place } => questions::look(rows, context, place),
        Order::History { place, after, limit } => questions::history(rows, context, place, *after, *limit),
        Order::Parts {
            place,
            message_id,
            from_part,
        } => questions::parts(rows, context, place, *message_id, *from_part),
        _ => unreachable!("it changes rows"),
    }
}

fn of_server(by: &Actor) -> Ruled<()> {
    match by {
        Actor::Server => Ok(()),
        Actor::User(_) => Err(ErrorCode::OPERATION_NOT_SUPPORTED.into()),
    }
}

/// A conversation that the app's server names. `None`: there is none.
fn named(rows: &dyn Rows, context: Context<'_>, place: &Place) -> Ruled<Option<ConversationRow>> {
    let other = &place.target_id;
    let key = match (place.kind, &place.as_user) {
        (ConversationType::Peer, Some(one)) => Key::peer(one.as_str(), other),
        (ConversationType::System, Some(one)) => Key::system(one.as_str(), other),
        (ConversationType::Group | ConversationType::Discussion, _) if !is_id(other) => return Ok(None),
        (ConversationType::Group | ConversationType::Discussion, _) => Key {
            kind: place.kind,
            key: other.clone(),
        },
        _ => return Err(ErrorCode::OPERATION_NOT_SUPPORTED.into()),
    };
    Ok(rows.conversation(context.app_key, key.kind.into(), &key.key)?)
}

fn group(rows: &dyn Rows, context: Context<'_>, id: &str) -> Ruled<Option<ConversationRow>> {
    Ok(rows.conversation(context.app_key, ConversationType::Group.into(), id)?)
}

fn only_wanted(rows: &dyn RowsMut, context: Context<'_>, users: &[UserId], only: bool) -> Ruled<Outcome> {
    let (app, list) = (context.app_key, UserList::OnlyWanted);
    for user in users {
        if only {
            rows.put_listed(app, list, NOBODY, user.as_str(), context.now.unix_ms)?;
        } else {
            rows.remove_listed(app, list, NOBODY, user.as_str())?;
        }
    }
    Ok(done())
}

fn hide(rows: &dyn RowsMut, context: Context<'_>, place: &Place, user: &UserId, until_ms: i64) -> Ruled<Outcome> {
    let mut conversation = named(rows, context, place)?.ok_or(ErrorCode::CONVERSATION_UNKNOWN)?;
    let member = rows.member(conversation.id, user.as_str())?;
    let before = member.ok_or_else(|| inside::not_inside(place.kind))?;
    let first_later = rows.first_since(conversation.id, Since::TimeMs(until_ms.saturating_add(1)))?;
    let first_sequence = first_later.unwrap_or(conversation.last_sequence + 1);
    if first_sequence <= before.first_sequence {
        return Ok(done());
    }
    let member = MemberRow {
        first_sequence,
        delivered_sequence: before.delivered_sequence.max(first_sequence - 1),
        read_sequence: before.read_sequence.max(first_sequence - 1),
        ..before.clone()
    };
    rows.put_member(&member)?;
    // Some messages are for others now than before.
    conversation.members_version = context.next_id();
    rows.update_conversation(&conversation)?;
    if (member.delivered_sequence, member.read_sequence) == (before.delivered_sequence, before.read_sequence) {
        return Ok(done());
    }
    let moved = positions::moved(place.kind, &conversation, &member);
    let tell = Tell::event(Audience::of([user.clone()]), conversation.id, moved);
    Ok(Outcome {
        tell: vec![tell],
        ..done()
    })
}

fn done() -> Outcome {
    Outcome::answer(reply::Result::Done(Done {}))
}

fn found(found: Found) -> Outcome {
    Outcome { found, ..done() }
}
