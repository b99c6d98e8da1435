//! TLS for both encrypted transports: one certificate, one crypto provider, one application protocol.

use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{IdleTimeout, TransportConfig, ValidationTokenConfig, VarInt};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs;
use rustls::sign::SingleCertAndKey;
use sluice_protocol::{ALPN, ErrorCode};

use crate::config::{CertificateError, Config, TlsVersion};
use crate::refusal::Refusal;

/// Bidirectional streams a client may have open: the control stream.
const QUIC_STREAMS_MAX: u32 = 1;
/// What a client may send ahead of being read, on the stream and on the connection: one longest frame. It is also what a client
/// can make us keep by leaving a gap in front of it.
const QUIC_RECEIVE_WINDOW_BYTES: u32 = 64 * 1024;
/// What waits for acknowledgement by one client.
const QUIC_SEND_WINDOW_BYTES: u64 = 256 * 1024;
/// Datagrams that wait for one client, their bookkeeping included; what comes on top goes by the stream.
const QUIC_DATAGRAM_SEND_BYTES: usize = 64 * 1024;
/// Longest datagram a client may send: it is told that we read none, and one that sends them all the same is cut off. "Off"
/// would be the way to say so, were it not that quinn sends none then either.
const QUIC_DATAGRAM_RECEIVE_BYTES: usize = 0;
/// Connections whose handshake has not been looked at, in the whole gateway; and what an endpoint may have of them at least, so
/// that many workers do not make a burst on one of them a loss.
const QUIC_INCOMING_MAX: usize = 1024;
const QUIC_INCOMING_OF_ENDPOINT_MIN: usize = 64;
/// What each of those may have sent.
const QUIC_INCOMING_BYTES_MAX: u64 = 16 * 1024;
/// Tokens that spare a client the proof of its address, for each address it was seen at: for the next connection.
const QUIC_ADDRESS_TOKENS: u32 = 1;

/// The certificate or its key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or used, or the two do not match.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// TLS cannot be set up with them.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// QUIC cannot be set up with them.
    #[error("the certificate cannot be used for QUIC: {0}")]
    Quic(#[from] quinn::crypto::rustls::NoInitialCipherSuite),
}

/// The one crypto provider.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// TLS for connections over TCP.
///
/// # Errors
/// When certificate or key cannot be used.
pub(crate) fn tls_config(config: &Config) -> Result<Arc<rustls::ServerConfig>, TlsError> {
    let versions: &[&rustls::SupportedProtocolVersion] = match config.tls.minimum_version {
        TlsVersion::V1_2 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        TlsVersion::V1_3 => &[&rustls::version::TLS13],
    };
    Ok(Arc::new(server_config(config, versions)?))
}

/// TLS for the server API, which speaks HTTP/1.1.
///
/// # Errors
/// When certificate or key cannot be used.
pub(crate) fn api_tls_config(config: &Config) -> Result<Arc<rustls::ServerConfig>, TlsError> {
    let mut tls = rustls::ServerConfig::clone(&*tls_config(config)?);
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(tls))
}

/// TLS and transport limits for QUIC, for each of so many endpoints. They must all have clones of it: the key of the tokens by
/// which clients prove their address is in it.
///
/// # Errors
/// When certificate or key cannot be used.
pub(crate) fn quic_config(config: &Config, endpoints: usize) -> Result<quinn::ServerConfig, TlsError> {
    let tls = server_config(config, &[&rustls::version::TLS13])?;
    let mut quic = quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(QUIC_STREAMS_MAX.into())
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(QUIC_RECEIVE_WINDOW_BYTES.into())
        .receive_window(QUIC_RECEIVE_WINDOW_BYTES.into())
        .send_window(QUIC_SEND_WINDOW_BYTES)
        .datagram_receive_buffer_size(Some(QUIC_DATAGRAM_RECEIVE_BYTES))
        .datagram_send_buffer_size(QUIC_DATAGRAM_SEND_BYTES)
        // Every path takes 1200 bytes, which is more than most frames. Looking for more costs each new connection half a dozen full
        // packets, and each idle one the buffer for them.
        .mtu_discovery_config(None)
        .max_idle_timeout(Some(idle_timeout(config)));
    let incoming_max = (QUIC_INCOMING_MAX / endpoints.max(1)).max(QUIC_INCOMING_OF_ENDPOINT_MIN);
    let mut address_tokens = ValidationTokenConfig::default();
    address_tokens.sent(QUIC_ADDRESS_TOKENS);
    quic.transport_config(Arc::new(transport))
        .validation_token_config(address_tokens)
        .max_incoming(incoming_max)
        .incoming_buffer_size(QUIC_INCOMING_BYTES_MAX)
        .incoming_buffer_size_total(QUIC_INCOMING_BYTES_MAX * incoming_max as u64);
    Ok(quic)
}

/// Clients must name the protocol, so that no other TLS service can be talked into speaking to this one.
///
/// # Errors
/// When they did not.
pub(crate) fn check_alpn(alpn: Option<&[u8]>) -> Result<(), Refusal> {
    if alpn == Some(ALPN) {
        Ok(())
    } else {
        Err(Refusal::with_detail(ErrorCode::PROTOCOL_VERSION, "alpn"))
    }
}

/// The heartbeat finds silent clients, with a code; QUIC's own timeout only cleans up after that.
fn idle_timeout(config: &Config) -> IdleTimeout {
    let silence = config.connections.heartbeat_interval * 4 + Duration::from_secs(10);
    IdleTimeout::try_from(silence).unwrap_or(IdleTimeout::from(VarInt::MAX))
}

fn server_config(
    config: &Config,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Result<rustls::ServerConfig, TlsError> {
    let pair = Arc::new(config.tls.certified_key()?);
    let mut tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(pair)));
    tls.alpn_protocols = vec![ALPN.to_vec()];
    // Reconnecting clients resume; the default would remember 256 of them.
    tls.ticketer = aws_lc_rs::Ticketer::new()?;
    tls.send_tls13_tickets = 1;
    // Replayed early data could log in or send twice.
    tls.max_early_data_size = 0;
    Ok(tls)
}
