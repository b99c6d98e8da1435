//! Bare loops: the least a server can do to bring the same bytes to the same connections.
//!
//! No rooms, no logins, no frames read: connections are taken one by one, and each order on the control connection
//! writes one round's bytes, encoded once, to all of them. What a server costs beyond this is its own doing.

pub(crate) mod quic;
pub(crate) mod tcp;
pub(crate) mod tls;

use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, poll};
use socket2::{Domain, Socket, Type};

use crate::batch::Batches;
use crate::bench_error::{BenchError, Doing};
use crate::child::report;
use crate::messages::{BareTask, Report};

/// Connections that may wait to be accepted: more than receivers open at a time.
const BACKLOG: i32 = 1024;

/// The byte on the control connection that asks for one round.
pub(crate) const ORDER: u8 = b'!';

/// How far a write got.
enum Progress {
    Done,
    /// The socket took what it could.
    Blocked,
}

/// Connections over a non-blocking socket.
trait Outlet {
    /// Begins a round; no other is under way.
    fn send(&mut self, batch: &Bytes) -> io::Result<Progress>;

    /// Goes on after [`Progress::Blocked`].
    fn resume(&mut self, batch: &Bytes) -> io::Result<Progress>;

    fn socket(&self) -> &TcpStream;
}

/// The whole life of a bare loop over sockets. `take` makes a connection ready for rounds; it may block until the peer
/// has done its part.
fn serve<O: Outlet>(task: BareTask, take: impl Fn(TcpStream, &[u8]) -> io::Result<O>) -> Result<(), BenchError> {
    let listener = listen()?;
    let control = listen()?;
    report(&Report::Listening {
        members: listener.local_addr().doing("listening")?,
        control: control.local_addr().doing("listening")?,
    });
    let (mut control, _) = control.accept().doing("waiting for the control connection")?;
    let welcome = crate::batch::welcome();
    let mut connections = Vec::with_capacity(task.members);
    for number in 0..task.members {
        let (socket, _) = listener.accept().doing("accepting")?;
        connections.push(take(socket, &welcome).doing(format!("taking connection {number}"))?);
    }
    let mut batches = Batches::new(task.talk);
    let mut order = [0];
    while control.read(&mut order).doing("waiting for an order")? != 0 {
        broadcast(&mut connections, &batches.next_round()).doing("writing to a member")?;
    }
    Ok(())
}

fn broadcast<O: Outlet>(connections: &mut [O], batch: &Bytes) -> io::Result<()> {
    let mut blocked = Vec::new();
    for (index, connection) in connections.iter_mut().enumerate() {
        if let Progress::Blocked = connection.send(batch)? {
            blocked.push(index);
        }
    }
    while let Some(first) = blocked.first() {
        poll(&mut [PollFd::new(connections[*first].socket(), PollFlags::OUT)], None)?;
        let mut still_blocked = Vec::new();
        for index in blocked {
            if let Progress::Blocked = connections[index].resume(batch)? {
                still_blocked.push(index);
            }
        }
        blocked = still_blocked;
    }
    Ok(())
}

fn listen() -> Result<TcpListener, BenchError> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).doing("making a socket")?;
    socket
        .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
        .doing("binding a port")?;
    socket.listen(BACKLOG).doing("listening")?;
    Ok(socket.into())
}
