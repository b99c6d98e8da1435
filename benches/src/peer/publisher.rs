//! The one who publishes to a peer.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::{Arrival, Protocol, SEQUENCE_BYTES};
use crate::bench_error::{BenchError, Doing};
use crate::messages::Talk;

/// How long a peer may take to answer the greeting, and to take a round's bytes.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is read at once; a greeting's answer is shorter.
const READ_BYTES: usize = 64 * 1024;

/// A connection that publishes and does not subscribe.
pub(crate) struct PeerPublisher {
    socket: TcpStream,
    protocol: Protocol,
    content: Vec<u8>,
    window: u32,
    /// The number of the newest message.
    sequence: u64,
}

impl PeerPublisher {
    /// Connects and waits until it is greeted.
    pub(crate) fn connect(server: SocketAddr, protocol: Protocol, talk: &Talk) -> Result<Self, BenchError> {
        let doing = "connecting the publisher";
        let mut socket = TcpStream::connect(server).doing(doing)?;
        socket
            .set_nodelay(true)
            .and_then(|()| socket.set_read_timeout(Some(PATIENCE)))
            .and_then(|()| socket.set_write_timeout(Some(PATIENCE)))
            .and_then(|()| socket.write_all(&protocol.greeting()))
            .doing(doing)?;
        let mut buffer = vec![0; READ_BYTES];
        let (mut known, mut used) = (0, 0);
        loop {
            match protocol.next(&buffer[used..known]) {
                Ok(Some((Arrival::Greeted | Arrival::Inside, _))) => break,
                Ok(Some((_, bytes))) => used += bytes,
                Ok(None) => match socket.read(&mut buffer[known..]).doing(doing)? {
                    0 => return Err(BenchError::peer("the server", "ended the publisher's connection")),
                    bytes => known += bytes,
                },
                Err(what) => return Err(BenchError::peer("the server", what)),
            }
        }
        Ok(Self {
            socket,
            protocol,
            content: talk.content.as_bytes().to_vec(),
            window: talk.window,
            sequence: 0,
        })
    }

    /// Publishes a round's messages in one write. Nothing acknowledges them: these protocols do not.
    pub(crate) fn send_round(&mut self) -> Result<(), BenchError> {
        let mut round = Vec::with_capacity(self.window as usize * (self.content.len() + 32));
        for _ in 0..self.window {
            self.sequence += 1;
            self.content[..SEQUENCE_BYTES].copy_from_slice(&self.sequence.to_be_bytes());
            self.protocol.publish(&self.content, &mut round);
        }
        self.socket.write_all(&round).doing("publishing")
    }
}
