//! What the app's server does to rooms by the server API, as clients inside see it.

mod entries;
mod house;
mod limits;
mod lists;
mod messages;
mod moderation;
mod refused_by_the_disk;
mod restart;
mod words;

use serde_json::{Value, json};
use sluice_gateway::config::{Config, Rate};
use sluice_protocol::frame::Body;
use sluice_tests::{ApiCall, Gateway, RawClient, Transport};

use crate::rooms::{enter, join_chat_room, no_rate_limits};

const ROOM: &str = "lobby";

/// As fast as a test can.
pub(crate) fn unhindered(config: &mut Config) {
    no_rate_limits(config);
    config.apps[0].api_keys[0].rate = Rate::Unlimited;
}

/// What a call answers that succeeds, without its code.
pub(crate) async fn ask(gateway: &Gateway, path: &str, fields: &[(&str, &str)]) -> Value {
    let mut answer = ApiCall::new(path, fields).send(gateway.api()).await;
    assert_eq!(
        (answer.status, answer.code()),
        (200, 200),
        "{path} {fields:?}: {answer:?}"
    );
    let fields = answer.json.as_object_mut().expect("an object");
    fields.remove("code");
    answer.json
}

/// A call that succeeds and answers nothing more.
pub(crate) async fn order(gateway: &Gateway, path: &str, fields: &[(&str, &str)]) {
    assert_eq!(ask(gateway, path, fields).await, json!({}), "{path} {fields:?}");
}

/// The status and code of a call that fails.
pub(crate) async fn refused_with(gateway: &Gateway, path: &str, fields: &[(&str, &str)]) -> (u16, i64) {
    let answer = ApiCall::new(path, fields).send(gateway.api()).await;
    let message = answer.json["errorMessage"].as_str().unwrap_or_default();
    assert!(!message.is_empty(), "{path} {fields:?}: {answer:?}");
    assert_eq!(answer.json["url"], json!(path), "{answer:?}");
    (answer.status, answer.code())
}

/// Somebody inside of a room of the policy `live`.
async fn inside(gateway: &Gateway, user: &str, room: &str) -> RawClient {
    let mut client = RawClient::online(gateway, Transport::Tcp, user).await;
    enter(&mut client, 1, join_chat_room(room, 0)).await;
    client
}

/// Alice and Bob inside of [`ROOM`], who have heard of each other.
async fn alice_and_bob(gateway: &Gateway) -> [RawClient; 2] {
    let mut alice = inside(gateway, "alice", ROOM).await;
    let bob = inside(gateway, "bob", ROOM).await;
    expect_joined(&mut alice, "bob").await;
    [alice, bob]
}

async fn expect_joined(client: &mut RawClient, user: &str) {
    match client.event().await {
        Body::RoomMemberJoined(joined) => {
            let ids: Vec<&str> = joined.members.iter().map(|member| &*member.user_id).collect();
            assert_eq!(ids, [user]);
        }
        other => panic!("{other:?}; {client:?}"),
    }
}

/// The users of a list, whose entries all end.
fn users_with_ends(answer: &Value) -> Vec<&str> {
    let users = answer["users"].as_array().expect("a list");
    let user = |user| {
        let ends = text_of(user, "time");
        assert!(ends.len() == 19 && ends.starts_with("20"), "{ends:?} is a time");
        text_of(user, "userId")
    };
    users.iter().map(user).collect()
}

fn text_of<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field]
        .as_str()
        .unwrap_or_else(|| panic!("{field} is a text in {object}"))
}
