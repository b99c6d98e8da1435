use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::api::body::{self, Form};
use crate::api::paths;

const FIELDS: &[Field] = &[
    Field::required("userId", Kind::User, "Whom it concerns.")
        .many(2)
        .or(&["userIds"]),
    Field::optional("minute", Kind::Minutes, "How long."),
    Field::optional("flag", Kind::Flag, "Whether."),
    Field::optional("chatroom", Kind::NamedRooms, "Rooms.").many(2),
    Field::optional("info", Kind::Object { bytes_max: 40 }, "An object."),
    Field::optional("keys", Kind::Array { bytes_max: 40 }, "Texts."),
    Field::optional("text", Kind::Text { bytes_max: 10 }, "A text."),
    Field::optional("page", Kind::Number { min: 0, max: 9 }, "A page."),
    Field::optional("groupId", Kind::Group, "A group."),
    Field::optional("group", Kind::NamedGroups, "Groups.").many(2),
    Field::optional("targetId", Kind::Target, "A target."),
    Field::optional("values", Kind::Objects { bytes_max: 40 }, "Objects."),
];

fn form(text: &str) -> Result<Fields, Failure> {
    let body = body::parse(Form::UrlEncoded, text.as_bytes()).expect("a form");
    check(FIELDS, IdProfile::Zim, &body)
}

fn json(value: Value) -> Result<Fields, Failure> {
    let body = body::parse(Form::Json, value.to_string().as_bytes()).expect("an object");
    check(FIELDS, IdProfile::Zim, &body)
}

fn values(fields: Result<Fields, Failure>, name: &str) -> Vec<Checked> {
    let fields = fields.expect("good fields");
    let (_, values) = fields.into_iter().find(|(known, _)| *known == name).expect("a field");
    values
}

fn user(id: &str) -> Checked {
    Checked::User(UserId::parse(id, IdProfile::Zim).expect("an id"))
}

fn room(id: &str, name: &str) -> Checked {
    Checked::NamedRoom(RoomId::parse(id).expect("an id"), name.to_owned())
}

#[test]
fn a_form_and_json_say_the_same() {
    let both = [
        form(
            "userId=a&userIds=b&minute=10&flag=1&chatroom%5Br%5D=R&info=%7B%22k%22%3A1%7D&keys=%5B%22x%22%5D&text=t&page=3",
        ),
        json(json!({
            "userId": "a", "userIds": ["b"], "minute": 10, "flag": true, "chatroom": {"r": "R"},
            "info": {"k": 1}, "keys": ["x"], "text": "t", "page": "3",
        })),
    ];
    for fields in both {
        assert_eq!(values(fields.clone(), "userId"), [user("a"), user("b")]);
        assert_eq!(values(fields.clone(), "minute"), [Checked::Number(10)]);
        assert_eq!(values(fields.clone(), "flag"), [Checked::Flag(true)]);
        assert_eq!(values(fields.clone(), "chatroom"), [room("r", "R")]);
        let object = json!({"k": 1}).as_object().expect("an object").clone();
        assert_eq!(values(fields.clone(), "info"), [Checked::Object(object)]);
        assert_eq!(values(fields.clone(), "keys"), [Checked::Texts(vec!["x".into()])]);
        assert_eq!(values(fields.clone(), "text"), [Checked::Text("t".into())]);
        assert_eq!(values(fields, "page"), [Checked::Number(3)]);
    }
}

#[test]
fn what_is_not_known_and_what_is_empty_is_passed_over() {
    let fields = form("userId=a&userId=&minute=&nonsense=%5B&name%5B%5D=x&text=");
    assert_eq!(values(fields.clone(), "userId"), [user("a")]);
    assert_eq!(values(fields.clone(), "minute"), []);
    assert_eq!(values(fields, "text"), []);
    let fields = json(json!({ "userId": ["a", null, ""], "minute": null, "x": {"y": []} }));
    assert_eq!(values(fields.clone(), "userId"), [user("a")]);
    assert_eq!(values(fields, "minute"), []);
    // A name that a library sends for want of a better one is a name like any other.
    assert_eq!(values(form("userId=undefined"), "userId"), [user("undefined")]);
}

#[test]
fn each_fault_has_its_code() {
    let codes = [
        ("", Code::NO_DATA),
        ("minute=10", Code::PARAMETER),
        ("userId=", Code::PARAMETER),
        ("userId=a&userId=b&userId=c", Code::PARAMETER),
        ("userId=%00", Code::PARAMETER),
        ("userId=123456789012345678901234567890123", Code::TOO_LONG),
        ("userId=a&minute=0", Code::PARAMETER),
        ("userId=a&minute=43201", Code::PARAMETER),
        ("userId=a&minute=%2B5", Code::PARAMETER),
        ("userId=a&minute=5.0", Code::PARAMETER),
        ("userId=a&minute=5&minute=6", Code::PARAMETER),
        ("userId=a&minute=undefined", Code::PARAMETER),
        ("userId=a&flag=yes", Code::PARAMETER),
        ("userId=a&text=12345678901", Code::TOO_LONG),
        ("userId=a&info=%5B%5D", Code::PARAMETER),
        ("userId=a&info=%7B", Code::PARAMETER),
        ("userId=a&keys=%5B1%5D", Code::PARAMETER),
        ("userId=a&chatroom=r", Code::PARAMETER),
        ("userId=a&chatroom%5Br%20r%5D=R", Code::PARAMETER),
        (
            "userId=a&chatroom%5Ba%5D=A&chatroom%5Bb%5D=B&chatroom%5Bc%5D=C",
            Code::PARAMETER,
        ),
    ];
    for (text, code) in codes {
        let failure = form(text).expect_err(text);
        assert_eq!(failure.code, code, "{text}: {}", failure.message);
    }
    for value in [
        json!({ "userId": [["a"]] }),
        json!({ "userId": {"a": 1} }),
        json!({ "userId": "a", "minute": [1] }),
        json!({ "userId": "a", "minute": 1.5 }),
        json!({ "userId": "a", "chatroom": {"r": 1} }),
        json!({ "userId": "a", "keys": [1] }),
        json!({ "userId": true, "minute": {} }),
    ] {
        let failure = json(value.clone()).expect_err("something is wrong");
        assert_eq!(failure.code, Code::PARAMETER, "{value}: {}", failure.message);
    }
}

#[test]
fn a_failure_repeats_little_of_what_was_given_and_no_control_characters() {
    let failure = form(&format!("userId=a&minute=%1b%5b31m{}", "9".repeat(5000))).expect_err("no number");
    assert!(!failure.message.chars().any(char::is_control), "{:?}", failure.message);
    assert!(failure.message.len() < 300, "{}", failure.message);
}

#[test]
fn the_table_of_paths_is_sound() {
    let mut seen = std::collections::BTreeSet::new();
    for path in paths::all() {
        assert!(
            path.path.starts_with('/') && !path.path.ends_with(".json"),
            "{}",
            path.path
        );
        assert!(seen.insert(path.path), "{} is there twice", path.path);
        assert!(path.summary.ends_with('.'), "{}", path.path);
        let mut names: Vec<&str> = Vec::new();
        for field in path.fields {
            names.push(field.name);
            names.extend(field.aliases);
            assert!(field.meaning.ends_with('.'), "{} {}", path.path, field.name);
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "{} has a name twice", path.path);
    }
}

proptest! {
    #[test]
    fn any_body_is_checked_against_any_path_without_a_panic(
        pairs in prop::collection::vec((0_usize..40, "\\PC{0,20}|[0-9]{0,25}|\\[\"a\"\\]|\\{\"a\":1\\}"), 0..8),
        wide: bool,
    ) {
        let profile = if wide { IdProfile::Wide } else { IdProfile::Zim };
        for path in paths::all() {
            let named = pairs.iter().filter_map(|(place, text)| {
                let field = path.fields.get(*place % path.fields.len().max(1))?;
                Some((field.name.to_owned(), Given::Text(text.clone())))
            });
            let body: Body = named.collect();
            let json = body.iter().map(|(name, given)| match given {
                Given::Text(text) => (name.clone(), Given::Json(serde_json::from_str(text).unwrap_or(Value::Null))),
                given => (name.clone(), given.clone()),
            });
            for body in [json.collect(), body.clone()] {
                if let Ok(fields) = check(path.fields, profile, &body) {
                    prop_assert_eq!(fields.len(), path.fields.len());
                }
            }
        }
    }
}

#[test]
fn groups_targets_and_lists_of_objects_are_what_they_must_be() {
    let group = |id: &str| Checked::Conversation(id.to_owned());
    let fields = form(
        "userId=a&groupId=Team_7-b&group%5Bg%5D=G&group%5Bh%5D=&targetId=%E4%BD%A0&values=%5B%7B%22a%22%3A1%7D%5D",
    );
    assert_eq!(values(fields.clone(), "groupId"), [group("Team_7-b")]);
    let named = |id: &str, name: &str| Checked::NamedGroup(id.to_owned(), name.to_owned());
    assert_eq!(values(fields.clone(), "group"), [named("g", "G"), named("h", "")]);
    assert_eq!(values(fields.clone(), "targetId"), [group("你")]);
    let object = json!({"a": 1}).as_object().expect("an object").clone();
    assert_eq!(values(fields, "values"), [Checked::Objects(vec![object])]);

    let same = json(json!({ "userId": "a", "group": { "g": "G" }, "values": [{ "a": 1 }, {}] }));
    assert_eq!(values(same.clone(), "group"), [named("g", "G")]);
    assert!(matches!(&values(same, "values")[..], [Checked::Objects(objects)] if objects.len() == 2));

    let code = |fields: Result<Fields, Failure>| fields.expect_err("it is wrong").code;
    let with = |more: &str| form(&format!("userId=a&{more}"));
    for wrong in [
        "groupId=a+b",
        "groupId=a%3Ab",
        "group%5Ba+b%5D=x",
        "group=x",
        "values=x",
        "values=%5B1%5D",
        "values=%7B%7D",
    ] {
        assert_eq!(code(with(wrong)), Code::PARAMETER, "{wrong}");
    }
    let long = |length: usize| "x".repeat(length);
    assert!(with(&format!("groupId={}", long(64))).is_ok());
    assert_eq!(code(with(&format!("groupId={}", long(65)))), Code::TOO_LONG);
    assert!(with(&format!("targetId={}", long(256))).is_ok());
    assert_eq!(code(with(&format!("targetId={}", long(257)))), Code::TOO_LONG);
    assert_eq!(code(with(&format!("group%5Bg%5D={}", long(101)))), Code::TOO_LONG);
    let places = |count: usize| {
        let object: Map<String, Value> = (0..count).map(|number| (number.to_string(), Value::Null)).collect();
        json(json!({ "userId": "a", "values": [object] }))
    };
    assert!(places(64).is_ok());
    assert_eq!(code(places(65)), Code::PARAMETER);
}
