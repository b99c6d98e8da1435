use bytes::Bytes;

use super::*;

const BOUNDS: Bounds = Bounds {
    own_bytes: 10_000,
    all_bytes: 15_000,
};

fn event(conversation: i64, sequence: i64) -> Arc<Happened> {
    event_of(conversation, sequence, 100 - EVENT_OVERHEAD_BYTES)
}

fn event_of(conversation: i64, sequence: i64, bytes: usize) -> Arc<Happened> {
    Arc::new(Happened {
        frame: Bytes::from(vec![0; bytes]),
        conversation,
        sequence,
    })
}

fn released(flow: &mut Conversing) -> Vec<(i64, i64)> {
    match flow.release() {
        Release::Events(events) => events.iter().map(|e| (e.conversation, e.sequence)).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_comes_to_a_session_that_never_asked() {
    let mut flow = Conversing::default();
    assert_eq!(flow.take(&event(1, 1), BOUNDS), Taken::Dropped);
    assert_eq!(flow.under_way(), None);
    assert!(matches!(flow.release(), Release::Nothing));
}

#[test]
fn what_comes_while_pages_go_out_follows_the_last_in_order_and_without_what_they_had() {
    let all = HeldBytes::default();
    let mut flow = Conversing::default();
    let sync = flow.begin(&all);
    for (conversation, sequence) in [(1, 7), (2, 1), (1, 8), (1, 0)] {
        assert_eq!(flow.take(&event(conversation, sequence), BOUNDS), Taken::Held);
    }
    assert_eq!(all.get(), 400);
    flow.handle_page(sync, vec![(1, 7)], false);
    assert_eq!(flow.under_way(), Some(sync));
    assert_eq!(flow.take(&event(1, 9), BOUNDS), Taken::Held);
    flow.handle_page(sync, Vec::new(), true);
    assert_eq!(flow.under_way(), None, "there is no page after the last");
    assert!(
        matches!(flow.release(), Release::Nothing),
        "older ones may be on their way"
    );
    assert_eq!(flow.take(&event(1, 6), BOUNDS), Taken::Held, "as this one was");
    flow.handle_settled(sync);
    assert_eq!(released(&mut flow), [(2, 1), (1, 8), (1, 0), (1, 9)]);
    assert_eq!(all.get(), 0);
    assert_eq!(flow.take(&event(1, 10), BOUNDS), Taken::Sent);
}

#[test]
fn what_is_sent_behind_the_last_page_is_answered_behind_what_was_held_back_and_nothing_else_is() {
    let mut flow = Conversing::default();
    assert!(!flow.has_all_pages());
    let sync = flow.begin(&HeldBytes::default());
    flow.handle_settled(sync);
    flow.handle_page(sync, Vec::new(), false);
    assert!(
        !flow.has_all_pages(),
        "it need not ask for the next page before it has that answer"
    );
    flow.handle_page(sync, Vec::new(), true);
    assert!(flow.has_all_pages() && flow.is_ready());
    assert_eq!(released(&mut flow), []);
    assert!(!flow.has_all_pages());
}

#[test]
fn it_may_be_settled_before_the_last_page() {
    let mut flow = Conversing::default();
    let sync = flow.begin(&HeldBytes::default());
    flow.handle_page(sync, vec![(1, 7)], false);
    flow.handle_settled(sync);
    assert!(!flow.is_ready());
    flow.handle_page(sync, Vec::new(), true);
    assert_eq!(released(&mut flow), []);
}

#[test]
fn a_session_that_asks_again_gets_everything_once_more_and_nothing_twice_after_that() {
    let all = HeldBytes::default();
    let mut flow = Conversing::default();
    let first = flow.begin(&all);
    flow.handle_page(first, vec![(1, 7)], false);
    assert_eq!(flow.take(&event(1, 8), BOUNDS), Taken::Held);
    let second = flow.begin(&all);
    assert_eq!(flow.under_way(), None, "the pages of the first are over");
    // What is still on its way for the first means nothing now.
    flow.handle_page(first, vec![(1, 100)], true);
    flow.handle_settled(first);
    flow.handle_no_page(first, PageOf::First);
    assert!(!flow.is_ready());
    assert_eq!(flow.take(&event(2, 1), BOUNDS), Taken::Held);
    flow.handle_page(second, vec![(1, 8)], true);
    flow.handle_settled(second);
    assert_eq!(released(&mut flow), [(2, 1)]);
    // Once more while events flow.
    let third = flow.begin(&all);
    assert_eq!(flow.take(&event(2, 2), BOUNDS), Taken::Held);
    flow.handle_page(third, Vec::new(), true);
    flow.handle_settled(third);
    assert_eq!(released(&mut flow), [(2, 2)]);
}

#[test]
fn a_question_that_fails_leaves_things_as_they_were() {
    let all = HeldBytes::default();
    let mut flow = Conversing::default();
    let sync = flow.begin(&all);
    assert_eq!(flow.take(&event(1, 1), BOUNDS), Taken::Held);
    flow.handle_no_page(sync, PageOf::First);
    assert_eq!(flow.take(&event(1, 2), BOUNDS), Taken::Dropped);
    assert_eq!(all.get(), 0);
    let sync = flow.begin(&all);
    flow.handle_page(sync, Vec::new(), true);
    flow.handle_settled(sync);
    assert_eq!(released(&mut flow), []);
    let sync = flow.begin(&all);
    assert_eq!(flow.take(&event(1, 3), BOUNDS), Taken::Held);
    flow.handle_no_page(sync, PageOf::First);
    assert_eq!(released(&mut flow), [(1, 3)]);
    // A later page may be asked for again.
    let sync = flow.begin(&all);
    flow.handle_page(sync, Vec::new(), false);
    flow.handle_no_page(sync, PageOf::Later);
    assert_eq!(flow.under_way(), Some(sync));
}

#[test]
fn a_session_for_which_too_much_waits_is_told_that_it_lost_some() {
    for (bytes, count) in [(0, HELD_EVENTS_MAX), (2_000 - EVENT_OVERHEAD_BYTES, 5)] {
        let bounds = Bounds {
            own_bytes: if bytes == 0 { usize::MAX } else { 10_000 },
            all_bytes: usize::MAX,
        };
        let all = HeldBytes::default();
        let mut flow = Conversing::default();
        let sync = flow.begin(&all);
        for number in 1..=count {
            let event = event_of(1, number as i64, bytes);
            assert_eq!(flow.take(&event, bounds), Taken::Held);
        }
        assert_eq!(flow.take(&event_of(1, 0, bytes), bounds), Taken::Dropped);
        assert_eq!(all.get(), 0, "nothing is kept for it any more");
        assert!(!flow.is_ready(), "it is told behind the last page");
        flow.handle_page(sync, Vec::new(), true);
        assert!(matches!(flow.release(), Release::Lost));
        assert_eq!(flow.take(&event(1, 1), bounds), Taken::Dropped);
    }
}

#[test]
fn what_waits_for_all_sessions_has_a_bound_too() {
    let all = HeldBytes::default();
    let sessions: Vec<_> = (0..2)
        .map(|_| {
            let mut flow = Conversing::default();
            flow.begin(&all);
            flow
        })
        .map(|mut flow| {
            let taken = flow.take(&event_of(1, 1, 9_000), BOUNDS);
            (flow, taken)
        })
        .collect();
    assert_eq!(sessions[0].1, Taken::Held);
    assert_eq!(sessions[1].1, Taken::Dropped);
    drop(sessions);
    assert_eq!(all.get(), 0, "connections that end give theirs back");
}

#[test]
fn where_nothing_is_known_of_the_order_the_session_is_told_that_it_lost_some() {
    let mut flow = Conversing::default();
    let sync = flow.begin(&HeldBytes::default());
    assert_eq!(flow.take(&event(1, 8), BOUNDS), Taken::Held);
    flow.handle_page(sync, vec![(1, 7)], true);
    flow.handle_unsettled(sync);
    assert!(matches!(flow.release(), Release::Lost));
}
