//! What members ask about a room.

use sluice_protocol::UserId;

/// What is asked.
#[derive(Debug)]
pub(crate) enum Query {
    Status,
    Members {
        limit: usize,
        cursor: String,
    },
    Named(Vec<UserId>),
    /// All when there are none.
    Attributes(Vec<String>),
}
