//! The three transports behind one face: bytes in, bytes out, an orderly end.
//!
//! Nothing here waits: a call that cannot go on registers the caller's waker and returns. What the bytes mean is
//! decided elsewhere.

mod quic;
mod ready;
mod tcp;
mod tls;

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::refusal::Refusal;
use crate::turn;
use crate::writer::Wire;

pub(crate) use quic::Quic;
pub(crate) use ready::{ReadySockets, Socket};
pub(crate) use tcp::Tcp;
pub(crate) use tls::Tls;

/// Which transport a connection uses. The numbers are those of the metrics' label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TransportKind {
    Tcp = 0,
    Tls = 1,
    Quic = 2,
}

/// One transport connection.
#[derive(Debug)]
pub(crate) enum Transport {
    Tcp(Tcp),
    /// Boxed: it is forty times as large as the other.
    Tls(Box<Tls>),
    Quic(Box<Quic>),
}

impl Transport {
    pub(crate) fn kind(&self) -> TransportKind {
        match self {
            Self::Tcp(_) => TransportKind::Tcp,
            Self::Tls(_) => TransportKind::Tls,
            Self::Quic(_) => TransportKind::Quic,
        }
    }

    /// The client's address.
    pub(crate) fn peer(&self) -> SocketAddr {
        match self {
            Self::Tcp(tcp) => tcp.socket().peer(),
            Self::Tls(tls) => tls.socket().peer(),
            Self::Quic(quic) => quic.peer(),
        }
    }

    /// Whether the client has another address now than when it connected, which only QUIC allows.
    pub(crate) fn has_moved(&self) -> bool {
        match self {
            Self::Tcp(_) | Self::Tls(_) => false,
            Self::Quic(quic) => quic.has_moved(),
        }
    }

    /// Reads into `scratch`. 0 is the end of the stream.
    pub(crate) fn poll_read(&self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(tcp) => tcp.read(scratch),
            Self::Tls(tls) => tls.read(scratch),
            Self::Quic(quic) => quic.poll_read(cx, scratch),
        }
    }

    /// Ready when a write may get somewhere, and everything taken before is on its way.
    pub(crate) fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(tcp) => tcp.writable(),
            Self::Tls(tls) => tls.writable(),
            Self::Quic(quic) => quic.poll_writable(cx),
        }
    }

    /// Ends the sending side after what was written; the client sees the end of the stream, and on QUIC the code. There it lives on
    /// until the client has all of it, for as long as `closing_timeout`, and `held` is dropped only then.
    pub(crate) fn finish(&self, refusal: &Refusal, closing_timeout: Duration, held: impl Sized + 'static) {
        match self {
            Self::Tcp(tcp) => tcp.finish(),
            Self::Tls(tls) => tls.finish(),
            Self::Quic(quic) => quic.finish(refusal, closing_timeout, held),
        }
    }

    /// Ends the connection at once, whatever the client has still to get. On QUIC it gets the code.
    pub(crate) fn abandon(&self, refusal: &Refusal) {
        if let Self::Quic(quic) = self {
            quic.abandon(refusal);
        }
    }

    /// The longest frame that fits in a datagram now, in bytes, or `None` where there are no datagrams: everywhere but on QUIC,
    /// and there unless the client reads them. It grows and shrinks with what the path takes.
    pub(crate) fn datagram_bytes_max(&self) -> Option<usize> {
        match self {
            Self::Tcp(_) | Self::Tls(_) => None,
            Self::Quic(quic) => quic.datagram_bytes_max(),
        }
    }

    /// The socket, unless it is one that all connections share.
    pub(crate) fn socket(&self) -> Option<&Socket> {
        match self {
            Self::Tcp(tcp) => Some(tcp.socket()),
            Self::Tls(tls) => Some(tls.socket()),
            Self::Quic(_) => None,
        }
    }

    /// Who is woken, on QUIC: when something can be read, when a write that found the transport full may go on, and by
    /// [`Wire::wake`]. The others are in the queue of [`ReadySockets`] instead.
    pub(crate) fn set_waker(&self, waker: &Waker) {
        if let Self::Quic(quic) = self {
            quic.set_waker(waker);
        }
    }

    /// Comes back to this connection after the others had their turn.
    pub(crate) fn give_turn(&self, cx: &mut Context<'_>) {
        match self.socket() {
            Some(socket) => socket.wake(),
            None => turn::give(cx),
        }
    }
}

impl Wire for Transport {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.try_write(bytes),
            Self::Tls(tls) => tls.try_write(bytes),
            Self::Quic(quic) => quic.try_write(bytes),
        }
    }

    fn has_unsent(&self) -> bool {
        match self {
            Self::Tls(tls) => tls.has_unsent(),
            Self::Tcp(_) | Self::Quic(_) => false,
        }
    }

    fn wake(&self) {
        match self {
            Self::Tcp(tcp) => tcp.socket().wake(),
            Self::Tls(tls) => tls.socket().wake(),
            Self::Quic(quic) => quic.wake(),
        }
    }

    fn expect_writable(&self) {
        if let Self::Quic(quic) = self {
            // Its task asks quinn, which does not remember a write that was taken in part.
            quic.wake();
        }
    }

    fn try_send_datagram(&self, frame: &[u8]) -> bool {
        match self {
            Self::Tcp(_) | Self::Tls(_) => false,
            Self::Quic(quic) => quic.try_send_datagram(frame),
        }
    }
}
