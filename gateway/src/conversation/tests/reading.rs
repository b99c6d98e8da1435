//! What a user missed, how far it has got, and history.

use sluice_protocol::{
    AckMessages, AckMessagesResult, ConversationMessage, ConversationType, ErrorCode, HistoryDirection, MessageType,
    Messages, OwnConversation, PositionMoved, QueryMessages, SendMessage, SyncConversations, SyncPage, limits,
};

use super::*;

fn say(chats: &Chats, from: &str, kind: ConversationType, to: &str, content: &[u8]) -> u64 {
    say_as(chats, from, kind, to, MessageType::Text, content)
}

fn say_as(chats: &Chats, from: &str, kind: ConversationType, to: &str, of: MessageType, content: &[u8]) -> u64 {
    chats.wait(Duration::from_millis(10));
    let message = SendMessage {
        conversation_type: kind.into(),
        target_id: to.into(),
        r#type: of.into(),
        object_name: if of == MessageType::Custom { "app:test" } else { "" }.into(),
        content: content.to_vec().into(),
        ..SendMessage::default()
    };
    match chats.ask(from, Command::send(message)).expect("it is taken").result {
        reply::Result::SendMessage(result) => result.message_id,
        other => panic!("{other:?}"),
    }
}

fn to_peer(chats: &Chats, from: &str, to: &str, texts: impl IntoIterator<Item = u32>) {
    for text in texts {
        say(chats, from, ConversationType::Peer, to, text.to_string().as_bytes());
    }
}

fn sync(chats: &Chats, user: &str, command: SyncConversations) -> (SyncPage, Vec<(i64, i64)>) {
    let answer = chats.ask(user, Command::Sync(command)).expect("a page");
    match answer.result {
        reply::Result::SyncPage(page) => (page, answer.reached),
        other => panic!("{other:?}"),
    }
}

/// All pages, each of which must fit.
fn sync_all(chats: &Chats, user: &str, command: SyncConversations) -> (Vec<OwnConversation>, Vec<ConversationMessage>) {
    let (mut page, _) = sync(chats, user, command);
    let conversations = std::mem::take(&mut page.conversations);
    let mut messages = Vec::new();
    loop {
        assert!(
            page.encoded_len() <= limits::PAGE_BYTES + 64 * 1024,
            "{}",
            page.encoded_len()
        );
        messages.append(&mut page.messages);
        if page.next_cursor.is_empty() {
            return (conversations, messages);
        }
        let command = SyncConversations {
            cursor: page.next_cursor,
            ..SyncConversations::default()
        };
        page = sync(chats, user, command).0;
        assert!(page.conversations.is_empty(), "only the first page has them");
    }
}

fn ack(
    chats: &Chats,
    user: &str,
    kind: ConversationType,
    id: &str,
    delivered: u64,
    read: u64,
) -> (AckMessagesResult, Answer) {
    let command = AckMessages {
        r#type: kind.into(),
        id: id.into(),
        delivered_sequence: delivered,
        read_sequence: read,
    };
    let answer = chats.ask(user, Command::Ack(command)).expect("it is taken");
    match &answer.result {
        reply::Result::AckMessages(result) => (*result, answer),
        other => panic!("{other:?}"),
    }
}

fn history(chats: &Chats, user: &str, command: QueryMessages) -> Result<Messages, Refusal> {
    match chats.ask(user, Command::History(command))?.result {
        reply::Result::Messages(messages) => Ok(messages),
        other => panic!("{other:?}"),
    }
}

fn sequences(messages: &[ConversationMessage]) -> Vec<u64> {
    messages.iter().map(|message| message.sequence).collect()
}

fn positions(delivered: u64, read: u64, unread: u32) -> AckMessagesResult {
    AckMessagesResult {
        delivered_sequence: delivered,
        read_sequence: read,
        unread,
    }
}

#[test]
fn a_user_gets_the_newest_of_what_was_missed_with_a_number_that_falls_to_zero() {
    let chats = Chats::new();
    to_peer(&chats, "bob", "alice", 1..=25);
    chats.wait(Duration::from_secs(1));
    to_peer(&chats, "carol", "alice", 1..=3);
    let (page, reached) = sync(&chats, "alice", SyncConversations::default());
    assert_eq!(page.next_cursor, "");
    assert_eq!(page.more_conversations, 0);
    let listed: Vec<_> = page
        .conversations
        .iter()
        .map(|own| (own.info.as_ref().unwrap().id.as_str(), own.unread))
        .collect();
    assert_eq!(listed, [("carol", 3), ("bob", 25)], "the newest first");
    let expected: Vec<u64> = (1..=3).chain(6..=25).collect();
    assert_eq!(sequences(&page.messages), expected, "the newest twenty, oldest first");
    let left: Vec<u32> = page.messages.iter().map(|message| message.left).collect();
    assert_eq!(left, (0..23).rev().collect::<Vec<_>>());
    assert!(page.messages.iter().all(|message| message.history));
    let mut reached: Vec<i64> = reached.into_iter().map(|(_, sequence)| sequence).collect();
    reached.sort_unstable();
    assert_eq!(reached, [3, 25]);
    let one = SyncConversations {
        newest: 1,
        ..SyncConversations::default()
    };
    assert_eq!(sequences(&sync(&chats, "alice", one).0.messages), [3, 25]);
}

#[test]
fn what_was_delivered_or_is_known_is_not_told_again() {
    let chats = Chats::new();
    to_peer(&chats, "bob", "alice", 1..=10);
    ack(&chats, "alice", ConversationType::Peer, "bob", 4, 2);
    let (conversations, messages) = sync_all(&chats, "alice", SyncConversations::default());
    assert_eq!(sequences(&messages), [5, 6, 7, 8, 9, 10]);
    assert_eq!(
        (conversations[0].delivered_sequence, conversations[0].read_sequence),
        (4, 2)
    );
    assert_eq!(conversations[0].unread, 8);
    let knowing = |sequence: u64| SyncConversations {
        known_types: vec![0],
        known_ids: vec!["bob".into()],
        known_sequences: vec![sequence],
        ..SyncConversations::default()
    };
    // A device that knows less than others, and one that knows more.
    assert_eq!(
        sequences(&sync_all(&chats, "alice", knowing(1)).1),
        (2..=10).collect::<Vec<_>>()
    );
    assert_eq!(sequences(&sync_all(&chats, "alice", knowing(9)).1), [10]);
    assert!(sync_all(&chats, "alice", knowing(u64::MAX)).1.is_empty());
    ack(&chats, "alice", ConversationType::Peer, "bob", 10, 10);
    assert_eq!(
        sync_all(&chats, "alice", SyncConversations::default()),
        (vec![], vec![])
    );
    let (page, reached) = sync(&chats, "alice", knowing(10));
    assert_eq!((page.conversations.len(), page.more_conversations), (0, 0));
    assert_eq!(reached.len(), 1, "what is on its way of it is known already");
    assert_eq!(sequences(&sync_all(&chats, "alice", knowing(8)).1), [9, 10]);
}

#[test]
fn an_own_message_is_told_until_it_is_acknowledged_since_its_answer_may_be_lost() {
    let chats = Chats::new();
    let sequences_of = |user: &str| sequences(&sync(&chats, user, SyncConversations::default()).0.messages);
    to_peer(&chats, "alice", "bob", [1]);
    assert_eq!(sequences_of("alice"), [1]);
    ack(&chats, "alice", ConversationType::Peer, "bob", 1, 1);
    assert_eq!(sequences_of("alice"), [0_u64; 0]);
    to_peer(&chats, "alice", "bob", [2]);
    to_peer(&chats, "bob", "alice", [3]);
    assert_eq!(sequences_of("alice"), [2, 3]);
}

#[test]
fn large_messages_come_in_several_pages_and_what_comes_meanwhile_is_in_none() {
    let chats = Chats::new();
    let large = vec![b'x'; 30_000];
    for _ in 0..40 {
        say(&chats, "bob", ConversationType::Peer, "alice", &large);
    }
    to_peer(&chats, "carol", "alice", 1..=2);
    let command = SyncConversations {
        newest: limits::SYNC_NEWEST_MAX,
        ..SyncConversations::default()
    };
    let (first, reached) = sync(&chats, "alice", command);
    assert!(first.messages.len() < 42 && !first.next_cursor.is_empty());
    assert_eq!(reached.len(), 2, "all of them, in whichever page");
    to_peer(&chats, "bob", "alice", [41]);
    let mut messages = first.messages;
    let mut cursor = first.next_cursor;
    let mut pages = 1;
    while !cursor.is_empty() {
        let command = SyncConversations {
            cursor,
            ..SyncConversations::default()
        };
        let (page, reached) = sync(&chats, "alice", command);
        assert!(reached.is_empty());
        messages.extend(page.messages);
        cursor = page.next_cursor;
        pages += 1;
    }
    assert_eq!(pages, 3, "1.2 MB");
    let expected: Vec<u64> = (1..=2).chain(1..=40).collect();
    assert_eq!(sequences(&messages), expected);
    let left: Vec<u32> = messages.iter().map(|message| message.left).collect();
    assert_eq!(left, (0..42).rev().collect::<Vec<_>>());
}

/// What asks on.
fn after(cursor: &str) -> SyncConversations {
    SyncConversations {
        cursor: cursor.to_owned(),
        ..SyncConversations::default()
    }
}

/// A first page that is full with the first messages of a discussion.
fn full_page(chats: &Chats, user: &str, from: &str, id: &str) -> SyncPage {
    for _ in 0..20 {
        say(chats, from, ConversationType::Discussion, id, &[b'x'; 30_000]);
    }
    let (page, _) = sync(chats, user, SyncConversations::default());
    assert!(page.messages.len() < 20 && !page.next_cursor.is_empty());
    page
}

#[test]
fn a_cursor_is_taken_from_whom_it_was_given_to_and_no_other_is() {
    let chats = Chats::new();
    let id = chats.discussion("alice", &["bob", "carol"]);
    let page = full_page(&chats, "bob", "alice", &id);
    let cursor = &page.next_cursor;
    let refused = |answer: Result<Answer, Refusal>| assert_eq!(answer.unwrap_err(), Refusal::parameter("cursor"));
    refused(chats.ask("carol", Command::Sync(after(cursor))));
    // Another app may have a user with the same id, and its conversations are in the same table.
    refused(chats.ask_elsewhere("bob", Command::Sync(after(cursor))));
    for place in 0..cursor.len() {
        let mut altered = cursor.clone().into_bytes();
        altered[place] = if altered[place] == b'1' { b'2' } else { b'1' };
        let altered = String::from_utf8(altered).expect("ASCII");
        refused(chats.ask("bob", Command::Sync(after(&altered))));
    }
    let (seal, stretch) = cursor.split_once(':').expect("a seal");
    let row = stretch.split('.').next().expect("a row");
    for made_up in [
        "x".to_owned(),
        ":".to_owned(),
        stretch.to_owned(),
        format!("{row}.1.20.0"),
        format!("{seal}:{row}.1.20.0"),
        format!("{seal}:{stretch},{stretch}"),
        format!("{seal}:{row}.{}.{}.0", i64::MAX, i64::MAX),
        format!("{}:{stretch}", "0".repeat(seal.len())),
    ] {
        refused(chats.ask("bob", Command::Sync(after(&made_up))));
    }
    let (next, _) = sync(&chats, "bob", after(cursor));
    let first = page.messages.len() as u64 + 1;
    assert_eq!(sequences(&next.messages), (first..=20).collect::<Vec<_>>());
}

#[test]
fn a_cursor_gives_nothing_that_its_user_may_not_see_any_more() {
    let chats = Chats::new();
    let id = chats.discussion("alice", &["bob"]);
    let cursor = full_page(&chats, "bob", "alice", &id).next_cursor;
    let quit = sluice_protocol::QuitConversation {
        r#type: ConversationType::Discussion.into(),
        id: id.clone(),
    };
    chats.ask("bob", Command::Quit(quit)).expect("he goes");
    let (page, _) = sync(&chats, "bob", after(&cursor));
    assert_eq!((page.messages.len(), page.next_cursor.as_str()), (0, ""));
    let add = sluice_protocol::AddMembers {
        r#type: ConversationType::Discussion.into(),
        id,
        user_ids: texts(&["bob"]),
    };
    chats.ask("alice", Command::Add(add)).expect("he is back");
    let (page, _) = sync(&chats, "bob", after(&cursor));
    assert_eq!(page.messages.len(), 0, "none from before he came back");
}

#[test]
fn a_cursor_into_messages_that_are_deleted_meanwhile_comes_to_its_end() {
    let chats = Chats::new();
    // The store goes by the clock on the wall, for which these are old.
    chats.now.set(Now {
        unix_ms: 1_750_000_000_000,
        ..chats.now.get()
    });
    let id = chats.discussion("alice", &["bob"]);
    let cursor = full_page(&chats, "bob", "alice", &id).next_cursor;
    chats
        .conversations
        .inner
        .store
        .keep_messages_for([("app".to_owned(), Duration::ZERO)]);
    let command = QueryMessages {
        r#type: ConversationType::Discussion.into(),
        id,
        ..QueryMessages::default()
    };
    while !history(&chats, "alice", command.clone())
        .expect("a page")
        .messages
        .is_empty()
    {
        std::thread::yield_now();
    }
    let (page, _) = sync(&chats, "bob", after(&cursor));
    assert_eq!((page.messages.len(), page.next_cursor.as_str()), (0, ""));
}

#[test]
fn fifty_conversations_are_listed_and_those_known_by_name_are_among_them() {
    let chats = Chats::new();
    to_peer(&chats, "old-friend", "alice", 1..=2);
    for number in 0..limits::SYNCED_CONVERSATIONS + 5 {
        to_peer(&chats, &format!("user{number}"), "alice", [1]);
    }
    let (page, _) = sync(&chats, "alice", SyncConversations::default());
    assert_eq!((page.conversations.len(), page.more_conversations), (50, 6));
    assert_eq!(page.messages.len(), 50);
    let knowing = SyncConversations {
        known_types: vec![0, 0, 0],
        known_ids: texts(&["old-friend", "nobody", "old-friend"]),
        known_sequences: vec![1, 7, 0],
        ..SyncConversations::default()
    };
    let (page, _) = sync(&chats, "alice", knowing);
    assert_eq!((page.conversations.len(), page.more_conversations), (50, 6));
    assert_eq!(page.messages.len(), 50);
    let last = page.messages.last().expect("messages");
    assert_eq!(last.sender.as_ref().unwrap().user_id, "old-friend");
    assert_eq!(last.sequence, 2);
    let id = |own: &OwnConversation| own.info.as_ref().unwrap().id.clone();
    assert_eq!(id(page.conversations.last().unwrap()), "old-friend");
    assert_eq!(id(&page.conversations[0]), "user54");
}

#[test]
fn positions_only_grow_and_not_beyond_what_there_is() {
    let chats = Chats::new();
    to_peer(&chats, "bob", "alice", 1..=5);
    to_peer(&chats, "alice", "bob", [6]);
    let peer = ConversationType::Peer;
    let (result, answer) = ack(&chats, "alice", peer, "bob", 3, 0);
    assert_eq!(result, positions(3, 0, 5), "one's own are not unread");
    assert_eq!(answer.told(), [(vec!["alice", "bob"], "moved")]);
    assert_eq!(
        answer.told[0].event,
        Body::PositionMoved(PositionMoved {
            r#type: peer.into(),
            target_id: "bob".into(),
            user_id: "alice".into(),
            delivered_sequence: 3,
            read_sequence: 0,
        })
    );
    assert_eq!(answer.told[0].push, None);
    let (result, answer) = ack(&chats, "alice", peer, "bob", 2, 0);
    assert_eq!(
        (result, answer.told().len()),
        (positions(3, 0, 5), 0),
        "nothing moved, nobody is told"
    );
    assert_eq!(
        ack(&chats, "alice", peer, "bob", 0, 4).0,
        positions(4, 4, 1),
        "what was read was delivered"
    );
    assert_eq!(
        ack(&chats, "alice", peer, "bob", u64::MAX, u64::MAX).0,
        positions(6, 6, 0)
    );
    assert_eq!(ack(&chats, "bob", peer, "alice", 0, 0).0, positions(0, 0, 1));
    assert_eq!(
        ack(&chats, "alice", peer, "nobody", 5, 5).0,
        positions(0, 0, 0),
        "there is nothing yet"
    );
}

/// One step of what Alice asks.
fn step(chats: &Chats, command: Command) -> Outcome {
    let asked = Asked {
        app: AppIndex(0),
        by: Actor::User(named("alice")),
        command,
    };
    chats.step(asked).expect("it is taken")
}

#[test]
fn what_is_unread_is_counted_on_a_thread_that_only_reads() {
    let chats = Chats::new();
    to_peer(&chats, "bob", "alice", 1..=5);
    let up_to = |read_sequence| AckMessages {
        r#type: ConversationType::Peer.into(),
        id: "bob".into(),
        delivered_sequence: 0,
        read_sequence,
    };
    let counted = |outcome: &Outcome| match &outcome.result {
        reply::Result::AckMessages(result) => *result,
        other => panic!("{other:?}"),
    };
    assert!(!Command::Ack(up_to(2)).changes_rows());
    let first = step(&chats, Command::Ack(up_to(2)));
    assert_eq!(counted(&first), positions(2, 2, 3));
    assert!(first.tell.is_empty(), "nothing has moved yet");
    // What comes meanwhile is not in the number, nor is it counted again.
    to_peer(&chats, "bob", "alice", [6]);
    let second = step(&chats, first.next.expect("it moves"));
    assert_eq!(counted(&second), positions(2, 2, 3));
    assert_eq!((second.tell.len(), second.next.is_none()), (1, true));

    let first = step(&chats, Command::Ack(up_to(3)));
    ack(&chats, "alice", ConversationType::Peer, "bob", 0, 5);
    // Another device was faster and got further.
    let second = step(&chats, first.next.expect("it moves"));
    assert!(second.tell.is_empty());
    let third = step(&chats, second.next.expect("it is counted anew"));
    assert_eq!((counted(&third), third.next.is_none()), (positions(5, 5, 1), true));
}

#[test]
fn in_a_group_a_position_is_told_to_ones_own_devices_alone() {
    let chats = Chats::new();
    let id = chats.group("alice", &["bob", "carol"]);
    say(&chats, "alice", ConversationType::Group, &id, b"hello");
    let (result, answer) = ack(&chats, "bob", ConversationType::Group, &id, 1, 1);
    assert_eq!(result, positions(1, 1, 0));
    assert_eq!(answer.told(), [(vec!["bob"], "moved")]);
    let command = AckMessages {
        r#type: ConversationType::Group.into(),
        id,
        delivered_sequence: 1,
        read_sequence: 1,
    };
    let refused = chats.ask("mallory", Command::Ack(command)).unwrap_err();
    assert_eq!(refused.code, ErrorCode::NOT_IN_GROUP);
}

#[test]
fn history_is_paged_in_both_directions_by_message_and_by_time() {
    let chats = Chats::new();
    let began_ms = chats.now_ms();
    let ids: Vec<u64> = (1..=50)
        .map(|_| say(&chats, "bob", ConversationType::Peer, "alice", b"x"))
        .collect();
    let ask = |change: &dyn Fn(&mut QueryMessages)| {
        let mut command = QueryMessages {
            r#type: ConversationType::Peer.into(),
            id: "bob".into(),
            ..QueryMessages::default()
        };
        change(&mut command);
        let page = history(&chats, "alice", command).expect("a page");
        assert!(page.messages.iter().all(|message| message.history && message.left == 0));
        (sequences(&page.messages), page.more, page.beyond_message_id)
    };
    let range = |from: u64, to: u64| (from..=to).collect::<Vec<_>>();
    assert_eq!(
        ask(&|_| ()),
        (range(31, 50), true, ids[30]),
        "the newest twenty, oldest first"
    );
    let newer = |command: &mut QueryMessages| command.direction = HistoryDirection::Newer.into();
    assert_eq!(ask(&newer), (range(1, 20), true, ids[19]));
    assert_eq!(
        ask(&|c| c.limit = 50),
        (range(1, 50), false, 0),
        "a page that is full with the last"
    );
    assert_eq!(
        ask(&|c| c.message_id = ids[30]),
        (range(11, 30), true, ids[10]),
        "the one named is not in it"
    );
    assert_eq!(ask(&|c| c.message_id = ids[10]), (range(1, 10), false, 0));
    assert_eq!(
        ask(&|c| c.message_id = ids[10] + 1),
        (range(1, 11), false, 0),
        "of an id that is none"
    );
    assert_eq!(ask(&|c| c.message_id = u64::MAX).0, range(31, 50));
    assert_eq!(ask(&|c| c.message_id = ids[0]), (vec![], false, 0));
    let newer_than = |id: u64| {
        ask(&|c| {
            newer(c);
            c.message_id = id;
        })
    };
    assert_eq!(newer_than(ids[44]), (range(46, 50), false, 0));
    assert_eq!(newer_than(ids[44] - 1), (range(45, 50), false, 0));
    assert_eq!(newer_than(ids[49]), (vec![], false, 0));
    // Each is sent ten milliseconds after the one before.
    let at = |number: i64| began_ms + number * 10;
    assert_eq!(ask(&|c| c.time_ms = at(5)), (range(1, 4), false, 0));
    assert_eq!(ask(&|c| c.time_ms = at(5) + 1), (range(1, 5), false, 0));
    let newer_than = |ms: i64| {
        ask(&|c| {
            newer(c);
            c.time_ms = ms;
        })
    };
    assert_eq!(newer_than(at(46)), (range(47, 50), false, 0));
    assert_eq!(newer_than(at(46) - 1), (range(46, 50), false, 0));
    assert_eq!(newer_than(at(60)), (vec![], false, 0));
}

#[test]
fn a_page_of_history_holds_half_a_megabyte_at_most() {
    let chats = Chats::new();
    let large = vec![b'x'; 30_000];
    for _ in 0..40 {
        say(&chats, "bob", ConversationType::Peer, "alice", &large);
    }
    for direction in [HistoryDirection::Older, HistoryDirection::Newer] {
        let mut command = QueryMessages {
            r#type: ConversationType::Peer.into(),
            id: "bob".into(),
            limit: 1000,
            direction: direction.into(),
            ..QueryMessages::default()
        };
        let mut found = Vec::new();
        loop {
            let page = history(&chats, "alice", command.clone()).expect("a page");
            assert!(page.encoded_len() <= limits::PAGE_BYTES, "{}", page.encoded_len());
            assert!(!page.messages.is_empty());
            match direction {
                HistoryDirection::Older => found.splice(0..0, sequences(&page.messages)).for_each(drop),
                HistoryDirection::Newer => found.extend(sequences(&page.messages)),
            }
            if !page.more {
                break;
            }
            command.message_id = page.beyond_message_id;
        }
        assert_eq!(found, (1..=40).collect::<Vec<_>>());
    }
}

#[test]
fn history_by_type_looks_at_so_many_and_says_where_to_go_on() {
    let chats = Chats::new();
    let group = chats.group("alice", &["bob"]);
    let kind = ConversationType::Group;
    let first = say_as(&chats, "alice", kind, &group, MessageType::Custom, b"a");
    let row = chats.read({
        let group = group.clone();
        move |rows| rows.conversation("app", kind.into(), &group)
    });
    let row = row.expect("it is there");
    // Five thousand by hand: to send them all would take a while.
    let rest = 5_500_i64;
    let (id, at_ms) = (row.id, chats.now_ms());
    let first_id = i64::try_from(first).unwrap();
    chats.change(move |rows| {
        for sequence in 2..=rest {
            let event = ConversationMessage {
                sequence: sequence.unsigned_abs(),
                r#type: MessageType::Text.into(),
                ..ConversationMessage::default()
            };
            rows.insert_message(&crate::store::MessageRow {
                conversation: id,
                sequence,
                message_id: first_id + sequence,
                sent_at_ms: at_ms,
                sender_id: "alice".into(),
                kind: MessageType::Text.into(),
                counts: true,
                recalled: false,
                event: event.encode_to_vec(),
            })?;
        }
        rows.move_last(id, rest, first_id + rest, at_ms)
    });
    let mut command = QueryMessages {
        r#type: kind.into(),
        id: group,
        message_types: vec![MessageType::Custom as u32],
        ..QueryMessages::default()
    };
    let page = history(&chats, "bob", command.clone()).expect("a page");
    assert_eq!((page.messages.len(), page.more), (0, true));
    assert_eq!(page.beyond_message_id, (first_id + rest - 4_999).unsigned_abs());
    command.message_id = page.beyond_message_id;
    let page = history(&chats, "bob", command.clone()).expect("a page");
    assert_eq!((sequences(&page.messages), page.more), (vec![1], false));
    command.message_id = 0;
    command.direction = HistoryDirection::Newer.into();
    let page = history(&chats, "bob", command.clone()).expect("a page");
    assert_eq!((sequences(&page.messages), page.more), (vec![1], true));
    command.message_id = page.beyond_message_id;
    let page = history(&chats, "bob", command).expect("a page");
    assert_eq!((page.messages.len(), page.more), (0, false));
}

#[test]
fn who_came_later_sees_what_came_later() {
    let chats = Chats::new();
    let id = chats.group("alice", &["bob"]);
    for _ in 0..5 {
        say(&chats, "alice", ConversationType::Group, &id, b"before");
    }
    let join = sluice_protocol::JoinConversation {
        r#type: ConversationType::Group.into(),
        id: id.clone(),
    };
    chats.ask("carol", Command::Join(join)).expect("it is open");
    for _ in 0..2 {
        say(&chats, "alice", ConversationType::Group, &id, b"after");
    }
    let command = QueryMessages {
        r#type: ConversationType::Group.into(),
        id: id.clone(),
        ..QueryMessages::default()
    };
    let page = history(&chats, "carol", command.clone()).expect("a page");
    assert_eq!((sequences(&page.messages), page.more), (vec![6, 7], false));
    let (conversations, messages) = sync_all(&chats, "carol", SyncConversations::default());
    assert_eq!((conversations[0].unread, conversations[0].first_sequence), (2, 6));
    assert_eq!(sequences(&messages), [6, 7]);
    let refused = history(&chats, "mallory", command).unwrap_err();
    assert_eq!(refused.code, ErrorCode::NOT_IN_GROUP);
}

#[test]
fn an_app_without_history_has_none_but_what_was_missed() {
    let chats = Chats::with(|app| app.conversations.history = false);
    to_peer(&chats, "bob", "alice", 1..=2);
    let command = QueryMessages {
        r#type: ConversationType::Peer.into(),
        id: "bob".into(),
        ..QueryMessages::default()
    };
    let refused = history(&chats, "alice", command).unwrap_err();
    assert_eq!(refused.code, ErrorCode::HISTORY_SERVICE_OFF);
    assert_eq!(sync_all(&chats, "alice", SyncConversations::default()).1.len(), 2);
    let id = chats.discussion("alice", &["carol"]);
    let page = full_page(&chats, "carol", "alice", &id);
    let (next, _) = sync(&chats, "carol", after(&page.next_cursor));
    assert_eq!(page.messages.len() + next.messages.len(), 20);
}

#[test]
fn nothing_comes_of_a_temporary_conversation_that_is_over() {
    let chats = Chats::new();
    let create = CreateConversation {
        user_ids: texts(&["bob"]),
        temporary_seconds: 60,
        ..CreateConversation::default()
    };
    let id = created(chats.ask("alice", Command::Create(create)));
    let cursor = full_page(&chats, "bob", "alice", &id).next_cursor;
    assert_ne!(sync(&chats, "bob", after(&cursor)).0.messages.len(), 0);
    chats.wait(Duration::from_secs(60));
    let (page, _) = sync(&chats, "bob", after(&cursor));
    assert_eq!((page.messages.len(), page.next_cursor.as_str()), (0, ""));
    let (page, _) = sync(&chats, "bob", SyncConversations::default());
    assert_eq!(
        (page.conversations.len(), page.more_conversations, page.messages.len()),
        (0, 0, 0)
    );
}
