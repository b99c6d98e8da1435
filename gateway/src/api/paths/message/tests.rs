use super::*;

fn unpacked(object_name: &str, content: &str) -> (MessageType, String, String, String) {
    let unpacked = unpack(object_name.to_owned(), content.to_owned()).expect("a good message");
    (
        unpacked.kind,
        unpacked.content,
        unpacked.object_name,
        unpacked.extended_data,
    )
}

fn code_of(object_name: &str, content: &str) -> Result<(), Code> {
    unpack(object_name.to_owned(), content.to_owned())
        .map(|_| ())
        .map_err(|failure| failure.code)
}

#[test]
fn the_vendors_text_is_unpacked_and_anything_else_is_the_text_itself() {
    for (content, text, extra) in [
        (r#"{"content":"hello"}"#, "hello", ""),
        (
            r#"{"content":"你好","extra":"{\"a\":1}","user":{"id":"u"}}"#,
            "你好",
            r#"{"a":1}"#,
        ),
        (r#"{"content":"hello","extra":{"a":1}}"#, "hello", r#"{"a":1}"#),
        (r#"{"content":"hello","extra":null}"#, "hello", ""),
        ("helloworld", "helloworld", ""),
        (r#""quoted""#, r#""quoted""#, ""),
        (r#"{"content":7}"#, r#"{"content":7}"#, ""),
        (r#"{"text":"hello"}"#, r#"{"text":"hello"}"#, ""),
        (r#"{"content":"#, r#"{"content":"#, ""),
    ] {
        let expected = (MessageType::Text, text.to_owned(), String::new(), extra.to_owned());
        assert_eq!(unpacked(TEXT, content), expected, "{content}");
    }
}

#[test]
fn commands_and_custom_messages_are_carried_as_they_are() {
    let command = r#"{"name":"seat","data":"3"}"#;
    let expected = (MessageType::Command, command.to_owned(), String::new(), String::new());
    assert_eq!(unpacked(COMMAND, command), expected);
    for name in ["RC:ImgMsg", "app:gift", "RC:TxtMsg01"] {
        let expected = (MessageType::Custom, "any".to_owned(), name.to_owned(), String::new());
        assert_eq!(unpacked(name, "any"), expected);
    }
}

#[test]
fn a_message_is_as_large_as_its_type_allows_and_never_empty() {
    let text = |bytes: usize, extra: usize| {
        let (text, extra) = ("x".repeat(bytes), "y".repeat(extra));
        json!({ "content": text, "extra": extra }).to_string()
    };
    assert_eq!(code_of(TEXT, &text(limits::TEXT_BYTES, 0)), Ok(()));
    assert_eq!(code_of(TEXT, &text(limits::TEXT_BYTES - 1, 1)), Ok(()));
    assert_eq!(code_of(TEXT, &text(limits::TEXT_BYTES, 1)), Err(Code::TOO_LONG));
    assert_eq!(code_of(TEXT, &text(0, 5)), Err(Code::PARAMETER));
    assert_eq!(code_of(COMMAND, &"x".repeat(limits::COMMAND_BYTES)), Ok(()));
    assert_eq!(
        code_of(COMMAND, &"x".repeat(limits::COMMAND_BYTES + 1)),
        Err(Code::TOO_LONG)
    );
    assert_eq!(code_of("app:gift", &"x".repeat(limits::CUSTOM_BYTES)), Ok(()));
    assert_eq!(
        code_of("app:gift", &"x".repeat(limits::CUSTOM_BYTES + 1)),
        Err(Code::TOO_LONG)
    );
}
