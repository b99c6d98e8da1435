//! The QUIC endpoint, and the handshake up to the control stream.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::{Connection, Endpoint, EndpointConfig, Incoming, ServerConfig, TokioRuntime, VarInt};
use sluice_protocol::ErrorCode;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::time::timeout;

use crate::transport::Quic;

/// What the kernel may hold for the endpoint in each direction: bursts to thousands of connections share one socket.
const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// A QUIC handshake that came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QuicError {
    #[error("the handshake took too long")]
    HandshakeTimeout,
    #[error(transparent)]
    Connection(#[from] quinn::ConnectionError),
    #[error("the client opened no stream in time")]
    NoStream,
}

/// The socket of the endpoint.
///
/// # Errors
/// When the address is in use or not ours.
pub(crate) fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    // The kernel gives what it is configured to allow.
    socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES)?;
    socket.set_send_buffer_size(SOCKET_BUFFER_BYTES)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// The endpoint, driven by the runtime this is called on.
///
/// # Errors
/// When the socket cannot be used.
pub(crate) fn endpoint(socket: UdpSocket, config: ServerConfig) -> io::Result<Endpoint> {
    Endpoint::new(EndpointConfig::default(), Some(config), socket, Arc::new(TokioRuntime))
}

/// Completes the handshake.
///
/// # Errors
/// When it fails or takes too long; the connection is dropped then.
pub(crate) async fn handshake(incoming: Incoming, longest: Duration) -> Result<Connection, QuicError> {
    let connected = timeout(longest, incoming.accept()?).await;
    Ok(connected.map_err(|_| QuicError::HandshakeTimeout)??)
}

/// Waits for the client's control stream.
///
/// # Errors
/// When the client opens none in time; the connection is closed then.
pub(crate) async fn control_stream(connection: Connection, longest: Duration) -> Result<Quic, QuicError> {
    match timeout(longest, connection.accept_bi()).await {
        Ok(stream) => {
            let (send, receive) = stream?;
            Ok(Quic::new(connection, send, receive))
        }
        Err(_) => {
            // There is no stream for a last frame, but the code can be said.
            let code = VarInt::from_u32(ErrorCode::LOGIN_TIMEOUT.number().unsigned_abs());
            connection.close(code, b"");
            Err(QuicError::NoStream)
        }
    }
}
