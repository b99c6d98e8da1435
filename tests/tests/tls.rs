//! TLS over TCP: clients that come back resume, and what is pending goes in full records.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use rustls::{ClientConfig, HandshakeKind};
use rustls_pki_types::ServerName;
use sluice_protocol::frame::Body;
use sluice_protocol::{ALPN, MessageType, Ping};
use sluice_tests::{Gateway, RawClient, Target, Transport, tls_client_config, wait_until, within};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::rooms::{enter, enter_room, message, next_message, no_rate_limits};

/// Enough to come to both workers.
const RETURNS: u32 = 16;

/// Small ones; a record each would be so many records.
const MESSAGES: usize = 2000;
const MESSAGE_BYTES: usize = 100;

/// Of one record: what TLS allows.
const RECORD_BYTES_MAX: usize = 16 * 1024;

/// What encryption adds to one at most.
const RECORD_OVERHEAD_MAX: usize = 256;

/// A record's first byte when it carries data.
const APPLICATION_DATA: u8 = 23;

/// The type, the version, and the length.
const HEADER_BYTES: usize = 5;

/// Connects with `config`, which remembers the sessions it had.
async fn connect<S: AsyncRead + AsyncWrite + Unpin>(config: &Arc<ClientConfig>, stream: S) -> TlsStream<S> {
    let name = ServerName::try_from("localhost").expect("a valid name");
    let connecting = TlsConnector::from(config.clone()).connect(name, stream);
    within("a TLS connection", connecting).await.expect("TLS is agreed on")
}

async fn tcp(target: &Target) -> TcpStream {
    let stream = TcpStream::connect(target.address(Transport::Tls)).await;
    stream.expect("TCP takes connections")
}

#[tokio::test]
async fn clients_that_come_back_resume_their_session_whichever_worker_they_come_to() {
    let gateway = Gateway::start(|_| ());
    let config = Arc::new(tls_client_config(&gateway, &[ALPN]));
    for number in 0..=RETURNS {
        let stream = connect(&config, tcp(&gateway).await).await;
        let kind = stream.get_ref().1.handshake_kind();
        let expected = if number == 0 {
            HandshakeKind::Full
        } else {
            HandshakeKind::Resumed
        };
        assert_eq!(kind, Some(expected), "connection {number}");
        // The ticket for the next time comes behind the handshake, before the first answer.
        let mut client = RawClient::of_stream(&gateway, Transport::Tls, stream);
        client.login("alice").await;
        assert_eq!(client.call(1, Body::Ping(Ping {})).await.code, 0);
    }
    wait_until("resumptions are counted", async || {
        gateway.metric("sluice_tls_resumed_total").await == f64::from(RETURNS)
    })
    .await;
}

/// Records that carry data, by their size, as they come over the wire.
#[derive(Debug, Default)]
struct Records {
    header: Vec<u8>,
    /// Bytes of the record under way that are still to come.
    rest: usize,
    sizes: Vec<usize>,
}

impl Records {
    fn see(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.rest > 0 {
                let taken = self.rest.min(bytes.len());
                self.rest -= taken;
                bytes = &bytes[taken..];
                continue;
            }
            let taken = (HEADER_BYTES - self.header.len()).min(bytes.len());
            self.header.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if let [kind, _, _, high, low] = self.header[..] {
                self.rest = u16::from_be_bytes([high, low]).into();
                if kind == APPLICATION_DATA {
                    self.sizes.push(self.rest);
                }
                self.header.clear();
            }
        }
    }
}

/// A socket whose records are counted on their way in.
struct Tap {
    stream: TcpStream,
    records: Arc<Mutex<Records>>,
}

impl AsyncRead for Tap {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
        this.records.lock().expect("no panic").see(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tap {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn a_burst_of_small_messages_comes_in_few_full_records() {
    let gateway = Gateway::start(no_rate_limits);
    let records = Arc::<Mutex<Records>>::default();
    let tap = Tap {
        stream: tcp(&gateway).await,
        records: records.clone(),
    };
    let config = Arc::new(tls_client_config(&gateway, &[ALPN]));
    let mut reader = RawClient::of_stream(&gateway, Transport::Tls, connect(&config, tap).await);
    reader.login("reader").await;
    enter(&mut reader, 1, enter_room("lobby")).await;
    let mut sender = RawClient::online(&gateway, Transport::Tcp, "sender").await;
    enter(&mut sender, 1, enter_room("lobby")).await;
    assert!(matches!(reader.event().await, Body::RoomMemberJoined(_)));

    let before = records.lock().expect("no panic").sizes.len();
    let small = Body::SendMessage(message("lobby", MessageType::Text, vec![b'x'; MESSAGE_BYTES]));
    sender.send_together(100, vec![small; MESSAGES]).await;
    for sequence in 1..=MESSAGES as u64 {
        assert_eq!(next_message(&mut reader).await.sequence, sequence);
    }
    let sizes = records.lock().expect("no panic").sizes.split_off(before);
    // However the burst was cut on its way in: a worker takes some hundred messages at a time.
    assert!(sizes.len() <= MESSAGES / 16, "{} records", sizes.len());
    let full = sizes.iter().filter(|bytes| **bytes >= RECORD_BYTES_MAX).count();
    assert!(full * 4 >= sizes.len(), "{full} of {} are full", sizes.len());
    assert!(
        sizes
            .iter()
            .all(|bytes| *bytes <= RECORD_BYTES_MAX + RECORD_OVERHEAD_MAX)
    );
}
