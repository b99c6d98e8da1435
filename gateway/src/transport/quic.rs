//! QUIC: one bidirectional stream carries exactly what a TCP connection would.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use quinn::{Connection, ReadError, RecvStream, SendStream, VarInt, WriteError};
use tokio::io::{AsyncRead, ReadBuf};

use crate::refusal::Refusal;

/// No frame longer than this is worth copying for a datagram: packets have no more bytes, see `handshake::quic_config`.
const PACKET_BYTES: usize = 1200;

/// A QUIC connection with its control stream.
#[derive(Debug)]
pub(crate) struct Quic {
    connection: Connection,
    opened_from: SocketAddr,
    /// Taken when the stream is finished.
    send: RefCell<Option<SendStream>>,
    receive: RefCell<RecvStream>,
    waker: RefCell<Waker>,
}

impl Quic {
    /// A connection whose client has opened the control stream.
    pub(crate) fn new(connection: Connection, send: SendStream, receive: RecvStream) -> Self {
        Self {
            opened_from: connection.remote_address(),
            connection,
            send: RefCell::new(Some(send)),
            receive: RefCell::new(receive),
            waker: RefCell::new(Waker::noop().clone()),
        }
    }

    pub(super) fn peer(&self) -> SocketAddr {
        self.connection.remote_address()
    }

    pub(super) fn has_moved(&self) -> bool {
        self.connection.remote_address() != self.opened_from
    }

    pub(super) fn set_waker(&self, waker: &Waker) {
        self.waker.borrow_mut().clone_from(waker);
    }

    pub(super) fn wake(&self) {
        self.waker.borrow().wake_by_ref();
    }

    pub(super) fn poll_read(&self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(scratch);
        match Pin::new(&mut *self.receive.borrow_mut()).poll_read(cx, &mut buffer) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(())) => Poll::Ready(Ok(buffer.filled().len())),
            // A client that closes the connection is as gone as one that ends the stream.
            Poll::Ready(Err(error)) => match error.downcast::<ReadError>() {
                Ok(ReadError::ConnectionLost(quinn::ConnectionError::ApplicationClosed(_))) => Poll::Ready(Ok(0)),
                Ok(error) => Poll::Ready(Err(error.into())),
                Err(error) => Poll::Ready(Err(error)),
            },
        }
    }

    pub(super) fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A write of nothing waits for exactly what a write of something would.
        self.poll_write(cx, &[]).map_ok(|_| ())
    }

    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let waker = self.waker.borrow();
        match self.poll_write(&mut Context::from_waker(&waker), bytes) {
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
            Poll::Ready(result) => result,
        }
    }

    pub(super) fn datagram_bytes_max(&self) -> Option<usize> {
        // A client that does not want any may say so by the length 0.
        self.connection.max_datagram_size().filter(|bytes| *bytes > 0)
    }

    pub(super) fn try_send_datagram(&self, frame: &[u8]) -> bool {
        // Without room, quinn would make some by throwing older ones away.
        frame.len() <= PACKET_BYTES
            && frame.len() <= self.connection.datagram_send_buffer_space()
            && self.connection.send_datagram(Bytes::copy_from_slice(frame)).is_ok()
    }

    /// Ends the stream, and once the client has all of it, the connection with the code. Then `held` is dropped.
    pub(super) fn finish(&self, refusal: &Refusal, closing_timeout: Duration, held: impl Sized + 'static) {
        let Some(mut send) = self.send.borrow_mut().take() else {
            return;
        };
        let connection = self.connection.clone();
        let code = application_code(refusal);
        let reason = refusal.detail.clone().into_owned();
        tokio::task::spawn_local(async move {
            if send.finish().is_ok() {
                // Closing at once would throw away what the client has still to get.
                let _ = tokio::time::timeout(closing_timeout, send.stopped()).await;
            }
            connection.close(code, reason.as_bytes());
            drop(held);
        });
    }

    /// Ends the connection with the code, at once.
    pub(super) fn abandon(&self, refusal: &Refusal) {
        self.connection
            .close(application_code(refusal), refusal.detail.as_bytes());
    }

    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.send.borrow_mut().as_mut() {
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            Some(send) => Pin::new(send)
                .poll_write(cx, bytes)
                .map_err(|error: WriteError| error.into()),
        }
    }
}

fn application_code(refusal: &Refusal) -> VarInt {
    // Codes that a server closes with are positive and small.
    VarInt::from_u32(refusal.code.number().unsigned_abs())
}
