//! TLS over TCP, driven by hand: rustls in, rustls out, and a socket that never waits.

use std::cell::RefCell;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection};
use rustls_pki_types::ServerName;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::credentials;
use crate::crowd::lost::Lost;

/// More than any flight of a handshake.
const HANDSHAKE_READ_BYTES: usize = 16 * 1024;

pub(in crate::crowd) struct Tls {
    socket: OwnedWriteHalf,
    session: RefCell<ClientConnection>,
}

impl Tls {
    /// Shakes hands. What is read afterwards is to be passed to [`Self::take`].
    pub(super) async fn handshake(
        mut socket: TcpStream,
        config: Arc<ClientConfig>,
    ) -> Result<(OwnedReadHalf, Self), Lost> {
        let name = ServerName::try_from(credentials::SERVER_NAME).expect("a valid name");
        let mut session = ClientConnection::new(config, name).map_err(wrong)?;
        let mut buffer = vec![0; HANDSHAKE_READ_BYTES];
        loop {
            write_pending(&mut session, |bytes| socket.try_write(bytes))?;
            if !session.is_handshaking() {
                let (read, write) = socket.into_split();
                return Ok((
                    read,
                    Self {
                        socket: write,
                        session: RefCell::new(session),
                    },
                ));
            }
            let bytes = socket
                .read(&mut buffer)
                .await
                .map_err(Lost::transport("shaking hands"))?;
            if bytes == 0 {
                return Err(ended());
            }
            let mut input = &buffer[..bytes];
            while !input.is_empty() {
                session.read_tls(&mut input).map_err(Lost::transport("shaking hands"))?;
                session.process_new_packets().map_err(wrong)?;
            }
        }
    }

    pub(super) fn send(&self, bytes: &[u8]) -> Result<(), Lost> {
        let mut session = self.session.borrow_mut();
        session
            .writer()
            .write_all(bytes)
            .map_err(Lost::transport("encrypting"))?;
        write_pending(&mut session, |bytes| self.socket.try_write(bytes))
    }

    /// Passes what `input` holds to `take`.
    pub(super) fn take(
        &self,
        mut input: &[u8],
        decrypted: &mut [u8],
        take: &mut impl FnMut(&[u8]) -> Result<(), Lost>,
    ) -> Result<(), Lost> {
        // rustls reads a few kilobytes at a time.
        while !input.is_empty() {
            {
                let mut session = self.session.borrow_mut();
                session.read_tls(&mut input).map_err(Lost::transport("reading"))?;
                session.process_new_packets().map_err(wrong)?;
            }
            loop {
                // Given back before `take`, which may answer.
                let read = self.session.borrow_mut().reader().read(decrypted);
                match read {
                    Ok(0) => return Err(ended()),
                    Ok(bytes) => take(&decrypted[..bytes])?,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(Lost::transport("reading")(error)),
                }
            }
            write_pending(&mut self.session.borrow_mut(), |bytes| self.socket.try_write(bytes))?;
        }
        Ok(())
    }
}

fn write_pending(session: &mut ClientConnection, write: impl Fn(&[u8]) -> io::Result<usize>) -> Result<(), Lost> {
    let mut socket = NoWait(write);
    while session.wants_write() {
        session.write_tls(&mut socket).map_err(Lost::transport("writing"))?;
    }
    Ok(())
}

struct NoWait<F>(F);

impl<F: Fn(&[u8]) -> io::Result<usize>> Write for NoWait<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (self.0)(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn ended() -> Lost {
    Lost::Transport {
        doing: "reading",
        what: "the server ended the connection".into(),
    }
}

fn wrong(error: rustls::Error) -> Lost {
    Lost::Wrong(format!("TLS: {error}"))
}
