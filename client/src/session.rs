//! The login, and what the server announced in its answer.

use std::time::Duration;

use bytes::Bytes;
use sluice_codec::FrameBuffer;
use sluice_protocol::frame::Body;
use sluice_protocol::{ErrorCode, Frame, Limits, Login, LoginResult, reply};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::error::ClientError;
use crate::event::Closed;
use crate::resume::Secret;
use crate::transport::Link;

/// How long the server may take to answer the login; the server's own patience with a login is as long.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(10);

/// The request id of the login. Commands count up from the one after it.
pub(crate) const LOGIN_REQUEST_ID: u32 = 1;

/// What the server announced at login.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Session {
    /// Names this session in the server's logs.
    pub session_id: String,
    /// The user the token belongs to.
    pub user_id: String,
    /// How often the client proves that it lives.
    pub heartbeat_interval: Duration,
    /// The server's clock at login, milliseconds since 1970-01-01 UTC.
    pub server_time_ms: i64,
    /// When the token ends, milliseconds since 1970-01-01 UTC.
    pub token_expires_at_ms: i64,
    /// The sizes this server takes.
    pub limits: Limits,
    /// Whether bullet-screen comments may come in datagrams, see [`Options::datagrams`](crate::Options::datagrams).
    pub datagrams: bool,
    /// How long the server keeps the session and its places in rooms when the connection is lost.
    pub resume_window: Duration,
    /// True when this goes on with the session that was to be resumed.
    pub resumed: bool,
    pub(crate) resume_secret: Secret,
    /// The server's clock when the session began, which for one that was resumed is not now.
    pub(crate) started_at_ms: i64,
}

impl From<LoginResult> for Session {
    fn from(result: LoginResult) -> Self {
        Self {
            session_id: result.session_id,
            user_id: result.user_id,
            heartbeat_interval: Duration::from_millis(result.heartbeat_interval_ms.into()),
            server_time_ms: result.server_time_ms,
            token_expires_at_ms: result.token_expires_at_ms,
            limits: result.limits.unwrap_or_else(Limits::of_protocol),
            datagrams: result.datagrams,
            resume_window: Duration::from_millis(result.resume_window_ms.into()),
            resumed: result.resumed,
            resume_secret: Secret(result.resume_secret),
            started_at_ms: result.server_time_ms,
        }
    }
}

impl Session {
    /// Sees to it that a resumed session is as old as it was.
    pub(crate) fn going_on_from(mut self, started_at_ms: i64) -> Self {
        if self.resumed {
            self.started_at_ms = started_at_ms;
        }
        self
    }
}

/// Logs in over `link`. Bytes that came after the answer stay in `frames`.
pub(crate) async fn log_in(link: &mut Link, frames: &mut FrameBuffer, login: Login) -> Result<Session, ClientError> {
    match tokio::time::timeout(LOGIN_TIMEOUT, exchange(link, frames, login)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(ClientError::new(
            ErrorCode::CONNECT_ACK_TIMEOUT,
            "",
            format!("no answer to the login within {} seconds", LOGIN_TIMEOUT.as_secs()),
        )),
    }
}

async fn exchange(link: &mut Link, frames: &mut FrameBuffer, login: Login) -> Result<Session, ClientError> {
    let command = Frame {
        request_id: LOGIN_REQUEST_ID,
        body: Some(Body::Login(login)),
    };
    let written = async {
        link.writer.write_all(&sluice_codec::encode(&command)).await?;
        link.writer.flush().await
    };
    // A server that turns the client away at once may do so while the login is still being written. Its reason is
    // worth more than the failed write, so only a failed read ends the exchange.
    if let Err(error) = written.await {
        tracing::debug!(%error, "the login could not be written");
    }
    let mut chunk = [0; 4096];
    loop {
        while let Some(body) = frames.next_frame().map_err(|error| malformed(&error))? {
            if let Some(session) = answer(&body)? {
                return Ok(session);
            }
        }
        match link.reader.read(&mut chunk).await {
            Ok(0) => return Err(link.closed_without_a_frame(None).call_error()),
            Ok(count) => frames.push(&chunk[..count]),
            Err(error) => return Err(link.closed_without_a_frame(Some(&error)).call_error()),
        }
    }
}

/// The session when `body` is the answer to the login, `None` when it is something to skip.
fn answer(body: &Bytes) -> Result<Option<Session>, ClientError> {
    let frame = sluice_codec::open_server_frame(body).map_err(|error| malformed(&error))?;
    match frame.body {
        Some(Body::Reply(reply)) if frame.request_id == LOGIN_REQUEST_ID => match reply.result {
            Some(reply::Result::Login(result)) if reply.code == 0 => Ok(Some(result.into())),
            _ if reply.code == 0 => Err(ClientError::unexpected_reply()),
            _ => Err(ClientError::of_reply(reply)),
        },
        Some(Body::Close(close)) => Err(Closed::by_server(close).call_error()),
        _ => Ok(None),
    }
}

fn malformed(error: &sluice_codec::FrameError) -> ClientError {
    ClientError::new(error.code(), "", error.to_string())
}
