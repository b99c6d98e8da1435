//! Messages forwarded as one: their parts, put one by one and read by pages.

use sluice_protocol::{ErrorCode, PutCombinedPart, QueryCombined};

use crate::conversation::{Actor, Context, Outcome, Ruled};
use crate::store::{Rows, RowsMut};

pub(super) fn put(
    _rows: &dyn RowsMut,
    _context: Context<'_>,
    _by: &Actor,
    _command: &PutCombinedPart,
) -> Ruled<Outcome> {
    Err(ErrorCode::OPERATION_NOT_SUPPORTED.into())
}

pub(super) fn page(_rows: &dyn Rows, _context: Context<'_>, _by: &Actor, _command: &QueryCombined) -> Ruled<Outcome> {
    Err(ErrorCode::OPERATION_NOT_SUPPORTED.into())
}
