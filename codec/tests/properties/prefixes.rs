//! Length prefixes: one form for each number, and the limit before the memory.

use proptest::prelude::*;
use sluice_codec::{FrameBuffer, FrameError, frame_bytes};

/// The canonical form of a number.
fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 0x7f {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// A prefix of `bytes`, as strict as can be: what it is accepted as is exactly what it is written as.
fn assert_accepted_only_in_canonical_form(bytes: &[u8]) {
    match frame_bytes(bytes, usize::MAX) {
        Ok(Some(total)) => {
            let prefix_bytes = bytes
                .iter()
                .position(|byte| *byte <= 0x7f)
                .expect("a complete prefix has a last byte")
                + 1;
            assert_eq!(varint((total - prefix_bytes) as u64), &bytes[..prefix_bytes]);
        }
        Ok(None) => assert!(bytes.iter().all(|byte| *byte > 0x7f), "{bytes:x?} has a last byte"),
        Err(FrameError::Empty) => assert_eq!(bytes[0], 0),
        Err(FrameError::OverlongLength) => {
            assert!(bytes.len() >= 5 || bytes[1..].contains(&0), "{bytes:x?} is canonical");
        }
        Err(error) => panic!("{bytes:x?}: {error}"),
    }
}

#[test]
fn of_all_prefixes_up_to_three_bytes_only_canonical_ones_are_accepted() {
    for first in 0..=255 {
        assert_accepted_only_in_canonical_form(&[first]);
        for second in 0..=255 {
            assert_accepted_only_in_canonical_form(&[first, second]);
            for third in 0..=255 {
                assert_accepted_only_in_canonical_form(&[first, second, third]);
            }
        }
    }
}

#[test]
fn every_number_up_to_three_bytes_is_accepted_in_its_canonical_form() {
    for number in 1..1 << 21 {
        let prefix = varint(number);
        assert_eq!(
            frame_bytes(&prefix, number as usize),
            Ok(Some(prefix.len() + number as usize))
        );
    }
}

proptest! {
    #[test]
    fn longer_prefixes_are_accepted_only_in_canonical_form(bytes in any::<[u8; 7]>(), bytes_used in 4..=7_usize) {
        assert_accepted_only_in_canonical_form(&bytes[..bytes_used]);
    }

    #[test]
    fn every_prefix_over_the_limit_is_refused_before_memory_is_reserved(
        bytes_max in 0..2_usize << 20, beyond in 1..1_u64 << 34
    ) {
        let prefix = varint(bytes_max as u64 + beyond);
        let mut buffer = FrameBuffer::new(bytes_max);
        let mut verdict = Ok(None);
        for byte in &prefix {
            prop_assert_eq!(&verdict, &Ok(None));
            buffer.push(&[*byte]);
            // A vector's smallest steps, whatever the prefix says.
            prop_assert!(buffer.capacity() <= 64);
            verdict = buffer.next_frame();
            if verdict.is_err() {
                break;
            }
        }
        let refused = matches!(
            verdict,
            Err(FrameError::TooLong { announced, bytes_max: limit }) if announced > limit as u64 && limit == bytes_max
        );
        prop_assert!(refused, "{:?}", verdict);
        prop_assert_eq!(buffer.capacity(), 0);
    }

    #[test]
    fn a_frame_that_is_only_announced_reserves_nothing(announced in 1..1_u64 << 20) {
        let mut buffer = FrameBuffer::new(1 << 20);
        buffer.push(&varint(announced));
        prop_assert_eq!(buffer.next_frame(), Ok(None));
        prop_assert!(buffer.capacity() <= 64);
    }
}
