//! A member's connection: an [`Outlet`] that others in the process may write to, and an [`Inlet`] for the one task that
//! reads. Writing never waits: what members say is short, and a server that does not take it is at fault.

mod quic;
mod tls;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustls::ClientConfig;
use socket2::SockRef;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::Task;
use super::lost::Lost;
use crate::bench_error::BenchError;
use crate::credentials;
use crate::messages::Transport;
use quic::{QuicConnector, QuicInlet, QuicOutlet};
use tls::Tls;

/// What is read at once. Buffers are shared by all members.
const READ_BYTES: usize = 256 * 1024;

/// How long a connection, with its handshake, may take before a client gives up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What the kernel may hold for a member that stops reading: a phone on a bad line, not a server that is paused. With
/// more, a slow member costs the gateway nothing for as long as a phase lasts.
const SLOW_RECEIVE_BYTES: u32 = 16 * 1024;

/// Makes connections.
pub(super) struct Connector {
    server: SocketAddr,
    kind: Kind,
}

enum Kind {
    Tcp,
    Tls(Configs),
    Quic(QuicConnector),
}

/// TLS settings: one for all, or one for each member, which then keeps its own session tickets.
enum Configs {
    Shared(Arc<ClientConfig>),
    Each(Vec<Arc<ClientConfig>>),
}

/// The writing end.
pub(super) enum Outlet {
    Tcp(OwnedWriteHalf),
    Tls(Rc<Tls>),
    Quic(QuicOutlet),
}

/// The reading end.
pub(super) enum Inlet {
    Tcp(OwnedReadHalf),
    Tls(OwnedReadHalf, Rc<Tls>),
    Quic(QuicInlet),
}

/// The buffers that all members share.
pub(super) struct Buffers {
    read: Vec<u8>,
    decrypted: Vec<u8>,
}

impl Buffers {
    pub(super) fn new() -> Self {
        Self {
            read: vec![0; READ_BYTES],
            decrypted: vec![0; READ_BYTES],
        }
    }
}

impl Connector {
    /// Must be called within a runtime.
    pub(super) fn new(task: &Task) -> Result<Self, BenchError> {
        let kind = match task.transport {
            Transport::Tcp => Kind::Tcp,
            Transport::Tls => Kind::Tls(Configs::new(task)?),
            Transport::Quic => Kind::Quic(QuicConnector::new(task)?),
        };
        Ok(Self {
            server: task.server,
            kind,
        })
    }

    /// Connects the member with this number. Its buffer in the kernel is short if it is `slow`.
    pub(super) async fn open(&self, number: usize, slow: bool) -> Result<(Outlet, Inlet), Lost> {
        timeout(CONNECT_TIMEOUT, self.connect(number, slow))
            .await
            .unwrap_or_else(|_| {
                Err(Lost::Transport {
                    doing: "connecting",
                    what: "timed out".into(),
                })
            })
    }

    async fn connect(&self, number: usize, slow: bool) -> Result<(Outlet, Inlet), Lost> {
        match &self.kind {
            Kind::Tcp => {
                let (read, write) = self.connect_tcp(slow).await?.into_split();
                Ok((Outlet::Tcp(write), Inlet::Tcp(read)))
            }
            Kind::Tls(configs) => {
                let socket = self.connect_tcp(slow).await?;
                let (read, session) = Tls::handshake(socket, configs.of(number)).await?;
                let session = Rc::new(session);
                Ok((Outlet::Tls(session.clone()), Inlet::Tls(read, session)))
            }
            Kind::Quic(connector) => {
                let (outlet, inlet) = connector.connect(self.server, number).await?;
                Ok((Outlet::Quic(outlet), Inlet::Quic(inlet)))
            }
        }
    }

    async fn connect_tcp(&self, slow: bool) -> Result<TcpStream, Lost> {
        let socket = TcpSocket::new_v4().map_err(Lost::transport("making a socket"))?;
        if slow {
            socket
                .set_recv_buffer_size(SLOW_RECEIVE_BYTES)
                .map_err(Lost::transport("sizing a buffer"))?;
        }
        let stream = socket
            .connect(self.server)
            .await
            .map_err(Lost::transport("connecting"))?;
        stream.set_nodelay(true).map_err(Lost::transport("connecting"))?;
        // Whatever closes it, a reset does, as when a network is gone. An orderly end would keep its port for a minute, and all come
        // back at once.
        SockRef::from(&stream)
            .set_linger(Some(Duration::ZERO))
            .map_err(Lost::transport("connecting"))?;
        Ok(stream)
    }
}

impl Configs {
    fn new(task: &Task) -> Result<Self, BenchError> {
        let config = credentials::client_config(&task.certificate)?;
        Ok(if task.resumes {
            Self::Each(
                (0..task.members)
                    .map(|_| Arc::new(credentials::resuming(&config)))
                    .collect(),
            )
        } else {
            Self::Shared(Arc::new(config))
        })
    }

    fn of(&self, number: usize) -> Arc<ClientConfig> {
        match self {
            Self::Shared(config) => Arc::clone(config),
            Self::Each(configs) => Arc::clone(&configs[number]),
        }
    }
}

impl Outlet {
    /// Sends all of it, or fails.
    pub(super) fn send(&self, bytes: &[u8]) -> Result<(), Lost> {
        match self {
            Self::Tcp(socket) => write_all(socket, bytes),
            Self::Tls(session) => session.send(bytes),
            Self::Quic(stream) => stream.send(bytes),
        }
    }
}

impl Inlet {
    /// Waits until there is something to read and passes on what one read gives, but reads nothing while `asleep`.
    pub(super) async fn read(
        &mut self,
        buffers: &RefCell<Buffers>,
        asleep: &Cell<bool>,
        mut take: impl FnMut(&[u8]) -> Result<(), Lost>,
    ) -> Result<(), Lost> {
        let bytes = match self {
            Self::Tcp(socket) => {
                poll_fn(|cx| {
                    let buffers = &mut *buffers.borrow_mut();
                    let bytes = ready!(poll_read(socket, asleep, &mut buffers.read, cx))?;
                    take(&buffers.read[..bytes])?;
                    Poll::Ready(Ok(bytes))
                })
                .await?
            }
            Self::Tls(socket, session) => {
                poll_fn(|cx| {
                    let buffers = &mut *buffers.borrow_mut();
                    let bytes = ready!(poll_read(socket, asleep, &mut buffers.read, cx))?;
                    session.take(&buffers.read[..bytes], &mut buffers.decrypted, &mut take)?;
                    Poll::Ready(Ok(bytes))
                })
                .await?
            }
            Self::Quic(stream) => stream.read(asleep, take).await?,
        };
        if bytes >= READ_BYTES {
            // There is more, but others have waited as long.
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}

/// Reads once, and says how many bytes it got; 0 while `asleep`. A read that does not fill the buffer is known to have emptied the
/// socket, so that no second one is made to find that out.
fn poll_read(
    socket: &mut OwnedReadHalf,
    asleep: &Cell<bool>,
    buffer: &mut [u8],
    cx: &mut Context<'_>,
) -> Poll<Result<usize, Lost>> {
    if asleep.get() {
        return Poll::Ready(Ok(0));
    }
    let mut buffer = ReadBuf::new(buffer);
    ready!(Pin::new(socket).poll_read(cx, &mut buffer)).map_err(Lost::transport("reading"))?;
    Poll::Ready(match buffer.filled().len() {
        0 => Err(Lost::Transport {
            doing: "reading",
            what: "the server ended the connection".into(),
        }),
        bytes => Ok(bytes),
    })
}

fn write_all(socket: &OwnedWriteHalf, bytes: &[u8]) -> Result<(), Lost> {
    match socket.try_write(bytes) {
        Ok(written) if written == bytes.len() => Ok(()),
        Ok(_) => Err(Lost::transport("writing")(io::ErrorKind::WouldBlock.into())),
        Err(error) => Err(Lost::transport("writing")(error)),
    }
}
