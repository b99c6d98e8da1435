//! The binary `sluice`: its commands, what they print and their exit codes.

use std::fs;

use serde_json::Value;
use sluice_protocol::frame::Body;
use sluice_protocol::{ErrorCode, Login};
use sluice_tests::{GatewayProcess, Program, RawClient, TemporaryFolder, Transport, on_all_transports};

on_all_transports!(
    people_chat_between_processes,
    what_the_gateway_prints_can_be_pasted,
    a_wrong_token_ends_a_chat_with_its_code,
    a_chat_that_cannot_connect_fails_with_a_code,
);

/// Where nobody listens: the port of a service that is as good as extinct.
const NOBODY: &str = "127.0.0.1:1";

/// `sluice chat` as `user` in the room `lobby`, in the data folder of `gateway` so that it needs no token.
fn chat(gateway: &GatewayProcess, transport: Transport, user: &str, more: &[&str]) -> Program {
    let address = gateway.address(transport).to_string();
    let data = gateway.data().to_string_lossy().into_owned();
    let mut arguments = vec![
        "chat",
        "--user",
        user,
        "--room",
        "lobby",
        "--transport",
        transport.name(),
    ];
    arguments.extend(["--address", &address, "--data", &data]);
    arguments.extend(more);
    Program::start(gateway.data(), arguments)
}

async fn people_chat_between_processes(transport: Transport) {
    let gateway = GatewayProcess::start(&[]).await;
    let mut bob = chat(&gateway, transport, "bob", &["--json", "--wait", "2"]);
    let entered: Value = json(&bob.line().await.expect("bob enters"));
    assert_eq!(entered["event"], "entered");
    assert_eq!((&entered["room"], &entered["created"]), (&"lobby".into(), &true.into()));

    let mut alice = chat(&gateway, transport, "alice", &[]);
    alice.write_line("hello");
    alice.write_line("wörld 🌍");
    alice.end_input();
    let alice = alice.ended().await;
    assert_eq!((alice.code, alice.stderr.as_str()), (Some(0), ""), "{alice:?}");
    assert!(alice.stdout.contains("alice: hello\n"), "{alice:?}");

    let bob = bob.ended().await;
    assert_eq!((bob.code, bob.stderr.as_str()), (Some(0), ""), "{bob:?}");
    let events: Vec<Value> = bob.stdout.lines().map(json).collect();
    let joined = events.iter().find(|event| event["event"] == "joined");
    assert_eq!(joined.expect("alice comes")["users"][0]["user"], "alice");
    let messages: Vec<_> = events
        .iter()
        .filter(|event| event["event"] == "message")
        .map(|event| {
            assert_eq!((&event["user"], &event["type"]), (&"alice".into(), &"text".into()));
            (event["sequence"].as_u64(), event["content"].as_str())
        })
        .collect();
    assert_eq!(messages, [(Some(1), Some("hello")), (Some(2), Some("wörld 🌍"))]);
}

fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

async fn what_the_gateway_prints_can_be_pasted(transport: Transport) {
    let gateway = GatewayProcess::start(&[]).await;
    let flag = match transport {
        Transport::Tcp => "--user alice",
        Transport::Tls => "--transport tls",
        Transport::Quic => "--transport quic",
    };
    let line = gateway
        .banner()
        .lines()
        .find(|line| line.contains(" chat ") && line.contains(flag))
        .expect("a command for a second terminal");
    // No path here has a space in it. The first word is the program.
    let arguments = line.split_whitespace().skip(1).chain(["--wait", "0"]);
    let elsewhere = TemporaryFolder::new();
    let ended = Program::run(elsewhere.path(), arguments).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{line}");
}

async fn a_wrong_token_ends_a_chat_with_its_code(transport: Transport) {
    let gateway = GatewayProcess::start(&[]).await;
    let ended = chat(&gateway, transport, "alice", &["--token", "nonsense"])
        .ended()
        .await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert!(ended.stderr.contains("31004"), "{ended:?}");
    assert!(ended.stderr.contains(ErrorCode::TOKEN_INVALID.name()), "{ended:?}");
}

async fn a_chat_that_cannot_connect_fails_with_a_code(transport: Transport) {
    let gateway = GatewayProcess::start(&[]).await;
    let stranger = GatewayProcess::start(&[]).await;
    let ended = if transport == Transport::Tcp {
        let data = gateway.data().to_string_lossy().into_owned();
        let arguments = [
            "chat",
            "--user",
            "alice",
            "--room",
            "lobby",
            "--data",
            &data,
            "--address",
            NOBODY,
        ];
        Program::run(gateway.data(), arguments).await
    } else {
        let certificate = stranger.certificate().to_string_lossy().into_owned();
        chat(&gateway, transport, "alice", &["--ca", &certificate])
            .ended()
            .await
    };
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert!(ended.stderr.contains("30010"), "{ended:?}");
}

#[tokio::test]
async fn token_prints_a_token_that_logs_in_and_nothing_else() {
    let gateway = GatewayProcess::start(&[]).await;
    let data = gateway.data().to_string_lossy().into_owned();
    let arguments = [
        "token", "--app", "dev", "--user", "alice", "--ttl", "1h", "--data", &data,
    ];
    let ended = Program::run(gateway.data(), arguments).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let token = ended.stdout.strip_suffix('\n').expect("a line");
    assert!(!token.contains(char::is_whitespace), "{token:?}");

    let mut client = RawClient::connect(&gateway, Transport::Tcp).await;
    let login = Login {
        token: token.to_owned(),
        ..client.login_command("alice")
    };
    let reply = client.call(1, Body::Login(login)).await;
    assert_eq!(reply.code, 0, "{reply:?}");
}

#[tokio::test]
async fn token_says_what_is_missing() {
    let folder = TemporaryFolder::new();
    let ended = Program::run(folder.path(), ["token", "--user", "alice"]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert!(ended.stderr.contains("sluice serve"), "{ended:?}");
    let ended = Program::run(folder.path(), ["token", "--user", "alice", "--ttl", "soon"]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
}

#[tokio::test]
async fn check_config_finds_all_problems_at_once() {
    let folder = TemporaryFolder::new();
    let file = "[connections]\n\
                login_timeout = \"soon\"\n\
                maximum = 7\n\
                \n\
                [listen]\n\
                tcp = \"0.0.0.0:7400\"\n\
                \n\
                [[apps]]\n\
                key = \"chat\"\n";
    fs::write(folder.path().join("sluice.toml"), file).expect("the folder takes a file");
    let arguments = ["check-config", "--config", "sluice.toml", "--set", "workers=none"];
    let ended = Program::run(folder.path(), arguments).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
    for expected in [
        "sluice.toml:2",
        "connections.login_timeout",
        "sluice.toml:3",
        "maximum",
        "sluice.toml:6",
        "listen.allow_plaintext",
        "apps",
        "workers",
    ] {
        assert!(
            ended.stderr.contains(expected),
            "{expected} is missing in\n{}",
            ended.stderr
        );
    }
    // The gateway refuses the same.
    let ended = Program::run(folder.path(), ["serve", "--config", "sluice.toml"]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
}

#[tokio::test]
async fn a_good_configuration_is_valid_and_shown_without_its_secrets() {
    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    let gateway = GatewayProcess::start(&[]).await;
    let folder = TemporaryFolder::new();
    let file = format!(
        "data = {:?}\n[listen]\ntcp = \"127.0.0.1:0\"\ntls = \"off\"\nquic = \"off\"\nhttp = \"127.0.0.1:0\"\napi = \"off\"\n\
         [[apps]]\nkey = \"chat\"\n[[apps.keys]]\nalgorithm = \"HS256\"\nsecret = \"{SECRET}\"\n",
        gateway.data()
    );
    fs::write(folder.path().join("sluice.toml"), file).expect("the folder takes a file");
    let ended = Program::run(folder.path(), ["check-config", "--config", "sluice.toml"]).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let ended = Program::run(folder.path(), ["config", "--config", "sluice.toml"]).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert!(ended.stdout.contains("chat"), "{ended:?}");
    assert!(!ended.stdout.contains(SECRET), "{ended:?}");
}

#[tokio::test]
async fn a_port_in_use_ends_the_gateway_and_names_the_port() {
    let first = GatewayProcess::start(&[]).await;
    let flags = [
        ("--tcp", first.address(Transport::Tcp)),
        ("--tls", first.address(Transport::Tls)),
        ("--quic", first.address(Transport::Quic)),
        ("--http", first.http()),
        ("--api", first.api()),
    ];
    let folder = TemporaryFolder::new();
    for (taken, address) in flags {
        let address = address.to_string();
        let mut arguments = vec!["serve"];
        for flag in ["--tcp", "--tls", "--quic", "--http", "--api"] {
            arguments.extend([flag, if flag == taken { &address } else { "127.0.0.1:0" }]);
        }
        let ended = Program::run(folder.path(), arguments).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{taken}");
        assert!(ended.stderr.contains(&address), "{ended:?}");
    }
}

#[tokio::test]
async fn a_second_start_keeps_the_secret_and_the_certificate() {
    let folder = TemporaryFolder::new();
    let data = folder.path().join("data");
    let files = || {
        let mut files: Vec<_> = fs::read_dir(&data)
            .expect("the data folder is there")
            .map(|entry| {
                let path = entry.expect("an entry").path();
                let content = fs::read(&path).expect("a file");
                (path, content)
            })
            .collect();
        files.sort();
        files
    };
    let mut kept = None;
    for _ in 0..2 {
        let mut arguments = vec!["serve"];
        for flag in ["--tcp", "--tls", "--quic", "--http", "--api"] {
            arguments.extend([flag, "127.0.0.1:0"]);
        }
        let mut gateway = Program::start(folder.path(), arguments);
        while gateway.line().await.is_some_and(|line| !line.starts_with("Ctrl-C")) {}
        gateway.terminate();
        assert_eq!(gateway.ended().await.code, Some(0));
        let found = files();
        assert!(found.len() >= 3, "a secret, a certificate and its key");
        assert_eq!(*kept.get_or_insert_with(|| found.clone()), found);
    }
}
