//! The queue of messages with a made-up clock.

use sluice_protocol::SendMessageResult;

use super::*;

struct Queue {
    submissions: Submissions,
    now: Instant,
    last_id: u32,
}

fn sent(sequence: u64) -> Answer {
    Ok(Some(reply::Result::SendMessage(SendMessageResult {
        sequence,
        ..SendMessageResult::default()
    })))
}

fn refusal(code: ErrorCode) -> Answer {
    Err(ClientError::new(code, "", ""))
}

impl Queue {
    fn new() -> Self {
        Self {
            submissions: Submissions::default(),
            now: Instant::now(),
            last_id: 0,
        }
    }

    fn submit(&mut self, user: &str, name: &str) -> oneshot::Receiver<Ended> {
        self.submit_kept(user, name, true)
    }

    fn submit_kept(&mut self, user: &str, name: &str, is_kept: bool) -> oneshot::Receiver<Ended> {
        let (outcome, told) = oneshot::channel();
        self.submissions.take(Submitted {
            conversation: ConversationId::peer(user),
            command: SendMessage {
                client_message_id: name.into(),
                ..SendMessage::default()
            },
            is_kept,
            outcome,
        });
        told
    }

    fn next(&mut self) -> Option<(u32, String)> {
        let id = &mut self.last_id;
        let (request_id, command) = self.submissions.next(self.now, || {
            *id += 1;
            *id
        })?;
        match command {
            Body::SendMessage(message) => Some((request_id, message.client_message_id)),
            other => panic!("{other:?}"),
        }
    }

    fn names(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.next().map(|(_, name)| name)).collect()
    }

    fn answer(&mut self, request_id: u32, answer: &Answer) {
        assert!(self.submissions.on_answer(request_id, answer, self.now));
    }
}

fn ended(told: &mut oneshot::Receiver<Ended>) -> Option<Ended> {
    told.try_recv().ok()
}

#[test]
fn in_a_conversation_one_is_on_its_way_at_a_time_and_conversations_do_not_wait_for_each_other() {
    let mut queue = Queue::new();
    let mut first = queue.submit("bob", "b1");
    let _second = queue.submit("bob", "b2");
    let _other = queue.submit("carol", "c1");
    assert_eq!(queue.names(), ["b1", "c1"]);
    queue.answer(1, &sent(7));
    assert!(matches!(ended(&mut first), Some(Ended::Sent(sent)) if sent.sequence == 7));
    assert_eq!(queue.names(), ["b2"]);
    assert!(
        !queue.submissions.on_answer(99, &sent(1), queue.now),
        "an answer for somebody else"
    );
}

#[test]
fn a_message_whose_connection_died_is_sent_again_before_those_behind_it() {
    let mut queue = Queue::new();
    let mut first = queue.submit("bob", "b1");
    let _second = queue.submit("bob", "b2");
    assert_eq!(queue.names(), ["b1"]);
    queue.submissions.on_lost(&ClientError::down());
    assert!(ended(&mut first).is_none(), "what may have been taken has not failed");
    assert_eq!(queue.names(), ["b1"]);
    queue.answer(2, &sent(1));
    assert!(matches!(ended(&mut first), Some(Ended::Sent(_))));
    assert_eq!(queue.names(), ["b2"]);
}

#[test]
fn a_refusal_is_the_end_and_one_for_a_while_is_not() {
    let mut queue = Queue::new();
    let mut first = queue.submit("bob", "b1");
    let mut second = queue.submit("bob", "b2");
    let mut pause = PAUSE;
    for code in [
        ErrorCode::SEND_TOO_FAST,
        ErrorCode::TIMEOUT,
        ErrorCode::SERVER_UNAVAILABLE,
    ] {
        let (request_id, name) = queue.next().expect("it is sent");
        assert_eq!(name, "b1");
        queue.answer(request_id, &refusal(code));
        assert_eq!(queue.next(), None);
        assert_eq!(queue.submissions.next_deadline(), Some(queue.now + pause));
        queue.now += pause;
        pause *= 2;
    }
    let (request_id, _) = queue.next().expect("it is sent");
    queue.answer(request_id, &refusal(ErrorCode::NOT_IN_GROUP));
    assert!(matches!(ended(&mut first), Some(Ended::Failed(error)) if error.code == ErrorCode::NOT_IN_GROUP));
    assert_eq!(queue.names(), ["b2"]);
    assert!(ended(&mut second).is_none());
}

#[test]
fn a_fault_with_one_message_holds_up_its_own_conversation_and_not_without_end() {
    let mut queue = Queue::new();
    let mut first = queue.submit("bob", "b1");
    let _second = queue.submit("bob", "b2");
    let mut pause = PAUSE;
    for fault in 1..FAULTS_MAX {
        let (request_id, name) = queue.next().expect("it is sent");
        assert_eq!(name, "b1");
        queue.answer(request_id, &refusal(ErrorCode::INTERNAL_ERROR));
        let mut other = queue.submit("carol", "c");
        let (request_id, name) = queue.next().expect("another conversation does not wait");
        assert_eq!(name, "c");
        queue.answer(request_id, &sent(u64::from(fault)));
        assert!(matches!(ended(&mut other), Some(Ended::Sent(_))));
        assert_eq!(queue.next(), None);
        assert_eq!(queue.submissions.next_deadline(), Some(queue.now + pause));
        queue.now += pause;
        pause *= 2;
    }
    let (request_id, _) = queue.next().expect("it is sent once more");
    assert!(ended(&mut first).is_none());
    queue.answer(request_id, &refusal(ErrorCode::INTERNAL_ERROR));
    assert!(matches!(ended(&mut first), Some(Ended::Unknown(error)) if error.code == ErrorCode::INTERNAL_ERROR));
    assert_eq!(queue.names(), ["b2"]);
}

#[test]
fn a_message_that_rests_when_the_connection_is_lost_is_sent_on_the_next() {
    let mut queue = Queue::new();
    let mut first = queue.submit("bob", "b1");
    let (request_id, _) = queue.next().expect("it is sent");
    queue.answer(request_id, &refusal(ErrorCode::INTERNAL_ERROR));
    queue.submissions.on_lost(&ClientError::down());
    assert_eq!(queue.next(), None);
    queue.now += PAUSE;
    assert_eq!(queue.names(), ["b1"]);
    queue.answer(2, &sent(1));
    assert!(matches!(ended(&mut first), Some(Ended::Sent(_))));
    assert_eq!(queue.submissions.next_deadline(), None);
}

#[test]
fn a_message_without_an_answer_is_sent_again_after_twenty_seconds() {
    let mut queue = Queue::new();
    let mut first = queue.submit("bob", "b1");
    let mut passing = queue.submit_kept("carol", "c1", false);
    assert_eq!(queue.names(), ["b1", "c1"]);
    assert_eq!(queue.submissions.next_deadline(), Some(queue.now + ANSWER_TIMEOUT));
    queue.now += ANSWER_TIMEOUT;
    queue.submissions.expire(queue.now);
    assert_eq!(queue.names(), ["b1"]);
    assert!(ended(&mut first).is_none());
    // The server would not know that it is a repeat.
    assert!(matches!(ended(&mut passing), Some(Ended::Unknown(_))));
}

#[test]
fn at_the_end_what_may_have_been_taken_is_unknown_and_what_never_left_has_failed() {
    let mut queue = Queue::new();
    let mut under_way = queue.submit("bob", "b1");
    let mut behind = queue.submit("bob", "b2");
    let mut lost = queue.submit("carol", "c1");
    assert_eq!(queue.names(), ["b1", "c1"]);
    queue.submissions.on_lost(&ClientError::down());
    assert_eq!(queue.next().map(|(_, name)| name).as_deref().map(str::len), Some(2));
    queue.submissions.end_all(&ClientError::unavailable());
    assert!(matches!(ended(&mut under_way), Some(Ended::Unknown(_))));
    assert!(matches!(ended(&mut lost), Some(Ended::Unknown(_))));
    assert!(matches!(ended(&mut behind), Some(Ended::Failed(_))));
}

#[test]
fn a_refusal_after_a_lost_answer_leaves_the_doubt_until_the_end() {
    let mut queue = Queue::new();
    let mut first = queue.submit("bob", "b1");
    queue.names();
    queue.submissions.on_lost(&ClientError::down());
    let (request_id, _) = queue.next().expect("it is sent again");
    queue.answer(request_id, &refusal(ErrorCode::SEND_TOO_FAST));
    queue.submissions.end_all(&ClientError::unavailable());
    assert!(matches!(ended(&mut first), Some(Ended::Unknown(_))));
}

#[test]
fn there_is_no_room_beyond_the_limit_until_one_is_answered() {
    let mut queue = Queue::new();
    let waiting: Vec<_> = (0..MESSAGES_MAX).map(|n| queue.submit("bob", &n.to_string())).collect();
    let mut refused = queue.submit("bob", "one more");
    assert!(matches!(ended(&mut refused), Some(Ended::Failed(error)) if error.code == ErrorCode::SIGNAL_SEND_FAILED));
    queue.names();
    queue.answer(1, &sent(1));
    let mut taken = queue.submit("bob", "one more");
    assert!(ended(&mut taken).is_none());
    assert_eq!(waiting.len(), MESSAGES_MAX);
}

#[test]
fn names_are_not_given_twice() {
    assert_ne!(new_name(), new_name());
    assert!(new_name().len() <= sluice_protocol::limits::CLIENT_MESSAGE_ID_BYTES);
}
