//! What is measured: each a message, done by the codec and by prost alone.

use std::cell::RefCell;
use std::hint::black_box;

use bytes::Bytes;
use prost::Message;
use sluice_codec::{encode, encode_into, open_client_frame, open_server_frame, split_frame};
use sluice_protocol::limits::SERVER_FRAME_BYTES;
use sluice_protocol::{ConversationType, Frame, MessageType, RoomMessage, SendMessage, UserInfo, frame::Body};

/// Does it so many times.
type Work = Box<dyn Fn(u32)>;

/// One thing, done in two ways.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) frame_bytes: usize,
    pub(super) ours: Work,
    pub(super) bare_prost: Work,
}

/// The two frames that make up the traffic of a room, each the way it goes through the gateway and a client.
pub(super) fn cases(payload_bytes: usize) -> Vec<Case> {
    let content = Bytes::from(vec![b'x'; payload_bytes]);
    let command = Frame {
        request_id: 300,
        body: Some(Body::SendMessage(SendMessage {
            conversation_type: ConversationType::Room.into(),
            target_id: "bench".into(),
            r#type: MessageType::Text.into(),
            content: content.clone(),
            ..SendMessage::default()
        })),
    };
    let event = Frame {
        request_id: 0,
        body: Some(Body::RoomMessage(RoomMessage {
            room_id: "bench".into(),
            sequence: 70_000,
            message_id: 1 << 62,
            server_time_ms: 1 << 40,
            sender: Some(UserInfo {
                user_id: "publisher".into(),
                user_name: String::new(),
            }),
            r#type: MessageType::Text.into(),
            content,
            ..RoomMessage::default()
        })),
    };
    vec![
        decoding("decode SendMessage (server)", &command, |body| {
            black_box(open_client_frame(body).expect("a frame that was just encoded"));
        }),
        decoding("decode RoomMessage (client)", &event, |body| {
            black_box(open_server_frame(body).expect("a frame that was just encoded"));
        }),
        encoding_into_a_buffer("encode RoomMessage into a buffer", &event),
        encoding("encode RoomMessage to shared bytes", &event),
    ]
}

/// The end of the frame is found by both: a stream has no others.
fn decoding(name: &'static str, frame: &Frame, open: fn(&[u8])) -> Case {
    let bytes = encode(frame);
    let same = bytes.clone();
    Case {
        name,
        frame_bytes: bytes.len(),
        ours: Box::new(move |runs| {
            for _ in 0..runs {
                let split = split_frame(black_box(&bytes), SERVER_FRAME_BYTES);
                open(split.expect("a good frame").expect("a whole frame").body);
            }
        }),
        bare_prost: Box::new(move |runs| {
            for _ in 0..runs {
                let input: &[u8] = black_box(&same);
                black_box(Frame::decode_length_delimited(input).expect("a frame that was just encoded"));
            }
        }),
    }
}

fn encoding_into_a_buffer(name: &'static str, frame: &Frame) -> Case {
    let frame_bytes = encode(frame).len();
    let (ours, bare) = (frame.clone(), frame.clone());
    let buffer = || RefCell::new(Vec::with_capacity(2 * frame_bytes));
    let (our_buffer, bare_buffer) = (buffer(), buffer());
    Case {
        name,
        frame_bytes,
        ours: Box::new(move |runs| {
            let mut buffer = our_buffer.borrow_mut();
            for _ in 0..runs {
                buffer.clear();
                encode_into(black_box(&ours), &mut buffer);
                black_box(&buffer[..]);
            }
        }),
        bare_prost: Box::new(move |runs| {
            let mut buffer = bare_buffer.borrow_mut();
            for _ in 0..runs {
                buffer.clear();
                black_box(&bare)
                    .encode_length_delimited(&mut *buffer)
                    .expect("a Vec has room for more");
                black_box(&buffer[..]);
            }
        }),
    }
}

fn encoding(name: &'static str, frame: &Frame) -> Case {
    let (ours, bare) = (frame.clone(), frame.clone());
    Case {
        name,
        frame_bytes: encode(frame).len(),
        ours: Box::new(move |runs| {
            for _ in 0..runs {
                black_box(encode(black_box(&ours)));
            }
        }),
        bare_prost: Box::new(move |runs| {
            for _ in 0..runs {
                black_box(black_box(&bare).encode_length_delimited_to_vec());
            }
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_can_be_done_in_both_ways() {
        for case in cases(128) {
            assert!(case.frame_bytes > 128, "{}", case.name);
            (case.ours)(2);
            (case.bare_prost)(2);
        }
    }
}
