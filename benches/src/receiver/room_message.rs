//! The sequence number of a room message, without decoding the message.
//!
//! Decoding every message in full would cost the receivers more than sending it costs the server. One message of each
//! member and round is decoded in full elsewhere; of the others this is enough to see that none is lost, doubled or out
//! of order.

/// Field 72 of `Frame`, length-delimited: how a frame with a room message begins, having no request id.
const ROOM_MESSAGE: [u8; 2] = [0xc2, 0x04];
/// Field 1 of `RoomMessage`, length-delimited.
const ROOM_ID: u8 = 0x0a;
/// Field 2 of `RoomMessage`, varint.
const SEQUENCE: u8 = 0x10;

/// The sequence number in a frame's body, if it is a room message encoded the canonical way, fields in order. `None`
/// for any other: it is to be decoded in full.
pub(crate) fn sequence(body: &[u8]) -> Option<u64> {
    let rest = body.strip_prefix(&ROOM_MESSAGE)?;
    let (_, rest) = varint(rest)?;
    let (room_bytes, rest) = varint(rest.strip_prefix(&[ROOM_ID])?)?;
    let rest = rest.get(usize::try_from(room_bytes).ok()?..)?;
    let (sequence, _) = varint(rest.strip_prefix(&[SEQUENCE])?)?;
    Some(sequence)
}

fn varint(input: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (position, byte) in input.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * position);
        if *byte < 0x80 {
            return Some((value, &input[position + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{Batches, welcome};
    use crate::messages::Talk;

    #[test]
    fn the_sequence_is_found_in_real_frames_and_in_nothing_shorter() {
        let talk = Talk {
            room: "lobby".into(),
            sender: "bob".into(),
            content: "x".repeat(300),
            window: 200,
        };
        let batch = Batches::new(talk).next_round();
        let mut rest = &batch[..];
        for expected in 1..=200 {
            let frame = sluice_codec::split_frame(rest, 4096).unwrap().unwrap();
            assert_eq!(sequence(frame.body), Some(expected));
            for end in 0..12 {
                assert_eq!(sequence(&frame.body[..end]), None, "of the first {end} bytes");
            }
            rest = &rest[frame.consumed..];
        }
        assert!(rest.is_empty());
    }

    #[test]
    fn a_reply_has_no_sequence() {
        assert_eq!(sequence(&welcome()[1..]), None);
        assert_eq!(sequence(&[]), None);
        assert_eq!(sequence(&[0xff; 40]), None);
    }
}
