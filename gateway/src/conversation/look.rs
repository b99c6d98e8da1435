//! Questions: one conversation, its members, the list.

use sluice_protocol::{ErrorCode, QueryConversation, QueryConversationMembers, QueryConversations};

use crate::conversation::{Actor, Context, Outcome, Ruled};
use crate::store::Rows;

pub(super) fn conversation(
    _rows: &dyn Rows,
    _context: Context<'_>,
    _by: &Actor,
    _command: &QueryConversation,
) -> Ruled<Outcome> {
    Err(ErrorCode::OPERATION_NOT_SUPPORTED.into())
}

pub(super) fn members(
    _rows: &dyn Rows,
    _context: Context<'_>,
    _by: &Actor,
    _command: &QueryConversationMembers,
) -> Ruled<Outcome> {
    Err(ErrorCode::OPERATION_NOT_SUPPORTED.into())
}

pub(super) fn list(
    _rows: &dyn Rows,
    _context: Context<'_>,
    _by: &Actor,
    _command: &QueryConversations,
) -> Ruled<Outcome> {
    Err(ErrorCode::OPERATION_NOT_SUPPORTED.into())
}
