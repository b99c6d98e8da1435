//! The traits of tokio-util, for those who frame a stream with `Framed`.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use prost::Message;
use sluice_protocol::Frame;
use tokio_util::codec::{Decoder, Encoder};

use crate::{FrameError, split_frame};

/// Frames for `tokio_util::codec::Framed` and its halves.
///
/// Decodes to the bodies of frames, without their length prefix, to be opened with
/// [`open_client_frame`](crate::open_client_frame) or [`open_server_frame`](crate::open_server_frame): one codec serves
/// both sides. Encodes a [`Frame`], or [`Bytes`] that [`encode`](crate::encode) made.
#[derive(Clone, Copy, Debug)]
pub struct FrameCodec {
    bytes_max: usize,
}

impl FrameCodec {
    /// A codec that takes frames whose body has at most `bytes_max` bytes, length prefix not counted. What is sent is
    /// not checked.
    pub fn new(bytes_max: usize) -> Self {
        Self { bytes_max }
    }

    /// Sets another limit for the frames that have not been decoded yet, in bytes of the body.
    pub fn set_bytes_max(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
    }
}

/// Why a framed stream failed.
#[derive(Debug, thiserror::Error)]
pub enum FrameCodecError {
    /// The bytes are no frame. The stream is unusable from then on.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The transport failed, or ended inside a frame.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Decoder for FrameCodec {
    type Item = Bytes;
    type Error = FrameCodecError;

    fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Bytes>, FrameCodecError> {
        let Some(frame) = split_frame(input, self.bytes_max)? else {
            return Ok(None);
        };
        let (consumed, body_bytes) = (frame.consumed, frame.body.len());
        input.advance(consumed - body_bytes);
        Ok(Some(input.split_to(body_bytes).freeze()))
    }
}

impl Encoder<&Frame> for FrameCodec {
    type Error = FrameCodecError;

    fn encode(&mut self, frame: &Frame, output: &mut BytesMut) -> Result<(), FrameCodecError> {
        frame
            .encode_length_delimited(output)
            .expect("a BytesMut has room for more");
        Ok(())
    }
}

impl Encoder<Bytes> for FrameCodec {
    type Error = FrameCodecError;

    fn encode(&mut self, frame: Bytes, output: &mut BytesMut) -> Result<(), FrameCodecError> {
        output.extend_from_slice(&frame);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_protocol::{Ping, frame::Body};

    #[test]
    fn what_is_encoded_is_decoded_whether_as_frame_or_as_bytes() {
        let frame = Frame {
            request_id: 3,
            body: Some(Body::Ping(Ping {})),
        };
        let mut codec = FrameCodec::new(4096);
        let mut stream = BytesMut::new();
        codec.encode(&frame, &mut stream).unwrap();
        codec.encode(crate::encode(&frame), &mut stream).unwrap();
        for _ in 0..2 {
            let body = codec.decode(&mut stream).unwrap().expect("a whole frame");
            assert_eq!(crate::open_server_frame(&body), Ok(frame.clone()));
        }
        assert!(codec.decode(&mut stream).unwrap().is_none());
        assert!(codec.decode_eof(&mut stream).unwrap().is_none());
    }

    #[test]
    fn a_stream_that_ends_inside_a_frame_is_an_error() {
        let mut codec = FrameCodec::new(4096);
        let mut stream = BytesMut::from(&[5, 8][..]);
        assert!(matches!(codec.decode_eof(&mut stream), Err(FrameCodecError::Io(_))));
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_until_the_limit_is_raised() {
        let mut codec = FrameCodec::new(1);
        let mut stream = BytesMut::from(&[2, 10, 11][..]);
        assert!(matches!(
            codec.decode(&mut stream),
            Err(FrameCodecError::Frame(FrameError::TooLong {
                announced: 2,
                bytes_max: 1
            }))
        ));
        codec.set_bytes_max(2);
        assert_eq!(codec.decode(&mut stream).unwrap().as_deref(), Some(&[10, 11][..]));
    }
}
