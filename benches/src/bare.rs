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
use crate::stamp::Stamp;

/// Connections that may wait to be accepted: more than receivers open at a time.
const BACKLOG: i32 = 1024;

/// The byte on the control connection that asks for one round.
pub(crate) const ORDER: u8 = b'!';

/// The byte that asks for one message with a [stamp](crate::stamp): its time and its number follow, eight bytes each, the
/// most significant first.
pub(crate) const STAMPED_ORDER: u8 = b'@';

/// Bytes of a stamped order.
pub(crate) const STAMPED_ORDER_BYTES: usize = 17;

/// What is read of orders at once: hundreds that came in while a round went out.
const ORDERS_BYTES: usize = 8 * 1024;

/// Orders as they come in, cut anywhere.
#[derive(Default)]
struct Orders {
    unread: Vec<u8>,
}

impl Orders {
    fn take_in(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
    }

    /// The bytes for all members that the next order asks for, and all stamped ones that follow it: what waits goes out in
    /// one write, as it would from any good server. `None`: nothing whole is there.
    fn next_batch(&mut self, batches: &mut Batches) -> Option<Bytes> {
        if self.unread.first() == Some(&ORDER) {
            self.unread.remove(0);
            return Some(batches.next_round());
        }
        let mut bytes = Vec::new();
        while let Some((&[STAMPED_ORDER, ref stamp @ ..], _)) = self.unread.split_first_chunk::<STAMPED_ORDER_BYTES>() {
            let (time, number) = stamp.split_at(8);
            let word = |bytes: &[u8]| u64::from_be_bytes(bytes.try_into().expect("it was cut to eight"));
            let stamp = Stamp {
                intended_ns: word(time),
                number: word(number),
            };
            batches.append_stamped(stamp, &mut bytes);
            self.unread.drain(..STAMPED_ORDER_BYTES);
        }
        (!bytes.is_empty()).then(|| bytes.into())
    }
}

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
    let mut orders = Orders::default();
    let mut input = [0; ORDERS_BYTES];
    loop {
        let bytes = control.read(&mut input).doing("waiting for an order")?;
        if bytes == 0 {
            return Ok(());
        }
        orders.take_in(&input[..bytes]);
        while let Some(batch) = orders.next_batch(&mut batches) {
            broadcast(&mut connections, &batch).doing("writing to a member")?;
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::Talk;
    use crate::stamp::STAMP_BYTES;

    #[test]
    fn orders_may_be_cut_anywhere_and_stamped_ones_go_out_together() {
        let stamped = |number: u64| [&[STAMPED_ORDER][..], &77_u64.to_be_bytes(), &number.to_be_bytes()].concat();
        let talk = Talk {
            room: "lobby".into(),
            sender: "bob".into(),
            content: "x".repeat(STAMP_BYTES),
            window: 1,
        };
        let input = [&[ORDER][..], &stamped(1), &stamped(2)].concat();
        let mut batches = Batches::new(talk.clone());
        let mut orders = Orders::default();
        orders.take_in(&input);
        let plain = orders.next_batch(&mut batches).unwrap();
        let together = orders.next_batch(&mut batches).unwrap();
        assert!(orders.next_batch(&mut batches).is_none());
        assert!(together.len() > 2 * plain.len() - 10);
        assert_eq!(
            Stamp::of(&together, STAMP_BYTES),
            Some(Stamp {
                intended_ns: 77,
                number: 2
            })
        );

        let mut batches = Batches::new(talk);
        let mut orders = Orders::default();
        let mut found = 0;
        for byte in input {
            orders.take_in(&[byte]);
            while orders.next_batch(&mut batches).is_some() {
                found += 1;
            }
        }
        assert_eq!(found, 3);
    }
}
