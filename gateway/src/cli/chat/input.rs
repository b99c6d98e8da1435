//! Lines of standard input.

use std::io::{self, BufRead, Read};
use std::thread;

use sluice_protocol::limits::TEXT_BYTES;
use tokio::sync::mpsc;

use super::failure::Failure;

/// A line without its end, or why there are no more.
pub(super) type Line = Result<String, Failure>;

/// Lines read ahead of the conversation.
const LINES_AHEAD: usize = 64;

/// Lines are read this far. A text message may have no more bytes than one less, so that the client refuses a longer
/// line, and no line costs more memory.
const LINE_BYTES_MAX: usize = TEXT_BYTES + 1;

/// Reads standard input on a thread of its own, which ends with the process. The end of the channel is the end of input.
pub(super) fn lines() -> mpsc::Receiver<Line> {
    let (sender, receiver) = mpsc::channel(LINES_AHEAD);
    thread::spawn(move || read_lines(io::stdin().lock(), |line| sender.blocking_send(line).is_ok()));
    receiver
}

/// Gives each line to `take` without its end, until input ends or cannot be read, a line is too long to be sent, or `take`
/// has had enough.
fn read_lines(mut input: impl BufRead, mut take: impl FnMut(Line) -> bool) {
    loop {
        let line = next_line(&mut input);
        // What follows the part of a long line that was read would pass for a line of its own.
        let last = !matches!(&line, Ok(Some(line)) if line.len() < LINE_BYTES_MAX);
        let Some(line) = line.transpose() else { return };
        if !take(line) || last {
            return;
        }
    }
}

fn next_line(input: &mut impl BufRead) -> Result<Option<String>, Failure> {
    let mut line = Vec::new();
    // The two bytes more are for the end of the line.
    let read = input
        .by_ref()
        .take(LINE_BYTES_MAX as u64 + 2)
        .read_until(b'\n', &mut line);
    let count = read.map_err(|error| Failure::invalid("stdin", error.to_string()))?;
    if count == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    } else if line.len() > LINE_BYTES_MAX {
        // Cut between two characters, or the complaint would be about the last one.
        let text = String::from_utf8_lossy(&line).into_owned();
        return Ok(Some(text));
    }
    match String::from_utf8(line) {
        Ok(line) => Ok(Some(line)),
        Err(_) => Err(Failure::invalid("content", "a line of input is not UTF-8")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(input: &[u8]) -> Vec<Result<String, String>> {
        let mut lines = Vec::new();
        read_lines(input, |line| {
            lines.push(line.map_err(|failure| failure.to_string()));
            true
        });
        lines
    }

    #[test]
    fn lines_come_without_their_ends_and_the_last_one_needs_none() {
        let lines = lines_of(b"one\ntwo\r\n\nfour");
        assert_eq!(lines, ["one", "two", "", "four"].map(|line| Ok(line.to_owned())));
        assert_eq!(lines_of(b""), []);
    }

    #[test]
    fn a_line_that_is_not_utf_8_is_a_failure_and_the_last() {
        let lines = lines_of(b"one\n\xff\nthree\n");
        assert_eq!(lines.len(), 2);
        assert_eq!(
            lines[1],
            Err("33003 InvalidParameter (content): a line of input is not UTF-8".to_owned())
        );
    }

    #[test]
    fn a_line_longer_than_a_message_may_be_is_cut_and_the_last() {
        let (longest, longer) = ("x".repeat(TEXT_BYTES), "é".repeat(TEXT_BYTES));
        assert_eq!(
            lines_of(format!("{longest}\r\nnext").as_bytes()),
            [Ok(longest), Ok("next".to_owned())]
        );
        for input in [
            format!("{longer}\nnext"),
            format!("{longer}next"),
            format!("{}\nnext", "x".repeat(TEXT_BYTES + 1)),
        ] {
            let lines = lines_of(input.as_bytes());
            assert_eq!(lines.len(), 1);
            assert!(
                lines[0]
                    .as_ref()
                    .is_ok_and(|line| (TEXT_BYTES + 1..TEXT_BYTES + 16).contains(&line.len()))
            );
        }
    }
}
