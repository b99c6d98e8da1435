//! The QUIC endpoints, one for each worker, and the handshake up to the control stream.
//!
//! All endpoints share one UDP port, one key for stateless resets and one for the tokens of clients whose address was proven
//! before. Which endpoint a packet belongs to is decided by its connection id (`steering.rs`).

mod connection_ids;
mod secret;
mod sockets;
mod steering;

use std::io;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use quinn::{Connection, Endpoint, EndpointConfig, Incoming, ServerConfig, TokioRuntime, VarInt};
use sluice_protocol::ErrorCode;
use tokio::time::timeout;

use crate::transport::Quic;
use connection_ids::ConnectionIds;

pub(crate) use secret::ResetSecret;
pub use secret::ResetSecretError;
pub(crate) use sockets::{Sockets, bind};

/// Handshakes under way in the whole gateway, beyond which a new client has to prove its address first.
const PENDING_MAX: usize = 200;

/// The share of one endpoint in that is no less: an ordinary burst should not cost clients a round trip.
const PENDING_OF_ENDPOINT_MIN: usize = 32;

/// Between two stateless resets of one endpoint: a thousand clients a second learn of a restart. More seldom would be safer only
/// if noise were answered at all, but ids tell whether they are ours.
const RESET_INTERVAL_MIN: Duration = Duration::from_millis(1);

/// One worker's door for QUIC.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) socket: UdpSocket,
    pub(crate) config: ServerConfig,
    pub(crate) endpoint: EndpointConfig,
    /// Handshakes under way here, beyond which a new client has to prove its address first.
    pub(crate) pending_max: usize,
}

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

/// The doors behind these sockets, in their order.
pub(crate) fn doors(sockets: Vec<UdpSocket>, config: &ServerConfig, secret: &ResetSecret) -> Vec<Door> {
    let endpoints = u16::try_from(sockets.len()).expect("as many as were asked for with 16 bits");
    let pending_max = (PENDING_MAX / usize::from(endpoints).max(1)).max(PENDING_OF_ENDPOINT_MIN);
    let id_key = secret.id_key();
    let reset_key = secret.reset_key();
    (0..endpoints)
        .zip(sockets)
        .map(|(place, socket)| {
            let ids = ConnectionIds::new(id_key.clone(), place, endpoints);
            let mut endpoint = EndpointConfig::new(reset_key.clone());
            endpoint
                .cid_generator(move || Box::new(ids.clone()))
                .min_reset_interval(RESET_INTERVAL_MIN);
            Door {
                socket,
                config: config.clone(),
                endpoint,
                pending_max,
            }
        })
        .collect()
}

/// The endpoint, driven by the runtime this is called on.
///
/// # Errors
/// When the socket cannot be used.
pub(crate) fn endpoint(socket: UdpSocket, config: ServerConfig, endpoint: EndpointConfig) -> io::Result<Endpoint> {
    Endpoint::new(endpoint, Some(config), socket, Arc::new(TokioRuntime))
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

#[cfg(test)]
mod tests;
