//! Plain TCP.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::net::TcpStream;

/// A TCP connection.
#[derive(Debug)]
pub(crate) struct Tcp {
    stream: TcpStream,
    /// Kept, because the socket forgets it when the client resets the connection.
    peer: SocketAddr,
}

impl Tcp {
    pub(crate) fn new(stream: TcpStream, peer: SocketAddr) -> Self {
        Self { stream, peer }
    }

    pub(super) fn peer(&self) -> SocketAddr {
        self.peer
    }

    pub(super) fn poll_read(&self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_read_ready(cx))?;
            match self.stream.try_read(scratch) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    pub(super) fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_write_ready(cx)
    }

    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.try_write(bytes)
    }

    pub(super) fn finish(&self) {
        shut_down(&self.stream);
    }
}

/// Ends the sending side. A client that is gone already is no error.
pub(super) fn shut_down(stream: &TcpStream) {
    if let Err(error) = SockRef::from(stream).shutdown(Shutdown::Write) {
        tracing::trace!(%error, "shutdown");
    }
}
