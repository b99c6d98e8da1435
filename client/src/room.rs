//! Rooms: what a join answers and what a room tells of its members.

use sluice_protocol::{LeaveReason, MemberEvents, RoomDestroyedReason, RoomId, RoomPreset, UserInfo};

use crate::error::ClientError;
use crate::moderation::Mute;

/// What is known of a room after a join.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RoomEntered {
    /// The room.
    pub room_id: String,
    /// The name its creator gave it; may be empty.
    pub room_name: String,
    /// The family of the rules it lives by.
    pub preset: RoomPreset,
    /// The rules it lives by, by name: "room", "live" or one the app has defined.
    pub policy: String,
    /// When it was created, milliseconds since 1970-01-01 UTC.
    pub created_at_ms: i64,
    /// True when this call created the room.
    pub created: bool,
    /// True when this client was inside already; nothing changed then and no history follows.
    pub already_inside: bool,
    /// Users inside, this one counted.
    pub member_count: u64,
    /// Sequence number of the newest message, 0 when there was none.
    pub sequence: u64,
    /// How many history messages follow as events.
    pub history_count: u32,
    /// How much the room tells of its members' coming and going at present.
    pub member_events: MemberEvents,
    /// Whether this user may not send here.
    pub mute: Mute,
    /// Whether nobody may send, but those the app excepts.
    pub room_muted: bool,
    /// Whether the app has stopped distribution: what members send is answered and given to nobody.
    pub distribution_stopped: bool,
    /// Grows with each change of an attribute; 0 when there never was one.
    pub attributes_version: u64,
}

impl From<sluice_protocol::RoomEntered> for RoomEntered {
    fn from(entered: sluice_protocol::RoomEntered) -> Self {
        let member_events = entered.member_events();
        let room = entered.room.unwrap_or_default();
        Self {
            preset: room.preset(),
            room_id: room.room_id,
            room_name: room.room_name,
            policy: room.policy,
            created_at_ms: room.created_at_ms,
            created: entered.created,
            already_inside: entered.already_inside,
            member_count: entered.member_count,
            sequence: entered.sequence,
            history_count: entered.history_count,
            member_events,
            mute: Mute::of(entered.muted, entered.muted_until_ms),
            room_muted: entered.room_muted,
            distribution_stopped: entered.distribution_stopped,
            attributes_version: entered.attributes_version,
        }
    }
}

/// A room in which a session that was resumed goes on.
///
/// Messages from while it was away follow with [`RoomMessage::history_left`](crate::RoomMessage::history_left), oldest first, and
/// then what comes now. Attributes may have changed: compare the version.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RoomResumed {
    /// The room.
    pub room_id: String,
    /// Sequence number of the room's newest message.
    pub sequence: u64,
    /// How many messages follow.
    pub replayed: u32,
    /// How many came meanwhile and do not follow, because the room does not keep them.
    pub missed: u64,
    /// Users inside.
    pub member_count: u64,
    /// How much the room tells of its members' coming and going at present.
    pub member_events: MemberEvents,
    /// Whether this user may not send here.
    pub mute: Mute,
    /// Whether nobody may send, but those the app excepts.
    pub room_muted: bool,
    /// Whether the app has stopped distribution: what members send is given to nobody.
    pub distribution_stopped: bool,
    /// Grows with each change of an attribute.
    pub attributes_version: u64,
}

impl From<sluice_protocol::RoomResumed> for RoomResumed {
    fn from(event: sluice_protocol::RoomResumed) -> Self {
        Self {
            member_events: event.member_events(),
            mute: Mute::of(event.muted, event.muted_until_ms),
            room_id: event.room_id,
            sequence: event.sequence,
            replayed: event.replayed,
            missed: event.missed,
            member_count: event.member_count,
            room_muted: event.room_muted,
            distribution_stopped: event.distribution_stopped,
            attributes_version: event.attributes_version,
        }
    }
}

/// Users came into a room.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberJoined {
    /// The room.
    pub room_id: String,
    /// Who came.
    pub members: Vec<UserInfo>,
    /// Users inside after this.
    pub member_count: u64,
    /// With one member: what it brought, see [`RoomOptions::extra`](crate::RoomOptions::extra).
    pub extra: String,
}

impl From<sluice_protocol::RoomMemberJoined> for MemberJoined {
    fn from(event: sluice_protocol::RoomMemberJoined) -> Self {
        Self {
            room_id: event.room_id,
            members: event.members,
            member_count: event.member_count,
            extra: event.extra,
        }
    }
}

/// Users went from a room.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberLeft {
    /// The room.
    pub room_id: String,
    /// Who went.
    pub members: Vec<UserInfo>,
    /// Why, for all of them.
    pub reason: LeaveReason,
    /// Users inside after this.
    pub member_count: u64,
}

impl From<sluice_protocol::RoomMemberLeft> for MemberLeft {
    fn from(event: sluice_protocol::RoomMemberLeft) -> Self {
        Self {
            reason: event.reason(),
            room_id: event.room_id,
            members: event.members,
            member_count: event.member_count,
        }
    }
}

/// The coming and going of about a second in a room of more than 500 members.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberDigest {
    /// The room.
    pub room_id: String,
    /// At most 50 of those who came.
    pub joined: Vec<UserInfo>,
    /// At most 50 of those who went.
    pub left: Vec<UserInfo>,
    /// All who came, whether named or not.
    pub joined_count: u64,
    /// All who went, whether named or not.
    pub left_count: u64,
    /// Users inside now.
    pub member_count: u64,
}

impl From<sluice_protocol::RoomMemberDigest> for MemberDigest {
    fn from(event: sluice_protocol::RoomMemberDigest) -> Self {
        Self {
            room_id: event.room_id,
            joined: event.joined,
            left: event.left,
            joined_count: event.joined_count,
            left_count: event.left_count,
            member_count: event.member_count,
        }
    }
}

/// How many users are inside a room of more than 10,000 members.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberCount {
    /// The room.
    pub room_id: String,
    /// Users inside.
    pub member_count: u64,
}

impl From<sluice_protocol::RoomMemberCount> for MemberCount {
    fn from(event: sluice_protocol::RoomMemberCount) -> Self {
        Self {
            room_id: event.room_id,
            member_count: event.member_count,
        }
    }
}

/// A room is no more; nobody is inside.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RoomDestroyed {
    /// The room.
    pub room_id: String,
    /// Why.
    pub reason: RoomDestroyedReason,
}

impl From<sluice_protocol::RoomDestroyed> for RoomDestroyed {
    fn from(event: sluice_protocol::RoomDestroyed) -> Self {
        Self {
            reason: event.reason(),
            room_id: event.room_id,
        }
    }
}

/// Messages of a room that this client will not get: it was too slow, or the room had more than it gives to anybody.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gap {
    /// The room.
    pub room_id: String,
    /// Sequence number of the oldest message missed.
    pub first_sequence: u64,
    /// Sequence number of the newest message missed.
    pub last_sequence: u64,
    /// Missed messages of class high.
    pub high: u64,
    /// Missed messages of class normal.
    pub normal: u64,
    /// Missed messages of class low.
    pub low: u64,
    /// Missed messages of class barrage.
    pub barrage: u64,
}

impl Gap {
    /// How many messages were missed. May be less than the range of the sequence numbers, as those between may have come.
    #[must_use]
    pub fn missed(&self) -> u64 {
        [self.high, self.normal, self.low, self.barrage]
            .into_iter()
            .fold(0, u64::saturating_add)
    }
}

impl From<sluice_protocol::RoomGap> for Gap {
    fn from(event: sluice_protocol::RoomGap) -> Self {
        Self {
            room_id: event.room_id,
            first_sequence: event.first_sequence,
            last_sequence: event.last_sequence,
            high: event.high,
            normal: event.normal,
            low: event.low,
            barrage: event.barrage,
        }
    }
}

pub(crate) fn check_room_id(room_id: &str) -> Result<(), ClientError> {
    match RoomId::parse(room_id) {
        Ok(_) => Ok(()),
        Err(why) => Err(ClientError::invalid("room_id", format!("the room id {why}"))),
    }
}
