//! Lines of input that ask for something instead of saying it.

use super::failure::Failure;

/// What a line of input means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// Return alone: a message must not be empty.
    Nothing,
    Text(String),
    Command(Command),
}

/// What can be asked for with a line that begins with a slash.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    Members,
    Attributes,
    Set { key: String, value: String },
    Delete { keys: Vec<String> },
    Switch { room_id: String },
    LeaveAll,
    To { user_id: String },
    Group { id: String },
    Room,
    CreateGroup { id: String, user_ids: Vec<String> },
    Add { user_ids: Vec<String> },
    Quit,
    Conversations,
    History { count: u32 },
    Read,
    Recall { message_id: u64 },
}

/// Messages that are shown where no number is named.
const HISTORY_DEFAULT: u32 = 20;

impl Command {
    /// As it is written.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Members => "/members",
            Self::Attributes => "/attributes",
            Self::Set { .. } => "/set",
            Self::Delete { .. } => "/delete",
            Self::Switch { .. } => "/switch",
            Self::LeaveAll => "/leave-all",
            Self::To { .. } => "/to",
            Self::Group { .. } => "/group",
            Self::Room => "/room",
            Self::CreateGroup { .. } => "/create-group",
            Self::Add { .. } => "/add",
            Self::Quit => "/quit",
            Self::Conversations => "/conversations",
            Self::History { .. } => "/history",
            Self::Read => "/read",
            Self::Recall { .. } => "/recall",
        }
    }
}

/// Two slashes are one that is said.
pub(super) fn parse(mut line: String) -> Result<Input, Failure> {
    if line.is_empty() {
        return Ok(Input::Nothing);
    }
    if line.starts_with("//") {
        line.remove(0);
        return Ok(Input::Text(line));
    }
    if !line.starts_with('/') {
        return Ok(Input::Text(line));
    }
    command(&line).map(Input::Command).ok_or_else(|| {
        let usage = "/members, /attributes, /set KEY VALUE, /delete KEY…, /switch ROOM, /leave-all, /to USER, /group ID, /room, \
                     /create-group ID USER…, /add USER…, /quit, /conversations, /history [N], /read, /recall ID; // says a slash";
        Failure::invalid("command", format!("not a command: {line}; there are {usage}"))
    })
}

fn command(line: &str) -> Option<Command> {
    let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
    let mut words = rest.split_whitespace();
    let command = match name {
        "/members" => Command::Members,
        "/attributes" => Command::Attributes,
        // The value is all that follows, with its spaces.
        "/set" => {
            let (key, value) = rest.trim_start().split_once(' ')?;
            return Some(Command::Set {
                key: key.to_owned(),
                value: value.to_owned(),
            });
        }
        "/delete" => {
            let keys: Vec<String> = words.map(str::to_owned).collect();
            return Some(Command::Delete { keys }).filter(|_| !rest.trim().is_empty());
        }
        "/switch" => Command::Switch {
            room_id: words.next()?.to_owned(),
        },
        "/leave-all" => Command::LeaveAll,
        "/to" => Command::To {
            user_id: words.next()?.to_owned(),
        },
        "/group" => Command::Group {
            id: words.next()?.to_owned(),
        },
        "/room" => Command::Room,
        "/create-group" => Command::CreateGroup {
            id: words.next()?.to_owned(),
            user_ids: words.by_ref().map(str::to_owned).collect(),
        },
        "/add" => {
            let user_ids: Vec<String> = words.map(str::to_owned).collect();
            return Some(Command::Add { user_ids }).filter(|_| !rest.trim().is_empty());
        }
        "/quit" => Command::Quit,
        "/conversations" => Command::Conversations,
        "/history" => Command::History {
            count: words.next().map_or(Ok(HISTORY_DEFAULT), str::parse).ok()?,
        },
        "/read" => Command::Read,
        "/recall" => Command::Recall {
            message_id: words.next()?.parse().ok()?,
        },
        _ => return None,
    };
    words.next().is_none().then_some(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Input, String> {
        parse(line.to_owned()).map_err(|failure| failure.to_string())
    }

    #[test]
    fn lines_without_a_slash_are_said_and_two_slashes_say_one() {
        assert_eq!(parsed(""), Ok(Input::Nothing));
        assert_eq!(parsed("hello /members"), Ok(Input::Text("hello /members".into())));
        assert_eq!(parsed(" /members"), Ok(Input::Text(" /members".into())));
        assert_eq!(parsed("//members"), Ok(Input::Text("/members".into())));
        assert_eq!(parsed("//"), Ok(Input::Text("/".into())));
    }

    #[test]
    fn each_command_is_known_with_its_words() {
        let command = |line| match parsed(line) {
            Ok(Input::Command(command)) => command,
            other => panic!("{line}: {other:?}"),
        };
        for (line, expected) in [
            ("/members", Command::Members),
            ("/attributes", Command::Attributes),
            ("/leave-all ", Command::LeaveAll),
            ("/switch  den", Command::Switch { room_id: "den".into() }),
            (
                "/set topic green  tea",
                Command::Set {
                    key: "topic".into(),
                    value: "green  tea".into(),
                },
            ),
            ("/to bob", Command::To { user_id: "bob".into() }),
            ("/group cats", Command::Group { id: "cats".into() }),
            ("/room", Command::Room),
            (
                "/create-group cats bob carol",
                Command::CreateGroup {
                    id: "cats".into(),
                    user_ids: vec!["bob".into(), "carol".into()],
                },
            ),
            (
                "/add bob",
                Command::Add {
                    user_ids: vec!["bob".into()],
                },
            ),
            ("/quit", Command::Quit),
            ("/conversations", Command::Conversations),
            ("/history", Command::History { count: 20 }),
            ("/history 5", Command::History { count: 5 }),
            ("/read", Command::Read),
            ("/recall 77", Command::Recall { message_id: 77 }),
            (
                "/delete topic mood",
                Command::Delete {
                    keys: vec!["topic".into(), "mood".into()],
                },
            ),
        ] {
            assert_eq!(command(line), expected);
            assert!(line.starts_with(expected.name()));
        }
    }

    #[test]
    fn what_is_no_command_is_refused_and_says_what_there_is() {
        for line in [
            "/",
            "/member",
            "/members all",
            "/set topic",
            "/delete ",
            "/switch",
            "/switch a b",
            "/to",
            "/group a b",
            "/add ",
            "/history many",
            "/recall this",
        ] {
            let refusal = parsed(line).expect_err(line);
            assert!(refusal.starts_with("33003 InvalidParameter (command): "), "{refusal}");
            assert!(refusal.contains("/leave-all"), "{refusal}");
        }
    }
}
