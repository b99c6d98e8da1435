//! Frames that servers send, as a client opens them.

use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;
use sluice_codec::{FrameError, encode, open_server_frame, split_frame};
use sluice_protocol::Frame;

use crate::frames::frame;

proptest! {
    #[test]
    fn what_is_encoded_opens_to_the_same_frame(frame in frame()) {
        let bytes = encode(&frame);
        let split = split_frame(&bytes, bytes.len()).unwrap().unwrap();
        prop_assert_eq!(split.consumed, bytes.len());
        prop_assert_eq!(open_server_frame(split.body), Ok(frame));
    }

    #[test]
    fn noise_is_refused_or_what_the_bare_decoder_sees(body in vec(any::<u8>(), 0..200)) {
        if let Ok(frame) = open_server_frame(&body) {
            prop_assert_eq!(Frame::decode(&body[..]).unwrap(), frame);
        }
    }
}

#[test]
fn an_event_of_a_later_version_comes_without_a_body() {
    let body = [0xfa, 0x07, 2, 0xff, 0xff];
    assert_eq!(
        open_server_frame(&body),
        Ok(Frame {
            request_id: 0,
            body: None
        })
    );
}

#[test]
fn a_frame_without_a_body_is_malformed_to_a_client_too() {
    assert_eq!(open_server_frame(&[]), Err(FrameError::Malformed));
    assert_eq!(open_server_frame(&[8, 1]), Err(FrameError::Malformed));
}
