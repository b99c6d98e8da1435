//! The three transports as two directions of bytes.

use std::io;

use quinn::{ClientConfig, ConnectionError, Endpoint};
use sluice_protocol::ALPN;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::{Target, Transport, quic_client_config, quic_connect_to, tls_connect};

/// A connection, seen as bytes.
pub(super) struct Link {
    pub(super) reader: Box<dyn AsyncRead + Send + Unpin>,
    pub(super) writer: Box<dyn AsyncWrite + Send + Unpin>,
    pub(super) quic: Option<QuicLink>,
}

/// What the control stream belongs to.
pub(super) struct QuicLink {
    connection: quinn::Connection,
    /// Drives the connection as long as it is held.
    _endpoint: Endpoint,
}

impl QuicLink {
    /// Waits for the server's end of the connection.
    pub(super) async fn closed(&self) -> ConnectionError {
        self.connection.closed().await
    }
}

impl Link {
    /// Connects as a client does that obeys the protocol.
    pub(super) async fn connect(target: &Target, transport: Transport) -> Self {
        match transport {
            Transport::Tcp => {
                let stream = TcpStream::connect(target.address(Transport::Tcp)).await;
                let stream = stream.expect("TCP takes connections");
                stream.set_nodelay(true).expect("a socket that is connected");
                Self::of_stream(stream)
            }
            Transport::Tls => Self::of_stream(tls_connect(target, &[ALPN]).await),
            Transport::Quic => Self::connect_quic(target, quic_client_config(target, &[ALPN])).await,
        }
    }

    /// Connects over QUIC with a configuration of one's own.
    pub(super) async fn connect_quic(target: &Target, config: ClientConfig) -> Self {
        let connected = quic_connect_to(target.address(Transport::Quic), config).await;
        let (endpoint, connection) = connected.expect("QUIC takes connections");
        let (writer, reader) = connection.open_bi().await.expect("the server allows a stream");
        Self {
            reader: Box::new(reader),
            writer: Box::new(writer),
            quic: Some(QuicLink {
                connection,
                _endpoint: endpoint,
            }),
        }
    }

    /// A connection that is there already.
    pub(super) fn of_stream(stream: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self {
            reader: Box::new(reader),
            writer: Box::new(writer),
            quic: None,
        }
    }
}

/// Whether reading failed because the server has closed the connection, which is as good an end as any.
pub(super) fn is_end(error: &io::Error) -> bool {
    let lost = error
        .get_ref()
        .and_then(|error| error.downcast_ref::<quinn::ReadError>());
    matches!(
        lost,
        Some(quinn::ReadError::ConnectionLost(ConnectionError::ApplicationClosed(_)))
    )
}
