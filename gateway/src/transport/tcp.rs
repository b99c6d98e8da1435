//! Plain TCP.

use std::io;
use std::task::Poll;

use crate::transport::ready::Socket;

/// A TCP connection.
#[derive(Debug)]
pub(crate) struct Tcp {
    socket: Socket,
}

impl Tcp {
    pub(crate) fn new(socket: Socket) -> Self {
        Self { socket }
    }

    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    pub(super) fn read(&self, scratch: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            match self.socket.read(scratch) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return Poll::Ready(result),
            }
        }
    }

    pub(super) fn writable(&self) -> Poll<io::Result<()>> {
        if self.socket.is_writable() {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }

    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.write(bytes)
    }

    pub(super) fn finish(&self) {
        self.socket.shut_down();
    }
}
