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

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use jsonwebtoken::{EncodingKey, crypto};
    use serde_json::{Value, json};

    use super::*;
    use crate::config::{Secret, TokenKey};

    const SECRET: &[u8] = b"a secret of at least thirty-two bytes";
    const NOW_S: u64 = 1_800_000_000;
    const LEEWAY: Duration = Duration::from_secs(30);

    /// A pair of Ed25519 keys, PEM.
    struct Pair {
        private: String,
        public: String,
    }

    impl Pair {
        fn new() -> Self {
            let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
            Self {
                private: pair.serialize_pem(),
                public: pair.public_key_pem(),
            }
        }

        fn signer(&self) -> EncodingKey {
            EncodingKey::from_ed_pem(self.private.as_bytes()).unwrap()
        }

        fn key(&self, id: Option<&str>) -> TokenKey {
            TokenKey {
                id: id.map(str::to_owned),
                algorithm: TokenAlgorithm::EdDsa {
                    public_key_pem: self.public.clone(),
                },
            }
        }
    }

    fn secret_key(id: Option<&str>, secret: &[u8]) -> TokenKey {
        TokenKey {
            id: id.map(str::to_owned),
            algorithm: TokenAlgorithm::Hs256 {
                secret: Secret::new(secret),
            },
        }
    }

    fn verifier(keys: Vec<TokenKey>) -> Verifier {
        Verifier::new(&App {
            keys,
            ..App::new("shop")
        })
        .unwrap()
    }

    fn now() -> Now {
        Now {
            instant: Instant::now(),
            unix_ms: i64::try_from(NOW_S).unwrap() * 1000,
        }
    }

    fn base64(bytes: impl AsRef<[u8]>) -> String {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut text = String::new();
        for group in bytes.as_ref().chunks(3) {
            let bits = group
                .iter()
                .chain([0; 2].iter())
                .take(3)
                .fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
            for digit in 0..=group.len() {
                text.push(char::from(ALPHABET[bits >> (18 - 6 * digit) & 63]));
            }
        }
        text
    }

    fn signed(header: &Value, claims: &str, key: &EncodingKey, algorithm: Algorithm) -> String {
        let message = format!("{}.{}", base64(header.to_string()), base64(claims));
        let signature = crypto::sign(message.as_bytes(), key, algorithm).unwrap();
        format!("{message}.{signature}")
    }

    fn hs256(claims: &Value) -> String {
        hs256_text(&claims.to_string())
    }

    fn hs256_text(claims: &str) -> String {
        let header = json!({"alg": "HS256", "typ": "JWT"});
        signed(&header, claims, &EncodingKey::from_secret(SECRET), Algorithm::HS256)
    }

    fn good_claims() -> Value {
        json!({"sub": "alice", "aud": "shop", "iat": NOW_S - 10, "exp": NOW_S + 3600})
    }

    fn with(name: &str, value: Value) -> String {
        let mut claims = good_claims();
        claims[name] = value;
        hs256(&claims)
    }

    fn without(name: &str) -> String {
        let mut claims = good_claims();
        claims.as_object_mut().unwrap().remove(name);
        hs256(&claims)
    }

    fn refused_as(verifier: &Verifier, token: &str) -> (i32, String) {
        match verifier.verify(token, now(), LEEWAY) {
            Ok(verified) => panic!("taken: {verified:?}"),
            Err(refusal) => (refusal.code.number(), refusal.detail.into_owned()),
        }
    }

    #[test]
    fn a_good_token_names_its_user_and_its_end() {
        let now = now();
        let verified = verifier(vec![secret_key(None, SECRET)])
            .verify(&hs256(&good_claims()), now, LEEWAY)
            .unwrap();
        assert_eq!(verified.user_id, "alice");
        assert_eq!(verified.expires, now + Duration::from_secs(3600));
    }

    #[test]
    fn tokens_of_every_allowed_shape_are_taken() {
        let pair = Pair::new();
        let eddsa = signed(
            &json!({"alg": "EdDSA"}),
            &good_claims().to_string(),
            &pair.signer(),
            Algorithm::EdDSA,
        );
        let named = |id: &str, secret: &[u8]| {
            signed(
                &json!({"alg": "HS256", "kid": id}),
                &good_claims().to_string(),
                &EncodingKey::from_secret(secret),
                Algorithm::HS256,
            )
        };
        let hs = || secret_key(None, SECRET);
        let other = b"another secret, of thirty-two bytes too";
        for (what, keys, token) in [
            ("HS256", vec![hs()], hs256(&good_claims())),
            ("EdDSA", vec![pair.key(None)], eddsa.clone()),
            ("the second of two keys", vec![hs(), pair.key(None)], eddsa.clone()),
            (
                "the first of two keys",
                vec![pair.key(Some("ed")), hs()],
                hs256(&good_claims()),
            ),
            (
                "a named key",
                vec![secret_key(Some("old"), SECRET), secret_key(Some("new"), other)],
                named("new", other),
            ),
            (
                "the other named key",
                vec![secret_key(Some("old"), SECRET), secret_key(Some("new"), other)],
                named("old", SECRET),
            ),
            ("no kid though the key has one", vec![pair.key(Some("ed"))], eddsa),
            ("several audiences", vec![hs()], with("aud", json!(["desk", "shop"]))),
            ("no iat", vec![hs()], without("iat")),
            ("an iat within the leeway", vec![hs()], with("iat", json!(NOW_S + 30))),
            ("an nbf within the leeway", vec![hs()], with("nbf", json!(NOW_S + 30))),
            ("a second left", vec![hs()], with("exp", json!(NOW_S + 1))),
            (
                "claims of the app's own",
                vec![hs()],
                with("role", json!({"admin": true})),
            ),
        ] {
            let verified = verifier(keys).verify(&token, now(), LEEWAY);
            assert_eq!(
                verified.map(|verified| verified.user_id),
                Ok("alice".to_owned()),
                "{what}"
            );
        }
    }

    #[test]
    fn every_kind_of_bad_token_is_refused_with_its_own_word() {
        const MALFORMED: (i32, &str) = (31004, "malformed");
        const BAD_SIGNATURE: (i32, &str) = (31004, "bad_signature");
        const EXPIRED: (i32, &str) = (31004, "expired");
        const NOT_YET_VALID: (i32, &str) = (31004, "not_yet_valid");
        const OTHER_APP: (i32, &str) = (31005, "app");

        let verifier = verifier(vec![secret_key(None, SECRET)]);
        let good = hs256(&good_claims());
        let [header, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else {
            panic!("three parts")
        };
        let key = EncodingKey::from_secret(SECRET);
        let claims = good_claims().to_string();
        let of_algorithm = |name: &str| signed(&json!({"alg": name}), &claims, &key, Algorithm::HS256);
        let other_payload = base64(json!({"sub": "bob", "aud": "shop", "exp": NOW_S + 3600}).to_string());
        let mut other_signature = signature.to_owned();
        let first = if signature.starts_with('A') { "B" } else { "A" };
        other_signature.replace_range(..1, first);

        for (what, token, expected) in [
            ("empty", String::new(), MALFORMED),
            ("one dot", ".".into(), MALFORMED),
            ("only dots", "..".into(), MALFORMED),
            ("many dots", ".".repeat(2048), MALFORMED),
            ("a word", "token".into(), MALFORMED),
            ("no base64", "§.§.§".into(), MALFORMED),
            ("NUL bytes", "\0.\0.\0".into(), MALFORMED),
            ("two parts", format!("{header}.{payload}"), MALFORMED),
            ("four parts", format!("{good}.{signature}"), MALFORMED),
            ("a space in front", format!(" {good}"), MALFORMED),
            (
                "a header that is no JSON",
                format!("{}.{payload}.{signature}", base64("{")),
                MALFORMED,
            ),
            (
                "a header that is a list",
                format!("{}.{payload}.{signature}", base64("[]")),
                MALFORMED,
            ),
            (
                "no algorithm",
                format!("{}.{payload}.{signature}", base64("{}")),
                MALFORMED,
            ),
            (
                "alg none and no signature",
                format!("{}.{payload}.", base64(r#"{"alg":"none"}"#)),
                MALFORMED,
            ),
            ("alg none with a signature", of_algorithm("none"), MALFORMED),
            ("alg NONE", of_algorithm("NONE"), MALFORMED),
            ("an unheard-of algorithm", of_algorithm("HS1"), MALFORMED),
            (
                "HS512 where the key is HS256",
                signed(&json!({"alg": "HS512"}), &claims, &key, Algorithm::HS512),
                BAD_SIGNATURE,
            ),
            ("HS384 in the header alone", of_algorithm("HS384"), BAD_SIGNATURE),
            ("RS256 in the header", of_algorithm("RS256"), BAD_SIGNATURE),
            ("ES256 in the header", of_algorithm("ES256"), BAD_SIGNATURE),
            ("EdDSA in the header", of_algorithm("EdDSA"), BAD_SIGNATURE),
            (
                "another payload",
                format!("{header}.{other_payload}.{signature}"),
                BAD_SIGNATURE,
            ),
            (
                "another header",
                format!("{}.{payload}.{signature}", base64(r#"{"alg":"HS256"}"#)),
                BAD_SIGNATURE,
            ),
            (
                "another signature",
                format!("{header}.{payload}.{other_signature}"),
                BAD_SIGNATURE,
            ),
            ("no signature", format!("{header}.{payload}."), BAD_SIGNATURE),
            (
                "half the signature",
                format!("{header}.{payload}.{}", &signature[..20]),
                BAD_SIGNATURE,
            ),
            (
                "another secret",
                signed(
                    &json!({"alg": "HS256"}),
                    &claims,
                    &EncodingKey::from_secret(b"guessed"),
                    Algorithm::HS256,
                ),
                BAD_SIGNATURE,
            ),
            (
                "the empty secret",
                signed(
                    &json!({"alg": "HS256"}),
                    &claims,
                    &EncodingKey::from_secret(b""),
                    Algorithm::HS256,
                ),
                BAD_SIGNATURE,
            ),
            (
                "a kid nobody has",
                signed(&json!({"alg": "HS256", "kid": "x"}), &claims, &key, Algorithm::HS256),
                BAD_SIGNATURE,
            ),
            (
                "a kid that is a number",
                signed(&json!({"alg": "HS256", "kid": 7}), &claims, &key, Algorithm::HS256),
                MALFORMED,
            ),
            (
                "a kid like a path",
                signed(
                    &json!({"alg": "HS256", "kid": "../../dev/null"}),
                    &claims,
                    &key,
                    Algorithm::HS256,
                ),
                BAD_SIGNATURE,
            ),
            ("claims that are no JSON", hs256_text("alice"), MALFORMED),
            ("claims cut off", hs256_text(&claims[..claims.len() - 1]), MALFORMED),
            ("claims that are a string", hs256_text("\"alice\""), MALFORMED),
            ("claims that are null", hs256_text("null"), MALFORMED),
            ("no claims", hs256_text("{}"), MALFORMED),
            ("empty claims", hs256_text(""), MALFORMED),
            (
                "claims nested deep",
                hs256_text(&format!("{}{}", "[".repeat(600), "]".repeat(600))),
                MALFORMED,
            ),
            ("no subject", without("sub"), MALFORMED),
            ("a subject that is a number", with("sub", json!(7)), MALFORMED),
            ("a subject that is null", with("sub", Value::Null), MALFORMED),
            ("no audience", without("aud"), MALFORMED),
            ("an audience that is a number", with("aud", json!(7)), MALFORMED),
            ("no end", without("exp"), MALFORMED),
            ("an end in words", with("exp", json!("tomorrow")), MALFORMED),
            ("a negative end", with("exp", json!(-1)), MALFORMED),
            (
                "an end beyond 64 bits",
                hs256_text(&claims.replace(&(NOW_S + 3600).to_string(), "99999999999999999999999")),
                MALFORMED,
            ),
            (
                "an end beyond floating point",
                hs256_text(&claims.replace(&(NOW_S + 3600).to_string(), "1e999")),
                MALFORMED,
            ),
            ("a beginning in words", with("nbf", json!("soon")), MALFORMED),
            ("a birth in words", with("iat", json!("once")), MALFORMED),
            ("another audience", with("aud", json!("desk")), OTHER_APP),
            ("an audience that begins alike", with("aud", json!("shop2")), OTHER_APP),
            ("an audience in capitals", with("aud", json!("SHOP")), OTHER_APP),
            ("other audiences", with("aud", json!(["desk", "till"])), OTHER_APP),
            ("an empty list of audiences", with("aud", json!([])), OTHER_APP),
            ("expired at this very moment", with("exp", json!(NOW_S)), EXPIRED),
            (
                "expired a second ago, leeway or not",
                with("exp", json!(NOW_S - 1)),
                EXPIRED,
            ),
            ("expired in 1970", with("exp", json!(0)), EXPIRED),
            (
                "a birth beyond the leeway",
                with("iat", json!(NOW_S + 31)),
                NOT_YET_VALID,
            ),
            (
                "a beginning beyond the leeway",
                with("nbf", json!(NOW_S + 31)),
                NOT_YET_VALID,
            ),
            (
                "a beginning as far as numbers go",
                with("nbf", json!(u64::MAX)),
                NOT_YET_VALID,
            ),
        ] {
            let (code, detail) = refused_as(&verifier, &token);
            assert_eq!((code, detail.as_str()), expected, "{what}");
        }
    }

    #[test]
    fn a_token_signed_with_the_text_of_the_public_key_is_refused() {
        let pair = Pair::new();
        let verifier = verifier(vec![pair.key(None)]);
        let der = pair
            .public
            .lines()
            .filter(|line| !line.starts_with('-'))
            .collect::<String>();
        for secret in [
            pair.public.as_bytes(),
            pair.public.trim_end().as_bytes(),
            der.as_bytes(),
            b"",
        ] {
            let forged = signed(
                &json!({"alg": "HS256"}),
                &good_claims().to_string(),
                &EncodingKey::from_secret(secret),
                Algorithm::HS256,
            );
            assert_eq!(refused_as(&verifier, &forged), (31004, "bad_signature".into()));
        }
    }

    #[test]
    fn a_token_that_names_one_key_is_not_taken_with_another() {
        let other = b"another secret, of thirty-two bytes too";
        let verifier = verifier(vec![secret_key(Some("old"), SECRET), secret_key(Some("new"), other)]);
        let crossed = signed(
            &json!({"alg": "HS256", "kid": "new"}),
            &good_claims().to_string(),
            &EncodingKey::from_secret(SECRET),
            Algorithm::HS256,
        );
        assert_eq!(refused_as(&verifier, &crossed), (31004, "bad_signature".into()));
    }

    #[test]
    fn a_signature_of_another_pair_is_refused() {
        let forged = signed(
            &json!({"alg": "EdDSA"}),
            &good_claims().to_string(),
            &Pair::new().signer(),
            Algorithm::EdDSA,
        );
        let verifier = verifier(vec![Pair::new().key(None)]);
        assert_eq!(refused_as(&verifier, &forged), (31004, "bad_signature".into()));
    }

    #[test]
    fn a_token_that_never_ends_is_computed_with_all_the_same() {
        let now = now();
        let verified = verifier(vec![secret_key(None, SECRET)])
            .verify(&with("exp", json!(u64::MAX)), now, LEEWAY)
            .unwrap();
        assert_eq!(verified.expires, now + LIFETIME_MAX);
    }

    #[test]
    fn what_is_no_public_key_is_refused_when_the_app_is_prepared() {
        let app = App {
            keys: vec![TokenKey {
                id: None,
                algorithm: TokenAlgorithm::EdDsa {
                    public_key_pem: "no PEM".into(),
                },
            }],
            ..App::new("shop")
        };
        let error = Verifier::new(&app).unwrap_err();
        assert!(error.to_string().contains("app shop"), "{error}");
    }
}
