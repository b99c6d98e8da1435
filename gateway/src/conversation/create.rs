//! Conversations that users make: discussions and groups.

use sluice_protocol::{CreateConversation, CreateGroup, ErrorCode};

use crate::conversation::{Actor, Context, Outcome, Ruled};
use crate::store::RowsMut;

pub(super) fn discussion(
    _rows: &dyn RowsMut,
    _context: Context<'_>,
    _by: &Actor,
    _command: &CreateConversation,
) -> Ruled<Outcome> {
    Err(ErrorCode::OPERATION_NOT_SUPPORTED.into())
}

pub(super) fn group(_rows: &dyn RowsMut, _context: Context<'_>, _by: &Actor, _command: &CreateGroup) -> Ruled<Outcome> {
    Err(ErrorCode::OPERATION_NOT_SUPPORTED.into())
}
