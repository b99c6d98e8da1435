//! Tokens: what makes one good.
//!
//! A token is a JSON Web Token signed by the app's server. The algorithm comes from the app's key, never from the token.

use std::fmt;
use std::time::Duration;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use sluice_protocol::ErrorCode;

use crate::clock::Now;
use crate::config::{App, TokenAlgorithm};
use crate::refusal::Refusal;

/// A public key of the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("app {app}: the public key is not an Ed25519 key in PEM: {cause}")]
pub struct TokenKeyError {
    app: String,
    cause: jsonwebtoken::errors::Error,
}

/// Verifies the tokens of one app.
pub(crate) struct Verifier {
    audience: String,
    keys: Vec<Key>,
}

struct Key {
    id: Option<String>,
    key: DecodingKey,
    validation: Validation,
}

/// What a good token says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Verified {
    pub user_id: String,
    pub expires: Now,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    aud: Audience,
    exp: u64,
    iat: Option<u64>,
    nbf: Option<u64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// A token that is said to live longer is treated as if it ended then; a clock that far ahead cannot be computed with.
const LIFETIME_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

const MALFORMED: Refusal = Refusal::with_detail(ErrorCode::TOKEN_INVALID, "malformed");
const BAD_SIGNATURE: Refusal = Refusal::with_detail(ErrorCode::TOKEN_INVALID, "bad_signature");
const EXPIRED: Refusal = Refusal::with_detail(ErrorCode::TOKEN_INVALID, "expired");
const NOT_YET_VALID: Refusal = Refusal::with_detail(ErrorCode::TOKEN_INVALID, "not_yet_valid");
const OTHER_APP: Refusal = Refusal::with_detail(ErrorCode::APP_KEY_TOKEN_MISMATCH, "app");

impl Verifier {
    /// Prepares the keys of `app`.
    ///
    /// # Errors
    /// When a public key cannot be read.
    pub(crate) fn new(app: &App) -> Result<Self, TokenKeyError> {
        let keys = app.keys.iter().map(|key| {
            let (algorithm, decoding) = match &key.algorithm {
                TokenAlgorithm::Hs256 { secret } => (Algorithm::HS256, Ok(DecodingKey::from_secret(secret.expose()))),
                TokenAlgorithm::EdDsa { public_key_pem } => {
                    (Algorithm::EdDSA, DecodingKey::from_ed_pem(public_key_pem.as_bytes()))
                }
            };
            let mut validation = Validation::new(algorithm);
            // Times and audience are checked below, against the caller's clock and with codes of their own.
            validation.validate_exp = false;
            validation.validate_aud = false;
            validation.required_spec_claims.clear();
            let decoding = decoding.map_err(|cause| TokenKeyError {
                app: app.key.clone(),
                cause,
            })?;
            Ok(Key {
                id: key.id.clone(),
                key: decoding,
                validation,
            })
        });
        Ok(Self {
            audience: app.key.clone(),
            keys: keys.collect::<Result<_, _>>()?,
        })
    }

    /// Checks form, signature, audience and times, in this order. The end of a token is exact; `leeway` forgives clocks that differ
    /// about its beginning.
    ///
    /// # Errors
    /// 31004 with its detail, or 31005 when the token is good but for another app.
    pub(crate) fn verify(&self, token: &str, now: Now, leeway: Duration) -> Result<Verified, Refusal> {
        let header = decode_header(token).map_err(|_| MALFORMED)?;
        let claims = self.claims(token, header.kid.as_deref())?;
        let for_this_app = match &claims.aud {
            Audience::One(audience) => *audience == self.audience,
            Audience::Several(audiences) => audiences.contains(&self.audience),
        };
        if !for_this_app {
            return Err(OTHER_APP);
        }
        let unix = Duration::from_millis(u64::try_from(now.unix_ms).unwrap_or(0));
        let left = Duration::from_secs(claims.exp).saturating_sub(unix);
        if left.is_zero() {
            return Err(EXPIRED);
        }
        let begins = claims.nbf.max(claims.iat).map_or(Duration::ZERO, Duration::from_secs);
        if begins > unix + leeway {
            return Err(NOT_YET_VALID);
        }
        Ok(Verified {
            user_id: claims.sub,
            expires: now + left.min(LIFETIME_MAX),
        })
    }

    fn claims(&self, token: &str, key_id: Option<&str>) -> Result<Claims, Refusal> {
        let mut refusal = BAD_SIGNATURE;
        // A token that names its key is only tried with that one.
        for key in self
            .keys
            .iter()
            .filter(|key| key_id.is_none() || key.id.as_deref() == key_id)
        {
            match decode::<Claims>(token, &key.key, &key.validation) {
                Ok(data) => return Ok(data.claims),
                Err(error) => match error.kind() {
                    ErrorKind::InvalidSignature | ErrorKind::InvalidAlgorithm => {}
                    _ => refusal = MALFORMED,
                },
            }
        }
        Err(refusal)
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("audience", &self.audience)
            .field("keys", &self.keys.len())
            .finish()
    }
}
