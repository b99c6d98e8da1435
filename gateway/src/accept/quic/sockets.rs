//! The UDP sockets of the endpoints: a group on one port, in the order of the workers.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

use super::steering;

/// What the kernel may hold for each socket in each direction: bursts to thousands of connections share it.
const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// What came of asking for a socket for each worker.
#[derive(Debug)]
pub(crate) struct Sockets {
    /// One for each of the first workers: for all, or for the first alone.
    pub(crate) sockets: Vec<UdpSocket>,
    /// Why there is only one, where more were asked for.
    pub(crate) unsteered: Option<io::Error>,
}

/// Binds `wanted` sockets to one address and has the kernel lead packets to them by connection id; a single one where it does
/// not. Port 0 lets the system choose.
///
/// # Errors
/// When the address is in use or not ours.
pub(crate) fn bind(address: SocketAddr, wanted: u16) -> io::Result<Sockets> {
    bind_group(address, wanted, steering::attach)
}

/// As [`bind`], with this way to have packets led to each of the group's sockets.
fn bind_group(
    address: SocketAddr,
    wanted: u16,
    steer: impl FnOnce(&UdpSocket, u16) -> io::Result<()>,
) -> io::Result<Sockets> {
    // Sharing a port is meant for our own workers. Without this, a second gateway on the same port would quietly get half the
    // packets.
    let probe = unbound(address)?;
    probe.bind(&address.into())?;
    let address = probe.local_addr()?.as_socket().unwrap_or(address);
    drop(probe);
    // A socket's place in the group is how many were bound before it.
    let mut sockets = (0..wanted)
        .map(|_| {
            let socket = unbound(address)?;
            if wanted > 1 {
                socket.set_reuse_port(true)?;
            }
            socket.bind(&address.into())?;
            Ok(UdpSocket::from(socket))
        })
        .collect::<io::Result<Vec<_>>>()?;
    let mut unsteered = None;
    if let Some(first) = sockets.first().filter(|_| wanted > 1)
        && let Err(error) = steer(first, wanted)
    {
        unsteered = Some(error);
        sockets.truncate(1);
    }
    Ok(Sockets { sockets, unsteered })
}

fn unbound(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    // The kernel gives what it is configured to allow.
    socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES)?;
    socket.set_send_buffer_size(SOCKET_BUFFER_BYTES)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests;
