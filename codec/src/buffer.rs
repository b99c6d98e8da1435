//! A buffer for those who read a stream piece by piece.

use bytes::{Buf, Bytes, BytesMut};

use crate::{FrameError, split_frame};

/// Keeps the bytes of a stream until they are whole frames.
///
/// Push what was read, then take frames until there is none. Used so, it holds at most one unfinished frame and what
/// one push brought. It grows by what has arrived, never by what a prefix announces, and owns no memory when empty.
///
/// A frame that was taken shares the memory of those read with it: copy what is to be kept for long.
///
/// ```
/// let mut buffer = sluice_codec::FrameBuffer::new(4096);
/// buffer.push(&[2, 10]);
/// assert_eq!(buffer.next_frame()?, None);
/// buffer.push(&[11, 1, 12]);
/// assert_eq!(buffer.next_frame()?.as_deref(), Some(&[10, 11][..]));
/// assert_eq!(buffer.next_frame()?.as_deref(), Some(&[12][..]));
/// assert_eq!(buffer.next_frame()?, None);
/// # Ok::<(), sluice_codec::FrameError>(())
/// ```
#[derive(Debug)]
pub struct FrameBuffer {
    bytes: BytesMut,
    bytes_max: usize,
    /// The stream's end, as far as frames go: nobody knows where the next one would begin.
    failed: Option<FrameError>,
}

impl FrameBuffer {
    /// An empty buffer for frames whose body has at most `bytes_max` bytes, length prefix not counted.
    pub fn new(bytes_max: usize) -> Self {
        Self {
            bytes: BytesMut::new(),
            bytes_max,
            failed: None,
        }
    }

    /// Sets another limit for the frames that have not been taken yet, in bytes of the body.
    pub fn set_bytes_max(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
    }

    /// Adds bytes read from the stream. After an error they are dropped.
    pub fn push(&mut self, input: &[u8]) {
        if self.failed.is_none() {
            self.bytes.extend_from_slice(input);
        }
    }

    /// Takes the next frame's body, without its length prefix. `Ok(None)`: more bytes are needed.
    ///
    /// # Errors
    ///
    /// As [`split_frame`]. The stream is unusable from then on: what was buffered is dropped, and each further call
    /// gives the same error.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, FrameError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        match split_frame(&self.bytes, self.bytes_max) {
            Ok(Some(frame)) => {
                let (consumed, body_bytes) = (frame.consumed, frame.body.len());
                self.bytes.advance(consumed - body_bytes);
                Ok(Some(self.bytes.split_to(body_bytes).freeze()))
            }
            Ok(None) => {
                if self.bytes.is_empty() {
                    self.bytes = BytesMut::new();
                }
                Ok(None)
            }
            Err(error) => {
                self.bytes = BytesMut::new();
                self.failed = Some(error.clone());
                Err(error)
            }
        }
    }

    /// Whether no byte is buffered: a stream that ends now ends between two frames.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes buffered and not yet taken.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes the buffer has room for, those it holds included.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}
