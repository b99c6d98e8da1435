//! Whole conversations with a server that follows a script.

use std::sync::{Arc, Mutex};

use clap::Parser;
use sluice_codec::FrameBuffer;
use sluice_protocol::frame::Body;
use sluice_protocol::{
    AttributeRefusal, Close, ErrorCode, Frame, LeaveAllRoomsResult, LoginResult, LogoutResult, MessageType, Reply,
    RoomAttribute, RoomAttributes, RoomAttributesWritten, RoomEntered, RoomInfo, RoomMember, RoomMembers, RoomMessage,
    RoomResumed, SendMessageResult, UserInfo, limits, reply,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

#[derive(Debug, Parser)]
struct CommandLine {
    #[command(flatten)]
    chat: ChatArguments,
}

fn arguments(more: &[&str]) -> ChatArguments {
    let line = ["chat", "--user", "alice", "--room", "lobby", "--token", "t"]
        .iter()
        .chain(more);
    CommandLine::try_parse_from(line).expect("valid arguments").chat
}

/// How long a message is held back: long enough for a client that does not wait to give itself away.
const HELD_BACK: Duration = Duration::from_millis(50);

/// Longer than any conversation here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the server does when it gets a message.
#[derive(Debug, Clone, Copy)]
enum Script {
    /// Acknowledges it and lets everyone have it.
    Accept,
    /// The same, with everyone having it well after the acknowledgement, unless the client has said goodbye by then.
    AcceptLate,
    /// The same, and bob answers each.
    Answer,
    Refuse(ErrorCode),
    Close(ErrorCode),
}

fn entered(room_id: String) -> reply::Result {
    let room = RoomInfo {
        room_id,
        ..RoomInfo::default()
    };
    reply::Result::RoomEntered(RoomEntered {
        room: Some(room),
        member_count: 2,
        ..RoomEntered::default()
    })
}

/// Serves one connection, and returns what it was sent and whether it was logged out of.
async fn serve(listener: TcpListener, script: Script) -> (Vec<String>, bool) {
    let mut stream = listener.accept().await.expect("a connection").0;
    let mut frames = FrameBuffer::new(limits::CLIENT_FRAME_BYTES);
    let (mut contents, mut sequence, mut here) = (Vec::new(), 0, String::new());
    loop {
        let frame = next_frame(&mut stream, &mut frames).await;
        let (request_id, body) = match frame {
            Some(frame) => (frame.request_id, frame.body.expect("a command")),
            None => return (contents, false),
        };
        let reply = |result| Frame {
            request_id,
            body: Some(Body::Reply(Reply {
                result: Some(result),
                ..Reply::default()
            })),
        };
        match body {
            Body::Login(_) => {
                let result = LoginResult {
                    heartbeat_interval_ms: 30_000,
                    ..LoginResult::default()
                };
                send(&mut stream, reply(reply::Result::Login(result))).await;
            }
            Body::EnterRoom(command) => {
                here.clone_from(&command.room_id);
                send(&mut stream, reply(entered(command.room_id))).await;
            }
            Body::SwitchRoom(command) => {
                assert_eq!(command.leave_room_id, here);
                here.clone_from(&command.room_id);
                send(&mut stream, reply(entered(command.room_id))).await;
            }
            Body::LeaveAllRooms(_) => {
                let result = LeaveAllRoomsResult {
                    room_ids: vec!["den".into()],
                };
                send(&mut stream, reply(reply::Result::LeaveAllRooms(result))).await;
            }
            Body::QueryRoomMembers(_) => {
                let members = ["bob", "alice"].map(|user_id| RoomMember {
                    user_id: user_id.into(),
                    ..RoomMember::default()
                });
                let result = RoomMembers {
                    members: members.to_vec(),
                    ..RoomMembers::default()
                };
                send(&mut stream, reply(reply::Result::RoomMembers(result))).await;
            }
            Body::QueryRoomAttributes(_) => {
                let topic = RoomAttribute {
                    key: "topic".into(),
                    value: "tea".into(),
                    owner_id: "bob".into(),
                    version: 1,
                };
                let result = RoomAttributes {
                    attributes: vec![topic],
                    ..RoomAttributes::default()
                };
                send(&mut stream, reply(reply::Result::RoomAttributes(result))).await;
            }
            Body::SetRoomAttributes(command) => {
                let refused = command.keys.into_iter().map(|key| AttributeRefusal {
                    key,
                    code: ErrorCode::ATTRIBUTE_NOT_YOURS.into(),
                    detail: String::new(),
                });
                let result = RoomAttributesWritten {
                    refused: refused.collect(),
                    ..RoomAttributesWritten::default()
                };
                send(&mut stream, reply(reply::Result::RoomAttributesWritten(result))).await;
            }
            Body::SendMessage(command) => {
                assert_eq!(command.target_id, here);
                contents.push(String::from_utf8(command.content.to_vec()).expect("text"));
                match script {
                    Script::Accept | Script::AcceptLate | Script::Answer => {
                        sequence += 1;
                        let result = SendMessageResult {
                            sequence,
                            ..SendMessageResult::default()
                        };
                        send(&mut stream, reply(reply::Result::SendMessage(result))).await;
                        if matches!(script, Script::AcceptLate) {
                            let early = timeout(HELD_BACK, next_frame(&mut stream, &mut frames)).await;
                            assert!(early.is_err(), "the client did not wait for its own message: {early:?}");
                        }
                        send(&mut stream, message("alice", sequence, command.content.clone())).await;
                        if matches!(script, Script::Answer) {
                            sequence += 1;
                            send(&mut stream, message("bob", sequence, command.content)).await;
                        }
                    }
                    Script::Refuse(code) => {
                        let refusal = Reply {
                            code: code.into(),
                            detail: "10/s".into(),
                            ..Reply::default()
                        };
                        let body = Some(Body::Reply(refusal));
                        send(&mut stream, Frame { request_id, body }).await;
                    }
                    Script::Close(code) => {
                        send(&mut stream, close(code)).await;
                        return (contents, false);
                    }
                }
            }
            Body::Logout(_) => {
                send(&mut stream, reply(reply::Result::Logout(LogoutResult {}))).await;
                send(&mut stream, close(ErrorCode::NO_ERROR)).await;
                return (contents, true);
            }
            other => panic!("not in the script: {other:?}"),
        }
    }
}

async fn next_frame(stream: &mut TcpStream, frames: &mut FrameBuffer) -> Option<Frame> {
    loop {
        if let Some(body) = frames.next_frame().expect("frames") {
            return Some(prost::Message::decode(body).expect("a valid frame"));
        }
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => frames.push(&chunk[..count]),
        }
    }
}

async fn send(stream: &mut TcpStream, frame: Frame) {
    stream
        .write_all(&sluice_codec::encode(&frame))
        .await
        .expect("the client is connected");
}

fn message(user_id: &str, sequence: u64, content: prost::bytes::Bytes) -> Frame {
    let message = RoomMessage {
        room_id: "lobby".into(),
        sequence,
        sender: Some(UserInfo {
            user_id: user_id.into(),
            user_name: String::new(),
        }),
        r#type: MessageType::Text.into(),
        content,
        ..RoomMessage::default()
    };
    Frame {
        request_id: 0,
        body: Some(Body::RoomMessage(message)),
    }
}

fn close(code: ErrorCode) -> Frame {
    Frame {
        request_id: 0,
        body: Some(Body::Close(Close {
            code: code.into(),
            ..Close::default()
        })),
    }
}

/// Standard output that a test can look at, or that nobody reads.
#[derive(Clone)]
enum Sink {
    Kept(Arc<Mutex<Vec<u8>>>),
    Closed,
}

impl Sink {
    fn kept() -> Self {
        Self::Kept(Arc::default())
    }

    fn text(&self) -> String {
        match self {
            Self::Kept(bytes) => String::from_utf8(bytes.lock().expect("no panic").clone()).expect("text"),
            Self::Closed => String::new(),
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Kept(kept) => Write::write(&mut *kept.lock().expect("no panic"), bytes),
            Self::Closed => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Conversed {
    outcome: Result<Outcome, Failure>,
    /// What the server was sent.
    contents: Vec<String>,
    logged_out: bool,
}

async fn converse(arguments: &ChatArguments, script: Script, lines: mpsc::Receiver<Line>, sink: &Sink) -> Conversed {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    let options = Options::new(address, "dev", "alice", "t");
    let output = Output::new(sink.clone(), Format::Readable);
    let (outcome, (contents, logged_out)) =
        tokio::join!(chat(arguments, options, lines, output), serve(listener, script));
    Conversed {
        outcome,
        contents,
        logged_out,
    }
}

/// Lines of input. It ends when the sender is dropped.
fn lines(lines: &[&str]) -> (mpsc::Sender<Line>, mpsc::Receiver<Line>) {
    let (sender, receiver) = mpsc::channel(lines.len().max(1));
    for line in lines {
        sender.try_send(Ok((*line).to_owned())).expect("there is room");
    }
    (sender, receiver)
}

#[tokio::test]
async fn at_the_end_of_input_it_ends_when_all_is_acknowledged_and_has_come_back() {
    let (input, lines) = lines(&["one", "", "two"]);
    drop(input);
    let sink = Sink::kept();
    let conversed = converse(&arguments(&[]), Script::Accept, lines, &sink).await;
    assert!(
        matches!(conversed.outcome, Ok(Outcome::Done)),
        "{:?}",
        conversed.outcome
    );
    assert_eq!(conversed.contents, ["one", "two"], "an empty line sends nothing");
    assert!(conversed.logged_out);
    assert_eq!(sink.text(), "* entered lobby, 2 members\nalice: one\nalice: two\n");
}

#[tokio::test]
async fn before_it_ends_it_waits_for_its_own_messages_to_come_back() {
    let (input, lines) = lines(&["one"]);
    drop(input);
    let sink = Sink::kept();
    let conversed = converse(&arguments(&[]), Script::AcceptLate, lines, &sink).await;
    assert!(conversed.logged_out);
    assert_eq!(sink.text(), "* entered lobby, 2 members\nalice: one\n");
}

#[tokio::test]
async fn with_wait_it_ends_when_enough_messages_of_others_have_come_though_input_goes_on() {
    let (_input, lines) = lines(&["one", "two"]);
    let sink = Sink::kept();
    let conversed = converse(&arguments(&["--wait", "2"]), Script::Answer, lines, &sink).await;
    assert!(
        matches!(conversed.outcome, Ok(Outcome::Done)),
        "{:?}",
        conversed.outcome
    );
    assert!(conversed.logged_out);
    assert_eq!(
        sink.text(),
        "* entered lobby, 2 members\nalice: one\nbob: one\nalice: two\nbob: two\n"
    );
}

#[tokio::test]
async fn with_wait_the_end_of_input_is_not_the_end() {
    let (input, lines) = lines(&["one"]);
    drop(input);
    let conversed = converse(&arguments(&["--wait", "1"]), Script::Answer, lines, &Sink::kept()).await;
    assert!(
        matches!(conversed.outcome, Ok(Outcome::Done)),
        "{:?}",
        conversed.outcome
    );
    assert_eq!(conversed.contents, ["one"]);
}

#[tokio::test]
async fn a_refused_message_is_the_failure_and_the_session_is_left_cleanly() {
    let (_input, lines) = lines(&["one"]);
    let conversed = converse(
        &arguments(&[]),
        Script::Refuse(ErrorCode::SEND_TOO_FAST),
        lines,
        &Sink::kept(),
    )
    .await;
    let failure = conversed.outcome.expect_err("refused");
    assert_eq!(failure.to_string(), "20604 SendTooFast (10/s)");
    assert!(conversed.logged_out);
}

#[tokio::test]
async fn a_line_longer_than_a_message_is_30016() {
    let (_input, lines) = lines(&[&"x".repeat(limits::TEXT_BYTES + 1)]);
    let conversed = converse(&arguments(&[]), Script::Accept, lines, &Sink::kept()).await;
    let failure = conversed.outcome.expect_err("too long").to_string();
    assert!(failure.starts_with("30016 ContentTooLargeToSend (32768)"), "{failure}");
    assert_eq!(conversed.contents, [""; 0]);
    assert!(conversed.logged_out);
}

#[tokio::test]
async fn a_server_that_closes_the_connection_is_a_failure_with_its_code() {
    let (_input, lines) = lines(&["one"]);
    let script = Script::Close(ErrorCode::KICKED_BY_OTHER_DEVICE);
    let conversed = converse(&arguments(&[]), script, lines, &Sink::kept()).await;
    assert_eq!(
        conversed.outcome.expect_err("closed").to_string(),
        "31010 KickedByOtherDevice"
    );
}

#[tokio::test]
async fn an_output_that_nobody_reads_ends_it_with_a_clean_logout() {
    let (_input, lines) = lines(&[]);
    let conversed = converse(&arguments(&[]), Script::Accept, lines, &Sink::Closed).await;
    assert!(matches!(conversed.outcome, Err(Failure::OutputClosed)));
    assert!(conversed.logged_out);
}

#[tokio::test]
async fn lines_with_a_slash_ask_and_what_is_said_after_a_switch_goes_to_the_other_room() {
    let (input, lines) = lines(&[
        "one",
        "/members",
        "/attributes",
        "/set topic coffee",
        "/nonsense",
        "/switch den",
        "//two",
        "/leave-all",
    ]);
    drop(input);
    let sink = Sink::kept();
    let conversed = converse(&arguments(&[]), Script::Accept, lines, &sink).await;
    assert!(
        matches!(conversed.outcome, Ok(Outcome::Done)),
        "{:?}",
        conversed.outcome
    );
    assert_eq!(conversed.contents, ["one", "/two"]);
    let shown = sink.text();
    let (mistakes, mut lines): (Vec<_>, Vec<_>) = shown.lines().partition(|line| line.contains("not a command"));
    assert_eq!(mistakes.len(), 1, "{shown}");
    // Messages come back when they do.
    lines.retain(|line| !line.starts_with("alice: "));
    assert_eq!(
        lines,
        [
            "* entered lobby, 2 members",
            "* 2 members: bob, alice",
            "* topic = tea (of bob)",
            "* /set topic: 23424 AttributeNotYours",
            "* entered den, 2 members",
            "* left den",
        ]
    );
}

#[tokio::test]
async fn whoever_speaks_after_leaving_all_rooms_fails() {
    let (input, lines) = lines(&["/leave-all", "one"]);
    drop(input);
    let conversed = converse(&arguments(&[]), Script::Accept, lines, &Sink::kept()).await;
    let failure = conversed.outcome.expect_err("there is no room").to_string();
    assert!(failure.starts_with("23406 NotInChatroom"), "{failure}");
    assert!(conversed.logged_out);
}

/// One connection of a server that loses them: takes the login and what comes up to the first message, and ends.
struct Losing {
    stream: TcpStream,
    frames: FrameBuffer,
}

impl Losing {
    async fn log_in(listener: &TcpListener, resumed: bool) -> Self {
        let stream = listener.accept().await.expect("a connection").0;
        let frames = FrameBuffer::new(limits::CLIENT_FRAME_BYTES);
        let mut server = Self { stream, frames };
        let (request_id, command) = server.next().await;
        assert!(matches!(command, Body::Login(_)));
        let result = LoginResult {
            heartbeat_interval_ms: 30_000,
            resume_secret: "secret".into(),
            resumed,
            ..LoginResult::default()
        };
        server.answer(request_id, reply::Result::Login(result)).await;
        server
    }

    async fn next(&mut self) -> (u32, Body) {
        let frame = next_frame(&mut self.stream, &mut self.frames).await.expect("a command");
        (frame.request_id, frame.body.expect("a command"))
    }

    async fn answer(&mut self, request_id: u32, result: reply::Result) {
        let reply = Reply {
            result: Some(result),
            ..Reply::default()
        };
        let body = Some(Body::Reply(reply));
        send(&mut self.stream, Frame { request_id, body }).await;
    }

    async fn refuse(&mut self, request_id: u32, code: ErrorCode) {
        let reply = Reply {
            code: code.into(),
            ..Reply::default()
        };
        let body = Some(Body::Reply(reply));
        send(&mut self.stream, Frame { request_id, body }).await;
    }

    /// The next message: its text, its name and its request.
    async fn message(&mut self) -> (String, String, u32) {
        match self.next().await {
            (request_id, Body::SendMessage(message)) => (
                String::from_utf8(message.content.to_vec()).expect("text"),
                message.client_message_id,
                request_id,
            ),
            (_, other) => panic!("not a message: {other:?}"),
        }
    }

    /// Ends the connection, to be opened again at once.
    async fn lose(mut self) {
        let close = Close {
            code: ErrorCode::SERVER_UNAVAILABLE.into(),
            retry_after_ms: 1,
            ..Close::default()
        };
        let body = Some(Body::Close(close));
        send(&mut self.stream, Frame { request_id: 0, body }).await;
    }

    async fn take(&mut self, request_id: u32, sequence: u64) {
        let result = SendMessageResult {
            sequence,
            ..SendMessageResult::default()
        };
        self.answer(request_id, reply::Result::SendMessage(result)).await;
        send(&mut self.stream, message("alice", sequence, "hello".into())).await;
    }

    async fn say_goodbye(mut self) {
        let (request_id, command) = self.next().await;
        assert!(matches!(command, Body::Logout(_)), "{command:?}");
        self.answer(request_id, reply::Result::Logout(LogoutResult {})).await;
        send(&mut self.stream, close(ErrorCode::NO_ERROR)).await;
    }
}

/// Chats while the server does what the script says.
async fn chat_with(
    listener: &TcpListener,
    script: impl Future<Output = ()>,
    input: &[&str],
    sink: &Sink,
) -> Result<Outcome, Failure> {
    let address = listener.local_addr().expect("an address").to_string();
    let options = Options::new(address, "dev", "alice", "t").reconnect(Reconnect::Automatic);
    let (sender, lines) = lines(input);
    drop(sender);
    let arguments = arguments(&[]);
    let output = Output::new(sink.clone(), Format::Readable);
    let both = async { tokio::join!(chat(&arguments, options, lines, output), script) };
    timeout(PATIENCE, both).await.expect("both come to their end").0
}

#[tokio::test]
async fn a_message_whose_answer_was_lost_is_sent_again_under_the_same_name() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let sink = Sink::kept();
    let script = async {
        let mut server = Losing::log_in(&listener, false).await;
        let (request_id, _) = server.next().await;
        server.answer(request_id, entered("lobby".into())).await;
        let first = [server.message().await, server.message().await];
        server.lose().await;

        let mut server = Losing::log_in(&listener, true).await;
        let resumed = RoomResumed {
            room_id: "lobby".into(),
            ..RoomResumed::default()
        };
        let body = Some(Body::RoomResumed(resumed));
        send(&mut server.stream, Frame { request_id: 0, body }).await;
        for (sequence, (text, name, _)) in (1..).zip(first) {
            let (text_again, name_again, request_id) = server.message().await;
            assert_eq!((text_again, name_again), (text, name));
            server.take(request_id, sequence).await;
        }
        server.say_goodbye().await;
    };
    let outcome = chat_with(&listener, script, &["one", "two"], &sink).await;
    assert!(matches!(outcome, Ok(Outcome::Done)), "{outcome:?}");
    let shown = sink.text();
    for line in [
        "* connection lost: 31003",
        "* next try in 0.0 s",
        "* connected again",
        "* back in lobby",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
}

#[tokio::test]
async fn a_room_that_is_gone_when_the_connection_is_back_is_made_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let sink = Sink::kept();
    let script = async {
        let mut server = Losing::log_in(&listener, false).await;
        let (request_id, _) = server.next().await;
        server.answer(request_id, entered("lobby".into())).await;
        server.message().await;
        server.lose().await;

        let mut server = Losing::log_in(&listener, false).await;
        let (request_id, command) = server.next().await;
        assert!(matches!(command, Body::JoinExistChatRoom(_)), "{command:?}");
        server.refuse(request_id, ErrorCode::CHATROOM_NOT_EXIST).await;
        let (request_id, command) = server.next().await;
        assert!(matches!(command, Body::EnterRoom(_)), "{command:?}");
        server.answer(request_id, entered("lobby".into())).await;
        let (_, _, request_id) = server.message().await;
        server.take(request_id, 1).await;
        server.say_goodbye().await;
    };
    let outcome = chat_with(&listener, script, &["one"], &sink).await;
    assert!(matches!(outcome, Ok(Outcome::Done)), "{outcome:?}");
    let shown = sink.text();
    assert!(
        shown.contains("* no longer in lobby: 23410 ChatroomNotExist"),
        "{shown}"
    );
    assert_eq!(shown.matches("* entered lobby").count(), 2, "{shown}");
}

#[tokio::test]
async fn a_room_this_user_is_put_out_of_meanwhile_is_a_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let script = async {
        let mut server = Losing::log_in(&listener, false).await;
        let (request_id, _) = server.next().await;
        server.answer(request_id, entered("lobby".into())).await;
        server.message().await;
        server.lose().await;
        let mut server = Losing::log_in(&listener, false).await;
        let (request_id, _) = server.next().await;
        server.refuse(request_id, ErrorCode::KICKED_FROM_CHATROOM).await;
        server.say_goodbye().await;
    };
    let sink = Sink::kept();
    let outcome = chat_with(&listener, script, &["one"], &sink).await;
    let failure = outcome.expect_err("blocked").to_string();
    assert!(failure.starts_with("23409 KickedFromChatroom"), "{failure}");
}

#[test]
fn without_a_token_and_a_data_folder_it_says_what_is_missing() {
    let data = std::env::temp_dir().join("sluice-chat-no-such-folder");
    let line = ["chat", "--user", "alice", "--room", "lobby", "--data"].map(Into::into);
    let line = line.into_iter().chain([data.into_os_string()]);
    let arguments = CommandLine::try_parse_from(line).expect("valid arguments").chat;
    let failure = arguments
        .options()
        .expect_err("there is no development app")
        .to_string();
    assert!(failure.starts_with("33003 InvalidParameter (token): "), "{failure}");
}
