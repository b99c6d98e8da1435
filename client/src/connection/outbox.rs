//! The bytes a connection still has to write.

use std::io;

use bytes::{Buf, BytesMut};
use sluice_protocol::Frame;
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// With this many bytes waiting no further call is taken from the queue: four of the largest frames, enough to keep a
/// fast link busy. One frame may go beyond it.
const WAITING_BYTES_MAX: usize = 256 * 1024;

#[derive(Debug)]
pub(super) struct Outbox {
    waiting: BytesMut,
    /// What was written may still be inside the writer: TLS makes records of it.
    unflushed: bool,
}

impl Outbox {
    pub(super) fn new() -> Self {
        Self {
            waiting: BytesMut::new(),
            unflushed: false,
        }
    }

    pub(super) fn push(&mut self, frame: &Frame) {
        self.waiting.extend_from_slice(&sluice_codec::encode(frame));
    }

    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < WAITING_BYTES_MAX
    }

    /// Whether everything has left.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && !self.unflushed
    }

    /// Forgets what waits, as nobody will take it any more.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.unflushed = false;
    }

    /// One step towards empty. Cancel safe: what a dropped step wrote is accounted for.
    pub(super) async fn write_some(&mut self, writer: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        if !self.waiting.is_empty() {
            let count = writer.write(&self.waiting).await?;
            if count == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.waiting.advance(count);
            self.unflushed = true;
        } else if self.unflushed {
            writer.flush().await?;
            self.unflushed = false;
        }
        Ok(())
    }
}
