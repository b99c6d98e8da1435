//! QUIC settings of the bare loop and of the receivers: one stream, small windows, like a gateway's connection.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::{Endpoint, EndpointConfig, ServerConfig, TokioRuntime, TransportConfig};
use socket2::SockRef;

use crate::bench_error::{BenchError, Doing};

/// A round at window 128 is about 25 KB a member; four of them fit, so that flow control never ends a write early.
const STREAM_WINDOW_BYTES: u32 = 128 * 1024;

/// What an endpoint with thousands of connections may have waiting in the kernel. The system may grant less.
const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// A member is idle while the other server has its turn, for as long as a slow round or two may take.
const IDLE_TIMEOUT: Duration = Duration::from_secs(600);

fn transport() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(1_u8.into())
        .max_concurrent_uni_streams(0_u8.into())
        .stream_receive_window(STREAM_WINDOW_BYTES.into())
        .receive_window(STREAM_WINDOW_BYTES.into())
        .send_window(u64::from(2 * STREAM_WINDOW_BYTES))
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(Some(IDLE_TIMEOUT.try_into().expect("ten minutes fit")));
    transport
}

/// For the bare loop: as the gateway's, which decides how many bytes a packet has and how many may be under way.
pub(crate) fn server_transport() -> Arc<TransportConfig> {
    Arc::new(transport())
}

/// For receivers.
pub(crate) fn client_transport() -> Arc<TransportConfig> {
    let mut transport = transport();
    // They send little more than acknowledgements, which do not fill a packet of any size.
    transport.mtu_discovery_config(None);
    Arc::new(transport)
}

/// An endpoint on a free loopback port. Must be called within a runtime.
pub(crate) fn endpoint(server: Option<ServerConfig>) -> Result<Endpoint, BenchError> {
    let socket = UdpSocket::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).doing("binding a UDP port")?;
    SockRef::from(&socket)
        .set_recv_buffer_size(SOCKET_BUFFER_BYTES)
        .doing("sizing a UDP buffer")?;
    SockRef::from(&socket)
        .set_send_buffer_size(SOCKET_BUFFER_BYTES)
        .doing("sizing a UDP buffer")?;
    Endpoint::new(EndpointConfig::default(), server, socket, Arc::new(TokioRuntime)).doing("starting a QUIC endpoint")
}
