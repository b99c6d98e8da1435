//! Single cases that are told apart from the rest.

use super::*;

#[test]
fn a_panic_on_behalf_of_a_member_breaks_that_one_and_the_others_get_theirs() {
    let mut world = World::new();
    for client in 0..5 {
        for room in 0..ROOMS {
            world.join(client, room);
        }
        world.clients[client].wire.grant(usize::MAX);
        world.clients[client].go_on();
    }
    // The first of all, one in between, the last of all; one of them in the middle of a frame.
    let faulty = [0, 2, 4];
    world.publish(0, Class::High, 100);
    world.clients[2].wire.space.set(30);
    assert!(!world.sweep(0, 5));
    assert!(world.clients[2].outbox.borrow().is_blocked());
    world.clients[2].wire.grant(usize::MAX);
    for client in faulty {
        let wire = &world.clients[client].wire;
        wire.faulty.set(true);
        wire.woken.set(0);
        let mut outbox = world.clients[client].outbox.borrow_mut();
        outbox.unblock(LOG_BYTES_MAX, &mut world.moved.borrow_mut());
    }
    world.publish(0, Class::Low, 100);
    world.publish(1, Class::Low, 100);
    let step = world.slices[0].sweep(5, &mut world.moved.borrow_mut());
    assert_eq!((step.panics, step.more), (3, false));
    for (number, client) in world.clients.iter().enumerate() {
        let is_faulty = faulty.contains(&number);
        assert!(!is_faulty || client.wire.woken.get() == 1, "its task sees to the rest");
        assert_eq!(client.outbox.borrow().is_broken(), is_faulty);
    }
    assert_eq!(world.slices[0].log_bytes(), 0, "what nobody will get is not kept");
    // Until their tasks have taken them out nobody touches them again: in no room, and whatever is published.
    world.publish(0, Class::High, 100);
    for room in 0..ROOMS {
        world.sweep(room, 5);
    }
    for client in faulty {
        // As to the model: their connections broke.
        world.clients[client].wire.faulty.set(false);
        world.break_off(client);
    }
    world.publish(0, Class::High, 100);
    world.drain();
    world.check();
    assert!(!world.missed_anything(1) && !world.missed_anything(3));
}

/// A slice with these members, each with a place in it.
fn slice_of(clients: &[&Client]) -> Slice {
    let mut slice = Slice::new(room_key(0), LOG_BYTES_MAX);
    for client in clients {
        slice.add(&client.outbox);
    }
    slice
}

fn sweep_all(slice: &mut Slice, moved: &Rc<RefCell<Moved>>) {
    let mut rounds = 0;
    while slice.sweep(3, &mut moved.borrow_mut()).more {
        rounds += 1;
        assert!(rounds < ROUNDS_MAX, "a sweep comes to an end");
    }
}

#[test]
fn what_a_burst_leaves_over_the_bound_is_gone_when_the_sweep_is_done_though_somebody_is_stuck() {
    let moved = Rc::default();
    let (fast, stuck) = (
        Client::new(&moved, key(1), false, usize::MAX),
        Client::new(&moved, key(2), false, 0),
    );
    let mut slice = slice_of(&[&fast, &stuck]);
    slice.append(&[0; 100], 1, Class::Low);
    slice.sweep(1, &mut moved.borrow_mut());
    for sequence in 2..100 {
        slice.append(&[0; 100], sequence, Class::Low);
    }
    assert!(slice.excess_bytes() > LOG_BYTES_MAX);
    sweep_all(&mut slice, &moved);
    assert_eq!(slice.excess_bytes(), 0);
    assert_eq!(fast.wire.taken.borrow().len(), 99 * 100, "the other got everything");
    // Nor does what was much once make it much for ever.
    slice.remove(&stuck.outbox, &mut moved.borrow_mut());
    slice.on_progress();
    sweep_all(&mut slice, &moved);
    assert_eq!(slice.log_bytes(), 0);
}

#[test]
fn who_is_gone_is_not_kept_by_the_list_of_those_who_lag() {
    let moved = Rc::default();
    let (fast, stuck) = (
        Client::new(&moved, key(1), false, usize::MAX),
        Client::new(&moved, key(2), false, 0),
    );
    let mut slice = slice_of(&[&stuck, &fast]);
    slice.append(&[0; 100], 1, Class::Low);
    slice.sweep(1, &mut moved.borrow_mut());
    slice.remove(&stuck.outbox, &mut moved.borrow_mut());
    assert_eq!(Rc::strong_count(&stuck.outbox), 1);
}
