//! A socket that is written and read without waiting, and waited for with a clock in hand.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use sluice_codec::split_frame;
use sluice_protocol::limits::SERVER_FRAME_BYTES;

use crate::bench_error::{BenchError, Doing};
use crate::monotonic::now_ns;

/// What is read at once.
const READ_BYTES: usize = 256 * 1024;

pub(super) struct Voice {
    socket: TcpStream,
    /// Said, but not yet with the kernel.
    unsent: Vec<u8>,
    /// The beginning of a frame whose rest is still on its way.
    partial: Vec<u8>,
    buffer: Vec<u8>,
}

impl Voice {
    pub(super) fn connect(server: SocketAddr) -> Result<Self, BenchError> {
        let socket = TcpStream::connect(server).doing("connecting a soloist")?;
        socket.set_nodelay(true).doing("connecting a soloist")?;
        socket.set_nonblocking(true).doing("connecting a soloist")?;
        Ok(Self {
            socket,
            unsent: Vec::new(),
            partial: Vec::new(),
            buffer: vec![0; READ_BYTES],
        })
    }

    /// Sends as much as the kernel takes now; the rest follows while this waits.
    pub(super) fn say(&mut self, bytes: &[u8]) -> Result<(), BenchError> {
        self.unsent.extend_from_slice(bytes);
        self.send()
    }

    fn send(&mut self) -> Result<(), BenchError> {
        while !self.unsent.is_empty() {
            match self.socket.write(&self.unsent) {
                Ok(bytes) => {
                    self.unsent.drain(..bytes);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error).doing("writing a soloist's connection"),
            }
        }
        Ok(())
    }

    /// Waits until there is something to read, or until `until_ns`; then passes on the body of each frame that is whole.
    pub(super) fn listen(
        &mut self,
        until_ns: u64,
        mut take: impl FnMut(&[u8]) -> Result<(), BenchError>,
    ) -> Result<(), BenchError> {
        let left = Duration::from_nanos(until_ns.saturating_sub(now_ns()));
        let timeout = Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: left.subsec_nanos().into(),
        };
        let mut wanted = PollFlags::IN;
        wanted.set(PollFlags::OUT, !self.unsent.is_empty());
        match poll(&mut [PollFd::new(&self.socket, wanted)], Some(&timeout)) {
            Ok(0) | Err(Errno::INTR) => return Ok(()),
            other => other.doing("waiting for a soloist's connection")?,
        };
        self.send()?;
        let bytes = match self.socket.read(&mut self.buffer) {
            Ok(0) => return Err(BenchError::peer("the server", "ended a soloist's connection")),
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error).doing("reading a soloist's connection"),
        };
        self.partial.extend_from_slice(&self.buffer[..bytes]);
        let mut used = 0;
        while let Some(frame) = split_frame(&self.partial[used..], SERVER_FRAME_BYTES)
            .map_err(|error| BenchError::peer("a soloist's server", error))?
        {
            take(frame.body)?;
            used += frame.consumed;
        }
        self.partial.drain(..used);
        Ok(())
    }
}
