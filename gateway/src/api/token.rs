//! Tokens for users, signed with the app's own secret: what an app's server could do by itself, for those that ask a vendor for it.

use std::time::SystemTime;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

use crate::api::failure::{Code, Failure};
use crate::config::{App, TokenAlgorithm};

/// What a token says; times are seconds since 1970.
#[derive(Debug, Serialize)]
struct Claims<'a> {
    sub: &'a str,
    aud: &'a str,
    iat: u64,
    exp: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

/// A token for `user`, good from `now` on for as long as the app's settings say.
///
/// # Errors
/// 1009 when the app has no secret to sign with.
pub(super) fn issue(app: &App, user: &str, name: Option<&str>, now: SystemTime) -> Result<String, Failure> {
    let signing = app.keys.iter().find_map(|key| match &key.algorithm {
        TokenAlgorithm::Hs256 { secret } => Some((key.id.clone(), secret)),
        TokenAlgorithm::EdDsa { .. } => None,
    });
    let message = "the app has no HS256 key: its tokens come from its own server alone";
    let (key_id, secret) = signing.ok_or_else(|| Failure::new(Code::NOT_ENABLED, message))?;
    let iat = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let claims = Claims {
        sub: user,
        aud: &app.key,
        iat,
        exp: iat + app.token_lifetime.as_secs(),
        name,
    };
    let mut header = Header::new(Algorithm::HS256);
    header.kid = key_id;
    jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(secret.expose())).map_err(|error| {
        tracing::error!(%error, "a token cannot be signed");
        Failure::new(Code::INTERNAL, "the token cannot be signed")
    })
}
