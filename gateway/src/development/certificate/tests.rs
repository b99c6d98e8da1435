use std::path::PathBuf;

use super::*;
use crate::config::TlsVersion;

struct Files {
    folder: PathBuf,
    tls: Tls,
}

impl Files {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("sluice-certificate-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder");
        let tls = Tls {
            certificate: folder.join("certificate.pem"),
            key: folder.join("key.pem"),
            minimum_version: TlsVersion::V1_3,
        };
        Self { folder, tls }
    }

    fn read(&self) -> (String, String) {
        let read = |path| fs::read_to_string(path).expect("a file");
        (read(&self.tls.certificate), read(&self.tls.key))
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn a_certificate_is_kept_while_it_is_good_and_renewed_before_it_runs_out() {
    let files = Files::new("renewed");
    let now = SystemTime::now();
    make_or_renew(&files.tls, now).expect("made");
    let first = files.read();
    assert!(is_good_at(&files.tls.certified_key().expect("a pair"), now));

    make_or_renew(&files.tls, now + LIFE - RENEWED_BEFORE - CLOCK_SKEW).expect("kept");
    assert_eq!(files.read(), first);
    make_or_renew(&files.tls, now + LIFE - RENEWED_BEFORE + CLOCK_SKEW).expect("renewed");
    assert_ne!(files.read(), first);
    assert!(is_good_at(&files.tls.certified_key().expect("a pair"), now + LIFE));
}

#[test]
fn the_certificate_is_for_this_machine_by_name_and_by_address() {
    let files = Files::new("names");
    make_or_renew(&files.tls, SystemTime::now()).expect("made");
    let pair = files.tls.certified_key().expect("a pair");
    let mut roots = RootCertStore::empty();
    roots.add(pair.cert[0].clone()).expect("a root");
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .expect("a verifier");
    for (name, expected) in [
        ("localhost", true),
        ("127.0.0.1", true),
        ("::1", true),
        ("example.com", false),
    ] {
        let server = ServerName::try_from(name).expect("a name");
        let verified = verifier.verify_server_cert(&pair.cert[0], &[], &server, &[], UnixTime::now());
        assert_eq!(verified.is_ok(), expected, "{name}: {verified:?}");
    }
}

#[test]
fn a_pair_torn_by_a_crash_is_made_anew() {
    let files = Files::new("torn");
    let now = SystemTime::now();
    make_or_renew(&files.tls, now).expect("made");
    fs::remove_file(&files.tls.key).expect("removed");
    make_or_renew(&files.tls, now).expect("made anew");
    assert!(files.tls.certified_key().is_ok());
    fs::write(&files.tls.key, "garbage").expect("written");
    make_or_renew(&files.tls, now).expect("made anew");
    assert!(files.tls.certified_key().is_ok());
}

#[test]
fn files_that_somebody_else_put_there_are_never_replaced() {
    let files = Files::new("foreign");
    let now = SystemTime::now();
    make_or_renew(&files.tls, now).expect("made");
    let (certificate, key) = files.read();
    let foreign = certificate.replace(MARK, "");
    fs::write(&files.tls.certificate, &foreign).expect("written");
    make_or_renew(&files.tls, now + LIFE * 2).expect("left alone, however old");
    assert_eq!(files.read(), (foreign.clone(), key));

    fs::write(&files.tls.key, "garbage").expect("written");
    let error = make_or_renew(&files.tls, now).expect_err("an error").to_string();
    assert!(
        error.contains("key.pem holds no private key in PEM; remove both files"),
        "{error}"
    );
    assert_eq!(files.read(), (foreign, "garbage".into()));

    fs::remove_file(&files.tls.certificate).expect("removed");
    assert!(
        make_or_renew(&files.tls, now).is_err(),
        "a key without a certificate is somebody's"
    );
}
