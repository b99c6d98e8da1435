//! A TLS client that sends record after record with nothing in it: empty ones and updates of its keys in turn, so that a server
//! that counts only one kind in a row sees no end of it.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, LazyLock};

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, cipher_suite::TLS13_AES_128_GCM_SHA256};
use rustls::crypto::cipher::{
    AeadKey, Iv, MessageDecrypter, MessageEncrypter, OutboundChunks, OutboundOpaqueMessage, OutboundPlainMessage,
    Tls13AeadAlgorithm, UnsupportedOperationError,
};
use rustls::{
    CipherSuiteCommon, ClientConfig, ClientConnection, ConnectionTrafficSecrets, RootCertStore, SupportedCipherSuite,
    Tls13CipherSuite,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use sluice_protocol::ALPN;
use sluice_tests::{Target, Transport};

/// What is written to get an empty record: rustls makes none by itself.
const NOTHING: &[u8] = &[0];

/// Made at once: enough that the server does not wait for more.
const PAIRS_PER_WRITE: usize = 500;

/// A connection that floods.
pub(super) struct Flooder {
    stream: TcpStream,
    tls: ClientConnection,
}

impl Flooder {
    /// Connects and agrees on TLS.
    pub(super) fn connect(target: &Target) -> Self {
        let mut stream = TcpStream::connect(target.address(Transport::Tls)).expect("the port takes connections");
        let name = ServerName::try_from("localhost").expect("a valid name");
        let mut tls = ClientConnection::new(Arc::new(client_config(target)), name).expect("a client that can begin");
        while tls.is_handshaking() {
            tls.complete_io(&mut stream).expect("TLS is agreed on");
        }
        Self { stream, tls }
    }

    /// Sends these bytes and waits for an answer, whatever it is.
    pub(super) fn ask(&mut self, command: &[u8]) {
        self.tls.writer().write_all(command).expect("room for a command");
        let mut answer = [0; 64];
        loop {
            self.tls.complete_io(&mut self.stream).expect("a connection that lives");
            match self.tls.reader().read(&mut answer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => {
                    assert_ne!(read.expect("a connection that lives"), 0, "the connection ended");
                    return;
                }
            }
        }
    }

    /// Sends records that hold nothing until the server has closed the connection.
    pub(super) fn flood(mut self) {
        let mut records = Vec::new();
        loop {
            records.clear();
            for _ in 0..PAIRS_PER_WRITE {
                self.tls.writer().write_all(NOTHING).expect("room for a record");
                self.tls.refresh_traffic_keys().expect("a connection that is agreed on");
                while self.tls.wants_write() {
                    self.tls.write_tls(&mut records).expect("a Vec takes everything");
                }
            }
            if self.stream.write_all(&records).is_err() {
                return;
            }
        }
    }
}

fn client_config(target: &Target) -> ClientConfig {
    let certificate =
        CertificateDer::from_pem_file(target.certificate()).expect("the certificate is in the data folder");
    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("the certificate can be trusted");
    let provider = CryptoProvider {
        cipher_suites: vec![SupportedCipherSuite::Tls13(&SUITE)],
        ..aws_lc_rs::default_provider()
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider has TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    config
}

fn usual() -> &'static Tls13CipherSuite {
    TLS13_AES_128_GCM_SHA256.tls13().expect("its name says so")
}

/// The usual suite, with empty records.
static SUITE: LazyLock<Tls13CipherSuite> = LazyLock::new(|| Tls13CipherSuite {
    common: CipherSuiteCommon {
        suite: usual().common.suite,
        hash_provider: usual().common.hash_provider,
        confidentiality_limit: usual().common.confidentiality_limit,
    },
    hkdf_provider: usual().hkdf_provider,
    aead_alg: &EmptyRecords,
    quic: None,
});

/// Encrypts as usual, but makes an empty record of [`NOTHING`].
struct EmptyRecords;

impl Tls13AeadAlgorithm for EmptyRecords {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        Box::new(Encrypter(usual().aead_alg.encrypter(key, iv)))
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        usual().aead_alg.decrypter(key, iv)
    }

    fn key_len(&self) -> usize {
        usual().aead_alg.key_len()
    }

    fn extract_keys(&self, key: AeadKey, iv: Iv) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        usual().aead_alg.extract_keys(key, iv)
    }
}

struct Encrypter(Box<dyn MessageEncrypter>);

impl MessageEncrypter for Encrypter {
    fn encrypt(
        &mut self,
        mut message: OutboundPlainMessage<'_>,
        sequence: u64,
    ) -> Result<OutboundOpaqueMessage, rustls::Error> {
        if message.payload.to_vec() == NOTHING {
            message.payload = OutboundChunks::new_empty();
        }
        self.0.encrypt(message, sequence)
    }

    fn encrypted_payload_len(&self, payload_len: usize) -> usize {
        self.0.encrypted_payload_len(payload_len)
    }
}
