//! RenewToken.

use sluice_protocol::{ErrorCode, RenewToken, RenewTokenResult, limits, reply};

use crate::frames;
use crate::refusal::Refusal;
use crate::room::RETRY_AFTER_MIN;
use crate::session::dispatch::{Action, Context, refuse};
use crate::session::{Online, login};

pub(super) fn handle(request_id: u32, command: &RenewToken, online: &mut Online, context: Context<'_>) -> Action {
    if command.token.len() > limits::TOKEN_BYTES {
        return refuse(request_id, Refusal::parameter("token"));
    }
    if let Err(wait) = online.quotas.take_renewal(context.now.instant) {
        let refusal = Refusal::with_detail(ErrorCode::REQUEST_TOO_FREQUENT, "rate");
        return refuse(request_id, refusal.retry_after(wait.max(RETRY_AFTER_MIN)));
    }
    let app = context.apps.get(online.user.app);
    match login::check_token(&command.token, &online.user.id, app, context.now, context.config) {
        Ok(expires) => {
            let result = RenewTokenResult {
                token: command.token.clone(),
                token_expires_at_ms: expires.unix_ms,
            };
            Action::Renew {
                expires,
                answer: frames::reply(request_id, reply::Result::RenewToken(result)),
            }
        }
        Err(refusal) => refuse(request_id, refusal),
    }
}
