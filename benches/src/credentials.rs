//! The certificate of the servers under test, and the TLS settings of both ends.
//!
//! The gateway and the bare loops serve the same certificate, and both sides of a comparison negotiate the same cipher:
//! a ratio between different ones would say nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::bench_error::{BenchError, Doing};

/// The name in the certificate.
pub(crate) const SERVER_NAME: &str = "localhost";

/// Two PEM files.
pub(crate) struct Credentials {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Credentials {
    /// Makes an ECDSA P-256 certificate, the kind the gateway's documentation advises, and writes it to `folder`.
    pub(crate) fn make(folder: &Path) -> Result<Self, BenchError> {
        let made = rcgen::generate_simple_self_signed([SERVER_NAME.to_owned()]).map_err(unsuitable)?;
        let credentials = Self {
            certificate: folder.join("certificate.pem"),
            key: folder.join("key.pem"),
        };
        fs::write(&credentials.certificate, made.cert.pem()).doing("writing the certificate")?;
        fs::write(&credentials.key, made.signing_key.serialize_pem()).doing("writing the key")?;
        Ok(credentials)
    }
}

/// TLS 1.3 with the certificate in these files. As the gateway does: stateless resumption and one ticket.
pub(crate) fn server_config(certificate: &Path, key: &Path) -> Result<ServerConfig, BenchError> {
    let certificate = CertificateDer::from_pem_file(certificate).map_err(unsuitable)?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(unsuitable)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(unsuitable)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .map_err(unsuitable)?;
    config.alpn_protocols = vec![sluice_protocol::ALPN.to_vec()];
    config.ticketer = aws_lc_rs::Ticketer::new().map_err(unsuitable)?;
    config.send_tls13_tickets = 1;
    Ok(config)
}

/// TLS 1.3 that trusts this certificate alone. Never resumes, so that each member costs a full handshake.
pub(crate) fn client_config(certificate: &Path) -> Result<ClientConfig, BenchError> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(certificate).map_err(unsuitable)?)
        .map_err(unsuitable)?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(unsuitable)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![sluice_protocol::ALPN.to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

/// The same for a client that keeps its own session ticket and resumes with it, as an app on a phone does. Clients that
/// shared a store would take each other's: a ticket is used once.
pub(crate) fn resuming(config: &ClientConfig) -> ClientConfig {
    let mut config = config.clone();
    config.resumption = rustls::client::Resumption::in_memory_sessions(1);
    config
}

fn unsuitable(error: impl std::fmt::Display) -> BenchError {
    BenchError::Unsuitable(format!("TLS cannot be set up: {error}"))
}
