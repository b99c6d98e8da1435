//! QUIC as a client has it.

mod relay;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError, ConnectionId, Endpoint};

use crate::target::SERVER_NAME;
use crate::{Target, Transport, tls_client_config, within};

pub use relay::{Direction, QuicRelay};

/// What [`quic_connect`] connects with: trusts the certificate of `target` and offers the application protocols `alpn`.
///
/// # Panics
/// When the certificate cannot be read.
#[must_use]
pub fn quic_client_config(target: &Target, alpn: &[&[u8]]) -> ClientConfig {
    let crypto = QuicClientConfig::try_from(tls_client_config(target, alpn)).expect("TLS 1.3 suits QUIC");
    ClientConfig::new(Arc::new(crypto))
}

/// Lets a client begin at this worker, of those that have a QUIC endpoint: clients choose the id that their first packets go to,
/// usually at random, and its first two bytes name the worker.
pub fn begin_at_worker(config: &mut ClientConfig, worker: u16) {
    // A second connection that begins with the same id is taken for the first.
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    config.initial_dst_cid_provider(Arc::new(move || {
        let [a, b] = worker.to_be_bytes();
        let [c, d, e, f] = NUMBER.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        ConnectionId::new(&[a, b, c, d, e, f, 0, 0])
    }));
}

/// A QUIC connection to `address`, from an address of loopback. It lives as long as the endpoint is held.
///
/// # Errors
/// What the handshake came to.
///
/// # Panics
/// When it comes to nothing.
pub async fn quic_connect_to(
    address: SocketAddr,
    config: ClientConfig,
) -> Result<(Endpoint, Connection), ConnectionError> {
    let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).expect("a port for a client");
    let connecting = endpoint
        .connect_with(config, address, SERVER_NAME)
        .expect("a name that can be asked for");
    let connection = within("a QUIC connection", connecting).await?;
    Ok((endpoint, connection))
}

/// A QUIC connection to `target` that offers the application protocols `alpn`. It lives as long as the endpoint is held.
///
/// # Errors
/// What the handshake came to.
///
/// # Panics
/// When it comes to nothing.
pub async fn quic_connect(target: &Target, alpn: &[&[u8]]) -> Result<(Endpoint, Connection), ConnectionError> {
    quic_connect_to(target.address(Transport::Quic), quic_client_config(target, alpn)).await
}
