//! Members over TCP and TLS: one thread, one epoll, one buffer.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use rustls::{ClientConfig, ClientConnection};
use rustls_pki_types::ServerName;

use super::share::{Member, Share};
use super::{CONNECTING_MAX, Hello, user_id};
use crate::bench_error::{BenchError, Doing};
use crate::child::report;
use crate::credentials;
use crate::messages::{ReceiveTask, Transport};

/// More than a round at window 128, so that a member's round is one read.
const READ_BYTES: usize = 256 * 1024;

/// Sockets looked after between two waits.
const EVENTS_MAX: usize = 1024;

struct Connection {
    socket: TcpStream,
    /// `None` over plain TCP.
    tls: Option<Box<ClientConnection>>,
    member: Member,
}

/// The buffers that all connections share.
struct Buffers {
    read: Vec<u8>,
    decrypted: Vec<u8>,
}

/// Receives until the process ends.
pub(super) fn run(task: &ReceiveTask) -> Result<(), BenchError> {
    let tls = match task.transport {
        Transport::Tls => Some(Arc::new(credentials::client_config(&task.certificate)?)),
        _ => None,
    };
    let hello = Hello::new(&task.talk.room, &task.entry);
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).doing("creating an epoll")?;
    let mut share = Share::new(&task.talk, task.members, report);
    let mut connections = Vec::with_capacity(task.members);
    let mut buffers = Buffers {
        read: vec![0; READ_BYTES],
        decrypted: vec![0; READ_BYTES],
    };
    let mut events = Vec::with_capacity(EVENTS_MAX);
    loop {
        while connections.len() < task.members && connections.len() - share.inside() < CONNECTING_MAX {
            let number = connections.len();
            let hello = hello.of(&user_id(task.first_member + number));
            let connection = Connection::open(task.server, tls.as_ref(), &hello)
                .and_then(|connection| connection.register(&epoll, number))
                .doing(format!("connecting member {number}"))?;
            connections.push(connection);
        }
        events.clear();
        match epoll::wait(&epoll, spare_capacity(&mut events), None) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other.doing("waiting for sockets")?,
        };
        for event in &events {
            let number = event.data.u64() as usize;
            connections[number]
                .receive(&mut share, &mut buffers)
                .map_err(|what| BenchError::peer(&format!("the server of member {number}"), what))?;
        }
    }
}

impl Connection {
    fn open(server: SocketAddr, tls: Option<&Arc<ClientConfig>>, hello: &[u8]) -> io::Result<Self> {
        let mut socket = TcpStream::connect(server)?;
        socket.set_nodelay(true)?;
        let tls = match tls {
            None => {
                socket.write_all(hello)?;
                None
            }
            Some(config) => {
                let name = ServerName::try_from(credentials::SERVER_NAME).expect("a valid name");
                let mut session = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
                // Kept by rustls until the handshake is done.
                session.writer().write_all(hello)?;
                while session.wants_write() {
                    session.write_tls(&mut socket)?;
                }
                Some(Box::new(session))
            }
        };
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            tls,
            member: Member::default(),
        })
    }

    fn register(self, epoll: &OwnedFd, number: usize) -> io::Result<Self> {
        let interest = epoll::EventFlags::IN | epoll::EventFlags::RDHUP | epoll::EventFlags::ET;
        epoll::add(epoll, &self.socket, epoll::EventData::new_u64(number as u64), interest)?;
        Ok(self)
    }

    /// Reads all there is.
    fn receive(&mut self, share: &mut Share, buffers: &mut Buffers) -> Result<(), String> {
        loop {
            let bytes = match self.socket.read(&mut buffers.read) {
                Ok(0) => return Err("ended the connection".into()),
                Ok(bytes) => bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.to_string()),
            };
            let input = &buffers.read[..bytes];
            match &mut self.tls {
                None => share.take(&mut self.member, input)?,
                Some(session) => {
                    decrypt(session, &mut self.socket, input, &mut buffers.decrypted, |plain| {
                        share.take(&mut self.member, plain)
                    })?;
                }
            }
            // The buffer was larger than what there was: the socket is empty, and epoll says when it is not.
            if bytes < READ_BYTES {
                return Ok(());
            }
        }
    }
}

/// Passes what `input` holds to `take`, and answers what the handshake wants answered.
fn decrypt(
    session: &mut ClientConnection,
    socket: &mut TcpStream,
    mut input: &[u8],
    decrypted: &mut [u8],
    mut take: impl FnMut(&[u8]) -> Result<(), String>,
) -> Result<(), String> {
    // rustls reads a few kilobytes at a time; from memory that costs no system calls.
    while !input.is_empty() {
        session.read_tls(&mut input).map_err(|error| error.to_string())?;
        session.process_new_packets().map_err(|error| error.to_string())?;
        loop {
            match session.reader().read(decrypted) {
                Ok(0) => return Err("ended the TLS session".into()),
                Ok(bytes) => take(&decrypted[..bytes])?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.to_string()),
            }
        }
        // Less than a kilobyte, at most twice in a connection's life: a socket buffer holds it.
        while session.wants_write() {
            session.write_tls(socket).map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}
