//! Stop of distribution: what members send is answered and goes to nobody.

use super::*;

#[test]
fn while_distribution_is_stopped_members_are_answered_and_nobody_hears_them() {
    let mut hall = Hall::new();
    let [alice, bob] = hall.devices(["alice", "bob"]);
    hall.create(&alice);
    hall.send(&alice, text("before"));
    hall.decide(Order::Stop(true)).done();
    let sent = hall.send(&alice, named("m1", "meanwhile"));
    let result = sent.sent();
    assert!(!result.distributed && !result.duplicate && result.message_id != 0);
    assert_eq!((result.sequence, &*result.client_message_id), (0, "m1"));
    assert!(sent.published.is_empty() && sent.undistributed == 1);
    let repeat = hall.send(&alice, named("m1", "meanwhile"));
    let repeated = repeat.sent();
    assert!(repeated.duplicate && !repeated.distributed && repeat.undistributed == 0);
    assert_eq!((repeated.message_id, repeated.sequence), (result.message_id, 0));

    let entered = hall.ask(&bob, enter(Create::Never, 50));
    assert!(entered.entered().distribution_stopped);
    assert_eq!(entered.joined(), ["bob"], "events still flow");
    let history: Vec<_> = entered
        .history()
        .iter()
        .map(|message| message.content.clone())
        .collect();
    assert_eq!(history, [&b"before"[..]]);

    hall.decide(Order::Stop(false)).done();
    let after = hall.send(&alice, named("m1", "meanwhile"));
    assert!(
        after.sent().duplicate && after.published.is_empty(),
        "nothing is sent later"
    );
    assert_eq!(
        hall.send(&alice, text("after")).message().sequence,
        2,
        "and nothing has taken a number"
    );
}

#[test]
fn a_mute_a_rate_and_a_word_hold_while_distribution_is_stopped() {
    let mut hall = Hall::new();
    let [alice] = hall.devices(["alice"]);
    hall.create(&alice);
    hall.decide(Order::Stop(true)).done();
    for _ in 0..10 {
        hall.send(&alice, text("hello")).sent();
    }
    assert_eq!(hall.send(&alice, text("hello")).refused().0, 20604);
    hall.wait(Duration::from_secs(1));
    hall.enlist_in_app(&crate::policy::WORD_LIST, "bad".to_owned(), Entry::default());
    assert_eq!(hall.send(&alice, text("bad")).refused().0, 21501);
    hall.enlist(RoomList::Gag, &["alice"], None).done();
    assert_eq!(hall.send(&alice, text("hello")).refused().0, 23408);
}

#[test]
fn a_room_can_be_stopped_before_there_is_one_and_is_free_again_when_it_was_destroyed() {
    let mut hall = Hall::new();
    let [alice] = hall.devices(["alice"]);
    let stopped = hall.decide(Order::Stop(true)).done();
    assert_eq!(stopped.kept.len(), 1);
    hall.mute(true).done();
    hall.enlist(RoomList::Allow, &["alice"], None).done();
    hall.enlist(RoomList::MuteException, &["alice"], None).done();
    hall.enlist(RoomList::Gag, &["alice"], None).done();
    hall.enlist(RoomList::Block, &["bob"], None).done();
    assert!(hall.create(&alice).entered().distribution_stopped);
    hall.leave(&alice);
    assert!(
        hall.create(&alice).entered().distribution_stopped,
        "ending by itself changes nothing"
    );
    hall.leave(&alice);

    let destroyed = hall.decide(Order::Destroy).done();
    assert_eq!(destroyed.kept.len(), 3, "{destroyed:?}");
    assert_eq!(hall.decide(Order::Rules).answer, Ok(Answer::Rules(Default::default())));
    let lists = [RoomList::Gag, RoomList::Block, RoomList::Allow, RoomList::MuteException];
    let listed = lists.map(|list| hall.listed(list).len());
    assert_eq!(listed, [1, 1, 0, 0], "what ends by time goes on");
}
