//! What the app's server does to groups and conversations by the server API, as clients see it.

mod groups;
mod limits;
mod lists;
mod messages;
mod reading;

use serde_json::{Value, json};
use sluice_gateway::config::{Config, Rate};
use sluice_protocol::frame::Body;
use sluice_protocol::{ConversationMessage, ConversationType, SyncConversations, SyncPage};
use sluice_tests::{Gateway, RawClient, Transport};

use crate::conversations::{listening, next, sync_page, to};
use crate::rooms::refused;
use crate::server_api_rooms::{ask, order, refused_with, unhindered};

const GROUP: &str = "g1";

/// As fast as a test can.
fn free(config: &mut Config) {
    unhindered(config);
    config.conversations.writes_per_second = Rate::Unlimited;
    config.conversations.queries_per_second = Rate::Unlimited;
}

async fn online(gateway: &Gateway, user: &str) -> RawClient {
    listening(gateway, Transport::Tcp, user).await
}

/// A group of these, who have heard of it.
async fn group_of(gateway: &Gateway, clients: &mut [(&str, &mut RawClient)]) {
    let mut fields = vec![("groupId", GROUP), ("groupName", "Friends")];
    fields.extend(clients.iter().map(|(user, _)| ("userId", *user)));
    order(gateway, "/group/create.json", &fields).await;
    for (_, client) in clients {
        assert!(matches!(client.event().await, Body::Invited(_)));
    }
}

/// What sending to the group comes to: 0 or the code, and the detail.
async fn sends(client: &mut RawClient, request_id: u32) -> (i32, String) {
    comes_to(client, request_id, ConversationType::Group, GROUP).await
}

async fn comes_to(client: &mut RawClient, request_id: u32, kind: ConversationType, id: &str) -> (i32, String) {
    let reply = client.call(request_id, Body::SendMessage(to(kind, id, "hello"))).await;
    if reply.code == 0 {
        return (0, String::new());
    }
    let (code, detail) = refused(&reply);
    (code, detail.to_owned())
}

/// What somebody is given who comes now.
async fn missed(gateway: &Gateway, user: &str) -> SyncPage {
    let mut client = RawClient::online(gateway, Transport::Tcp, user).await;
    sync_page(&mut client, 1, SyncConversations::default()).await
}

fn text_of(message: &ConversationMessage) -> &str {
    std::str::from_utf8(&message.content).expect("a text")
}
