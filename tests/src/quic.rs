//! QUIC as a client has it.

use std::net::Ipv4Addr;
use std::sync::Arc;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{Connection, ConnectionError, Endpoint};

use crate::target::SERVER_NAME;
use crate::{Target, Transport, tls_client_config, within};

/// A QUIC connection to `target` that offers the application protocols `alpn`. It lives as long as the endpoint is held.
///
/// # Errors
/// What the handshake came to.
///
/// # Panics
/// When it comes to nothing.
pub async fn quic_connect(target: &Target, alpn: &[&[u8]]) -> Result<(Endpoint, Connection), ConnectionError> {
    let crypto = QuicClientConfig::try_from(tls_client_config(target, alpn)).expect("TLS 1.3 suits QUIC");
    let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).expect("a port for a client");
    let connecting = endpoint
        .connect_with(
            quinn::ClientConfig::new(Arc::new(crypto)),
            target.address(Transport::Quic),
            SERVER_NAME,
        )
        .expect("a name that can be asked for");
    let connection = within("a QUIC connection", connecting).await?;
    Ok((endpoint, connection))
}
