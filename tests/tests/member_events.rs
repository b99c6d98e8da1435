//! What members hear of each other's coming and going, up and down the ladder.

use std::collections::BTreeSet;
use std::time::Duration;

use sluice_gateway::config::SingleLogin;
use sluice_protocol::frame::Body;
use sluice_protocol::{LeaveReason, MemberEvents, RoomMemberDigest, UserInfo};
use sluice_tests::{Gateway, RawClient, Transport, on_all_transports};

use crate::rooms::{enter, enter_room, expect_quiet, leave_room, no_rate_limits, send, text};

on_all_transports!(
    digests_name_each_user_once_and_add_up_to_who_is_inside,
    the_largest_rooms_tell_each_new_number_once,
    a_room_that_shrinks_comes_down_the_ladder_again,
);

const ROOM: &str = "lobby";

/// The least that can be set.
const COUNT_INTERVAL: Duration = Duration::from_millis(100);

/// Each up to 3 members, digests up to 6, then counts.
fn gateway(digest_interval: Duration) -> Gateway {
    Gateway::start(|config| {
        no_rate_limits(config);
        config.rooms.member_events_each = 3;
        config.rooms.member_events_digest = 6;
        config.rooms.digest_interval = digest_interval;
        config.rooms.count_interval = COUNT_INTERVAL;
        config.apps[0].single_login = SingleLogin::Multi(2);
    })
}

async fn enter_lobby(client: &mut RawClient) -> MemberEvents {
    enter(client, 1, enter_room(ROOM)).await.member_events()
}

async fn leave_lobby(client: &mut RawClient) {
    assert_eq!(client.call(2, leave_room(ROOM)).await.code, 0);
}

/// Users on both workers and all transports, none of them inside.
async fn users(gateway: &Gateway, count: u16) -> Vec<RawClient> {
    let mut users = Vec::new();
    for number in 0..count {
        let name = format!("user{number}");
        users.push(match number % 4 {
            0 | 1 => RawClient::online_at_worker(gateway, number, &name).await,
            2 => RawClient::online(gateway, Transport::Tcp, &name).await,
            _ => RawClient::online(gateway, Transport::Tls, &name).await,
        });
    }
    users
}

/// Who is inside, as far as digests told.
#[derive(Debug, Default)]
struct Inside {
    users: BTreeSet<String>,
    joined: u64,
    left: u64,
}

impl Inside {
    fn hear(&mut self, digest: &RoomMemberDigest) {
        let names = |users: &[UserInfo]| -> Vec<String> { users.iter().map(|user| user.user_id.clone()).collect() };
        for user in names(&digest.joined) {
            assert!(self.users.insert(user), "news: {digest:?}");
        }
        for user in names(&digest.left) {
            assert!(self.users.remove(&user), "was inside: {digest:?}");
        }
        let all: BTreeSet<String> = names(&digest.joined).into_iter().chain(names(&digest.left)).collect();
        assert_eq!(all.len(), digest.joined.len() + digest.left.len(), "once: {digest:?}");
        self.joined += digest.joined_count;
        self.left += digest.left_count;
        assert_eq!(digest.member_count, self.users.len() as u64, "{digest:?}");
    }
}

async fn digests_name_each_user_once_and_add_up_to_who_is_inside(transport: Transport) {
    let gateway = gateway(Duration::from_millis(300));
    let mut watcher = RawClient::online(&gateway, transport, "watcher").await;
    assert_eq!(enter_lobby(&mut watcher).await, MemberEvents::Each);
    let mut users = users(&gateway, 5).await;
    for user in &mut users[..2] {
        assert_eq!(enter_lobby(user).await, MemberEvents::Each);
        assert!(matches!(watcher.event().await, Body::RoomMemberJoined(_)));
    }
    // From here on there are more than three: one that stays, one with two devices, one that comes and goes, one that goes and comes.
    for user in &mut users[2..4] {
        assert_eq!(enter_lobby(user).await, MemberEvents::Digest);
    }
    let mut second = RawClient::online(&gateway, Transport::Tcp, "user3").await;
    assert_eq!(enter_lobby(&mut second).await, MemberEvents::Digest);
    let (mut joined, mut left) = (2, 0);
    for _ in 0..2 {
        for user in [4, 0, 2] {
            if user == 4 {
                assert_eq!(enter_lobby(&mut users[4]).await, MemberEvents::Digest);
            }
            leave_lobby(&mut users[user]).await;
            if user != 4 {
                enter_lobby(&mut users[user]).await;
            }
            joined += 1;
            left += 1;
        }
    }
    leave_lobby(&mut second).await;
    assert_eq!(enter_lobby(&mut users[4]).await, MemberEvents::Digest);
    joined += 1;

    let mut inside = Inside {
        users: ["watcher", "user0", "user1"].map(String::from).into(),
        ..Inside::default()
    };
    while (inside.joined, inside.left) != (joined, left) {
        match watcher.event().await {
            Body::RoomMemberDigest(digest) => inside.hear(&digest),
            other => panic!("{other:?}; {watcher:?}"),
        }
        assert!(inside.joined <= joined && inside.left <= left, "{inside:?}");
    }
    let everybody = ["user0", "user1", "user2", "user3", "user4", "watcher"].map(String::from);
    assert_eq!(inside.users, everybody.into());
}

async fn the_largest_rooms_tell_each_new_number_once(transport: Transport) {
    let gateway = gateway(Duration::from_millis(100));
    let mut users = users(&gateway, 10).await;
    for user in &mut users[..6] {
        enter_lobby(user).await;
    }
    let mut watcher = RawClient::online(&gateway, transport, "watcher").await;
    assert_eq!(enter_lobby(&mut watcher).await, MemberEvents::Count);
    for user in &mut users[6..] {
        assert_eq!(enter_lobby(user).await, MemberEvents::Count);
    }
    let mut told = 0;
    while told != 11 {
        match watcher.event().await {
            Body::RoomMemberCount(count) => {
                assert_ne!(count.member_count, told, "news");
                told = count.member_count;
                assert!((7..=11).contains(&told), "{count:?}");
            }
            // The last digest of the time before.
            Body::RoomMemberDigest(digest) => assert_eq!(told, 0, "{digest:?}"),
            other => panic!("{other:?}; {watcher:?}"),
        }
    }
    // Who goes and comes again is no news to anybody, if both is within an interval.
    leave_lobby(&mut users[9]).await;
    assert_eq!(enter_lobby(&mut users[9]).await, MemberEvents::Count);
    for user in &mut users[7..9] {
        leave_lobby(user).await;
    }
    while told != 9 {
        match watcher.event().await {
            Body::RoomMemberCount(count) => {
                assert_ne!(count.member_count, told, "news");
                told = count.member_count;
            }
            other => panic!("{other:?}; {watcher:?}"),
        }
    }
    assert!(!watcher.has_frame_within(3 * COUNT_INTERVAL).await, "{watcher:?}");
}

async fn a_room_that_shrinks_comes_down_the_ladder_again(transport: Transport) {
    let gateway = gateway(Duration::from_millis(100));
    let mut watcher = RawClient::online(&gateway, transport, "watcher").await;
    enter_lobby(&mut watcher).await;
    let mut users = users(&gateway, 8).await;
    for (user, members) in users.iter_mut().zip(2..) {
        let expected = match members {
            ..=3 => MemberEvents::Each,
            4..=6 => MemberEvents::Digest,
            _ => MemberEvents::Count,
        };
        assert_eq!(enter_lobby(user).await, expected, "{members} members");
    }
    // Nothing of the way up is still to come: above, user4 is named in a digest too.
    loop {
        match watcher.event().await {
            Body::RoomMemberCount(count) if count.member_count == 9 => break,
            Body::RoomMemberDigest(_) | Body::RoomMemberCount(_) | Body::RoomMemberJoined(_) => {}
            other => panic!("{other:?}; {watcher:?}"),
        }
    }
    // Down to where digests are, which whoever comes hears at once.
    for user in &mut users[4..] {
        leave_lobby(user).await;
    }
    assert_eq!(enter_lobby(&mut users[4]).await, MemberEvents::Digest);
    let named = loop {
        match watcher.event().await {
            Body::RoomMemberDigest(digest) if digest.joined.iter().any(|user| user.user_id == "user4") => break digest,
            Body::RoomMemberDigest(_) | Body::RoomMemberCount(_) => {}
            other => panic!("{other:?}; {watcher:?}"),
        }
    };
    assert_eq!(named.member_count, 6, "{named:?}");

    // And further down. While a digest is to come, single events wait for it; once it has come, each is told again.
    for user in &mut users[1..5] {
        leave_lobby(user).await;
    }
    let mut members = 0;
    while members != 2 {
        members = match watcher.event().await {
            Body::RoomMemberDigest(digest) => digest.member_count,
            Body::RoomMemberLeft(left) => left.member_count,
            other => panic!("{other:?}; {watcher:?}"),
        };
    }
    assert_eq!(enter_lobby(&mut users[1]).await, MemberEvents::Each);
    match watcher.event().await {
        Body::RoomMemberJoined(joined) => assert_eq!(joined.members[0].user_id, "user1"),
        other => panic!("{other:?}; {watcher:?}"),
    }
    leave_lobby(&mut users[1]).await;
    match watcher.event().await {
        Body::RoomMemberLeft(left) => {
            assert_eq!(
                (left.members[0].user_id.as_str(), left.reason()),
                ("user1", LeaveReason::Left)
            );
            assert_eq!(left.member_count, 2);
        }
        other => panic!("{other:?}; {watcher:?}"),
    }
    // Nothing is left over from above.
    send(&mut users[0], 9, text(ROOM, "quiet?")).await;
    assert!(matches!(watcher.event().await, Body::RoomMessage(_)), "{watcher:?}");
    expect_quiet(&mut watcher, 9).await;
}
