use hyper::header::{HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;
use crate::config::Secret;

/// What the vendor's library for Node.js sent with these, seen on the wire.
const VENDORS_SECRET: &str = "y0icysjl4h3LWz";
const VENDORS: [(&str, &str); 4] = [
    ("App-Key", "8luwapkvucoil"),
    ("Nonce", "8501426"),
    ("Timestamp", "1795259670"),
    ("Signature", "329db396eb1a86a03e0348bd7b159ca63340b5e2"),
];

/// Computed with Python's hmac and hashlib.
const OURS_SECRET: &str = "an API secret of 32 bytes or more";
const OURS: [(&str, &str); 5] = [
    ("App-Key", "test"),
    ("Nonce", "0123456789abcdef"),
    ("Timestamp", "1795259670123"),
    ("Signature-Method", "HMAC-SHA256"),
    (
        "Signature",
        "39911685e4a074b31fdc92100ea7f48efa4df394f1b74e024ebf46042cabf240",
    ),
];
const CALL: Signed<'static> = Signed {
    method: "POST",
    path: "/user/block.json",
    body: b"userId=alice&minute=10",
};

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        let name: HeaderName = name.parse().expect("a name");
        (name, HeaderValue::from_str(value).expect("a value"))
    };
    pairs.iter().map(pair).collect()
}

fn claim(pairs: &[(&str, &str)]) -> Claim {
    Claim::read(&headers(pairs)).expect("a claim")
}

fn with<'a>(pairs: &[(&'a str, &'a str)], name: &str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    pairs
        .iter()
        .map(|(other, old)| (*other, if *other == name { value } else { *old }))
        .collect()
}

fn key(id: &str, secret: &str) -> ApiKey {
    let mut key = ApiKey::new(Secret::new(secret));
    key.id = id.to_owned();
    key
}

#[test]
fn a_signature_seen_on_the_wire_is_good() {
    let keys = [key("", "another secret"), key("b", VENDORS_SECRET)];
    assert_eq!(claim(&VENDORS).signer(&keys, CALL), Some(1));
    // Nothing of the call is covered.
    let other = Signed {
        body: b"anything",
        ..CALL
    };
    assert_eq!(claim(&VENDORS).signer(&keys, other), Some(1));
    let upper = VENDORS[3].1.to_uppercase();
    assert_eq!(claim(&with(&VENDORS, "Signature", &upper)).signer(&keys, CALL), Some(1));
    let prefixed: Vec<(String, &str)> = VENDORS
        .iter()
        .map(|(name, value)| (format!("RC-{name}"), *value))
        .collect();
    let prefixed: Vec<(&str, &str)> = prefixed.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    assert_eq!(claim(&prefixed).signer(&keys, CALL), Some(1));
}

#[test]
fn what_was_changed_is_not_signed_any_more() {
    let keys = [key("", VENDORS_SECRET)];
    for (name, value) in [
        ("Nonce", "8501427"),
        ("Timestamp", "1795259671"),
        ("Signature", "329db396eb1a86a03e0348bd7b159ca63340b5e3"),
        ("Signature", "329db396"),
        (
            "Signature",
            "39911685e4a074b31fdc92100ea7f48efa4df394f1b74e024ebf46042cabf240",
        ),
    ] {
        assert_eq!(
            claim(&with(&VENDORS, name, value)).signer(&keys, CALL),
            None,
            "{name} {value}"
        );
    }

    let keys = [key("", OURS_SECRET)];
    assert_eq!(claim(&OURS).signer(&keys, CALL), Some(0));
    for (name, value) in [
        ("Nonce", "0123456789abcdee"),
        ("Timestamp", "1795259670124"),
        (
            "Signature",
            "39911685e4a074b31fdc92100ea7f48efa4df394f1b74e024ebf46042cabf241",
        ),
        ("Signature", "329db396eb1a86a03e0348bd7b159ca63340b5e2"),
    ] {
        assert_eq!(
            claim(&with(&OURS, name, value)).signer(&keys, CALL),
            None,
            "{name} {value}"
        );
    }
    for other in [
        Signed { method: "PUT", ..CALL },
        Signed {
            path: "/user/unblock.json",
            ..CALL
        },
        Signed {
            path: "/user/block",
            ..CALL
        },
        Signed {
            body: b"userId=alice&minute=11",
            ..CALL
        },
        Signed { body: b"", ..CALL },
    ] {
        assert_eq!(claim(&OURS).signer(&keys, other), None, "{other:?}");
    }
}

#[test]
fn a_key_that_is_named_or_does_not_take_a_signature_is_heeded() {
    let mut keys = [key("old", "another secret"), key("new", VENDORS_SECRET)];
    let mut named = VENDORS.to_vec();
    named.push(("Key-Id", "new"));
    assert_eq!(claim(&named).signer(&keys, CALL), Some(1));
    named[4].1 = "old";
    assert_eq!(claim(&named).signer(&keys, CALL), None);
    keys[1].signatures = vec![ApiSignature::Hmac];
    assert_eq!(claim(&VENDORS).signer(&keys, CALL), None);
}

#[test]
fn headers_that_are_missing_or_cannot_be_right_are_refused_before_any_key_is_looked_at() {
    let without = |name: &str| {
        let kept: Vec<_> = OURS.into_iter().filter(|(other, _)| *other != name).collect();
        Claim::read(&headers(&kept)).map_err(|failure| failure.code)
    };
    assert_eq!(without("App-Key"), Err(Code::APP_KEY));
    for name in ["Nonce", "Timestamp", "Signature"] {
        assert_eq!(without(name), Err(Code::SIGNATURE), "{name}");
    }
    let changed = |name, value| Claim::read(&headers(&with(&OURS, name, value))).map_err(|failure| failure.code);
    let long = "a".repeat(65);
    assert_eq!(changed("App-Key", ""), Err(Code::APP_KEY));
    assert_eq!(changed("App-Key", &long), Err(Code::APP_KEY));
    for (name, value) in [
        ("Nonce", "short"),
        ("Nonce", long.as_str()),
        ("Timestamp", &long),
        ("Signature", "xyz0"),
        ("Signature", "abc"),
        ("Signature", ""),
        ("Signature-Method", "HMAC-MD5"),
        ("Signature-Method", &long),
    ] {
        assert_eq!(changed(name, value), Err(Code::SIGNATURE), "{name} {value}");
    }
}

#[test]
fn a_call_is_good_for_five_minutes_around_its_time() {
    let at = 1_795_259_670_123;
    let end = |timestamp: &str, now_ms| claim(&with(&OURS, "Timestamp", timestamp)).end_ms(now_ms).ok();
    let text = at.to_string();
    assert_eq!(end(&text, at), Some(at + 300_000));
    assert_eq!(end(&text, at + 300_000), Some(at + 300_000));
    assert_eq!(end(&text, at + 300_001), None);
    assert_eq!(end(&text, at - 300_000), Some(at + 300_000));
    assert_eq!(end(&text, at - 300_001), None);
    // In seconds.
    assert_eq!(end("1795259670", at), Some(1_795_259_970_000));
    for wrong in [
        "",
        "-1",
        "+1795259670123",
        "1e12",
        "99999999999999999999",
        "1795259670123 ",
    ] {
        let mut claim = claim(&OURS);
        claim.timestamp = wrong.to_owned();
        assert_eq!(claim.end_ms(at).ok(), None, "{wrong:?}");
    }
}

proptest! {
    #[test]
    fn whatever_the_headers_say_nothing_panics_and_nobody_gets_in(
        values in prop::collection::vec("[ -~]{0,70}", 6),
        now: i64,
    ) {
        let names = ["app-key", "nonce", "timestamp", "signature", "signature-method", "key-id"];
        let pairs: Vec<(&str, &str)> = names.into_iter().zip(values.iter().map(String::as_str)).collect();
        for pairs in [&pairs[..], &pairs[..4]] {
            if let Ok(claim) = Claim::read(&headers(pairs)) {
                let _ = claim.end_ms(now);
                prop_assert_eq!(claim.signer(&[key("", VENDORS_SECRET)], CALL), None);
            }
        }
    }
}
