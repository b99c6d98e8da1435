//! What is written down of what clients and servers say: never a secret, never the words of a message, and nothing that ends a line or
//! commands a terminal.

use std::fs;

use serde_json::Value;
use sluice_gateway::development;
use sluice_protocol::frame::Body;
use sluice_protocol::{
    CreateRoom, Login, LoginResult, PROTOCOL_VERSION, RenewToken, SendMessage, SetRoomAttributes, reply,
};
use sluice_tests::{ApiCall, Ended, GatewayProcess, RawClient, Transport, exchange, sha1_signature};
use tokio::net::TcpStream;

use crate::rooms::{join_chat_room, text};

/// Reddens a terminal, rings its bell, ends lines in four ways, turns the direction of writing, and forges a line of the log.
const HOSTILE: &str =
    "\u{1b}[31m\u{7}\r\n{\"level\":\"INFO\",\"message\":\"forged\"}\u{85}\u{9b}2J\u{2028}\u{2029}\u{202e}end";

/// Stands in everything that is nobody's business.
const CANARY: &str = "canary";

/// What was said to a gateway that is not to be found in its log.
struct Said {
    secrets: Vec<String>,
}

/// Everything that is logged in one life of a gateway, to whom everything was said.
async fn log_of(format: &str, level: &str) -> (Ended, String, Said) {
    let settings = [format!("log.format={format}"), format!("log.level={level}")];
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let gateway = GatewayProcess::start(&settings).await;
    // Users may be called anything but control characters.
    let file = gateway.data().join("app-dev.toml");
    let apps = fs::read_to_string(&file).expect("the development app");
    let wide = apps.replace("key = \"dev\"", "key = \"dev\"\nid_profile = \"wide\"");
    assert_ne!(apps, wide);
    fs::write(&file, wide).expect("written");
    let secrets = apps.lines().filter_map(|line| line.strip_prefix("secret = "));
    let secrets: Vec<String> = secrets.map(|secret| secret.trim_matches('"').to_owned()).collect();
    let [_, api_secret] = &secrets[..] else {
        panic!("two secrets: {apps}")
    };
    let api_secret = api_secret.clone();
    let gateway = gateway.killed_and_started_again().await;
    let mut said = Said { secrets };
    say_as_client(&gateway, &mut said).await;
    say_as_server(&gateway, &api_secret, &mut said).await;
    said.secrets.push(CANARY.to_owned());
    let audit = gateway.data().join("audit.log");
    let folder = gateway.data().to_owned();
    assert!(folder.exists());
    gateway.terminate();
    // The data folder goes with the process; the file is read while it is open.
    let mut file = fs::File::open(audit).expect("the audit log");
    let ended = gateway.ended().await;
    let mut audit = String::new();
    std::io::Read::read_to_string(&mut file, &mut audit).expect("text");
    (ended, audit, said)
}

async fn say_as_client(gateway: &GatewayProcess, said: &mut Said) {
    let user = "bob\u{2028}\u{202e}";
    for transport in Transport::ALL {
        let mut client = RawClient::connect(gateway, transport).await;
        let token = gateway.token(user);
        let login = Login {
            protocol_version: PROTOCOL_VERSION,
            app_key: gateway.app_key().to_owned(),
            user_id: user.to_owned(),
            user_name: HOSTILE.to_owned(),
            token: token.clone(),
            device_id: "\u{1b}[31m\r\nforged\u{2028}".to_owned(),
            package_name: HOSTILE.to_owned(),
            sdk: "\u{1b}[31m\r\nforged\u{2028}".to_owned(),
            ..Login::default()
        };
        // Refused at first, with words that are hostile themselves.
        let mut wrong = RawClient::connect(gateway, transport).await;
        let refused = Login {
            token: format!("{token}{CANARY}{HOSTILE}"),
            ..login.clone()
        };
        assert_ne!(wrong.call(1, Body::Login(refused)).await.code, 0);
        let mut of_no_app = RawClient::connect(gateway, transport).await;
        let refused = Login {
            app_key: HOSTILE[..40].to_owned(),
            ..login.clone()
        };
        assert_ne!(of_no_app.call(1, Body::Login(refused)).await.code, 0);

        let reply = client.call(1, Body::Login(login)).await;
        let Some(reply::Result::Login(LoginResult { resume_secret, .. })) = reply.result else {
            panic!("{reply:?}")
        };
        assert!(!resume_secret.is_empty());
        said.secrets.extend([token, resume_secret]);
        let renewed = gateway.token(user);
        let renewal = RenewToken { token: renewed.clone() };
        assert_eq!(client.call(2, Body::RenewToken(renewal)).await.code, 0);
        said.secrets.push(renewed);
        let room = CreateRoom {
            room_id: format!("room-{}", transport.name()),
            room_name: HOSTILE.to_owned(),
            extra: format!("{CANARY}{HOSTILE}"),
            attribute_keys: vec!["key".into()],
            attribute_values: vec![format!("{CANARY}{HOSTILE}")],
            ..CreateRoom::default()
        };
        assert_eq!(client.call(3, Body::CreateRoom(room.clone())).await.code, 0);
        let attributes = SetRoomAttributes {
            room_id: room.room_id.clone(),
            keys: vec![format!("{CANARY}{}", &HOSTILE[..5])],
            values: vec![HOSTILE.to_owned()],
            ..SetRoomAttributes::default()
        };
        client.call(4, Body::SetRoomAttributes(attributes)).await;
        let message = SendMessage {
            extended_data: format!("{CANARY}{HOSTILE}"),
            client_message_id: CANARY.to_owned(),
            ..text(&room.room_id, &format!("{CANARY}{HOSTILE}"))
        };
        assert_eq!(client.call(5, Body::SendMessage(message)).await.code, 0);
        assert_ne!(client.call(6, join_chat_room(HOSTILE, 0)).await.code, 0);
    }
}

async fn say_as_server(gateway: &GatewayProcess, api_secret: &str, said: &mut Said) {
    let api = gateway.api();
    let signed = |path: &str, fields: &[(&str, &str)]| ApiCall::of(development::APP, api_secret, path, fields);
    let (user, canary) = (("userId", "bob\u{2028}\u{202e}"), format!("{CANARY}{HOSTILE}"));
    for (path, fields) in [
        (
            "/chatroom/create_new.json",
            &[("chatroomId", "hall"), ("chatroomName", HOSTILE)][..],
        ),
        (
            "/chatroom/user/gag/add.json",
            &[
                ("chatroomId", "hall"),
                user,
                ("minute", "1"),
                ("extra", &canary),
                ("needNotify", "true"),
            ],
        ),
        (
            "/sensitiveword/add.json",
            &[("word", "canaryword"), ("replaceWord", "canary")],
        ),
        (
            "/chatroom/entry/set.json",
            &[("chatroomId", "hall"), user, ("key", "canary"), ("value", &canary)],
        ),
        (
            "/message/chatroom/publish.json",
            &[
                ("fromUserId", "bob\u{2028}"),
                ("toChatroomId", "hall"),
                ("objectName", "app:x"),
                ("content", &canary),
            ],
        ),
        ("/user/block.json", &[user, ("minute", "1")]),
    ] {
        let answer = signed(path, fields).send(api).await;
        assert_eq!(answer.code(), 200, "{path}: {answer:?}");
    }
    let issued = signed("/user/getToken.json", &[user, ("name", &canary)])
        .send(api)
        .await;
    said.secrets
        .push(issued.json["token"].as_str().expect("a token").to_owned());
    let good = signed("/user/checkOnline.json", &[user]);
    said.secrets.push(sha1_signature(api_secret, "8501426", "1795259670"));
    for refused in [
        signed("/chatroom/create_new.json", &[("chatroomId", HOSTILE)]),
        signed("/user/block.json", &[("userId", HOSTILE), ("minute", HOSTILE)]),
        signed("/%1b%5b31m%0d%0aforged", &[user]),
        ApiCall::of("canary\u{1b}[31m", api_secret, "/user/block.json", &[user]),
        ApiCall::of(development::APP, "canary", "/user/block.json", &[user]),
        good.clone().header("X-Request-ID", "canary\u{1b}[31m"),
        good.clone().header("X-Request-ID", "canary\u{2028}"),
        good.clone().header("User-Agent", "canary\u{9b}"),
        good.clone().header("Key-Id", "canary\u{9b}"),
    ] {
        // What HTTP itself forbids is answered without a body, or not at all.
        let stream = TcpStream::connect(api).await.expect("a connection");
        exchange(stream, &refused.bytes()).await;
    }
}

fn assert_harmless(text: &str, said: &Said) {
    for (number, line) in text.lines().enumerate() {
        let wrong = line
            .chars()
            .find(|character| character.is_control() || matches!(character, '\u{2028}' | '\u{2029}' | '\u{202e}'));
        assert_eq!(wrong, None, "line {number}: {line:?}");
        for secret in &said.secrets {
            assert!(!line.contains(&**secret), "line {number} has {secret:?}: {line:?}");
        }
    }
}

#[tokio::test]
async fn the_log_and_the_audit_log_have_no_secret_and_nothing_that_commands_a_terminal() {
    for (format, level) in [("json", "trace"), ("text", "trace"), ("text", "info")] {
        let (ended, audit, said) = log_of(format, level).await;
        assert_eq!(ended.code, Some(0));
        assert!(said.secrets.len() > 10, "{}", said.secrets.len());
        assert_harmless(&ended.stderr, &said);
        assert_harmless(&audit, &said);
        // It was told what there was to tell, the hostile names among it.
        for told in ["connection closed", "a change by the server API", "bob"] {
            assert!(
                ended.stderr.contains(told),
                "{format} {level}: no {told:?} in {}",
                ended.stderr
            );
        }
        if level == "trace" {
            assert!(
                ended.stderr.contains("logged in") && ended.stderr.contains("forged"),
                "{}",
                ended.stderr
            );
        }
        let lines: Vec<Value> = audit
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?}")))
            .collect();
        assert!(
            lines.iter().any(|line| line["users"][0] == "bob\u{2028}\u{202e}"),
            "{audit}"
        );
        if format == "json" {
            for line in ended.stderr.lines() {
                let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
                assert!(line["level"].is_string() && line["message"] != "forged", "{line}");
            }
        }
    }
}
