//! `sluice chat` with one other and in a group: what is typed, what is shown.

use serde_json::Value;
use sluice_tests::{GatewayProcess, Program, Transport};

/// `sluice chat` as `user` in no room.
fn chat(gateway: &GatewayProcess, user: &str, more: &[&str]) -> Program {
    let address = gateway.address(Transport::Tcp).to_string();
    let data = gateway.data().to_string_lossy().into_owned();
    let mut arguments = vec!["chat", "--user", user, "--address", &address, "--data", &data];
    arguments.extend(more);
    Program::start(gateway.data(), arguments)
}

async fn line_with(program: &mut Program, part: &str) -> String {
    loop {
        let line = program.line().await.expect("it goes on");
        if line.contains(part) {
            return line;
        }
    }
}

#[tokio::test]
async fn what_is_said_to_one_who_is_away_comes_at_the_next_login() {
    let gateway = GatewayProcess::start(&[]).await;
    let mut alice = chat(&gateway, "alice", &[]);
    for line in ["/recall 7", "/to bob", "hello", "a slip"] {
        alice.write_line(line);
    }
    let mistake = line_with(&mut alice, "33003").await;
    assert!(mistake.contains("say first in which conversation"), "{mistake}");
    let sent = line_with(&mut alice, "sent, 2 of talk with bob").await;
    let (_, id) = sent.rsplit_once(' ').expect("an id");
    alice.write_line(&format!("/recall {id}"));
    alice.write_line("/history");
    alice.write_line("/conversations");
    alice.end_input();
    let alice = alice.ended().await;
    assert_eq!((alice.code, alice.stderr.as_str()), (Some(0), ""), "{alice:?}");
    let shown = "alice, 1 of talk with bob: hello\n\
                 alice, 2 of talk with bob: (taken back)\n\
                 * talk with bob: 2 messages, 0 unread\n";
    assert!(alice.stdout.ends_with(shown), "{alice:?}");

    let bob = chat(&gateway, "bob", &["--json", "--wait", "2"]).ended().await;
    assert_eq!((bob.code, bob.stderr.as_str()), (Some(0), ""), "{bob:?}");
    let events: Vec<Value> = bob.stdout.lines().map(json).collect();
    assert_eq!(events[0]["event"], "synced");
    let conversation = &events[0]["conversations"][0];
    assert_eq!(
        (&conversation["conversation"], &conversation["id"]),
        (&"peer".into(), &"alice".into())
    );
    assert_eq!(
        (&events[1]["event"], &events[1]["content"]),
        (&"conversation_message".into(), &"hello".into())
    );
    assert_eq!((&events[2]["sequence"], &events[2]["content"]), (&2.into(), &"".into()));
    assert!(events[2]["taken_back_ms"].as_i64() > Some(0), "{bob:?}");
}

#[tokio::test]
async fn a_group_is_made_spoken_in_and_left() {
    let gateway = GatewayProcess::start(&[]).await;
    let mut bob = chat(&gateway, "bob", &["--json"]);
    assert_eq!(json(&bob.line().await.expect("bob is there"))["event"], "synced");
    let mut alice = chat(&gateway, "alice", &[]);
    for line in ["/create-group cats", "/add bob", "meow"] {
        alice.write_line(line);
    }
    line_with(&mut alice, "sent, 1 of group cats").await;
    let invited = json(&line_with(&mut bob, "invited").await);
    assert_eq!((&invited["id"], &invited["by"]), (&"cats".into(), &"alice".into()));
    let message = json(&line_with(&mut bob, "conversation_message").await);
    assert_eq!((&message["id"], &message["content"]), (&"cats".into(), &"meow".into()));
    for line in ["/group cats", "/read", "purr", "/quit"] {
        bob.write_line(line);
    }
    bob.end_input();
    let bob = bob.ended().await;
    assert_eq!((bob.code, bob.stderr.as_str()), (Some(0), ""), "{bob:?}");
    line_with(&mut alice, "bob, 2 of group cats: purr").await;
    line_with(&mut alice, "bob left group cats").await;
    alice.end_input();
    assert_eq!(alice.ended().await.code, Some(0));
}

fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}
