//! Bullet-screen comments in datagrams, for QUIC clients that ask for them.

use sluice_client::{Client, Event, Events, MessageKind, OutgoingMessage};
use sluice_tests::{Gateway, Transport, wait_until, within};

use crate::rooms::no_rate_limits;

const ROOM: &str = "lobby";

/// So few fit in what waits for one client, however slow the machine is.
const COMMENTS: u64 = 50;

/// More than any datagram holds.
const LONG_COMMENT_BYTES: usize = 4 * 1024;

async fn inside(gateway: &Gateway, transport: Transport, user: &str, datagrams: bool) -> (Client, Events) {
    let options = gateway.options(user, transport).datagrams(datagrams);
    let (client, events) = within("a login", Client::connect(options)).await.expect("a login");
    within("the room", client.enter_room(ROOM, "")).await.expect("the room");
    (client, events)
}

/// The contents of the next `count` comments of the room.
async fn comments(events: &mut Events, count: u64) -> Vec<Vec<u8>> {
    let mut contents = Vec::new();
    while (contents.len() as u64) < count {
        match within("a comment", events.next()).await {
            Some(Event::RoomMessage(message)) => {
                assert_eq!(message.kind, MessageKind::Barrage);
                contents.push(message.content.to_vec());
            }
            Some(Event::MemberJoined(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    contents
}

async fn sent_in(gateway: &Gateway, how: &str) -> f64 {
    gateway
        .metric(&format!("sluice_datagrams_total{{how=\"{how}\"}}"))
        .await
}

#[tokio::test]
async fn comments_come_in_datagrams_to_who_wants_them_and_in_order_on_the_stream_to_the_others() {
    let gateway = Gateway::start(no_rate_limits);
    let (wanting, mut to_wanting) = inside(&gateway, Transport::Quic, "wanting", true).await;
    let (other, mut to_other) = inside(&gateway, Transport::Quic, "other", false).await;
    let (over_tcp, mut to_tcp) = inside(&gateway, Transport::Tcp, "over-tcp", true).await;
    assert!(wanting.session().datagrams);
    assert!(!other.session().datagrams);
    assert!(!over_tcp.session().datagrams);

    let mut all = Vec::new();
    for number in 0..COMMENTS {
        let comment = number.to_string().into_bytes();
        let sending = over_tcp.send(OutgoingMessage::barrage(ROOM, comment.clone()));
        within("an answer", sending).await.expect("the room takes it");
        all.push(comment);
    }
    assert_eq!(comments(&mut to_other, COMMENTS).await, all);
    assert_eq!(comments(&mut to_tcp, COMMENTS).await, all);
    // On loopback none is lost as long as few are on their way; only their order may differ.
    let mut unordered = comments(&mut to_wanting, COMMENTS).await;
    unordered.sort_by_key(|content| all.iter().position(|other| other == content));
    assert_eq!(unordered, all);
    wait_until("they are counted", async || {
        sent_in(&gateway, "datagram").await == COMMENTS as f64
    })
    .await;
    assert_eq!(sent_in(&gateway, "stream").await, 0.0);
}

#[tokio::test]
async fn a_comment_that_fits_in_no_datagram_comes_on_the_stream() {
    let gateway = Gateway::start(no_rate_limits);
    let (client, mut events) = inside(&gateway, Transport::Quic, "wanting", true).await;
    let long = vec![b'x'; LONG_COMMENT_BYTES];
    let sending = client.send(OutgoingMessage::barrage(ROOM, long.clone()));
    within("an answer", sending).await.expect("the room takes it");
    assert_eq!(comments(&mut events, 1).await, [long]);
    wait_until("it is counted", async || sent_in(&gateway, "stream").await == 1.0).await;
}
