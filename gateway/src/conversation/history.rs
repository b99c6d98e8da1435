//! Pages of what was said.

use sluice_protocol::{ErrorCode, QueryMessages};

use crate::conversation::{Actor, Context, Outcome, Ruled};
use crate::store::Rows;

pub(super) fn page(_rows: &dyn Rows, _context: Context<'_>, _by: &Actor, _command: &QueryMessages) -> Ruled<Outcome> {
    Err(ErrorCode::OPERATION_NOT_SUPPORTED.into())
}
