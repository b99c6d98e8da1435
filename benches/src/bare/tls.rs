//! The bare loop over TLS: rustls encrypts the round for each member, and its records go out with one `writev(2)`.

use std::io::{self, ErrorKind, Write};
use std::net::TcpStream;
use std::sync::Arc;

use bytes::Bytes;
use rustls::{ServerConfig, ServerConnection};

use super::{Outlet, Progress};
use crate::bench_error::BenchError;
use crate::credentials;
use crate::messages::BareTask;

struct Connection {
    socket: TcpStream,
    session: ServerConnection,
}

/// Serves until the control connection ends.
pub(crate) fn run(task: BareTask) -> Result<(), BenchError> {
    let config = Arc::new(credentials::server_config(&task.certificate, &task.key)?);
    super::serve(task, move |socket, welcome| Connection::take(socket, welcome, &config))
}

impl Connection {
    fn take(mut socket: TcpStream, welcome: &[u8], config: &Arc<ServerConfig>) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        let mut session = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
        // A round is buffered whole, as the bare loop of TCP sends it whole.
        session.set_buffer_limit(None);
        while session.is_handshaking() {
            session.complete_io(&mut socket)?;
        }
        session.writer().write_all(welcome)?;
        while session.wants_write() {
            session.write_tls(&mut socket)?;
        }
        socket.set_nonblocking(true)?;
        Ok(Self { socket, session })
    }
}

impl Outlet for Connection {
    fn send(&mut self, batch: &Bytes) -> io::Result<Progress> {
        self.session.writer().write_all(batch)?;
        self.resume(batch)
    }

    fn resume(&mut self, _: &Bytes) -> io::Result<Progress> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut self.socket) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Progress::Blocked),
                Err(error) => return Err(error),
            }
        }
        Ok(Progress::Done)
    }

    fn socket(&self) -> &TcpStream {
        &self.socket
    }
}
