//! The certificates that servers of hooks are checked against.

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::PushError;

/// Where systems keep those that they trust: Debian, Fedora, OpenSUSE, Alpine and the BSDs.
const FILES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/pki/tls/cacert.pem",
];

/// TLS for calls, which trusts the certificates of this file or, without one, those of the system.
///
/// # Errors
/// When there are none.
pub(super) fn client_config(
    file: Option<&Path>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<rustls::ClientConfig>, PushError> {
    let system = || FILES.iter().map(Path::new).find(|path| path.exists());
    let path = file.or_else(system).ok_or(PushError::NoRoots)?;
    let unusable = |why: String| PushError::Roots {
        path: path.to_owned(),
        why,
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unusable(error.to_string()))? {
        let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
        // Bundles of systems have some that are too old to be understood.
        let _ = roots.add(certificate);
    }
    if roots.is_empty() {
        return Err(unusable("there are none in it".to_owned()));
    }
    let config = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let mut config = config.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
