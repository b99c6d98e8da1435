//! Opening a connection: from an address to a pair of byte streams, the same for all transports.
//!
//! Everything after this module speaks frames and does not know what carries them.

mod quic;
mod tcp;
mod tls;

use std::fmt;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use sluice_protocol::ErrorCode;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::error::ClientError;
use crate::event::Closed;
use crate::options::{Options, Transport};

/// How long opening may take, name look-up and all handshakes included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// An open connection.
pub(crate) struct Link {
    pub(crate) reader: Box<dyn AsyncRead + Send + Unpin>,
    pub(crate) writer: Box<dyn AsyncWrite + Send + Unpin>,
    pub(crate) datagrams: Datagrams,
    /// On QUIC, what the streams belong to.
    quic: Option<quic::Carrier>,
}

impl Link {
    /// A link over two halves of a byte stream.
    pub(crate) fn of_stream(
        reader: impl AsyncRead + Send + Unpin + 'static,
        writer: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Self {
        Self {
            reader: Box::new(reader),
            writer: Box::new(writer),
            datagrams: Datagrams(None),
            quic: None,
        }
    }

    /// Why the link ended, when the server sent no last frame: `error` is what reading it said, or `None` at the end of
    /// the stream.
    pub(crate) fn closed_without_a_frame(&self, error: Option<&io::Error>) -> Closed {
        // On QUIC the server's reason is in the connection's close as well, and may arrive without the last frame.
        if let Some(closed) = self.quic.as_ref().and_then(quic::Carrier::close_reason) {
            return closed;
        }
        match error {
            None => Closed::new(
                ErrorCode::SOCKET_DISCONNECTED,
                "end_of_stream",
                "the server ended the connection",
            ),
            Some(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Closed::new(ErrorCode::SOCKET_DISCONNECTED, "end_of_stream", error.to_string())
            }
            Some(error) => Closed::new(ErrorCode::SOCKET_DISCONNECTED, "reset", error.to_string()),
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("quic", &self.quic.is_some())
            .finish_non_exhaustive()
    }
}

/// What comes beside the stream: on QUIC, if the options want it.
pub(crate) struct Datagrams(Option<quinn::Connection>);

impl Datagrams {
    /// The next datagram. Waits for ever where there are none and when the connection has ended, which reading the stream shows.
    /// Cancel safe.
    pub(crate) async fn next(&self) -> Bytes {
        if let Some(connection) = &self.0
            && let Ok(datagram) = connection.read_datagram().await
        {
            return datagram;
        }
        std::future::pending().await
    }
}

/// Opens the transport that `options` ask for.
pub(crate) async fn connect(options: &Options) -> Result<Link, ClientError> {
    let opening = async {
        match options.transport {
            Transport::Tcp => tcp::connect(options).await,
            Transport::Tls => tls::connect(options).await,
            Transport::Quic => quic::connect(options).await,
        }
    };
    match tokio::time::timeout(CONNECT_TIMEOUT, opening).await {
        Ok(outcome) => outcome,
        Err(_) => Err(failed(
            "timeout",
            format!(
                "{} did not answer within {} s",
                options.address,
                CONNECT_TIMEOUT.as_secs()
            ),
        )),
    }
}

/// The transport could not be opened; `detail` is one of the stable words of code 30010.
fn failed(detail: &'static str, message: impl Into<String>) -> ClientError {
    ClientError::new(ErrorCode::SOCKET_CREATE_FAILED, detail, message)
}

/// A failure below any handshake: looking up the name, reaching the host.
fn unreachable(options: &Options, error: &io::Error) -> ClientError {
    let message = format!("{}: {error}", options.address);
    match error.kind() {
        io::ErrorKind::ConnectionRefused => failed("refused", message),
        io::ErrorKind::TimedOut => failed("timeout", message),
        io::ErrorKind::InvalidInput => ClientError::invalid("address", message),
        _ => failed("unreachable", message),
    }
}
