//! Users by the server API: tokens that let them in, blocks that keep them out, who is online.

use serde_json::{Value, json};
use sluice_gateway::config::{TokenAlgorithm, TokenKey};
use sluice_protocol::frame::Body;
use sluice_protocol::{Login, Reply};
use sluice_tests::{ApiCall, Gateway, RawClient, Transport, unix_ms, wait_until};

async fn call(gateway: &Gateway, path: &str, fields: &[(&str, &str)]) -> Value {
    ApiCall::new(path, fields).send(gateway.api()).await.json
}

async fn is_online(gateway: &Gateway, user: &str) -> Value {
    call(gateway, "/user/checkOnline.json", &[("userId", user)]).await["status"].clone()
}

/// What a login is answered.
async fn login(gateway: &Gateway, transport: Transport, login: Login) -> Reply {
    let mut client = RawClient::connect(gateway, transport).await;
    client.call(1, Body::Login(login)).await
}

#[tokio::test]
async fn a_token_of_the_server_api_lets_its_user_in_and_nobody_else() {
    let gateway = Gateway::start(|_| ());
    let fields = [
        ("userId", "alice"),
        ("name", "Alice"),
        ("portraitUri", "http://example.com/a.png"),
    ];
    let answer = call(&gateway, "/user/getToken.json", &fields).await;
    assert_eq!((&answer["code"], &answer["userId"]), (&json!(200), &json!("alice")));
    let token = answer["token"].as_str().expect("a token").to_owned();

    let with_token = |user: &str| Login {
        token: token.clone(),
        ..Login {
            user_id: user.to_owned(),
            ..gateway.login_command("alice")
        }
    };
    assert_eq!(login(&gateway, Transport::Tcp, with_token("alice")).await.code, 0);
    let refused = login(&gateway, Transport::Tcp, with_token("bob")).await;
    assert_eq!((refused.code, &*refused.detail), (31005, "user"));
}

#[tokio::test]
async fn an_app_that_only_checks_tokens_issues_none() {
    let gateway = Gateway::start(|config| {
        config.apps[0].keys = vec![TokenKey {
            id: None,
            algorithm: TokenAlgorithm::EdDsa {
                public_key_pem: "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n".into(),
            },
        }];
    });
    let answer = ApiCall::new("/user/getToken.json", &[("userId", "alice")])
        .send(gateway.api())
        .await;
    assert_eq!((answer.status, answer.code()), (430, 1009));
}

#[tokio::test]
async fn a_blocked_user_is_put_out_at_once_and_kept_out_until_unblocked() {
    let gateway = Gateway::start(|_| ());
    let mut alice = RawClient::online(&gateway, Transport::Tcp, "alice").await;
    assert_eq!(is_online(&gateway, "alice").await, "1");
    assert_eq!(is_online(&gateway, "bob").await, "0");

    let before = unix_ms();
    let done = call(
        &gateway,
        "/user/block.json",
        &[("userId", "alice"), ("userId", "bob"), ("minute", "10")],
    )
    .await;
    assert_eq!(done, json!({ "code": 200 }));
    let closed = alice.expect_close().await;
    assert_eq!(closed.code, 31009);
    let until: i64 = closed.detail.parse().expect("a time");
    assert!((before + 600_000..=unix_ms() + 600_000).contains(&until), "{until}");
    wait_until("alice is gone", async || is_online(&gateway, "alice").await == "0").await;
    for user in ["alice", "bob"] {
        let refused = login(&gateway, Transport::Tls, gateway.login_command(user)).await;
        assert_eq!(refused.code, 31009, "{refused:?}");
    }

    let listed = call(&gateway, "/user/block/query.json", &[]).await;
    let users: Vec<&str> = listed["users"]
        .as_array()
        .expect("users")
        .iter()
        .filter_map(|user| user["userId"].as_str())
        .collect();
    assert_eq!(users, ["alice", "bob"]);
    assert!(
        listed["users"][0]["blockEndTime"]
            .as_str()
            .is_some_and(|time| time.len() == "2026-11-21 09:30:00".len())
    );
    let page = call(&gateway, "/user/block/query.json", &[("page", "2"), ("size", "1")]).await;
    assert_eq!(page["users"][0]["userId"], "bob");
    let page = call(
        &gateway,
        "/user/block/query.json",
        &[("page", "9223372036854775807"), ("size", "1000")],
    )
    .await;
    assert_eq!(page["users"], json!([]));

    // Whoever is not blocked is passed over.
    let done = call(
        &gateway,
        "/user/unblock.json",
        &[("userId", "alice"), ("userId", "carol")],
    )
    .await;
    assert_eq!(done, json!({ "code": 200 }));
    RawClient::online(&gateway, Transport::Tcp, "alice").await;
}

#[tokio::test]
async fn limits_of_user_paths_are_refused() {
    let gateway = Gateway::start(|_| ());
    let code = async |path: &str, fields: &[(&str, &str)]| call(&gateway, path, fields).await["code"].clone();
    let ids: Vec<String> = (0..21).map(|number| format!("u{number}")).collect();
    let mut fields: Vec<(&str, &str)> = ids.iter().map(|id| ("userId", id.as_str())).collect();
    fields.push(("minute", "1"));
    assert_eq!(code("/user/block.json", &fields).await, 1002);
    assert_eq!(code("/user/unblock.json", &fields).await, 1002);
    fields.remove(0);
    assert_eq!(code("/user/block.json", &fields).await, 200);
    for minute in ["0", "43201", "undefined", "-1", "1.5"] {
        assert_eq!(
            code("/user/block.json", &[("userId", "a"), ("minute", minute)]).await,
            1002,
            "{minute}"
        );
    }
    assert_eq!(
        code("/user/block.json", &[("userId", "a"), ("minute", "43200")]).await,
        200
    );
    let long = "a".repeat(70);
    for path in [
        "/user/block.json",
        "/user/unblock.json",
        "/user/getToken.json",
        "/user/checkOnline.json",
    ] {
        assert_eq!(code(path, &[("userId", &long), ("minute", "1")]).await, 1005, "{path}");
    }
    assert_eq!(
        code("/user/getToken.json", &[("userId", "a"), ("name", &"n".repeat(257))]).await,
        1005
    );
    assert_eq!(
        code(
            "/user/getToken.json",
            &[("userId", "a"), ("portraitUri", &"p".repeat(1025))]
        )
        .await,
        1005
    );
    assert_eq!(code("/user/block/query.json", &[("size", "1001")]).await, 1002);
}
