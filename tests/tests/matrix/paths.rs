//! Every path of the server API, by everybody who is not the app's server.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};
use sluice_gateway::config::{ApiKey, ApiScope, Rate, Secret};
use sluice_gateway::openapi_document;
use sluice_protocol::frame::Body;
use sluice_protocol::{MessageType, PutCombinedPart, SendMessage};
use sluice_tests::{API_SECRET, APP_KEY, ApiAnswer, ApiCall, Gateway, RawClient, Transport, unix_ms, wait_until};

use super::{OTHER, OTHER_API_SECRET, THIRD, THIRD_API_SECRET, ask, three_apps};
use crate::conversations::{listen, say, to_peer};
use crate::rooms::{enter, expect_quiet, join_chat_room, next_message, send, text};

/// What calls name: all of it is there in the app of the tests, and in no other.
#[derive(Debug, Clone)]
struct Names {
    room: String,
    /// Inside.
    user: String,
    /// Blocked in the app, gagged and blocked in the room.
    rogue: String,
    /// A type of messages on both lists.
    kind: String,
    word: String,
    message: String,
    /// A group that the user and the rogue are in.
    group: String,
    /// Of that group.
    said: String,
    /// Whom the user has written to, and a combined message in that conversation.
    friend: String,
    combined: String,
}

/// One path: what a call of it takes, and what it comes to in another app, which has nothing of the kind.
#[derive(Debug)]
struct Row {
    scope: ApiScope,
    fields: Vec<(String, String)>,
    elsewhere: i64,
}

const DONE: i64 = 200;
const NO_SUCH_ROOM: i64 = 23410;
const NO_SUCH_CONVERSATION: i64 = 4303;
const WAS_NOT_THERE: i64 = 1015;

/// Every path of the document.
fn paths() -> Vec<String> {
    let document: Value = serde_json::from_str(&openapi_document()).expect("JSON");
    document["paths"].as_object().expect("paths").keys().cloned().collect()
}

/// What a call of this path takes. A path that is new has no row, which fails.
fn row(path: &str, names: &Names) -> Row {
    use ApiScope::{Attribute, Conversation, Group, Message, Moderation, Room, User, Word};
    let text = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let room = || text("chatroomId", &names.room);
    let user = || text("userId", &names.user);
    let rogue = || text("userId", &names.rogue);
    let hour = || text("minute", "60");
    let words = || {
        [
            text("fromUserId", &names.user),
            text("objectName", "RC:TxtMsg"),
            text("content", "said by the server"),
        ]
    };
    let recall = || {
        vec![
            text("fromUserId", &names.user),
            text("targetId", &names.room),
            text("messageUID", &names.message),
            text("conversationType", "4"),
        ]
    };
    let group = || text("groupId", &names.group);
    let named = || text("groupName", "Altered");
    let in_group = || vec![text("conversationType", "3"), text("targetId", &names.group)];
    let said_to = |field: &str, target: &str| [vec![text(field, target)], words().to_vec()].concat();
    let template = || {
        let values = [text("values", "[{\"{a}\":\"b\"}]")];
        [said_to("toUserId", &names.rogue), values.to_vec()].concat()
    };
    let (scope, fields, elsewhere) = match path.strip_suffix(".json").expect("all end so") {
        "/user/getToken" => (User, vec![user()], DONE),
        "/user/block" => (User, vec![user(), hour()], DONE),
        "/user/unblock" => (User, vec![rogue()], DONE),
        "/user/block/query" => (User, vec![], DONE),
        "/user/checkOnline" => (User, vec![user()], DONE),

        "/chatroom/create" => (Room, vec![text(&format!("chatroom[{}]", names.room), "A room")], DONE),
        "/chatroom/create_new" => (
            Room,
            vec![room(), text("isBan", "true"), text("whiteUserIds", &names.user)],
            DONE,
        ),
        "/chatroom/destroy" => (Room, vec![room()], DONE),
        "/chatroom/destroy/set" => {
            let ends = [text("destroyType", "1"), text("destroyTime", "60")];
            (Room, [vec![room()], ends.to_vec()].concat(), NO_SUCH_ROOM)
        }
        "/chatroom/query" => (Room, vec![room()], DONE),
        "/chatroom/get" => (Room, vec![room()], NO_SUCH_ROOM),
        "/chatroom/user/query" => (Room, vec![room(), text("count", "500"), text("order", "1")], DONE),
        "/chatroom/user/exist" | "/chatroom/users/exist" => (Room, vec![room(), user()], DONE),
        "/chatroom/join" => (Room, vec![room(), user()], DONE),
        "/chatroom/keepalive/add" => (Room, vec![room()], DONE),
        "/chatroom/keepalive/remove" => (Room, vec![room()], WAS_NOT_THERE),
        "/chatroom/message/priority/add" | "/chatroom/message/priority/remove" => {
            (Room, vec![text("objectName", &names.kind)], DONE)
        }
        "/chatroom/whitelist/add" | "/chatroom/whitelist/delete" => {
            (Room, vec![text("objectnames", &names.kind)], DONE)
        }
        "/chatroom/keepalive/query" | "/chatroom/message/priority/query" | "/chatroom/whitelist/query" => {
            (Room, vec![], DONE)
        }

        "/chatroom/user/gag/add" | "/chatroom/user/block/add" => (Moderation, vec![room(), user(), hour()], DONE),
        "/chatroom/user/gag/rollback" | "/chatroom/user/block/rollback" => (Moderation, vec![room(), rogue()], DONE),
        "/chatroom/user/gag/list" | "/chatroom/user/block/list" => (Moderation, vec![room()], DONE),
        "/chatroom/user/ban/add" => (Moderation, vec![user(), hour()], DONE),
        "/chatroom/user/ban/remove" => (Moderation, vec![rogue()], DONE),
        "/chatroom/user/ban/query" | "/chatroom/ban/query" => (Moderation, vec![], DONE),
        "/chatroom/ban/add"
        | "/chatroom/ban/rollback"
        | "/chatroom/ban/check"
        | "/chatroom/user/ban/whitelist/query"
        | "/chatroom/user/whitelist/query"
        | "/chatroom/message/stopDistribution"
        | "/chatroom/message/resumeDistribution" => (Moderation, vec![room()], DONE),
        "/chatroom/user/ban/whitelist/add" | "/chatroom/user/kick" | "/chatroom/user/whitelist/add" => {
            (Moderation, vec![room(), user()], DONE)
        }
        "/chatroom/user/ban/whitelist/rollback" | "/chatroom/user/whitelist/remove" => {
            (Moderation, vec![room(), rogue()], DONE)
        }

        "/chatroom/entry/set" => {
            let entry = [text("key", "topic"), text("value", "altered")];
            (Attribute, [vec![room(), user()], entry.to_vec()].concat(), NO_SUCH_ROOM)
        }
        "/chatroom/entry/remove" => (Attribute, vec![room(), user(), text("key", "topic")], NO_SUCH_ROOM),
        "/chatroom/entry/batch/set" => {
            let entry = [
                text("entryOwnerId", &names.user),
                text("entryInfo", "{\"topic\":\"altered\"}"),
            ];
            (Attribute, [vec![room()], entry.to_vec()].concat(), NO_SUCH_ROOM)
        }
        "/chatroom/entry/batch/remove" => {
            let entry = [text("entryOwnerId", &names.user), text("entryKeys", "[\"topic\"]")];
            (Attribute, [vec![room()], entry.to_vec()].concat(), NO_SUCH_ROOM)
        }
        "/chatroom/entry/query" => (Attribute, vec![room()], NO_SUCH_ROOM),

        "/message/chatroom/publish" => {
            let to = vec![text("toChatroomId", &names.room)];
            (Message, [to, words().to_vec()].concat(), DONE)
        }
        "/message/chatroom/broadcast" | "/message/broadcast" | "/message/online/broadcast" => {
            (Message, words().to_vec(), DONE)
        }
        "/message/private/publish" | "/statusmessage/private/publish" | "/message/system/publish" => {
            (Message, said_to("toUserId", &names.rogue), DONE)
        }
        "/message/private/publish_template" | "/message/system/publish_template" => (Message, template(), DONE),
        "/message/group/publish" | "/statusmessage/group/publish" => {
            (Message, said_to("toGroupId", &names.group), DONE)
        }
        "/message/discussion/publish" => (Message, said_to("toDiscussionId", &names.group), DONE),
        "/conversation/message/history/clean" => (
            Message,
            [in_group(), vec![text("fromUserId", &names.user)]].concat(),
            NO_SUCH_CONVERSATION,
        ),

        "/group/create" => (Group, vec![group(), named(), user()], DONE),
        "/group/join" | "/group/quit" | "/group/dismiss" => (Group, vec![group(), user()], DONE),
        "/group/refresh" => (Group, vec![group(), named()], DONE),
        "/group/sync" => (Group, vec![user()], DONE),
        "/group/user/query" => (Group, vec![group()], DONE),
        "/user/group/query" => (Group, vec![user()], DONE),
        "/group/user/gag/add" => (Group, vec![group(), user(), text("minute", "60")], DONE),
        "/group/user/gag/rollback" => (Group, vec![group(), rogue()], DONE),
        "/group/user/gag/list" | "/group/ban/add" | "/group/ban/rollback" | "/group/ban/query" => {
            (Group, vec![group()], DONE)
        }
        "/group/user/ban/whitelist/add" => (Group, vec![group(), user()], DONE),
        "/group/user/ban/whitelist/rollback" => (Group, vec![group(), rogue()], DONE),
        "/group/user/ban/whitelist/query" => (Group, vec![group()], DONE),

        "/user/blacklist/add" => (User, vec![user(), text("blackUserId", "other")], DONE),
        "/user/blacklist/remove" => (User, vec![user(), text("blackUserId", &names.rogue)], DONE),
        "/user/whitelist/add" => (User, vec![user(), text("whiteUserId", "other")], DONE),
        "/user/whitelist/remove" => (User, vec![user(), text("whiteUserId", &names.rogue)], DONE),
        "/user/blacklist/query" | "/user/whitelist/query" | "/user/whitesetting/query" => (User, vec![user()], DONE),
        "/user/whitesetting/set" => (User, vec![user(), text("whiteSetting", "0")], DONE),
        "/user/chat/fb/set" => (User, vec![user(), text("state", "1"), text("type", "PERSON")], DONE),
        "/user/chat/fb/querylist" => (User, vec![text("num", "200")], DONE),

        "/conversation/query" => (Conversation, vec![user()], DONE),
        "/conversation/get" | "/conversation/user/query" | "/conversation/history" => {
            (Conversation, in_group(), NO_SUCH_CONVERSATION)
        }
        "/conversation/combined/query" => {
            let two = [
                text("conversationType", "1"),
                text("fromUserId", &names.user),
                text("targetId", &names.friend),
                text("messageUID", &names.combined),
            ];
            (Conversation, two.to_vec(), NO_SUCH_CONVERSATION)
        }
        "/message/recall" | "/message/chatroom/recall" => (Message, recall(), DONE),

        "/sensitiveword/add" => (Word, vec![text("word", "added"), text("replaceWord", "*")], DONE),
        "/sensitiveword/delete" => (Word, vec![text("word", &names.word)], DONE),
        "/sensitiveword/batch/delete" => (Word, vec![text("words", &names.word)], DONE),
        "/sensitiveword/list" => (Word, vec![text("type", "2")], DONE),
        _ => panic!("{path} has no row: say what a call of it takes, and what it comes to in an app that has nothing"),
    };
    Row {
        scope,
        fields,
        elsewhere,
    }
}

/// An app with something of everything.
struct House {
    gateway: Gateway,
    names: Names,
    /// Inside, and online.
    witness: RawClient,
    pings: u32,
}

impl House {
    async fn new() -> Self {
        let gateway = Gateway::start(|config| {
            three_apps(config);
            for scope in ApiScope::ALL {
                let mut key = ApiKey::new(Secret::new(secret_without(scope)));
                key.id = format!("all-but-{}", scope.name());
                key.scopes = ApiScope::ALL.into_iter().filter(|other| *other != scope).collect();
                key.rate = Rate::Unlimited;
                config.apps[0].api_keys.push(key);
            }
        });
        let (room, user, rogue) = ("lobby", "alice", "mallo");
        let mut witness = RawClient::online(&gateway, Transport::Tcp, user).await;
        enter(&mut witness, 1, join_chat_room(room, 0)).await;
        let message = send(&mut witness, 2, text(room, "hello")).await.message_id.to_string();
        next_message(&mut witness).await;
        let (of_room, of_rogue, hour) = (("chatroomId", room), ("userId", rogue), ("minute", "60"));
        let of_group = ("groupId", "friends");
        let members = [of_group, ("groupName", "Friends"), ("userId", user), of_rogue];
        let in_group = [
            ("fromUserId", user),
            ("toGroupId", "friends"),
            ("objectName", "a:b"),
            ("content", "hi"),
        ];
        let topic = [of_room, ("userId", user), ("key", "topic"), ("value", "none")];
        let types = [("objectName", "app:one"), ("objectnames", "app:one")];
        for (path, fields) in [
            ("/chatroom/user/gag/add.json", &[of_room, of_rogue, hour][..]),
            ("/chatroom/user/block/add.json", &[of_room, of_rogue, hour]),
            ("/chatroom/user/ban/add.json", &[of_rogue, hour]),
            ("/chatroom/user/ban/whitelist/add.json", &[of_room, of_rogue]),
            ("/chatroom/user/whitelist/add.json", &[of_room, of_rogue]),
            ("/user/block.json", &[of_rogue, hour]),
            ("/chatroom/ban/add.json", &[("chatroomId", "muted")]),
            ("/chatroom/keepalive/add.json", &[of_room]),
            ("/chatroom/message/priority/add.json", &types[..1]),
            ("/chatroom/whitelist/add.json", &types[1..]),
            ("/chatroom/entry/set.json", &topic),
            ("/sensitiveword/add.json", &[("word", "darns")]),
            ("/group/create.json", &members),
            ("/group/user/gag/add.json", &[of_group, of_rogue, hour]),
            ("/group/ban/add.json", &[of_group]),
            ("/group/user/ban/whitelist/add.json", &[of_group, of_rogue]),
            ("/user/blacklist/add.json", &[("userId", user), ("blackUserId", rogue)]),
            ("/user/whitelist/add.json", &[("userId", user), ("whiteUserId", rogue)]),
            (
                "/user/whitesetting/set.json",
                &[("userId", user), ("whiteSetting", "1")],
            ),
            ("/user/chat/fb/set.json", &[of_rogue, ("state", "1")]),
        ] {
            ask(&gateway, path, fields).await;
        }
        let said = ask(&gateway, "/message/group/publish.json", &in_group).await;
        let said = said["messageUIDs"][0]["messageUID"].as_str().expect("an id").to_owned();
        // From now on she is told of the group.
        listen(&mut witness).await;
        match witness.event().await {
            Body::RoomAttributesChanged(_) => {}
            other => panic!("{other:?}"),
        }
        let part = PutCombinedPart {
            combined_id: "album".into(),
            part: 0,
            content: "one".into(),
        };
        let reply = witness.call(3, Body::PutCombinedPart(part)).await;
        assert_eq!(reply.code, 0, "{reply:?}");
        let friend = "carol";
        let album = SendMessage {
            r#type: MessageType::Combined.into(),
            combined_id: "album".into(),
            ..to_peer(friend, "1 picture")
        };
        let combined = say(&mut witness, 4, album).await.message_id.to_string();
        let names = Names {
            room: room.into(),
            user: user.into(),
            rogue: rogue.into(),
            kind: "app:one".into(),
            word: "darns".into(),
            message,
            group: "friends".into(),
            said,
            friend: friend.into(),
            combined,
        };
        Self {
            gateway,
            names,
            witness,
            pings: 100,
        }
    }

    /// All that the app's server can ask, and that nobody inside was told anything.
    async fn look(&mut self) -> Vec<(String, Value)> {
        let mut seen = Vec::new();
        for path in paths().into_iter().filter(|path| asks(path)) {
            let fields = row(&path, &self.names).fields;
            let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
            let answer = ask(&self.gateway, &path, &fields).await;
            seen.push((path, answer));
        }
        self.pings += 1;
        expect_quiet(&mut self.witness, self.pings).await;
        seen
    }
}

/// Whether a path only asks.
fn asks(path: &str) -> bool {
    let last = path.trim_end_matches(".json").rsplit('/').next().expect("a last part");
    [
        "query",
        "querylist",
        "list",
        "get",
        "exist",
        "check",
        "checkOnline",
        "history",
    ]
    .contains(&last)
}

fn secret_without(scope: ApiScope) -> String {
    format!("a secret for all but the scope {}", scope.name())
}

fn call_of(app: &str, secret: &str, path: &str, row: &Row) -> ApiCall {
    let fields: Vec<(&str, &str)> = row.fields.iter().map(|(name, value)| (&**name, &**value)).collect();
    ApiCall::of(app, secret, path, &fields)
}

#[tokio::test]
async fn who_does_not_prove_to_be_the_apps_server_does_nothing_by_any_path() {
    let mut house = House::new().await;
    let api = house.gateway.api();
    let mut before = house.look().await;
    let mut refused = 0;
    for path in paths() {
        let row = row(&path, &house.names);
        let good = call_of(APP_KEY, API_SECRET, &path, &row);
        let bare = ["App-Key", "Nonce", "Timestamp", "Signature"]
            .into_iter()
            .fold(good.clone(), |call, name| call.without(name));
        let of_another_path = {
            let mut call = good.clone();
            call.path = "/user/checkOnline.json".to_owned();
            let mut call = call.with_hmac(APP_KEY, API_SECRET, &format!("nonce {refused}"), unix_ms());
            call.path = format!("{path}?");
            call.body.push(b'&');
            call
        };
        let columns = [
            ("unsigned", bare.clone(), 401, 1001),
            ("the app's name alone", bare.header("App-Key", APP_KEY), 401, 1004),
            ("a wrong secret", call_of(APP_KEY, "a guess", &path, &row), 401, 1004),
            (
                "the secret of another app",
                call_of(APP_KEY, OTHER_API_SECRET, &path, &row),
                401,
                1004,
            ),
            (
                "the secret in the name of another app",
                call_of(OTHER, API_SECRET, &path, &row),
                401,
                1004,
            ),
            (
                "an app that is not",
                call_of("nobody", API_SECRET, &path, &row),
                401,
                1004,
            ),
            ("a signature of another call", of_another_path, 401, 1004),
            (
                "a key for all other scopes",
                call_of(APP_KEY, &secret_without(row.scope), &path, &row),
                401,
                1007,
            ),
        ];
        for (what, call, status, code) in columns {
            let who = if code == 1007 { "known" } else { "stranger" };
            let answer = call.header("X-Request-ID", who).send(api).await;
            assert_eq!(
                (answer.status, answer.code()),
                (status, code),
                "{path} by {what}: {answer:?}"
            );
            let said: Vec<&String> = answer.json.as_object().expect("an object").keys().collect();
            assert_eq!(said, ["code", "errorMessage", "url"], "{path} by {what}");
            refused += 1;
        }
        let after = house.look().await;
        assert_eq!(after, before, "{path}");
        before = after;
    }
    assert_eq!(refused, paths().len() * 8);

    // The rightful one is still let in. Of strangers there is no trace in the audit log, of a key for something else what it tried.
    let last = call_of(
        APP_KEY,
        API_SECRET,
        "/user/unblock.json",
        &row("/user/unblock.json", &house.names),
    );
    assert_eq!(last.header("X-Request-ID", "the-last").send(api).await.status, 200);
    let log = house.gateway.data().join("audit.log");
    let lines = || fs::read_to_string(&log).expect("the audit log");
    wait_until("the last change is in the audit log", async || {
        lines().contains("\"the-last\"")
    })
    .await;
    assert!(!lines().contains("\"stranger\""));
    let lines = lines();
    let lines = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let known: Vec<Value> = lines.filter(|line| line["request_id"] == "known").collect();
    let tried: BTreeSet<&str> = known.iter().filter_map(|line| line["path"].as_str()).collect();
    assert_eq!(tried.len(), known.len(), "each once");
    assert!(known.iter().all(|line| line["code"] == 1007));
    for (path, changes) in [
        ("/user/block", true),
        ("/message/chatroom/publish", true),
        ("/user/checkOnline", false),
        ("/chatroom/get", false),
    ] {
        assert_eq!(tried.contains(path), changes, "{path}: {tried:?}");
    }
}

#[tokio::test]
async fn a_call_of_the_rightful_server_is_what_the_rows_say() {
    // Were a row wrong in form, all its columns could be right for another reason.
    let house = House::new().await;
    let document: Value = serde_json::from_str(&openapi_document()).expect("JSON");
    for path in paths() {
        let row = row(&path, &house.names);
        // All scopes but one of the others do.
        let another = ApiScope::ALL
            .into_iter()
            .find(|scope| *scope != row.scope)
            .expect("there are more");
        let call = call_of(APP_KEY, &secret_without(another), &path, &row);
        let answer = call.send(house.gateway.api()).await;
        assert!(
            [DONE, NO_SUCH_ROOM, NO_SUCH_CONVERSATION].contains(&answer.code()),
            "{path}: {answer:?}"
        );
        assert_eq!(
            document["paths"][&path]["post"]["tags"],
            json!([row.scope.name()]),
            "{path}"
        );
    }
}

/// An answer without what differs from call to call: times, ids of messages, and signatures.
fn comparable(answer: &ApiAnswer, names: &Names) -> (u16, Vec<(String, String)>, String) {
    let headers = answer
        .headers
        .iter()
        .filter(|(name, _)| name != "date" && name != "x-request-id");
    let mut json = answer.json.clone();
    blank(&mut json);
    let text = json.to_string();
    let text = text
        .replace(&names.room, "ROOM")
        .replace(&names.user, "USER")
        .replace(&names.rogue, "ROGUE");
    let text = text
        .replace(&names.kind, "KIND")
        .replace(&names.word, "WORD")
        .replace(&names.message, "MESSAGE")
        .replace(&names.group, "GROUP")
        .replace(&names.said, "SAID");
    (answer.status, headers.cloned().collect(), text)
}

fn blank(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if [
                    "token",
                    "messageUID",
                    "time",
                    "blockEndTime",
                    "createTime",
                    "lastSetTime",
                ]
                .contains(&&**name)
                {
                    *value = Value::Null;
                } else {
                    blank(value);
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(blank),
        _ => {}
    }
}

#[tokio::test]
async fn another_apps_server_meets_nothing_of_an_app_and_is_answered_as_if_there_were_nothing() {
    let mut house = House::new().await;
    let api = house.gateway.api();
    // As long as the others, and nowhere.
    let nowhere = Names {
        room: "attic".into(),
        user: "nobod".into(),
        rogue: "noone".into(),
        kind: "app:two".into(),
        word: "hecks".into(),
        message: house.names.message.bytes().rev().map(char::from).collect(),
        group: "enemies".into(),
        said: house.names.said.bytes().rev().map(char::from).collect(),
        friend: "enemy".into(),
        combined: house.names.combined.bytes().rev().map(char::from).collect(),
    };
    let before = house.look().await;
    for path in paths() {
        let mut answers = Vec::new();
        for (app, secret, names) in [
            (OTHER, OTHER_API_SECRET, &house.names),
            (THIRD, THIRD_API_SECRET, &nowhere),
        ] {
            let row = row(&path, names);
            let answer = call_of(app, secret, &path, &row).send(api).await;
            assert_eq!(answer.code(), row.elsewhere, "{path}: {answer:?}");
            answers.push(comparable(&answer, names));
            // What the call may have made is not to be there for the next.
            for undo in ["/chatroom/destroy.json", "/chatroom/keepalive/remove.json"] {
                let undone = call_of(app, secret, undo, &self::row(undo, names)).send(api).await;
                assert!([DONE, WAS_NOT_THERE].contains(&undone.code()), "{undone:?}");
            }
        }
        assert_eq!(answers[0], answers[1], "{path}");
        assert_eq!(house.look().await, before, "{path}");
    }
    // The history is what it was, too.
    let mut newcomer = RawClient::online(&house.gateway, Transport::Tcp, "newcomer").await;
    let entered = enter(&mut newcomer, 1, join_chat_room("lobby", 50)).await;
    assert_eq!((entered.history_count, entered.sequence), (1, 1));
    assert_eq!(next_message(&mut newcomer).await.content, "hello");
}
