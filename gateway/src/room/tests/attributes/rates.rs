//! How much members write in a second.

use super::*;

#[test]
fn members_together_write_a_hundred_times_a_second() {
    let (mut hall, [alice, bob]) = room_with(["alice", "bob"]);
    for number in 0..100 {
        let device = if number % 2 == 0 { &alice } else { &bob };
        hall.write(device, forced(set(&[("a", "1")]))).version();
    }
    hall.wait(Duration::from_millis(300));
    let refused = hall.write(&alice, set(&[("a", "1")]));
    assert_eq!(refused.refused(), (20607, "rate", 700));
    let order = Order::WriteAttributes {
        by: None,
        write: forced(set(&[("a", "1")])),
    };
    assert!(hall.order(order).0.is_ok(), "the app's server has a rate of its own");
    hall.wait(Duration::from_millis(700));
    hall.write(&alice, set(&[("a", "1")])).version();
}

#[test]
fn long_attributes_and_many_in_one_command_count_for_what_they_are() {
    const KIB: usize = 1024;
    let mut hall = Hall::new();
    let [host] = hall.devices(["host"]);
    hall.enter_live(&host, 0);
    let crowd: Vec<Device> = (0..10).map(|user| hall.device(&format!("user{user}"), 0)).collect();
    for device in &crowd {
        hall.enter_live(device, 0);
    }
    let value = "v".repeat(4096);
    let keys: Vec<String> = (0..10).map(|key| format!("{key:0128}")).collect();
    let largest: Vec<(&str, &str)> = keys.iter().map(|key| (&**key, &*value)).collect();
    let mut told = 0;
    let start = hall.now;
    for ms in (0..2000).step_by(20) {
        hall.now = start + Duration::from_millis(ms);
        for device in &crowd {
            for effect in hall.request(device, 7, Request::WriteAttributes(forced(set(&largest)))) {
                if let Effect::Publish { frame, .. } = effect {
                    told += frame.len();
                }
            }
        }
    }
    assert!(
        (80 * KIB..=100 * KIB).contains(&told),
        "in two seconds {told} bytes to each member"
    );
    hall.wait(Duration::from_secs(1));
    for _ in 0..10 {
        let ten: Vec<(&str, &str)> = keys.iter().map(|key| (&**key, "")).collect();
        hall.write(&host, forced(set(&ten))).version();
    }
    assert_eq!(hall.write(&host, set(&[("a", "1")])).refused(), (20607, "rate", 1000));
    hall.wait(Duration::from_secs(1));
    let too_long = "v".repeat(60 * KIB);
    assert_eq!(
        hall.write(&host, set(&[("a", &too_long)])).all_refused(),
        [("a", 33003, "value")],
        "what never fits is told why"
    );
}
