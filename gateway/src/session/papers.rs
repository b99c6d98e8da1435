//! What names a session, and what proves that it is one's own: 128 random bits each.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use rustls::crypto::SecureRandom;

const BYTES: usize = 16;

/// Names a session in logs. Outlives its connections.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct SessionId([u8; BYTES]);

/// Whoever has it goes on with a session on another connection. New with each login and each resume.
///
/// It cannot be compared but in constant time, and it is not shown.
#[derive(Clone, Copy)]
pub(crate) struct ResumeSecret([u8; BYTES]);

/// What a session gets that begins. One that is resumed keeps its name and gets the secret.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Papers {
    pub id: SessionId,
    pub secret: ResumeSecret,
}

impl Papers {
    /// Makes new ones.
    ///
    /// # Panics
    /// When the system has no random numbers; nothing could be encrypted without them either.
    pub(crate) fn new(random: &dyn SecureRandom) -> Self {
        let fresh = || {
            let mut bytes = [0; BYTES];
            random.fill(&mut bytes).expect("the system has random numbers");
            bytes
        };
        Self {
            id: SessionId(fresh()),
            secret: ResumeSecret(fresh()),
        }
    }
}

impl SessionId {
    /// 32 hexadecimal digits.
    pub(crate) fn to_text(self) -> String {
        to_hex(self.0)
    }
}

impl ResumeSecret {
    /// Reads 32 hexadecimal digits; `None` for anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits: &[u8; 2 * BYTES] = text.as_bytes().try_into().ok()?;
        let mut bytes = [0; BYTES];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let [high, low] = [pair[0], pair[1]].map(|digit| char::from(digit).to_digit(16));
            *byte = u8::try_from(high? * 16 + low?).ok()?;
        }
        Some(Self(bytes))
    }

    /// 32 hexadecimal digits, for the client alone.
    pub(crate) fn to_text(self) -> String {
        to_hex(self.0)
    }

    /// Whether both are the same. Takes as long whether they are or not.
    pub(crate) fn matches(&self, other: &Self) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

fn to_hex(bytes: [u8; BYTES]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

impl fmt::Debug for ResumeSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn papers() -> Papers {
        Papers::new(rustls::crypto::aws_lc_rs::default_provider().secure_random)
    }

    #[test]
    fn a_secret_is_read_as_it_was_written_and_no_two_are_the_same() {
        let (one, other) = (papers(), papers());
        let text = one.secret.to_text();
        assert_eq!(text.len(), 32);
        for text in [text.clone(), text.to_ascii_uppercase()] {
            let read = ResumeSecret::parse(&text).expect("hexadecimal digits");
            assert!(read.matches(&one.secret));
            assert!(!read.matches(&other.secret));
        }
        assert_ne!(one.id, other.id);
        assert_ne!(one.id.to_text(), text);
    }

    #[test]
    fn a_secret_is_never_shown() {
        let papers = papers();
        assert!(!format!("{papers:?}").contains(&papers.secret.to_text()));
    }

    #[test]
    fn what_is_not_32_hexadecimal_digits_is_no_secret() {
        let digit = "0123456789abcdef";
        for text in [
            "",
            digit,
            &"0".repeat(31),
            &"0".repeat(33),
            &"g".repeat(32),
            &"é".repeat(16),
            &"+1".repeat(16),
        ] {
            assert!(ResumeSecret::parse(text).is_none(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn two_secrets_match_only_where_all_bits_are_the_same(bytes: [u8; BYTES], bit in 0..8 * BYTES) {
            let mut other = bytes;
            other[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(ResumeSecret(bytes).matches(&ResumeSecret(bytes)));
            prop_assert!(!ResumeSecret(bytes).matches(&ResumeSecret(other)));
        }
    }
}
