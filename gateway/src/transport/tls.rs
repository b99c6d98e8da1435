//! TLS over TCP, driven by hand: records are made when there is something to send, and an idle connection owns no buffer.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;
use std::task::{Poll, ready};

use rustls::{HandshakeKind, ServerConfig, ServerConnection};

use crate::transport::ready::Socket;

/// Plaintext given to TLS at once: four full records. What does not reach the socket waits inside TLS, so this also
/// bounds what a blocked connection holds.
const CHUNK_BYTES: usize = 64 * 1024;

/// Reads from the socket before others get their turn. Records may hold nothing, so that plaintext need not come of any number
/// of them.
const RECEIVES_PER_TURN: usize = 16;

/// A TLS connection over TCP.
#[derive(Debug)]
pub(crate) struct Tls {
    socket: Socket,
    tls: RefCell<ServerConnection>,
    /// The sending side is to end once all records have left, the last of which says so.
    ending: Cell<bool>,
}

/// What a finished handshake agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Handshake {
    pub alpn: Option<Vec<u8>>,
    pub resumed: bool,
}

impl Tls {
    /// The server side of a TLS connection on `socket`; the handshake is still to come.
    ///
    /// # Errors
    /// When `config` cannot be used, which it can once it was validated.
    pub(crate) fn new(socket: Socket, config: Arc<ServerConfig>) -> Result<Self, rustls::Error> {
        let mut tls = ServerConnection::new(config)?;
        // The chunks bound it; a limit inside could split a chunk and leave half a frame without notice.
        tls.set_buffer_limit(None);
        Ok(Self {
            socket,
            tls: RefCell::new(tls),
            ending: Cell::new(false),
        })
    }

    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Drives the handshake.
    pub(crate) fn poll_handshake(&self) -> Poll<io::Result<Handshake>> {
        let mut tls = self.tls.borrow_mut();
        // A flight that did not fit the socket; what still does not goes on when it is writable.
        drain(&mut tls, &self.socket)?;
        for _ in 0..RECEIVES_PER_TURN {
            if !tls.is_handshaking() {
                break;
            }
            if ready!(self.receive(&mut tls))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
        if tls.is_handshaking() {
            self.socket.wake();
            return Poll::Pending;
        }
        Poll::Ready(Ok(Handshake {
            alpn: tls.alpn_protocol().map(<[u8]>::to_vec),
            resumed: tls.handshake_kind() == Some(HandshakeKind::Resumed),
        }))
    }

    /// Reads plaintext.
    pub(super) fn read(&self, scratch: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut tls = self.tls.borrow_mut();
        self.end(&mut tls);
        for _ in 0..RECEIVES_PER_TURN {
            match tls.reader().read(scratch) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // A client that just closes the socket is as gone as one that says so.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Poll::Ready(Ok(0)),
                result => return Poll::Ready(result),
            }
            ready!(self.receive(&mut tls))?;
        }
        self.socket.wake();
        Poll::Pending
    }

    /// Reads some records and has them processed. 0 is the end of the stream.
    fn receive(&self, tls: &mut ServerConnection) -> Poll<io::Result<usize>> {
        let read = loop {
            match tls.read_tls(&mut Records(&self.socket)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        let processed = tls.process_new_packets();
        // Handshake flights, and the alert that says what was wrong. What does not fit goes out when the socket is writable.
        let drained = drain(tls, &self.socket);
        if let Err(error) = processed {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
        }
        drained?;
        Poll::Ready(Ok(read))
    }

    pub(super) fn writable(&self) -> Poll<io::Result<()>> {
        let mut tls = self.tls.borrow_mut();
        self.end(&mut tls);
        if drain(&mut tls, &self.socket)? && self.socket.is_writable() {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }

    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut tls = self.tls.borrow_mut();
        let mut taken = 0;
        while taken < bytes.len() {
            if !drain(&mut tls, &self.socket)? {
                break;
            }
            let chunk = &bytes[taken..bytes.len().min(taken + CHUNK_BYTES)];
            taken += tls.writer().write(chunk)?;
        }
        drain(&mut tls, &self.socket)?;
        if taken == 0 {
            Err(io::ErrorKind::WouldBlock.into())
        } else {
            Ok(taken)
        }
    }

    pub(super) fn has_unsent(&self) -> bool {
        self.tls.borrow().wants_write()
    }

    pub(super) fn finish(&self) {
        let mut tls = self.tls.borrow_mut();
        tls.send_close_notify();
        self.ending.set(true);
        self.end(&mut tls);
    }

    /// Ends the sending side, if that is wanted and the client will have all of it. Before that, the end would look like a connection
    /// that somebody cut.
    fn end(&self, tls: &mut ServerConnection) {
        if !self.ending.get() {
            return;
        }
        match drain(tls, &self.socket) {
            // Goes on when the socket is writable.
            Ok(false) => return,
            Ok(true) => {}
            Err(error) => tracing::trace!(%error, "close notify"),
        }
        self.ending.set(false);
        self.socket.shut_down();
    }
}

/// Writes the records that wait. Returns whether all are gone.
fn drain(tls: &mut ServerConnection, socket: &Socket) -> io::Result<bool> {
    while tls.wants_write() {
        match tls.write_tls(&mut Records(socket)) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// A socket in the traits that rustls reads and writes records with.
struct Records<'a>(&'a Socket);

impl Read for Records<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Records<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
    use rustls_pki_types::{PrivatePkcs8KeyDer, ServerName};
    use tokio::sync::oneshot;

    use super::*;
    use crate::handshake;
    use crate::identity::ConnectionKey;
    use crate::transport::ReadySockets;

    fn configs() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let server = ServerConfig::builder_with_provider(handshake::provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("the provider has it")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.into())
            .expect("they belong together");
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).expect("a certificate");
        let client = ClientConfig::builder_with_provider(handshake::provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("the provider has it")
            .with_root_certificates(roots)
            .with_no_client_auth();
        (Arc::new(server), Arc::new(client))
    }

    #[tokio::test]
    async fn a_client_that_reads_late_sees_all_of_it_and_an_orderly_end() {
        let (server, client) = configs();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let stream = TcpStream::connect(listener.local_addr().expect("it is bound")).expect("it listens");
        let (go, gone) = std::sync::mpsc::channel::<()>();
        let (done, mut read) = oneshot::channel();
        let reader = std::thread::spawn(move || {
            let name = ServerName::try_from("localhost").expect("a name");
            let tls = ClientConnection::new(client, name).expect("a good configuration");
            let mut stream = StreamOwned::new(tls, stream);
            stream.flush().expect("a handshake");
            gone.recv().expect("the server writes");
            let mut all = Vec::new();
            let end = stream.read_to_end(&mut all).map_err(|error| error.kind());
            done.send((all.len(), end)).expect("somebody waits");
        });

        let sockets = ReadySockets::new().expect("a descriptor");
        let (stream, peer) = listener.accept().expect("a client");
        stream.set_nonblocking(true).expect("a socket");
        let tls = Tls::new(Socket::new(stream, peer, sockets.clone()), server).expect("a good configuration");
        tls.socket().watch(ConnectionKey::default()).expect("memory");
        let turn = async || {
            sockets.wait().await;
            sockets.collect(|_, change| tls.socket().on_change(change));
        };
        while tls.poll_handshake().map(|done| done.expect("a handshake")).is_pending() {
            turn().await;
        }
        let mut written = 0;
        while let Ok(bytes) = tls.try_write(&[0; CHUNK_BYTES]) {
            written += bytes;
        }
        assert!(tls.has_unsent());
        tls.finish();
        go.send(()).expect("the client waits");
        let end = loop {
            tokio::select! {
                end = &mut read => break end.expect("the client reads"),
                () = turn() => {
                    let _ = tls.read(&mut [0; 16]);
                }
            }
        };
        assert_eq!(end, (written, Ok(written)));
        reader.join().expect("it is done");
    }
}
