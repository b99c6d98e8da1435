//! Where the frame at the front of a stream ends.
//!
//! Only the length prefix is looked at. What is inside a frame is the subject of `open`.

use crate::FrameError;

/// The longest accepted prefix: what a `u32` needs. Protobuf itself ends at 2 GiB.
const PREFIX_BYTES_MAX: usize = 5;

/// The seven bits of a varint's byte that belong to the number.
const GROUP: u8 = 0x7f;

/// The frame at the front of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SplitFrame<'a> {
    /// The encoded [`Frame`](sluice_protocol::Frame), without the length prefix.
    pub body: &'a [u8],
    /// Bytes of the input that this frame used, length prefix included. The next frame begins there.
    pub consumed: usize,
}

/// Looks at the front of `input` for a whole frame, without copying. `Ok(None)`: more bytes are needed.
///
/// `bytes_max` is the longest acceptable body in bytes, length prefix not counted.
///
/// # Errors
///
/// [`FrameError::TooLong`], [`FrameError::Empty`] and [`FrameError::OverlongLength`], each with the first byte that
/// proves it: the answer depends on the bytes of the stream and never on how they were cut into reads.
#[inline]
pub fn split_frame(input: &[u8], bytes_max: usize) -> Result<Option<SplitFrame<'_>>, FrameError> {
    let Some(prefix) = read_prefix(input, bytes_max)? else {
        return Ok(None);
    };
    Ok(input[prefix.bytes..].get(..prefix.body_bytes).map(|body| SplitFrame {
        body,
        consumed: prefix.bytes + prefix.body_bytes,
    }))
}

/// How many bytes the frame at the front of `input` will have, length prefix included. `Ok(None)`: the prefix is not
/// complete.
///
/// For those who size a buffer of their own: the limit has been checked when this answers. Whoever reserves all of it
/// at once lends memory to a peer that has sent a few bytes only.
///
/// # Errors
///
/// As [`split_frame`].
pub fn frame_bytes(input: &[u8], bytes_max: usize) -> Result<Option<usize>, FrameError> {
    let prefix = read_prefix(input, bytes_max)?;
    Ok(prefix.map(|prefix| prefix.bytes.saturating_add(prefix.body_bytes)))
}

struct Prefix {
    /// Its own length.
    bytes: usize,
    /// The length it announces, at most the limit.
    body_bytes: usize,
}

/// Reads byte by byte even where more are there, so that the verdict is the same however the stream is cut.
#[inline]
fn read_prefix(input: &[u8], bytes_max: usize) -> Result<Option<Prefix>, FrameError> {
    let mut announced = 0_u64;
    for (position, byte) in input.iter().enumerate().take(PREFIX_BYTES_MAX) {
        let shift = 7 * position;
        announced |= u64::from(byte & GROUP) << shift;
        let is_last = *byte <= GROUP;
        if is_last && *byte == 0 {
            return Err(if position == 0 {
                FrameError::Empty
            } else {
                FrameError::OverlongLength
            });
        }
        // In the canonical form at least one bit follows a byte that is not the last, so this much is certain.
        let least = if is_last {
            announced
        } else {
            announced + (1 << (shift + 7))
        };
        if !usize::try_from(least).is_ok_and(|least| least <= bytes_max) {
            return Err(FrameError::TooLong {
                announced: least,
                bytes_max,
            });
        }
        if is_last {
            return Ok(Some(Prefix {
                bytes: position + 1,
                body_bytes: announced as usize,
            }));
        }
    }
    if input.len() < PREFIX_BYTES_MAX {
        Ok(None)
    } else {
        Err(FrameError::OverlongLength)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_ends_where_its_prefix_says_and_the_rest_is_left() {
        let frame = split_frame(&[2, 10, 11, 12], 16).unwrap().unwrap();
        assert_eq!(
            frame,
            SplitFrame {
                body: &[10, 11],
                consumed: 3
            }
        );
        assert_eq!(frame_bytes(&[2], 16), Ok(Some(3)));
        assert_eq!(split_frame(&[2, 10], 16), Ok(None));
        assert_eq!(split_frame(&[], 16), Ok(None));
    }

    #[test]
    fn the_limit_is_the_longest_body_that_passes() {
        assert_eq!(frame_bytes(&[0x80, 0x20], 4096), Ok(Some(4098)));
        assert_eq!(
            frame_bytes(&[0x81, 0x20], 4096),
            Err(FrameError::TooLong {
                announced: 4097,
                bytes_max: 4096
            })
        );
    }

    #[test]
    fn a_prefix_over_the_limit_is_refused_before_it_is_complete() {
        assert_eq!(frame_bytes(&[0x80], 4096), Ok(None));
        assert_eq!(
            frame_bytes(&[0x80, 0x80], 4096),
            Err(FrameError::TooLong {
                announced: 16384,
                bytes_max: 4096
            })
        );
        assert_eq!(
            frame_bytes(&[0xff], 127),
            Err(FrameError::TooLong {
                announced: 255,
                bytes_max: 127
            })
        );
    }

    #[test]
    fn zero_and_longer_forms_of_a_number_are_refused() {
        assert_eq!(frame_bytes(&[0], 4096), Err(FrameError::Empty));
        assert_eq!(frame_bytes(&[0x80, 0], 4096), Err(FrameError::OverlongLength));
        assert_eq!(
            frame_bytes(&[0x85, 0x80, 0], usize::MAX),
            Err(FrameError::OverlongLength)
        );
        assert_eq!(
            frame_bytes(&[0xff, 0xff, 0xff, 0xff, 0xff], usize::MAX),
            Err(FrameError::OverlongLength)
        );
    }

    #[test]
    fn the_largest_five_byte_prefix_is_a_number_and_not_a_crash() {
        let most = [0xff, 0xff, 0xff, 0xff, 0x7f];
        assert_eq!(
            frame_bytes(&most, u32::MAX as usize),
            Err(FrameError::TooLong {
                announced: (1 << 35) - 1,
                bytes_max: u32::MAX as usize
            })
        );
        assert_eq!(
            frame_bytes(&[0xff, 0xff, 0xff, 0xff, 0x0f], u32::MAX as usize),
            Ok(Some((u32::MAX as usize).saturating_add(5)))
        );
    }
}
