//! What a gateway shows to whoever asks, and where it refuses to show anything.
//!
//! That the server API shows its document and nothing else is tried in `server_api.rs`.

use std::fs;

use serde_json::Value;
use sluice_gateway::{development, openapi_document};
use sluice_tests::{ApiCall, Gateway, Program, RawClient, TemporaryFolder, Transport, exchange, scrape, wait_until};
use tokio::net::TcpStream;

use super::{ask, three_apps};
use crate::rooms::{enter, join_chat_room, send, text};

/// The exit code of a wrong configuration.
const MISCONFIGURED: i32 = 2;

#[tokio::test]
async fn the_listener_for_operators_has_three_pages_to_read_and_no_more() {
    let gateway = Gateway::start(|_| ());
    let document: Value = serde_json::from_str(&openapi_document()).expect("JSON");
    let of_the_api = document["paths"].as_object().expect("paths").keys().cloned();
    let others = [
        "/",
        "/openapi.json",
        "/debug/pprof/",
        "/config",
        "/metrics/",
        "/metrics/x",
        "//metrics",
        "/livez/..",
        "/%6detrics",
    ];
    let pages = ["/metrics", "/livez", "/readyz"];
    let mut answered = 0;
    for path in of_the_api
        .chain(others.map(str::to_owned))
        .chain(pages.map(str::to_owned))
    {
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"] {
            let mut call = ApiCall::unsigned(&path, &[("userId", "alice")]);
            call.method = method.to_owned();
            let stream = TcpStream::connect(gateway.http()).await.expect("a connection");
            let answer = exchange(stream, &call.bytes()).await;
            let expected = match (pages.contains(&&*path), method) {
                (true, "GET" | "HEAD") => 200,
                (true, _) => 405,
                (false, _) => 404,
            };
            assert_eq!(answer.status, expected, "{method} {path}: {answer:?}");
            answered += usize::from(answer.status == 200);
        }
    }
    assert_eq!(answered, 2 * pages.len());
}

#[tokio::test]
async fn metrics_name_no_room_no_user_no_app_and_no_word() {
    let gateway = Gateway::start(three_apps);
    let mut client = RawClient::online(&gateway, Transport::Tcp, "canary-user").await;
    enter(&mut client, 1, join_chat_room("canary-room", 0)).await;
    send(&mut client, 2, text("canary-room", "canary-content")).await;
    ask(&gateway, "/sensitiveword/add.json", &[("word", "canaryword")]).await;
    let of_nobody = ApiCall::of("canary-app", "canary-secret", "/canary-path.json", &[]);
    assert_eq!(of_nobody.send(gateway.api()).await.status, 401);
    wait_until("the metrics have the message", async || {
        gateway.metric("sluice_messages_accepted_total").await >= 1.0
    })
    .await;
    let text = scrape(gateway.http(), "/metrics").await;
    assert!(
        text.contains("sluice_api_requests_total"),
        "it has what was asked of the server API"
    );
    assert!(!text.contains("canary"), "{text}");
}

/// What `sluice serve` says, and how it ends, with these lines of configuration, this API secret, and listeners on ports of their own.
async fn served(lines: &str, api_secret: Option<&str>) -> (Option<i32>, String) {
    let folder = TemporaryFolder::new();
    let data = folder.path().join("data");
    // With the app and the certificate of development mode in it, as they would be where somebody had tried it first.
    let apps = development::configuration(&data).expect("a development folder").apps;
    let made = String::from_utf8(apps[0].api_keys[0].secret.expose().to_vec()).expect("a secret in text");
    fs::write(folder.path().join("secret"), "0123456789abcdef0123456789abcdef\n").expect("written");
    fs::write(folder.path().join("api.secret"), api_secret.unwrap_or(&made)).expect("written");
    let all = format!(
        "{lines}\ndata = \"data\"\n[[apps]]\nkey = \"demo\"\n[[apps.keys]]\nalgorithm = \"HS256\"\nsecret_file = \"secret\"\n\
         [[apps.api_keys]]\nsecret_file = \"api.secret\"\n"
    );
    fs::write(folder.path().join("sluice.toml"), all).expect("written");
    let mut arguments = vec!["serve", "--config", "sluice.toml", "--set", "log.level=off"];
    for listener in ["--tcp", "--tls", "--quic", "--http", "--api"] {
        if !lines.contains(&format!("listen.{} ", &listener[2..])) {
            arguments.extend([listener, "127.0.0.1:0"]);
        }
    }
    let mut program = Program::start(folder.path(), arguments);
    let mut started = false;
    wait_until("it has ended, or listens", async || {
        started = data.join("audit.log").exists();
        started || program.has_ended()
    })
    .await;
    if started {
        program.terminate();
    }
    let ended = program.ended().await;
    (ended.code, ended.stderr)
}

#[tokio::test]
async fn off_loopback_the_server_api_starts_only_over_tls_on_purpose_and_with_a_secret_of_its_own() {
    const SECRET: &str = "an API secret of thirty-two bytes or more";
    let public = "listen.api = \"0.0.0.0:0\"";
    let safe = format!("{public}\napi.tls = true\napi.allow_public = true");
    for (what, lines, secret, words) in [
        (
            "nothing said",
            public.to_owned(),
            Some(SECRET),
            "api.allow_public = true",
        ),
        (
            "no TLS",
            format!("{public}\napi.allow_public = true"),
            Some(SECRET),
            "api.tls = true",
        ),
        (
            "not on purpose",
            format!("{public}\napi.tls = true"),
            Some(SECRET),
            "api.allow_public = true",
        ),
        (
            "a short secret",
            safe.clone(),
            Some("an API secret of thirty-one bts"),
            "at least 32",
        ),
        (
            "the secret of development mode",
            safe.clone(),
            None,
            "development mode made",
        ),
    ] {
        let (code, stderr) = served(&lines, secret).await;
        assert_eq!(code, Some(MISCONFIGURED), "{what}: {stderr}");
        assert!(
            stderr.contains("listen.api") && stderr.contains(words),
            "{what}: {stderr}"
        );
        assert!(
            !stderr.contains(secret.unwrap_or("0123456789abcdef0123456789abcdef")),
            "{what}: {stderr}"
        );
    }
    assert_eq!(served(&safe, Some(SECRET)).await.0, Some(0), "with all of it it starts");
    let (code, stderr) = served("listen.http = \"0.0.0.0:0\"", Some(SECRET)).await;
    assert_eq!(code, Some(MISCONFIGURED), "{stderr}");
    assert!(stderr.contains("listen.allow_public_http"), "{stderr}");
}
