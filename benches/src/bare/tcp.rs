//! The bare loop over TCP: one non-blocking `send(2)` for each member and round.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

use bytes::Bytes;

use super::{Outlet, Progress};
use crate::bench_error::BenchError;
use crate::messages::BareTask;

struct Connection {
    socket: TcpStream,
    /// Bytes of the round that are written.
    written: usize,
}

/// Serves until the control connection ends.
pub(crate) fn run(task: BareTask) -> Result<(), BenchError> {
    super::serve(task, Connection::take)
}

impl Connection {
    fn take(mut socket: TcpStream, welcome: &[u8]) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        // The member's short first frame, sent at once with the connection.
        let _ = socket.read(&mut [0; 64])?;
        socket.write_all(welcome)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, written: 0 })
    }
}

impl Outlet for Connection {
    fn send(&mut self, batch: &Bytes) -> io::Result<Progress> {
        self.written = 0;
        self.resume(batch)
    }

    fn resume(&mut self, batch: &Bytes) -> io::Result<Progress> {
        // `Write for TcpStream` is send(2).
        match self.socket.write(&batch[self.written..]) {
            Ok(bytes) => self.written += bytes,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(if self.written == batch.len() {
            Progress::Done
        } else {
            Progress::Blocked
        })
    }

    fn socket(&self) -> &TcpStream {
        &self.socket
    }
}
