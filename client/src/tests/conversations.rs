//! Conversations against a server that follows a script: the commands, events, catching up, messages that wait for their answer.

use sluice_protocol::frame::Body;
use sluice_protocol::{
    AckMessagesResult, Blacklist, CombinedParts, ConversationCreated, ConversationInfo, ConversationMembers,
    ConversationMessage, ConversationType, Conversations, Done, ErrorCode, MembersChanged, MessageChanged, Messages,
    OwnConversation, PositionMoved, Reply, SendMessageResult, SyncPage, UserInfo, reply,
};

use super::peer::{self, Peer};
use crate::transport::Link;
use crate::{
    Client, ClientError, ConversationId, ConversationQuery, ConversationUpdate, Event, Events, MediaInfo, MessageKeep,
    MessageKind, MessagesQuery, NewConversation, NewGroup, Options, OutgoingMessage, Pending, SendOutcome, SyncOptions,
};

fn done() -> Reply {
    peer::success(reply::Result::Done(Done {}))
}

fn info(kind: ConversationType, id: &str) -> ConversationInfo {
    ConversationInfo {
        r#type: kind.into(),
        id: id.into(),
        ..ConversationInfo::default()
    }
}

fn said(from: &str, to: &str, sequence: u64) -> ConversationMessage {
    ConversationMessage {
        conversation_type: ConversationType::Peer.into(),
        target_id: to.into(),
        sequence,
        message_id: 7000 + sequence,
        sender: Some(UserInfo {
            user_id: from.into(),
            ..UserInfo::default()
        }),
        ..ConversationMessage::default()
    }
}

fn sent(sequence: u64) -> Reply {
    peer::success(reply::Result::SendMessage(SendMessageResult {
        sequence,
        message_id: 7000 + sequence,
        ..SendMessageResult::default()
    }))
}

/// The command that a call writes, and what the call makes of `answer`.
async fn answered<T>(server: &mut Peer, call: Pending<T>, answer: Reply) -> (Body, Result<T, ClientError>) {
    let (request_id, command) = server.next_command().await;
    server.reply(request_id, answer).await;
    (command, call.await)
}

async fn log_in(link: Link, options: Options) -> Result<(Client, Events), ClientError> {
    let login = options.login().expect("valid");
    Client::log_in(link, login, options).await
}

/// A client that follows conversations, and has asked what it missed.
async fn following(page: SyncPage) -> (Client, Events, Peer) {
    let (link, mut server) = peer::link();
    let options = peer::options().sync(SyncOptions::default());
    let (connected, ()) = tokio::join!(log_in(link, options), server.accept_login());
    let (client, events) = connected.expect("logged in");
    let (request_id, command) = server.next_command().await;
    assert!(matches!(command, Body::SyncConversations(_)), "{command:?}");
    server
        .reply(request_id, peer::success(reply::Result::SyncPage(page)))
        .await;
    (client, events, server)
}

#[tokio::test]
async fn conversations_are_made_and_asked_about() {
    let (client, _events, mut server) = peer::connected().await;
    let made = |existed| {
        peer::success(reply::Result::ConversationCreated(ConversationCreated {
            conversation: Some(info(ConversationType::Discussion, "d1")),
            existed,
        }))
    };
    let making = client.create_conversation(NewConversation::of(["bob"]).name("Lunch").unique().temporary(60));
    let (command, created) = answered(&mut server, making, made(true)).await;
    assert!(matches!(
        command,
        Body::CreateConversation(it)
            if it.user_ids == ["bob"] && it.name == "Lunch" && it.unique && it.temporary_seconds == 60
    ));
    let created = created.expect("made");
    assert!(created.existed);
    assert_eq!(created.info.conversation, ConversationId::discussion("d1"));

    let making = client.create_group(NewGroup::named("Cats").id("cats").notice("n").users(["bob"]));
    let (command, _) = answered(&mut server, making, made(false)).await;
    assert!(matches!(
        command,
        Body::CreateGroup(it) if (&*it.id, &*it.name, &*it.notice) == ("cats", "Cats", "n") && it.user_ids == ["bob"]
    ));

    let own = OwnConversation {
        info: Some(info(ConversationType::Group, "cats")),
        unread: 3,
        read_sequence: 4,
        ..OwnConversation::default()
    };
    let answer = peer::success(reply::Result::OwnConversation(own.clone()));
    let (command, own_answer) = answered(
        &mut server,
        client.query_conversation(&ConversationId::group("cats")),
        answer,
    )
    .await;
    assert!(matches!(command, Body::QueryConversation(it) if it.r#type == 2 && it.id == "cats"));
    let position = own_answer.expect("answered").position;
    assert_eq!((position.unread, position.read_sequence), (3, 4));

    let answer = peer::success(reply::Result::Conversations(Conversations {
        conversations: vec![own],
        more: true,
    }));
    let query = ConversationQuery::default()
        .limit(5)
        .skip(10)
        .kind(crate::ConversationKind::Discussion);
    let (command, page) = answered(&mut server, client.query_conversations(query), answer).await;
    assert!(matches!(command, Body::QueryConversations(it) if (it.limit, it.skip, it.type_plus_one) == (5, 10, 4)));
    assert!(page.expect("answered").more);

    let update = ConversationUpdate::default().name("New");
    let (command, _) = answered(
        &mut server,
        client.update_conversation(&ConversationId::group("cats"), update),
        done(),
    )
    .await;
    assert!(matches!(
        command,
        Body::UpdateConversation(it) if it.name.as_deref() == Some("New") && it.notice.is_none() && it.id == "cats"
    ));
}

#[tokio::test]
async fn commands_on_members_name_them_and_say_who_was_refused() {
    let (client, _events, mut server) = peer::connected().await;
    let cats = ConversationId::group("cats");
    let changed = || {
        peer::success(reply::Result::MembersChanged(MembersChanged {
            conversation: Some(info(ConversationType::Group, "cats")),
            user_ids: vec!["bob".into()],
            refused: vec![sluice_protocol::MemberRefusal {
                user_id: "carol".into(),
                code: 25418,
            }],
        }))
    };
    let (command, written) = answered(&mut server, client.add_members(&cats, ["bob", "carol"]), changed()).await;
    assert!(matches!(command, Body::AddMembers(it) if it.user_ids == ["bob", "carol"] && it.r#type == 2));
    let written = written.expect("answered");
    assert_eq!(written.user_ids, ["bob"]);
    assert_eq!(written.refused[0].code, ErrorCode::NOT_A_MEMBER);

    let (command, _) = answered(&mut server, client.remove_members(&cats, ["bob"]), changed()).await;
    assert!(matches!(command, Body::RemoveMembers(it) if it.user_ids == ["bob"]));
    let (command, _) = answered(&mut server, client.join_conversation(&cats), changed()).await;
    assert!(matches!(command, Body::JoinConversation(it) if it.id == "cats"));
    let (command, _) = answered(&mut server, client.quit_conversation(&cats), changed()).await;
    assert!(matches!(command, Body::QuitConversation(it) if it.id == "cats"));
    let (command, _) = answered(&mut server, client.set_group_managers("cats", ["bob"], true), changed()).await;
    assert!(matches!(command, Body::SetGroupManagers(it) if it.manager && it.user_ids == ["bob"]));
    let (command, _) = answered(
        &mut server,
        client.mute_group_members("cats", ["bob"], true, 60),
        changed(),
    )
    .await;
    assert!(matches!(command, Body::MuteGroupMembers(it) if it.muted && it.seconds == 60 && it.user_ids == ["bob"]));
    let (command, _) = answered(&mut server, client.mute_group("cats", true), changed()).await;
    assert!(matches!(command, Body::MuteGroupMembers(it) if it.user_ids.is_empty()));
    let refused = client.mute_group_members("cats", [""; 0], true, 0).await;
    assert_eq!(refused.expect_err("nobody is not everybody").detail, "user_ids");
    let (command, _) = answered(&mut server, client.transfer_group("cats", "bob"), done()).await;
    assert!(matches!(command, Body::TransferGroup(it) if (&*it.id, &*it.user_id) == ("cats", "bob")));
    let (command, _) = answered(&mut server, client.dismiss_group("cats"), done()).await;
    assert!(matches!(command, Body::DismissGroup(it) if it.id == "cats"));

    let answer = peer::success(reply::Result::ConversationMembers(ConversationMembers {
        members: vec![sluice_protocol::ConversationMember {
            user_id: "bob".into(),
            muted_until_ms: i64::MAX,
            ..Default::default()
        }],
        next_cursor: "bob".into(),
        member_count: 2,
    }));
    let (command, page) = answered(&mut server, client.query_conversation_members(&cats, 1, "a"), answer).await;
    assert!(matches!(command, Body::QueryConversationMembers(it) if it.limit == 1 && it.cursor == "a"));
    let page = page.expect("answered");
    assert_eq!(page.members[0].mute, crate::Mute::WithoutEnd);
    assert_eq!(page.next_cursor.as_deref(), Some("bob"));
}

#[tokio::test]
async fn commands_on_messages_say_what_is_to_be_done() {
    let (client, _events, mut server) = peer::connected().await;
    let bob = ConversationId::peer("bob");
    let changed = |notice| {
        peer::success(reply::Result::MessageChanged(MessageChanged {
            changed_at_ms: 5,
            notice,
        }))
    };
    let (command, recalled) = answered(&mut server, client.recall_message(&bob, 7), changed(0)).await;
    assert!(matches!(command, Body::RecallMessage(it) if (it.r#type, it.message_id) == (0, 7)));
    assert_eq!(recalled, Ok(5));
    let (command, edited) = answered(&mut server, client.edit_message(&bob, 7, "new", "x"), changed(21502)).await;
    assert!(matches!(command, Body::EditMessage(it) if it.content == "new" && it.extended_data == "x"));
    assert_eq!(edited, Ok(Some(ErrorCode::WORD_REPLACED)));

    let (command, _) = answered(&mut server, client.put_combined_part("c", 3, "part"), done()).await;
    assert!(matches!(command, Body::PutCombinedPart(it) if (&*it.combined_id, it.part) == ("c", 3)));
    let parts = peer::success(reply::Result::CombinedParts(CombinedParts {
        parts: vec!["part".into()],
        next_part: 4,
    }));
    let (command, page) = answered(&mut server, client.query_combined(&bob, 7, 3), parts).await;
    assert!(matches!(command, Body::QueryCombined(it) if (it.message_id, it.from_part) == (7, 3)));
    assert_eq!(page.expect("answered").1, Some(4));

    let (command, _) = answered(&mut server, client.add_to_blacklist(["eve"]), done()).await;
    assert!(matches!(command, Body::EditBlacklist(it) if it.add && it.user_ids == ["eve"]));
    let (command, _) = answered(&mut server, client.remove_from_blacklist(["eve"]), done()).await;
    assert!(matches!(command, Body::EditBlacklist(it) if !it.add));
    let list = peer::success(reply::Result::Blacklist(Blacklist {
        user_ids: vec!["eve".into()],
        next_cursor: String::new(),
    }));
    let (_, list) = answered(&mut server, client.query_blacklist(""), list).await;
    assert_eq!(list, Ok((vec!["eve".to_owned()], None)));

    let position = peer::success(reply::Result::AckMessages(AckMessagesResult {
        delivered_sequence: 9,
        read_sequence: 9,
        unread: 1,
    }));
    let (command, position) = answered(&mut server, client.mark_read(&bob, 9), position).await;
    assert!(matches!(command, Body::AckMessages(it) if (it.delivered_sequence, it.read_sequence) == (0, 9)));
    assert_eq!(position.expect("answered").unread, 1);
    let refused = client.recall_message(&ConversationId::peer(""), 7).await;
    assert_eq!(refused.expect_err("nobody has no name").detail, "id");
}

#[tokio::test]
async fn what_a_message_in_a_conversation_has_is_written() {
    let (client, _events, mut server) = peer::connected().await;
    let picture = MediaInfo {
        url: "https://x/cat.jpg".into(),
        format: "jpg".into(),
        size_bytes: 5,
        ..MediaInfo::default()
    };
    let message = OutgoingMessage::image(ConversationId::group("cats"), picture)
        .mention(["bob"])
        .mention_all()
        .push("a cat", "{}")
        .keep(MessageKeep::Stored);
    let (command, answer) = answered(&mut server, client.send(message), sent(4)).await;
    let Body::SendMessage(it) = command else {
        panic!("not {command:?}")
    };
    assert_eq!((it.conversation_type, &*it.target_id, it.r#type), (2, "cats", 11));
    assert_eq!(it.media.expect("a file").format, "jpg");
    assert_eq!((it.mentioned_user_ids, it.mention_all), (vec!["bob".to_owned()], true));
    assert_eq!((&*it.push_content, &*it.push_data, it.keep), ("a cat", "{}", 2));
    assert_eq!(answer.expect("sent").sequence, 4);
    let combined = OutgoingMessage::combined(ConversationId::peer("bob"), "c", "title");
    let (command, _) = answered(&mut server, client.send(combined), sent(5)).await;
    assert!(matches!(command, Body::SendMessage(it) if it.r#type == 100 && it.combined_id == "c"));
}

#[tokio::test]
async fn history_goes_back_page_by_page_until_one_is_not_full() {
    let (client, _events, mut server) = peer::connected().await;
    let mut history = client.history(&ConversationId::peer("bob"), 3);
    // The server may give less than asked for though there is more.
    let script = [
        (3, 0, vec![6, 7], true),
        (1, 7006, vec![5], true),
        (3, 7005, vec![4], true),
        (2, 7004, vec![], true),
        (2, 7003, vec![2], false),
    ];
    let answering = async {
        for (limit, before, sequences, more) in script {
            let (request_id, command) = server.next_command().await;
            let Body::QueryMessages(query) = command else {
                panic!("not {command:?}")
            };
            assert_eq!((query.limit, query.direction, query.message_id), (limit, 0, before));
            let oldest = sequences.first().map_or(7003, |sequence| 7000 + sequence);
            let messages = sequences
                .into_iter()
                .map(|sequence| said("bob", "alice", sequence))
                .collect();
            let page = Messages {
                messages,
                more,
                beyond_message_id: oldest,
            };
            server
                .reply(request_id, peer::success(reply::Result::Messages(page)))
                .await;
        }
    };
    let reading = async {
        let mut pages = Vec::new();
        for _ in 0..3 {
            let page = history.next().await.expect("a page");
            let sequences: Vec<u64> = page.value.iter().map(|message| message.sequence).collect();
            pages.push((sequences, page.done));
        }
        pages
    };
    let ((), pages) = tokio::join!(answering, reading);
    assert_eq!(pages, [(vec![5, 6, 7], false), (vec![2, 4], true), (vec![], true)]);
}

#[tokio::test]
async fn a_question_for_messages_says_which() {
    let (client, _events, mut server) = peer::connected().await;
    let query = MessagesQuery::default()
        .limit(50)
        .after_time(9)
        .kinds([MessageKind::Image, MessageKind::Text]);
    let page = peer::success(reply::Result::Messages(Messages::default()));
    let asking = client.query_messages(&ConversationId::system("ops"), query);
    let (command, _) = answered(&mut server, asking, page).await;
    assert!(matches!(
        command,
        Body::QueryMessages(it)
            if (it.r#type, it.limit, it.direction, it.time_ms) == (4, 50, 1, 9) && it.message_types == [11, 1]
    ));
}

#[tokio::test]
async fn who_did_not_ask_the_library_to_follow_gets_events_as_they_come() {
    let (client, mut events, mut server) = peer::connected().await;
    let page = peer::success(reply::Result::SyncPage(SyncPage {
        messages: vec![said("bob", "alice", 3)],
        next_cursor: "c".into(),
        ..SyncPage::default()
    }));
    let (_, page) = answered(&mut server, client.sync_conversations(5, "", &[]), page).await;
    let page = page.expect("answered");
    assert_eq!(page.messages[0].conversation, ConversationId::peer("bob"));
    assert_eq!(page.next_cursor.as_deref(), Some("c"));
    for _ in 0..2 {
        server.event(Body::ConversationMessage(said("alice", "bob", 4))).await;
        let Some(Event::ConversationMessage(message)) = events.next().await else {
            panic!("no message")
        };
        assert_eq!(
            (message.conversation, message.sequence),
            (ConversationId::peer("bob"), 4)
        );
    }
    let moved = PositionMoved {
        r#type: ConversationType::Peer.into(),
        target_id: "alice".into(),
        user_id: "bob".into(),
        read_sequence: 4,
        ..PositionMoved::default()
    };
    server.event(Body::PositionMoved(moved)).await;
    assert!(matches!(
        events.next().await,
        Some(Event::PositionMoved(moved)) if moved.conversation == ConversationId::peer("bob")
    ));
    server.event(Body::ConversationsLost(Default::default())).await;
    assert_eq!(events.next().await, Some(Event::ConversationsLost));
}

#[tokio::test]
async fn a_client_that_follows_says_what_its_app_has_taken() {
    let page = SyncPage {
        messages: vec![said("bob", "alice", 3), said("bob", "alice", 4)],
        ..SyncPage::default()
    };
    let (client, mut events, mut server) = following(page).await;
    assert!(matches!(events.next().await, Some(Event::ConversationsSynced(_))));
    server.event(Body::ConversationMessage(said("bob", "alice", 4))).await;
    server.event(Body::ConversationMessage(said("bob", "alice", 5))).await;
    for sequence in 3..=5 {
        assert!(matches!(
            events.next().await,
            Some(Event::ConversationMessage(message)) if message.sequence == sequence
        ));
    }
    let (request_id, command) = server.next_command().await;
    let Body::AckMessages(ack) = command else {
        panic!("not {command:?}")
    };
    assert_eq!((&*ack.id, ack.read_sequence), ("bob", 0));
    assert!((3..=5).contains(&ack.delivered_sequence));
    server
        .reply(
            request_id,
            peer::success(reply::Result::AckMessages(AckMessagesResult::default())),
        )
        .await;
    let known = client.known_conversations();
    assert_eq!((known[0].sequence, known[0].message_id), (5, 7005));
}

#[tokio::test]
async fn the_answer_to_a_message_may_come_before_what_others_said_before_it() {
    let (client, mut events, mut server) = following(SyncPage::default()).await;
    assert!(matches!(events.next().await, Some(Event::ConversationsSynced(_))));
    let submission = client.submit(OutgoingMessage::text(ConversationId::peer("bob"), "hello"));
    let (request_id, _) = server.next_command().await;
    server.reply(request_id, sent(501)).await;
    assert!(matches!(submission.await, SendOutcome::Sent(sent) if sent.sequence == 501));
    for sequence in [500, 502] {
        server
            .event(Body::ConversationMessage(said("bob", "alice", sequence)))
            .await;
        assert!(matches!(
            events.next().await,
            Some(Event::ConversationMessage(message)) if message.sequence == sequence
        ));
    }
}

#[tokio::test]
async fn a_message_is_submitted_again_until_it_is_taken() {
    let (client, _events, mut server) = peer::connected().await;
    let submission = client.submit(OutgoingMessage::text(ConversationId::peer("bob"), "hello"));
    let name = submission.client_message_id().to_owned();
    for code in [ErrorCode::TIMEOUT, ErrorCode::REQUEST_TOO_FREQUENT] {
        let (request_id, command) = server.next_command().await;
        assert!(matches!(command, Body::SendMessage(it) if it.client_message_id == name));
        let refusal = Reply {
            code: code.into(),
            retry_after_ms: 1,
            ..Reply::default()
        };
        server.reply(request_id, refusal).await;
    }
    let (request_id, _) = server.next_command().await;
    server.reply(request_id, sent(3)).await;
    assert!(matches!(submission.await, SendOutcome::Sent(sent) if sent.sequence == 3));
}

#[tokio::test]
async fn what_may_have_been_taken_is_unknown_at_the_end_and_can_be_submitted_again() {
    let (client, _events, mut server) = peer::connected().await;
    let bob = || ConversationId::peer("bob");
    let under_way = client.submit(OutgoingMessage::text(bob(), "hello"));
    let behind = client.submit(OutgoingMessage::text(bob(), "again"));
    let name = under_way.client_message_id().to_owned();
    server.next_command().await;
    drop(server);
    let SendOutcome::Unknown { message, error } = under_way.await else {
        panic!("its answer was lost")
    };
    assert_eq!(error.code, ErrorCode::SOCKET_DISCONNECTED);
    assert!(matches!(behind.await, SendOutcome::Failed(_)));

    let (client, _events, mut server) = peer::connected().await;
    let again = client.submit(*message);
    let (request_id, command) = server.next_command().await;
    assert!(matches!(command, Body::SendMessage(it) if it.client_message_id == name));
    server.reply(request_id, sent(3)).await;
    assert!(matches!(again.await, SendOutcome::Sent(_)));
    let to_a_room = client.submit(OutgoingMessage::text("lobby", "hello")).await;
    assert!(matches!(to_a_room, SendOutcome::Failed(error) if error.detail == "target_id"));
}
