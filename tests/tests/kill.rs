//! A gateway that is killed while users talk, again and again: nothing that was answered is lost, nothing is given to an
//! application twice, and everybody sees the same order.
//!
//! A killed process leaves what it has written to the system, synced or not. What a power failure leaves is the subject of a test
//! of the store.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::path::Path;
use std::time::Duration;

use sluice_protocol::frame::Body;
use sluice_protocol::{ConversationMessage, ConversationType, CreateGroup, HistoryDirection, QueryMessages, reply};
use sluice_tests::{GatewayProcess, RawClient, Transport, wait_until};
use tokio::time::sleep;

use crate::talking::{Book, Place, Talker, Talking};

/// How often a usual run kills, and what names a longer one.
const KILLS: usize = 3;
const KILLS_VARIABLE: &str = "SLUICE_TEST_KILLS";

/// Each talks with all others, and in one group.
const USERS: [&str; 10] = [
    "alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy",
];

/// Between two messages of a user: half of what a session may send, since what waited for an answer is sent at once.
const PACE: Duration = Duration::from_millis(200);

/// Answers to wait for between two kills.
const ANSWERS: usize = 50;

/// Kills fall anywhere in this time after that, each a little later than the one before.
const KILL_SPREAD: Duration = Duration::from_millis(150);

/// The wait for everybody to have everything. A gateway that is killed often has others to wait for meanwhile.
const SETTLING: Duration = Duration::from_secs(40);

/// Within this time after a kill everybody is online again and has what was missed. Judged in a long run alone, for which somebody
/// has a machine: beside all other tests it would say how busy that one is.
const RETURN_MAX: Duration = Duration::from_secs(3);

async fn group(gateway: &GatewayProcess) -> Place {
    let mut alice = RawClient::online(gateway, Transport::Tcp, USERS[0]).await;
    let command = CreateGroup {
        user_ids: USERS[1..].iter().map(|user| (*user).to_owned()).collect(),
        ..CreateGroup::default()
    };
    let answer = alice.call(1, Body::CreateGroup(command)).await;
    match answer.result {
        Some(reply::Result::ConversationCreated(created)) => {
            Place::Group(created.conversation.expect("it says which").id)
        }
        _ => panic!("no group: {answer:?}"),
    }
}

/// All users, each with a conversation with every other and the group.
fn start_talking(gateway: &GatewayProcess, group: &Place, book: &Book) -> Vec<Talking> {
    book.enrol(group, &USERS);
    let talker = |user: &str| {
        let others = USERS.iter().filter(|other| **other != user);
        let mut places: Vec<Place> = others.map(|other| Place::pair(user, other)).collect();
        for place in &places {
            book.enrol(place, &[user]);
        }
        places.push(group.clone());
        Talker::new(gateway, user, book, places, PACE).start()
    };
    USERS.iter().map(|user| talker(user)).collect()
}

/// Reads all conversations as a new device does that knows nothing, and compares them with what is written in the book.
async fn read_anew(gateway: &GatewayProcess, book: &Book) -> Result<usize, String> {
    let mut clients = HashMap::new();
    let mut found = 0;
    for (request_id, (place, member)) in (1..).zip(book.places()) {
        let client = match clients.remove(&member) {
            Some(client) => client,
            None => RawClient::online(gateway, Transport::Tcp, &member).await,
        };
        let client = clients.entry(member.clone()).or_insert(client);
        let messages = history(client, request_id, place.named_by(&member)).await;
        found += messages.len();
        book.compare(&place, &messages)?;
    }
    Ok(found)
}

async fn history(
    client: &mut RawClient,
    request_id: u32,
    (kind, id): (ConversationType, &str),
) -> Vec<ConversationMessage> {
    let mut all: Vec<ConversationMessage> = Vec::new();
    loop {
        let query = QueryMessages {
            r#type: kind.into(),
            id: id.to_owned(),
            limit: 1000,
            direction: HistoryDirection::Newer.into(),
            message_id: all.last().map_or(0, |last| last.message_id),
            ..QueryMessages::default()
        };
        let answer = client.call(request_id, Body::QueryMessages(query)).await;
        let Some(reply::Result::Messages(page)) = answer.result else {
            // Asked too fast.
            let wait = answer.retry_after_ms;
            assert!(wait > 0, "{answer:?}");
            sleep(Duration::from_millis(wait.into())).await;
            continue;
        };
        all.extend(page.messages);
        if !page.more {
            return all;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_answered_is_lost_when_the_gateway_is_killed() {
    let long_run = std::env::var(KILLS_VARIABLE).ok();
    let kills = (long_run.as_ref()).map_or(KILLS, |kills| kills.parse().expect("a number of kills"));
    let mut gateway = GatewayProcess::start(&[]).await;
    let group = group(&gateway).await;
    let book = Book::default();
    let talking = start_talking(&gateway, &group, &book);
    for kill in 0..kills {
        let goal = book.answered_count() + ANSWERS;
        wait_until("users talk", async || {
            book.answered_count() >= goal || book.has_faults()
        })
        .await;
        sleep(KILL_SPREAD * u32::try_from(kill % 16).expect("a few") / 16).await;
        gateway = gateway.killed_and_started_again().await;
    }
    talking.iter().for_each(Talking::be_quiet);
    let figures = book.settled(SETTLING).await.unwrap_or_else(|why| panic!("{why}"));
    drop(talking);
    assert!(figures.returns >= kills, "{figures}");
    assert!(figures.answered >= kills * ANSWERS, "{figures}");
    println!("{kills} kills: {figures}");
    assert!(
        long_run.is_none() || figures.longest_return < RETURN_MAX,
        "somebody was not served again within {} s: {figures}",
        RETURN_MAX.as_secs()
    );
    // And once more, to see that it was not the memory of the gateway that knew.
    let gateway = gateway.killed_and_started_again().await;
    let found = read_anew(&gateway, &book).await.unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(found, figures.kept);
}

/// What a store does that answers before it writes, as a killed process leaves it.
#[tokio::test]
async fn a_gateway_that_forgets_the_last_it_has_answered_is_caught() {
    let gateway = GatewayProcess::start(&[]).await;
    let group = group(&gateway).await;
    let book = Book::default();
    let talking = start_talking(&gateway, &group, &book);
    wait_until("users talk", async || {
        book.answered_count() >= ANSWERS || book.has_faults()
    })
    .await;
    talking.iter().for_each(Talking::be_quiet);
    book.settled(SETTLING).await.unwrap_or_else(|why| panic!("{why}"));
    drop(talking);
    read_anew(&gateway, &book).await.unwrap_or_else(|why| panic!("{why}"));
    let forget = |data: &Path| {
        let log = data.join("sluice.db-wal");
        let log = OpenOptions::new().write(true).open(log).expect("the log of the store");
        let bytes = log.metadata().expect("its length").len();
        log.set_len(bytes - bytes / 8).expect("it can be cut");
    };
    let gateway = gateway.killed_and_started_again_after(forget).await;
    let verdict = read_anew(&gateway, &book).await;
    verdict.expect_err("messages are lost");
}
