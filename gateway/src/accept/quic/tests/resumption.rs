use rustls::client::Tls13ClientSessionValue;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientSessionMemoryCache, ClientSessionStore, Resumption, Tls12ClientSessionValue};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, NamedGroup, SignatureScheme};
use tokio::sync::Notify;

use super::*;

/// Counts how often a server had to show its certificate, and trusts any.
#[derive(Debug, Default)]
struct Shown(AtomicUsize);

impl ServerCertVerifier for Shown {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("QUIC has TLS 1.3".into()))
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let provider = handshake::provider();
        provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Says when a ticket has come.
#[derive(Debug)]
struct Tickets {
    store: ClientSessionMemoryCache,
    came: Notify,
}

impl ClientSessionStore for Tickets {
    fn set_kx_hint(&self, server: ServerName<'static>, group: NamedGroup) {
        self.store.set_kx_hint(server, group);
    }

    fn kx_hint(&self, server: &ServerName<'_>) -> Option<NamedGroup> {
        self.store.kx_hint(server)
    }

    fn set_tls12_session(&self, server: ServerName<'static>, session: Tls12ClientSessionValue) {
        self.store.set_tls12_session(server, session);
    }

    fn tls12_session(&self, server: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.store.tls12_session(server)
    }

    fn remove_tls12_session(&self, server: &ServerName<'static>) {
        self.store.remove_tls12_session(server);
    }

    fn insert_tls13_ticket(&self, server: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        self.store.insert_tls13_ticket(server, ticket);
        self.came.notify_one();
    }

    fn take_tls13_ticket(&self, server: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.store.take_tls13_ticket(server)
    }
}

/// More than the 256 sessions that rustls would remember by itself.
const OTHERS: usize = 300;

/// Signing is most of what a handshake costs a server: after an outage everybody comes back at once.
#[tokio::test]
async fn clients_that_come_back_resume_on_any_endpoint_however_many_came_meanwhile() {
    let mut all = Endpoints::new(2);
    let shown = Arc::new(Shown::default());
    let tickets = Arc::new(Tickets {
        store: ClientSessionMemoryCache::new(4),
        came: Notify::new(),
    });
    all.client_tls.dangerous().set_certificate_verifier(shown.clone());
    let without_memory = all.client_tls.clone();
    all.client_tls.resumption = Resumption::store(tickets.clone());
    let client = client();
    let _both_sides = connected(&all, &client, 0).await;
    within(tickets.came.notified()).await;
    assert_eq!(shown.0.swap(0, Ordering::Relaxed), 1);

    let with_memory = std::mem::replace(&mut all.client_tls, without_memory);
    for _ in 0..OTHERS {
        all.client_tls.resumption = Resumption::disabled();
        connected(&all, &client, 0).await;
    }
    assert_eq!(shown.0.swap(0, Ordering::Relaxed), OTHERS);

    all.client_tls = with_memory;
    for place in [1, 0] {
        let _both_sides = connected(&all, &client, place).await;
        within(tickets.came.notified()).await;
    }
    assert_eq!(shown.0.load(Ordering::Relaxed), 0);
}

async fn connected(all: &Endpoints, client: &Endpoint, place: u8) -> (Connection, Connection) {
    let connect = all.connect(client, [0, place], TransportConfig::default());
    tokio::join!(connect, all.accept(place.into()))
}
