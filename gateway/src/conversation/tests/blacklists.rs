use sluice_protocol::{EditBlacklist, ErrorCode, MessageType, QueryBlacklist, SendMessage};

use super::sending::{refused, result, send, to_group, to_user};
use super::*;
use crate::store::UserList;

fn edit(chats: &Chats, owner: &str, add: bool, users: &[&str]) -> Result<Answer, Refusal> {
    let command = EditBlacklist {
        add,
        user_ids: texts(users),
    };
    chats.ask(owner, Command::EditBlacklist(command))
}

fn page(chats: &Chats, owner: &str, cursor: &str) -> (Vec<String>, String) {
    let command = QueryBlacklist {
        cursor: cursor.to_owned(),
    };
    match chats
        .ask(owner, Command::QueryBlacklist(command))
        .expect("a page")
        .result
    {
        reply::Result::Blacklist(list) => (list.user_ids, list.next_cursor),
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_is_on_it_cannot_write_to_the_user_but_in_groups_and_the_user_can_answer() {
    let chats = Chats::new();
    edit(&chats, "alice", true, &["bob"]).expect("bob is listed");
    let refusal = send(&chats, "bob", to_user("alice", "hello")).expect_err("bob is listed");
    assert_eq!(refusal, Refusal::new(ErrorCode::IN_BLACKLIST));
    let command = SendMessage {
        r#type: MessageType::Command.into(),
        ..to_user("alice", "ring")
    };
    assert_eq!(refused(send(&chats, "bob", command)).0, 405, "nor what is not kept");
    result(send(&chats, "alice", to_user("bob", "go away")));
    let group = chats.group("alice", &["bob"]);
    result(send(&chats, "bob", to_group(&group, "hello")));
    edit(&chats, "alice", false, &["bob"]).expect("bob is taken off");
    let sent = result(send(&chats, "bob", to_user("alice", "hello")));
    assert_eq!(sent.sequence, 2, "what was refused has no number");
}

#[test]
fn a_repeat_is_answered_also_when_its_sender_has_come_on_the_list() {
    let chats = Chats::new();
    let said = || SendMessage {
        client_message_id: "m1".to_owned(),
        ..to_user("alice", "hello")
    };
    result(send(&chats, "bob", said()));
    edit(&chats, "alice", true, &["bob"]).expect("bob is listed");
    assert!(result(send(&chats, "bob", said())).duplicate);
}

#[test]
fn it_is_read_by_pages() {
    let chats = Chats::new();
    let users: Vec<String> = (0..201).map(|number| format!("u{number:03}")).collect();
    for some in users.chunks(20) {
        let some: Vec<&str> = some.iter().map(String::as_str).collect();
        edit(&chats, "alice", true, &some).expect("they are listed");
    }
    edit(&chats, "bob", true, &["alice"]).expect("another list");
    let (first, cursor) = page(&chats, "alice", "");
    assert_eq!((first.as_slice(), cursor.as_str()), (&users[..100], "u099"));
    let (second, cursor) = page(&chats, "alice", &cursor);
    assert_eq!((second.as_slice(), cursor.as_str()), (&users[100..200], "u199"));
    let (third, cursor) = page(&chats, "alice", &cursor);
    assert_eq!((third.as_slice(), cursor.as_str()), (&users[200..], ""));
    let wrong = QueryBlacklist {
        cursor: "a\nb".to_owned(),
    };
    let answer = chats.ask("alice", Command::QueryBlacklist(wrong));
    assert_eq!(refused(answer), (33003, "cursor".to_owned()));
}

#[test]
fn it_holds_a_thousand_users_each_once() {
    let chats = Chats::new();
    chats.change(|rows| {
        for number in 0..998 {
            rows.put_listed("app", UserList::Blacklist, "alice", &format!("u{number:03}"), 0)?;
        }
        Ok(())
    });
    let answer = edit(&chats, "alice", true, &["x", "y", "z"]);
    assert_eq!(refused(answer), (ErrorCode::CONVERSATION_FULL.number(), String::new()));
    edit(&chats, "alice", true, &["x", "x", "u000", "y"]).expect("two are new");
    edit(&chats, "alice", true, &["x", "y", "u001"]).expect("none is new");
    assert_eq!(refused(edit(&chats, "alice", true, &["z"])).0, 25411);
    edit(&chats, "alice", false, &["x", "nobody"]).expect("one is taken off");
    edit(&chats, "alice", true, &["z"]).expect("there is a place");
}

#[test]
fn nobody_lists_oneself_or_what_is_no_user_id() {
    let chats = Chats::new();
    for user in ["alice", "a/b", ""] {
        let answer = edit(&chats, "alice", true, &["bob", user]);
        assert_eq!(refused(answer), (33003, "user_ids".to_owned()), "{user}");
    }
    assert_eq!(page(&chats, "alice", "").0, [""; 0], "nobody was listed");
}
