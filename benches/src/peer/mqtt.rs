//! MQTT 3.1.1 at QoS 0, as far as a subscriber and a publisher of one topic need it.

use super::{Arrival, Next, SUBJECT};

/// The types of the packets that matter here, as they are in the first byte's upper half.
const CONNECT: u8 = 0x10;
const CONNACK: u8 = 0x20;
const PUBLISH: u8 = 0x30;
const SUBSCRIBE: u8 = 0x80;
const SUBACK: u8 = 0x90;
const TYPE: u8 = 0xf0;

/// Reserved bits that a `SUBSCRIBE` must have.
const SUBSCRIBE_FLAGS: u8 = 0x02;

/// The bits of a `PUBLISH` that say its QoS.
const QOS: u8 = 0x06;

/// Protocol name and level of 3.1.1.
const PROTOCOL: [u8; 7] = *b"\0\x04MQTT\x04";

/// Nothing is kept of a client that has gone.
const CLEAN_SESSION: u8 = 0x02;

/// Seconds of silence a server bears, the longest there are: some servers do not take "for ever".
const KEEP_ALIVE: u16 = u16::MAX;

/// The only packet of a subscriber that has a number.
const SUBSCRIBE_ID: u16 = 1;

/// A remaining length has at most this many bytes.
const LENGTH_BYTES_MAX: usize = 4;

pub(super) fn greeting() -> Vec<u8> {
    connect("publisher")
}

/// Connects and subscribes without waiting for the first answer, as the standard allows.
pub(super) fn subscription(member: usize) -> Vec<u8> {
    let mut out = connect(&format!("member-{member}"));
    let mut rest = SUBSCRIBE_ID.to_be_bytes().to_vec();
    text(SUBJECT, &mut rest);
    rest.push(0); // the QoS asked for
    packet(SUBSCRIBE | SUBSCRIBE_FLAGS, &[&rest], &mut out);
    out
}

pub(super) fn publish(content: &[u8], out: &mut Vec<u8>) {
    let mut topic = Vec::new();
    text(SUBJECT, &mut topic);
    packet(PUBLISH, &[&topic, content], out);
}

fn connect(client: &str) -> Vec<u8> {
    let mut rest = PROTOCOL.to_vec();
    rest.push(CLEAN_SESSION);
    rest.extend(KEEP_ALIVE.to_be_bytes());
    text(client, &mut rest);
    let mut out = Vec::new();
    packet(CONNECT, &[&rest], &mut out);
    out
}

fn text(text: &str, out: &mut Vec<u8>) {
    let bytes = u16::try_from(text.len()).expect("names here are short");
    out.extend(bytes.to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn packet(first: u8, parts: &[&[u8]], out: &mut Vec<u8>) {
    out.push(first);
    let mut rest: usize = parts.iter().map(|part| part.len()).sum();
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
    for part in parts {
        out.extend_from_slice(part);
    }
}

pub(super) fn next(input: &[u8]) -> Next<'_> {
    let Some((first, after)) = input.split_first() else {
        return Ok(None);
    };
    let Some((rest_bytes, length_bytes)) = remaining_length(after)? else {
        return Ok(None);
    };
    let whole = 1 + length_bytes + rest_bytes;
    let Some(rest) = input.get(1 + length_bytes..whole) else {
        return Ok(None);
    };
    let arrival = match first & TYPE {
        PUBLISH if first & QOS == 0 => Arrival::Message(content(rest).ok_or("sent a message without a topic")?),
        PUBLISH => return Err("sent a message at another QoS than 0".into()),
        CONNACK => match rest {
            [_, 0] => Arrival::Greeted,
            _ => Arrival::Complaint(format!("refused the connection: {rest:?}")),
        },
        SUBACK => match rest {
            [_, _, 0] => Arrival::Inside,
            _ => Arrival::Complaint(format!("refused the subscription: {rest:?}")),
        },
        other => return Err(format!("sent a packet of type {}", other >> 4)),
    };
    Ok(Some((arrival, whole)))
}

/// The length and how many bytes it had itself; `None` while its rest is on its way.
fn remaining_length(input: &[u8]) -> Result<Option<(usize, usize)>, String> {
    let mut length = 0;
    for (position, byte) in input.iter().enumerate().take(LENGTH_BYTES_MAX) {
        length |= usize::from(byte & 0x7f) << (7 * position);
        if *byte < 0x80 {
            return Ok(Some((length, position + 1)));
        }
    }
    if input.len() >= LENGTH_BYTES_MAX {
        return Err("sent a length without an end".into());
    }
    Ok(None)
}

/// What follows the topic. Without a QoS there is no packet number in between.
fn content(rest: &[u8]) -> Option<&[u8]> {
    let (length, rest) = rest.split_first_chunk()?;
    rest.get(usize::from(u16::from_be_bytes(*length))..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_have_the_bytes_of_the_standard() {
        assert_eq!(
            subscription(7),
            [
                &b"\x10\x14\0\x04MQTT\x04\x02\xff\xff\0\x08member-7"[..],
                &b"\x82\x0a\0\x01\0\x05bench\0"[..]
            ]
            .concat()
        );
        let mut out = Vec::new();
        publish(&[b'x'; 128], &mut out);
        assert_eq!(out[..12], *b"\x30\x87\x01\0\x05benchxx");
        assert_eq!(out.len(), 3 + 7 + 128);
    }

    #[test]
    fn what_a_server_sends_is_taken_apart() {
        let mut stream = b"\x20\x02\0\0\x90\x03\0\x01\0".to_vec();
        publish(b"hello", &mut stream);
        let mut rest = &stream[..];
        let mut arrivals = Vec::new();
        while let Some((arrival, used)) = next(rest).unwrap() {
            arrivals.push(arrival);
            rest = &rest[used..];
        }
        assert!(rest.is_empty());
        assert_eq!(
            arrivals,
            [Arrival::Greeted, Arrival::Inside, Arrival::Message(b"hello")]
        );
    }

    #[test]
    fn a_packet_without_its_end_is_waited_for() {
        let mut packet = Vec::new();
        publish(&[b'x'; 300], &mut packet);
        for cut in 0..packet.len() {
            assert_eq!(next(&packet[..cut]), Ok(None), "of the first {cut} bytes");
        }
    }

    #[test]
    fn refusals_are_heard_and_nonsense_is_an_error() {
        for refusal in [&b"\x20\x02\0\x05"[..], b"\x90\x03\0\x01\x80"] {
            assert!(matches!(next(refusal), Ok(Some((Arrival::Complaint(_), _)))));
        }
        assert!(next(b"\x32\x00").unwrap_err().contains("QoS"));
        assert!(next(b"\x30\x01\0").is_err());
        assert!(next(b"\x30\x02\0\x09").is_err());
        assert!(next(b"\x30\xff\xff\xff\xff\x01").is_err());
    }
}
