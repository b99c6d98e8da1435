//! Login.

use sluice_protocol::{ErrorCode, Login};

use crate::command::{Action, Context};
use crate::frames;
use crate::session::login;

pub(super) fn handle(request_id: u32, command: Login, context: Context<'_>) -> Action {
    match login::check(command, context.apps, context.now, context.config) {
        Ok(login) => Action::Register {
            request_id,
            login: Box::new(login),
        },
        Err(refusal) => {
            let answer = frames::refuse(request_id, &refusal);
            // A field of the wrong form is the one thing a client can mend on the spot.
            if refusal.code == ErrorCode::INVALID_PARAMETER {
                Action::Refuse {
                    refusal,
                    answer: Some(answer),
                }
            } else {
                Action::Close { answer, refusal }
            }
        }
    }
}
