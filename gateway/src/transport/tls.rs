//! TLS over TCP, driven by hand: records are made when there is something to send, and an idle connection owns no buffer.

use std::cell::RefCell;
use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::{HandshakeKind, ServerConfig, ServerConnection};
use tokio::net::TcpStream;

use crate::transport::tcp::shut_down;
use crate::turn;

/// Plaintext given to TLS at once: four full records. What does not reach the socket waits inside TLS, so this also
/// bounds what a blocked connection holds.
const CHUNK_BYTES: usize = 64 * 1024;

/// Reads from the socket before others get their turn. Records may hold nothing, so that plaintext need not come of any number
/// of them.
const RECEIVES_PER_TURN: usize = 16;

/// A TLS connection over TCP.
#[derive(Debug)]
pub(crate) struct Tls {
    stream: TcpStream,
    peer: SocketAddr,
    tls: RefCell<ServerConnection>,
}

/// What a finished handshake agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Handshake {
    pub alpn: Option<Vec<u8>>,
    pub resumed: bool,
}

impl Tls {
    /// The server side of a TLS connection on `stream`; the handshake is still to come.
    ///
    /// # Errors
    /// When `config` cannot be used, which it can once it was validated.
    pub(crate) fn new(stream: TcpStream, peer: SocketAddr, config: Arc<ServerConfig>) -> Result<Self, rustls::Error> {
        let mut tls = ServerConnection::new(config)?;
        // The chunks bound it; a limit inside could split a chunk and leave half a frame without notice.
        tls.set_buffer_limit(None);
        Ok(Self {
            stream,
            peer,
            tls: RefCell::new(tls),
        })
    }

    pub(super) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Drives the handshake.
    pub(crate) fn poll_handshake(&self, cx: &mut Context<'_>) -> Poll<io::Result<Handshake>> {
        let mut tls = self.tls.borrow_mut();
        // A flight that did not fit the socket.
        if !drain(&mut tls, &self.stream)? {
            let _ = self.stream.poll_write_ready(cx)?;
        }
        for _ in 0..RECEIVES_PER_TURN {
            if !tls.is_handshaking() {
                break;
            }
            if ready!(self.poll_receive(&mut tls, cx))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
        if tls.is_handshaking() {
            turn::give(cx);
            return Poll::Pending;
        }
        Poll::Ready(Ok(Handshake {
            alpn: tls.alpn_protocol().map(<[u8]>::to_vec),
            resumed: tls.handshake_kind() == Some(HandshakeKind::Resumed),
        }))
    }

    /// Reads plaintext.
    pub(super) fn poll_read(&self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut tls = self.tls.borrow_mut();
        for _ in 0..RECEIVES_PER_TURN {
            match tls.reader().read(scratch) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // A client that just closes the socket is as gone as one that says so.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Poll::Ready(Ok(0)),
                result => return Poll::Ready(result),
            }
            ready!(self.poll_receive(&mut tls, cx))?;
        }
        turn::give(cx);
        Poll::Pending
    }

    /// Reads some records and has them processed. 0 is the end of the stream.
    fn poll_receive(&self, tls: &mut ServerConnection, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let read = loop {
            match tls.read_tls(&mut Socket(&self.stream)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.stream.poll_read_ready(cx))?;
                }
                result => break result?,
            }
        };
        let processed = tls.process_new_packets();
        // Handshake flights, and the alert that says what was wrong.
        let drained = drain(tls, &self.stream);
        if let Err(error) = processed {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
        }
        if !drained? {
            // What is left goes out when the socket is writable; the waker comes back for it.
            let _ = self.stream.poll_write_ready(cx)?;
        }
        Poll::Ready(Ok(read))
    }

    pub(super) fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut tls = self.tls.borrow_mut();
        loop {
            if drain(&mut tls, &self.stream)? {
                return self.stream.poll_write_ready(cx);
            }
            ready!(self.stream.poll_write_ready(cx))?;
        }
    }

    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut tls = self.tls.borrow_mut();
        let mut taken = 0;
        while taken < bytes.len() {
            if !drain(&mut tls, &self.stream)? {
                break;
            }
            let chunk = &bytes[taken..bytes.len().min(taken + CHUNK_BYTES)];
            taken += tls.writer().write(chunk)?;
        }
        drain(&mut tls, &self.stream)?;
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
        if let Err(error) = drain(&mut tls, &self.stream) {
            tracing::trace!(%error, "close notify");
        }
        shut_down(&self.stream);
    }
}

/// Writes the records that wait. Returns whether all are gone.
fn drain(tls: &mut ServerConnection, stream: &TcpStream) -> io::Result<bool> {
    while tls.wants_write() {
        match tls.write_tls(&mut Socket(stream)) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// A socket that never waits, in the traits that rustls reads and writes with.
struct Socket<'a>(&'a TcpStream);

impl Read for Socket<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
