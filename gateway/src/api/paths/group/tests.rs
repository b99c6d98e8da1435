use std::cell::RefCell;
use std::time::Duration;

use serde_json::Map;
use sluice_protocol::{Done, IdProfile, MembersChanged};

use super::*;

fn user(id: &str) -> UserId {
    UserId::parse(id, IdProfile::Zim).expect("a user id")
}

fn changed(refused: &[(&str, ErrorCode)]) -> Result<Outcome, Failure> {
    let refused = refused.iter().map(|(user, code)| MemberRefusal {
        user_id: (*user).to_owned(),
        code: code.number(),
    });
    Ok(Outcome::answer(reply::Result::MembersChanged(MembersChanged {
        refused: refused.collect(),
        ..MembersChanged::default()
    })))
}

fn failure(code: Code) -> Failure {
    Failure::new(code, "why")
}

/// The names and codes of those that were refused, or the code of the whole.
fn refused(answered: Answered, name: &str) -> Result<Vec<(String, i64)>, Code> {
    let answered: Map<String, Value> = answered.map_err(|failure| failure.code)?;
    let Some(failed) = answered.get(FAILED) else {
        return Ok(Vec::new());
    };
    let of = |one: &Value| {
        let (name, code) = (one[name].as_str(), one["code"].as_i64());
        (name.expect("a name").to_owned(), code.expect("a code"))
    };
    Ok(failed.as_array().expect("a list").iter().map(of).collect())
}

#[test]
fn of_users_in_pieces_each_is_told_by_what_became_of_its_piece() {
    let users: Vec<UserId> = (0..250).map(|number| user(&format!("u{number}"))).collect();
    let full = changed(&[("u7", ErrorCode::CONVERSATION_FULL), ("u8", ErrorCode::NOT_A_MEMBER)]);
    let outcomes = vec![full, Err(failure(Code::TIMEOUT)), Err(failure(Code::RATE))];
    let told = each_user(&users, outcomes, |code| code == ErrorCode::NOT_A_MEMBER.number());
    let told = refused(told, "userId").expect("most are in");
    assert_eq!(told.len(), 1 + 100 + 50);
    assert_eq!(told[0], ("u7".to_owned(), 25411));
    assert_eq!(
        (&told[1], &told[100]),
        (&("u100".to_owned(), 1050), &("u199".to_owned(), 1050))
    );
    assert_eq!(
        (&told[101], &told[150]),
        (&("u200".to_owned(), 1008), &("u249".to_owned(), 1008))
    );

    let outcomes = vec![
        Err(failure(Code::TIMEOUT)),
        Err(failure(Code::RATE)),
        Err(failure(Code::RATE)),
    ];
    let told = each_user(&users, outcomes, |_| false);
    assert_eq!(refused(told, "userId"), Err(Code::TIMEOUT), "some may be in");
}

#[test]
fn of_groups_each_is_told_by_what_became_of_it() {
    let ids = || ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
    let unknown = failure(Code(ErrorCode::CONVERSATION_UNKNOWN.number()));
    let outcomes = vec![
        changed(&[("ann", ErrorCode::CONVERSATION_FULL)]),
        changed(&[("ann", ErrorCode::NOT_A_MEMBER)]),
        Err(unknown),
        Err(failure(Code::TIMEOUT)),
        Ok(Outcome::answer(reply::Result::Done(Done {}))),
    ];
    let told = refused(each_group(ids(), outcomes), "groupId").expect("some are done");
    assert_eq!(told, [("a".to_owned(), 25411), ("d".to_owned(), 1050)]);
    let outcomes = [Code::TIMEOUT, Code::RATE, Code::RATE, Code::RATE, Code::RATE].map(|code| Err(failure(code)));
    let told = each_group(ids(), outcomes.into());
    assert_eq!(refused(told, "groupId"), Err(Code::TIMEOUT), "one may be done");
}

#[test]
fn who_is_named_twice_counts_once() {
    let users = once_each(["a", "b", "a"].map(user).to_vec());
    assert_eq!(users, ["a", "b"].map(user));
}

/// The groups of a user, in an order that changes with each message.
struct Groups(RefCell<Vec<String>>);

impl Groups {
    fn of(count: usize) -> Self {
        Self(RefCell::new((0..count).map(|number| format!("g{number}")).collect()))
    }

    fn read(&self) -> Vec<String> {
        self.0.borrow().iter().take(GROUPS_READ).cloned().collect()
    }

    /// Meanwhile there is a message in the last group, which is the first then.
    fn put_out(&self, groups: &[String]) -> Vec<Result<(), Failure>> {
        let mut left = self.0.borrow_mut();
        left.retain(|group| !groups.contains(group));
        let moved = 1.min(left.len());
        left.rotate_right(moved);
        groups.iter().map(|_| Ok(())).collect()
    }
}

fn in_a_while() -> Instant {
    Instant::now() + Duration::from_secs(8)
}

#[tokio::test]
async fn no_group_is_passed_over_because_there_was_a_message_meanwhile() {
    let groups = Groups::of(3 * GROUPS_READ);
    let names: Vec<String> = (0..GROUPS_PER_CALL).map(|number| format!("g{}", number * 5)).collect();
    let stays: HashSet<&str> = names.iter().map(String::as_str).collect();
    let read = || std::future::ready(Ok(groups.read()));
    let put_out = |others: Vec<String>| std::future::ready(groups.put_out(&others));
    let (ids, outcomes) = leave_others(&stays, in_a_while(), read, put_out)
        .await
        .expect("it is done");
    assert_eq!(
        (ids.len(), outcomes.len()),
        (3 * GROUPS_READ - stays.len(), 3 * GROUPS_READ - stays.len())
    );
    let left = groups.0.borrow();
    assert_eq!(left.iter().map(String::as_str).collect::<HashSet<_>>(), stays);
}

#[tokio::test]
async fn a_group_that_cannot_be_left_is_told_and_not_tried_without_end() {
    let groups = Groups::of(2 * GROUPS_READ);
    let read = || std::future::ready(Ok(groups.read()));
    let put_out =
        |others: Vec<String>| std::future::ready(others.iter().map(|_| Err::<(), _>(failure(Code::RATE))).collect());
    let (ids, outcomes) = leave_others(&HashSet::new(), in_a_while(), read, put_out)
        .await
        .expect("an answer");
    assert_eq!((ids.len(), outcomes.len()), (GROUPS_READ, GROUPS_READ));
    assert!(outcomes.iter().all(Result::is_err));
    let put_out = |others: Vec<String>| std::future::ready(others.iter().map(|_| Ok(())).collect());
    let late = leave_others(&HashSet::new(), Instant::now(), read, put_out).await;
    assert_eq!(late.expect_err("it is not done").code, Code::TIMEOUT);
}
