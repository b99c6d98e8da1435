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
