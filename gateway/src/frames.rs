//! The frames a server sends, encoded: replies, refusals, closes and events.

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
