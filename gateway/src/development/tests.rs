use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use jsonwebtoken::{Algorithm, DecodingKey, Validation};

use super::*;
use crate::config::{App, Secret, TokenAlgorithm, TokenKey};

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

/// A folder that is gone when the test is.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sluice-development-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn app(algorithm: TokenAlgorithm) -> App {
    App {
        keys: vec![TokenKey {
            id: Some("first".into()),
            algorithm,
        }],
        ..App::new("demo")
    }
}

fn signing_app() -> App {
    app(TokenAlgorithm::Hs256 {
        secret: Secret::new(SECRET),
    })
}

#[test]
fn the_app_is_made_once_and_only_its_owner_can_read_it() {
    let folder = Folder::new("app");
    let first = configuration(&folder.0).expect("made");
    let second = configuration(&folder.0).expect("kept");
    let secret = |config: &Config| match &config.apps[0].keys[0].algorithm {
        TokenAlgorithm::Hs256 { secret } => secret.clone(),
        TokenAlgorithm::EdDsa { .. } => panic!("a secret"),
    };
    assert_eq!(first.apps[0].key, APP);
    assert_eq!(secret(&first), secret(&second));
    assert_eq!(secret(&first).expose().len(), 64);
    for (file, mode) in [("app-dev.toml", 0o600), ("key.pem", 0o600), ("certificate.pem", 0o644)] {
        let permissions = fs::metadata(folder.0.join(file)).expect("there").permissions();
        assert_eq!(permissions.mode() & 0o777, mode & 0o777, "{file}");
    }
    let files = fs::read_dir(&folder.0).expect("a folder").count();
    assert_eq!(files, 3, "nothing unfinished is left behind");
}

#[test]
fn two_folders_have_two_secrets() {
    let (one, other) = (Folder::new("one"), Folder::new("other"));
    configuration(&one.0).expect("made");
    configuration(&other.0).expect("made");
    let read = |folder: &Folder| fs::read_to_string(folder.0.join("app-dev.toml")).expect("there");
    assert_ne!(read(&one), read(&other));
}

#[test]
fn a_token_names_user_and_app_and_lives_as_long_as_asked() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000);
    let token = issue_token_of(&[signing_app()], "demo", "alice", Duration::from_secs(90), now).expect("a token");
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_audience(&["demo"]);
    let key = DecodingKey::from_secret(SECRET);
    let token = jsonwebtoken::decode::<serde_json::Value>(&token, &key, &validation).expect("valid");
    assert_eq!(token.header.kid.as_deref(), Some("first"));
    let expected =
        serde_json::json!({ "sub": "alice", "aud": "demo", "iat": 4_000_000_000_u64, "exp": 4_000_000_090_u64 });
    assert_eq!(token.claims, expected);
}

#[test]
fn a_token_that_could_never_work_is_not_issued() {
    let public = app(TokenAlgorithm::EdDsa {
        public_key_pem: String::new(),
    });
    let day = TOKEN_TTL_DEFAULT;
    for (app, key, user, ttl, expected) in [
        (
            signing_app(),
            "dmo",
            "alice",
            day,
            "there is no app \"dmo\"; there is \"demo\"",
        ),
        (
            signing_app(),
            "demo",
            "a b",
            day,
            "the user id \"a b\" has a character that is not allowed",
        ),
        (signing_app(), "demo", "", day, "the user id \"\" must not be empty"),
        (
            signing_app(),
            "demo",
            "alice",
            Duration::ZERO,
            "a token lives from 1 s to 24 days",
        ),
        (
            signing_app(),
            "demo",
            "alice",
            Duration::from_secs(25 * 86_400),
            "a token lives from 1 s to 24 days",
        ),
        (
            public,
            "demo",
            "alice",
            day,
            "the app \"demo\" has no HS256 secret: its tokens can only come from its app server",
        ),
    ] {
        let error = issue_token_of(&[app], key, user, ttl, SystemTime::now()).expect_err("an error");
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn a_folder_no_gateway_has_run_in_says_so() {
    let folder = Folder::new("empty");
    let error = issue_token(&folder.0, APP, "alice", TOKEN_TTL_DEFAULT)
        .expect_err("an error")
        .to_string();
    assert!(
        error.contains("app-dev.toml is missing: start the gateway in development mode first"),
        "{error}"
    );
    assert!(!folder.0.exists(), "asking for a token makes nothing");
}
