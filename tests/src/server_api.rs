//! Calls of the server API, byte by byte: what the vendor's libraries do, and what no library would.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::{digest, hmac};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{API_SECRET, APP_KEY, within};

/// A call that is not sent yet. Begin with [`ApiCall::new`], which is signed as the vendor's libraries do it.
#[derive(Debug, Clone)]
pub struct ApiCall {
    /// `POST`, and others for tests of them.
    pub method: String,
    /// Such as `/user/block.json`.
    pub path: String,
    /// All but `Host`, `Content-Length` and `Connection`.
    pub headers: Vec<(String, String)>,
    /// As it goes over the wire.
    pub body: Vec<u8>,
}

/// What came back.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiAnswer {
    /// The HTTP status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body; null where it is no JSON.
    pub json: Value,
}

impl ApiCall {
    /// A call of the app [`APP_KEY`] with [`API_SECRET`] and a form of these fields, signed with SHA-1.
    #[must_use]
    pub fn new(path: &str, fields: &[(&str, &str)]) -> Self {
        Self::of(APP_KEY, API_SECRET, path, fields)
    }

    /// The same of another app or with another secret.
    #[must_use]
    pub fn of(app: &str, secret: &str, path: &str, fields: &[(&str, &str)]) -> Self {
        let (nonce, timestamp) = ("8501426", "1795259670");
        let call = Self::unsigned(path, fields);
        call.header("App-Key", app)
            .header("Nonce", nonce)
            .header("Timestamp", timestamp)
            .header("Signature", &sha1_signature(secret, nonce, timestamp))
    }

    /// A call that says nothing of who asks.
    #[must_use]
    pub fn unsigned(path: &str, fields: &[(&str, &str)]) -> Self {
        let pairs: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
            .collect();
        let call = Self {
            method: "POST".to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: pairs.join("&").into_bytes(),
        };
        call.header("Content-Type", "application/x-www-form-urlencoded")
    }

    /// The same with HMAC-SHA256 over all of it, at this time in milliseconds.
    #[must_use]
    pub fn with_hmac(mut self, app: &str, secret: &str, nonce: &str, unix_ms: i64) -> Self {
        let signing = ["app-key", "nonce", "timestamp", "signature"];
        self.headers
            .retain(|(name, _)| !signing.contains(&name.to_ascii_lowercase().as_str()));
        let timestamp = unix_ms.to_string();
        let signature = hmac_signature(secret, &self.method, &self.path, &timestamp, nonce, &self.body);
        self.header("App-Key", app)
            .header("Nonce", nonce)
            .header("Timestamp", &timestamp)
            .header("Signature-Method", "HMAC-SHA256")
            .header("Signature", &signature)
    }

    /// The same with one more header, or another value of it.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same without a header.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        self
    }

    /// The same with this body of JSON.
    #[must_use]
    pub fn json(mut self, body: &Value) -> Self {
        self.body = body.to_string().into_bytes();
        self.header("Content-Type", "application/json")
    }

    /// As bytes, for a connection that ends with the answer.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut head = format!(
            "{} {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n",
            self.method, self.path
        );
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("Content-Length: {}\r\n\r\n", self.body.len()));
        [head.into_bytes(), self.body.clone()].concat()
    }

    /// Sends it on a connection of its own.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn send(&self, address: SocketAddr) -> ApiAnswer {
        let stream = TcpStream::connect(address)
            .await
            .expect("the server API takes connections");
        exchange(stream, &self.bytes()).await
    }
}

impl ApiAnswer {
    /// The value of a header, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The code in the body.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn code(&self) -> i64 {
        self.json["code"]
            .as_i64()
            .unwrap_or_else(|| panic!("a code in {self:?}"))
    }
}

/// Sends `bytes` and reads the answer to the end of the connection.
///
/// # Panics
/// When what comes is no answer of HTTP.
pub async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, bytes: &[u8]) -> ApiAnswer {
    within("an answer of the server API", async {
        // A server that has read enough may answer and close before it has all.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        // It may also close with something unread, which is a reset; what came before it counts.
        let _ = stream.read_to_end(&mut answer).await;
        parse(&answer)
    })
    .await
}

fn parse(answer: &[u8]) -> ApiAnswer {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("a head in {text:?}"));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let status = status.and_then(|status| status.parse().ok());
    let headers = lines.filter_map(|line| line.split_once(": "));
    ApiAnswer {
        status: status.unwrap_or_else(|| panic!("a status in {head:?}")),
        headers: headers
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect(),
        json: serde_json::from_str(body).unwrap_or(Value::Null),
    }
}

/// The signature of the vendor's libraries.
#[must_use]
pub fn sha1_signature(secret: &str, nonce: &str, timestamp: &str) -> String {
    let text = format!("{secret}{nonce}{timestamp}");
    hex(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()).as_ref())
}

/// The signature over all of a call.
#[must_use]
pub fn hmac_signature(secret: &str, method: &str, path: &str, timestamp: &str, nonce: &str, body: &[u8]) -> String {
    let body = hex(digest::digest(&digest::SHA256, body).as_ref());
    let text = format!("{method}\n{path}\n{timestamp}\n{nonce}\n{body}");
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hex(hmac::sign(&key, text.as_bytes()).as_ref())
}

/// Now, in milliseconds since 1970.
///
/// # Panics
/// Before 1970.
#[must_use]
pub fn unix_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(now.as_millis()).expect("before the year 292 million")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// As in a form: everything but letters and digits in percent signs.
fn encoded(text: &str) -> String {
    let byte = |byte: u8| {
        if byte.is_ascii_alphanumeric() {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(byte).collect()
}
