//! Signatures of calls: who asks, and how that is proved.
//!
//! Two kinds. The vendor's libraries hash secret, nonce and time, once for the life of their process: nothing else is covered, and
//! nothing can be asked of nonce and time. Ours covers the whole call, is good for some minutes, and each nonce once.
//!
//! Whoever is not known is answered like whoever signs wrongly, after the same work: which apps there are is nobody's business.

use std::fmt::Write as _;

use aws_lc_rs::{constant_time, digest, hmac};
use hyper::HeaderMap;
use sluice_protocol::limits;

use crate::api::failure::{Code, Failure};
use crate::api::nonces::Nonce;
use crate::config::{ApiKey, ApiSignature};

/// How far the time of a call may lie before or behind ours: a window of ten minutes.
pub(super) const CLOCKS_DIFFER_MAX_MS: i64 = 5 * 60 * 1000;

/// Shortest and longest nonce of our kind of signature.
const NONCE_BYTES: std::ops::RangeInclusive<usize> = 8..=64;

/// Longest header that is looked at; a signature of 32 bytes has 64 digits.
const HEADER_BYTES_MAX: usize = 64;

/// Below, a time is in seconds; above, in milliseconds: they meet in the year 5138 and in 1973.
const SECONDS_BELOW: i64 = 100_000_000_000;

/// What our kind of signature is called in the header `Signature-Method`.
pub(super) const HMAC: &str = "HMAC-SHA256";

/// The headers that say who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    pub app_key: String,
    /// `None`: any key of the app.
    pub key_id: Option<String>,
    nonce: String,
    /// As it was sent: it is signed as text.
    timestamp: String,
    signature: Vec<u8>,
    pub kind: ApiSignature,
}

/// What is signed besides the headers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signed<'a> {
    pub method: &'a str,
    /// Without what follows a question mark, which nobody reads.
    pub path: &'a str,
    pub body: &'a [u8],
}

/// The answer to everybody who does not prove who asks.
pub(super) fn refused() -> Failure {
    Failure::new(
        Code::SIGNATURE,
        "the signature is wrong, or the app or its key is not known",
    )
}

impl Claim {
    /// Reads the headers, by their names or with `RC-` before them.
    ///
    /// # Errors
    /// 1001 when there is no app key that could be one, 1004 when something else is missing or cannot be right.
    pub(super) fn read(headers: &HeaderMap) -> Result<Self, Failure> {
        let header = |name: &str| {
            let value = headers.get(name).or_else(|| headers.get(format!("rc-{name}")))?;
            value.to_str().ok().filter(|value| value.len() <= HEADER_BYTES_MAX)
        };
        let needed = |name: &str| {
            let missing = || Failure::new(Code::SIGNATURE, format!("the header {name} is missing or too long"));
            header(name).map(str::to_owned).ok_or_else(missing)
        };
        let app_key = header("app-key").filter(|key| (1..=limits::APP_KEY_BYTES).contains(&key.len()));
        let app_key =
            app_key.ok_or_else(|| Failure::new(Code::APP_KEY, "the header App-Key is missing or too long"))?;
        let kind = match header("signature-method") {
            None if headers.contains_key("signature-method") => return Err(unknown_method()),
            None => ApiSignature::Sha1,
            Some(method) if method.eq_ignore_ascii_case(HMAC) => ApiSignature::Hmac,
            Some(_) => return Err(unknown_method()),
        };
        let claim = Self {
            app_key: app_key.to_owned(),
            key_id: header("key-id").map(str::to_owned),
            nonce: needed("nonce")?,
            timestamp: needed("timestamp")?,
            signature: unhex(&needed("signature")?).ok_or_else(refused)?,
            kind,
        };
        if kind == ApiSignature::Hmac && !NONCE_BYTES.contains(&claim.nonce.len()) {
            let (min, max) = (NONCE_BYTES.start(), NONCE_BYTES.end());
            return Err(Failure::new(
                Code::SIGNATURE,
                format!("the nonce must have {min} to {max} characters"),
            ));
        }
        Ok(claim)
    }

    /// Which of the keys it is signed with. Looks at all of them, whichever it is.
    pub(super) fn signer(&self, keys: &[ApiKey], signed: Signed<'_>) -> Option<usize> {
        let text = match self.kind {
            ApiSignature::Sha1 => format!("{}{}", self.nonce, self.timestamp),
            ApiSignature::Hmac => {
                let body = hex(digest::digest(&digest::SHA256, signed.body).as_ref());
                let (method, path) = (signed.method, signed.path);
                format!("{method}\n{path}\n{}\n{}\n{body}", self.timestamp, self.nonce)
            }
        };
        let mut signer = None;
        for (place, key) in keys.iter().enumerate() {
            let fits = match self.kind {
                ApiSignature::Sha1 => {
                    let hash = sha1(key.secret.expose(), &text);
                    constant_time::verify_slices_are_equal(hash.as_ref(), &self.signature).is_ok()
                }
                ApiSignature::Hmac => {
                    let secret = hmac::Key::new(hmac::HMAC_SHA256, key.secret.expose());
                    hmac::verify(&secret, text.as_bytes(), &self.signature).is_ok()
                }
            };
            let meant = self.key_id.as_ref().is_none_or(|id| *id == key.id);
            if fits && meant && key.signatures.contains(&self.kind) {
                signer = Some(place);
            }
        }
        signer
    }

    /// When a call of our kind is too old, in milliseconds since 1970.
    ///
    /// # Errors
    /// When it is, or is too far ahead, or has no time.
    pub(super) fn end_ms(&self, now_ms: i64) -> Result<i64, Failure> {
        let digits = self.timestamp.bytes().all(|byte| byte.is_ascii_digit());
        let time: Option<i64> = self.timestamp.parse().ok().filter(|_| digits);
        let time_ms = time.map(|time| if time < SECONDS_BELOW { time * 1000 } else { time });
        let near = time_ms.filter(|time_ms| now_ms.abs_diff(*time_ms) <= CLOCKS_DIFFER_MAX_MS.unsigned_abs());
        let message = "the time of the call is more than five minutes from ours";
        near.map(|time_ms| time_ms + CLOCKS_DIFFER_MAX_MS)
            .ok_or_else(|| Failure::new(Code::SIGNATURE, message))
    }

    /// The nonce as it is remembered.
    pub(super) fn nonce(&self) -> Nonce {
        let hash = digest::digest(&digest::SHA256, self.nonce.as_bytes());
        let mut nonce = Nonce::default();
        let bytes = nonce.len();
        nonce.copy_from_slice(&hash.as_ref()[..bytes]);
        nonce
    }
}

fn unknown_method() -> Failure {
    Failure::new(Code::SIGNATURE, "the header Signature-Method may only be HMAC-SHA256")
}

fn sha1(secret: &[u8], text: &str) -> digest::Digest {
    let mut hash = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(secret);
    hash.update(text.as_bytes());
    hash.finish()
}

/// The vendor's kind of signature, as its libraries make it.
pub(crate) fn sign_sha1(secret: &[u8], nonce: &str, timestamp: &str) -> String {
    hex(sha1(secret, &format!("{nonce}{timestamp}")).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a String takes everything");
    }
    text
}

/// Hexadecimal digits of either case; `None` for anything else.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text
        .bytes()
        .map(|byte| char::from(byte).to_digit(16))
        .collect::<Option<Vec<u32>>>()?;
    if digits.is_empty() || !digits.len().is_multiple_of(2) {
        return None;
    }
    digits
        .chunks_exact(2)
        .map(|pair| u8::try_from(pair[0] * 16 + pair[1]).ok())
        .collect()
}

#[cfg(test)]
#[path = "signature/tests.rs"]
mod tests;
