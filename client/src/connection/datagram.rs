//! What a datagram holds. Knows no socket.

use bytes::Bytes;
use sluice_codec::{open_server_frame, split_frame};
use sluice_protocol::{Frame, frame::Body, limits};

use crate::event::Event;

/// A message of a room says the same whoever reads it.
const NOBODY: &str = "";

/// The event in a datagram, or `None` for anything but exactly one frame with a room message.
///
/// Datagrams overtake the stream and get lost. A reply, a gap notice or an event about members would mean something else there,
/// and no server sends them so.
pub(super) fn open(datagram: &Bytes) -> Option<Event> {
    let frame = split_frame(datagram, limits::SERVER_FRAME_BYTES).ok().flatten()?;
    if frame.consumed < datagram.len() {
        return None;
    }
    match open_server_frame(frame.body).ok()? {
        Frame {
            request_id: 0,
            body: Some(body @ Body::RoomMessage(_)),
        } => Event::from_body(body, NOBODY),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use sluice_protocol::{Close, Reply, RoomGap, RoomMessage};

    use super::*;

    fn encoded(request_id: u32, body: Body) -> Vec<u8> {
        let frame = Frame {
            request_id,
            body: Some(body),
        };
        sluice_codec::encode(&frame).to_vec()
    }

    fn message(sequence: u64) -> Vec<u8> {
        let message = RoomMessage {
            room_id: "lobby".into(),
            sequence,
            ..RoomMessage::default()
        };
        encoded(0, Body::RoomMessage(message))
    }

    fn opened(datagram: Vec<u8>) -> Option<Event> {
        open(&datagram.into())
    }

    #[test]
    fn a_room_message_is_an_event_as_on_the_stream() {
        assert!(matches!(opened(message(7)), Some(Event::RoomMessage(message)) if message.sequence == 7));
    }

    #[test]
    fn anything_but_one_room_message_is_nothing() {
        assert_eq!(opened(Vec::new()), None);
        assert_eq!(opened([message(1), message(2)].concat()), None, "two frames");
        assert_eq!(
            opened([message(1), vec![0]].concat()),
            None,
            "something behind the frame"
        );
        let whole = message(1);
        for bytes in 0..whole.len() {
            assert_eq!(opened(whole[..bytes].to_vec()), None, "cut to {bytes} bytes");
        }
        assert_eq!(opened(vec![0x05, 0xff, 0xff, 0xff, 0xff, 0xff]), None, "no protobuf");
        assert_eq!(opened(encoded(1, Body::Reply(Reply::default()))), None);
        assert_eq!(opened(encoded(0, Body::Close(Close::default()))), None);
        assert_eq!(opened(encoded(0, Body::RoomGap(RoomGap::default()))), None);
    }
}
