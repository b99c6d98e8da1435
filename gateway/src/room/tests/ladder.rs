//! How much is told of coming and going, by the size of the room.

use sluice_protocol::{MemberEvents as Step, RoomMemberDigest};

use super::*;

/// Each up to 2 members, digests up to 6, then counts.
fn hall() -> Hall {
    Hall::with_rules(|rules| {
        rules.member_events_each = 2;
        rules.member_events_digest = 6;
    })
}

fn names(users: &[sluice_protocol::UserInfo]) -> Vec<&str> {
    let mut names: Vec<&str> = users.iter().map(|user| &*user.user_id).collect();
    names.sort_unstable();
    names
}

fn digest(due: &[Body]) -> &RoomMemberDigest {
    match due {
        [Body::RoomMemberDigest(digest)] => digest,
        other => panic!("{other:?}"),
    }
}

fn count(due: &[Body]) -> u64 {
    match due {
        [Body::RoomMemberCount(count)] => {
            assert_eq!(count.room_id, "lobby");
            count.member_count
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_reply_tells_the_step_the_room_is_on() {
    let mut hall = hall();
    for (number, expected) in [
        Step::Each,
        Step::Each,
        Step::Digest,
        Step::Digest,
        Step::Digest,
        Step::Digest,
        Step::Count,
    ]
    .into_iter()
    .enumerate()
    {
        let device = hall.device(&format!("user{number}"), 0);
        assert_eq!(hall.enter(&device).entered().member_events(), expected, "{number}");
    }
}

#[test]
fn with_the_default_thresholds_five_hundred_are_told_of_each() {
    let mut hall = Hall::new();
    let devices: Vec<Device> = (0..501)
        .map(|number| hall.device(&format!("user{number}"), 0))
        .collect();
    for device in &devices[..500] {
        assert_eq!(hall.enter(device).entered().member_events(), Step::Each);
    }
    let joined = hall.enter(&devices[500]);
    assert_eq!(joined.entered().member_events(), Step::Digest);
    assert!(joined.published.is_empty());
}

#[test]
fn events_of_each_step_are_for_those_who_were_inside_before() {
    let mut hall = hall();
    let [alice, bob] = hall.devices(["alice", "bob"]);
    hall.create(&alice);
    let effects = hall.request(&bob, 7, enter(Create::Never, 0));
    assert!(
        matches!(
            effects[..],
            [
                Effect::Publish {
                    class: Class::Control,
                    sequence: 0,
                    ..
                },
                Effect::Admit { .. }
            ]
        ),
        "{effects:?}"
    );
}

#[test]
fn above_the_first_threshold_comings_and_goings_are_told_together_about_once_a_second() {
    let mut hall = hall();
    let [a, b, c, d, e] = hall.devices(["a", "b", "c", "d", "e"]);
    assert!(hall.create(&a).published.is_empty());
    assert_eq!(hall.enter(&b).joined(), ["b"]);
    assert!(hall.enter(&c).published.is_empty());
    assert!(hall.enter(&d).published.is_empty());
    hall.enter(&e);
    assert!(hall.leave(&b).published.is_empty());
    hall.wait(Duration::from_millis(999));
    assert!(hall.tick().is_empty());
    hall.wait(Duration::from_millis(1));
    let due = hall.tick();
    let told = digest(&due);
    assert_eq!(told.room_id, "lobby");
    assert_eq!(
        (names(&told.joined), names(&told.left)),
        (vec!["c", "d", "e"], vec!["b"])
    );
    assert_eq!((told.joined_count, told.left_count, told.member_count), (3, 1, 4));
    hall.wait(Duration::from_secs(10));
    assert!(hall.tick().is_empty(), "no news, no digest");

    hall.leave(&e);
    let due = hall.tick();
    assert_eq!(
        names(&digest(&due).left),
        ["e"],
        "after a quiet time the next one comes at once"
    );
    hall.enter(&e);
    hall.wait(Duration::from_millis(999));
    assert!(hall.tick().is_empty());
}

#[test]
fn who_came_and_went_between_two_digests_is_counted_and_not_named() {
    let mut hall = hall();
    let [a, b, c, visitor, regular] = hall.devices(["a", "b", "c", "visitor", "regular"]);
    for device in [&a, &b, &c, &regular] {
        hall.enter(device);
    }
    hall.wait(Duration::from_secs(1));
    hall.tick();
    hall.enter(&visitor);
    hall.leave(&visitor);
    hall.leave(&regular);
    hall.enter(&regular);
    hall.wait(Duration::from_secs(1));
    let due = hall.tick();
    let told = digest(&due);
    assert!(told.joined.is_empty() && told.left.is_empty());
    assert_eq!((told.joined_count, told.left_count, told.member_count), (2, 2, 4));
}

#[test]
fn a_second_device_is_no_news_in_a_digest_either() {
    let mut hall = hall();
    let [a, b, phone, laptop] = hall.devices(["a", "b", "c", "c"]);
    for device in [&a, &b, &phone, &laptop] {
        hall.enter(device);
    }
    hall.leave(&phone);
    hall.wait(Duration::from_secs(1));
    let due = hall.tick();
    assert_eq!((names(&digest(&due).joined), digest(&due).joined_count), (vec!["c"], 1));
}

#[test]
fn a_digest_names_at_most_fifty_in_each_list_and_counts_all() {
    let mut hall = Hall::with_rules(|rules| rules.member_events_each = 1);
    let [host] = hall.devices(["host"]);
    hall.create(&host);
    let crowd: Vec<Device> = (0..400)
        .map(|number| hall.device(&format!("user{number}"), 0))
        .collect();
    for device in &crowd {
        hall.enter(device);
    }
    hall.wait(Duration::from_secs(1));
    let due = hall.tick();
    assert_eq!((digest(&due).joined.len(), digest(&due).joined_count), (50, 400));
    for device in &crowd[..300] {
        hall.leave(device);
    }
    hall.wait(Duration::from_secs(1));
    let due = hall.tick();
    assert_eq!((digest(&due).left.len(), digest(&due).left_count), (50, 300));
    assert_eq!(digest(&due).member_count, 101);
}

/// Nobody's name may appear as gone who was never told of as inside, however many came in between.
#[test]
fn a_visitor_beyond_the_names_a_digest_holds_is_not_told_as_gone() {
    let mut hall = Hall::with_rules(|rules| rules.member_events_each = 1);
    let [host, other] = hall.devices(["host", "other"]);
    hall.create(&host);
    hall.enter(&other);
    let crowd: Vec<Device> = (0..200)
        .map(|number| hall.device(&format!("user{number}"), 0))
        .collect();
    let [visitor] = hall.devices(["visitor"]);
    crowd.iter().for_each(|device| drop(hall.enter(device)));
    hall.enter(&visitor);
    crowd.iter().for_each(|device| drop(hall.leave(device)));
    hall.leave(&visitor);
    hall.wait(Duration::from_secs(1));
    let due = hall.tick();
    let told = digest(&due);
    assert!(!names(&told.left).contains(&"visitor"), "{told:?}");
}

#[test]
fn above_the_second_threshold_only_the_number_is_told_before_it_is_older_than_five_seconds() {
    let mut hall = hall();
    let devices: Vec<Device> = (0..9).map(|number| hall.device(&format!("user{number}"), 0)).collect();
    for device in &devices[..8] {
        hall.enter(device);
    }
    // The next tick, a tenth of a second later, would be in time.
    hall.wait(Duration::from_millis(4_900));
    assert!(hall.tick().is_empty());
    hall.wait(Duration::from_millis(1));
    assert_eq!(count(&hall.tick()), 8);
    hall.wait(Duration::from_secs(60));
    assert!(hall.tick().is_empty(), "the number did not change");
    assert!(hall.enter(&devices[8]).published.is_empty());
    assert!(hall.leave(&devices[0]).published.is_empty());
    assert!(hall.tick().is_empty(), "nor did it now");
    hall.leave(&devices[1]);
    assert_eq!(count(&hall.tick()), 7);
}

#[test]
fn what_was_noted_is_told_even_when_the_room_has_shrunk_to_single_events() {
    let mut hall = hall();
    let [a, b, c, d] = hall.devices(["a", "b", "c", "d"]);
    for device in [&a, &b, &c, &d] {
        hall.enter(device);
    }
    hall.wait(Duration::from_secs(1));
    hall.tick();
    hall.leave(&d);
    hall.leave(&c);
    hall.wait(Duration::from_secs(1));
    let mut gone: Vec<String> = Vec::new();
    for body in hall.tick() {
        let Body::RoomMemberDigest(told) = body else {
            panic!("{body:?}")
        };
        gone.extend(told.left.into_iter().map(|user| user.user_id));
    }
    assert!(gone.contains(&"d".to_owned()), "{gone:?}");
}

/// What somebody who follows every event believes, whatever the steps in between.
#[derive(Debug, Default)]
struct Follower {
    inside: std::collections::BTreeSet<String>,
}

impl Follower {
    fn hear(&mut self, body: &Body) {
        let (came, went) = match body {
            Body::RoomMemberJoined(joined) => (&joined.members[..], &[][..]),
            Body::RoomMemberLeft(left) => (&[][..], &left.members[..]),
            Body::RoomMemberDigest(told) => (&told.joined[..], &told.left[..]),
            other => panic!("{other:?}"),
        };
        self.inside.extend(came.iter().map(|user| user.user_id.clone()));
        self.inside
            .retain(|user| !went.iter().any(|gone| gone.user_id == *user));
    }
}

/// Below the last step nothing is lost: single events and digests together tell who is inside.
#[test]
fn whoever_follows_events_and_digests_knows_who_is_inside() {
    use proptest::prelude::*;

    let steps = prop::collection::vec((0_usize..6, 0_u64..1_500), 1..80);
    proptest!(ProptestConfig::with_cases(400), |(steps in steps)| {
        let mut hall = Hall::with_rules(|rules| rules.member_events_each = 3);
        let [host] = hall.devices(["host"]);
        hall.create(&host);
        let devices: Vec<Device> = (0..6).map(|number| hall.device(&format!("user{number}"), 0)).collect();
        let mut inside = std::collections::BTreeSet::new();
        let mut follower = Follower::default();
        for (device, wait_ms) in steps {
            let name = devices[device].user.id.as_str().to_owned();
            let outcome = if inside.remove(&name) {
                hall.leave(&devices[device])
            } else {
                inside.insert(name);
                hall.enter(&devices[device])
            };
            outcome.published.iter().for_each(|frame| follower.hear(frame.body.as_ref().unwrap()));
            hall.wait(Duration::from_millis(wait_ms));
            hall.tick().iter().for_each(|body| follower.hear(body));
        }
        hall.wait(Duration::from_secs(1));
        hall.tick().iter().for_each(|body| follower.hear(body));
        prop_assert_eq!(follower.inside, inside);
    });
}

#[test]
fn a_room_that_is_gone_has_nothing_more_to_tell() {
    let mut hall = hall();
    let [a, b, c] = hall.devices(["a", "b", "c"]);
    for device in [&a, &b, &c] {
        hall.enter(device);
    }
    for device in [&a, &b, &c] {
        hall.leave(device);
    }
    hall.wait(Duration::from_secs(10));
    assert!(hall.tick().is_empty());
}
