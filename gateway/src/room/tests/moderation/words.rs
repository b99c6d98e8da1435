//! Words of the app in what members say.

use super::*;
use crate::policy::WORD_LIST;

fn hall() -> (Hall, Device) {
    let mut hall = Hall::new();
    let [alice] = hall.devices(["alice"]);
    hall.create(&alice);
    hall.enlist_in_app(&WORD_LIST, "bad".to_owned(), Entry::default());
    let replacement = Entry {
        text: "***".to_owned(),
        ..Entry::default()
    };
    hall.enlist_in_app(&WORD_LIST, "money".to_owned(), replacement);
    (hall, alice)
}

#[test]
fn a_text_with_a_word_that_blocks_is_refused_and_leaves_no_trace() {
    let (mut hall, alice) = hall();
    assert_eq!(hall.send(&alice, named("m1", "so BAD")).refused(), (21501, "", 0));
    let sent = hall.send(&alice, named("m1", "so good"));
    assert_eq!(
        (sent.sent().sequence, sent.sent().duplicate),
        (1, false),
        "the id is free"
    );
}

#[test]
fn words_are_replaced_for_the_members_and_the_sender_is_told_each_time() {
    let (mut hall, alice) = hall();
    let sent = hall.send(&alice, named("m1", "my money"));
    assert_eq!((sent.sent().notice, sent.sent().distributed), (21502, true));
    assert_eq!(sent.message().content, &b"my ***"[..]);
    let repeat = hall.send(&alice, named("m1", "my money"));
    assert_eq!((repeat.sent().notice, repeat.sent().duplicate), (21502, true));
    let other = hall.send(&alice, named("m1", "my ***"));
    assert_eq!(
        other.refused(),
        (33003, "duplicate_id", 0),
        "the content as it was sent counts"
    );
    assert_eq!(hall.send(&alice, text("nothing in it")).sent().notice, 0);
    let [bob] = hall.devices(["bob"]);
    let entered = hall.ask(&bob, enter(Create::Never, 50));
    assert_eq!(
        entered.history()[0].content,
        &b"my ***"[..],
        "the history has the altered text"
    );
}

#[test]
fn only_the_content_of_texts_is_looked_at() {
    let (mut hall, alice) = hall();
    for kind in [MessageType::Command, MessageType::Barrage, MessageType::Custom] {
        let sent = hall.send(&alice, message(kind, "bad money"));
        assert_eq!(
            (sent.sent().notice, &sent.message().content[..]),
            (0, &b"bad money"[..])
        );
    }
    let beside = Outgoing {
        extended_data: "bad money".into(),
        ..text("hello")
    };
    assert_eq!(hall.send(&alice, beside).message().extended_data, "bad money");
}

#[test]
fn a_text_that_would_become_too_long_is_refused() {
    let (mut hall, alice) = hall();
    let longer = Entry {
        text: "*".repeat(11),
        ..Entry::default()
    };
    hall.enlist_in_app(&WORD_LIST, "x".to_owned(), longer);
    let with = |extended_bytes: usize| Outgoing {
        extended_data: "e".repeat(extended_bytes),
        ..text(&format!("x{}", "a".repeat(32 * 1024 - 21)))
    };
    // 32 KiB less ten in all, and the ten beside it.
    assert_eq!(hall.send(&alice, with(10)).sent().notice, 21502);
    assert_eq!(hall.send(&alice, with(11)).refused(), (21501, "", 0));
}

#[test]
fn what_a_word_refuses_counts_against_the_rate() {
    let (mut hall, alice) = hall();
    for _ in 0..10 {
        assert_eq!(hall.send(&alice, text("bad")).refused().0, 21501);
    }
    assert_eq!(hall.send(&alice, text("bad")).refused().0, 20604);
}
