//! The certificate and key files: read, parsed and held against each other.

use std::path::PathBuf;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::Tls;
use super::document::read_text;

/// The certificate's file, in the data folder, where the configuration names none.
pub(crate) const CERTIFICATE_FILE: &str = "certificate.pem";

/// The key's file, in the data folder, where the configuration names none.
pub(crate) const KEY_FILE: &str = "key.pem";

/// Largest PEM file: a chain of a hundred certificates.
const PEM_FILE_BYTES_MAX: u64 = 1 << 20;

/// Why the certificate and key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The certificate file is missing, unreadable or not PEM.
    #[error("{} {reason}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The key file is missing, unreadable, not PEM or of a kind that cannot sign.
    #[error("{} {reason}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Both can be read, but belong to different pairs.
    #[error("the key in {} does not belong to the certificate in {}", key.display(), certificate.display())]
    Mismatch {
        /// The certificate file.
        certificate: PathBuf,
        /// The key file.
        key: PathBuf,
    },
}

impl Tls {
    /// Reads certificate and key and makes sure that they belong together. TLS and QUIC both serve the result.
    ///
    /// # Errors
    /// Names the file that is missing, unreadable or no PEM, or both when they do not match.
    pub fn certified_key(&self) -> Result<CertifiedKey, CertificateError> {
        let certificate_error = |reason: String| CertificateError::Certificate {
            path: self.certificate.clone(),
            reason,
        };
        let key_error = |reason: String| CertificateError::Key {
            path: self.key.clone(),
            reason,
        };
        let chain = read_text(&self.certificate, PEM_FILE_BYTES_MAX).and_then(|text| {
            let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
            chain
                .ok()
                .filter(|chain| !chain.is_empty())
                .ok_or_else(|| "holds no certificate in PEM".into())
        });
        let chain = chain.map_err(certificate_error)?;
        let key = read_text(&self.key, PEM_FILE_BYTES_MAX).and_then(|text| {
            PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| "holds no private key in PEM".into())
        });
        let key = key.map_err(key_error)?;
        let key = rustls::crypto::aws_lc_rs::default_provider()
            .key_provider
            .load_private_key(key)
            .map_err(|error| key_error(format!("holds a key that cannot sign: {error}")))?;
        let pair = CertifiedKey::new(chain, key);
        match pair.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(pair),
            Err(rustls::Error::InconsistentKeys(_)) => Err(CertificateError::Mismatch {
                certificate: self.certificate.clone(),
                key: self.key.clone(),
            }),
            Err(error) => Err(certificate_error(format!("holds a broken certificate: {error}"))),
        }
    }
}
