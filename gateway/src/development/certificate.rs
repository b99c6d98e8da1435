//! The certificate of development mode: self-signed, for this machine, renewed by itself.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{ServerName, UnixTime};
use rustls::sign::CertifiedKey;

use super::DevelopmentError;
use super::private_file::{self, OWNER_ONLY, WORLD_READABLE};
use crate::config::Tls;

/// Stands before the certificate in its file and tells it from one that somebody put there, which is never replaced.
/// Readers of PEM skip what is outside of its lines.
const MARK: &str = "Made by Sluice's development mode and renewed by it. For this machine only.\n";

/// The name clients ask for.
const NAME: &str = "localhost";

/// A year: nobody keeps a development folder without starting it for longer.
const LIFE: Duration = Duration::from_secs(365 * 86_400);

/// The start lies a day back, for clocks that are behind, as in virtual machines just woken up.
const CLOCK_SKEW: Duration = Duration::from_secs(86_400);

/// Renewed when less than this is left, so that it does not run out under a gateway that runs for a while.
const RENEWED_BEFORE: Duration = Duration::from_secs(30 * 86_400);

/// Makes certificate and key where there are none, and makes them anew when those made here are nearly out of date,
/// damaged or do not match.
pub(super) fn make_or_renew(tls: &Tls, now: SystemTime) -> Result<(), DevelopmentError> {
    let ours = match fs::read(&tls.certificate) {
        Ok(content) => content.starts_with(MARK.as_bytes()),
        // Without a certificate, a key alone is worth nothing, unless somebody else put it there.
        Err(_) => !tls.key.exists(),
    };
    match tls.certified_key() {
        Ok(pair) if !ours || is_good_at(&pair, now + RENEWED_BEFORE) => Ok(()),
        Err(error) if !ours => Err(DevelopmentError::Certificate(error)),
        Ok(_) | Err(_) => make(tls, now),
    }
}

/// Whether a client that trusts this certificate would accept it for [`NAME`] at that time.
fn is_good_at(pair: &CertifiedKey, time: SystemTime) -> bool {
    let Some(certificate) = pair.cert.first() else {
        return false;
    };
    let mut roots = RootCertStore::empty();
    if roots.add(certificate.clone()).is_err() {
        return false;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let Ok(verifier) = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build() else {
        return false;
    };
    let name = ServerName::try_from(NAME).expect("a valid name");
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    verifier
        .verify_server_cert(certificate, &[], &name, &[], UnixTime::since_unix_epoch(since))
        .is_ok()
}

fn make(tls: &Tls, now: SystemTime) -> Result<(), DevelopmentError> {
    let failed = |error: rcgen::Error| DevelopmentError::Generate(error.to_string());
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
    let mut params = CertificateParams::new([NAME.to_owned()]).map_err(failed)?;
    let loopback: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    params.subject_alt_names.extend(loopback.map(SanType::IpAddress));
    params.distinguished_name.push(DnType::CommonName, "Sluice development");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params.not_before = (now - CLOCK_SKEW).into();
    params.not_after = (now + LIFE).into();
    let certificate = params.self_signed(&key).map_err(failed)?;

    // The certificate first: should the gateway die in between, its mark tells the next start to make both anew.
    private_file::write(
        &tls.certificate,
        &format!("{MARK}{}", certificate.pem()),
        WORLD_READABLE,
    )?;
    private_file::write(&tls.key, &key.serialize_pem(), OWNER_ONLY)
}

#[cfg(test)]
#[path = "certificate/tests.rs"]
mod tests;
