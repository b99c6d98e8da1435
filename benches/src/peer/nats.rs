//! NATS's text protocol, as far as a subscriber and a publisher of one subject need it.

use super::{Arrival, Next, SUBJECT};

/// Longer than any line of a server but `INFO`, which tells of itself and its cluster.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// The subscription's number, of the client's choice.
const SUBSCRIPTION: &str = "1";

/// What a client says first. A `PONG` answers the last of it, and with it all before, which NATS does not answer.
fn connect(then: &str) -> Vec<u8> {
    format!(
        "CONNECT {{\"verbose\":false,\"pedantic\":false,\"echo\":false,\"lang\":\"sluice-bench\",\"version\":\"{}\",\
         \"protocol\":1}}\r\n{then}PING\r\n",
        env!("CARGO_PKG_VERSION")
    )
    .into_bytes()
}

pub(super) fn greeting() -> Vec<u8> {
    connect("")
}

pub(super) fn subscription() -> Vec<u8> {
    connect(&format!("SUB {SUBJECT} {SUBSCRIPTION}\r\n"))
}

pub(super) fn publish(content: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("PUB {SUBJECT} {}\r\n", content.len()).as_bytes());
    out.extend_from_slice(content);
    out.extend_from_slice(b"\r\n");
}

pub(super) fn next(input: &[u8]) -> Next<'_> {
    let Some(end) = input.iter().position(|byte| *byte == b'\n') else {
        if input.len() > LINE_BYTES_MAX {
            return Err("sent a line without an end".into());
        }
        return Ok(None);
    };
    let line = input[..end].strip_suffix(b"\r").unwrap_or(&input[..end]);
    let line_bytes = end + 1;
    if let Some(header) = line.strip_prefix(b"MSG ") {
        let bytes = content_bytes(header).ok_or_else(|| format!("sent a bad line: {}", shown(line)))?;
        let whole = line_bytes + bytes + b"\r\n".len();
        if input.len() < whole {
            return Ok(None);
        }
        if &input[line_bytes + bytes..whole] != b"\r\n" {
            return Err("sent a message longer than announced".into());
        }
        return Ok(Some((Arrival::Message(&input[line_bytes..line_bytes + bytes]), whole)));
    }
    let arrival = match line {
        b"PONG" => Arrival::Inside,
        b"PING" => Arrival::Answer(b"PONG\r\n"),
        line if line.starts_with(b"-ERR") => Arrival::Complaint(shown(line)),
        _ => Arrival::Other,
    };
    Ok(Some((arrival, line_bytes)))
}

/// The last of the words `<subject> <subscription> [<reply to>] <bytes>`.
fn content_bytes(header: &[u8]) -> Option<usize> {
    let last = header.rsplit(|byte| *byte == b' ').next()?;
    // Nine digits: no message here is near a gigabyte, and a sum with it cannot overflow.
    if last.is_empty() || last.len() > 9 || !last.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(last.iter().fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0')))
}

fn shown(line: &[u8]) -> String {
    String::from_utf8_lossy(line).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_sends_is_taken_apart() {
        let stream = b"INFO {\"max_payload\":1}\r\nPONG\r\nMSG bench 1 5\r\na\r\nbc\r\nPING\r\n";
        let mut rest = &stream[..];
        let mut arrivals = Vec::new();
        while let Some((arrival, used)) = next(rest).unwrap() {
            arrivals.push(arrival);
            rest = &rest[used..];
        }
        assert!(rest.is_empty());
        assert_eq!(
            arrivals,
            [
                Arrival::Other,
                Arrival::Inside,
                Arrival::Message(b"a\r\nbc"),
                Arrival::Answer(b"PONG\r\n")
            ]
        );
    }

    #[test]
    fn a_message_without_its_end_is_waited_for() {
        let message = b"MSG bench 1 5\r\nabcde\r\n";
        for cut in 0..message.len() {
            assert_eq!(next(&message[..cut]), Ok(None), "of the first {cut} bytes");
        }
    }

    #[test]
    fn a_wrong_length_is_an_error_and_a_complaint_is_heard() {
        let complaint = Arrival::Complaint("-ERR 'Slow Consumer'".into());
        assert_eq!(next(b"-ERR 'Slow Consumer'\r\n"), Ok(Some((complaint, 22))));
        assert!(next(b"MSG bench 1 2\r\nabcde\r\n").is_err());
        assert!(next(b"MSG bench 1 99999999999999999999\r\n").is_err());
        assert!(next(b"MSG bench 1 \r\n").is_err());
    }
}
