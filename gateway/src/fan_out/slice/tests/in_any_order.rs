//! Operations in any order.

use super::*;

fn class() -> impl Strategy<Value = Class> {
    prop_oneof![
        2 => Just(Class::Control),
        1 => Just(Class::Protected),
        2 => Just(Class::High),
        2 => Just(Class::Normal),
        4 => Just(Class::Low),
        3 => Just(Class::Barrage),
    ]
}

fn op(clients: usize) -> impl Strategy<Value = Op> {
    // A long frame is nearly half of what a member may lag.
    let bytes = prop_oneof![8 => 0_usize..60, 4 => 60_usize..300, 1 => Just(LOG_BYTES_MAX / 20)];
    let grant = prop_oneof![4 => 1_usize..40, 2 => 40_usize..500, 1 => Just(5_000)];
    let room = || 0..ROOMS;
    let client = move || 0..clients;
    prop_oneof![
        30 => (room(), class(), bytes).prop_map(|(room, class, bytes)| Op::Publish { room, class, bytes }),
        12 => (client(), grant).prop_map(|(client, bytes)| Op::Grant { client, bytes }),
        12 => (room(), 1_usize..5).prop_map(|(room, members_max)| Op::Sweep { room, members_max }),
        4 => (client(), any::<bool>()).prop_map(|(client, flush)| Op::Push { client, flush }),
        4 => (client(), any::<bool>()).prop_map(|(client, flush)| Op::Answer { client, flush }),
        6 => (client(), room()).prop_map(|(client, room)| Op::Join { client, room }),
        3 => (client(), room()).prop_map(|(client, room)| Op::Leave { client, room }),
        1 => client().prop_map(|client| Op::Break { client }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// The promise of the whole delivery: whatever is published, however slow each member is, and whenever somebody
    /// comes, goes or breaks, each one's bytes are whole frames in order, and what is missing was told.
    #[test]
    fn published_is_received_and_missed_in_whole_frames_for_members_of_any_speed(
        joins in prop::collection::vec((0_usize..5, 0_usize..ROOMS), 0..8),
        ops in prop::collection::vec(op(5), 1..400),
    ) {
        let mut world = World::new();
        for (client, room) in joins {
            world.join(client, room);
        }
        for op in &ops {
            world.apply(op);
        }
        world.drain();
        world.check();
    }

    /// Only a member whose transport is full is slow: one that takes all it is given misses nothing, however much is
    /// published before the sweep comes round.
    #[test]
    fn a_member_whose_transport_is_never_full_misses_nothing(ops in prop::collection::vec(op(5), 1..400)) {
        let mut world = World::new();
        world.join(0, 0);
        world.join(0, 1);
        for op in &ops {
            world.apply(op);
        }
        world.drain();
        world.check();
        prop_assert!(!world.missed_anything(0));
    }
}
