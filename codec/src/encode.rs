//! Frames to bytes. Encoded once, the bytes serve every receiver.
//!
//! The length is not checked here: who makes a frame keeps its parts within the limits of the protocol.

use bytes::Bytes;
use prost::Message;
use sluice_protocol::Frame;

/// The frame with its length prefix, in bytes that are cheap to clone and share. One allocation of the exact size.
pub fn encode(frame: &Frame) -> Bytes {
    Bytes::from(frame.encode_length_delimited_to_vec())
}

/// Appends the frame with its length prefix to `out`, which grows as needed.
pub fn encode_into(frame: &Frame, out: &mut Vec<u8>) {
    frame.encode_length_delimited(out).expect("a Vec has room for more");
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_protocol::{LeaveRoom, Ping, frame::Body};

    #[test]
    fn appending_gives_the_same_bytes_as_encoding() {
        let ping = Frame {
            request_id: 1,
            body: Some(Body::Ping(Ping {})),
        };
        let leave = Frame {
            request_id: 2,
            body: Some(Body::LeaveRoom(LeaveRoom {
                room_id: "r".repeat(128),
            })),
        };
        let mut out = Vec::new();
        encode_into(&ping, &mut out);
        encode_into(&leave, &mut out);
        assert_eq!(out, [encode(&ping), encode(&leave)].concat());
    }
}
