//! Following with a made-up clock: what is asked, what the app is told.

use sluice_protocol::{
    AckMessagesResult, ConversationInfo, ConversationMessage as WireMessage, ConversationType, Conversations,
    ConversationsLost, GroupDismissed, MembersLeft, Messages, OwnConversation, SyncPage as WirePage, UserInfo,
};

use sluice_protocol::ErrorCode;

use super::*;

mod dice;
mod own_messages;

const GROUP: &str = "cats";

/// A client and the scripted answers to what it asks.
struct Script {
    following: Following,
    now: Instant,
    last_id: u32,
}

fn message(sequence: u64) -> WireMessage {
    WireMessage {
        conversation_type: ConversationType::Group.into(),
        target_id: GROUP.into(),
        sequence,
        message_id: 7000 + sequence,
        sender: Some(UserInfo {
            user_id: "bob".into(),
            ..UserInfo::default()
        }),
        ..WireMessage::default()
    }
}

fn messages(sequences: impl IntoIterator<Item = u64>) -> Vec<WireMessage> {
    sequences.into_iter().map(message).collect()
}

fn known(sequence: u64) -> SyncOptions {
    SyncOptions::default().known([KnownConversation {
        conversation: ConversationId::group(GROUP),
        sequence,
        message_id: 7000 + sequence,
    }])
}

/// A conversation as the server lists it.
fn listed(id: &str, last_sequence: u64, delivered_sequence: u64) -> OwnConversation {
    OwnConversation {
        info: Some(ConversationInfo {
            r#type: ConversationType::Group.into(),
            id: id.into(),
            last_sequence,
            last_message_id: 7000 + last_sequence,
            ..ConversationInfo::default()
        }),
        delivered_sequence,
        ..OwnConversation::default()
    }
}

/// More conversations than can be named; [`GROUP`] is the one of which the newest message is the oldest.
fn known_many() -> SyncOptions {
    let others = (0..limits::KNOWN_CONVERSATIONS).map(|n| KnownConversation {
        conversation: ConversationId::group(format!("g{n}")),
        sequence: 1,
        message_id: 8000,
    });
    let mut options = known(20);
    options.known.extend(others);
    options
}

fn refusal(code: ErrorCode) -> Answer {
    Err(ClientError::new(code, "", ""))
}

impl Script {
    fn new(options: &SyncOptions) -> Self {
        let now = Instant::now();
        let mut following = Following::new(options, "alice", now);
        following.on_connected();
        Self {
            following,
            now,
            last_id: 1,
        }
    }

    /// A client that has asked what it missed, of which there was nothing.
    fn synced(options: &SyncOptions) -> Self {
        let mut script = Self::new(options);
        script.sync(WirePage::default());
        script
    }

    fn next(&mut self) -> Option<(u32, Body)> {
        let id = &mut self.last_id;
        self.following.next(self.now, || {
            *id += 1;
            *id
        })
    }

    fn answer(&mut self, request_id: u32, answer: &Answer) -> Vec<String> {
        let events = self.following.on_answer(request_id, answer, self.now);
        told(events.expect("it was asked"))
    }

    fn sync(&mut self, page: WirePage) -> Vec<String> {
        let (request_id, command) = self.next().expect("it asks");
        assert!(matches!(command, Body::SyncConversations(_)), "{command:?}");
        self.answer(request_id, &Ok(Some(reply::Result::SyncPage(page))))
    }

    /// What it asks history for, and what comes of the answer.
    fn fill(&mut self, sequences: impl IntoIterator<Item = u64>, more: bool) -> (u64, Vec<String>) {
        self.now += MISSING_GRACE;
        let (request_id, command) = self.next().expect("it asks for what is missing");
        let Body::QueryMessages(query) = command else {
            panic!("not {command:?}")
        };
        assert_eq!(query.direction, i32::from(HistoryDirection::Newer));
        let page = Messages {
            messages: messages(sequences),
            more,
            ..Messages::default()
        };
        let events = self.answer(request_id, &Ok(Some(reply::Result::Messages(page))));
        (query.message_id, events)
    }

    fn event(&mut self, body: Body) -> Vec<String> {
        told(self.following.on_event(body, self.now))
    }

    fn live(&mut self, sequence: u64) -> Vec<String> {
        self.event(Body::ConversationMessage(message(sequence)))
    }

    fn sent(&mut self, sequence: u64) -> Vec<String> {
        let (group, now) = (ConversationId::group(GROUP), self.now);
        told(self.following.on_sent(group, sequence, 7000 + sequence, now))
    }

    fn take(&self, sequence: u64) {
        let message = ConversationMessage::of_wire(message(sequence), "alice").expect("of a group");
        self.following
            .taken()
            .on_event(&Event::ConversationMessage(Box::new(message)));
    }

    fn next_ack(&mut self) -> Option<(u32, u64)> {
        match self.next() {
            None => None,
            Some((request_id, Body::AckMessages(ack))) => Some((request_id, ack.delivered_sequence)),
            Some((_, other)) => panic!("not an acknowledgement: {other:?}"),
        }
    }

    fn acked(&mut self, request_id: u32, sequence: u64) {
        let result = AckMessagesResult {
            delivered_sequence: sequence,
            ..AckMessagesResult::default()
        };
        self.answer(request_id, &Ok(Some(reply::Result::AckMessages(result))));
    }
}

/// Messages as numbers, gaps as `first-last`, others as words.
fn told(events: Vec<Event>) -> Vec<String> {
    let event = |event| match event {
        Event::ConversationMessage(message) => message.sequence.to_string(),
        Event::ConversationGap(gap) => format!("{}-{} missing", gap.first_sequence, gap.last_sequence),
        Event::ConversationsSynced(synced) => format!("synced {}", synced.conversations.len()),
        Event::ConversationsUnavailable { error } => format!("unavailable {}", error.code.number()),
        Event::GroupDismissed(_) => "dismissed".to_owned(),
        Event::ConversationMembersLeft(_) => "left".to_owned(),
        other => panic!("{other:?}"),
    };
    events.into_iter().map(event).collect()
}

#[test]
fn what_was_missed_is_asked_for_page_by_page_and_told_once() {
    let mut script = Script::new(&known(4).newest(50));
    let (request_id, command) = script.next().expect("it asks");
    let Body::SyncConversations(sync) = command else {
        panic!("not {command:?}")
    };
    assert_eq!(
        (sync.newest, sync.known_ids, sync.known_sequences),
        (50, vec![GROUP.to_owned()], vec![4])
    );
    assert_eq!(script.next(), None, "one page at a time");
    let first = WirePage {
        messages: messages(5..=6),
        next_cursor: "c".into(),
        ..WirePage::default()
    };
    let answer = Ok(Some(reply::Result::SyncPage(first)));
    assert_eq!(script.answer(request_id, &answer), ["synced 0", "5", "6"]);
    let (request_id, command) = script.next().expect("it asks on");
    assert!(matches!(&command, Body::SyncConversations(sync) if sync.cursor == "c" && sync.known_ids.is_empty()));
    let last = WirePage {
        messages: messages(6..=7),
        ..WirePage::default()
    };
    let answer = Ok(Some(reply::Result::SyncPage(last)));
    assert_eq!(script.answer(request_id, &answer), ["7"]);
    assert_eq!(script.live(7), [""; 0]);
    assert_eq!(script.live(8), ["8"]);
    assert_eq!(script.following.known()[0].sequence, 8);
    assert_eq!(script.following.ahead_bytes, 0, "nothing waits");
}

#[test]
fn of_a_conversation_that_is_new_to_this_client_the_first_message_is_the_beginning() {
    let mut script = Script::synced(&SyncOptions::default());
    assert_eq!(script.live(57), ["57"]);
    assert_eq!(script.live(58), ["58"]);
}

#[test]
fn what_is_missing_is_fetched_from_history_and_what_came_meanwhile_follows_in_order() {
    let mut script = Script::new(&known(10));
    let page = WirePage {
        messages: messages(31..=33),
        ..WirePage::default()
    };
    assert_eq!(script.sync(page), ["synced 0"]);
    assert_eq!(script.live(34), [""; 0]);
    let (beyond, events) = script.fill(11..=20, true);
    assert_eq!(beyond, 7010);
    assert_eq!(events.len(), 10);
    assert_eq!(script.live(35), [""; 0]);
    let (beyond, events) = script.fill(21..=32, true);
    assert_eq!(beyond, 7020);
    let expected: Vec<String> = (21..=35).map(|sequence: u64| sequence.to_string()).collect();
    assert_eq!(events, expected);
    assert_eq!(script.live(36), ["36"]);
    assert!(
        matches!(script.next(), None | Some((_, Body::AckMessages(_)))),
        "nothing is missing"
    );
    assert_eq!(script.following.ahead_bytes, 0);
}

#[test]
fn what_history_does_not_have_is_told_to_be_missing() {
    let mut script = Script::synced(&known(10));
    assert_eq!(script.live(20), [""; 0]);
    let (_, events) = script.fill([15, 16], false);
    assert_eq!(events, ["11-14 missing", "15", "16"]);
    // What came between the question and the answer may be there now.
    let (beyond, events) = script.fill([], false);
    assert_eq!(beyond, 7016);
    assert_eq!(events, ["17-19 missing", "20"]);
}

#[test]
fn an_app_without_history_hears_what_is_here_and_what_is_missing() {
    let mut script = Script::synced(&known(10));
    script.live(12);
    script.live(14);
    script.now += MISSING_GRACE;
    let (request_id, _) = script.next().expect("it asks for what is missing");
    let events = script.answer(request_id, &refusal(ErrorCode::HISTORY_SERVICE_OFF));
    assert_eq!(events, ["11-11 missing", "12", "13-13 missing", "14"]);
    assert_eq!(script.live(15), ["15"]);
}

#[test]
fn a_server_that_has_too_much_to_do_is_asked_again_when_it_says() {
    let mut script = Script::synced(&known(10));
    script.live(12);
    script.now += MISSING_GRACE;
    let (request_id, _) = script.next().expect("it asks for what is missing");
    let mut error = ClientError::new(ErrorCode::REQUEST_TOO_FREQUENT, "rate", "");
    error.retry_after = Some(Duration::from_millis(300));
    assert_eq!(script.answer(request_id, &Err(error)), [""; 0]);
    assert_eq!(script.next(), None);
    assert_eq!(
        script.following.next_deadline(),
        Some(script.now + Duration::from_millis(300))
    );
    script.now += Duration::from_millis(300);
    assert_eq!(script.fill([11], false).1, ["11", "12"]);
}

#[test]
fn more_than_can_wait_comes_from_history_too() {
    let mut script = Script::synced(&known(0));
    for sequence in 2..=300 {
        assert_eq!(script.live(sequence), [""; 0]);
    }
    let mut told = Vec::new();
    for first in [1, 101, 201] {
        told.extend(script.fill(first..=first + 99, first < 201).1);
    }
    let expected: Vec<String> = (1..=300).map(|sequence: u64| sequence.to_string()).collect();
    assert_eq!(told, expected);
}

#[test]
fn a_new_connection_asks_from_what_is_known_and_again_when_too_much_came() {
    let mut script = Script::synced(&known(4));
    script.live(5);
    script.following.on_connected();
    let (request_id, command) = script.next().expect("it asks");
    assert!(matches!(&command, Body::SyncConversations(sync) if sync.known_sequences == [5]));
    script.answer(request_id, &Ok(Some(reply::Result::SyncPage(WirePage::default()))));
    assert_eq!(script.event(Body::ConversationsLost(ConversationsLost {})), [""; 0]);
    assert!(matches!(script.next(), Some((_, Body::SyncConversations(sync))) if sync.known_sequences == [5]));
}

#[test]
fn a_server_without_conversations_is_not_asked_again() {
    let mut script = Script::new(&SyncOptions::default());
    let (request_id, _) = script.next().expect("it asks");
    let events = script.answer(request_id, &refusal(ErrorCode::OPERATION_NOT_SUPPORTED));
    assert_eq!(events, ["unavailable 20606"]);
    assert_eq!(script.next(), None);
    assert_eq!(script.following.next_deadline(), None);
}

#[test]
fn a_page_that_does_not_come_is_asked_for_from_the_beginning() {
    let mut script = Script::new(&SyncOptions::default());
    let page = WirePage {
        next_cursor: "c".into(),
        ..WirePage::default()
    };
    script.sync(page);
    let (request_id, _) = script.next().expect("it asks on");
    assert_eq!(script.following.next_deadline(), Some(script.now + ANSWER_TIMEOUT));
    script.now += ANSWER_TIMEOUT;
    script.following.expire(script.now);
    assert!(matches!(script.next(), Some((_, Body::SyncConversations(sync))) if sync.cursor.is_empty()));
    let late = Ok(Some(reply::Result::SyncPage(WirePage::default())));
    assert!(script.following.on_answer(request_id, &late, script.now).is_none());
}

#[test]
fn delivered_is_what_the_app_has_taken_and_is_said_at_most_once_a_second() {
    let mut script = Script::synced(&SyncOptions::default());
    for sequence in 1..=3 {
        script.live(sequence);
    }
    assert_eq!(script.next_ack(), None, "the app has taken nothing");
    script.take(2);
    script.now += ACK_INTERVAL;
    let (request_id, sequence) = script.next_ack().expect("something was taken");
    assert_eq!(sequence, 2);
    script.take(3);
    script.acked(request_id, 2);
    script.now += ACK_INTERVAL - Duration::from_millis(1);
    assert_eq!(script.next_ack(), None);
    let due = script.now + Duration::from_millis(1);
    assert_eq!(script.following.next_deadline(), Some(due));
    script.now = due;
    let (request_id, sequence) = script.next_ack().expect("a second has passed");
    assert_eq!(sequence, 3);
    script.acked(request_id, 3);
    assert_eq!(script.following.next_deadline(), None, "all is acknowledged");
}

#[test]
fn what_another_device_got_is_not_acknowledged_again() {
    let mut script = Script::new(&SyncOptions::default());
    let page = |delivered| WirePage {
        conversations: vec![listed(GROUP, 3, delivered)],
        messages: messages(1..=3),
        ..WirePage::default()
    };
    assert_eq!(script.sync(page(0)), ["synced 1", "1", "2", "3"]);
    script.following.on_connected();
    script.sync(page(3));
    script.take(3);
    script.now += ACK_INTERVAL;
    assert_eq!(script.next_ack(), None);
    assert_eq!(script.following.next_deadline(), None);
}

#[test]
fn what_an_app_kept_and_did_not_acknowledge_before_it_ended_is_acknowledged_then() {
    let mut script = Script::new(&known(50));
    let page = WirePage {
        conversations: vec![listed(GROUP, 50, 45)],
        ..WirePage::default()
    };
    assert_eq!(script.sync(page), ["synced 1"]);
    let (request_id, sequence) = script.next_ack().expect("the server does not know it to be delivered");
    assert_eq!(sequence, 50);
    script.acked(request_id, 50);
    assert_eq!(script.following.next_deadline(), None);
}

#[test]
fn what_another_device_got_is_fetched_where_the_server_gives_no_messages_of_it() {
    let mut script = Script::new(&known_many());
    let page = WirePage {
        conversations: vec![listed(GROUP, 22, 22)],
        ..WirePage::default()
    };
    assert_eq!(script.sync(page), ["synced 1"]);
    let (beyond, events) = script.fill(21..=22, false);
    assert_eq!(beyond, 7020);
    assert_eq!(events, ["21", "22"]);
    script.take(22);
    script.now += ACK_INTERVAL;
    assert_eq!(script.next_ack(), None, "the other device has acknowledged it");
}

#[test]
fn conversations_that_the_first_page_says_nothing_of_are_looked_up_in_the_list() {
    let mut script = Script::new(&known_many());
    let (request_id, command) = script.next().expect("it asks");
    assert!(
        matches!(command, Body::SyncConversations(sync) if sync.known_ids.len() == limits::KNOWN_CONVERSATIONS && !sync.known_ids.contains(&GROUP.to_owned()))
    );
    script.answer(request_id, &Ok(Some(reply::Result::SyncPage(WirePage::default()))));
    let list = |script: &mut Script, conversations: Vec<OwnConversation>| {
        let (request_id, command) = script.next().expect("it asks for the list");
        let Body::QueryConversations(query) = command else {
            panic!("not {command:?}")
        };
        let page = Conversations {
            conversations,
            more: true,
        };
        assert_eq!(
            script.answer(request_id, &Ok(Some(reply::Result::Conversations(page)))),
            [""; 0]
        );
        query.skip
    };
    assert_eq!(list(&mut script, vec![listed("g1", 1, 1), listed("new", 9, 9)]), 0);
    assert_eq!(list(&mut script, vec![listed(GROUP, 22, 22)]), 2);
    assert_eq!(script.fill(21..=22, false).1, ["21", "22"]);
    assert_eq!(script.next(), None, "of the others the page would have had what is new");
}

#[test]
fn a_list_that_cannot_be_had_is_not_waited_for() {
    let mut script = Script::new(&known_many());
    script.sync(WirePage::default());
    let (request_id, _) = script.next().expect("it asks for the list");
    script.answer(request_id, &refusal(ErrorCode::OPERATION_NOT_SUPPORTED));
    assert_eq!(script.next(), None);
    script.live(22);
    assert_eq!(script.fill([21], false).1, ["21", "22"]);
}

#[test]
fn a_group_that_was_made_again_counts_from_one_again() {
    let mut script = Script::synced(&known(10));
    script.live(11);
    let again = WireMessage {
        message_id: 9000,
        ..message(1)
    };
    assert_eq!(script.event(Body::ConversationMessage(again)), ["1"]);
    let dismissed = Body::GroupDismissed(GroupDismissed {
        id: GROUP.into(),
        ..GroupDismissed::default()
    });
    assert_eq!(script.event(dismissed), ["dismissed"]);
    assert!(script.following.known().is_empty());
}

#[test]
fn what_is_not_kept_is_told_as_it_comes() {
    let mut script = Script::synced(&known(10));
    assert_eq!(script.live(0), ["0"]);
    assert_eq!(script.live(0), ["0"]);
    assert_eq!(script.live(11), ["11"]);
}

#[test]
fn who_leaves_and_comes_back_begins_anew() {
    let mut script = Script::synced(&known(10));
    let left = Body::MembersLeft(MembersLeft {
        r#type: ConversationType::Group.into(),
        id: GROUP.into(),
        user_ids: vec!["alice".into()],
        ..MembersLeft::default()
    });
    assert_eq!(script.event(left), ["left"]);
    assert_eq!(script.live(20), ["20"]);
    script.now += MISSING_GRACE;
    assert_eq!(script.next(), None, "what was said meanwhile is not for this user");
}

#[test]
fn what_is_taken_back_while_it_waits_comes_as_such() {
    let mut script = Script::synced(&known(10));
    let said = WireMessage {
        content: "secret".into(),
        ..message(12)
    };
    script.event(Body::ConversationMessage(said));
    let recalled = sluice_protocol::MessageRecalled {
        r#type: ConversationType::Group.into(),
        target_id: GROUP.into(),
        sequence: 12,
        recalled_at_ms: 5,
        ..Default::default()
    };
    let events = script.following.on_event(Body::MessageRecalled(recalled), script.now);
    assert!(matches!(events[..], [Event::ConversationMessageRecalled(_)]));
    let events = script
        .following
        .on_event(Body::ConversationMessage(message(11)), script.now);
    assert!(matches!(
        &events[..],
        [_, Event::ConversationMessage(message)] if message.content.is_empty() && message.recalled.is_some()
    ));
    assert_eq!(script.following.ahead_bytes, 0);
}

#[test]
fn what_history_has_of_this_client_itself_is_no_event_either() {
    let mut script = Script::synced(&known(10));
    assert_eq!(script.sent(12), [""; 0]);
    let (_, events) = script.fill(11..=13, false);
    assert_eq!(events, ["11", "13"]);
}

#[test]
fn what_was_said_while_a_user_was_out_is_not_missing() {
    let mut script = Script::new(&known(10));
    let page = WirePage {
        conversations: vec![OwnConversation {
            first_sequence: 18,
            ..listed(GROUP, 20, 17)
        }],
        messages: messages(18..=20),
        ..WirePage::default()
    };
    assert_eq!(script.sync(page), ["synced 1", "18", "19", "20"]);
    // A group that was made again, in which nothing was said.
    script.following.on_connected();
    let page = WirePage {
        conversations: vec![OwnConversation {
            first_sequence: 31,
            ..listed(GROUP, 30, 30)
        }],
        ..WirePage::default()
    };
    assert_eq!(script.sync(page), ["synced 1"]);
    script.now += MISSING_GRACE;
    assert_eq!(script.next(), None, "nothing is missing");
    assert_eq!(script.live(31), ["31"]);
    assert_eq!(script.following.ahead_bytes, 0);
}

#[test]
fn what_waits_for_messages_that_are_not_for_this_user_waits_no_more() {
    let mut script = Script::synced(&known(10));
    script.live(12);
    script.live(15);
    script.following.on_connected();
    let page = WirePage {
        conversations: vec![OwnConversation {
            first_sequence: 15,
            ..listed(GROUP, 15, 10)
        }],
        ..WirePage::default()
    };
    assert_eq!(script.sync(page), ["synced 1", "15"]);
    assert_eq!(script.following.ahead_bytes, 0);
}
