//! The rules of a login, apart from other sessions of the same user.

use std::sync::Arc;
use std::time::Duration;

use sluice_protocol::{ErrorCode, Login, Platform, RoomId, SUPPORTED_VERSIONS, UserId, limits};

use crate::clock::Now;
use crate::config::{AppState, Config};
use crate::identity::{AppIndex, User};
use crate::refusal::Refusal;
use crate::session::apps::{Apps, ReadyApp};
use crate::session::papers::ResumeSecret;
use crate::store::Entry;

/// A login whose form and token are good.
#[derive(Debug, Clone)]
pub(crate) struct Accepted {
    pub user: Arc<User>,
    pub platform: Platform,
    pub device_id: Box<str>,
    pub package_name: Box<str>,
    pub sdk: Box<str>,
    /// For a login by a library that reconnects: when the session it lost had begun.
    pub resumes_session_of_ms: Option<i64>,
    pub started_at_ms: i64,
    pub token_expires: Now,
    /// The client reads datagrams.
    pub datagrams: bool,
    /// The session it wants to go on with.
    pub resume: Option<Box<Resume>>,
}

/// A session that a client wants to go on with.
#[derive(Debug, Clone)]
pub(crate) struct Resume {
    pub secret: ResumeSecret,
    /// Rooms of which the client knows the newest message it got, and that message's number.
    pub known: Vec<(RoomId, u64)>,
}

/// Checks a login: version, app, form, package, token, in this order.
///
/// # Errors
/// The code that the client gets; most of them end the connection.
pub(crate) fn check(login: Login, apps: &Apps, now: Now, config: &Config) -> Result<Accepted, Refusal> {
    if !SUPPORTED_VERSIONS.contains(&login.protocol_version) {
        let range = format!("{}-{}", SUPPORTED_VERSIONS.start(), SUPPORTED_VERSIONS.end());
        return Err(Refusal {
            detail: range.into(),
            ..Refusal::new(ErrorCode::PROTOCOL_VERSION)
        });
    }
    let (app_index, app) = find_app(&login.app_key, apps)?;
    let platform = login.platform();
    let user_id = UserId::parse(&login.user_id, app.settings.id_profile).map_err(|_| Refusal::parameter("user_id"))?;
    for (field, text, bytes_max) in [
        ("user_name", &login.user_name, limits::USER_NAME_BYTES),
        ("token", &login.token, limits::TOKEN_BYTES),
        ("device_id", &login.device_id, limits::DEVICE_ID_BYTES),
        ("package_name", &login.package_name, limits::PACKAGE_NAME_BYTES),
        ("sdk", &login.sdk, limits::SDK_BYTES),
    ] {
        if text.len() > bytes_max {
            return Err(Refusal::parameter(field));
        }
    }
    let resume = resume(&login)?;
    if !app.settings.packages.is_empty() && !app.settings.packages.contains(&login.package_name) {
        return Err(Refusal::new(ErrorCode::BUNDLE_ID_INVALID));
    }
    let token_expires = check_token(&login.token, &user_id, app, now, config)?;
    Ok(Accepted {
        user: Arc::new(User {
            app: app_index,
            id: user_id,
            name: login.user_name.into(),
        }),
        platform,
        device_id: login.device_id.into(),
        package_name: login.package_name.into(),
        sdk: login.sdk.into(),
        resumes_session_of_ms: login.automatic.then_some(login.previous_session_started_at_ms),
        started_at_ms: now.unix_ms,
        token_expires,
        datagrams: login.datagrams,
        resume,
    })
}

/// # Errors
/// 33003 with the field that has not the form it must have.
fn resume(login: &Login) -> Result<Option<Box<Resume>>, Refusal> {
    if login.resume_secret.is_empty() {
        return Ok(None);
    }
    let secret = ResumeSecret::parse(&login.resume_secret).ok_or(Refusal::parameter("resume_secret"))?;
    if login.resume_rooms.len() > limits::ROOMS_PER_SESSION {
        return Err(Refusal::parameter("resume_rooms"));
    }
    if login.resume_sequences.len() != login.resume_rooms.len() {
        return Err(Refusal::parameter("resume_sequences"));
    }
    let rooms = login.resume_rooms.iter().zip(&login.resume_sequences);
    let known = rooms.map(|(room, sequence)| Ok((RoomId::parse(room)?, *sequence)));
    let known = known.collect::<Result<_, sluice_protocol::InvalidId>>();
    let known = known.map_err(|_| Refusal::parameter("resume_rooms"))?;
    Ok(Some(Box::new(Resume { secret, known })))
}

/// What a user hears that the app's server has put out, while that holds.
pub(crate) fn blocked(entry: &Entry, now: Now) -> Option<Refusal> {
    let left = match entry.until_ms {
        Some(until_ms) => {
            let left = u64::try_from(until_ms.saturating_sub(now.unix_ms)).unwrap_or(0);
            (left > 0).then(|| Duration::from_millis(left))?
        }
        // As long as can be told: nobody is to try again at once.
        None => Duration::MAX,
    };
    Some(Refusal {
        code: ErrorCode::USER_BLOCKED,
        detail: entry.until_ms.unwrap_or(0).to_string().into(),
        retry_after: left,
    })
}

/// Checks that a token is good and belongs to `user_id`. Returns when it ends.
///
/// # Errors
/// 31004 or 31005.
pub(crate) fn check_token(
    token: &str,
    user_id: &UserId,
    app: &ReadyApp,
    now: Now,
    config: &Config,
) -> Result<Now, Refusal> {
    let verified = app.verifier.verify(token, now, config.tokens.leeway)?;
    if verified.user_id != user_id.as_str() {
        return Err(Refusal::with_detail(ErrorCode::APP_KEY_TOKEN_MISMATCH, "user"));
    }
    Ok(verified.expires)
}

fn find_app<'a>(key: &str, apps: &'a Apps) -> Result<(AppIndex, &'a ReadyApp), Refusal> {
    if key.is_empty() || key.len() > limits::APP_KEY_BYTES {
        return Err(Refusal::parameter("app_key"));
    }
    let (index, app) = apps.by_key(key).ok_or(Refusal::new(ErrorCode::APP_KEY_INVALID))?;
    match app.settings.state {
        AppState::Enabled => Ok((index, app)),
        AppState::Blocked => Err(Refusal::new(ErrorCode::APP_BLOCKED_OR_DELETED)),
        AppState::ServiceDisabled => Err(Refusal::with_detail(
            ErrorCode::APP_BLOCKED_OR_DELETED,
            "service_disabled",
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::{Duration, Instant};

    use jsonwebtoken::{EncodingKey, Header};
    use serde_json::json;
    use sluice_protocol::IdProfile;

    use super::*;
    use crate::config::{App, Secret, TokenAlgorithm, TokenKey};

    const SECRET: &[u8] = b"a secret of at least thirty-two bytes";

    fn app(key: &str) -> App {
        App {
            keys: vec![TokenKey {
                id: None,
                algorithm: TokenAlgorithm::Hs256 {
                    secret: Secret::new(SECRET),
                },
            }],
            ..App::new(key)
        }
    }

    fn config() -> Config {
        let mut config = Config::defaults(Path::new("data"));
        config.apps = vec![
            app("shop"),
            App {
                state: AppState::Blocked,
                ..app("blocked")
            },
            App {
                state: AppState::ServiceDisabled,
                ..app("disabled")
            },
            App {
                packages: vec!["com.example.chat".into()],
                ..app("listed")
            },
            App {
                id_profile: IdProfile::Wide,
                ..app("wide")
            },
        ];
        config
    }

    fn now() -> Now {
        Now {
            instant: Instant::now(),
            unix_ms: 1_800_000_000_000,
        }
    }

    fn token(app: &str, user: &str) -> String {
        let claims = json!({"sub": user, "aud": app, "exp": 1_800_000_100});
        jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET)).unwrap()
    }

    fn login(app: &str, user: &str) -> Login {
        Login {
            protocol_version: 1,
            app_key: app.into(),
            user_id: user.into(),
            token: token(app, user),
            ..Login::default()
        }
    }

    fn check_now(login: Login) -> Result<Accepted, (i32, String)> {
        let config = config();
        let apps = Apps::new(&config).unwrap();
        check(login, &apps, now(), &config).map_err(|refusal| (refusal.code.number(), refusal.detail.into_owned()))
    }

    fn refused_as(login: Login) -> (i32, String) {
        check_now(login).expect_err("to be refused")
    }

    #[test]
    fn a_good_login_is_taken_with_all_it_says() {
        let login = Login {
            user_name: "Alice".into(),
            platform: Platform::Ios.into(),
            device_id: "phone".into(),
            package_name: "com.example.chat".into(),
            sdk: "sluice-rs/0.1".into(),
            ..login("shop", "alice")
        };
        let accepted = check_now(login).unwrap();
        assert_eq!(accepted.user.id.as_str(), "alice");
        assert_eq!(&*accepted.user.name, "Alice");
        assert_eq!(accepted.platform, Platform::Ios);
        assert_eq!(&*accepted.device_id, "phone");
        assert_eq!(&*accepted.package_name, "com.example.chat");
        assert_eq!(&*accepted.sdk, "sluice-rs/0.1");
        assert_eq!(accepted.started_at_ms, now().unix_ms);
        assert_eq!(accepted.token_expires.unix_ms, 1_800_000_100_000);
        assert_eq!(accepted.resumes_session_of_ms, None);
    }

    #[test]
    fn the_time_of_a_lost_session_counts_for_an_automatic_login_only() {
        let by_hand = Login {
            previous_session_started_at_ms: 7,
            ..login("shop", "alice")
        };
        assert_eq!(check_now(by_hand.clone()).unwrap().resumes_session_of_ms, None);
        let automatic = Login {
            automatic: true,
            ..by_hand
        };
        assert_eq!(check_now(automatic).unwrap().resumes_session_of_ms, Some(7));
    }

    #[test]
    fn what_is_said_of_a_lost_session_counts_only_with_its_secret() {
        let rooms = |rooms: &[&str], sequences: &[u64]| Login {
            resume_rooms: rooms.iter().map(|room| (*room).into()).collect(),
            resume_sequences: sequences.to_vec(),
            ..login("shop", "alice")
        };
        assert!(check_now(rooms(&["no room"], &[1, 2])).unwrap().resume.is_none());
        let with_secret = |login: Login| Login {
            resume_secret: "0123456789abcdefABCDEF0123456789".into(),
            ..login
        };
        let resume = check_now(with_secret(rooms(&["lobby", "hall"], &[7, 0])))
            .unwrap()
            .resume;
        let resume = resume.expect("a session to go on with");
        assert_eq!(resume.secret.to_text(), "0123456789abcdefabcdef0123456789");
        let known: Vec<_> = resume
            .known
            .iter()
            .map(|(room, sequence)| (room.as_str(), *sequence))
            .collect();
        assert_eq!(known, [("lobby", 7), ("hall", 0)]);

        let most = vec!["lobby"; limits::ROOMS_PER_SESSION + 1];
        let sequences = vec![0; limits::ROOMS_PER_SESSION + 1];
        assert!(check_now(with_secret(rooms(&most[1..], &sequences[1..]))).is_ok());
        for (login, field) in [
            (with_secret(rooms(&most, &sequences)), "resume_rooms"),
            (with_secret(rooms(&["lobby"], &[])), "resume_sequences"),
            (with_secret(rooms(&[], &[1])), "resume_sequences"),
            (with_secret(rooms(&["lobby", ""], &[1, 1])), "resume_rooms"),
        ] {
            assert_eq!(refused_as(login), (33003, field.into()));
        }
        let no_secret = Login {
            resume_secret: "short".into(),
            ..login("shop", "alice")
        };
        assert_eq!(refused_as(no_secret), (33003, "resume_secret".into()));
    }

    #[test]
    fn a_blocked_user_hears_until_when_to_the_millisecond() {
        let blocked_until = |until_ms| {
            let entry = Entry {
                until_ms,
                ..Entry::default()
            };
            blocked(&entry, now())
        };
        let until_ms = now().unix_ms + 1;
        let refusal = blocked_until(Some(until_ms)).expect("a block");
        assert_eq!(refusal.code, ErrorCode::USER_BLOCKED);
        assert_eq!(refusal.detail, until_ms.to_string());
        assert_eq!(refusal.retry_after, Duration::from_millis(1));
        assert_eq!(blocked_until(Some(now().unix_ms)), None);
        // Nobody tries again at once where there is no end.
        let refusal = blocked_until(None).expect("a block");
        assert_eq!((&*refusal.detail, refusal.retry_after_ms()), ("0", u32::MAX));
    }

    #[test]
    fn an_unheard_of_platform_counts_as_other() {
        let login = Login {
            platform: 99,
            ..login("shop", "alice")
        };
        assert_eq!(check_now(login).unwrap().platform, Platform::Other);
    }

    /// One thing after the other is mended; each time the next in the order is told.
    #[test]
    fn of_several_faults_the_first_in_the_order_of_the_checks_is_told() {
        let mut bad = Login {
            protocol_version: 2,
            app_key: "a".repeat(65),
            user_id: "no spaces please".into(),
            user_name: "n".repeat(257),
            token: "t".repeat(2049),
            device_id: "d".repeat(65),
            package_name: "p".repeat(129),
            sdk: "s".repeat(65),
            ..Login::default()
        };
        let mut told = Vec::new();
        let mends: [fn(&mut Login); 12] = [
            |login| login.protocol_version = 1,
            |login| login.app_key = "unknown".into(),
            |login| login.app_key = "listed".into(),
            |login| login.user_id = "alice".into(),
            |login| login.user_name = "n".repeat(256),
            |login| login.token = "t".repeat(2048),
            |login| login.device_id = "d".repeat(64),
            |login| login.package_name = "p".repeat(128),
            |login| login.sdk = "s".repeat(64),
            |login| login.package_name = "com.example.chat".into(),
            |login| login.token = token("listed", "bob"),
            |login| login.token = token("listed", "alice"),
        ];
        for mend in mends {
            told.push(refused_as(bad.clone()));
            mend(&mut bad);
        }
        let told: Vec<_> = told.iter().map(|(code, detail)| (*code, detail.as_str())).collect();
        assert_eq!(
            told,
            [
                (31001, "1-1"),
                (33003, "app_key"),
                (31002, ""),
                (33003, "user_id"),
                (33003, "user_name"),
                (33003, "token"),
                (33003, "device_id"),
                (33003, "package_name"),
                (33003, "sdk"),
                (31007, ""),
                (31004, "malformed"),
                (31005, "user"),
            ]
        );
        check_now(bad).expect("nothing is left to mend");
    }

    #[test]
    fn an_app_that_is_not_to_be_used_is_told_before_anything_about_the_user() {
        for (app, detail) in [("blocked", ""), ("disabled", "service_disabled")] {
            let login = Login {
                user_id: String::new(),
                token: String::new(),
                ..login(app, "alice")
            };
            assert_eq!(refused_as(login), (31008, detail.into()), "{app}");
        }
    }

    #[test]
    fn versions_below_and_above_the_range_are_refused_with_the_range() {
        for version in [0, 2, u32::MAX] {
            let login = Login {
                protocol_version: version,
                ..login("shop", "alice")
            };
            assert_eq!(refused_as(login), (31001, "1-1".into()), "{version}");
        }
    }

    #[test]
    fn an_empty_app_key_is_a_wrong_parameter() {
        assert_eq!(refused_as(login("", "alice")), (33003, "app_key".into()));
    }

    #[test]
    fn user_ids_follow_the_profile_of_their_app() {
        let longest = "u".repeat(32);
        assert!(check_now(login("shop", &longest)).is_ok());
        for bad in ["", "a b", "ж", "a/b", "a\n", &"u".repeat(33)] {
            assert_eq!(refused_as(login("shop", bad)), (33003, "user_id".into()), "{bad:?}");
        }
        for good in ["Жанна", "a b", &"ж".repeat(64)] {
            assert!(check_now(login("wide", good)).is_ok(), "{good:?}");
        }
        for bad in ["", "a\u{7}", &"ж".repeat(65)] {
            assert_eq!(refused_as(login("wide", bad)), (33003, "user_id".into()), "{bad:?}");
        }
    }

    #[test]
    fn a_token_of_another_app_is_told_from_one_of_another_user() {
        let of_another_app = Login {
            token: token("wide", "alice"),
            ..login("shop", "alice")
        };
        assert_eq!(refused_as(of_another_app), (31005, "app".into()));
        let of_another_user = Login {
            token: token("shop", "bob"),
            ..login("shop", "alice")
        };
        assert_eq!(refused_as(of_another_user), (31005, "user".into()));
    }

    #[test]
    fn a_token_is_checked_against_the_clock_that_is_passed_in() {
        let config = config();
        let apps = Apps::new(&config).unwrap();
        let good = || login("shop", "alice");
        let just_before = Now {
            unix_ms: 1_800_000_099_999,
            ..now()
        };
        assert!(check(good(), &apps, just_before, &config).is_ok());
        let refusal = check(good(), &apps, just_before + Duration::from_millis(1), &config).unwrap_err();
        assert_eq!((refusal.code.number(), &*refusal.detail), (31004, "expired"));
    }
}
