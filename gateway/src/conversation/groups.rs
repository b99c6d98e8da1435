//! What an owner does with a group, and what a conversation says of itself.

use sluice_protocol::{DismissGroup, ErrorCode, MuteGroupMembers, SetGroupManagers, TransferGroup, UpdateConversation};

use crate::conversation::{Actor, Context, Outcome, Ruled};
use crate::store::RowsMut;

pub(super) fn update(
    _rows: &dyn RowsMut,
    _context: Context<'_>,
    _by: &Actor,
    _command: &UpdateConversation,
) -> Ruled<Outcome> {
    Err(ErrorCode::OPERATION_NOT_SUPPORTED.into())
}

pub(super) fn dismiss(
    _rows: &dyn RowsMut,
    _context: Context<'_>,
    _by: &Actor,
    _command: &DismissGroup,
) -> Ruled<Outcome> {
    Err(ErrorCode::OPERATION_NOT_SUPPORTED.into())
}

pub(super) fn transfer(
    _rows: &dyn RowsMut,
    _context: Context<'_>,
    _by: &Actor,
    _command: &TransferGroup,
) -> Ruled<Outcome> {
    Err(ErrorCode::OPERATION_NOT_SUPPORTED.into())
}

pub(super) fn set_managers(
    _rows: &dyn RowsMut,
    _context: Context<'_>,
    _by: &Actor,
    _command: &SetGroupManagers,
) -> Ruled<Outcome> {
    Err(ErrorCode::OPERATION_NOT_SUPPORTED.into())
}

pub(super) fn mute(
    _rows: &dyn RowsMut,
    _context: Context<'_>,
    _by: &Actor,
    _command: &MuteGroupMembers,
) -> Ruled<Outcome> {
    Err(ErrorCode::OPERATION_NOT_SUPPORTED.into())
}
