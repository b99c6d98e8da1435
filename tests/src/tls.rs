//! TLS as a client has it.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::target::SERVER_NAME;
use crate::{Target, Transport, within};

/// Trusts the certificate of `target` and offers the application protocols `alpn`. TLS 1.3.
///
/// # Panics
/// When the certificate cannot be read.
#[must_use]
pub fn tls_client_config(target: &Target, alpn: &[&[u8]]) -> ClientConfig {
    let certificate =
        CertificateDer::from_pem_file(target.certificate()).expect("the certificate is in the data folder");
    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("the certificate can be trusted");
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider has TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config
}

/// A TLS connection to `target` that offers the application protocols `alpn`.
///
/// # Panics
/// When it is not made.
pub async fn tls_connect(target: &Target, alpn: &[&[u8]]) -> TlsStream<TcpStream> {
    let connector = TlsConnector::from(Arc::new(tls_client_config(target, alpn)));
    let name = ServerName::try_from(SERVER_NAME).expect("a valid name");
    let connecting = async {
        let stream = TcpStream::connect(target.address(Transport::Tls)).await?;
        stream.set_nodelay(true)?;
        connector.connect(name, stream).await
    };
    within("a TLS connection", connecting).await.expect("TLS is agreed on")
}
