//! The server API: its keys, and what it takes to let it leave loopback.

use super::*;
use crate::config::{ApiScope, ApiSignature};

/// What is wrong with a key of the app in [`APP`].
fn key_problems(key: &str) -> Vec<String> {
    problems(&complete("").replace(APP, &format!("{APP}[[apps.api_keys]]\n{key}\n")))
}

/// A configuration that serves the API at `address`, signed with `secret`.
fn serving(address: &str, api: &str, secret: &str) -> String {
    format!(
        "[listen]\ntls = \"off\"\nquic = \"off\"\napi = \"{address}\"\n[api]\n{api}\n{APP}[[apps.api_keys]]\nsecret = \"{secret}\"\n"
    )
}

const LONG: &str = "0123456789abcdef0123456789abcdeX";

#[test]
fn a_key_is_good_for_everything_unless_something_is_said() {
    let text = complete("").replace(APP, &format!("{APP}[[apps.api_keys]]\nsecret = \"y0icysjl4h3LWz\"\n"));
    let keys = &loaded_whole(&text).apps[0].api_keys;
    assert_eq!((keys.len(), &*keys[0].id, keys[0].rate), (1, "", Rate::PerSecond(100)));
    assert_eq!(
        (&*keys[0].scopes, &*keys[0].signatures),
        (&ApiScope::ALL[..], &ApiSignature::ALL[..])
    );
    assert_eq!(keys[0].secret.expose(), b"y0icysjl4h3LWz");

    let said = "id = \"ops\"\nsecret = \"12345678\"\nscopes = [\"room\", \"word\"]\nrate = \"unlimited\"\nsignatures = [\"hmac\"]\n";
    let text = complete("").replace(APP, &format!("{APP}[[apps.api_keys]]\n{said}"));
    let key = &loaded_whole(&text).apps[0].api_keys[0];
    assert_eq!((&*key.id, key.rate), ("ops", Rate::Unlimited));
    assert_eq!(
        (&*key.scopes, &*key.signatures),
        (&[ApiScope::Room, ApiScope::Word][..], &[ApiSignature::Hmac][..])
    );
    assert!(loaded(&complete("")[..0]).apps[0].api_keys.is_empty());
}

#[test]
fn a_key_that_makes_no_sense_is_told_with_its_line() {
    for (key, expected) in [
        ("", "apps.api_keys.secret: missing, expected text of 8 to 1024 bytes"),
        (
            "secret = \"1234567\"",
            "apps.api_keys.secret: found 7 bytes, expected text of 8 to 1024 bytes",
        ),
        (
            "secret = \"12345678\"\nsecret_file = \"x\"",
            "apps.api_keys.secret_file: found next to secret",
        ),
        (
            "secret_file = \"nowhere\"",
            "apps.api_keys.secret_file: nowhere cannot be read",
        ),
        (
            "secret = \"12345678\"\nscopes = [\"rooms\"]",
            "apps.api_keys.scopes: found [\"rooms\"]",
        ),
        (
            "secret = \"12345678\"\nsignatures = [\"md5\"]",
            "apps.api_keys.signatures: found [\"md5\"]",
        ),
        ("secret = \"12345678\"\nrate = 0", "apps.api_keys.rate: found 0"),
        ("secret = \"12345678\"\nid = \"a b\"", "apps.api_keys.id: found \"a b\""),
        ("secret = \"12345678\"\nname = \"a\"", "unknown key \"name\""),
        (
            "secret = \"12345678\"\n[[apps.api_keys]]\nsecret = \"87654321\"",
            "apps.api_keys.id: another key of this app has it already",
        ),
    ] {
        let found = key_problems(key);
        let [found] = &found[..] else {
            panic!("{key:?}: {found:?}")
        };
        assert!(found.contains(expected) && found.starts_with("sluice.toml:"), "{found}");
    }
    assert!(key_problems(&"secret = \"12345678\"\nid = \"k\"\n[[apps.api_keys]]\n".repeat(17)).len() > 1);
}

#[test]
fn a_secret_is_for_one_key_alone() {
    let key = |secret: &str, id: &str| format!("[[apps.api_keys]]\nsecret = \"{secret}\"\nid = \"{id}\"\n");
    let other_app = APP
        .replace("key = \"", "key = \"other-")
        .replace("0123456789abcdef0", "X123456789abcdef0");
    let of_tokens = "0123456789abcdef0123456789abcdef";
    for (apps, expected) in [
        (format!("{APP}{}{}", key("12345678", "a"), key("12345679", "b")), 0),
        (format!("{APP}{}{}", key("12345678", "a"), key("12345678", "b")), 1),
        (
            format!("{APP}{}{other_app}{}", key("12345678", "a"), key("12345678", "a")),
            1,
        ),
        (format!("{APP}{}", key(of_tokens, "a")), 1),
        (
            format!("{APP}{}{other_app}{}", key("12345678", "a"), key(of_tokens, "a")),
            1,
        ),
    ] {
        let text = complete("").replace(APP, &apps);
        let found = load_text(&text, &[], &[]).map_or_else(|error| error.to_string(), |_| String::new());
        assert_eq!(
            found.matches("another key has it already (sluice.toml:").count(),
            expected,
            "{apps}: {found}"
        );
        assert_eq!(found.is_empty(), expected == 0, "{apps}: {found}");
        assert!(!found.contains("12345678"), "a secret is not shown: {found}");
    }
}

#[test]
fn the_server_api_leaves_loopback_over_tls_with_long_secrets_and_on_purpose() {
    for home in ["127.0.0.1:7482", "[::1]:7482", "[::ffff:127.0.0.1]:7482", "off"] {
        assert!(load_text(&serving(home, "", "12345678"), &[], &[]).is_ok(), "{home}");
    }
    for (api, secret, expected) in [
        ("", LONG, &["api.tls = true", "api.allow_public = true"][..]),
        ("allow_public = true", LONG, &["api.tls = true"]),
        ("tls = true", LONG, &["api.allow_public = true", "tls.certificate"]),
        (
            "allow_public = true",
            "y0icysjl4h3LWz",
            &["api.tls = true", "found 14 bytes, expected at least 32"],
        ),
    ] {
        for address in ["0.0.0.0:7482", "[::]:7482", "192.0.2.1:7482"] {
            let found = problems(&serving(address, api, secret));
            assert_eq!(found.len(), expected.len(), "{found:?}");
            for (found, expected) in found.iter().zip(expected) {
                assert!(found.contains(expected), "{found}");
            }
        }
    }
    // All it lacks now is a certificate.
    let found = problems(&serving("0.0.0.0:7482", "tls = true\nallow_public = true", LONG));
    assert!(found.len() == 1 && found[0].contains("tls.certificate: "), "{found:?}");
}

#[test]
fn the_server_api_has_a_port_of_its_own() {
    let text = format!("[listen]\ntls = \"off\"\nquic = \"off\"\napi = \"127.0.0.1:7480\"\n{APP}");
    let found = problems(&text);
    assert!(
        found.len() == 1 && found[0].contains("listen.api: found 127.0.0.1:7480, which listen.http"),
        "{found:?}"
    );
}
