//! Clients that ask more about conversations than they read, or name what is not theirs.

use sluice_gateway::config::{Config, Rate};
use sluice_protocol::frame::Body;
use sluice_protocol::{
    AddMembers, ConversationType, ErrorCode, MessageType, Ping, QueryMessages, SendMessage, SyncConversations,
    SyncPage, reply,
};
use sluice_tests::{Gateway, RawClient, Transport, on_all_transports};

use crate::conversations::{group, say, sync_page, to_peer};
use crate::rooms::refused;

on_all_transports!(
    who_asks_for_many_pages_and_reads_none_gets_them_all_once_it_reads,
    more_users_than_a_command_may_name_are_refused_and_more_fields_than_it_may_have_end_the_connection,
);

/// The largest content.
const LARGE: usize = 32 * 1024;

/// Of each type, as many as a session may send in a second. Together they are more than a page.
const OF_EACH_TYPE: u32 = 10;

/// Questions of half a MiB each that are sent before anything is read.
const QUESTIONS: u32 = 24;

fn no_limits_on_questions(config: &mut Config) {
    config.conversations.queries_per_second = Rate::Unlimited;
    crate::conversations::several_devices(config);
}

/// Says more to a user than is on a page.
async fn say_much(client: &mut RawClient, user: &str) {
    for number in 0..OF_EACH_TYPE {
        let text = to_peer(user, &"x".repeat(LARGE));
        let custom = SendMessage {
            r#type: MessageType::Custom.into(),
            object_name: "app:much".into(),
            ..text.clone()
        };
        say(client, 2 * number + 1, text).await;
        say(client, 2 * number + 2, custom).await;
    }
}

async fn who_asks_for_many_pages_and_reads_none_gets_them_all_once_it_reads(transport: Transport) {
    let gateway = Gateway::start(no_limits_on_questions);
    let mut bob = RawClient::online(&gateway, transport, "bob").await;
    say_much(&mut bob, "alice").await;
    let mut alice = RawClient::online(&gateway, transport, "alice").await;
    let question = |_| {
        Body::QueryMessages(QueryMessages {
            r#type: ConversationType::Peer.into(),
            id: "bob".into(),
            limit: 1000,
            ..QueryMessages::default()
        })
    };
    alice.send_together(1, (0..QUESTIONS).map(question)).await;
    // Nobody waits for her.
    let mut carol = RawClient::online(&gateway, transport, "carol").await;
    assert_eq!(carol.call(1, Body::Ping(Ping {})).await.code, 0);
    for request_id in 1..=QUESTIONS {
        let reply = alice.reply(request_id).await;
        let Some(reply::Result::Messages(page)) = reply.result else {
            panic!("{:?} {:?}", reply.code, reply.detail);
        };
        assert!(page.more && page.messages.len() > 10, "{}", page.messages.len());
        let sequences: Vec<u64> = page.messages.iter().map(|message| message.sequence).collect();
        assert!(sequences.is_sorted() && sequences.last() == Some(&u64::from(2 * OF_EACH_TYPE)));
    }
    assert_eq!(alice.call(100, Body::Ping(Ping {})).await.code, 0);
}

async fn more_users_than_a_command_may_name_are_refused_and_more_fields_than_it_may_have_end_the_connection(
    transport: Transport,
) {
    let gateway = Gateway::start(|_| ());
    let mut alice = RawClient::online(&gateway, transport, "alice").await;
    group(&mut alice, "g1", &[]).await;
    let add = |count: usize| {
        Body::AddMembers(AddMembers {
            r#type: ConversationType::Group.into(),
            id: "g1".into(),
            user_ids: (0..count).map(|number| format!("user{number}")).collect(),
        })
    };
    assert_eq!(alice.call(1, add(100)).await.code, 0);
    let reply = alice.call(2, add(101)).await;
    assert_eq!(
        refused(&reply),
        (ErrorCode::INVALID_PARAMETER.number(), "user_ids"),
        "{reply:?}"
    );
    alice.send(3, add(257)).await;
    assert_eq!(alice.expect_close().await.code, ErrorCode::MALFORMED_FRAME.number());
}

fn page_after(cursor: &str) -> SyncConversations {
    SyncConversations {
        cursor: cursor.to_owned(),
        ..SyncConversations::default()
    }
}

async fn first_page(client: &mut RawClient) -> SyncPage {
    let page = sync_page(client, 500, SyncConversations::default()).await;
    assert!(!page.next_cursor.is_empty(), "it is more than a page");
    page
}

#[tokio::test]
async fn a_cursor_of_somebody_else_is_refused_and_so_is_one_that_is_made_up() {
    let gateway = Gateway::start(no_limits_on_questions);
    for (from, to) in [("bob", "alice"), ("dave", "mallory")] {
        let mut sender = RawClient::online(&gateway, Transport::Tcp, from).await;
        say_much(&mut sender, to).await;
    }
    let mut alice = RawClient::online(&gateway, Transport::Tcp, "alice").await;
    let stolen = first_page(&mut alice).await.next_cursor;
    let mut mallory = RawClient::online(&gateway, Transport::Tcp, "mallory").await;
    let own = first_page(&mut mallory).await;
    assert!(own.messages.iter().all(|message| message.target_id == "mallory"));
    let not_hers = (ErrorCode::INVALID_PARAMETER.number(), "cursor");
    let reply = mallory.call(501, Body::SyncConversations(page_after(&stolen))).await;
    assert_eq!(refused(&reply), not_hers, "{reply:?}");
    // What it is good for is still there for its owner.
    let rest = sync_page(&mut alice, 501, page_after(&stolen)).await;
    assert_eq!(rest.messages.last().map(|message| message.left), Some(0));

    // What she was given tells her what it is made of, but not how it is sealed.
    let (seal, stretches) = own.next_cursor.split_once(':').expect("a seal");
    let row = stretches.split('.').next().expect("a row");
    for made_up in [
        "x".to_owned(),
        stretches.to_owned(),
        format!("{seal}:"),
        format!("{seal}:{row}.1.100.0"),
        format!("{seal}:{row}.9223372036854775807.9223372036854775807.0"),
        format!("{}:{stretches}", "0".repeat(seal.len())),
    ] {
        let reply = mallory.call(502, Body::SyncConversations(page_after(&made_up))).await;
        assert_eq!(refused(&reply), not_hers, "{made_up}");
    }
    let rest = sync_page(&mut mallory, 503, page_after(&own.next_cursor)).await;
    assert!(!rest.messages.is_empty(), "her own is good still");
    // On a connection that has not asked for the first page it is worth nothing.
    let mut again = RawClient::online(&gateway, Transport::Tcp, "alice").await;
    let reply = again.call(503, Body::SyncConversations(page_after(&stolen))).await;
    assert_eq!(refused(&reply), (ErrorCode::INVALID_PARAMETER.number(), "cursor"));
}
