//! Bytes that no client library would make.

use prost::encoding::{WireType, encode_key, encode_varint};

/// The prefix of a frame of `bytes` bytes.
#[must_use]
pub fn length_prefix(bytes: u64) -> Vec<u8> {
    let mut prefix = Vec::new();
    encode_varint(bytes, &mut prefix);
    prefix
}

/// A frame of these bytes, whatever they are.
#[must_use]
pub fn framed(body: &[u8]) -> Vec<u8> {
    [&length_prefix(body.len() as u64), body].concat()
}

/// The protobuf field of this number with these bytes.
#[must_use]
pub fn field(number: u32, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_key(number, WireType::LengthDelimited, &mut bytes);
    encode_varint(content.len() as u64, &mut bytes);
    bytes.extend_from_slice(content);
    bytes
}

/// The protobuf field `Frame.request_id`.
#[must_use]
pub fn request_id(id: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_key(1, WireType::Varint, &mut bytes);
    encode_varint(id.into(), &mut bytes);
    bytes
}

/// A frame of exactly `body_bytes` bytes with the request id 1 and a command that no server knows.
///
/// # Panics
/// When that is too few for a command.
#[must_use]
pub fn unknown_command(body_bytes: usize) -> Vec<u8> {
    /// One of the numbers for commands that are free.
    const NUMBER: u32 = 39;
    let head = request_id(1);
    // The key takes two bytes, the length of the content one to three.
    let body = (1..=3)
        .filter_map(|length_bytes| body_bytes.checked_sub(head.len() + 2 + length_bytes))
        .map(|content_bytes| [&head[..], &field(NUMBER, &vec![0; content_bytes])].concat())
        .find(|body| body.len() == body_bytes);
    framed(&body.expect("enough bytes for a command"))
}
