//! The scripted server.

use sluice_codec::FrameBuffer;
use sluice_protocol::frame::Body;
use sluice_protocol::{Close, Frame, Login, LoginResult, Reply, RoomMessage, limits, reply};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};

use crate::transport::Link;
use crate::{Client, ClientError, Events, Options};

/// Bytes the in-memory link holds in each direction.
pub(super) const LINK_BYTES: usize = 4096;

/// The interval the scripted server announces, unless a test sends another answer.
pub(super) const HEARTBEAT_INTERVAL_MS: u32 = 30_000;

/// The server's end of a connection.
#[derive(Debug)]
pub(super) struct Peer<S = DuplexStream> {
    pub(super) stream: S,
    frames: FrameBuffer,
}

pub(super) fn options() -> Options {
    Options::new("in-memory:0", "dev", "alice", "a token")
}

/// A client's link and the server's end of it.
pub(super) fn link() -> (Link, Peer) {
    let (near, far) = tokio::io::duplex(LINK_BYTES);
    let (reader, writer) = tokio::io::split(near);
    (Link::of_stream(reader, writer), Peer::new(far))
}

pub(super) async fn log_in(link: Link) -> Result<(Client, Events), ClientError> {
    Client::log_in(link, options().login().expect("the options are valid"), options()).await
}

/// A client that is logged in, and its server.
pub(super) async fn connected() -> (Client, Events, Peer) {
    let (link, mut peer) = link();
    let (connected, ()) = tokio::join!(log_in(link), peer.accept_login());
    let (client, events) = connected.expect("the scripted server takes the login");
    (client, events, peer)
}

pub(super) fn login_result() -> LoginResult {
    LoginResult {
        session_id: "0123456789abcdef0123456789abcdef".into(),
        user_id: "alice".into(),
        heartbeat_interval_ms: HEARTBEAT_INTERVAL_MS,
        server_time_ms: 1_700_000_000_000,
        token_expires_at_ms: 1_700_000_086_400,
        limits: None,
        datagrams: false,
        ..LoginResult::default()
    }
}

pub(super) fn success(result: reply::Result) -> Reply {
    Reply {
        result: Some(result),
        ..Reply::default()
    }
}

pub(super) fn room_message(sequence: u64, content: &str) -> Body {
    Body::RoomMessage(RoomMessage {
        room_id: "lobby".into(),
        sequence,
        r#type: sluice_protocol::MessageType::Text.into(),
        content: content.to_owned().into(),
        ..RoomMessage::default()
    })
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            frames: FrameBuffer::new(limits::CLIENT_FRAME_BYTES),
        }
    }

    /// The client's next frame, or `None` when it closed its side.
    pub(super) async fn next_frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(body) = self.frames.next_frame().expect("the client sends frames") {
                return Some(prost::Message::decode(body).expect("the client sends valid frames"));
            }
            let mut chunk = [0; 1024];
            match self.stream.read(&mut chunk).await {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.frames.push(&chunk[..count]),
            }
        }
    }

    /// The client's next command and its request id.
    pub(super) async fn next_command(&mut self) -> (u32, Body) {
        let frame = self.next_frame().await.expect("the client is connected");
        (frame.request_id, frame.body.expect("a command has a body"))
    }

    pub(super) async fn next_login(&mut self) -> (u32, Login) {
        match self.next_command().await {
            (request_id, Body::Login(login)) => (request_id, login),
            (_, other) => panic!("the first command is a login, not {other:?}"),
        }
    }

    pub(super) async fn accept_login(&mut self) {
        let (request_id, _) = self.next_login().await;
        self.reply(request_id, success(reply::Result::Login(login_result())))
            .await;
    }

    pub(super) async fn reply(&mut self, request_id: u32, reply: Reply) {
        self.send(Frame {
            request_id,
            body: Some(Body::Reply(reply)),
        })
        .await;
    }

    pub(super) async fn event(&mut self, body: Body) {
        self.send(Frame {
            request_id: 0,
            body: Some(body),
        })
        .await;
    }

    pub(super) async fn close(&mut self, close: Close) {
        self.event(Body::Close(close)).await;
        self.stream.shutdown().await.expect("the client is connected");
    }

    async fn send(&mut self, frame: Frame) {
        self.stream
            .write_all(&sluice_codec::encode(&frame))
            .await
            .expect("the client is connected");
        self.stream.flush().await.expect("the client is connected");
    }
}
