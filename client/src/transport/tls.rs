//! TLS over TCP, and the TLS settings that QUIC shares.

use std::io;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::{AlertDescription, ClientConfig, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use sluice_protocol::ALPN;
use tokio_rustls::TlsConnector;

use super::{Link, failed, tcp};
use crate::error::ClientError;
use crate::options::{Options, Trust};

pub(super) async fn connect(options: &Options) -> Result<Link, ClientError> {
    let config = client_config(options, rustls::DEFAULT_VERSIONS).await?;
    let server_name = server_name(options)?;
    let stream = tcp::open(options).await?;
    let stream = TlsConnector::from(Arc::new(config))
        .connect(server_name, stream)
        .await
        .map_err(|error| handshake_failed(options, &error))?;
    if stream.get_ref().1.alpn_protocol() != Some(ALPN) {
        return Err(failed(
            "alpn",
            format!("{} speaks TLS but not sluice/1", options.address),
        ));
    }
    let (reader, writer) = tokio::io::split(stream);
    Ok(Link::of_stream(reader, writer))
}

/// Trusts what `options` say and nothing else.
pub(super) async fn client_config(
    options: &Options,
    versions: &[&'static SupportedProtocolVersion],
) -> Result<ClientConfig, ClientError> {
    let Some(trust) = &options.trust else {
        return Err(ClientError::invalid(
            "trust",
            "TLS and QUIC need to know which certificates to trust",
        ));
    };
    let pem = match trust {
        Trust::CertificatePem(pem) => pem.clone(),
        Trust::CertificateFile(path) => tokio::fs::read(path)
            .await
            .map_err(|error| ClientError::invalid("trust", format!("{}: {error}", path.display())))?,
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let added = certificate
            .map_err(|error| error.to_string())
            .and_then(|certificate| roots.add(certificate).map_err(|error| error.to_string()));
        added.map_err(|why| ClientError::invalid("trust", format!("no valid PEM certificate: {why}")))?;
    }
    if roots.is_empty() {
        return Err(ClientError::invalid("trust", "there is no PEM certificate to trust"));
    }
    // The provider is named, as the process may have installed another one or none.
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .map_err(|error| failed("tls", error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}

fn server_name(options: &Options) -> Result<ServerName<'static>, ClientError> {
    ServerName::try_from(options.effective_server_name().to_owned())
        .map_err(|error| ClientError::invalid("server_name", error.to_string()))
}

fn handshake_failed(options: &Options, error: &io::Error) -> ClientError {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    let detail = match cause {
        Some(
            rustls::Error::NoApplicationProtocol
            | rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol),
        ) => "alpn",
        _ => "tls",
    };
    failed(detail, format!("{}: {error}", options.address))
}
