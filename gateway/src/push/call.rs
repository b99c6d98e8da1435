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
    /// Over TLS.
    tls: Option<(TlsConnector, ServerName<'static>)>,
    secret: Secret,
}

/// Whether an address is of a server that is spoken to over TLS.
pub(super) fn is_https(address: &Uri) -> bool {
    address.scheme() == Some(&Scheme::HTTPS)
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Caller")
            .field("app", &self.app)
            .field("address", &self.address)
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
        let tls = match tls {
            Some(config) => Some((TlsConnector::from(config), ServerName::try_from(host.clone()).ok()?)),
            None => None,
        };
        Some(Self {
            app: app.to_owned(),
            host,
            port,
            tls,
            secret,
            address,
        })
    }

    pub(super) fn app(&self) -> &str {
        &self.app
    }

    /// Calls once; or twice, where a connection that was kept turns out to be gone. Leaves one in `connection` that can be used again.
    pub(super) async fn call(&self, connection: &mut Option<Open>, id: &str, body: &Bytes) -> Called {
        let kept = connection.take().filter(|kept| !kept.is_closed());
        let was_kept = kept.is_some();
        match self.try_call(kept, connection, id, body).await {
            Called::Failed { .. } if was_kept => self.try_call(None, connection, id, body).await,
            called => called,
        }
    }

    async fn try_call(&self, kept: Option<Open>, connection: &mut Option<Open>, id: &str, body: &Bytes) -> Called {
        let calling = async {
            let mut open = match kept {
                Some(open) => open,
                None => self.connect().await?,
            };
            open.ready().await.map_err(io::Error::other)?;
            let answer = open.send_request(self.request(id, body)?).await;
            let called = judge(answer.as_ref().map(Response::status), retry_after(&answer));
            if let Ok(answer) = answer
                && Limited::new(answer.into_body(), ANSWER_BYTES_MAX)
                    .collect()
                    .await
                    .is_ok()
            {
                *connection = Some(open);
            }
            Ok::<_, io::Error>(called)
        };
        match tokio::time::timeout(CALL_TIMEOUT, calling).await {
            Ok(Ok(called)) => called,
            Ok(Err(error)) => failed(error.to_string()),
            Err(_) => failed("no answer in time".to_owned()),
        }
    }

    async fn connect(&self) -> io::Result<Open> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            Some((connector, name)) => open(connector.connect(name.clone(), stream).await?).await,
            None => open(stream).await,
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

fn failed(why: String) -> Called {
    Called::Failed { why, retry_after: None }
}

/// What an answer means. What is wrong with a request stays wrong; what is wrong with a server may pass.
fn judge(answer: Result<StatusCode, &hyper::Error>, retry_after: Option<Duration>) -> Called {
    match answer {
        Ok(status) if status.is_success() => Called::Taken,
        Ok(status @ (StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)) => Called::Failed {
            why: status.to_string(),
            retry_after,
        },
        Ok(status) if status.is_server_error() => Called::Failed {
            why: status.to_string(),
            retry_after,
        },
        Ok(status) => Called::Refused(status.as_u16()),
        Err(error) => failed(error.to_string()),
    }
}

/// When the hook wants to be called again, where it says so in seconds.
fn retry_after(answer: &Result<Response<Incoming>, hyper::Error>) -> Option<Duration> {
    let value = answer.as_ref().ok()?.headers().get(RETRY_AFTER)?;
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
        let judged = |status: u16| {
            let status = StatusCode::from_u16(status).unwrap();
            judge(Ok(status), None)
        };
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
