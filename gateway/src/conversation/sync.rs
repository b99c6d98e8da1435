//! What a user missed, page by page, when a session begins.

use sluice_protocol::{ErrorCode, SyncConversations};

use crate::conversation::{Actor, Context, Outcome, Ruled};
use crate::store::Rows;

pub(super) fn page(
    _rows: &dyn Rows,
    _context: Context<'_>,
    _by: &Actor,
    _command: &SyncConversations,
) -> Ruled<Outcome> {
    Err(ErrorCode::OPERATION_NOT_SUPPORTED.into())
}
