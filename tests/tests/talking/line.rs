//! A connection over TCP as frames, on which an end is no surprise.

use std::io;
use std::net::SocketAddr;

use sluice_codec::{FrameBuffer, encode, open_server_frame};
use sluice_protocol::frame::Body;
use sluice_protocol::{Frame, limits};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Read at once.
const READ_BYTES: usize = 64 * 1024;

pub(super) struct Line {
    stream: TcpStream,
    frames: FrameBuffer,
    buffer: Vec<u8>,
}

impl Line {
    /// # Errors
    /// When nobody takes the connection.
    pub(super) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            frames: FrameBuffer::new(limits::SERVER_FRAME_BYTES),
            buffer: vec![0; READ_BYTES],
        })
    }

    /// # Errors
    /// When the connection has ended.
    pub(super) async fn send(&mut self, request_id: u32, body: Body) -> io::Result<()> {
        let body = Some(body);
        self.stream.write_all(&encode(&Frame { request_id, body })).await
    }

    /// The next frame. Cancel safe.
    ///
    /// # Errors
    /// When the connection has ended, be it within a frame.
    ///
    /// # Panics
    /// When the bytes are no frame.
    pub(super) async fn next(&mut self) -> io::Result<Frame> {
        loop {
            if let Some(body) = self.frames.next_frame().expect("the server sends frames") {
                return Ok(open_server_frame(&body).expect("the server sends frames"));
            }
            let read = self.stream.read(&mut self.buffer).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.frames.push(&self.buffer[..read]);
        }
    }
}
