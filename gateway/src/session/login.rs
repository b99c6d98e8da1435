//! The rules of a login, apart from other sessions of the same user.

use std::sync::Arc;

use sluice_protocol::{ErrorCode, Login, Platform, SUPPORTED_VERSIONS, UserId, limits};

use crate::clock::Now;
use crate::config::{AppState, Config};
use crate::identity::{AppIndex, User};
use crate::refusal::Refusal;
use crate::session::apps::{Apps, ReadyApp};

/// A login whose form and token are good.
#[derive(Debug, Clone)]
pub(crate) struct Accepted {
    pub user: Arc<User>,
    pub platform: Platform,
    pub device_id: Box<str>,
    pub package_name: Box<str>,
    pub sdk: Box<str>,
    /// For a login by a library that reconnects: when the session it lost had begun.
    pub resumes_session_of_ms: Option<i64>,
    pub started_at_ms: i64,
    pub token_expires: Now,
}

/// Checks a login: version, app, form, package, token, in this order.
///
/// # Errors
/// The code that the client gets; most of them end the connection.
pub(crate) fn check(login: Login, apps: &Apps, now: Now, config: &Config) -> Result<Accepted, Refusal> {
    if !SUPPORTED_VERSIONS.contains(&login.protocol_version) {
        let range = format!("{}-{}", SUPPORTED_VERSIONS.start(), SUPPORTED_VERSIONS.end());
        return Err(Refusal {
            detail: range.into(),
            ..Refusal::new(ErrorCode::PROTOCOL_VERSION)
        });
    }
    let (app_index, app) = find_app(&login.app_key, apps)?;
    let platform = login.platform();
    let user_id = UserId::parse(&login.user_id, app.settings.id_profile).map_err(|_| Refusal::parameter("user_id"))?;
    for (field, text, bytes_max) in [
        ("user_name", &login.user_name, limits::USER_NAME_BYTES),
        ("token", &login.token, limits::TOKEN_BYTES),
        ("device_id", &login.device_id, limits::DEVICE_ID_BYTES),
        ("package_name", &login.package_name, limits::PACKAGE_NAME_BYTES),
        ("sdk", &login.sdk, limits::SDK_BYTES),
    ] {
        if text.len() > bytes_max {
            return Err(Refusal::parameter(field));
        }
    }
    if !app.settings.packages.is_empty() && !app.settings.packages.contains(&login.package_name) {
        return Err(Refusal::new(ErrorCode::BUNDLE_ID_INVALID));
    }
    let token_expires = check_token(&login.token, &user_id, app, now, config)?;
    Ok(Accepted {
        user: Arc::new(User {
            app: app_index,
            id: user_id,
            name: login.user_name.into(),
        }),
        platform,
        device_id: login.device_id.into(),
        package_name: login.package_name.into(),
        sdk: login.sdk.into(),
        resumes_session_of_ms: login.automatic.then_some(login.previous_session_started_at_ms),
        started_at_ms: now.unix_ms,
        token_expires,
    })
}

/// Checks that a token is good and belongs to `user_id`. Returns when it ends.
///
/// # Errors
/// 31004 or 31005.
pub(crate) fn check_token(
    token: &str,
    user_id: &UserId,
    app: &ReadyApp,
    now: Now,
    config: &Config,
) -> Result<Now, Refusal> {
    let verified = app.verifier.verify(token, now, config.tokens.leeway)?;
    if verified.user_id != user_id.as_str() {
        return Err(Refusal::with_detail(ErrorCode::APP_KEY_TOKEN_MISMATCH, "user"));
    }
    Ok(verified.expires)
}

fn find_app<'a>(key: &str, apps: &'a Apps) -> Result<(AppIndex, &'a ReadyApp), Refusal> {
    if key.is_empty() || key.len() > limits::APP_KEY_BYTES {
        return Err(Refusal::parameter("app_key"));
    }
    let (index, app) = apps.by_key(key).ok_or(Refusal::new(ErrorCode::APP_KEY_INVALID))?;
    match app.settings.state {
        AppState::Enabled => Ok((index, app)),
        AppState::Blocked => Err(Refusal::new(ErrorCode::APP_BLOCKED_OR_DELETED)),
        AppState::ServiceDisabled => Err(Refusal::with_detail(
            ErrorCode::APP_BLOCKED_OR_DELETED,
            "service_disabled",
        )),
    }
}
