//! The frames a server sends, encoded: replies, refusals, closes and events.

use bytes::Bytes;
use prost::Message;
use sluice_protocol::{Close, Frame, Reply, SendMessageResult, frame::Body, reply};

use crate::refusal::Refusal;

/// A successful reply.
pub(crate) fn reply(request_id: u32, result: reply::Result) -> Vec<u8> {
    let reply = Reply {
        result: Some(result),
        ..Reply::default()
    };
    encode(request_id, Body::Reply(reply))
}

/// A successful reply whose result, the attributes of a room, is encoded already: the same bytes as [`reply`] makes of it.
pub(crate) fn reply_with_attributes(request_id: u32, attributes: Bytes) -> Vec<u8> {
    let reply = Some(AttributesReply { attributes });
    AttributesFrame { request_id, reply }.encode_length_delimited_to_vec()
}

/// A [`Frame`] with nothing but a reply, and [`Reply`] with nothing but attributes: a message and its bytes look alike inside another.
#[derive(Clone, PartialEq, Message)]
struct AttributesFrame {
    #[prost(uint32, tag = "1")]
    request_id: u32,
    #[prost(message, optional, tag = "2")]
    reply: Option<AttributesReply>,
}

#[derive(Clone, PartialEq, Message)]
struct AttributesReply {
    /// Never empty: it names the room.
    #[prost(bytes = "bytes", tag = "37")]
    attributes: Bytes,
}

/// A refusing reply.
pub(crate) fn refuse(request_id: u32, refusal: &Refusal) -> Vec<u8> {
    encode(request_id, Body::Reply(refusing(refusal)))
}

/// A refusing reply to a message, which names the message.
pub(crate) fn refuse_message(request_id: u32, refusal: &Refusal, client_message_id: String) -> Vec<u8> {
    let result = SendMessageResult {
        client_message_id,
        ..SendMessageResult::default()
    };
    refuse_with_result(request_id, refusal, reply::Result::SendMessage(result))
}

/// A refusing reply that says more than the refusal.
pub(crate) fn refuse_with_result(request_id: u32, refusal: &Refusal, result: reply::Result) -> Vec<u8> {
    let reply = Reply {
        result: Some(result),
        ..refusing(refusal)
    };
    encode(request_id, Body::Reply(reply))
}

/// The last frame of a connection that the server ends.
pub(crate) fn close(refusal: &Refusal) -> Vec<u8> {
    let close = Close {
        code: refusal.code.number(),
        message: refusal.code.meaning().to_owned(),
        detail: refusal.detail.clone().into_owned(),
        retry_after_ms: refusal.retry_after_ms(),
    };
    event(Body::Close(close))
}

/// An event.
pub(crate) fn event(body: Body) -> Vec<u8> {
    encode(0, body)
}

fn refusing(refusal: &Refusal) -> Reply {
    Reply {
        code: refusal.code.number(),
        message: refusal.code.meaning().to_owned(),
        detail: refusal.detail.clone().into_owned(),
        retry_after_ms: refusal.retry_after_ms(),
        result: None,
    }
}

fn encode(request_id: u32, body: Body) -> Vec<u8> {
    Frame {
        request_id,
        body: Some(body),
    }
    .encode_length_delimited_to_vec()
}

#[cfg(test)]
mod tests {
    use sluice_protocol::{RoomAttribute, RoomAttributes};

    use super::*;

    #[test]
    fn a_reply_is_the_same_whether_its_attributes_are_encoded_before_or_with_it() {
        let one = RoomAttribute {
            key: "topic".into(),
            value: "v".repeat(300),
            owner_id: "alice".into(),
            version: 7,
        };
        for attributes in [Vec::new(), vec![one; 100]] {
            let attributes = RoomAttributes {
                room_id: "lobby".into(),
                attributes,
                version: 7,
            };
            for request_id in [1, 300, u32::MAX] {
                assert_eq!(
                    reply_with_attributes(request_id, attributes.encode_to_vec().into()),
                    reply(request_id, reply::Result::RoomAttributes(attributes.clone()))
                );
            }
        }
    }
}
