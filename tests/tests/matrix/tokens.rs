//! Tokens that the server API has issued, altered in every place, carried to another app, and kept too long.
//!
//! What is wrong with tokens of other makers is tried in `session::token`, where there is no socket.

use std::time::Duration;

use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;
use sluice_gateway::config::{Config, Secret, TokenAlgorithm};
use sluice_protocol::frame::Body;
use sluice_protocol::{Login, Ping, RenewToken, Reply};
use sluice_tests::{APP_KEY, ApiCall, Gateway, RawClient, Transport, unix_ms, wait_until};

use super::{OTHER, THIRD, ask, three_apps};

/// Fewer than this would not be a suite.
const CASES_MIN: usize = 60;

fn many_guesses(config: &mut Config) {
    three_apps(config);
    config.connections.failed_logins_per_minute = 100_000;
    // The third app has a secret of its own, the other one the same as the app of the tests.
    config.apps[2].keys[0].algorithm = TokenAlgorithm::Hs256 {
        secret: Secret::new("the token secret of the third app, 32"),
    };
}

async fn issued(gateway: &Gateway, user: &str) -> String {
    let answer = ask(gateway, "/user/getToken.json", &[("userId", user)]).await;
    answer["token"].as_str().expect("a token").to_owned()
}

/// Logs in on a connection of its own.
async fn log_in(gateway: &Gateway, app: &str, user: &str, token: &str) -> Reply {
    let mut client = RawClient::connect(gateway, Transport::Tcp).await;
    let login = Login {
        app_key: app.to_owned(),
        token: token.to_owned(),
        ..client.login_command(user)
    };
    client.call(1, Body::Login(login)).await
}

/// The token with another character in one place. The last character of each part is left out: some of its bits are in no byte, and are
/// looked at below.
fn altered(token: &str) -> Vec<String> {
    let is_last = |place: usize| matches!(token.as_bytes().get(place + 1), None | Some(b'.'));
    let places = (0..token.len()).filter(|place| !is_last(*place));
    let with = |place: usize| {
        let instead = match token.as_bytes()[place] {
            b'A' => "B",
            b'.' => "-",
            _ => "A",
        };
        let mut token = token.to_owned();
        token.replace_range(place..=place, instead);
        token
    };
    places.map(with).collect()
}

/// What else can be done to a good token by somebody who has not its secret.
fn forged(token: &str) -> Vec<String> {
    let [header, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else {
        panic!("three parts: {token}")
    };
    // {"alg":"none"}, {"alg":"HS512","typ":"JWT"}, {"alg":"EdDSA","typ":"JWT"}
    let headers = [
        "eyJhbGciOiJub25lIn0",
        "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9",
        "eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCJ9",
    ];
    let with_headers = headers
        .iter()
        .flat_map(|header| [format!("{header}.{claims}."), format!("{header}.{claims}.{signature}")]);
    let other_bits = signature.chars().last().map(|last| {
        // The two bits that are in no byte of the signature.
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let place = alphabet.find(last).expect("of the alphabet");
        let other = &alphabet[place ^ 1..=place ^ 1];
        format!("{header}.{claims}.{}{other}", &signature[..signature.len() - 1])
    });
    let shapes = [
        String::new(),
        ".".repeat(3),
        format!("{header}.{claims}"),
        format!("{header}.{claims}."),
        format!(".{claims}.{signature}"),
        format!("{header}..{signature}"),
        format!("{claims}.{header}.{signature}"),
        format!("{header}.{claims}.{header}"),
        format!("{header}.{claims}.{signature}.{signature}"),
        format!("{header}.{claims}.{signature}="),
        format!("{token} "),
        format!(" {token}"),
        format!("{token}\n"),
        format!("Bearer {token}"),
        format!("{token}\0"),
        token.to_ascii_lowercase(),
        token.to_ascii_uppercase(),
        token.replace('.', "%2E"),
        token.repeat(2),
        token[..token.len() / 2].to_owned(),
    ];
    let names = ["an API secret of 32 bytes or more", APP_KEY, "", "a guess"];
    let signed = names.map(|secret| {
        let claims = json!({ "sub": "alice", "aud": APP_KEY, "exp": unix_ms() / 1000 + 3600 });
        jsonwebtoken::encode(
            &Header::default(),
            &claims,
            &EncodingKey::from_secret(secret.as_bytes()),
        )
        .expect("claims")
    });
    shapes
        .into_iter()
        .chain(with_headers)
        .chain(other_bits)
        .chain(signed)
        .collect()
}

#[tokio::test]
async fn a_token_of_the_server_api_that_was_altered_anywhere_lets_nobody_in() {
    let gateway = Gateway::start(many_guesses);
    let token = issued(&gateway, "alice").await;
    assert_eq!(log_in(&gateway, APP_KEY, "alice", &token).await.code, 0);
    let (altered, forged) = (altered(&token), forged(&token));
    assert!(
        altered.len() + forged.len() >= CASES_MIN,
        "{} and {}",
        altered.len(),
        forged.len()
    );
    for wrong in altered.iter().chain(&forged) {
        let refused = log_in(&gateway, APP_KEY, "alice", wrong).await;
        let word = ["malformed", "bad_signature"].contains(&&*refused.detail);
        assert!(refused.code == 31004 && word, "{wrong:?}: {refused:?}");
        assert!(refused.result.is_none(), "{wrong:?}: {refused:?}");
    }
    assert_eq!(
        log_in(&gateway, APP_KEY, "alice", &token).await.code,
        0,
        "the good one is still good"
    );
}

#[tokio::test]
async fn a_token_of_the_server_api_is_for_its_user_and_its_app() {
    let gateway = Gateway::start(many_guesses);
    let token = issued(&gateway, "alice").await;
    let refused = |reply: Reply| (reply.code, reply.detail);
    for (app, user, code, detail) in [
        (APP_KEY, "bob", 31005, "user"),
        (APP_KEY, "Alice", 31005, "user"),
        (OTHER, "alice", 31005, "app"),
        (THIRD, "alice", 31004, "bad_signature"),
    ] {
        let reply = log_in(&gateway, app, user, &token).await;
        assert_eq!(refused(reply), (code, detail.to_owned()), "{app} {user}");
    }
    // It does not sign calls of the API either.
    let call = ApiCall::of(APP_KEY, &token, "/user/checkOnline.json", &[("userId", "alice")]);
    assert_eq!(call.send(gateway.api()).await.code(), 1004);
}

#[tokio::test]
async fn a_session_is_not_renewed_with_a_token_that_is_wrong_and_goes_on_with_the_one_it_has() {
    let gateway = Gateway::start(many_guesses);
    let token = issued(&gateway, "alice").await;
    let of_bob = issued(&gateway, "bob").await;
    for wrong in forged(&token).into_iter().chain([of_bob]) {
        // Each on its own connection: a session may try a few in a second.
        let mut client = RawClient::online(&gateway, Transport::Tcp, "alice").await;
        let renewal = RenewToken { token: wrong.clone() };
        let reply = client.call(2, Body::RenewToken(renewal)).await;
        assert!([31004, 31005].contains(&reply.code), "{wrong:?}: {reply:?}");
        assert_eq!(client.call(3, Body::Ping(Ping {})).await.code, 0, "{wrong:?}");
    }
    let mut client = RawClient::online(&gateway, Transport::Tcp, "alice").await;
    let good = client.call(2, Body::RenewToken(RenewToken { token })).await;
    assert_eq!(good.code, 0, "{good:?}");
}

#[tokio::test]
async fn a_token_of_the_server_api_ends_when_the_app_says() {
    let gateway = Gateway::start(|config| {
        many_guesses(config);
        config.apps[0].token_lifetime = Duration::from_secs(2);
    });
    let token = issued(&gateway, "alice").await;
    assert_eq!(log_in(&gateway, APP_KEY, "alice", &token).await.code, 0);
    let mut last = Reply::default();
    wait_until("the token has ended", async || {
        last = log_in(&gateway, APP_KEY, "alice", &token).await;
        last.code != 0
    })
    .await;
    assert_eq!((last.code, &*last.detail), (31004, "expired"));
    assert_eq!(
        log_in(&gateway, APP_KEY, "alice", &token).await.code,
        31004,
        "and stays so"
    );
}
