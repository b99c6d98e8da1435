//! TLS over TCP, driven by hand: rustls in, rustls out, and a socket that never waits.

use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;

use super::{Buffers, try_read};
use crate::credentials;
use crate::crowd::lost::Lost;

/// More than any flight of a handshake.
const HANDSHAKE_READ_BYTES: usize = 16 * 1024;

pub(in crate::crowd) struct Tls {
    socket: TcpStream,
    session: RefCell<ClientConnection>,
}

impl Tls {
    pub(super) async fn handshake(socket: TcpStream, config: Arc<ClientConfig>) -> Result<Self, Lost> {
        let name = ServerName::try_from(credentials::SERVER_NAME).expect("a valid name");
        let mut session = ClientConnection::new(config, name).map_err(wrong)?;
        let mut buffer = vec![0; HANDSHAKE_READ_BYTES];
        loop {
            write_pending(&mut session, &socket)?;
            if !session.is_handshaking() {
                return Ok(Self {
                    socket,
                    session: RefCell::new(session),
                });
            }
            socket.readable().await.map_err(Lost::transport("shaking hands"))?;
            if let Some(bytes) = try_read(&socket, &mut buffer)? {
                let mut input = &buffer[..bytes];
                while !input.is_empty() {
                    session.read_tls(&mut input).map_err(Lost::transport("shaking hands"))?;
                    session.process_new_packets().map_err(wrong)?;
                }
            }
        }
    }

    pub(super) async fn readable(&self) -> Result<(), Lost> {
        self.socket.readable().await.map_err(Lost::transport("reading"))
    }

    pub(super) fn send(&self, bytes: &[u8]) -> Result<(), Lost> {
        let mut session = self.session.borrow_mut();
        session
            .writer()
            .write_all(bytes)
            .map_err(Lost::transport("encrypting"))?;
        write_pending(&mut session, &self.socket)
    }

    pub(super) fn read(
        &self,
        buffers: &mut Buffers,
        mut take: impl FnMut(&[u8]) -> Result<(), Lost>,
    ) -> Result<(), Lost> {
        let Some(bytes) = try_read(&self.socket, &mut buffers.read)? else {
            return Ok(());
        };
        let mut input = &buffers.read[..bytes];
        // rustls reads a few kilobytes at a time.
        while !input.is_empty() {
            {
                let mut session = self.session.borrow_mut();
                session.read_tls(&mut input).map_err(Lost::transport("reading"))?;
                session.process_new_packets().map_err(wrong)?;
            }
            loop {
                // Given back before `take`, which may answer.
                let read = self.session.borrow_mut().reader().read(&mut buffers.decrypted);
                match read {
                    Ok(0) => {
                        return Err(Lost::Transport {
                            doing: "reading",
                            what: "the server ended the TLS session".into(),
                        });
                    }
                    Ok(bytes) => take(&buffers.decrypted[..bytes])?,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(Lost::transport("reading")(error)),
                }
            }
            write_pending(&mut self.session.borrow_mut(), &self.socket)?;
        }
        Ok(())
    }
}

fn write_pending(session: &mut ClientConnection, socket: &TcpStream) -> Result<(), Lost> {
    while session.wants_write() {
        session
            .write_tls(&mut NoWait(socket))
            .map_err(Lost::transport("writing"))?;
    }
    Ok(())
}

struct NoWait<'a>(&'a TcpStream);

impl Write for NoWait<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn wrong(error: rustls::Error) -> Lost {
    Lost::Wrong(format!("TLS: {error}"))
}
