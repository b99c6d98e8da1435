use super::*;

fn read(content: &str) -> Result<(bool, Vec<String>), Code> {
    let read = Mentioned::read(content);
    read.map(|mentioned| (mentioned.all, mentioned.users))
        .map_err(|failure| failure.code)
}

#[test]
fn who_is_meant_stands_in_the_content() {
    let with = |info: &str| read(&format!("{{\"content\":\"hi\",\"mentionedInfo\":{info}}}"));
    assert_eq!(with(r#"{"type":1,"userIdList":["a"]}"#), Ok((true, vec![])));
    let two = vec!["a".to_owned(), "b".to_owned()];
    assert_eq!(
        with(r#"{"type":2,"userIdList":["a","b"],"pushContent":"x"}"#),
        Ok((false, two))
    );
    for nobody in ["helloworld", "\"helloworld\"", "{}", "[]"] {
        assert_eq!(read(nobody), Ok((false, vec![])), "{nobody}");
    }
    for wrong in [r#"{"type":3}"#, "{}", r#"{"type":2}"#, r#"{"type":2,"userIdList":[1]}"#] {
        assert_eq!(with(wrong), Err(Code::PARAMETER), "{wrong}");
    }
    let users = |count: usize| json!({ "type": 2, "userIdList": vec!["a"; count] }).to_string();
    assert_eq!(with(&users(50)).map(|(_, users)| users.len()), Ok(50));
    assert_eq!(with(&users(51)), Err(Code::PARAMETER));
}

fn tally(results: &[(&str, Result<u64, Code>)]) -> Answered {
    let mut tally = Tally::default();
    for (target, result) in results {
        tally.add(USER, target, result.map_err(|code| Failure::new(code, "why")));
    }
    tally.answer()
}

#[test]
fn of_each_target_it_is_told_what_became_of_it() {
    let (blacklisted, gone) = (
        Code(ErrorCode::IN_BLACKLIST.number()),
        Code(ErrorCode::CONVERSATION_UNKNOWN.number()),
    );
    let some = tally(&[
        ("ann", Ok(7)),
        ("bob", Err(Code::TIMEOUT)),
        ("cid", Err(gone)),
        ("dora", Err(Code::RATE)),
    ]);
    let failed = |user: &str, code: Code| json!({ "userId": user, "code": code.0, "errorMessage": "why" });
    let expected = json!({
        "messageUIDs": [{ "userId": "ann", "messageUID": "7" }],
        "failed": [failed("bob", Code::TIMEOUT), failed("dora", Code::RATE)],
    });
    assert_eq!(some.map(Value::Object), Ok(expected));
    let none = tally(&[("cid", Err(gone))]).map(Value::Object);
    assert_eq!(none, Ok(json!({ "messageUIDs": [] })));
    let asked_for = tally(&[("ann", Err(blacklisted))]).map(Value::Object);
    let expected = json!({ "messageUIDs": [], "failed": [failed("ann", blacklisted)] });
    assert_eq!(asked_for, Ok(expected));
}

#[test]
fn where_nobody_certainly_has_it_and_some_may_that_is_what_is_answered() {
    for order in [[Code::TIMEOUT, Code::RATE], [Code::RATE, Code::TIMEOUT]] {
        let answered = tally(&[("ann", Err(order[0])), ("bob", Err(order[1]))]);
        assert_eq!(answered.expect_err("nobody has it").code, Code::TIMEOUT);
    }
    let answered = tally(&[("ann", Err(Code::RATE)), ("bob", Err(Code::RATE))]);
    assert_eq!(answered.expect_err("nobody has it").code, Code::RATE);
}
