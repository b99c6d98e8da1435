//! The last stage: bytes to a transport, never waiting.
//!
//! A transport implements [`Wire`]; the outbox writes through it. Nothing here knows what the bytes mean.

use std::io;

/// The sending side of a transport connection.
pub(crate) trait Wire {
    /// Takes as many of `bytes` as it can at once and says how many.
    ///
    /// # Errors
    /// `WouldBlock` when it can take none now; anything else when the connection is broken.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// True while bytes that were taken wait inside the transport (a TLS record, say) for the socket to become writable.
    fn has_unsent(&self) -> bool;

    /// Has the connection looked after soon, by whoever reads it and goes on writing when it can.
    fn wake(&self);

    /// A write found the transport full: whoever looks after the connection is to hear when it can take more. For sockets the
    /// kernel sees to that.
    fn expect_writable(&self) {}

    /// Hands one whole frame over to be sent unreliably, apart from the stream and perhaps ahead of it. False when it does not
    /// fit in a datagram, when the transport or the client has none, or when too many wait already: then nothing was taken, and
    /// the frame goes by the stream.
    fn try_send_datagram(&self, frame: &[u8]) -> bool {
        let _ = frame;
        false
    }
}

/// How far a write got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Written {
    pub bytes: usize,
    /// The transport can take no more now.
    pub blocked: bool,
}

/// Writes until all of `bytes` is taken or the transport blocks.
///
/// # Errors
/// When the connection is broken.
pub(crate) fn write(wire: &dyn Wire, bytes: &[u8]) -> io::Result<Written> {
    let mut written = 0;
    while written < bytes.len() {
        match wire.try_write(&bytes[written..]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                written += n;
                // A short write means a full socket buffer: asking again would only cost a system call.
                if written < bytes.len() {
                    return Ok(Written {
                        bytes: written,
                        blocked: true,
                    });
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Ok(Written {
                    bytes: written,
                    blocked: true,
                });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Written {
        bytes: written,
        blocked: wire.has_unsent(),
    })
}
