//! SetRoomAttributes, DeleteRoomAttributes, QueryRoomAttributes, and the first attributes of a room that is made.
//!
//! Only the form of a command is checked here. What becomes of each key the room decides, which knows its limits.

use sluice_protocol::{DeleteRoomAttributes, ErrorCode, QueryRoomAttributes, SetRoomAttributes, limits};

use crate::command::room_key;
use crate::identity::{AppIndex, RoomKey};
use crate::refusal::Refusal;
use crate::room::{Query, Request, Write};

pub(super) fn set(command: SetRoomAttributes, app: AppIndex) -> Result<(RoomKey, Request), Refusal> {
    let room = room_key(app, &command.room_id)?;
    check_written(&command.keys)?;
    let write = Write::Set {
        entries: pairs(command.keys, command.values).map_err(|UnlikeNumbers| Refusal::parameter("values"))?,
        force: command.force,
        take_over: command.take_over,
        delete_on_leave: command.delete_on_leave,
        if_version: version(command.if_version),
    };
    Ok((room, Request::WriteAttributes(write)))
}

pub(super) fn delete(command: DeleteRoomAttributes, app: AppIndex) -> Result<(RoomKey, Request), Refusal> {
    let room = room_key(app, &command.room_id)?;
    check_written(&command.keys)?;
    let write = Write::Delete {
        keys: command.keys,
        force: command.force,
        if_version: version(command.if_version),
    };
    Ok((room, Request::WriteAttributes(write)))
}

pub(super) fn query(command: QueryRoomAttributes, app: AppIndex) -> Result<(RoomKey, Request), Refusal> {
    let room = room_key(app, &command.room_id)?;
    if command.keys.len() > limits::ATTRIBUTES_PER_QUERY {
        return Err(Refusal::parameter("keys"));
    }
    Ok((room, Request::Query(Query::Attributes(command.keys))))
}

/// The attributes that a room is to have from the start. How many it may have is for its policy to say.
pub(super) fn first(keys: Vec<String>, values: Vec<String>) -> Result<Vec<(String, String)>, Refusal> {
    if has_twice(&keys) {
        return Err(Refusal::parameter("attribute_keys"));
    }
    pairs(keys, values).map_err(|UnlikeNumbers| Refusal::parameter("attribute_values"))
}

/// There are not as many values as keys.
#[derive(Debug)]
struct UnlikeNumbers;

fn pairs(keys: Vec<String>, values: Vec<String>) -> Result<Vec<(String, String)>, UnlikeNumbers> {
    if keys.len() == values.len() {
        Ok(keys.into_iter().zip(values).collect())
    } else {
        Err(UnlikeNumbers)
    }
}

fn check_written(keys: &[String]) -> Result<(), Refusal> {
    if keys.len() > limits::ATTRIBUTES_PER_COMMAND {
        return Err(Refusal::new(ErrorCode::TOO_MANY_ATTRIBUTES));
    }
    if keys.is_empty() || has_twice(keys) {
        return Err(Refusal::parameter("keys"));
    }
    Ok(())
}

fn has_twice(keys: &[String]) -> bool {
    let mut sorted: Vec<&String> = keys.iter().collect();
    sorted.sort_unstable();
    sorted.windows(2).any(|pair| pair[0] == pair[1])
}

fn version(number: u64) -> Option<u64> {
    (number != 0).then_some(number)
}

#[cfg(test)]
mod tests {
    use sluice_protocol::frame::Body;

    use super::*;
    use crate::command::{self, Refused};

    fn ask(command: Body) -> Result<Request, (i32, String)> {
        match command::handle(7, command, AppIndex(3)) {
            Ok((key, request)) => {
                assert_eq!((key.app, key.id.as_str()), (AppIndex(3), "lobby"));
                Ok(request)
            }
            Err(Refused {
                refusal,
                answer: Some(_),
            }) => Err((refusal.code.number(), refusal.detail.into_owned())),
            Err(other) => panic!("{other:?}"),
        }
    }

    fn written(command: Body) -> Write {
        match ask(command) {
            Ok(Request::WriteAttributes(write)) => write,
            other => panic!("{other:?}"),
        }
    }

    fn refused(command: Body) -> (i32, String) {
        ask(command).expect_err("it is refused")
    }

    fn numbered(count: usize) -> Vec<String> {
        (0..count).map(|number| number.to_string()).collect()
    }

    fn set_command(keys: Vec<String>, values: Vec<String>) -> Body {
        Body::SetRoomAttributes(SetRoomAttributes {
            room_id: "lobby".into(),
            keys,
            values,
            ..SetRoomAttributes::default()
        })
    }

    fn delete_command(keys: Vec<String>) -> Body {
        Body::DeleteRoomAttributes(DeleteRoomAttributes {
            room_id: "lobby".into(),
            keys,
            ..DeleteRoomAttributes::default()
        })
    }

    fn query_command(keys: Vec<String>) -> Body {
        Body::QueryRoomAttributes(QueryRoomAttributes {
            room_id: "lobby".into(),
            keys,
        })
    }

    #[test]
    fn a_command_is_handed_to_its_room_with_all_it_says() {
        let command = SetRoomAttributes {
            room_id: "lobby".into(),
            keys: vec!["a".into(), "b".into()],
            values: vec!["1".into(), "".into()],
            force: true,
            take_over: false,
            delete_on_leave: true,
            if_version: 9,
        };
        let expected = Write::Set {
            entries: vec![("a".into(), "1".into()), ("b".into(), "".into())],
            force: true,
            take_over: false,
            delete_on_leave: true,
            if_version: Some(9),
        };
        assert_eq!(written(Body::SetRoomAttributes(command)), expected);
        let command = SetRoomAttributes {
            room_id: "lobby".into(),
            keys: vec!["a".into()],
            values: vec!["1".into()],
            take_over: true,
            ..SetRoomAttributes::default()
        };
        let expected = Write::Set {
            entries: vec![("a".into(), "1".into())],
            force: false,
            take_over: true,
            delete_on_leave: false,
            if_version: None,
        };
        assert_eq!(written(Body::SetRoomAttributes(command)), expected);
        let command = DeleteRoomAttributes {
            room_id: "lobby".into(),
            keys: vec!["b".into(), "a".into()],
            force: true,
            if_version: 9,
        };
        let expected = Write::Delete {
            keys: vec!["b".into(), "a".into()],
            force: true,
            if_version: Some(9),
        };
        assert_eq!(written(Body::DeleteRoomAttributes(command)), expected);
        match ask(query_command(numbered(100))) {
            Ok(Request::Query(Query::Attributes(keys))) => assert_eq!(keys, numbered(100)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_command_writes_one_to_ten_keys_each_once_and_as_many_values() {
        written(set_command(numbered(10), numbered(10)));
        written(delete_command(numbered(10)));
        let many = (23429, String::new());
        assert_eq!(refused(set_command(numbered(11), numbered(11))), many);
        assert_eq!(refused(delete_command(numbered(11))), many);
        let keys = (33003, "keys".to_owned());
        assert_eq!(refused(set_command(numbered(0), numbered(0))), keys);
        assert_eq!(refused(delete_command(numbered(0))), keys);
        let twice: Vec<String> = ["a", "b", "a"].map(String::from).into();
        assert_eq!(refused(set_command(twice.clone(), numbered(3))), keys);
        assert_eq!(refused(delete_command(twice)), keys);
        for values in [0, 1, 3] {
            let values = refused(set_command(numbered(2), numbered(values)));
            assert_eq!(values, (33003, "values".to_owned()));
        }
    }

    #[test]
    fn a_query_names_up_to_a_hundred_keys() {
        assert!(ask(query_command(Vec::new())).is_ok());
        assert_eq!(refused(query_command(numbered(101))), (33003, "keys".to_owned()));
    }

    #[test]
    fn rooms_whose_id_cannot_be_are_refused() {
        let id = || "a b".to_owned();
        let commands = [
            Body::SetRoomAttributes(SetRoomAttributes {
                room_id: id(),
                ..SetRoomAttributes::default()
            }),
            Body::DeleteRoomAttributes(DeleteRoomAttributes {
                room_id: id(),
                ..DeleteRoomAttributes::default()
            }),
            Body::QueryRoomAttributes(QueryRoomAttributes {
                room_id: id(),
                keys: Vec::new(),
            }),
        ];
        for command in commands {
            assert_eq!(refused(command), (33003, "room_id".to_owned()));
        }
    }

    #[test]
    fn first_attributes_have_a_value_for_each_key_and_no_key_twice() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<String>>();
        let good = first(texts(&["a", "b"]), texts(&["1", "1"])).expect("they are good");
        assert_eq!(good, [pair("a", "1"), pair("b", "1")]);
        assert_eq!(first(Vec::new(), Vec::new()), Ok(Vec::new()));
        let field = |keys: &[&str], values: &[&str]| first(texts(keys), texts(values)).expect_err("refused").detail;
        assert_eq!(field(&["a"], &[]), "attribute_values");
        assert_eq!(field(&[], &["1"]), "attribute_values");
        assert_eq!(field(&["a", "a"], &["1", "1"]), "attribute_keys");
    }
}
