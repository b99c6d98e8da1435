//! Attributes in the hands of the app's server.

use super::*;

#[test]
fn the_server_writes_for_nobody_or_for_whom_it_names() {
    let (mut hall, [alice]) = room_with(["alice"]);
    let carol = hall.device("carol", 0);
    let nobody = |write| Order::WriteAttributes { by: None, write };
    let for_carol = |write| Order::WriteAttributes {
        by: Some(carol.user.clone()),
        write,
    };
    let written = |version, refused: &[(&str, Refusal)]| {
        let owned = |(key, refusal): &(&str, Refusal)| ((*key).to_owned(), refusal.clone());
        Ok(Answer::AttributesWritten {
            version,
            refused: refused.iter().map(owned).collect(),
        })
    };
    let (answer, told) = hall.order(nobody(set(&[("a", "1")])));
    assert_eq!(answer, written(1, &[]));
    let changed = told.changed();
    assert_eq!(
        (&changed.by, &changed.set[..]),
        (&None, &[attribute("a", "1", "", 1)][..])
    );
    let (answer, told) = hall.order(for_carol(going_with_owner(set(&[("b", "1")]))));
    assert_eq!(answer, written(2, &[]), "whom it names need not be inside");
    let changed = told.changed();
    assert_eq!(
        (&changed.by, &changed.set[0].owner_id[..]),
        (&user_info("carol"), "carol")
    );

    let not_yours = Refusal::new(ErrorCode::ATTRIBUTE_NOT_YOURS);
    let (answer, told) = hall.order(nobody(set(&[("b", "2")])));
    assert_eq!(
        answer,
        written(0, &[("b", not_yours.clone())]),
        "not even the server without force"
    );
    assert!(told.published.is_empty() && told.kept.is_empty());
    assert_eq!(hall.write(&alice, set(&[("a", "2")])).all_refused(), [("a", 23424, "")]);
    assert_eq!(
        hall.order(nobody(delete(&["a", "b"]))).0,
        written(3, &[("b", not_yours)])
    );
    assert_eq!(hall.order(nobody(forced(delete(&["b"])))).0, written(4, &[]));
}

#[test]
fn the_server_reads_with_owners_and_times() {
    let (mut hall, [alice]) = room_with(["alice"]);
    hall.write(&alice, going_with_owner(set(&[("b", "2")])));
    hall.wait(Duration::from_secs(3));
    hall.write(&alice, set(&[("a", "1")]));
    let of = |value: &str, version, goes_with_owner, set_at_ms| AttributeRecord {
        value: value.to_owned(),
        owner: "alice".to_owned(),
        version,
        goes_with_owner,
        set_at_ms,
    };
    let a = ("a".to_owned(), of("1", 2, false, 1_800_000_003_000));
    let b = ("b".to_owned(), of("2", 1, true, 1_800_000_000_000));
    let read = |hall: &mut Hall, keys: &[&str]| {
        let keys = keys.iter().map(ToString::to_string).collect();
        hall.order(Order::Attributes(keys)).0
    };
    assert_eq!(read(&mut hall, &[]), Ok(Answer::Attributes(vec![a, b.clone()])));
    assert_eq!(read(&mut hall, &["b", "missing"]), Ok(Answer::Attributes(vec![b])));
}

#[test]
fn the_server_is_told_of_rooms_that_do_not_exist() {
    let mut hall = Hall::new();
    let missing = Err(Refusal::new(ErrorCode::CHATROOM_NOT_EXIST));
    let write = Order::WriteAttributes {
        by: None,
        write: set(&[("a", "1")]),
    };
    assert_eq!(hall.order(write).0, missing);
    assert_eq!(hall.order(Order::Attributes(Vec::new())).0, missing);
}
