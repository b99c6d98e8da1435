//! Tokens for trying things out: in production they come from the app server.

use std::time::{Duration, SystemTime};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use sluice_protocol::UserId;

use super::DevelopmentError;
use crate::config::{App, TokenAlgorithm};

/// How long a token lives when nobody says: a day.
pub const TOKEN_TTL_DEFAULT: Duration = Duration::from_secs(86_400);

/// The longest life of a token: 24 days. Whatever needs longer needs an app server that renews.
pub const TOKEN_TTL_MAX: Duration = Duration::from_secs(24 * 86_400);

/// What a token says; times are seconds since 1970.
#[derive(Serialize)]
struct Claims<'a> {
    /// The user.
    sub: &'a str,
    /// The app's key.
    aud: &'a str,
    /// Issued then.
    iat: u64,
    /// Good until then.
    exp: u64,
}

/// Issues a token for `user` of the app with the key `app`, signed with its first HS256 secret. It is good from `now`
/// on for `ttl`, 1 s to [`TOKEN_TTL_MAX`].
///
/// # Errors
/// There is no such app, it has no secret to sign with, or `user` or `ttl` is out of bounds.
pub fn issue_token_of(
    apps: &[App],
    app: &str,
    user: &str,
    ttl: Duration,
    now: SystemTime,
) -> Result<String, DevelopmentError> {
    if !(Duration::from_secs(1)..=TOKEN_TTL_MAX).contains(&ttl) {
        return Err(DevelopmentError::Ttl);
    }
    let app = apps
        .iter()
        .find(|known| known.key == app)
        .ok_or_else(|| DevelopmentError::UnknownApp {
            app: app.to_owned(),
            known: apps
                .iter()
                .map(|app| format!("{:?}", app.key))
                .collect::<Vec<_>>()
                .join(", "),
        })?;
    UserId::parse(user, app.id_profile).map_err(|source| DevelopmentError::UserId {
        user: user.to_owned(),
        source,
    })?;
    let signing = app.keys.iter().find_map(|key| match &key.algorithm {
        TokenAlgorithm::Hs256 { secret } => Some((key.id.clone(), secret)),
        TokenAlgorithm::EdDsa { .. } => None,
    });
    let (key_id, secret) = signing.ok_or_else(|| DevelopmentError::CannotSign { app: app.key.clone() })?;

    let iat = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let claims = Claims {
        sub: user,
        aud: &app.key,
        iat,
        exp: iat + ttl.as_secs(),
    };
    let mut header = Header::new(Algorithm::HS256);
    header.kid = key_id;
    jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(secret.expose()))
        .map_err(|error| DevelopmentError::Sign(error.to_string()))
}
