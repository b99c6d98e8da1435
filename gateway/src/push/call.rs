//! One call of a hook: a signed POST over HTTP/1.1, on a connection that is kept for the next.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, RETRY_AFTER, USER_AGENT};
use hyper::http::uri::Scheme;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::clock::Now;
use crate::config::Secret;

/// How long one call may take, from looking up the name to the end of the answer.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// The most of an answer that is read. Nothing in it matters but the status; a connection with more on it is not used again.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

const HTTP_PORT: u16 = 80;
const HTTPS_PORT: u16 = 443;

const APP: HeaderName = HeaderName::from_static("sluice-app-key");
const EVENT_ID: HeaderName = HeaderName::from_static("sluice-event-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("sluice-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("sluice-signature");

/// A connection that can be used.
pub(super) type Open = SendRequest<Full<Bytes>>;

/// What came of a call.
#[derive(Debug)]
pub(super) enum Called {
    Taken,
    /// The answer says that another try would be in vain.
    Refused(u16),
    Failed {
        why: String,
        retry_after: Option<Duration>,
    },
}

/// Calls the hook of one app.
pub(super) struct Caller {
    app: String,
    address: Uri,
    host: String,
    port: u16,
    door: Door,
    secret: Secret,
}

/// How the hook's server is reached.
enum Door {
    Tcp,
    Tls(TlsConnector, ServerName<'static>),
    /// By pipes whose other ends go there.
    #[cfg(test)]
    Pipe(tokio::sync::mpsc::UnboundedSender<tokio::io::DuplexStream>),
}

/// Whether an address is of a server that is spoken to over TLS.
pub(super) fn is_https(address: &Uri) -> bool {
    address.scheme() == Some(&Scheme::HTTPS)
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Caller")
            .field("app", &self.app)
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

/// The signature of a body that is sent at this time.
pub(super) fn sign(secret: &Secret, timestamp: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose());
    let mut context = hmac::Context::with_key(&key);
    context.update(timestamp.as_bytes());
    context.update(b"\n");
    context.update(body);
    context
        .sign()
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

impl Caller {
    /// `None`: the address is none.
    pub(super) fn new(app: &str, address: Uri, secret: Secret, tls: Option<Arc<rustls::ClientConfig>>) -> Option<Self> {
        let authority = address.authority()?;
        // Of an address of IPv6, without what it has around it.
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let port = match (authority.port_u16(), tls.is_some()) {
            (Some(port), _) => port,
            (None, true) => HTTPS_PORT,
            (None, false) => HTTP_PORT,
        };
        let door = match tls {
            Some(config) => Door::Tls(TlsConnector::from(config), ServerName::try_from(host.clone()).ok()?),
            None => Door::Tcp,
        };
        Some(Self {
            app: app.to_owned(),
            host,
            port,
            door,
            secret,
            address,
        })
    }

    /// One that calls through pipes.
    #[cfg(test)]
    pub(super) fn through_pipes(
        app: &str,
        secret: Secret,
        pipes: tokio::sync::mpsc::UnboundedSender<tokio::io::DuplexStream>,
    ) -> Self {
        let caller = Self::new(app, Uri::from_static("http://hook.test/push"), secret, None);
        Self {
            door: Door::Pipe(pipes),
            ..caller.expect("an address")
        }
    }

    pub(super) fn app(&self) -> &str {
        &self.app
    }

    /// Calls once; or twice, where a connection that was kept turns out to be gone. Leaves one in `connection` that can be used again.
    pub(super) async fn call(&self, connection: &mut Option<Open>, id: &str, body: &Bytes) -> Called {
        match tokio::time::timeout(CALL_TIMEOUT, self.call_at_length(connection, id, body)).await {
            Ok(Ok(called)) => called,
            Ok(Err(error)) => failed(error.to_string()),
            Err(_) => failed("no answer in time".to_owned()),
        }
    }

    async fn call_at_length(&self, connection: &mut Option<Open>, id: &str, body: &Bytes) -> io::Result<Called> {
        let (open, answer) = match self.call_over_kept(connection.take(), id, body).await? {
            Some(answered) => answered,
            None => {
                let mut open = self.connect().await?;
                let answer = send(&mut open, self.request(id, body)?).await;
                (open, answer.map_err(io::Error::other)?)
            }
        };
        let called = judge(answer.status(), retry_after(&answer));
        let answer = Limited::new(answer.into_body(), ANSWER_BYTES_MAX);
        if answer.collect().await.is_ok() {
            *connection = Some(open);
        }
        Ok(called)
    }

    /// `None`: there is no such connection, or it is gone. An answer, whatever it says, and one that does not come in time are none of that: the hook is not
    /// called again at once for them.
    async fn call_over_kept(
        &self,
        kept: Option<Open>,
        id: &str,
        body: &Bytes,
    ) -> io::Result<Option<(Open, Response<Incoming>)>> {
        let Some(mut open) = kept else { return Ok(None) };
        match send(&mut open, self.request(id, body)?).await {
            Ok(answer) => Ok(Some((open, answer))),
            Err(error) if error.is_parse() => Err(io::Error::other(error)),
            Err(_) => Ok(None),
        }
    }

    async fn connect(&self) -> io::Result<Open> {
        let to_server = async || {
            let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
            stream.set_nodelay(true)?;
            Ok::<_, io::Error>(stream)
        };
        match &self.door {
            Door::Tcp => open(to_server().await?).await,
            Door::Tls(connector, name) => open(connector.connect(name.clone(), to_server().await?).await?).await,
            #[cfg(test)]
            Door::Pipe(pipes) => {
                let (ours, theirs) = tokio::io::duplex(64 * 1024);
                pipes
                    .send(theirs)
                    .map_err(|_| io::Error::from(io::ErrorKind::ConnectionRefused))?;
                open(ours).await
            }
        }
    }

    fn request(&self, id: &str, body: &Bytes) -> io::Result<Request<Full<Bytes>>> {
        let timestamp = Now::read().unix_ms.to_string();
        let signature = sign(&self.secret, &timestamp, body);
        let path = self.address.path_and_query().map_or("/", |path| path.as_str());
        let host = self.address.authority().map_or("", |authority| authority.as_str());
        Request::post(path)
            .header(HOST, host)
            .header(USER_AGENT, "sluice")
            .header(CONTENT_TYPE, "application/json")
            .header(APP, &self.app)
            .header(EVENT_ID, id)
            .header(TIMESTAMP, timestamp)
            .header(SIGNATURE, signature)
            .body(Full::new(body.clone()))
            .map_err(io::Error::other)
    }
}

async fn open(stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static) -> io::Result<Open> {
    let (open, connection) = handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    // It ends when the other half is dropped, or the server ends it; what went wrong shows in the call.
    tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok(open)
}

async fn send(open: &mut Open, request: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>> {
    open.ready().await?;
    open.send_request(request).await
}

fn failed(why: String) -> Called {
    Called::Failed { why, retry_after: None }
}

/// What an answer means. What is wrong with a request stays wrong; what is wrong with a server may pass.
fn judge(status: StatusCode, retry_after: Option<Duration>) -> Called {
    match status {
        status if status.is_success() => Called::Taken,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Called::Failed {
            why: status.to_string(),
            retry_after,
        },
        status if status.is_server_error() => Called::Failed {
            why: status.to_string(),
            retry_after,
        },
        status => Called::Refused(status.as_u16()),
    }
}

/// When the hook wants to be called again, where it says so in seconds.
fn retry_after(answer: &Response<Incoming>) -> Option<Duration> {
    let value = answer.headers().get(RETRY_AFTER)?;
    let seconds = value.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with Python's `hmac`.
    #[test]
    fn a_body_is_signed_with_the_time_before_it() {
        let secret = Secret::new("an-example-secret-of-more-than-32-bytes");
        assert_eq!(
            sign(&secret, "1795253400000", br#"{"event":"push"}"#),
            "587d50edb5633e26133d7cf9b48d843d2e6605243b7a8dd2079cef8aa69c0595"
        );
    }

    #[test]
    fn what_is_wrong_with_a_server_is_tried_again_and_what_is_wrong_with_a_request_is_not() {
        let judged = |status: u16| judge(StatusCode::from_u16(status).unwrap(), None);
        for status in [200, 202, 204] {
            assert!(matches!(judged(status), Called::Taken), "{status}");
        }
        for status in [408, 429, 500, 502, 503] {
            assert!(matches!(judged(status), Called::Failed { .. }), "{status}");
        }
        for status in [301, 400, 401, 404, 410, 413] {
            assert!(
                matches!(judged(status), Called::Refused(code) if code == status),
                "{status}"
            );
        }
    }
}
