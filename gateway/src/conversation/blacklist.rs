//! Whose messages a user does not want.

use sluice_protocol::{EditBlacklist, ErrorCode, QueryBlacklist};

use crate::conversation::{Actor, Context, Outcome, Ruled};
use crate::store::{Rows, RowsMut};

pub(super) fn edit(
    _rows: &dyn RowsMut,
    _context: Context<'_>,
    _by: &Actor,
    _command: &EditBlacklist,
) -> Ruled<Outcome> {
    Err(ErrorCode::OPERATION_NOT_SUPPORTED.into())
}

pub(super) fn page(_rows: &dyn Rows, _context: Context<'_>, _by: &Actor, _command: &QueryBlacklist) -> Ruled<Outcome> {
    Err(ErrorCode::OPERATION_NOT_SUPPORTED.into())
}
