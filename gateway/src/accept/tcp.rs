//! TCP listeners, one for each worker on the same port.

use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use rustix::io::Errno;
use sluice_protocol::limits::CLIENT_FRAME_BYTES_BEFORE_LOGIN;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// Connections that wait to be accepted on one listener.
const BACKLOG: i32 = 4096;

/// How long accepting pauses when descriptors or memory ran out: at first, and at most.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// What kind of failure an accept was. The numbers are those of the metrics' label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AcceptError {
    /// The client gave up, or the network did. The next one may be fine at once.
    Connection = 0,
    /// The process or the system has no descriptor or memory left. Trying again at once would only burn a processor.
    Resources = 1,
}

/// Listeners on one address, one for each worker; the kernel spreads the connections over them.
///
/// # Errors
/// When the address is in use or not ours.
pub(crate) fn bind(address: SocketAddr, workers: usize) -> io::Result<Vec<TcpListener>> {
    // Sharing a port is meant for our own workers. Without this, a second gateway on the same port would quietly get half the
    // connections.
    let probe = socket(address)?;
    probe.bind(&address.into())?;
    let address = probe.local_addr()?.as_socket().unwrap_or(address);
    drop(probe);
    (0..workers)
        .map(|_| {
            let socket = socket(address)?;
            socket.set_reuse_port(true)?;
            socket.bind(&address.into())?;
            socket.listen(BACKLOG)?;
            Ok(socket.into())
        })
        .collect()
}

/// Accepts for ever. A connection that `admit` does not want is dropped by it.
///
/// # Errors
/// When the listener cannot be waited for.
pub(crate) async fn accept(
    listener: TcpListener,
    mut admit: impl FnMut(TcpStream, SocketAddr),
    mut failed: impl FnMut(AcceptError, &io::Error),
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let mut pause = PAUSE_MIN;
    loop {
        let accepted = listener.accept().await;
        // The runtime's registration of a socket is larger than all the rest of it.
        match accepted.and_then(|(stream, peer)| Ok((stream.into_std()?, peer))) {
            Ok((stream, peer)) => {
                pause = PAUSE_MIN;
                // Frames are written when they are whole; waiting for more would only delay them.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::trace!(%error, "TCP_NODELAY");
                }
                admit(stream, peer);
            }
            Err(error) => {
                let kind = classify(&error);
                failed(kind, &error);
                if kind == AcceptError::Resources {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }
}

/// Says a last word to a client that cannot be let in, without waiting for anything.
pub(crate) fn turn_away(stream: &TcpStream, last_word: &[u8]) {
    let socket = SockRef::from(stream);
    // A client that is gone already needs no word.
    let _ = socket.send(last_word);
    let _ = socket.shutdown(Shutdown::Write);
    // Closing with something unread would send a reset, which may overtake the word.
    let mut unread = [0; CLIENT_FRAME_BYTES_BEFORE_LOGIN];
    let _ = (&*socket).read(&mut unread);
}

/// By name: what accept(2) passes on of the one connection is a long list, and longer with each system.
fn classify(error: &io::Error) -> AcceptError {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => AcceptError::Resources,
        _ => AcceptError::Connection,
    }
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_share_a_port_and_strangers_do_not() {
        let listeners = bind("127.0.0.1:0".parse().unwrap(), 3).expect("free");
        let address = listeners[0].local_addr().unwrap();
        assert!(
            listeners
                .iter()
                .all(|listener| listener.local_addr().unwrap() == address)
        );
        let error = bind(address, 1).expect_err("a second gateway must notice");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
    #[test]
    fn only_a_want_of_descriptors_or_memory_pauses_the_listener() {
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM] {
            assert_eq!(classify(&errno.into()), AcceptError::Resources, "{errno:?}");
        }
        let of_one_connection = [
            Errno::CONNABORTED,
            Errno::CONNRESET,
            Errno::HOSTUNREACH,
            Errno::INTR,
            Errno::NETDOWN,
            Errno::NETUNREACH,
            Errno::PERM,
            Errno::PROTO,
            Errno::TIMEDOUT,
        ];
        for errno in of_one_connection {
            assert_eq!(classify(&errno.into()), AcceptError::Connection, "{errno:?}");
        }
    }
}
