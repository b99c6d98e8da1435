//! The Python client of the documentation against the gateway, and the bytes that the protocol page shows.
//!
//! `SLUICE_TEST_PYTHON` names a Python with the packages of `docs/examples/python/requirements.txt`; `cargo xtask test`
//! makes one and sets it. The tests in Python lie in the folder of this file's name.

use std::env;
use std::io::{Write as _, stderr};
use std::path::{Path, PathBuf};
use std::process::Command;

use sluice_client::{Client, Event, Events, History, LeaveReason, OutgoingMessage, SendOutcome, SyncOptions};
use sluice_tests::{Ended, Gateway, TemporaryFolder, Transport, within};
use tokio::task::{JoinHandle, spawn_blocking};

/// Names the interpreter.
const PYTHON: &str = "SLUICE_TEST_PYTHON";

/// Where it speaks: Python has no QUIC.
const TRANSPORTS: [Transport; 2] = [Transport::Tcp, Transport::Tls];

/// A Python that knows the example client and the classes made from the schema.
struct Python {
    interpreter: PathBuf,
    classes: TemporaryFolder,
}

impl Python {
    /// `None` where there is none, which the terminal is told and CI does not accept.
    fn new() -> Option<Self> {
        let Some(interpreter) = env::var_os(PYTHON) else {
            assert!(
                env::var_os("CI").is_none(),
                "{PYTHON} is not set: CI runs `cargo xtask test`, which sets it"
            );
            // Unlike eprintln!, this is seen although the test passes.
            stderr()
                .write_all(
                    format!("NOT TESTED: the Python client, since {PYTHON} is not set; run `cargo xtask test`\n")
                        .as_bytes(),
                )
                .expect("a terminal that takes a line");
            return None;
        };
        let python = Self {
            interpreter: interpreter.into(),
            classes: TemporaryFolder::new(),
        };
        python.make_classes();
        Some(python)
    }

    fn make_classes(&self) {
        let schema = repository().join("protocol/proto");
        let package = schema.join("sluice/v1");
        let files = package.read_dir().expect("the schema's folder");
        let output = Command::new(&self.interpreter)
            .args(["-m", "grpc_tools.protoc"])
            .arg(option("--proto_path=", &schema))
            .arg(option("--python_out=", self.classes.path()))
            .args(files.map(|file| file.expect("a file of the schema").path()))
            .output()
            .expect("the interpreter starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Starts a script with these arguments; the handle gives what it has left at its end.
    fn start(&self, script: &Path, arguments: impl IntoIterator<Item = String>) -> JoinHandle<Ended> {
        let classes = self.classes.path();
        let path = env::join_paths([classes, &client_folder()]).expect("paths without a colon");
        let mut command = Command::new(&self.interpreter);
        command
            // Without it the script's folder came first, where classes of another version may lie.
            .arg("-P")
            .arg(script)
            .args(arguments)
            .env("PYTHONPATH", path)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PYTHONUTF8", "1");
        spawn_blocking(move || {
            let output = command.output().expect("the interpreter starts");
            Ended {
                code: output.status.code(),
                stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
                stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            }
        })
    }

    /// Starts the client's command line as dora.
    fn chat(&self, gateway: &Gateway, transport: Transport, token: String, more: &[&str]) -> JoinHandle<Ended> {
        let mut arguments = ["--user", "dora", "--app", gateway.app_key(), "--token"]
            .map(String::from)
            .to_vec();
        arguments.push(token);
        arguments.extend(["--address".into(), gateway.address(transport).to_string()]);
        if transport == Transport::Tls {
            arguments.extend(["--tls".into(), "--ca".into(), text(&gateway.certificate())]);
        }
        arguments.extend(more.iter().copied().map(String::from));
        self.start(&client_folder().join("sluice_client.py"), arguments)
    }

    /// Runs a file of tests in Python.
    async fn test(&self, file: &str, arguments: impl IntoIterator<Item = String>) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/python_client")
            .join(file);
        let ended = finished(self.start(&script, arguments)).await;
        assert_eq!(ended.code, Some(0), "{file}:\n{}{}", ended.stdout, ended.stderr);
    }
}

async fn finished(running: JoinHandle<Ended>) -> Ended {
    within("the script to end", running)
        .await
        .expect("waiting for it does not panic")
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this crate lies in the workspace")
}

fn client_folder() -> PathBuf {
    repository().join("docs/examples/python")
}

fn option(name: &str, path: &Path) -> String {
    format!("{name}{}", path.display())
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

async fn online(gateway: &Gateway, user: &str, transport: Transport) -> (Client, Events) {
    within("a login", Client::connect(gateway.options(user, transport)))
        .await
        .expect("a login")
}

async fn next(events: &mut Events) -> Event {
    within("an event", events.next()).await.expect("the connection lives")
}

#[tokio::test]
async fn it_chats_with_the_rust_client_and_logs_out() {
    let Some(python) = Python::new() else { return };
    for transport in TRANSPORTS {
        let gateway = Gateway::start(|_| {});
        let (bob, mut events) = online(&gateway, "bob", transport).await;
        bob.enter_room("lobby", "").await.expect("a room");
        let dora = python.chat(
            &gateway,
            transport,
            gateway.token("dora"),
            &[
                "--name",
                "Dora 中",
                "--room",
                "lobby",
                "--say",
                "hello from Python",
                "wörld 🌍",
                "--wait",
                "1",
            ],
        );

        let Event::MemberJoined(joined) = next(&mut events).await else {
            panic!("dora comes first")
        };
        assert_eq!(joined.members[0].user_id, "dora");
        for expected in ["hello from Python", "wörld 🌍"] {
            let Event::RoomMessage(message) = next(&mut events).await else {
                panic!("then she says {expected}")
            };
            assert_eq!(message.sender.user_name, "Dora 中");
            assert_eq!(message.content, expected);
        }
        bob.send(OutgoingMessage::text("lobby", "hello from Rust"))
            .await
            .expect("a message");
        let Event::RoomMessage(_) = next(&mut events).await else {
            panic!("what bob says comes to himself")
        };
        let Event::MemberLeft(left) = next(&mut events).await else {
            panic!("then dora is gone")
        };
        assert_eq!(left.reason, LeaveReason::Logout, "over {transport}");

        let dora = finished(dora).await;
        assert_eq!((dora.code, dora.stderr.as_str()), (Some(0), ""), "over {transport}");
        assert_eq!(
            dora.stdout,
            "* entered lobby, 2 inside\ndora: hello from Python\ndora: wörld 🌍\nbob: hello from Rust\n"
        );
        gateway.stop().await;
    }
}

#[tokio::test]
async fn it_gets_the_history_it_asks_for_and_then_what_is_said() {
    let Some(python) = Python::new() else { return };
    for transport in TRANSPORTS {
        let gateway = Gateway::start(|_| {});
        let (bob, _events) = online(&gateway, "bob", transport).await;
        bob.join_chat_room("den", History::None).await.expect("a room");
        for text in ["one", "two", "three"] {
            bob.send(OutgoingMessage::text("den", text)).await.expect("a message");
        }
        let more = ["--room", "den", "--history", "2", "--say", "four"];
        let dora = finished(python.chat(&gateway, transport, gateway.token("dora"), &more)).await;
        assert_eq!((dora.code, dora.stderr.as_str()), (Some(0), ""), "over {transport}");
        assert_eq!(
            dora.stdout,
            "* entered den, 2 inside\nbob: two [history, 1 left]\nbob: three [history, 0 left]\ndora: four\n"
        );
        gateway.stop().await;
    }
}

#[tokio::test]
async fn it_talks_with_one_user_who_may_be_away() {
    let Some(python) = Python::new() else { return };
    for transport in TRANSPORTS {
        let gateway = Gateway::start(|_| {});
        let dora = python.chat(
            &gateway,
            transport,
            gateway.token("dora"),
            &["--to", "bob", "--say", "hello"],
        );
        let dora = finished(dora).await;
        assert_eq!((dora.code, dora.stderr.as_str()), (Some(0), ""), "over {transport}");

        let options = gateway.options("bob", transport).sync(SyncOptions::default());
        let (bob, mut events) = within("a login", Client::connect(options)).await.expect("a login");
        assert!(matches!(next(&mut events).await, Event::ConversationsSynced(_)));
        let Event::ConversationMessage(message) = next(&mut events).await else {
            panic!("dora has said something")
        };
        assert_eq!((&*message.content, &*message.conversation.id), (&b"hello"[..], "dora"));
        let answer = OutgoingMessage::text(&message.conversation, "here now");
        let outcome = within("an outcome", bob.submit(answer)).await;
        assert!(matches!(outcome, SendOutcome::Sent(_)), "{outcome:?}");

        let dora = python.chat(
            &gateway,
            transport,
            gateway.token("dora"),
            &["--to", "bob", "--wait", "1"],
        );
        let dora = finished(dora).await;
        assert_eq!((dora.code, dora.stderr.as_str()), (Some(0), ""), "over {transport}");
        // Her own message is of another connection, and was not acknowledged.
        assert_eq!(dora.stdout, "dora to bob: hello\nbob to dora: here now\n");
        let moved = next(&mut events).await;
        assert!(
            matches!(&moved, Event::PositionMoved(moved) if moved.read_sequence == 2),
            "{moved:?}"
        );
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_bad_token_ends_it_with_exit_code_1_and_the_code() {
    let Some(python) = Python::new() else { return };
    let gateway = Gateway::start(|_| {});
    for transport in TRANSPORTS {
        let mut token = gateway.token("dora");
        token.push_str("AAAA");
        let ended = finished(python.chat(&gateway, transport, token, &["--room", "lobby", "--wait", "1"])).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "over {transport}");
        assert!(
            ended.stderr.starts_with("error 31004 (bad_signature): "),
            "{}",
            ended.stderr
        );
    }
    gateway.stop().await;
}

#[tokio::test]
async fn it_makes_its_own_token_for_a_gateway_in_development_mode() {
    let Some(python) = Python::new() else { return };
    let gateway = sluice_tests::GatewayProcess::start(&[]).await;
    let arguments = ["--user", "dora", "--room", "lobby", "--say", "hello", "--tls", "--data"];
    let mut arguments = arguments.map(String::from).to_vec();
    arguments.push(text(gateway.data()));
    arguments.extend(["--address".into(), gateway.address(Transport::Tls).to_string()]);
    let dora = finished(python.start(&client_folder().join("sluice_client.py"), arguments)).await;
    assert_eq!((dora.code, dora.stderr.as_str()), (Some(0), ""));
    assert_eq!(dora.stdout, "* entered lobby, 1 inside\ndora: hello\n");
}

#[tokio::test]
async fn its_library_knows_every_command() {
    let Some(python) = Python::new() else { return };
    let gateway = Gateway::start(|_| {});
    for transport in TRANSPORTS {
        let address = gateway.address(transport);
        let certificate = match transport {
            Transport::Tls => text(&gateway.certificate()),
            _ => String::new(),
        };
        let arguments = [
            address.ip().to_string(),
            address.port().to_string(),
            certificate,
            gateway.token("erin"),
        ];
        python.test("test_gateway.py", arguments).await;
    }
    gateway.stop().await;
}

#[tokio::test]
async fn it_stands_what_a_server_may_do() {
    let Some(python) = Python::new() else { return };
    python.test("test_client.py", []).await;
}

#[tokio::test]
async fn the_bytes_and_the_token_of_the_protocol_page_are_right() {
    let Some(python) = Python::new() else { return };
    python
        .test("test_protocol_page.py", [text(&repository().join("docs/protocol.md"))])
        .await;
}
