use bytes::Bytes;
use sluice_protocol::{
    ConversationType, JoinConversation, MessageType, PutCombinedPart, QueryCombined, RecallMessage, SendMessage,
};

use super::sending::{refused, result, send, text, to_group, to_user};
use super::*;
use crate::store::CombinedRow;

fn put(chats: &Chats, user: &str, id: &str, part: u32, content: &[u8]) -> Result<Answer, Refusal> {
    let command = PutCombinedPart {
        combined_id: id.to_owned(),
        part,
        content: Bytes::copy_from_slice(content),
    };
    chats.ask(user, Command::PutPart(command))
}

fn combined(id: &str, to: SendMessage) -> SendMessage {
    SendMessage {
        r#type: MessageType::Combined.into(),
        combined_id: id.to_owned(),
        ..to
    }
}

fn query(
    chats: &Chats,
    user: &str,
    (kind, id): (ConversationType, &str),
    message_id: u64,
    from_part: u32,
) -> Result<(Vec<Bytes>, u32), Refusal> {
    let command = QueryCombined {
        r#type: kind.into(),
        id: id.to_owned(),
        message_id,
        from_part,
    };
    let answer = chats.ask(user, Command::QueryCombined(command))?;
    match answer.result {
        reply::Result::CombinedParts(page) => Ok((page.parts, page.next_part)),
        other => panic!("{other:?}"),
    }
}

fn code(answer: Result<(Vec<Bytes>, u32), Refusal>) -> i32 {
    answer.expect_err("it is refused").code.number()
}

#[test]
fn members_of_the_conversation_read_what_was_combined() {
    let chats = Chats::new();
    let group = chats.group("ann", &["bob"]);
    for (part, content) in [(1, "two"), (0, "one"), (2, "three"), (2, "drei")] {
        put(&chats, "ann", "c", part, content.as_bytes()).expect("it is put");
    }
    let sent = result(send(&chats, "ann", combined("c", to_group(&group, "3 messages"))));
    let place = (ConversationType::Group, group.as_str());
    let parts: Vec<Bytes> = ["one", "two", "drei"].map(Bytes::from).into();
    for user in ["ann", "bob"] {
        assert_eq!(
            query(&chats, user, place, sent.message_id, 0),
            Ok((parts.clone(), 0)),
            "{user}"
        );
    }
    assert_eq!(
        query(&chats, "bob", place, sent.message_id, 2),
        Ok((parts[2..].to_vec(), 0))
    );
    assert_eq!(query(&chats, "bob", place, sent.message_id, 3), Ok((Vec::new(), 0)));
    assert_eq!(code(query(&chats, "eve", place, sent.message_id, 0)), 22406);
    assert_eq!(
        code(query(
            &chats,
            "eve",
            (ConversationType::Peer, "ann"),
            sent.message_id,
            0
        )),
        22201
    );
    let join = JoinConversation {
        r#type: ConversationType::Group.into(),
        id: group.clone(),
    };
    chats.ask("eve", Command::Join(join)).expect("eve joins");
    assert_eq!(
        code(query(&chats, "eve", place, sent.message_id, 0)),
        22201,
        "it was before"
    );
}

#[test]
fn a_page_has_as_many_parts_as_fit() {
    let chats = Chats::new();
    let large = vec![b'x'; 32 * 1024];
    for part in 0..40 {
        put(&chats, "ann", "c", part, &large).expect("it is put");
    }
    let sent = result(send(&chats, "ann", combined("c", to_user("bob", "many")))).message_id;
    let place = (ConversationType::Peer, "ann");
    let mut from = 0;
    let mut pages = Vec::new();
    loop {
        let (parts, next) = query(&chats, "bob", place, sent, from).expect("a page");
        pages.push(parts.len());
        if next == 0 {
            break;
        }
        from = next;
    }
    assert_eq!(pages, [16, 16, 8]);

    for part in 0..40 {
        put(&chats, "ann", "small", part, b"x").expect("it is put");
    }
    let sent = result(send(&chats, "ann", combined("small", to_user("bob", "many")))).message_id;
    let (parts, next) = query(&chats, "bob", place, sent, 0).expect("a page");
    assert_eq!((parts.len(), next), (40, 0));
}

#[test]
fn only_a_complete_set_of_one_s_own_is_named() {
    let chats = Chats::new();
    let missing = (33003, "combined_id".to_owned());
    let name = |user: &str, to: &str| send(&chats, user, combined("c", to_user(to, "x")));
    assert_eq!(refused(name("ann", "bob")), missing);
    put(&chats, "ann", "c", 1, b"two").expect("it is put");
    assert_eq!(refused(name("ann", "bob")), missing, "the first is not there");
    put(&chats, "ann", "c", 0, b"one").expect("it is put");
    assert_eq!(refused(name("eve", "bob")), missing, "it is ann's");
    result(name("ann", "bob"));
}

#[test]
fn what_a_message_has_named_does_not_change_any_more() {
    let chats = Chats::new();
    put(&chats, "ann", "c", 0, b"one").expect("it is put");
    let sent = result(send(&chats, "ann", combined("c", to_user("bob", "x")))).message_id;
    for (part, content) in [(0, "eins"), (0, "one"), (1, "two")] {
        let answer = put(&chats, "ann", "c", part, content.as_bytes());
        assert_eq!(refused(answer), (33003, "combined_id".to_owned()));
    }
    put(&chats, "eve", "c", 0, b"other").expect("ids are the user's own");
    let (parts, _) = query(&chats, "bob", (ConversationType::Peer, "ann"), sent, 0).expect("parts");
    assert_eq!(parts, [Bytes::from("one")]);
}

#[test]
fn several_messages_name_one_set_and_each_is_taken_back_for_itself() {
    let chats = Chats::new();
    put(&chats, "ann", "c", 0, b"one").expect("it is put");
    let to_bob = result(send(&chats, "ann", combined("c", to_user("bob", "x")))).message_id;
    let discussion = chats.discussion("ann", &["cid"]);
    let to_all = text(ConversationType::Discussion, &discussion, "x");
    let to_all = result(send(&chats, "ann", combined("c", to_all))).message_id;
    let (with_ann, in_discussion) = (
        (ConversationType::Peer, "ann"),
        (ConversationType::Discussion, discussion.as_str()),
    );
    let recall = |(kind, id): (ConversationType, &str), message_id| {
        let command = RecallMessage {
            r#type: kind.into(),
            id: id.to_owned(),
            message_id,
        };
        chats.ask("ann", Command::Recall(command)).expect("it is taken back");
    };
    recall((ConversationType::Peer, "bob"), to_bob);
    assert_eq!(code(query(&chats, "bob", with_ann, to_bob, 0)), 22201);
    assert!(query(&chats, "cid", in_discussion, to_all, 0).is_ok());
    let set = |chats: &Chats| {
        chats
            .read(|rows| rows.combined("app", "ann", "c"))
            .expect("it is there")
    };
    assert_eq!(
        (set(&chats).messages, set(&chats).sent_at_ms),
        (1, Some(chats.now_ms()))
    );
    recall(in_discussion, to_all);
    assert_eq!(code(query(&chats, "cid", in_discussion, to_all, 0)), 22201);
    assert_eq!(
        (set(&chats).messages, set(&chats).sent_at_ms),
        (0, Some(0)),
        "to be deleted"
    );
    let again = send(&chats, "ann", combined("c", to_user("bob", "x")));
    assert_eq!(
        refused(again),
        (33003, "combined_id".to_owned()),
        "it is as good as gone"
    );
}

#[test]
fn what_waits_to_be_named_has_a_limit_for_each_user() {
    let chats = Chats::new();
    // One set that leaves room for a part of the smallest kind and a byte less than a second.
    let now_ms = chats.now_ms();
    chats.change(move |rows| {
        rows.put_combined(&CombinedRow {
            app: "app".to_owned(),
            user_id: "ann".to_owned(),
            combined_id: "large".to_owned(),
            put_at_ms: now_ms,
            parts: 1024,
            last_part: 1023,
            bytes: 64 * 1024 * 1024 - 32 * 1024 + 1,
            ..CombinedRow::default()
        })
    });
    put(&chats, "ann", "c", 0, b"x").expect("it counts as 16 KiB");
    let too_much = (20115, (64 * 1024 * 1024).to_string());
    assert_eq!(refused(put(&chats, "ann", "c", 1, b"x")), too_much);
    assert_eq!(refused(put(&chats, "ann", "d", 0, b"x")), too_much);
    put(&chats, "ann", "c", 0, b"another").expect("in the place of the first it takes no more");
    put(&chats, "bob", "c", 0, b"x").expect("bob has a limit of his own");
    result(send(&chats, "ann", combined("large", to_user("bob", "x"))));
    put(&chats, "ann", "d", 0, b"x").expect("what is named does not wait");
}

#[test]
fn a_message_of_another_type_has_no_parts() {
    let chats = Chats::new();
    put(&chats, "ann", "", 0, b"one").expect("it is put");
    let sent = result(send(&chats, "ann", to_user("bob", "x"))).message_id;
    assert_eq!(
        code(query(&chats, "bob", (ConversationType::Peer, "ann"), sent, 0)),
        22201
    );
}
