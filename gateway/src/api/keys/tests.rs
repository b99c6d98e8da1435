use std::path::Path;
use std::time::Instant;

use hyper::HeaderMap;

use super::*;
use crate::api::signature::sign_sha1;
use crate::config::{Config, Rate};

const SECRET: &str = "a secret of the app's server";

const CALL: Signed<'static> = Signed {
    method: "POST",
    path: "/user/block",
    body: b"",
};

/// The door of a gateway with the app "shop".
struct Door {
    apps: Apps,
    keys: Keys,
    start: Now,
}

impl Door {
    fn new(change: impl FnOnce(&mut App)) -> Self {
        let mut app = App::new("shop");
        app.api_keys = vec![ApiKey::new(Secret::new(SECRET))];
        change(&mut app);
        let mut config = Config::defaults(Path::new("nowhere"));
        config.apps = vec![App::new("other"), app];
        let start = Now {
            instant: Instant::now(),
            unix_ms: 1_795_259_670_000,
        };
        Self {
            apps: Apps::new(&config).expect("no public keys"),
            keys: Keys::new(&config.apps, start),
            start,
        }
    }

    fn admit(&self, ms: u64, claim: &Claim) -> Result<Signer, Failure> {
        self.ask(ms, claim).map_err(|turned_away| turned_away.failure)
    }

    fn ask(&self, ms: u64, claim: &Claim) -> Result<Signer, TurnedAway> {
        self.keys
            .admit(&self.apps, claim, CALL, self.start + Duration::from_millis(ms))
    }
}

fn claim(pairs: &[(&'static str, &str)]) -> Claim {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.insert(*name, value.parse().expect("a value"));
    }
    Claim::read(&headers).expect("a claim")
}

fn sha1(app: &str, secret: &str) -> Claim {
    let signature = sign_sha1(secret.as_bytes(), "1", "2");
    claim(&[
        ("app-key", app),
        ("nonce", "1"),
        ("timestamp", "2"),
        ("signature", &signature),
    ])
}

fn hmac(door: &Door, nonce: &str) -> Claim {
    hmac_at(door, nonce, 0)
}

/// Signed so many milliseconds after the start.
fn hmac_at(door: &Door, nonce: &str, ms: i64) -> Claim {
    let timestamp = (door.start.unix_ms + ms).to_string();
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let text = format!("POST\n/user/block\n{timestamp}\n{nonce}\n{empty}");
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, SECRET.as_bytes());
    let tag = aws_lc_rs::hmac::sign(&key, text.as_bytes());
    let signature: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    claim(&[
        ("app-key", "shop"),
        ("nonce", nonce),
        ("timestamp", &timestamp),
        ("signature-method", "HMAC-SHA256"),
        ("signature", &signature),
    ])
}

fn code(result: Result<Signer, Failure>) -> Result<usize, Code> {
    result.map(|signer| signer.key).map_err(|failure| failure.code)
}

#[test]
fn an_app_that_is_not_there_and_a_wrong_secret_are_answered_alike() {
    let door = Door::new(|_| ());
    let wrong = door
        .admit(0, &sha1("shop", "another secret"))
        .expect_err("a wrong secret");
    assert_eq!(wrong.code, Code::SIGNATURE);
    for claim in [
        sha1("nobody", SECRET),
        // It is there, but has no key.
        sha1("other", SECRET),
        // What unknown apps are compared with lets nobody in.
        sha1("nobody", "nobody signs with this"),
    ] {
        assert_eq!(door.admit(0, &claim), Err(wrong.clone()));
    }
    let signer = Signer {
        app: AppIndex(1),
        key: 0,
    };
    assert_eq!(door.admit(0, &sha1("shop", SECRET)), Ok(signer));
}

#[test]
fn only_who_has_the_secret_learns_that_an_app_is_locked() {
    for state in [AppState::Blocked, AppState::ServiceDisabled] {
        let door = Door::new(|app| app.state = state);
        assert_eq!(code(door.admit(0, &sha1("shop", SECRET))), Err(Code::LOCKED));
        assert_eq!(code(door.admit(0, &sha1("shop", "wrong secret"))), Err(Code::SIGNATURE));
    }
}

#[test]
fn a_key_makes_so_many_calls_in_any_second() {
    let door = Door::new(|app| {
        let mut second = ApiKey::new(Secret::new("a second secret"));
        second.id = "second".to_owned();
        app.api_keys.push(second);
        app.api_keys[0].rate = Rate::PerSecond(2);
    });
    let claim = sha1("shop", SECRET);
    assert_eq!(code(door.admit(0, &claim)), Ok(0));
    assert_eq!(code(door.admit(400, &claim)), Ok(0));
    let refused = door.admit(600, &claim).expect_err("the third");
    assert_eq!(
        (refused.code, refused.retry_after),
        (Code::RATE, Duration::from_millis(400))
    );
    // Another key has calls of its own.
    assert_eq!(code(door.admit(600, &sha1("shop", "a second secret"))), Ok(1));
    assert_eq!(code(door.admit(1000, &claim)), Ok(0));
}

#[test]
fn a_call_signed_as_a_whole_is_good_once_and_not_for_long() {
    let door = Door::new(|_| ());
    assert_eq!(code(door.admit(0, &hmac(&door, "nonce-01"))), Ok(0));
    assert_eq!(code(door.admit(0, &hmac(&door, "nonce-01"))), Err(Code::SIGNATURE));
    assert_eq!(
        code(door.admit(300_000, &hmac(&door, "nonce-01"))),
        Err(Code::SIGNATURE)
    );
    assert_eq!(code(door.admit(300_000, &hmac(&door, "nonce-02"))), Ok(0));
    assert_eq!(
        code(door.admit(300_001, &hmac(&door, "nonce-03"))),
        Err(Code::SIGNATURE)
    );
    // The vendor's kind is good as often as one likes.
    for _ in 0..3 {
        assert_eq!(code(door.admit(0, &sha1("shop", SECRET))), Ok(0));
    }
}

#[test]
fn a_call_beyond_the_rate_may_be_made_again_with_its_nonce_and_a_repeated_one_costs_no_place() {
    let door = Door::new(|app| app.api_keys[0].rate = Rate::PerSecond(2));
    assert_eq!(code(door.admit(0, &hmac(&door, "nonce-01"))), Ok(0));
    assert_eq!(code(door.admit(0, &hmac(&door, "nonce-01"))), Err(Code::SIGNATURE));
    assert_eq!(code(door.admit(0, &hmac(&door, "nonce-02"))), Ok(0));
    assert_eq!(code(door.admit(0, &hmac(&door, "nonce-03"))), Err(Code::RATE));
    assert_eq!(code(door.admit(1000, &hmac(&door, "nonce-03"))), Ok(0));
}

#[test]
fn a_call_signed_as_a_whole_is_not_good_again_while_its_time_runs_out() {
    let door = Door::new(|_| ());
    assert_eq!(code(door.admit(0, &hmac(&door, "nonce-01"))), Ok(0));
    // Another call has it forgotten; somebody whose clock was read before that comes with it once more.
    assert_eq!(code(door.admit(300_001, &hmac_at(&door, "nonce-02", 300_000))), Ok(0));
    assert_eq!(
        code(door.admit(299_999, &hmac(&door, "nonce-01"))),
        Err(Code::SIGNATURE)
    );
}

#[test]
fn a_call_signed_as_a_whole_before_the_start_is_not_taken_since_it_may_have_been_used_then() {
    let door = Door::new(|_| ());
    assert_eq!(
        code(door.admit(0, &hmac_at(&door, "nonce-01", -1))),
        Err(Code::SIGNATURE)
    );
    assert_eq!(code(door.admit(0, &hmac_at(&door, "nonce-01", 0))), Ok(0));
    assert_eq!(code(door.admit(0, &hmac_at(&door, "nonce-02", 240_000))), Ok(0));
}

#[test]
fn who_is_turned_away_is_named_where_it_is_proved_and_once_a_second() {
    let door = Door::new(|app| {
        app.api_keys[0].rate = Rate::PerSecond(1);
        app.api_keys.push(ApiKey::new(Secret::new("a second secret")));
        app.api_keys[1].rate = Rate::PerSecond(1);
    });
    let named = |ms, claim: &Claim| {
        let TurnedAway { failure, signer } = door.ask(ms, claim).expect_err("turned away");
        (failure.code, signer.map(|signer| signer.key))
    };
    let (first, second) = (sha1("shop", SECRET), sha1("shop", "a second secret"));
    assert_eq!(code(door.admit(0, &first)), Ok(0));
    assert_eq!(named(0, &first), (Code::RATE, Some(0)));
    for _ in 0..100 {
        assert_eq!(named(999, &first), (Code::RATE, None));
    }
    assert_eq!(code(door.admit(999, &second)), Ok(1));
    assert_eq!(named(999, &second), (Code::RATE, Some(1)), "of each key");
    assert_eq!(named(999, &sha1("shop", "wrong secret")), (Code::SIGNATURE, None));
    let used = hmac_at(&door, "nonce-01", 1000);
    assert_eq!(code(door.admit(1000, &used)), Ok(0));
    assert_eq!(
        named(5000, &used),
        (Code::SIGNATURE, None),
        "somebody who saw it may repeat it"
    );

    let locked = Door::new(|app| app.state = AppState::Blocked);
    let TurnedAway { failure, signer } = locked.ask(0, &first).expect_err("turned away");
    assert_eq!((failure.code, signer.is_some()), (Code::LOCKED, true));
}
