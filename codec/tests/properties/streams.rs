//! Streams, whole and cut into pieces.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use prost::Message;
use sluice_codec::{FrameBuffer, FrameError, encode, encode_into, split_frame};
use sluice_protocol::Frame;

use crate::frames::frame;

/// More than any generated frame has.
const BYTES_MAX: usize = 64 * 1024;

/// A stream's frames, and how it went on after the last of them.
type Verdict = (Vec<Bytes>, Result<(), FrameError>);

fn split_whole(mut stream: &[u8], bytes_max: usize) -> Verdict {
    let mut bodies = Vec::new();
    loop {
        match split_frame(stream, bytes_max) {
            Ok(Some(frame)) => {
                bodies.push(Bytes::copy_from_slice(frame.body));
                stream = &stream[frame.consumed..];
            }
            Ok(None) => return (bodies, Ok(())),
            Err(error) => return (bodies, Err(error)),
        }
    }
}

fn push_in_pieces(pieces: &[&[u8]], bytes_max: usize) -> Verdict {
    let mut buffer = FrameBuffer::new(bytes_max);
    let mut bodies = Vec::new();
    for piece in pieces {
        buffer.push(piece);
        loop {
            match buffer.next_frame() {
                Ok(Some(body)) => bodies.push(body),
                Ok(None) => break,
                Err(error) => return (bodies, Err(error)),
            }
        }
    }
    (bodies, Ok(()))
}

#[cfg(feature = "tokio-util")]
fn decode_in_pieces(pieces: &[&[u8]], bytes_max: usize) -> Verdict {
    use bytes::BytesMut;
    use sluice_codec::{FrameCodec, FrameCodecError};
    use tokio_util::codec::Decoder;

    let mut codec = FrameCodec::new(bytes_max);
    let mut input = BytesMut::new();
    let mut bodies = Vec::new();
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            match codec.decode(&mut input) {
                Ok(Some(body)) => bodies.push(body),
                Ok(None) => break,
                Err(FrameCodecError::Frame(error)) => return (bodies, Err(error)),
                Err(FrameCodecError::Io(error)) => panic!("no transport here, but: {error}"),
            }
        }
    }
    (bodies, Ok(()))
}

fn cut<'a>(stream: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
    places.sort_unstable();
    places.push(stream.len());
    let mut start = 0;
    places
        .into_iter()
        .map(|end| {
            let piece = &stream[start..end];
            start = end;
            piece
        })
        .collect()
}

/// Bytes that are prefixes more often than chance would have it.
fn hostile_stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        vec(any::<u8>(), 0..6),
        vec(0x80_u8..=0xff, 0..6),
        (1_u8..=20).prop_map(|bytes| {
            let mut piece = vec![7; usize::from(bytes) + 1];
            piece[0] = bytes;
            piece
        }),
        vec(
            prop_oneof![Just(0_u8), Just(0x80), Just(0xff), Just(0x7f), Just(1)],
            0..8
        ),
    ];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn bytes_max() -> impl Strategy<Value = usize> {
    prop_oneof![0..40_usize, Just(4096), Just(BYTES_MAX), Just(usize::MAX)]
}

proptest! {
    #[test]
    fn any_split_of_any_stream_gives_the_same_frames(frames in vec(frame(), 0..12), cuts in vec(any::<Index>(), 0..40)) {
        let mut stream = Vec::new();
        for frame in &frames {
            encode_into(frame, &mut stream);
        }
        let expected: Verdict = (frames.iter().map(|frame| frame.encode_to_vec().into()).collect(), Ok(()));
        prop_assert_eq!(&split_whole(&stream, BYTES_MAX), &expected);
        prop_assert_eq!(&push_in_pieces(&cut(&stream, &cuts), BYTES_MAX), &expected);
        prop_assert_eq!(&push_in_pieces(&stream.chunks(1).collect::<Vec<_>>(), BYTES_MAX), &expected);
        #[cfg(feature = "tokio-util")]
        prop_assert_eq!(&decode_in_pieces(&cut(&stream, &cuts), BYTES_MAX), &expected);
    }

    #[test]
    fn bad_streams_fail_at_the_same_place_however_they_are_cut(
        stream in hostile_stream(), bytes_max in bytes_max(), cuts in vec(any::<Index>(), 0..20)
    ) {
        let expected = split_whole(&stream, bytes_max);
        prop_assert_eq!(&push_in_pieces(&cut(&stream, &cuts), bytes_max), &expected);
        prop_assert_eq!(&push_in_pieces(&stream.chunks(1).collect::<Vec<_>>(), bytes_max), &expected);
        #[cfg(feature = "tokio-util")]
        prop_assert_eq!(&decode_in_pieces(&cut(&stream, &cuts), bytes_max), &expected);
    }

    #[test]
    fn every_truncation_of_a_frame_needs_more(frame in frame()) {
        let bytes = encode(&frame);
        for end in 0..bytes.len() {
            prop_assert_eq!(split_frame(&bytes[..end], BYTES_MAX), Ok(None));
        }
        prop_assert!(split_frame(&bytes, BYTES_MAX).unwrap().is_some());
    }

    #[test]
    fn the_buffer_holds_no_more_than_a_frame_and_a_push(
        frames in vec(frame(), 1..12), cuts in vec(any::<Index>(), 0..40)
    ) {
        let mut stream = Vec::new();
        for frame in &frames {
            encode_into(frame, &mut stream);
        }
        let longest = frames.iter().map(Frame::encoded_len).max().unwrap_or_default();
        let prefix_bytes_max = 5;
        let mut buffer = FrameBuffer::new(longest);
        for piece in cut(&stream, &cuts) {
            buffer.push(piece);
            prop_assert!(buffer.len() <= prefix_bytes_max + longest + piece.len());
            while buffer.next_frame().unwrap().is_some() {}
            prop_assert!(buffer.len() < prefix_bytes_max + longest);
        }
        prop_assert!(buffer.is_empty());
        prop_assert_eq!(buffer.capacity(), 0);
    }
}

#[test]
fn a_failed_buffer_keeps_its_error_and_no_bytes() {
    let mut buffer = FrameBuffer::new(4096);
    buffer.push(&[1, 9, 0, 1, 9]);
    assert_eq!(buffer.next_frame(), Ok(Some(Bytes::from_static(&[9]))));
    for _ in 0..2 {
        assert_eq!(buffer.next_frame(), Err(FrameError::Empty));
        assert!(buffer.is_empty());
        assert_eq!(buffer.capacity(), 0);
        buffer.push(&[1, 9]);
    }
}

#[test]
fn a_raised_limit_holds_from_the_next_frame_on() {
    let mut buffer = FrameBuffer::new(1);
    buffer.push(&[1, 9, 2]);
    assert_eq!(buffer.next_frame(), Ok(Some(Bytes::from_static(&[9]))));
    buffer.set_bytes_max(2);
    buffer.push(&[8, 9]);
    assert_eq!(buffer.next_frame(), Ok(Some(Bytes::from_static(&[8, 9]))));
}
