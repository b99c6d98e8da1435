//! A stretch of the network between a QUIC client and the gateway.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// More than any packet.
const PACKET_BYTES: usize = 2048;

/// Set in the first byte of a packet with a long header.
const LONG_HEADER: u8 = 0x80;

/// What gets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Everything.
    Both,
    /// What clients send; nothing comes back.
    ToGateway,
}

/// Passes packets on between one client at a time and a gateway, and looks at them. Dropping it cuts the stretch.
#[derive(Debug)]
pub struct QuicRelay {
    address: SocketAddr,
    server_ids: Arc<Mutex<Vec<Vec<u8>>>>,
    task: JoinHandle<()>,
}

impl QuicRelay {
    /// A stretch to the gateway at `address`.
    ///
    /// # Panics
    /// When there is no port for it.
    pub async fn start(gateway: SocketAddr, direction: Direction) -> Self {
        let near = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let far = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        far.connect(gateway).await.expect("loopback");
        let address = near.local_addr().expect("it is bound");
        let server_ids = Arc::new(Mutex::new(Vec::new()));
        let seen = server_ids.clone();
        let task = tokio::spawn(async move { pass_on(&near, &far, direction, &seen).await });
        Self {
            address,
            server_ids,
            task,
        }
    }

    /// Where a client finds the gateway at the other end.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The ids that the gateway gave itself in long headers, which stand in the clear, each once.
    ///
    /// # Panics
    /// When passing on has panicked.
    #[must_use]
    pub fn server_ids(&self) -> Vec<Vec<u8>> {
        self.server_ids.lock().expect("no panic").clone()
    }
}

impl Drop for QuicRelay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass_on(near: &UdpSocket, far: &UdpSocket, direction: Direction, server_ids: &Mutex<Vec<Vec<u8>>>) {
    let mut client = None;
    let (mut from_client, mut from_gateway) = ([0; PACKET_BYTES], [0; PACKET_BYTES]);
    loop {
        // A packet that cannot be passed on is lost, as packets are.
        tokio::select! {
            Ok((bytes, sender)) = near.recv_from(&mut from_client) => {
                client = Some(sender);
                let _ = far.send(&from_client[..bytes]).await;
            }
            Ok(bytes) = far.recv(&mut from_gateway) => {
                let packet = &from_gateway[..bytes];
                if let Some(id) = source_id(packet) {
                    let mut seen = server_ids.lock().expect("no panic");
                    if !seen.iter().any(|other| other == id) {
                        seen.push(id.to_vec());
                    }
                }
                if let Some(client) = client.filter(|_| direction == Direction::Both) {
                    let _ = near.send_to(packet, client).await;
                }
            }
        }
    }
}

/// Who sent it, by the id in a long header (RFC 8999): behind the first byte, the version, and the other's id.
fn source_id(packet: &[u8]) -> Option<&[u8]> {
    let (first, rest) = packet.split_first()?;
    if first & LONG_HEADER == 0 {
        return None;
    }
    let rest = rest.get(4..)?;
    let (destination_bytes, rest) = rest.split_first()?;
    let rest = rest.get(usize::from(*destination_bytes)..)?;
    let (source_bytes, rest) = rest.split_first()?;
    rest.get(..usize::from(*source_bytes))
}
