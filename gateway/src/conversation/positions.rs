//! How far a user has got: delivered and read.

use sluice_protocol::{AckMessages, ErrorCode};

use crate::conversation::{Actor, Context, Outcome, Ruled};
use crate::store::RowsMut;

pub(super) fn ack(_rows: &dyn RowsMut, _context: Context<'_>, _by: &Actor, _command: &AckMessages) -> Ruled<Outcome> {
    Err(ErrorCode::OPERATION_NOT_SUPPORTED.into())
}
