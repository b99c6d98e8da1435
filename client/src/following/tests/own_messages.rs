//! What a client said itself: told by its answer, and no event.

use super::*;

#[test]
fn of_what_this_client_sent_there_is_no_event_and_nothing_is_missing() {
    let mut script = Script::synced(&known(10));
    // The answer may come behind what others said after it.
    assert_eq!(script.live(12), [""; 0]);
    assert_eq!(script.next(), None, "history is not asked at once");
    assert_eq!(script.sent(11), ["12"]);
    assert_eq!(script.sent(13), [""; 0]);
    assert_eq!(script.live(14), ["14"]);
    script.take(14);
    script.now += MISSING_GRACE;
    let (request_id, sequence) = script.next_ack().expect("nothing is missing");
    assert_eq!(sequence, 14);
    script.acked(request_id, 14);
    script.sent(15);
    assert_eq!(
        script.following.next_deadline(),
        None,
        "one's own messages are not acknowledged"
    );
}

#[test]
fn what_is_sent_while_pages_come_hides_nothing_that_is_in_them() {
    let mut script = Script::new(&SyncOptions::default());
    assert_eq!(script.sent(8), [""; 0]);
    let page = WirePage {
        messages: messages(5..=7),
        ..WirePage::default()
    };
    assert_eq!(script.sync(page), ["synced 0", "5", "6", "7"]);
    assert_eq!(script.live(9), ["9"]);
}

#[test]
fn an_answer_that_overtakes_what_others_said_before_hides_none_of_it() {
    let mut script = Script::synced(&SyncOptions::default());
    assert_eq!(script.sent(501), [""; 0]);
    assert!(
        script.following.known().is_empty(),
        "what is before it may be missing, so it is not to be named to the server"
    );
    assert_eq!(script.live(500), ["500"]);
    assert_eq!(script.live(502), ["502"]);
    assert_eq!(script.following.known()[0].sequence, 502);
    script.now += MISSING_GRACE;
    assert_eq!(script.next(), None, "nothing is missing");
}

#[test]
fn an_answer_before_the_last_page_hides_nothing_of_what_was_held_back_meanwhile() {
    let mut script = Script::new(&SyncOptions::default());
    let first = WirePage {
        next_cursor: "c".into(),
        ..WirePage::default()
    };
    script.sync(first);
    assert_eq!(script.sent(501), [""; 0]);
    script.sync(WirePage::default());
    assert_eq!(script.live(500), ["500"]);
    assert_eq!(script.live(502), ["502"]);
}

#[test]
fn the_answer_to_a_message_that_was_taken_long_ago_brings_nothing_old() {
    let mut script = Script::synced(&SyncOptions::default());
    script.sent(300);
    script.sent(301);
    assert_eq!(script.live(502), ["502"]);
    script.sent(302);
    script.now += MISSING_GRACE;
    assert_eq!(script.next(), None, "nothing is missing");
    assert_eq!(script.live(503), ["503"]);
}

#[test]
fn answers_of_old_numbers_change_nothing_where_the_newest_message_is_not_named() {
    let mut options = known(500);
    options.known[0].message_id = 0;
    let mut script = Script::synced(&options);
    script.sent(300);
    script.sent(301);
    assert_eq!(script.live(501), ["501"]);
}

#[test]
fn an_own_message_that_a_page_has_is_no_event_if_its_answer_came() {
    let mut script = Script::synced(&SyncOptions::default());
    script.sent(5);
    script.sent(7);
    script.following.on_connected();
    let page = WirePage {
        messages: messages(5..=8),
        ..WirePage::default()
    };
    assert_eq!(script.sync(page), ["synced 0", "6", "8"]);
}

#[test]
fn whoever_goes_on_with_a_ticket_hears_nothing_of_own_messages_either() {
    let mut before = Script::synced(&SyncOptions::default());
    before.sent(5);
    before.sent(7);
    let mut options = SyncOptions {
        own: before.following.own(),
        ..SyncOptions::default()
    };
    let mut script = Script::new(&options);
    let page = || WirePage {
        messages: messages(4..=8),
        ..WirePage::default()
    };
    assert_eq!(script.sync(page()), ["synced 0", "4", "6", "8"]);

    let mut before = Script::synced(&known(3));
    before.sent(5);
    before.sent(7);
    options.known = before.following.known();
    options.own = before.following.own();
    let mut script = Script::new(&options);
    assert_eq!(script.sync(page()), ["synced 0", "4", "6", "8"]);
}

#[test]
fn own_messages_of_which_nothing_else_is_heard_are_bounded() {
    let mut script = Script::synced(&SyncOptions::default());
    let last = OWN_MAX as u64 + 10;
    for sequence in 1..=last {
        script.sent(sequence);
    }
    assert_eq!(script.following.own.len(), OWN_MAX);
    assert_eq!(script.live(last + 1), [(last + 1).to_string()]);
    assert!(script.following.own.is_empty());
}
