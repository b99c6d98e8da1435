//! The body of a frame, opened: which body field it carries, and its decoded value.
//!
//! The top-level fields are scanned before anything is decoded. The scan finds what the decoder would hide (two bodies,
//! of which the last would win) and keeps from it what a client has no business to send: replies and events hold lists
//! of messages, and an empty entry of 2 bytes on the wire becomes one of dozens of bytes in memory.

use std::ops::RangeInclusive;

use prost::Message;
use prost::encoding::{DecodeContext, WireType};
use sluice_protocol::Frame;
use sluice_protocol::frame::Body;

use crate::FrameError;

/// The field number of `Frame.request_id`.
const REQUEST_ID: u32 = 1;
/// The field number of `Frame.reply`.
const REPLY: u32 = 2;
/// The field numbers of commands, whether this version knows them or not.
const COMMANDS: RangeInclusive<u32> = 16..=63;
/// The field numbers of events, whether this version knows them or not.
const EVENTS: RangeInclusive<u32> = 64..=127;

/// The longest varint: what a 64-bit number needs, its last byte being at most 1.
const VARINT_BYTES_MAX: usize = 10;

/// The most fields that a command may have, each entry of a list counted: more than twice what the longest list of the protocol takes. An empty
/// text in a list is two bytes on the wire and two dozen in memory.
const COMMAND_FIELDS_MAX: usize = 256;

/// The least that a field takes: its key and a length or a number.
const FIELD_BYTES_MIN: usize = 2;

/// What a client sent.
#[derive(Clone, PartialEq, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "it lives on the stack for one command; a box would cost each of them an allocation"
)]
pub enum ClientFrame {
    /// A command this version knows.
    Command {
        /// The client's number for it; 0 where it wants no reply.
        request_id: u32,
        /// One of the commands, never a reply or an event.
        command: Body,
    },
    /// A command this version does not know, or a reply or an event, which are not a client's to send. It was not
    /// decoded. The answer is 20606, and the connection lives on.
    Unknown {
        /// The client's number for it; 0 where it wants no reply.
        request_id: u32,
        /// The field number of the body.
        number: u32,
    },
}

/// Opens a frame that a client sent. `body` is without the length prefix.
///
/// Fields of the frame that are neither the request id nor a body are skipped: they are additions of later versions.
///
/// # Errors
///
/// [`FrameError::Malformed`]: the bytes are not protobuf, no body field or more than one is set, a field has the wrong
/// wire type or is a group, a command has more than 256 fields, or a string is not UTF-8.
#[inline]
pub fn open_client_frame(body: &[u8]) -> Result<ClientFrame, FrameError> {
    let outline = outline(body)?;
    let (request_id, number) = (outline.request_id, outline.number);
    let mut frame = Frame::default();
    if COMMANDS.contains(&number) {
        check_fields(&outline)?;
        decode_body(&outline, &mut frame)?;
    }
    match frame.body {
        Some(command) => Ok(ClientFrame::Command { request_id, command }),
        None => Ok(ClientFrame::Unknown { request_id, number }),
    }
}

/// Opens a frame that a server sent. `body` is without the length prefix.
///
/// A frame whose body this version does not know comes without one and is to be skipped. Unlike
/// [`open_client_frame`] this decodes the lists in events, which in memory may take two dozen times the bytes they have
/// on the wire.
///
/// # Errors
///
/// As [`open_client_frame`].
pub fn open_server_frame(body: &[u8]) -> Result<Frame, FrameError> {
    let outline = outline(body)?;
    let mut frame = Frame {
        request_id: outline.request_id,
        body: None,
    };
    decode_body(&outline, &mut frame)?;
    Ok(frame)
}

/// Decodes the body alone: the rest of the frame was read by the outline. The decoder skips a number it does not know and leaves the
/// body empty, so that the list of known ones is the schema's alone.
#[inline]
fn decode_body(outline: &Outline<'_>, frame: &mut Frame) -> Result<(), FrameError> {
    let (wire_type, context) = (WireType::LengthDelimited, DecodeContext::default());
    frame
        .merge_field(outline.number, wire_type, &mut &*outline.body, context)
        .map_err(|_| FrameError::Malformed)
}

/// Refuses a command with too many fields. One that this version does not know may have what it likes: it is not decoded.
#[inline]
fn check_fields(outline: &Outline<'_>) -> Result<(), FrameError> {
    let mut fields = Fields { rest: outline.body };
    let bytes = usize::try_from(fields.varint()?).map_err(|_| FrameError::Malformed)?;
    // As good as all of them: so short that it cannot have so many.
    if bytes <= COMMAND_FIELDS_MAX * FIELD_BYTES_MIN {
        return Ok(());
    }
    let inner = fields.rest.get(..bytes).ok_or(FrameError::Malformed)?;
    if has_few_fields(inner) || !is_known(outline.number) {
        Ok(())
    } else {
        Err(FrameError::Malformed)
    }
}

/// Whether a message is a walk of no more fields than a command may have.
fn has_few_fields(message: &[u8]) -> bool {
    let mut fields = Fields { rest: message };
    for _ in 0..=COMMAND_FIELDS_MAX {
        match fields.next_field() {
            Ok(Some(_)) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
    false
}

/// Whether the schema has a body of this number: the decoder makes one of nothing.
fn is_known(number: u32) -> bool {
    let (wire_type, context) = (WireType::LengthDelimited, DecodeContext::default());
    let mut frame = Frame::default();
    let decoded = frame.merge_field(number, wire_type, &mut &[0_u8][..], context);
    decoded.is_ok() && frame.body.is_some()
}

/// What the top-level fields of a frame say.
struct Outline<'a> {
    request_id: u32,
    /// The field number of the one body.
    number: u32,
    /// Its length and its bytes, and what follows them.
    body: &'a [u8],
}

#[inline]
fn outline(body: &[u8]) -> Result<Outline<'_>, FrameError> {
    let mut fields = Fields { rest: body };
    let mut request_id = 0;
    let mut found = None;
    while let Some(field) = fields.next_field()? {
        match (field.number, field.value) {
            // Protobuf keeps the low 32 bits of a longer number, and the last of several.
            (REQUEST_ID, Value::Varint(value)) => request_id = value as u32,
            (REQUEST_ID, _) => return Err(FrameError::Malformed),
            (number, value) if is_body(number) => match (value, found) {
                (Value::Bytes(bytes), None) => found = Some((number, bytes)),
                _ => return Err(FrameError::Malformed),
            },
            _ => {}
        }
    }
    let (number, body) = found.ok_or(FrameError::Malformed)?;
    Ok(Outline {
        request_id,
        number,
        body,
    })
}

fn is_body(number: u32) -> bool {
    number == REPLY || COMMANDS.contains(&number) || EVENTS.contains(&number)
}

/// A walk over the top-level fields of a message that reads keys and lengths and steps over values.
struct Fields<'a> {
    rest: &'a [u8],
}

struct Field<'a> {
    number: u32,
    value: Value<'a>,
}

enum Value<'a> {
    Varint(u64),
    /// From the length on.
    Bytes(&'a [u8]),
    Fixed,
}

impl<'a> Fields<'a> {
    #[inline]
    fn next_field(&mut self) -> Result<Option<Field<'a>>, FrameError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = u32::try_from(self.varint()?).map_err(|_| FrameError::Malformed)?;
        let number = key >> 3;
        if number == 0 {
            return Err(FrameError::Malformed);
        }
        let value = match key & 0b111 {
            0 => Value::Varint(self.varint()?),
            1 => self.skip(8, Value::Fixed)?,
            2 => {
                let from = self.rest;
                let bytes = usize::try_from(self.varint()?).map_err(|_| FrameError::Malformed)?;
                self.skip(bytes, Value::Bytes(from))?
            }
            5 => self.skip(4, Value::Fixed)?,
            // 3 and 4 are groups, which proto3 does not have and which nest without a length; 6 and 7 are nothing.
            _ => return Err(FrameError::Malformed),
        };
        Ok(Some(Field { number, value }))
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, FrameError> {
        // Nearly all of them.
        if let [byte @ 0..=0x7f, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(u64::from(*byte));
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Result<u64, FrameError> {
        let mut value = 0_u64;
        for (position, byte) in self.rest.iter().enumerate().take(VARINT_BYTES_MAX) {
            value |= u64::from(byte & 0x7f) << (7 * position);
            if *byte <= 0x7f {
                if position + 1 == VARINT_BYTES_MAX && *byte > 1 {
                    return Err(FrameError::Malformed);
                }
                self.rest = &self.rest[position + 1..];
                return Ok(value);
            }
        }
        Err(FrameError::Malformed)
    }

    fn skip(&mut self, bytes: usize, value: Value<'a>) -> Result<Value<'a>, FrameError> {
        self.rest = self.rest.get(bytes..).ok_or(FrameError::Malformed)?;
        Ok(value)
    }
}
