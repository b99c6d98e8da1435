//! A client below the client library: it sends what it is told to, and shows what comes back.

mod link;

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use quinn::{ClientConfig, ConnectionError};
use sluice_codec::{FrameBuffer, encode, open_server_frame};
use sluice_protocol::frame::Body;
use sluice_protocol::{ALPN, Close, Frame, Login, LoginResult, Reply, limits, reply};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::timeout;

use crate::{DEADLINE, Target, Transport, begin_at_worker, quic_client_config, within};

use link::Link;

/// Read at once.
const READ_BYTES: usize = 64 * 1024;

/// Frames shown when a test fails.
const SHOWN_FRAMES_MAX: usize = 16;

/// The request id of [`RawClient::login`]; tests begin at 1.
const LOGIN_REQUEST_ID: u32 = 1_000_000;

/// A scripted client. Dropping it cuts the connection.
///
/// Replies and events are kept apart: [`reply`](Self::reply) and [`event`](Self::event) each leave what belongs to the
/// other for later. All waits end at [`DEADLINE`] with a panic that shows what was received.
pub struct RawClient {
    target: Target,
    transport: Transport,
    link: Link,
    frames: FrameBuffer,
    ended: bool,
    /// A frame, or the end, that was looked at and not taken.
    unread: Option<Option<Frame>>,
    /// Read while something else was waited for.
    replies: VecDeque<(u32, Reply)>,
    events: VecDeque<Body>,
    /// The newest frames, for a failure's message.
    seen: VecDeque<Frame>,
}

impl RawClient {
    /// Connects, on QUIC with the control stream, which the server sees with the first byte.
    ///
    /// # Panics
    /// When the server does not take the connection.
    pub async fn connect(target: &Target, transport: Transport) -> Self {
        Self::of_link(target, transport, Link::connect(target, transport).await)
    }

    /// Connects over QUIC with a configuration of one's own, and logs in.
    ///
    /// # Panics
    /// When the server does not take the connection or the login.
    pub async fn online_over_quic(target: &Target, config: ClientConfig, user: &str) -> Self {
        let link = Link::connect_quic(target, config).await;
        let mut client = Self::of_link(target, Transport::Quic, link);
        client.login(user).await;
        client
    }

    /// Connects over QUIC to this worker, of those that have an endpoint, and logs in.
    ///
    /// # Panics
    /// When the server does not take the connection or the login.
    pub async fn online_at_worker(target: &Target, worker: u16, user: &str) -> Self {
        let mut config = quic_client_config(target, &[ALPN]);
        begin_at_worker(&mut config, worker);
        Self::online_over_quic(target, config, user).await
    }

    /// Speaks over a connection that was made elsewhere.
    #[must_use]
    pub fn of_stream(
        target: &Target,
        transport: Transport,
        stream: impl AsyncRead + AsyncWrite + Send + 'static,
    ) -> Self {
        Self::of_link(target, transport, Link::of_stream(stream))
    }

    /// Connects and logs in.
    ///
    /// # Panics
    /// When the server does not take the login.
    pub async fn online(target: &Target, transport: Transport, user: &str) -> Self {
        let mut client = Self::connect(target, transport).await;
        client.login(user).await;
        client
    }

    fn of_link(target: &Target, transport: Transport, link: Link) -> Self {
        Self {
            target: target.clone(),
            transport,
            link,
            frames: FrameBuffer::new(limits::SERVER_FRAME_BYTES),
            ended: false,
            unread: None,
            replies: VecDeque::new(),
            events: VecDeque::new(),
            seen: VecDeque::new(),
        }
    }

    /// What carries the connection.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// Sends bytes as they are.
    ///
    /// # Panics
    /// When the server does not take them.
    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        if let Err(error) = self.try_send_bytes(bytes).await {
            panic!("cannot send: {error}; {self:?}");
        }
    }

    /// Sends bytes as they are, to a server that may have had enough.
    ///
    /// # Errors
    /// When the connection is broken.
    ///
    /// # Panics
    /// When the server neither takes them nor ends the connection within [`DEADLINE`].
    pub async fn try_send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        let sending = async {
            self.link.writer.write_all(bytes).await?;
            self.link.writer.flush().await
        };
        within("the server to take bytes", sending).await
    }

    /// Sends as many of the bytes as the server takes until it takes none for `patience`. Returns how many.
    pub async fn send_until_full(&mut self, bytes: &[u8], patience: Duration) -> usize {
        let mut sent = 0;
        while sent < bytes.len() {
            match timeout(patience, self.link.writer.write(&bytes[sent..])).await {
                Ok(Ok(written)) => sent += written,
                Ok(Err(_)) | Err(_) => break,
            }
        }
        sent
    }

    /// Sends a frame.
    ///
    /// # Panics
    /// When the server does not take it.
    pub async fn send(&mut self, request_id: u32, body: Body) {
        let bytes = encode(&Frame {
            request_id,
            body: Some(body),
        });
        self.send_bytes(&bytes).await;
    }

    /// Sends commands in one piece, numbered from `first_request_id` on.
    ///
    /// # Panics
    /// When the server does not take them.
    pub async fn send_together(&mut self, first_request_id: u32, commands: impl IntoIterator<Item = Body>) {
        let frames = (first_request_id..).zip(commands).map(|(request_id, command)| Frame {
            request_id,
            body: Some(command),
        });
        let bytes: Vec<u8> = frames.flat_map(|frame| encode(&frame)).collect();
        self.send_bytes(&bytes).await;
    }

    /// Ends the sending side; the other direction stays open.
    ///
    /// # Panics
    /// When the connection is broken.
    pub async fn finish_sending(&mut self) {
        within("the end of sending", self.link.writer.shutdown())
            .await
            .expect("a connection whose sending side can be ended");
    }

    /// The next frame that comes, whatever it is.
    ///
    /// # Panics
    /// When none comes, the connection ends, or the bytes are no frame.
    pub async fn next_frame(&mut self) -> Frame {
        match self.next_frame_or_end().await {
            Some(frame) => frame,
            None => panic!("the connection ended instead of a frame; {self:?}"),
        }
    }

    /// The next frame that comes, or `None` at the end of the connection.
    ///
    /// # Panics
    /// When neither comes, or the bytes are no frame.
    pub async fn next_frame_or_end(&mut self) -> Option<Frame> {
        if let Some(unread) = self.unread.take() {
            return unread;
        }
        loop {
            let body = match self.frames.next_frame() {
                Ok(body) => body,
                Err(error) => panic!("the server sent no frame: {error}; {self:?}"),
            };
            if let Some(body) = body {
                let frame = match open_server_frame(&body) {
                    Ok(frame) => frame,
                    Err(error) => panic!("the server sent no frame: {error}; {self:?}"),
                };
                if self.seen.len() == SHOWN_FRAMES_MAX {
                    self.seen.pop_front();
                }
                self.seen.push_back(frame.clone());
                return Some(frame);
            }
            if self.ended {
                assert!(self.frames.is_empty(), "the connection ended within a frame; {self:?}");
                return None;
            }
            if timeout(DEADLINE, self.fill()).await.is_err() {
                panic!("waited {DEADLINE:?} in vain for a frame; {self:?}");
            }
        }
    }

    /// Whether a frame or the end comes within `patience`. Nothing is taken: the frame is the next to be read.
    ///
    /// # Panics
    /// When the bytes are no frame.
    pub async fn has_frame_within(&mut self, patience: Duration) -> bool {
        if self.unread.is_none() {
            self.unread = timeout(patience, self.next_frame_or_end()).await.ok();
        }
        self.unread.is_some()
    }

    /// The reply to the command `request_id`. Replies to others and events are kept for later.
    ///
    /// # Panics
    /// When it does not come.
    pub async fn reply(&mut self, request_id: u32) -> Reply {
        loop {
            if let Some(place) = self.replies.iter().position(|(id, _)| *id == request_id) {
                return self.replies.remove(place).expect("it is there").1;
            }
            let frame = self.next_frame().await;
            self.keep(frame);
        }
    }

    /// Sends a command and returns its reply.
    ///
    /// # Panics
    /// When it does not come.
    pub async fn call(&mut self, request_id: u32, body: Body) -> Reply {
        self.send(request_id, body).await;
        self.reply(request_id).await
    }

    /// The next event. Replies are kept for later.
    ///
    /// # Panics
    /// When none comes.
    pub async fn event(&mut self) -> Body {
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            let frame = self.next_frame().await;
            self.keep(frame);
        }
    }

    /// A good login of `user`, to be altered.
    #[must_use]
    pub fn login_command(&self, user: &str) -> Login {
        self.target.login_command(user)
    }

    /// Logs in.
    ///
    /// # Panics
    /// When the server does not take it.
    pub async fn login(&mut self, user: &str) -> LoginResult {
        let login = self.login_command(user);
        let reply = self.call(LOGIN_REQUEST_ID, Body::Login(login)).await;
        match reply.result {
            Some(reply::Result::Login(result)) if reply.code == 0 => result,
            _ => panic!("the login was refused: {reply:?}; {self:?}"),
        }
    }

    /// The frame that says why the connection ends. Whatever came before it is kept.
    ///
    /// # Panics
    /// When it does not come.
    pub async fn expect_close(&mut self) -> Close {
        if let Some(place) = self.events.iter().position(|event| matches!(event, Body::Close(_))) {
            let Some(Body::Close(close)) = self.events.remove(place) else {
                unreachable!("it was found there")
            };
            return close;
        }
        loop {
            match self.next_frame().await {
                Frame {
                    request_id: 0,
                    body: Some(Body::Close(close)),
                } => return close,
                frame => self.keep(frame),
            }
        }
    }

    /// Waits for the end of the connection, before which no more frame may come. On QUIC returns the code the server closed
    /// the connection with.
    ///
    /// # Panics
    /// When the end does not come, or frames come instead.
    pub async fn expect_end(&mut self) -> Option<u64> {
        if let Some(frame) = self.next_frame_or_end().await {
            panic!("{frame:?} came instead of the end; {self:?}");
        }
        let quic = self.link.quic.as_ref()?;
        match within("the end of the QUIC connection", quic.closed()).await {
            ConnectionError::ApplicationClosed(close) => Some(close.error_code.into_inner()),
            other => panic!("the QUIC connection ended with {other}; {self:?}"),
        }
    }

    /// Whether the connection has ended already. What came before the end is kept.
    pub async fn is_ended(&mut self) -> bool {
        while !self.ended {
            if timeout(Duration::ZERO, self.fill()).await.is_err() {
                break;
            }
        }
        self.ended
    }

    /// Reads some bytes, or notices the end. Cancel safe.
    async fn fill(&mut self) {
        let mut bytes = vec![0; READ_BYTES];
        let mut buffer = ReadBuf::new(&mut bytes);
        let read = poll_fn(|cx| {
            // TLS takes more than the socket does; the rest goes out meanwhile. Why it does not is seen by reading.
            let _ = Pin::new(&mut self.link.writer).poll_flush(cx);
            Pin::new(&mut self.link.reader).poll_read(cx, &mut buffer)
        });
        match read.await {
            Ok(()) if buffer.filled().is_empty() => self.ended = true,
            Ok(()) => self.frames.push(buffer.filled()),
            Err(error) if link::is_end(&error) => self.ended = true,
            Err(error) => panic!("reading failed: {error}; {self:?}"),
        }
    }

    fn keep(&mut self, frame: Frame) {
        match frame.body {
            Some(Body::Reply(reply)) => self.replies.push_back((frame.request_id, reply)),
            Some(event) => self.events.push_back(event),
            None => panic!("a frame without a body; {self:?}"),
        }
    }
}

impl fmt::Debug for RawClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawClient")
            .field("transport", &self.transport)
            .field("ended", &self.ended)
            .field("unread_bytes", &self.frames.len())
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}
