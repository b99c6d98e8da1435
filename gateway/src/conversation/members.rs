//! Coming into a conversation and going: added, removed, joined, quit.

use sluice_protocol::{AddMembers, ErrorCode, JoinConversation, QuitConversation, RemoveMembers};

use crate::conversation::{Actor, Context, Outcome, Ruled};
use crate::store::RowsMut;

pub(super) fn add(_rows: &dyn RowsMut, _context: Context<'_>, _by: &Actor, _command: &AddMembers) -> Ruled<Outcome> {
    Err(ErrorCode::OPERATION_NOT_SUPPORTED.into())
}

pub(super) fn remove(
    _rows: &dyn RowsMut,
    _context: Context<'_>,
    _by: &Actor,
    _command: &RemoveMembers,
) -> Ruled<Outcome> {
    Err(ErrorCode::OPERATION_NOT_SUPPORTED.into())
}

pub(super) fn join(
    _rows: &dyn RowsMut,
    _context: Context<'_>,
    _by: &Actor,
    _command: &JoinConversation,
) -> Ruled<Outcome> {
    Err(ErrorCode::OPERATION_NOT_SUPPORTED.into())
}

pub(super) fn quit(
    _rows: &dyn RowsMut,
    _context: Context<'_>,
    _by: &Actor,
    _command: &QuitConversation,
) -> Ruled<Outcome> {
    Err(ErrorCode::OPERATION_NOT_SUPPORTED.into())
}
