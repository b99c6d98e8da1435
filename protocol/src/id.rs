//! Identifiers, parsed at the edge and trusted inside. A [`RoomId`] and a [`UserId`] never meet by accident.

use std::fmt;

use smol_str::SmolStr;

use crate::limits;

/// Why a string is no identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// Nothing there.
    #[error("must not be empty")]
    Empty,
    /// Longer than the profile allows.
    #[error("is too long")]
    TooLong,
    /// Holds a character the profile does not allow.
    #[error("has a character that is not allowed")]
    Character,
}

/// Which user ids an app allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IdProfile {
    /// At most 32 bytes of letters, digits and `!#$%&()+-:;<=.>?@[]^_{}|~`.
    #[default]
    Zim,
    /// At most 64 characters and 256 bytes of UTF-8 without control characters.
    Wide,
}

/// A user's name for the machine, unique within an app. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(SmolStr);

/// A room's name for the machine, unique within an app. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomId(SmolStr);

impl UserId {
    /// Checks `text` against `profile`.
    ///
    /// # Errors
    /// Says which rule of the profile `text` breaks.
    pub fn parse(text: &str, profile: IdProfile) -> Result<Self, InvalidId> {
        match profile {
            IdProfile::Zim => listed_characters(text, limits::USER_ID_BYTES_ZIM)?,
            IdProfile::Wide => {
                if text.is_empty() {
                    return Err(InvalidId::Empty);
                }
                if text.len() > limits::USER_ID_BYTES || text.chars().count() > limits::USER_ID_CHARACTERS_WIDE {
                    return Err(InvalidId::TooLong);
                }
                if text.chars().any(char::is_control) {
                    return Err(InvalidId::Character);
                }
            }
        }
        Ok(Self(SmolStr::new(text)))
    }

    /// The identifier as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl RoomId {
    /// Checks `text`: 1 to 128 bytes of the characters of [`IdProfile::Zim`].
    ///
    /// # Errors
    /// Says which rule `text` breaks.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        listed_characters(text, limits::ROOM_ID_BYTES)?;
        Ok(Self(SmolStr::new(text)))
    }

    /// The identifier as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn listed_characters(text: &str, bytes_max: usize) -> Result<(), InvalidId> {
    if text.is_empty() {
        return Err(InvalidId::Empty);
    }
    if text.len() > bytes_max {
        return Err(InvalidId::TooLong);
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&()+-:;<=.>?@[]^_{}|~".contains(&byte);
    if text.bytes().all(allowed) {
        Ok(())
    } else {
        Err(InvalidId::Character)
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: &str = "!#$%&()+-:;<=.>?@[]^_{}|~";

    #[test]
    fn the_zim_profile_takes_exactly_the_listed_characters() {
        for byte in 0..=127_u8 {
            let text = char::from(byte).to_string();
            let expected = byte.is_ascii_alphanumeric() || LISTED.contains(&text);
            assert_eq!(UserId::parse(&text, IdProfile::Zim).is_ok(), expected, "{text:?}");
            assert_eq!(RoomId::parse(&text).is_ok(), expected, "{text:?}");
        }
        assert_eq!(UserId::parse("zoë", IdProfile::Zim), Err(InvalidId::Character));
    }

    #[test]
    fn lengths_are_bounded_to_the_byte() {
        assert!(UserId::parse(&"a".repeat(32), IdProfile::Zim).is_ok());
        assert_eq!(UserId::parse(&"a".repeat(33), IdProfile::Zim), Err(InvalidId::TooLong));
        assert_eq!(UserId::parse("", IdProfile::Zim), Err(InvalidId::Empty));
        assert!(RoomId::parse(&"a".repeat(128)).is_ok());
        assert_eq!(RoomId::parse(&"a".repeat(129)), Err(InvalidId::TooLong));
        assert_eq!(RoomId::parse(""), Err(InvalidId::Empty));
    }

    #[test]
    fn the_wide_profile_counts_characters_and_refuses_control_characters() {
        assert!(UserId::parse(&"é".repeat(64), IdProfile::Wide).is_ok());
        assert_eq!(UserId::parse(&"é".repeat(65), IdProfile::Wide), Err(InvalidId::TooLong));
        assert!(
            UserId::parse(&"🦀".repeat(64), IdProfile::Wide).is_ok(),
            "256 bytes are allowed"
        );
        assert!(UserId::parse("Zoë the 3rd, *", IdProfile::Wide).is_ok());
        assert_eq!(UserId::parse("a\u{0}b", IdProfile::Wide), Err(InvalidId::Character));
        assert_eq!(UserId::parse("a\u{85}b", IdProfile::Wide), Err(InvalidId::Character));
        assert_eq!(UserId::parse("", IdProfile::Wide), Err(InvalidId::Empty));
    }
}
