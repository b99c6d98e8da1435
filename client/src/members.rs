//! Asking who is inside a room.

use std::vec;

use sluice_protocol::RoomPreset;

use crate::client::Client;
use crate::error::ClientError;

/// How a room is, as [`Client::query_room`] answers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RoomStatus {
    /// The room.
    pub room_id: String,
    /// The name its creator gave it; may be empty.
    pub room_name: String,
    /// The family of its rules.
    pub preset: RoomPreset,
    /// The rules it lives by, by name.
    pub policy: String,
    /// When it was created, milliseconds since 1970-01-01 UTC.
    pub created_at_ms: i64,
    /// Users inside.
    pub member_count: u64,
    /// Sequence number of the newest message, 0 when there was none.
    pub sequence: u64,
    /// Whether nobody may send, but those the app excepts.
    pub room_muted: bool,
    /// Whether the app has stopped distribution: what members send is given to nobody.
    pub distribution_stopped: bool,
    /// Grows with each change of an attribute.
    pub attributes_version: u64,
}

impl From<sluice_protocol::RoomStatus> for RoomStatus {
    fn from(status: sluice_protocol::RoomStatus) -> Self {
        let room = status.room.unwrap_or_default();
        Self {
            preset: room.preset(),
            room_id: room.room_id,
            room_name: room.room_name,
            policy: room.policy,
            created_at_ms: room.created_at_ms,
            member_count: status.member_count,
            sequence: status.sequence,
            room_muted: status.room_muted,
            distribution_stopped: status.distribution_stopped,
            attributes_version: status.attributes_version,
        }
    }
}

/// A user inside a room.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Member {
    /// Who.
    pub user_id: String,
    /// The name given at login; may be empty.
    pub user_name: String,
    /// When the user came, milliseconds since 1970-01-01 UTC, exact to the second.
    pub joined_at_ms: i64,
}

impl From<sluice_protocol::RoomMember> for Member {
    fn from(member: sluice_protocol::RoomMember) -> Self {
        Self {
            user_id: member.user_id,
            user_name: member.user_name,
            joined_at_ms: member.joined_at_ms,
        }
    }
}

/// A page of members, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MembersPage {
    /// Those on this page.
    pub members: Vec<Member>,
    /// What to ask for the next page with; `None` on the last.
    pub next_cursor: Option<String>,
    /// Users inside, all of them.
    pub member_count: u64,
}

impl From<sluice_protocol::RoomMembers> for MembersPage {
    fn from(page: sluice_protocol::RoomMembers) -> Self {
        Self {
            members: page.members.into_iter().map(Member::from).collect(),
            next_cursor: Some(page.next_cursor).filter(|cursor| !cursor.is_empty()),
            member_count: page.member_count,
        }
    }
}

/// The members of a room one after the other, newest first, asked for in pages of 100 as they are needed. Made by
/// [`Client::members`].
///
/// ```no_run
/// # async fn run(client: sluice_client::Client) -> Result<(), sluice_client::ClientError> {
/// let mut members = client.members("lobby");
/// while let Some(member) = members.next().await? {
///     println!("{}", member.user_id);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Members {
    client: Client,
    room_id: String,
    page: vec::IntoIter<Member>,
    rest: Rest,
}

#[derive(Debug)]
enum Rest {
    From(String),
    Nothing,
}

impl Members {
    pub(crate) fn new(client: Client, room_id: &str) -> Self {
        Self {
            client,
            room_id: room_id.to_owned(),
            page: Vec::new().into_iter(),
            rest: Rest::From(String::new()),
        }
    }

    /// The next member, or `None` after the last.
    ///
    /// Cancel safe: when the future is dropped before it is ready, the same page is asked for again.
    ///
    /// # Errors
    /// Those of [`Client::query_members`]. Calling again asks again.
    pub async fn next(&mut self) -> Result<Option<Member>, ClientError> {
        loop {
            if let Some(member) = self.page.next() {
                return Ok(Some(member));
            }
            let Rest::From(cursor) = &self.rest else {
                return Ok(None);
            };
            let page = self.client.query_members(&self.room_id, 0, cursor).await?;
            self.page = page.members.into_iter();
            self.rest = page.next_cursor.map_or(Rest::Nothing, Rest::From);
        }
    }
}
