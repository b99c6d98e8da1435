//! Splitting a stream into frames: whole and in pieces give the same, and nothing but canonical prefixes is accepted.
//!
//! Of the input, the first byte chooses the limit, the second how large the pieces are, and the rest is the stream.

use bytes::Bytes;
use sluice_codec::{FrameBuffer, FrameError, frame_bytes, split_frame};

/// The limits of the protocol, and some that are easier to pass.
const LIMITS: [usize; 8] = [0, 1, 127, 128, 4 * 1024, 64 * 1024, 1024 * 1024, usize::MAX];

/// A prefix has at most five bytes.
const PREFIX_BYTES_MAX: usize = 5;

/// Panics if a promise of the decoder does not hold for this input.
pub(crate) fn check(input: &[u8]) {
    let [limit, piece, stream @ ..] = input else { return };
    let bytes_max = LIMITS[usize::from(*limit) % LIMITS.len()];
    let piece_bytes = usize::from(*piece) + 1;
    let whole = split_whole(stream, bytes_max);
    let in_pieces = push_in_pieces(stream, piece_bytes, bytes_max);
    assert_eq!(whole, in_pieces);
}

/// The frames of a stream, and how it went on after the last of them.
type Verdict = (Vec<Bytes>, Result<(), FrameError>);

fn split_whole(mut stream: &[u8], bytes_max: usize) -> Verdict {
    let mut bodies = Vec::new();
    loop {
        match split_frame(stream, bytes_max) {
            Ok(Some(frame)) => {
                assert!(!frame.body.is_empty() && frame.body.len() <= bytes_max);
                let mut canonical = Vec::new();
                prost::encode_length_delimiter(frame.body.len(), &mut canonical).expect("a Vec has room for more");
                assert_eq!(stream[..frame.consumed - frame.body.len()], canonical);
                assert_eq!(frame_bytes(stream, bytes_max), Ok(Some(frame.consumed)));
                bodies.push(Bytes::copy_from_slice(frame.body));
                stream = &stream[frame.consumed..];
            }
            Ok(None) => {
                let is_unfinished = stream.len() < frame_bytes(stream, bytes_max).unwrap().unwrap_or(PREFIX_BYTES_MAX);
                assert!(is_unfinished);
                return (bodies, Ok(()));
            }
            Err(error) => return (bodies, Err(error)),
        }
    }
}

fn push_in_pieces(stream: &[u8], piece_bytes: usize, bytes_max: usize) -> Verdict {
    let mut buffer = FrameBuffer::new(bytes_max);
    let mut bodies = Vec::new();
    for piece in stream.chunks(piece_bytes) {
        buffer.push(piece);
        assert!(buffer.len() <= bytes_max.saturating_add(PREFIX_BYTES_MAX + piece_bytes));
        loop {
            match buffer.next_frame() {
                Ok(Some(body)) => bodies.push(body),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(buffer.capacity(), 0);
                    return (bodies, Err(error));
                }
            }
        }
    }
    (bodies, Ok(()))
}
