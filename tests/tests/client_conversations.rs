//! The client library in conversations, against a gateway: catching up, messages that wait for their answer, history, groups.

use std::time::Duration;

use sluice_client::{
    Client, ConversationId, ErrorCode, Event, Events, KnownConversation, NewGroup, OutgoingMessage, Pending, Reconnect,
    SendOutcome, Submission, SyncOptions,
};
use sluice_gateway::config::{Config, Rate, SingleLogin};
use sluice_tests::{Gateway, Transport, on_all_transports, within};

use crate::client_resume::Relay;

on_all_transports!(
    what_was_said_while_a_user_was_away_comes_once_and_the_other_one_sees_how_far_it_got,
    a_group_lives_from_its_making_to_its_end,
    who_knows_something_from_before_gets_the_rest_without_a_gap,
);

/// Long enough for a client to come back on a busy machine.
const WINDOW: Duration = Duration::from_secs(60);

/// Whoever comes back at once would be held off otherwise, and what is sent in a burst too.
fn unhurried(config: &mut Config) {
    config.sessions.resume_window = WINDOW;
    config.conversations.queries_per_second = Rate::Unlimited;
    config.conversations.writes_per_second = Rate::Unlimited;
}

async fn online(gateway: &Gateway, user: &str, transport: Transport, sync: SyncOptions) -> (Client, Events) {
    let options = gateway.options(user, transport).sync(sync);
    within("a login", Client::connect(options)).await.expect("a login")
}

async fn next(events: &mut Events) -> Event {
    within("an event", events.next())
        .await
        .expect("the client is not at its end")
}

async fn done<T>(call: Pending<T>) -> T {
    within("an answer", call)
        .await
        .unwrap_or_else(|error| panic!("{error}"))
}

async fn taken(submission: Submission) -> u64 {
    match within("an outcome", submission).await {
        SendOutcome::Sent(sent) => sent.sequence,
        other => panic!("{other:?}"),
    }
}

async fn say(client: &Client, to: &ConversationId, text: &str) -> u64 {
    taken(client.submit(OutgoingMessage::text(to, text))).await
}

async fn expect_synced(events: &mut Events) -> usize {
    match next(events).await {
        Event::ConversationsSynced(synced) => synced.conversations.len(),
        other => panic!("not synced: {other:?}"),
    }
}

/// The next message, whatever comes of the connection before.
async fn next_message(events: &mut Events) -> (u64, String) {
    loop {
        match next(events).await {
            Event::ConversationMessage(message) => {
                let text = String::from_utf8(message.content.to_vec()).expect("text");
                return (message.sequence, text);
            }
            Event::Disconnected(_)
            | Event::Reconnecting { .. }
            | Event::Reconnected { .. }
            | Event::ConversationsSynced(_)
            | Event::PositionMoved(_) => {}
            other => panic!("no message: {other:?}"),
        }
    }
}

async fn expect_messages(events: &mut Events, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        assert_eq!(next_message(events).await, (number, format!("message {number}")));
    }
}

async fn what_was_said_while_a_user_was_away_comes_once_and_the_other_one_sees_how_far_it_got(transport: Transport) {
    let gateway = Gateway::start(unhurried);
    let (bob, mut bobs_events) = online(&gateway, "bob", transport, SyncOptions::default()).await;
    assert_eq!(expect_synced(&mut bobs_events).await, 0);
    let to_alice = ConversationId::peer("alice");
    for number in 1..=3 {
        assert_eq!(say(&bob, &to_alice, &format!("message {number}")).await, number);
    }

    let (alice, mut events) = online(&gateway, "alice", transport, SyncOptions::default()).await;
    let Event::ConversationsSynced(synced) = next(&mut events).await else {
        panic!("not synced")
    };
    let to_bob = ConversationId::peer("bob");
    assert_eq!(synced.conversations[0].info.conversation, to_bob);
    assert_eq!(synced.conversations[0].position.unread, 3);
    expect_messages(&mut events, 1..=3).await;
    say(&bob, &to_alice, "message 4").await;
    expect_messages(&mut events, [4]).await;
    // Acknowledgements say what the app has taken, perhaps in several steps.
    loop {
        let Event::PositionMoved(moved) = next(&mut bobs_events).await else {
            panic!("not a position")
        };
        assert_eq!(
            (&moved.conversation, &*moved.user_id, moved.read_sequence),
            (&to_alice, "alice", 0)
        );
        if moved.delivered_sequence == 4 {
            break;
        }
    }
    assert_eq!(done(alice.mark_read(&to_bob, 3)).await.unread, 1);
    match next(&mut bobs_events).await {
        Event::PositionMoved(moved) => assert_eq!((moved.delivered_sequence, moved.read_sequence), (4, 3)),
        other => panic!("not a position: {other:?}"),
    }

    // What was acknowledged does not come again; what is said by oneself is no gap.
    assert_eq!(say(&alice, &to_bob, "message 5").await, 5);
    expect_messages(&mut bobs_events, [5]).await;
    say(&bob, &to_alice, "message 6").await;
    expect_messages(&mut events, [6]).await;
    let known = alice.known_conversations();
    assert_eq!((&known[0].conversation, known[0].sequence), (&to_bob, 6));

    let mut history = alice.history(&to_bob, 4);
    let mut pages = Vec::new();
    loop {
        let page = within("a page", history.next()).await.expect("a page");
        pages.push(page.value.iter().map(|message| message.sequence).collect::<Vec<_>>());
        if page.done {
            break;
        }
    }
    assert_eq!(pages, [vec![3, 4, 5, 6], vec![1, 2]]);
    let mut list = alice.conversations();
    let first = within("a page", list.next())
        .await
        .expect("a page")
        .expect("a conversation");
    assert_eq!((first.info.conversation, first.info.last_sequence), (to_bob, 6));
    assert_eq!(within("a page", list.next()).await, Ok(None));
    gateway.stop().await;
}

async fn a_group_lives_from_its_making_to_its_end(transport: Transport) {
    let gateway = Gateway::start(unhurried);
    let (alice, mut alices_events) = online(&gateway, "alice", transport, SyncOptions::default()).await;
    let (bob, mut events) = online(&gateway, "bob", transport, SyncOptions::default()).await;
    expect_synced(&mut alices_events).await;
    expect_synced(&mut events).await;
    let cats = ConversationId::group("cats");
    let created = done(alice.create_group(NewGroup::named("Cats").id("cats").users(["bob"]))).await;
    assert_eq!((&created.info.conversation, created.info.member_count), (&cats, 2));
    match next(&mut events).await {
        Event::Invited(invited) => assert_eq!((&invited.info.conversation, &*invited.by_user_id), (&cats, "alice")),
        other => panic!("not invited: {other:?}"),
    }
    say(&alice, &cats, "message 1").await;
    expect_messages(&mut events, [1]).await;
    let own = done(bob.query_conversation(&cats)).await;
    assert_eq!((&*own.info.name, own.info.last_sequence), ("Cats", 1));
    let refused = within("an answer", bob.dismiss_group("cats")).await;
    assert_eq!(refused.expect_err("not the owner").code, ErrorCode::GROUP_PERMISSION);
    let refused = within("an answer", bob.query_conversation(&ConversationId::group("dogs"))).await;
    assert_eq!(refused.expect_err("no such group").code.number(), 4303);

    let written = done(alice.remove_members(&cats, ["bob"])).await;
    assert_eq!(
        (written.info.member_count, written.user_ids),
        (1, vec!["bob".to_owned()])
    );
    match next(&mut events).await {
        Event::ConversationKickedOut(out) => assert_eq!(out.conversation, cats),
        other => panic!("not put out: {other:?}"),
    }
    match within("an outcome", bob.submit(OutgoingMessage::text(&cats, "still here"))).await {
        SendOutcome::Failed(error) => assert_eq!(error.code, ErrorCode::NOT_IN_GROUP),
        other => panic!("bob is outside: {other:?}"),
    }
    done(alice.add_members(&cats, ["bob"])).await;
    assert!(matches!(next(&mut events).await, Event::Invited(_)));
    done(alice.dismiss_group("cats")).await;
    match next(&mut events).await {
        Event::GroupDismissed(group) => assert_eq!(group.conversation, cats),
        other => panic!("not dismissed: {other:?}"),
    }
    // Who did all that is told like the others.
    for (came, users) in [(true, &["alice", "bob"][..]), (false, &["bob"]), (true, &["bob"])] {
        match (came, next(&mut alices_events).await) {
            (true, Event::ConversationMembersJoined(event)) | (false, Event::ConversationMembersLeft(event)) => {
                assert_eq!(
                    (&*event.by_user_id, event.user_ids),
                    ("alice", users.iter().map(ToString::to_string).collect())
                );
            }
            (_, other) => panic!("{users:?}: {other:?}"),
        }
    }
    assert!(matches!(next(&mut alices_events).await, Event::GroupDismissed(_)));
    gateway.stop().await;
}

async fn who_knows_something_from_before_gets_the_rest_without_a_gap(transport: Transport) {
    let gateway = Gateway::start(unhurried);
    let (bob, _bobs_events) = online(&gateway, "bob", transport, SyncOptions::default()).await;
    let to_alice = ConversationId::peer("alice");
    for number in 1..=2 {
        say(&bob, &to_alice, &format!("message {number}")).await;
    }
    let (alice, mut events) = online(&gateway, "alice", transport, SyncOptions::default()).await;
    expect_synced(&mut events).await;
    expect_messages(&mut events, 1..=2).await;
    let known: Vec<KnownConversation> = alice.known_conversations();
    done(alice.logout()).await;

    // More than a page has: the rest comes from history, before it.
    for number in 3..=20 {
        say(&bob, &to_alice, &format!("message {number}")).await;
    }
    let sync = SyncOptions::default().newest(2).known(known);
    let (_alice, mut events) = online(&gateway, "alice", transport, sync).await;
    expect_synced(&mut events).await;
    expect_messages(&mut events, 3..=20).await;
    say(&bob, &to_alice, "message 21").await;
    expect_messages(&mut events, [21]).await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_connection_that_is_cut_loses_no_message_and_repeats_none() {
    for transport in [Transport::Tcp, Transport::Tls] {
        let gateway = Gateway::start(unhurried);
        let relay = Relay::to(gateway.address(transport)).await;
        let (bob, mut bobs_events) = online(&gateway, "bob", transport, SyncOptions::default()).await;
        expect_synced(&mut bobs_events).await;
        let options = relay.options(&gateway, "alice", transport).sync(SyncOptions::default());
        let (alice, mut events) = within("a login", Client::connect(options)).await.expect("a login");
        expect_synced(&mut events).await;
        let (to_alice, to_bob) = (ConversationId::group("both"), ConversationId::peer("bob"));
        done(bob.create_group(NewGroup::named("").id("both").users(["alice"]))).await;
        assert!(matches!(next(&mut events).await, Event::Invited(_)));
        assert!(matches!(
            next(&mut bobs_events).await,
            Event::ConversationMembersJoined(_)
        ));

        let (mut said, mut heard) = (0, 0);
        for round in 0..3 {
            // Before and after it is cut: of the former the answers may be lost.
            let mut submissions = Vec::new();
            for number in heard + 1..=heard + 6 {
                let text = format!("message {number}");
                submissions.push(alice.submit(OutgoingMessage::text(&to_bob, text)));
                if number == heard + 3 {
                    tokio::task::yield_now().await;
                    relay.cut();
                }
            }
            let count = 5 * round + 1;
            for _ in 0..count {
                said += 1;
                say(&bob, &to_alice, &format!("message {said}")).await;
            }
            expect_messages(&mut events, said - count + 1..=said).await;
            for (number, submission) in (heard + 1..).zip(submissions) {
                assert_eq!(taken(submission).await, number);
            }
            expect_messages(&mut bobs_events, heard + 1..=heard + 6).await;
            heard += 6;
        }
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_restart_of_the_server_loses_no_message_and_repeats_none() {
    let mut gateway = Gateway::start(unhurried);
    let relay = Relay::to(gateway.address(Transport::Tcp)).await;
    let connect = async |user| {
        let options = relay
            .options(&gateway, user, Transport::Tcp)
            .sync(SyncOptions::default());
        let (client, mut events) = within("a login", Client::connect(options)).await.expect("a login");
        expect_synced(&mut events).await;
        (client, events)
    };
    let (alice, _events) = connect("alice").await;
    let (_bob, mut bobs_events) = connect("bob").await;
    let to_bob = ConversationId::peer("bob");
    let submit = |number: u64| alice.submit(OutgoingMessage::text(&to_bob, format!("message {number}")));
    let mut submissions: Vec<Submission> = (1..=8).map(submit).collect();
    expect_messages(&mut bobs_events, 1..=2).await;
    relay.open(false);
    gateway.restart().await;
    submissions.extend((9..=12).map(submit));
    relay.lead_to(gateway.address(Transport::Tcp));
    relay.open(true);
    for (number, submission) in (1..).zip(submissions) {
        assert_eq!(taken(submission).await, number);
    }
    expect_messages(&mut bobs_events, 3..=12).await;
    gateway.stop().await;
}

#[tokio::test]
async fn what_one_device_sends_the_other_gets_as_an_event() {
    let gateway = Gateway::start(|config| {
        unhurried(config);
        config.apps[0].single_login = SingleLogin::Multi(8);
    });
    let (phone, mut on_the_phone) = online(&gateway, "alice", Transport::Tcp, SyncOptions::default()).await;
    let (_desk, mut on_the_desk) = online(&gateway, "alice", Transport::Quic, SyncOptions::default()).await;
    expect_synced(&mut on_the_phone).await;
    expect_synced(&mut on_the_desk).await;
    let to_bob = ConversationId::peer("bob");
    say(&phone, &to_bob, "message 1").await;
    match next(&mut on_the_desk).await {
        Event::ConversationMessage(message) => {
            assert_eq!(
                (message.conversation, &*message.sender.user_id),
                (to_bob.clone(), "alice")
            );
        }
        other => panic!("no message: {other:?}"),
    }
    let ticket = phone.resume_ticket();
    say(&phone, &to_bob, "message 2").await;
    expect_messages(&mut on_the_desk, [2]).await;
    // Whoever resumes with a ticket goes on from there.
    let options = gateway
        .options("alice", Transport::Tls)
        .sync(SyncOptions::default())
        .reconnect(Reconnect::Never);
    let (_phone, mut events) = within("a login", Client::resume(options, ticket))
        .await
        .expect("a login");
    expect_messages(&mut events, [2]).await;
    gateway.stop().await;
}
