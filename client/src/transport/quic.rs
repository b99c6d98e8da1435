//! QUIC: the one bidirectional stream that a client opens first carries exactly what TCP carries.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, ConnectError, Connection, ConnectionError, Endpoint, TransportConfig, TransportErrorCode};
use sluice_protocol::ErrorCode;

use super::{Datagrams, Link, failed, tls, unreachable};
use crate::error::ClientError;
use crate::event::Closed;
use crate::options::Options;

/// Bytes the server may have under way on the stream and on the connection, and this client to the server: a quarter of
/// the largest server frame, and 25 Mbit/s at a round trip of 80 ms.
const WINDOW_BYTES: u32 = 256 * 1024;

/// Datagrams that wait while the app is busy with earlier events; the oldest make room. Some hundred comments of usual length,
/// which nobody could read in the time.
const DATAGRAM_BYTES: usize = 64 * 1024;

/// The TLS alert a server answers when no application protocol suits it.
const ALERT_NO_APPLICATION_PROTOCOL: u8 = 120;

/// What the control stream belongs to. The connection ends when this is dropped.
#[derive(Debug)]
pub(super) struct Carrier {
    connection: Connection,
    /// Drives the connection as long as it is held.
    _endpoint: Endpoint,
}

impl Carrier {
    /// The reason the server gave when it closed the connection. Code 0 is what an endpoint says that just went away.
    pub(super) fn close_reason(&self) -> Option<Closed> {
        let ConnectionError::ApplicationClosed(close) = self.connection.close_reason()? else {
            return None;
        };
        let code = i32::try_from(close.error_code.into_inner())
            .ok()
            .filter(|code| *code != 0)?;
        Some(Closed::new(
            ErrorCode::from(code),
            "",
            String::from_utf8_lossy(&close.reason),
        ))
    }
}

pub(super) async fn connect(options: &Options) -> Result<Link, ClientError> {
    let tls = tls::client_config(options, &[&rustls::version::TLS13]).await?;
    let crypto = QuicClientConfig::try_from(tls).map_err(|error| failed("tls", error.to_string()))?;
    let mut config = ClientConfig::new(Arc::new(crypto));
    config.transport_config(Arc::new(transport_config(options.datagrams)));

    let addresses = tokio::net::lookup_host(&options.address)
        .await
        .map_err(|error| unreachable(options, &error))?;
    let mut failure = failed("unreachable", format!("{} has no address", options.address));
    for address in addresses {
        match open(options, config.clone(), address).await {
            Ok(link) => return Ok(link),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

async fn open(options: &Options, config: ClientConfig, address: SocketAddr) -> Result<Link, ClientError> {
    let local = match address {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let endpoint = Endpoint::client(local).map_err(|error| unreachable(options, &error))?;
    let connection = endpoint
        .connect_with(config, address, options.effective_server_name())
        .map_err(|error| not_started(options, &error))?
        .await
        .map_err(|error| handshake_failed(options, &error))?;
    let (writer, reader) = connection
        .open_bi()
        .await
        .map_err(|error| handshake_failed(options, &error))?;
    let mut link = Link::of_stream(reader, writer);
    link.datagrams = Datagrams(options.datagrams.then(|| connection.clone()));
    link.quic = Some(Carrier {
        connection,
        _endpoint: endpoint,
    });
    Ok(link)
}

/// Only the control stream is used, so the server may open none. It sends datagrams only to a client that says how long they may be.
fn transport_config(datagrams: bool) -> TransportConfig {
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(0_u32.into())
        .max_concurrent_uni_streams(0_u32.into())
        .stream_receive_window(WINDOW_BYTES.into())
        .receive_window(WINDOW_BYTES.into())
        .send_window(WINDOW_BYTES.into())
        .datagram_receive_buffer_size(datagrams.then_some(DATAGRAM_BYTES))
        // The heartbeat finds a dead server, at the interval which the server announces only after the handshake.
        .max_idle_timeout(None);
    config
}

fn not_started(options: &Options, error: &ConnectError) -> ClientError {
    match error {
        ConnectError::InvalidServerName(_) => ClientError::invalid("server_name", error.to_string()),
        _ => failed("unreachable", format!("{}: {error}", options.address)),
    }
}

fn handshake_failed(options: &Options, error: &ConnectionError) -> ClientError {
    let no_application_protocol = TransportErrorCode::crypto(ALERT_NO_APPLICATION_PROTOCOL);
    let transport_code = match error {
        ConnectionError::TransportError(error) => Some(error.code),
        ConnectionError::ConnectionClosed(close) => Some(close.error_code),
        _ => None,
    };
    let detail = match (error, transport_code) {
        (ConnectionError::TimedOut, _) => "timeout",
        (_, Some(code)) if code == no_application_protocol => "alpn",
        (_, Some(TransportErrorCode::CONNECTION_REFUSED)) => "refused",
        (ConnectionError::Reset, _) => "unreachable",
        _ => "tls",
    };
    failed(detail, format!("{}: {error}", options.address))
}
