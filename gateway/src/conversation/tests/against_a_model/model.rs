//! Conversations as simple as they can be: everything in memory, and nothing but the rules.

use std::collections::{BTreeMap, BTreeSet};

use sluice_protocol::{ConversationType, MemberRole, MessageKeep, SendMessageResult};

use super::{MEMBERS_MAX, USERS, Who};

/// Discussions, and the last is a group.
pub(super) const SLOTS: usize = 3;

/// An answer: what it says, or the code and the detail of the refusal.
pub(super) type Said<T> = Result<T, (i32, String)>;

/// Users for whom a thing was not done that was done for others, and why.
pub(super) type Refused = Vec<(String, i32)>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The newest conversation that was made in this slot.
    Slot(usize),
    With(usize),
}

/// A change of members and what they may, by one of them.
#[derive(Debug, Clone, Copy)]
pub(super) enum Change<User> {
    Add(User),
    Remove(User),
    Join,
    Quit,
    /// What follows is for groups.
    Promote(User, bool),
    Transfer(User),
    Mute(User, bool),
    MuteAll(bool),
    Dismiss,
}

impl<User> Change<User> {
    pub(super) fn map<Other>(self, other: impl FnOnce(User) -> Other) -> Change<Other> {
        match self {
            Self::Add(user) => Change::Add(other(user)),
            Self::Remove(user) => Change::Remove(other(user)),
            Self::Join => Change::Join,
            Self::Quit => Change::Quit,
            Self::Promote(user, manager) => Change::Promote(other(user), manager),
            Self::Transfer(user) => Change::Transfer(other(user)),
            Self::Mute(user, muted) => Change::Mute(other(user), muted),
            Self::MuteAll(muted) => Change::MuteAll(muted),
            Self::Dismiss => Change::Dismiss,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Model {
    pub slots: [Option<usize>; SLOTS],
    pub peers: BTreeMap<(usize, usize), usize>,
    pub conversations: Vec<Conversation>,
    /// By sender and id: to whom, what and how it was kept, and the answer.
    pub sent: BTreeMap<(usize, u8), (String, u8, MessageKeep, SendMessageResult)>,
    /// The greatest id there was, since a restart only of what is kept.
    pub last_id: u64,
    /// How far the device of each user knows each conversation.
    pub known: [BTreeMap<usize, u64>; USERS.len()],
}

#[derive(Debug)]
pub(super) struct Conversation {
    pub kind: ConversationType,
    /// Empty: of two.
    pub id: String,
    /// Without members it is gone.
    pub members: BTreeMap<usize, Member>,
    pub messages: Vec<Sent>,
    pub last_at_ms: i64,
    /// None may speak but those who lead.
    muted: bool,
    /// Who left while muted.
    left_muted: BTreeSet<usize>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    pub first: u64,
    pub delivered: u64,
    pub read: u64,
    pub role: MemberRole,
    muted: bool,
}

#[derive(Debug)]
pub(super) struct Sent {
    pub by: usize,
    pub said: u8,
    pub id: u64,
    pub at_ms: i64,
    pub counts: bool,
    pub recalled: bool,
}

impl Member {
    pub(super) fn leads(&self) -> bool {
        matches!(self.role, MemberRole::Owner | MemberRole::Manager)
    }
}

impl Conversation {
    pub(super) fn new(kind: ConversationType, id: String) -> Self {
        Self {
            kind,
            id,
            members: BTreeMap::new(),
            messages: Vec::new(),
            last_at_ms: 0,
            muted: false,
            left_muted: BTreeSet::new(),
        }
    }

    pub(super) fn unread(&self, user: usize) -> u32 {
        let read = self.members[&user].read;
        let messages = (1..).zip(&self.messages);
        let unread =
            messages.filter(|(sequence, sent)| *sequence > read && sent.counts && !sent.recalled && sent.by != user);
        u32::try_from(unread.count()).expect("they are few")
    }

    pub(super) fn length(&self) -> u64 {
        self.messages.len() as u64
    }

    pub(super) fn bring(&mut self, user: usize) {
        let length = self.length();
        let muted = self.left_muted.remove(&user);
        self.members.entry(user).or_insert(Member {
            first: length + 1,
            delivered: length,
            read: length,
            role: MemberRole::Member,
            muted,
        });
    }

    fn put_out(&mut self, user: usize) {
        let member = self.members.remove(&user);
        if member.is_some_and(|member| member.muted) {
            self.left_muted.insert(user);
        }
    }

    pub(super) fn member(&mut self, user: usize) -> &mut Member {
        self.members.get_mut(&user).expect("inside")
    }

    fn leads(&self, user: usize) -> bool {
        self.members.get(&user).is_some_and(Member::leads)
    }

    /// Whether a member may say something.
    pub(super) fn may_speak(&self, user: usize) -> Said<()> {
        let refused = |detail: &str| Err((22408, detail.to_owned()));
        match self.members[&user] {
            member if member.muted => refused("user"),
            member if self.muted && !member.leads() => refused("group"),
            _ => Ok(()),
        }
    }

    /// Changes members, for one who is inside or wants to be.
    fn change(&mut self, by: usize, change: Change<usize>) -> Said<Refused> {
        let is_group = self.kind == ConversationType::Group;
        let refused = |code| Ok(vec![(String::new(), code)]);
        let needs = match change {
            Change::Add(_) | Change::Remove(_) | Change::Mute(..) | Change::MuteAll(_) => MemberRole::Manager,
            Change::Promote(..) | Change::Transfer(_) | Change::Dismiss => MemberRole::Owner,
            Change::Join | Change::Quit => MemberRole::Member,
        };
        let is_owner = |conversation: &Self, user| {
            let member = conversation.members.get(&user);
            member.is_some_and(|member| member.role == MemberRole::Owner)
        };
        if is_group {
            match needs {
                MemberRole::Manager if !self.leads(by) => return Err((25405, "manager".to_owned())),
                MemberRole::Owner if !is_owner(self, by) => return Err((25405, "owner".to_owned())),
                _ => {}
            }
        }
        let is_full = self.members.len() == MEMBERS_MAX;
        match change {
            Change::Add(user) if self.members.contains_key(&user) => {}
            Change::Add(_) if is_full => return refused(25411),
            Change::Add(user) => self.bring(user),
            Change::Join if self.members.contains_key(&by) => {}
            Change::Join if is_full => return Err((25411, String::new())),
            Change::Join => self.bring(by),
            Change::Quit if is_owner(self, by) && self.members.len() > 1 => return Err((25417, String::new())),
            Change::Quit => self.put_out(by),
            Change::Transfer(user) if !self.members.contains_key(&user) => return Err((25418, String::new())),
            Change::Transfer(user) => {
                self.member(by).role = MemberRole::Member;
                let heir = self.member(user);
                (heir.role, heir.muted) = (MemberRole::Owner, false);
            }
            Change::Dismiss => self.members.clear(),
            Change::MuteAll(muted) => self.muted = muted,
            // Who left muted is not inside, and may come back and speak.
            Change::Mute(user, false) if self.left_muted.remove(&user) => {}
            Change::Remove(user) | Change::Promote(user, _) | Change::Mute(user, _)
                if !self.members.contains_key(&user) =>
            {
                return refused(25418);
            }
            Change::Remove(user) | Change::Promote(user, _) if is_owner(self, user) => return refused(25417),
            Change::Remove(user) => self.put_out(user),
            Change::Promote(user, true) => {
                let member = self.member(user);
                (member.role, member.muted) = (MemberRole::Manager, false);
            }
            Change::Promote(user, false) => self.member(user).role = MemberRole::Member,
            Change::Mute(user, true) if self.leads(user) => return refused(25405),
            Change::Mute(user, muted) => self.member(user).muted = muted,
        }
        Ok(Vec::new())
    }
}

impl Model {
    /// The conversation at a place for a user who may do something there.
    pub(super) fn inside(&self, place: Place, by: usize) -> Said<Option<usize>> {
        match place {
            Place::With(other) if other == by => Err((33003, "id".to_owned())),
            Place::With(other) => Ok(self.peers.get(&pair(by, other)).copied()),
            Place::Slot(slot) => {
                let number = self.slots[slot].expect("the operation is passed over");
                let conversation = &self.conversations[number];
                if conversation.members.is_empty() {
                    Err((4303, String::new()))
                } else if conversation.members.contains_key(&by) {
                    Ok(Some(number))
                } else if conversation.kind == ConversationType::Group {
                    Err((22406, String::new()))
                } else {
                    Err((21406, String::new()))
                }
            }
        }
    }

    /// Also for who is outside, whom it does not concern.
    pub(super) fn at(&self, place: Place, by: usize) -> Option<usize> {
        match place {
            Place::Slot(slot) => self.slots[slot],
            Place::With(other) => self.peers.get(&pair(by, other)).copied(),
        }
    }

    pub(super) fn user(&self, place: Place, who: Who) -> usize {
        let number = match place {
            Place::Slot(slot) => self.slots[slot],
            // To be one of two, anybody will do.
            Place::With(_) => None,
        };
        let members = number.map(|number| &self.conversations[number].members);
        let mut members = members.into_iter().flatten();
        match who {
            Who::Any(user) => user,
            Who::Inside(nth) => {
                let members: Vec<usize> = members.map(|(user, _)| *user).collect();
                members.get(nth % members.len().max(1)).copied().unwrap_or(nth)
            }
            Who::Owner => {
                let owner = members.find(|(_, member)| member.role == MemberRole::Owner);
                owner.map_or(0, |(user, _)| *user)
            }
        }
    }

    /// Who changes a message: its sender, if it is to be `own` and there is one.
    pub(super) fn changer(&self, from: Place, who: Who, own: bool, nth: usize) -> usize {
        let who = self.user(from, who);
        let conversation = self.at(from, who).map(|number| &self.conversations[number]);
        let sent = conversation.and_then(|conversation| conversation.messages.get(nth));
        match (from, sent) {
            (Place::Slot(_), Some(sent)) if own => sent.by,
            _ => who,
        }
    }

    /// Changes the members of a conversation in a slot.
    pub(super) fn change(&mut self, slot: usize, by: usize, change: Change<usize>) -> Said<Refused> {
        match (self.inside(Place::Slot(slot), by), change) {
            (Ok(_) | Err((21406 | 22406, _)), Change::Join) | (Ok(_), _) => {
                let number = self.slots[slot].expect("somebody is inside");
                self.conversations[number].change(by, change)
            }
            (Err(refused), _) => Err(refused),
        }
    }

    /// The conversation of two, which is made if there is none.
    pub(super) fn peer(&mut self, by: usize, other: usize) -> usize {
        let next = self.conversations.len();
        let number = *self.peers.entry(pair(by, other)).or_insert(next);
        if number == next {
            let mut made = Conversation::new(ConversationType::Peer, String::new());
            made.bring(by);
            made.bring(other);
            self.conversations.push(made);
        }
        number
    }

    pub(super) fn greatest_kept(&self) -> u64 {
        let kept = self
            .conversations
            .iter()
            .filter(|conversation| !conversation.members.is_empty());
        let last = kept.filter_map(|conversation| conversation.messages.last());
        last.map(|sent| sent.id).max().unwrap_or(0)
    }

    /// As a user names a place.
    pub(super) fn name(&self, place: Place) -> (ConversationType, String) {
        match place {
            Place::With(other) => (ConversationType::Peer, USERS[other].to_owned()),
            Place::Slot(slot) => {
                let conversation = &self.conversations[self.slots[slot].expect("the operation is passed over")];
                (conversation.kind, conversation.id.clone())
            }
        }
    }

    /// As a user names a conversation.
    pub(super) fn name_of(&self, number: usize, by: usize) -> (ConversationType, String) {
        let conversation = &self.conversations[number];
        let other = conversation.members.keys().find(|member| **member != by);
        match (conversation.kind, other) {
            (ConversationType::Peer, Some(other)) => (ConversationType::Peer, USERS[*other].to_owned()),
            (kind, _) => (kind, conversation.id.clone()),
        }
    }

    pub(super) fn is_there(&self, place: Place) -> bool {
        match place {
            Place::With(_) => true,
            Place::Slot(slot) => self.slots[slot].is_some(),
        }
    }
}

pub(super) fn pair(one: usize, other: usize) -> (usize, usize) {
    (one.min(other), one.max(other))
}
