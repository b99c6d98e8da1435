//! Fields of a call: what each is, and whether what was given is that. The checks and the OpenAPI document come from the same values.

use serde_json::{Map, Value};
use sluice_protocol::{IdProfile, InvalidId, RoomId, UserId, limits};

use crate::api::failure::{Code, Failure};

/// Longest that a gag or block may last: 30 days in minutes, as the vendor has it.
pub(super) const MINUTES_MAX: i64 = 43_200;

/// Fields of each object of a list: places of a template.
pub(super) const OBJECT_FIELDS_MAX: usize = 64;

/// Longest piece of a wrong value that an answer repeats, in characters.
const FOUND_CHARACTERS_MAX: usize = 40;

/// One field of a path.
#[derive(Debug)]
pub(super) struct Field {
    pub name: &'static str,
    /// Other names that some of the vendor's libraries give it.
    pub aliases: &'static [&'static str],
    pub kind: Kind,
    pub count: Count,
    pub need: Need,
    pub meaning: &'static str,
}

/// What a value must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text {
        bytes_max: usize,
    },
    User,
    Room,
    /// 1 to [`MINUTES_MAX`].
    Minutes,
    Number {
        min: i64,
        max: i64,
    },
    /// `true` and `1`, or `false` and `0`.
    Flag,
    /// An object of JSON, as text or, in a body of JSON, as it is.
    Object {
        bytes_max: usize,
    },
    /// An array of texts of JSON, likewise.
    Array {
        bytes_max: usize,
    },
    /// Room ids with a name each: `chatroom[id]=name` in a form, an object in JSON.
    NamedRooms,
    /// The id of a group: 1 to 64 letters, digits, `-` and `_`.
    Group,
    /// Group ids with a name each, likewise.
    NamedGroups,
    /// What a message goes to, whatever kind that is: a user, a group, a room.
    Target,
    /// An array of objects of JSON, likewise.
    Objects {
        bytes_max: usize,
    },
}

/// How often a field may be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    One,
    /// By repeating its name in a form, as an array in JSON.
    UpTo(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Required,
    Optional,
}

impl Kind {
    /// Whether it is of ids with a name each.
    pub(super) fn is_named(self) -> bool {
        matches!(self, Self::NamedRooms | Self::NamedGroups)
    }
}

impl Field {
    pub(super) const fn required(name: &'static str, kind: Kind, meaning: &'static str) -> Self {
        Self {
            name,
            aliases: &[],
            kind,
            count: Count::One,
            need: Need::Required,
            meaning,
        }
    }

    pub(super) const fn optional(name: &'static str, kind: Kind, meaning: &'static str) -> Self {
        let mut field = Self::required(name, kind, meaning);
        field.need = Need::Optional;
        field
    }

    /// The same, up to so many times.
    pub(super) const fn many(mut self, max: usize) -> Self {
        self.count = Count::UpTo(max);
        self
    }

    /// The same under other names too.
    pub(super) const fn or(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    fn is_called(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }
}

/// A value as it came.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Given {
    Text(String),
    Json(Value),
}

/// A body taken apart: names and values in the order in which they came.
pub(super) type Body = Vec<(String, Given)>;

/// A value that is what its field asks for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Checked {
    Text(String),
    User(UserId),
    Room(RoomId),
    Number(i64),
    Flag(bool),
    Object(Map<String, Value>),
    Texts(Vec<String>),
    NamedRoom(RoomId, String),
    Conversation(String),
    NamedGroup(String, String),
    Objects(Vec<Map<String, Value>>),
}

/// The checked values of a call, by the name of their field.
pub(super) type Fields = Vec<(&'static str, Vec<Checked>)>;

/// Checks a body against the fields of a path. What is no field is passed over, and so are empty values.
///
/// # Errors
/// The first thing that is wrong: 1003 when there is nothing at all but should be, 1005 for what is too long, 1002 for the rest.
pub(super) fn check(fields: &'static [Field], profile: IdProfile, body: &Body) -> Result<Fields, Failure> {
    if body.is_empty() && fields.iter().any(|field| field.need == Need::Required) {
        return Err(Failure::new(Code::NO_DATA, "there is no POST data"));
    }
    let mut all = Fields::new();
    for field in fields {
        let mut values = Vec::new();
        for (name, given) in body {
            match (bracketed(field, name), given) {
                (Some(id), Given::Text(text)) => values.push(named(field, id, text)?),
                _ if field.is_called(name) => take(field, profile, given, &mut values)?,
                _ => {}
            }
        }
        let max = match field.count {
            Count::One => 1,
            Count::UpTo(max) => max,
        };
        if values.len() > max {
            let found = values.len();
            return Err(Failure::parameter(format!(
                "{}: found {found}, expected at most {max}",
                field.name
            )));
        }
        if values.is_empty() && field.need == Need::Required {
            return Err(Failure::parameter(format!("{}: is missing", field.name)));
        }
        all.push((field.name, values));
    }
    Ok(all)
}

/// The id in `chatroom[id]`, where a field is of such.
fn bracketed<'a>(field: &Field, name: &'a str) -> Option<&'a str> {
    let id = name.strip_prefix(field.name).filter(|_| field.kind.is_named());
    id?.strip_prefix('[')?.strip_suffix(']')
}

/// Takes one value, or each of an array.
fn take(field: &Field, profile: IdProfile, given: &Given, values: &mut Vec<Checked>) -> Result<(), Failure> {
    match given {
        Given::Text(text) => {
            if !text.is_empty() {
                values.push(value(field, profile, text)?);
            }
        }
        Given::Json(Value::Null) => {}
        Given::Json(Value::String(text)) => take(field, profile, &Given::Text(text.clone()), values)?,
        Given::Json(Value::Bool(flag)) => values.push(value(field, profile, &flag.to_string())?),
        Given::Json(Value::Number(number)) => values.push(value(field, profile, &number.to_string())?),
        Given::Json(Value::Array(items)) if matches!(field.kind, Kind::Array { .. }) => {
            values.push(Checked::Texts(texts(field, items)?));
        }
        Given::Json(Value::Array(items)) if matches!(field.kind, Kind::Objects { .. }) => {
            values.push(Checked::Objects(objects(field, items)?));
        }
        Given::Json(Value::Array(items)) if matches!(field.count, Count::UpTo(_)) => {
            for item in items {
                if matches!(item, Value::Array(_)) {
                    return Err(Failure::parameter(format!("{}: found a list in a list", field.name)));
                }
                take(field, profile, &Given::Json(item.clone()), values)?;
            }
        }
        Given::Json(Value::Object(object)) => match field.kind {
            Kind::Object { bytes_max } => {
                fits(field, &Value::Object(object.clone()).to_string(), bytes_max)?;
                values.push(Checked::Object(object.clone()));
            }
            Kind::NamedRooms | Kind::NamedGroups => {
                for (id, name) in object {
                    let Value::String(name) = name else {
                        return Err(wrong(field, id, "a text as the name of each"));
                    };
                    values.push(named(field, id, name)?);
                }
            }
            // Content of a message is any text; a body of JSON may have it as it is.
            Kind::Text { bytes_max } => {
                let text = Value::Object(object.clone()).to_string();
                fits(field, &text, bytes_max)?;
                values.push(Checked::Text(text));
            }
            _ => return Err(Failure::parameter(format!("{}: found an object", field.name))),
        },
        Given::Json(Value::Array(_)) => return Err(Failure::parameter(format!("{}: found a list", field.name))),
    }
    Ok(())
}

fn value(field: &Field, profile: IdProfile, text: &str) -> Result<Checked, Failure> {
    let number = |min: i64, max: i64| {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let number = text.parse().ok().filter(|number| (min..=max).contains(number));
        number
            .filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()))
            .ok_or_else(|| wrong(field, text, &format!("a whole number from {min} to {max}")))
    };
    Ok(match field.kind {
        Kind::Text { bytes_max } => {
            fits(field, text, bytes_max)?;
            Checked::Text(text.to_owned())
        }
        Kind::User => Checked::User(UserId::parse(text, profile).map_err(|why| invalid(field, text, why))?),
        Kind::Room => Checked::Room(RoomId::parse(text).map_err(|why| invalid(field, text, why))?),
        Kind::Minutes => Checked::Number(number(1, MINUTES_MAX)?),
        Kind::Number { min, max } => Checked::Number(number(min, max)?),
        Kind::Flag => Checked::Flag(match text {
            "true" | "1" => true,
            "false" | "0" => false,
            _ => return Err(wrong(field, text, "true, false, 1 or 0")),
        }),
        Kind::Object { bytes_max } => {
            fits(field, text, bytes_max)?;
            match serde_json::from_str(text) {
                Ok(Value::Object(object)) => Checked::Object(object),
                _ => return Err(wrong(field, text, "an object of JSON")),
            }
        }
        Kind::Array { bytes_max } => {
            fits(field, text, bytes_max)?;
            match serde_json::from_str(text) {
                Ok(Value::Array(items)) => Checked::Texts(texts(field, &items)?),
                _ => return Err(wrong(field, text, "a list of texts of JSON")),
            }
        }
        Kind::Group => Checked::Conversation(group(field, text)?),
        Kind::Target => {
            fits(field, text, limits::CONVERSATION_ID_BYTES)?;
            Checked::Conversation(text.to_owned())
        }
        Kind::Objects { bytes_max } => {
            fits(field, text, bytes_max)?;
            match serde_json::from_str(text) {
                Ok(Value::Array(items)) => Checked::Objects(objects(field, &items)?),
                _ => return Err(wrong(field, text, "a list of objects of JSON")),
            }
        }
        Kind::NamedRooms | Kind::NamedGroups => return Err(wrong(field, text, &format!("{}[id]=name", field.name))),
    })
}

fn named(field: &Field, id: &str, name: &str) -> Result<Checked, Failure> {
    if field.kind == Kind::NamedGroups {
        fits(field, name, limits::CONVERSATION_NAME_BYTES)?;
        return Ok(Checked::NamedGroup(group(field, id)?, name.to_owned()));
    }
    let room = RoomId::parse(id).map_err(|why| invalid(field, id, why))?;
    fits(field, name, limits::ROOM_NAME_BYTES)?;
    Ok(Checked::NamedRoom(room, name.to_owned()))
}

/// The id of a group.
fn group(field: &Field, id: &str) -> Result<String, Failure> {
    fits(field, id, limits::GROUP_ID_BYTES)?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if id.is_empty() || !id.bytes().all(allowed) {
        return Err(wrong(field, id, "letters, digits, - and _"));
    }
    Ok(id.to_owned())
}

fn objects(field: &Field, items: &[Value]) -> Result<Vec<Map<String, Value>>, Failure> {
    let fits = |object: &&Map<String, Value>| object.len() <= OBJECT_FIELDS_MAX;
    let objects = items.iter().map(|item| item.as_object().filter(fits).cloned());
    objects.collect::<Option<Vec<_>>>().ok_or_else(|| {
        let expected = format!("a list of objects with at most {OBJECT_FIELDS_MAX} fields");
        Failure::parameter(format!("{}: expected {expected}", field.name))
    })
}

fn texts(field: &Field, items: &[Value]) -> Result<Vec<String>, Failure> {
    let texts = items.iter().map(|item| item.as_str().map(str::to_owned));
    texts
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| Failure::parameter(format!("{}: expected a list of texts", field.name)))
}

fn fits(field: &Field, text: &str, bytes_max: usize) -> Result<(), Failure> {
    if text.len() <= bytes_max {
        return Ok(());
    }
    let (name, found) = (field.name, text.len());
    let message = format!("{name}: found {found} bytes, expected at most {bytes_max}");
    Err(Failure::new(Code::TOO_LONG, message))
}

fn invalid(field: &Field, text: &str, why: InvalidId) -> Failure {
    match why {
        InvalidId::TooLong => Failure::new(Code::TOO_LONG, format!("{}: {why}", field.name)),
        InvalidId::Empty | InvalidId::Character => {
            Failure::parameter(format!("{}: {} {why}", field.name, quoted(text)))
        }
    }
}

fn wrong(field: &Field, found: &str, expected: &str) -> Failure {
    Failure::parameter(format!("{}: found {}, expected {expected}", field.name, quoted(found)))
}

/// A foreign text, safe to repeat: cut, and without control characters.
fn quoted(text: &str) -> String {
    let cut: String = text.chars().take(FOUND_CHARACTERS_MAX).collect();
    format!("{cut:?}")
}

#[cfg(test)]
#[path = "field/tests.rs"]
mod tests;
