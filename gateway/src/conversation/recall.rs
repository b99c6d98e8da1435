//! Taking a message back, and changing it.

use sluice_protocol::{EditMessage, ErrorCode, RecallMessage};

use crate::conversation::{Actor, Context, Outcome, Ruled};
use crate::store::RowsMut;

pub(super) fn recall(
    _rows: &dyn RowsMut,
    _context: Context<'_>,
    _by: &Actor,
    _command: &RecallMessage,
) -> Ruled<Outcome> {
    Err(ErrorCode::OPERATION_NOT_SUPPORTED.into())
}

pub(super) fn edit(_rows: &dyn RowsMut, _context: Context<'_>, _by: &Actor, _command: &EditMessage) -> Ruled<Outcome> {
    Err(ErrorCode::OPERATION_NOT_SUPPORTED.into())
}
