//! Endpoints and clients over real sockets.

mod datagrams;
mod endings;
mod resumption;
mod steering;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, ConnectionId, TransportConfig};
use sluice_protocol::ALPN;

use super::*;
use crate::config::Config;
use crate::handshake;

/// The name in the certificate.
const SERVER_NAME: &str = "localhost";

/// No test takes so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// A folder of its own for a test, removed afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        Self(std::env::temp_dir().join(format!("sluice-quic-{}-{number}", std::process::id())))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The endpoints of a gateway, without the gateway.
struct Endpoints {
    endpoints: Vec<Endpoint>,
    address: SocketAddr,
    client_tls: rustls::ClientConfig,
}

impl Endpoints {
    fn new(count: u16) -> Self {
        let folder = Folder::new();
        let config = Config::defaults(&folder.0);
        let made = rcgen::generate_simple_self_signed([SERVER_NAME.to_owned()]).expect("a certificate");
        std::fs::create_dir_all(&folder.0).expect("a folder");
        std::fs::write(&config.tls.certificate, made.cert.pem()).expect("a file");
        std::fs::write(&config.tls.key, made.signing_key.serialize_pem()).expect("a file");
        let sockets = bind((Ipv4Addr::LOCALHOST, 0).into(), count).expect("a port is free");
        assert!(sockets.unsteered.is_none(), "this system allows no filter");
        let address = sockets.sockets[0].local_addr().expect("it is bound");
        let server = handshake::quic_config(&config, count.into()).expect("the certificate is good");
        let secret = ResetSecret::of_folder(&folder.0).expect("the folder is ours");
        let endpoints = doors(sockets.sockets, &server, &secret)
            .into_iter()
            .map(|door| endpoint(door.socket, door.config, door.endpoint).expect("a socket that works"))
            .collect();

        let mut roots = rustls::RootCertStore::empty();
        roots.add(made.cert.der().clone()).expect("a certificate");
        let mut client_tls = rustls::ClientConfig::builder_with_provider(handshake::provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("the provider has it")
            .with_root_certificates(roots)
            .with_no_client_auth();
        client_tls.alpn_protocols = vec![ALPN.to_vec()];
        Self {
            endpoints,
            address,
            client_tls,
        }
    }

    /// A client whose first packets go to an id that begins with `first`.
    async fn connect(&self, client: &Endpoint, first: [u8; 2], transport: TransportConfig) -> Connection {
        let crypto = QuicClientConfig::try_from(self.client_tls.clone()).expect("TLS 1.3 suits QUIC");
        let mut config = ClientConfig::new(Arc::new(crypto));
        config.transport_config(Arc::new(transport));
        // A second connection that begins with the same id is taken for the first.
        static MADE: AtomicU32 = AtomicU32::new(0);
        config.initial_dst_cid_provider(Arc::new(move || {
            let number = MADE.fetch_add(1, Ordering::Relaxed).to_be_bytes();
            ConnectionId::new(&[&first[..], &number, &[0; 2]].concat())
        }));
        let connecting = client.connect_with(config, self.address, SERVER_NAME).expect("valid");
        within(connecting).await.expect("a handshake")
    }

    /// Completes the next handshake that comes to the endpoint at `place`.
    async fn accept(&self, place: usize) -> Connection {
        let incoming = within(self.endpoints[place].accept()).await.expect("it is open");
        handshake(incoming, PATIENCE).await.expect("a handshake")
    }
}

fn client() -> Endpoint {
    Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).expect("a port is free")
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it happens")
}
