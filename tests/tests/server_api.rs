//! The server API over sockets: who is let in, what is refused with which code, and what a hostile client can hold up.

use std::time::Duration;

use serde_json::{Value, json};
use sluice_gateway::config::{ApiKey, ApiScope, ApiSignature, App, AppState, Rate, Secret};
use sluice_gateway::openapi_document;
use sluice_tests::{
    API_SECRET, APP_KEY, ApiAnswer, ApiCall, Gateway, exchange, scrape, tls_client_config, unix_ms, wait_until, within,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

const ALICE: &[(&str, &str)] = &[("userId", "alice")];

/// A path that every key of the tests may call and that changes nothing.
const ONLINE: &str = "/user/checkOnline.json";

/// What the vendor's library for Node.js needs of every error, and what we promise of each.
fn assert_refused(answer: &ApiAnswer, status: u16, code: i64) {
    assert_eq!((answer.status, answer.code()), (status, code), "{answer:?}");
    assert!(
        answer.json["errorMessage"]
            .as_str()
            .is_some_and(|text| !text.is_empty()),
        "{answer:?}"
    );
    assert!(
        answer.json["url"].as_str().is_some_and(|url| url.starts_with('/')),
        "{answer:?}"
    );
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
    assert!(
        answer.header("x-request-id").is_some_and(|id| !id.is_empty()),
        "{answer:?}"
    );
}

/// Every path of the document, and some that are not in it.
fn paths() -> Vec<String> {
    let document: Value = serde_json::from_str(&openapi_document()).expect("JSON");
    let served = document["paths"].as_object().expect("paths").keys().cloned();
    let others = [
        "/",
        "/metrics",
        "/livez",
        "/nonsense.json",
        "/group/remarks/set.json",
        "/openapi.json",
        "/user",
        "/%00",
    ];
    served.chain(others.map(str::to_owned)).collect()
}

#[tokio::test]
async fn whoever_is_not_known_sees_the_document_and_nothing_else() {
    let gateway = Gateway::start(|_| ());
    let mut get = ApiCall::unsigned("/openapi.json", &[]);
    get.method = "GET".to_owned();
    let document = get.send(gateway.api()).await;
    assert_eq!(document.status, 200);
    let made: Value = serde_json::from_str(&openapi_document()).expect("JSON");
    assert_eq!(document.json, made);
    for path in paths() {
        for method in ["POST", "GET", "PUT", "DELETE", "OPTIONS"] {
            if (method, path.as_str()) == ("GET", "/openapi.json") {
                continue;
            }
            let mut call = ApiCall::unsigned(&path, ALICE);
            call.method = method.to_owned();
            assert_refused(&call.send(gateway.api()).await, 401, 1001);
        }
    }
    // A key of the app alone is no proof either.
    for path in paths() {
        let call = ApiCall::unsigned(&path, ALICE).header("App-Key", APP_KEY);
        assert_refused(&call.send(gateway.api()).await, 401, 1004);
    }
}

#[tokio::test]
async fn both_signatures_let_a_call_in_and_anything_wrong_with_them_keeps_it_out() {
    let gateway = Gateway::start(|config| config.api.failed_signatures_per_minute = 1000);
    let api = gateway.api();
    let call = ApiCall::new(ONLINE, ALICE);
    assert_eq!(call.send(api).await.json, json!({ "code": 200, "status": "0" }));
    let prefixed = ["App-Key", "Nonce", "Timestamp", "Signature"]
        .into_iter()
        .fold(call.clone(), |call, name| {
            let (_, value) = call
                .headers
                .iter()
                .find(|(other, _)| other == name)
                .expect("a header")
                .clone();
            call.without(name).header(&format!("RC-{name}"), &value)
        });
    assert_eq!(prefixed.send(api).await.status, 200);
    for wrong in [
        call.clone().header("Nonce", "8501427"),
        call.clone().header("Timestamp", "1795259671"),
        call.clone()
            .header("Signature", "329db396eb1a86a03e0348bd7b159ca63340b5e2"),
        call.clone().header("Signature", "not hexadecimal"),
        call.clone().header("App-Key", "another-app"),
        call.clone().header("Key-Id", "another-key"),
        call.clone().without("Signature"),
        call.clone().without("Nonce"),
        call.clone().without("Timestamp"),
        ApiCall::of(APP_KEY, "another secret", ONLINE, ALICE),
    ] {
        assert_refused(&wrong.send(api).await, 401, 1004);
    }

    let signed = |nonce: &str, at: i64| call.clone().with_hmac(APP_KEY, API_SECRET, nonce, at);
    let now = unix_ms();
    assert_eq!(signed("nonce-0001", now).send(api).await.status, 200);
    assert_refused(&signed("nonce-0001", now).send(api).await, 401, 1004);
    assert_refused(&signed("nonce-0002", now - 301_000).send(api).await, 401, 1004);
    assert_refused(&signed("nonce-0003", now + 310_000).send(api).await, 401, 1004);
    assert_eq!(signed("nonce-0004", now + 240_000).send(api).await.status, 200);
    // Before this start it may have been used.
    assert_refused(&signed("nonce-0009", now - 240_000).send(api).await, 401, 1004);
    let mut tampered = signed("nonce-0005", now);
    tampered.body = b"userId=bob".to_vec();
    assert_refused(&tampered.send(api).await, 401, 1004);
    let mut tampered = signed("nonce-0006", now);
    tampered.path = "/user/unblock.json".to_owned();
    assert_refused(&tampered.send(api).await, 401, 1004);
    let mut tampered = signed("nonce-0007", now);
    tampered.method = "GET".to_owned();
    assert_refused(&tampered.send(api).await, 401, 1004);
    // What nobody reads is not signed.
    let mut query = signed("nonce-0008", now);
    query.path.push_str("?x=1");
    assert_eq!(query.send(api).await.status, 200);
}

#[tokio::test]
async fn an_app_that_does_not_exist_is_answered_byte_by_byte_like_a_wrong_secret() {
    let gateway = Gateway::start(|config| config.apps.push(App::new("keyless")));
    let mut bodies = Vec::new();
    for (app, secret) in [
        (APP_KEY, "another secret"),
        ("nobody", API_SECRET),
        ("keyless", API_SECRET),
    ] {
        let answer = ApiCall::of(app, secret, ONLINE, ALICE).send(gateway.api()).await;
        assert_refused(&answer, 401, 1004);
        bodies.push(answer.json);
    }
    assert_eq!(bodies[0], bodies[1]);
    assert_eq!(bodies[0], bodies[2]);
}

#[tokio::test]
async fn keys_are_for_their_app_their_scopes_and_their_signatures() {
    let gateway = Gateway::start(|config| {
        let mut narrow = ApiKey::new(Secret::new("a secret for rooms alone"));
        narrow.id = "rooms".to_owned();
        narrow.scopes = vec![ApiScope::Room];
        narrow.signatures = vec![ApiSignature::Hmac];
        config.apps[0].api_keys.push(narrow);
        let mut other = App::new("locked");
        other.api_keys = vec![ApiKey::new(Secret::new("the secret of a locked app"))];
        other.state = AppState::Blocked;
        config.apps.push(other);
    });
    let api = gateway.api();
    let narrow = "a secret for rooms alone";
    assert_refused(&ApiCall::of(APP_KEY, narrow, ONLINE, ALICE).send(api).await, 401, 1004);
    let call = ApiCall::new(ONLINE, ALICE).with_hmac(APP_KEY, narrow, "nonce-0001", unix_ms());
    assert_refused(&call.send(api).await, 401, 1007);
    let named = ApiCall::new(ONLINE, ALICE).header("Key-Id", "rooms");
    assert_refused(&named.send(api).await, 401, 1004);
    let locked = ApiCall::of("locked", "the secret of a locked app", ONLINE, ALICE);
    assert_refused(&locked.send(api).await, 401, 1006);
    // The secret of one app is nothing to another.
    let crossed = ApiCall::of("locked", API_SECRET, ONLINE, ALICE);
    assert_refused(&crossed.send(api).await, 401, 1004);
}

#[tokio::test]
async fn a_key_that_calls_too_often_is_told_how_long_to_wait() {
    let gateway = Gateway::start(|config| config.apps[0].api_keys[0].rate = Rate::PerSecond(1));
    let mut answers = Vec::new();
    // Two calls may fall on both sides of a second; of many within it all but some are refused.
    for _ in 0..20 {
        answers.push(ApiCall::new(ONLINE, ALICE).send(gateway.api()).await);
    }
    assert_eq!(answers[0].status, 200);
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status != 200).collect();
    assert!(!refused.is_empty());
    for answer in refused {
        assert_refused(answer, 429, 1008);
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
}

#[tokio::test]
async fn who_guesses_secrets_soon_learns_nothing_and_the_rightful_go_on() {
    let gateway = Gateway::start(|config| config.api.failed_signatures_per_minute = 3);
    let api = gateway.api();
    let guess = ApiCall::of(APP_KEY, "a guess", ONLINE, ALICE);
    for _ in 0..3 {
        assert_refused(&guess.send(api).await, 401, 1004);
    }
    let answer = guess.send(api).await;
    assert_refused(&answer, 429, 1008);
    let wait: u64 = answer
        .header("retry-after")
        .and_then(|wait| wait.parse().ok())
        .expect("a time to wait");
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(ApiCall::new(ONLINE, ALICE).send(api).await.status, 200);
}

#[tokio::test]
async fn paths_methods_and_bodies_that_are_wrong_are_told_apart() {
    let gateway = Gateway::start(|_| ());
    let api = gateway.api();
    let refused = async |call: ApiCall, status, code| assert_refused(&call.send(api).await, status, code);
    refused(ApiCall::new("/nonsense.json", ALICE), 404, 404).await;
    refused(ApiCall::new("/user/checkOnline.xml", ALICE), 404, 404).await;
    refused(ApiCall::new("/user/checkonline.json", ALICE), 404, 404).await;
    let mut get = ApiCall::new(ONLINE, ALICE);
    get.method = "GET".to_owned();
    refused(get, 400, 1002).await;
    // What the vendor has and we do not, whatever is sent there.
    refused(ApiCall::new("/group/remarks/set.json", &[]), 430, 1009).await;
    refused(
        ApiCall::new("/push.json", &[]).json(&json!({ "platform": ["ios"] })),
        430,
        1009,
    )
    .await;
    refused(ApiCall::new("/user/refresh.json", ALICE), 430, 1009).await;

    assert_eq!(ApiCall::new("/user/checkOnline", ALICE).send(api).await.status, 200);
    refused(ApiCall::new(ONLINE, &[]), 400, 1003).await;
    refused(ApiCall::new(ONLINE, &[("user", "alice")]), 400, 1002).await;
    refused(ApiCall::new(ONLINE, &[("userId", &"a".repeat(33))]), 400, 1005).await;
    refused(
        ApiCall::new(ONLINE, ALICE).header("Content-Type", "text/xml"),
        400,
        1002,
    )
    .await;
    let mut broken = ApiCall::new(ONLINE, &[]);
    broken.body = b"userId=%zz".to_vec();
    refused(broken, 400, 1002).await;
    refused(ApiCall::new(ONLINE, &[]).json(&json!(["alice"])), 400, 1002).await;
    let answer = ApiCall::new(ONLINE, &[])
        .json(&json!({ "userId": "alice" }))
        .send(api)
        .await;
    assert_eq!(answer.json, json!({ "code": 200, "status": "0" }));

    // Up to the limit a body is read, and refused for what is in it; beyond, for its length, with and without saying it before.
    let mut large = ApiCall::new(ONLINE, &[]);
    large.body = vec![b'a'; 256 * 1024];
    refused(large.clone(), 400, 1002).await;
    large.body.push(b'a');
    refused(large.clone(), 400, 1005).await;
    refused(
        large.clone().with_hmac(APP_KEY, API_SECRET, "nonce-0001", unix_ms()),
        400,
        1005,
    )
    .await;
}

#[tokio::test]
async fn the_id_of_a_request_comes_back_if_it_is_fit_to_be_written_down() {
    let gateway = Gateway::start(|_| ());
    let id = async |id: &str| {
        let answer = ApiCall::new(ONLINE, ALICE)
            .header("X-Request-ID", id)
            .send(gateway.api())
            .await;
        answer.header("x-request-id").expect("an id").to_owned()
    };
    assert_eq!(
        id("f81d4fae-7dec-11d0-a765-00a0c91e6bf6").await,
        "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
    );
    for unfit in ["f81d4fae-7dec-11d0-a765-00a0c91e6bf6-more", "a b", "a\"b", "é"] {
        let made = id(unfit).await;
        assert_ne!(made, unfit);
        assert_ne!(made, id(unfit).await);
    }
}

/// A call on a connection that the client does not ask to end.
fn kept_alive(call: &ApiCall) -> Vec<u8> {
    let text = String::from_utf8(call.bytes()).expect("text");
    text.replace("Connection: close\r\n", "").into_bytes()
}

#[tokio::test]
async fn several_calls_may_come_on_one_connection() {
    let gateway = Gateway::start(|_| ());
    let mut stream = TcpStream::connect(gateway.api()).await.expect("a connection");
    let last = ApiCall::new(ONLINE, ALICE).bytes();
    let first = kept_alive(&ApiCall::new(ONLINE, ALICE));
    for _ in 0..3 {
        stream.write_all(&first).await.expect("a request");
        let mut answer = Vec::new();
        while !answer.ends_with(b"}") {
            let read = within("an answer", stream.read_buf(&mut answer))
                .await
                .expect("an answer");
            assert_ne!(read, 0, "it closed after {answer:?}");
        }
        assert!(answer.starts_with(b"HTTP/1.1 200 "), "{answer:?}");
    }
    assert_eq!(exchange(stream, &last).await.status, 200);
}

#[tokio::test]
async fn a_client_that_is_silent_or_slow_with_its_head_is_closed() {
    let gateway = Gateway::start(|_| ());
    let mut silent = TcpStream::connect(gateway.api()).await.expect("a connection");
    let mut slow = TcpStream::connect(gateway.api()).await.expect("a connection");
    slow.write_all(b"POST /user/checkOnline.json HTTP/1.1\r\nHost: ")
        .await
        .expect("half a head");
    let dripping = async {
        // A byte now and then does not help: it is the whole head that has its time.
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            if slow.write_all(b"x").await.is_err() {
                break;
            }
            let mut byte = [0];
            let read = tokio::time::timeout(Duration::from_millis(1), slow.read(&mut byte)).await;
            if let Ok(Ok(0) | Err(_)) = read {
                break;
            }
        }
    };
    within("a slow client to be closed", dripping).await;
    let mut rest = Vec::new();
    let _ = within("a silent client to be closed", silent.read_to_end(&mut rest)).await;
    assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 408"), "{rest:?}");
    assert_eq!(ApiCall::new(ONLINE, ALICE).send(gateway.api()).await.status, 200);
}

#[tokio::test]
async fn a_client_that_asks_and_never_reads_is_closed() {
    let gateway = Gateway::start(|_| ());
    let mut stream = TcpStream::connect(gateway.api()).await.expect("a connection");
    // Only who has signed may ask more than once.
    let signed = kept_alive(&ApiCall::new(ONLINE, ALICE));
    stream.write_all(&signed).await.expect("a request");
    let document = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(100);
    let asking = async { while stream.write_all(&document).await.is_ok() {} };
    within("a client that never reads to be closed", asking).await;
    assert_eq!(ApiCall::new(ONLINE, ALICE).send(gateway.api()).await.status, 200);
}

#[tokio::test]
async fn whoever_has_signed_nothing_gets_one_answer_and_no_more_of_the_places_than_its_share() {
    let gateway = Gateway::start(|_| ());
    let api = gateway.api();
    let mut document = ApiCall::unsigned("/openapi.json", &[]);
    document.method = "GET".to_owned();
    for call in [
        document,
        ApiCall::unsigned(ONLINE, ALICE),
        ApiCall::of(APP_KEY, "a guess", ONLINE, ALICE),
    ] {
        let stream = TcpStream::connect(api).await.expect("a connection");
        // It ends with the answer, or this would not.
        let answer = exchange(stream, &kept_alive(&call)).await;
        assert_eq!(answer.header("connection"), Some("close"), "{answer:?}");
    }
    let from = async |host: [u8; 4]| {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind((host, 0).into()).expect("an address");
        socket.connect(api).await.expect("a connection")
    };
    let call = ApiCall::new(ONLINE, ALICE);
    let mut silent = Vec::new();
    for _ in 0..128 {
        silent.push(from([127, 0, 0, 2]).await);
    }
    let mut one_more = from([127, 0, 0, 2]).await;
    let mut nothing = Vec::new();
    let _ = within("one too many to be closed", one_more.read_to_end(&mut nothing)).await;
    assert_eq!(nothing, b"");
    let mut known = from([127, 0, 0, 3]).await;
    known.write_all(&kept_alive(&call)).await.expect("a request");
    assert_eq!(exchange(known, &call.bytes()).await.status, 200);
    // Each that has signed makes room for another.
    let first = silent.pop().expect("128");
    assert_eq!(exchange(first, &call.bytes()).await.status, 200);
    assert_eq!(exchange(from([127, 0, 0, 2]).await, &call.bytes()).await.status, 200);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let gateway = Gateway::start(|_| ());
    let mut stream = TcpStream::connect(gateway.api()).await.expect("a connection");
    let call = ApiCall::new(ONLINE, ALICE).bytes();
    stream.write_all(&call[..call.len() - 5]).await.expect("most of a call");
    let answer = exchange(stream, b"").await;
    assert_refused(&answer, 504, 1050);
}

#[tokio::test]
async fn what_is_no_http_does_not_trouble_the_others() {
    let gateway = Gateway::start(|_| ());
    for nonsense in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST /user/block HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        b"POST /user/block HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(gateway.api()).await.expect("a connection");
        stream.write_all(nonsense).await.expect("a few bytes");
        stream.shutdown().await.expect("an end");
        let mut answer = Vec::new();
        let _ = within("an end", stream.read_to_end(&mut answer)).await;
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
    }
    let mut many = ApiCall::new(ONLINE, ALICE);
    for number in 0..100 {
        many = many.header(&format!("X-{number}"), "x");
    }
    assert_eq!(many.send(gateway.api()).await.status, 431);
    let large = ApiCall::new(ONLINE, ALICE).header("X-Large", &"x".repeat(20_000));
    assert_eq!(large.send(gateway.api()).await.status, 431);
    assert_eq!(ApiCall::new(ONLINE, ALICE).send(gateway.api()).await.status, 200);
}

#[tokio::test]
async fn it_is_served_over_tls_where_that_is_set() {
    let gateway = Gateway::start(|config| config.api.tls = true);
    let config = tls_client_config(&gateway, &[b"h2", b"http/1.1"]);
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let stream = TcpStream::connect(gateway.api()).await.expect("a connection");
    let name = "localhost".try_into().expect("a name");
    let stream = within("a handshake", connector.connect(name, stream))
        .await
        .expect("TLS");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let answer = exchange(stream, &ApiCall::new(ONLINE, ALICE).bytes()).await;
    assert_eq!(answer.json, json!({ "code": 200, "status": "0" }));

    // In the clear there is no answer.
    let mut stream = TcpStream::connect(gateway.api()).await.expect("a connection");
    stream
        .write_all(&ApiCall::new(ONLINE, ALICE).bytes())
        .await
        .expect("a call");
    let mut answer = Vec::new();
    let _ = within("an end", stream.read_to_end(&mut answer)).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
}

#[tokio::test]
async fn changes_are_in_the_audit_log_questions_are_not_and_both_are_counted() {
    let gateway = Gateway::start(|_| ());
    let call = async |path: &str, fields: &[(&str, &str)], id: &str| {
        ApiCall::new(path, fields)
            .header("X-Request-ID", id)
            .send(gateway.api())
            .await
    };
    let block = [("userId", "alice"), ("userId", "bob"), ("minute", "10")];
    assert_eq!(call("/user/block.json", &block, "first").await.status, 200);
    assert_eq!(call("/user/checkOnline.json", ALICE, "asked").await.status, 200);
    assert_eq!(
        call("/user/block.json", &[("userId", "alice")], "wrong").await.code(),
        1002
    );
    assert_eq!(call("/user/unblock.json", ALICE, "second").await.status, 200);
    let log = gateway.data().join("audit.log");
    let lines = || -> Vec<Value> {
        let text = std::fs::read_to_string(&log).expect("the audit log");
        text.lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    };
    wait_until("all changes are in the audit log", async || lines().len() == 3).await;
    let [first, wrong, second] = &lines()[..] else {
        panic!("{:?}", lines())
    };
    assert_eq!(
        (&wrong["path"], &wrong["code"], &wrong["users"], &wrong["request_id"]),
        (&json!("/user/block"), &json!(1002), &json!([]), &json!("wrong"))
    );
    assert_eq!(
        (
            &first["path"],
            &first["app"],
            &first["users"],
            &first["code"],
            &first["request_id"],
            &first["peer"]
        ),
        (
            &json!("/user/block"),
            &json!(APP_KEY),
            &json!(["alice", "bob"]),
            &json!(200),
            &json!("first"),
            &json!("127.0.0.1")
        )
    );
    assert_eq!(
        (&second["path"], &second["request_id"]),
        (&json!("/user/unblock"), &json!("second"))
    );
    wait_until("the calls are counted", async || {
        let text = scrape(gateway.http(), "/metrics").await;
        text.contains("sluice_api_requests_total{group=\"user\",code=\"200\"} 3")
            && text.contains("sluice_api_requests_total{group=\"user\",code=\"1002\"} 1")
            && text.contains("sluice_api_request_duration_seconds_count{group=\"user\"} 4")
    })
    .await;
}

#[tokio::test]
async fn changes_that_were_refused_are_in_the_audit_log_and_those_of_strangers_are_not() {
    const UNBLOCK: &str = "/user/unblock";
    let gateway = Gateway::start(|config| {
        let key = |id: &str, secret| {
            let mut key = ApiKey::new(Secret::new(secret));
            key.id = id.to_owned();
            key
        };
        let mut narrow = key("narrow", "a secret for rooms alone");
        narrow.scopes = vec![ApiScope::Room];
        let mut slow = key("slow", "a secret that is good for one call");
        slow.rate = Rate::PerSecond(1);
        config.apps[0].api_keys.extend([narrow, slow]);
        let mut locked = App::new("locked");
        locked.api_keys = vec![key("its", "the secret of a locked app")];
        locked.state = AppState::Blocked;
        config.apps.push(locked);
    });
    let api = gateway.api();
    let by = |app: &str, secret: &str, path: &str, fields: &[(&str, &str)]| ApiCall::of(app, secret, path, fields);
    assert_refused(&by(APP_KEY, "a guess", UNBLOCK, ALICE).send(api).await, 401, 1004);
    assert_refused(&by("nobodys", API_SECRET, UNBLOCK, ALICE).send(api).await, 401, 1004);
    let narrow = "a secret for rooms alone";
    assert_refused(&by(APP_KEY, narrow, ONLINE, ALICE).send(api).await, 401, 1007);
    assert_refused(&by(APP_KEY, narrow, UNBLOCK, ALICE).send(api).await, 401, 1007);
    assert_refused(&by(APP_KEY, API_SECRET, UNBLOCK, &[]).send(api).await, 400, 1003);
    let locked = by("locked", "the secret of a locked app", UNBLOCK, ALICE);
    assert_refused(&locked.send(api).await, 401, 1006);
    let slow = by(APP_KEY, "a secret that is good for one call", UNBLOCK, ALICE);
    // Two calls may fall on both sides of a second; of many within it all but some are refused.
    let mut done = 0;
    for _ in 0..20 {
        done += usize::from(slow.send(api).await.status == 200);
    }
    assert!(done < 20);
    let last = ApiCall::new(UNBLOCK, ALICE).header("X-Request-ID", "last");
    assert_eq!(last.send(api).await.status, 200);
    let log = gateway.data().join("audit.log");
    let lines = || -> Vec<Value> {
        let text = std::fs::read_to_string(&log).expect("the audit log");
        text.lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    };
    wait_until("the last one is in the audit log", async || {
        lines().last().is_some_and(|line| line["request_id"] == "last")
    })
    .await;
    let lines = lines();
    let of = |key: &str| -> Vec<i64> {
        let of_key = lines.iter().filter(|line| line["key"] == key);
        of_key.map(|line| line["code"].as_i64().expect("a code")).collect()
    };
    assert_eq!((of("narrow"), of("its")), (vec![1007], vec![1006]));
    assert_eq!(of(""), [1003, 200], "of the key without a name");
    let slow = of("slow");
    assert_eq!(slow.iter().filter(|code| **code == 200).count(), done);
    let refused = slow.len() - done;
    assert!((1..=done + 1).contains(&refused), "one a second: {slow:?}");
    assert_eq!(lines.len(), 4 + slow.len(), "{lines:?}");
}

#[tokio::test]
async fn calls_under_way_are_answered_when_the_gateway_stops_and_idle_connections_do_not_hold_it_up() {
    let gateway = Gateway::start(|_| ());
    let address = gateway.api();
    let mut idle = TcpStream::connect(address).await.expect("a connection");
    assert_eq!(ApiCall::new(ONLINE, ALICE).send(address).await.status, 200);
    within("the gateway to stop", gateway.stop()).await;
    let mut rest = Vec::new();
    let _ = within("an idle connection to be closed", idle.read_to_end(&mut rest)).await;
    assert!(TcpStream::connect(address).await.is_err());
}
