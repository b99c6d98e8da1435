//! How to call the server API of the development app by hand.

use crate::api::sign_sha1;
use crate::config::{ApiSignature, App};

/// The headers that sign any call of the app with the first key that takes the vendor's signature, which is good for ever; `None` when
/// there is no such key.
#[must_use]
pub fn api_headers(app: &App) -> Option<[(&'static str, String); 4]> {
    let takes_sha1 = |signatures: &[ApiSignature]| signatures.contains(&ApiSignature::Sha1);
    let key = app.api_keys.iter().find(|key| takes_sha1(&key.signatures))?;
    let (nonce, timestamp) = ("1", "1");
    Some([
        ("App-Key", app.key.clone()),
        ("Nonce", nonce.to_owned()),
        ("Timestamp", timestamp.to_owned()),
        ("Signature", sign_sha1(key.secret.expose(), nonce, timestamp)),
    ])
}
