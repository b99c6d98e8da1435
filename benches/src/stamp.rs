//! The content of a message whose way is timed: when it was to be sent, and which of a run's messages it is.
//!
//! The gateway carries content unread, and a `RoomMessage` without optional fields ends with it. So a receiver finds the
//! stamp at a known distance from the end of the frame, without decoding the frame, and tells a timed message from any
//! other by its first character.

/// Begins the content of a timed message, and of no other.
const MARK: u8 = b'@';

/// Digits of a hexadecimal `u64`.
const DIGITS: usize = 16;

/// The shortest content that holds a stamp.
pub(crate) const STAMP_BYTES: usize = 1 + 2 * DIGITS;

/// What a timed message says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Of the [monotonic clock](crate::monotonic).
    pub(crate) intended_ns: u64,
    /// Counts the timed messages of a run.
    pub(crate) number: u64,
}

impl Stamp {
    /// A text of `bytes` bytes, at least [`STAMP_BYTES`].
    pub(crate) fn content(self, bytes: usize) -> String {
        let mut content = format!("{}{:016x}{:016x}", MARK as char, self.intended_ns, self.number);
        debug_assert!(bytes >= content.len(), "a content too short for its stamp");
        content.extend(std::iter::repeat_n('x', bytes - content.len()));
        content
    }

    /// The stamp of a message whose content has `content_bytes` and ends `body`. `None`: it has none.
    pub(crate) fn of(body: &[u8], content_bytes: usize) -> Option<Self> {
        let content = &body[body.len().checked_sub(content_bytes)?..];
        let digits = content.strip_prefix(&[MARK])?;
        Some(Self {
            intended_ns: hexadecimal(digits.get(..DIGITS)?)?,
            number: hexadecimal(digits.get(DIGITS..2 * DIGITS)?)?,
        })
    }
}

fn hexadecimal(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |value, digit| {
        Some(value << 4 | u64::from((*digit as char).to_digit(16)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Batches;
    use crate::messages::Talk;

    const STAMP: Stamp = Stamp {
        intended_ns: 0x1234_5678_9abc_def0,
        number: 77,
    };

    #[test]
    fn a_stamp_is_found_at_the_end_of_a_real_frame() {
        let talk = Talk {
            room: "lobby".into(),
            sender: "bob".into(),
            content: String::new(),
            window: 1,
        };
        for bytes in [STAMP_BYTES, 128, 5_000] {
            let mut frame = Vec::new();
            Batches::new(talk.clone()).append(&STAMP.content(bytes), &mut frame);
            assert_eq!(Stamp::of(&frame, bytes), Some(STAMP));
        }
    }

    #[test]
    fn other_contents_have_no_stamp() {
        assert_eq!(Stamp::of(&[b'x'; 200], 128), None);
        assert_eq!(Stamp::of(b"@12", 3), None);
        assert_eq!(Stamp::of(b"@12", 128), None);
        assert_eq!(Stamp::of(b"", 0), None);
        let mut changed = STAMP.content(STAMP_BYTES).into_bytes();
        changed[5] = b'g';
        assert_eq!(Stamp::of(&changed, STAMP_BYTES), None);
    }
}
