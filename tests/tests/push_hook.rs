//! The push hook: who is told of what, signed how, and what happens while nobody answers.

use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::hmac;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use sluice_gateway::config::{Config, PushHook, Secret};
use sluice_protocol::frame::Body;
use sluice_protocol::{MessageKeep, MessageType, SendMessage};
use sluice_tests::{Gateway, RawClient, Transport, wait_until};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::conversations::{group, listening, say, to, to_peer};

const SECRET: &str = "what push hooks are signed with, 32 bytes";

/// A call that came.
#[derive(Debug, Clone)]
struct Call {
    path: String,
    headers: Vec<(String, String)>,
    body: Bytes,
}

/// An app's server: takes calls and answers them in this order, and 200 when there is no more to say.
#[derive(Debug, Clone)]
struct Hook {
    port: u16,
    calls: Arc<Mutex<Vec<Call>>>,
    answers: Arc<Mutex<Vec<StatusCode>>>,
    listener: Arc<Mutex<Option<std::net::TcpListener>>>,
}

impl Call {
    fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(other, _)| other == name);
        found.map_or_else(|| panic!("{name} is missing: {self:?}"), |(_, value)| value.as_str())
    }

    fn event(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    fn assert_signed(&self) {
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
        let text = [self.header("sluice-timestamp").as_bytes(), b"\n", &self.body].concat();
        let digits = self.header("sluice-signature").as_bytes();
        let digit = |digit: u8| (digit as char).to_digit(16).expect("a digit");
        let signature: Vec<u8> = digits
            .chunks(2)
            .map(|pair| u8::try_from(digit(pair[0]) * 16 + digit(pair[1])).expect("a byte"))
            .collect();
        hmac::verify(&key, &text, &signature).expect("the signature is right");
    }
}

impl Hook {
    /// Bound, but nobody answers yet.
    fn bind() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a socket");
        Self {
            port: listener.local_addr().expect("an address").port(),
            calls: Arc::default(),
            answers: Arc::default(),
            listener: Arc::new(Mutex::new(Some(listener))),
        }
    }

    fn answering(answers: &[u16]) -> Self {
        let hook = Self::bind();
        let answers = answers.iter().map(|code| StatusCode::from_u16(*code).expect("a code"));
        *hook.answers.lock().unwrap() = answers.collect();
        hook
    }

    fn configure(&self, config: &mut Config) {
        config.apps[0].conversations.push_hook = Some(PushHook {
            url: format!("http://127.0.0.1:{}/hooks/push?v=1", self.port),
            secret: Secret::new(SECRET),
            ca_file: None,
        });
    }

    fn serve(&self, tls: Option<TlsAcceptor>) {
        let listener = self.listener.lock().unwrap().take().expect("it is not served yet");
        let listener = TcpListener::from_std(listener).expect("a listener");
        let hook = self.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let (hook, tls) = (hook.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                hook.serve_connection(stream).await;
                            }
                        }
                        None => hook.serve_connection(stream).await,
                    }
                });
            }
        });
    }

    async fn serve_connection(&self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let service = service_fn(|request| self.answer(request));
        let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        // Whoever is cut off is no failure of the server.
        let _ = connection.await;
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        let text = |value: &hyper::header::HeaderValue| value.to_str().expect("text").to_owned();
        let call = Call {
            path: head.uri.to_string(),
            headers: head
                .headers
                .iter()
                .map(|(name, value)| (name.as_str().to_owned(), text(value)))
                .collect(),
            body,
        };
        self.calls.lock().unwrap().push(call);
        let mut answers = self.answers.lock().unwrap();
        let status = if answers.is_empty() {
            StatusCode::OK
        } else {
            answers.remove(0)
        };
        Ok(Response::builder()
            .status(status)
            .body(Full::new(Bytes::from_static(b"thanks")))
            .expect("an answer"))
    }

    async fn calls(&self, count: usize) -> Vec<Call> {
        wait_until(&format!("there are {count} calls"), async || {
            self.calls.lock().unwrap().len() >= count
        })
        .await;
        self.calls.lock().unwrap().clone()
    }
}

async fn counted(gateway: &Gateway, result: &str, count: u32) {
    let selector = format!("sluice_push_events_total{{result=\"{result}\"}}");
    wait_until(&format!("{count} are counted as {result}"), async || {
        (gateway.metric(&selector).await - f64::from(count)).abs() < 0.5
    })
    .await;
}

#[tokio::test]
async fn who_is_away_is_told_of_to_the_hook_in_a_signed_call() {
    let hook = Hook::answering(&[]);
    hook.serve(None);
    let gateway = Gateway::start(|config| hook.configure(config));
    let mut bob = RawClient::online(&gateway, Transport::Tcp, "bob").await;
    let message = SendMessage {
        push_content: "Bob says hello".into(),
        push_data: "{\"badge\":1}".into(),
        mentioned_user_ids: vec!["alice".into()],
        ..to_peer("alice", "hello")
    };
    let sent = say(&mut bob, 1, message).await;
    let calls = hook.calls(1).await;
    let call = &calls[0];
    call.assert_signed();
    assert_eq!(call.path, "/hooks/push?v=1");
    assert_eq!(call.header("host"), format!("127.0.0.1:{}", hook.port));
    assert_eq!(call.header("content-type"), "application/json");
    assert_eq!(call.header("sluice-app-key"), sluice_tests::APP_KEY);
    let event = call.event();
    let id = event["id"].as_str().expect("an id").to_owned();
    assert_eq!(call.header("sluice-event-id"), id);
    assert_eq!(
        event,
        json!({
            "event": "push", "id": id, "app": sluice_tests::APP_KEY, "user_ids": ["alice"],
            "conversation_type": "peer", "target_id": "alice", "sender_id": "bob",
            "message_id": sent.message_id.to_string(), "sequence": 1, "sent_at_ms": sent.server_time_ms,
            "message_type": 1, "object_name": "", "push_content": "Bob says hello", "push_data": "{\"badge\":1}",
            "mentioned_user_ids": ["alice"], "mention_all": false,
        })
    );
    counted(&gateway, "delivered", 1).await;
}

#[tokio::test]
async fn only_messages_for_who_is_away_are_told() {
    let hook = Hook::answering(&[]);
    hook.serve(None);
    let gateway = Gateway::start(|config| hook.configure(config));
    let mut bob = listening(&gateway, Transport::Tcp, "bob").await;
    let mut alice = listening(&gateway, Transport::Quic, "alice").await;
    say(&mut bob, 1, to_peer("alice", "she is here")).await;
    assert!(matches!(alice.event().await, Body::ConversationMessage(_)));
    // To nobody who is away, or such as are not pushed.
    let not_kept = SendMessage {
        keep: MessageKeep::None.into(),
        ..to_peer("carol", "now or never")
    };
    let custom = SendMessage {
        r#type: MessageType::Custom.into(),
        object_name: "app:vote".into(),
        ..to_peer("carol", "{}")
    };
    let command = SendMessage {
        r#type: MessageType::Command.into(),
        ..to_peer("carol", "{}")
    };
    for (request_id, message) in (2..).zip([not_kept, custom.clone(), command]) {
        say(&mut bob, request_id, message).await;
    }
    let shown = SendMessage {
        push_content: "A vote".into(),
        ..custom
    };
    say(&mut bob, 10, shown).await;
    group(&mut bob, "g1", &["alice".into(), "carol".into(), "dave".into()]).await;
    say(&mut bob, 11, to(sluice_protocol::ConversationType::Group, "g1", "all")).await;
    // Homes offer in order: behind the last message to each of the users nothing comes any more.
    for (request_id, user) in (12..).zip(["alice", "carol", "dave"]) {
        let last = SendMessage {
            push_content: "the last".into(),
            ..to_peer(user, "the last")
        };
        say(&mut bob, request_id, last).await;
    }
    loop {
        if let Body::ConversationMessage(message) = alice.event().await
            && message.content == "the last"
        {
            break;
        }
    }
    wait_until("the last are told of", async || {
        let calls = hook.calls.lock().unwrap();
        let last = calls.iter().filter(|call| call.event()["push_content"] == "the last");
        last.count() == 2
    })
    .await;
    // What was offered before them may still be on its way.
    wait_until("all calls are counted, and nothing waits", async || {
        let calls = u32::try_from(hook.calls.lock().unwrap().len()).expect("few");
        let delivered = gateway.metric("sluice_push_events_total{result=\"delivered\"}").await;
        (delivered - f64::from(calls)).abs() < 0.5 && gateway.metric("sluice_push_waiting").await < 0.5
    })
    .await;
    let mut told: Vec<(String, String)> = Vec::new();
    for event in hook.calls.lock().unwrap().iter().map(Call::event) {
        let content = format!(
            "{}{}",
            event["conversation_type"].as_str().unwrap(),
            event["message_type"]
        );
        for user in event["user_ids"].as_array().unwrap() {
            told.push((content.clone(), user.as_str().unwrap().to_owned()));
        }
    }
    told.sort_unstable();
    let expected = [
        ("group1", "carol"),
        ("group1", "dave"),
        ("peer1", "carol"),
        ("peer1", "dave"),
        ("peer200", "carol"),
    ];
    assert_eq!(told, expected.map(|(what, user)| (what.to_owned(), user.to_owned())));
}

#[tokio::test]
async fn what_is_not_taken_is_told_again_with_the_same_id() {
    let hook = Hook::answering(&[503, 429]);
    let gateway = Gateway::start(|config| hook.configure(config));
    let mut bob = RawClient::online(&gateway, Transport::Tcp, "bob").await;
    // Nobody answers at first; the send does not wait for it.
    say(&mut bob, 1, to_peer("alice", "hello")).await;
    wait_until("it waits", async || gateway.metric("sluice_push_waiting").await > 0.5).await;
    hook.serve(None);
    let calls = hook.calls(3).await;
    assert_eq!(calls.len(), 3);
    for call in &calls {
        call.assert_signed();
        assert_eq!(call.body, calls[0].body);
        assert_eq!(call.header("sluice-event-id"), calls[0].header("sluice-event-id"));
    }
    counted(&gateway, "delivered", 1).await;
    // Each of them after a wait: none is made again at once.
    assert_eq!(hook.calls.lock().unwrap().len(), 3);
    assert!((gateway.metric("sluice_push_retries_total").await - 2.0).abs() < 0.5);
}

#[tokio::test]
async fn what_the_hook_refuses_is_told_once() {
    let hook = Hook::answering(&[400]);
    hook.serve(None);
    let gateway = Gateway::start(|config| hook.configure(config));
    let mut bob = RawClient::online(&gateway, Transport::Tcp, "bob").await;
    say(&mut bob, 1, to_peer("alice", "one")).await;
    counted(&gateway, "refused", 1).await;
    say(&mut bob, 2, to_peer("alice", "two")).await;
    counted(&gateway, "delivered", 1).await;
    assert_eq!(hook.calls.lock().unwrap().len(), 2);
}

fn acceptor(certificate: &Path, key: &Path) -> TlsAcceptor {
    let certificates = CertificateDer::pem_file_iter(certificate)
        .expect("a file")
        .collect::<Result<_, _>>();
    let key = PrivateKeyDer::from_pem_file(key).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_no_client_auth()
        .with_single_cert(certificates.expect("certificates"), key)
        .expect("they match");
    TlsAcceptor::from(Arc::new(config))
}

#[tokio::test]
async fn a_hook_over_tls_is_told_when_its_certificate_is_trusted_and_not_else() {
    for trusted in [true, false] {
        let hook = Hook::answering(&[]);
        let gateway = Gateway::start(|config| {
            hook.serve(Some(acceptor(&config.tls.certificate, &config.tls.key)));
            config.apps[0].conversations.push_hook = Some(PushHook {
                url: format!("https://localhost:{}/", hook.port),
                secret: Secret::new(SECRET),
                ca_file: trusted.then(|| config.tls.certificate.clone()),
            });
        });
        let mut bob = RawClient::online(&gateway, Transport::Tcp, "bob").await;
        say(&mut bob, 1, to_peer("alice", "hello")).await;
        if trusted {
            counted(&gateway, "delivered", 1).await;
            hook.calls(1).await[0].assert_signed();
        } else {
            wait_until("a call failed", async || {
                gateway.metric("sluice_push_retries_total").await > 1.5
            })
            .await;
            assert!(hook.calls.lock().unwrap().is_empty());
        }
    }
}

#[tokio::test]
async fn a_hook_that_nobody_answers_holds_up_neither_messages_nor_the_end() {
    let hook = Hook::bind();
    let gateway = Gateway::start(|config| hook.configure(config));
    let mut bob = RawClient::online(&gateway, Transport::Tcp, "bob").await;
    for number in 1..=10 {
        say(&mut bob, number, to_peer("alice", &number.to_string())).await;
    }
    wait_until("they wait", async || gateway.metric("sluice_push_waiting").await > 9.5).await;
    tokio::time::timeout(Duration::from_secs(10), gateway.stop())
        .await
        .expect("it stops all the same");
}
