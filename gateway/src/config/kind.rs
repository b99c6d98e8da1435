//! Kinds of values: how each is written, read, bounded and printed.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::settings::BUDGET_MAX;
use super::{Budget, Rate};

/// A value as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Written {
    /// Without a type of its own: the environment and flags know only text.
    Bare(String),
    /// A TOML string.
    Text(String),
    /// A TOML integer.
    Integer(i64),
    /// A TOML boolean.
    Boolean(bool),
    /// A TOML array of strings.
    Texts(Vec<String>),
    /// Any other TOML value, by the name of its type.
    Other(&'static str),
}

/// The kind of one setting of the struct `S`, with its bounds and the field it fills.
pub(super) enum Kind<S: 'static> {
    /// An address to listen on, or `off`.
    Address(fn(&mut S) -> &mut Option<SocketAddr>),
    /// A file or folder.
    Path(fn(&mut S) -> &mut PathBuf),
    /// A time, such as `30s`.
    Duration {
        min: Duration,
        max: Duration,
        field: fn(&mut S) -> &mut Duration,
    },
    /// A number of bytes, such as `64KiB`.
    Size {
        min: usize,
        max: usize,
        field: fn(&mut S) -> &mut usize,
    },
    /// A whole number; `auto`, where there is one, works it out.
    Count {
        min: usize,
        max: usize,
        auto: Option<fn() -> usize>,
        field: fn(&mut S) -> &mut usize,
    },
    /// A whole number from 1, or `unlimited`.
    Cap {
        max: usize,
        field: fn(&mut S) -> &mut Option<usize>,
    },
    /// A whole number per second, or `unlimited`.
    Rate(fn(&mut S) -> &mut Rate),
    /// A whole number, or `unlimited`.
    Budget(fn(&mut S) -> &mut Budget),
    /// `true` or `false`.
    Boolean(fn(&mut S) -> &mut bool),
    /// Text with a form of its own.
    Text {
        expected: &'static str,
        /// Fills the field, or says no.
        read: fn(&mut S, &str) -> Option<()>,
        show: fn(&S) -> String,
    },
    /// A list of texts, each with a form of its own.
    Texts {
        /// How many there may be.
        max: usize,
        expected: &'static str,
        fits: fn(&str) -> bool,
        field: fn(&mut S) -> &mut Vec<String>,
    },
    /// Text that is never shown again.
    Secret {
        expected: &'static str,
        read: fn(&mut S, &str) -> Option<()>,
    },
}

/// Longest piece of a wrong value that is shown again.
const FOUND_CHARACTERS_MAX: usize = 60;

/// What is printed in place of a secret.
pub(super) const MASK: &str = "(masked)";

impl<S> Kind<S> {
    /// Puts `written` into its field of `target`. Relative paths start at `base`.
    ///
    /// Otherwise says what was found and what was expected.
    pub(super) fn read(&self, target: &mut S, written: &Written, base: &Path) -> Result<(), String> {
        self.fill(target, written, base)
            .ok_or_else(|| format!("found {}, expected {}", self.found(written), self.expected()))
    }

    fn fill(&self, target: &mut S, written: &Written, base: &Path) -> Option<()> {
        match self {
            Self::Address(field) => {
                *field(target) = match written.text()? {
                    "off" => None,
                    address => Some(address.parse().ok()?),
                }
            }
            Self::Path(field) => {
                let path = written.text().filter(|path| !path.is_empty() && !path.contains('\0'))?;
                *field(target) = if base == Path::new("") {
                    path.into()
                } else {
                    base.join(path)
                };
            }
            Self::Duration { min, max, field } => {
                *field(target) = parse_duration(written.text()?).filter(|value| (min..=max).contains(&value))?;
            }
            Self::Size { min, max, field } => {
                let bytes = match written {
                    Written::Integer(bytes) => usize::try_from(*bytes).ok()?,
                    _ => parse_size(written.text()?)?,
                };
                *field(target) = Some(bytes).filter(|bytes| (min..=max).contains(&bytes))?;
            }
            Self::Count { min, max, auto, field } => {
                *field(target) = match auto {
                    Some(auto) if written.text() == Some("auto") => auto().clamp(*min, *max),
                    _ => {
                        let count = usize::try_from(written.integer()?).ok()?;
                        Some(count).filter(|count| (min..=max).contains(&count))?
                    }
                }
            }
            Self::Cap { max, field } => {
                *field(target) = match written.text() {
                    Some("unlimited") => None,
                    _ => {
                        let count = usize::try_from(written.integer()?).ok()?;
                        Some(Some(count).filter(|count| (1..=*max).contains(count))?)
                    }
                }
            }
            Self::Rate(field) => {
                *field(target) = match written.text() {
                    Some("unlimited") => Rate::Unlimited,
                    _ => Rate::PerSecond(u32::try_from(written.integer()?).ok().filter(|rate| *rate >= 1)?),
                }
            }
            Self::Budget(field) => {
                *field(target) = match written.text() {
                    Some("unlimited") => Budget::Unlimited,
                    _ => {
                        let count = usize::try_from(written.integer()?).ok()?;
                        Budget::Messages(Some(count).filter(|count| (1..=BUDGET_MAX).contains(count))?)
                    }
                }
            }
            Self::Boolean(field) => {
                *field(target) = match written {
                    Written::Boolean(value) => *value,
                    Written::Bare(text) => text.parse().ok()?,
                    _ => return None,
                }
            }
            Self::Text { read, .. } | Self::Secret { read, .. } => return read(target, written.text()?),
            Self::Texts { max, fits, field, .. } => match written {
                Written::Texts(texts) if texts.len() <= *max && texts.iter().all(|text| fits(text)) => {
                    *field(target) = texts.clone()
                }
                _ => return None,
            },
        }
        Some(())
    }

    fn found(&self, written: &Written) -> String {
        match (self, written) {
            (Self::Secret { .. }, Written::Text(text) | Written::Bare(text)) => format!("{} bytes", text.len()),
            (_, Written::Bare(text) | Written::Text(text)) => quoted(text),
            (_, Written::Integer(number)) => number.to_string(),
            (_, Written::Boolean(value)) => value.to_string(),
            (_, Written::Texts(texts)) => {
                format!(
                    "[{}]",
                    texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", ")
                )
            }
            (_, Written::Other(kind)) => format!("a value of type {kind}"),
        }
    }

    /// What a value of this kind looks like, with its bounds.
    pub(super) fn expected(&self) -> String {
        match self {
            Self::Address(_) => {
                "an address with a port such as \"127.0.0.1:7400\" or \"[::1]:7400\", or \"off\"".into()
            }
            Self::Path(_) => "a path".into(),
            Self::Duration { min, max, .. } => {
                format!(
                    "a time such as \"30s\", from {} to {}",
                    show_duration(*min),
                    show_duration(*max)
                )
            }
            Self::Size { min, max, .. } => {
                format!(
                    "a size such as \"64KiB\", from {} to {}",
                    show_size(*min),
                    show_size(*max)
                )
            }
            Self::Count { min, max, auto, .. } => {
                let auto = if auto.is_some() { ", or \"auto\"" } else { "" };
                format!("a whole number from {min} to {max}{auto}")
            }
            Self::Cap { max, .. } => format!("a whole number from 1 to {max}, or \"unlimited\""),
            Self::Budget(_) => format!("a whole number from 1 to {BUDGET_MAX}, or \"unlimited\""),
            Self::Rate(_) => format!("a whole number from 1 to {}, or \"unlimited\"", u32::MAX),
            Self::Boolean(_) => "true or false".into(),
            Self::Text { expected, .. } | Self::Texts { expected, .. } | Self::Secret { expected, .. } => {
                (*expected).into()
            }
        }
    }

    /// The same for a table whose reader knows how each kind is written.
    pub(super) fn bounds(&self) -> String {
        match self {
            Self::Address(_) => "address, or \"off\"".into(),
            Self::Path(_) => "path".into(),
            Self::Duration { min, max, .. } => format!("time, {} to {}", show_duration(*min), show_duration(*max)),
            Self::Size { min, max, .. } => format!("size, {} to {}", show_size(*min), show_size(*max)),
            Self::Count { min, max, auto, .. } => {
                format!("{min} to {max}{}", if auto.is_some() { ", or \"auto\"" } else { "" })
            }
            Self::Cap { max, .. } => format!("1 to {max}, or \"unlimited\""),
            Self::Rate(_) => "rate".into(),
            Self::Budget(_) => format!("1 to {BUDGET_MAX}, or \"unlimited\""),
            Self::Boolean(_) | Self::Text { .. } | Self::Texts { .. } | Self::Secret { .. } => self.expected(),
        }
    }

    /// The value as TOML, secrets masked. Takes `target` by mutable reference because the field functions do.
    pub(super) fn show(&self, target: &mut S) -> String {
        match self {
            Self::Address(field) => {
                field(target).map_or_else(|| toml_text("off"), |address| toml_text(&address.to_string()))
            }
            Self::Path(field) => toml_text(&field(target).to_string_lossy()),
            Self::Duration { field, .. } => toml_text(&show_duration(*field(target))),
            Self::Size { field, .. } => toml_text(&show_size(*field(target))),
            Self::Count { field, .. } => field(target).to_string(),
            Self::Cap { field, .. } => match field(target) {
                Some(count) => count.to_string(),
                None => toml_text("unlimited"),
            },
            Self::Rate(field) => match field(target) {
                Rate::PerSecond(rate) => rate.to_string(),
                Rate::Unlimited => toml_text("unlimited"),
            },
            Self::Budget(field) => match field(target) {
                Budget::Messages(count) => count.to_string(),
                Budget::Unlimited => toml_text("unlimited"),
            },
            Self::Boolean(field) => field(target).to_string(),
            Self::Text { show, .. } => toml_text(&show(target)),
            Self::Texts { field, .. } => {
                format!(
                    "[{}]",
                    field(target)
                        .iter()
                        .map(|text| toml_text(text))
                        .collect::<Vec<_>>()
                        .join(", ")
                )
            }
            Self::Secret { .. } => toml_text(MASK),
        }
    }
}

impl Written {
    fn text(&self) -> Option<&str> {
        match self {
            Self::Bare(text) | Self::Text(text) => Some(text),
            _ => None,
        }
    }

    fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Bare(text) => text.parse().ok(),
            _ => None,
        }
    }
}

/// Units of time, largest first: a value is printed in the largest that divides it.
const TIME_UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Units of size, largest first.
const SIZE_UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Reads a whole number with a unit: `500ms`, `30s`, `10m`, `24h` or `7d`.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    with_unit(text, &TIME_UNITS).map(Duration::from_millis)
}

/// Reads a whole number of bytes, alone or with a unit: `512`, `512B`, `64KiB`, `8MiB` or `1GiB`.
fn parse_size(text: &str) -> Option<usize> {
    let bytes = match text.parse::<u64>() {
        Ok(bytes) => bytes,
        Err(_) => with_unit(text, &SIZE_UNITS)?,
    };
    usize::try_from(bytes).ok()
}

fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

pub(super) fn show_duration(duration: Duration) -> String {
    show_unit(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX), &TIME_UNITS)
}

pub(super) fn show_size(bytes: usize) -> String {
    show_unit(bytes as u64, &SIZE_UNITS)
}

fn show_unit(value: u64, units: &[(&str, u64)]) -> String {
    let fits = units
        .iter()
        .find(|(_, factor)| value >= *factor && value.is_multiple_of(*factor));
    let (unit, factor) = fits.or(units.last()).expect("there are units");
    format!("{}{unit}", value / factor)
}

/// A foreign text, safe to print: quoted, control characters escaped, cut when long.
pub(super) fn quoted(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(FOUND_CHARACTERS_MAX)
        .collect::<String>()
        .escape_debug()
        .collect();
    if text.chars().nth(FOUND_CHARACTERS_MAX).is_some() {
        shown.push('…');
    }
    format!("\"{shown}\"")
}

/// A TOML basic string.
pub(crate) fn toml_text(text: &str) -> String {
    let mut toml = String::with_capacity(text.len() + 2);
    toml.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => toml.extend(['\\', character]),
            character if character.is_control() => {
                write!(toml, "\\u{:04X}", u32::from(character)).expect("a String takes everything");
            }
            character => toml.push(character),
        }
    }
    toml.push('"');
    toml
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_whole_numbers_with_a_unit() {
        assert_eq!(parse_duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse_duration("30 s"), Some(Duration::from_secs(30)));
        assert_eq!(parse_duration("24h"), Some(Duration::from_secs(86_400)));
        assert_eq!(parse_duration("7d"), Some(Duration::from_secs(7 * 86_400)));
        for wrong in [
            "",
            "30",
            "s",
            "1.5s",
            "-1s",
            "1m30s",
            "30S",
            "99999999999999999999s",
            "999999999999999999d",
            "٣s",
        ] {
            assert_eq!(parse_duration(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn sizes_are_bytes_or_binary_units() {
        assert_eq!(parse_size("512"), Some(512));
        assert_eq!(parse_size("512B"), Some(512));
        assert_eq!(parse_size("64KiB"), Some(65_536));
        assert_eq!(parse_size("8 MiB"), Some(8 << 20));
        for wrong in ["", "64KB", "64k", "-1", "1.5MiB", "99999999999GiB"] {
            assert_eq!(parse_size(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_value_is_printed_in_the_largest_unit_that_divides_it() {
        assert_eq!(show_duration(Duration::from_secs(90)), "90s");
        assert_eq!(show_duration(Duration::from_secs(86_400)), "1d");
        assert_eq!(show_duration(Duration::ZERO), "0ms");
        assert_eq!(show_size(256 << 10), "256KiB");
        assert_eq!(show_size(1_000), "1000B");
    }

    #[test]
    fn foreign_text_is_printed_without_control_characters_and_cut() {
        assert_eq!(quoted("a\u{1b}[31m\n"), r#""a\u{1b}[31m\n""#);
        assert_eq!(quoted(&"x".repeat(1000)).chars().count(), FOUND_CHARACTERS_MAX + 3);
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back_as_the_same_value(ms in 0..u64::MAX / 2, bytes: usize, text: String) {
            let duration = Duration::from_millis(ms);
            prop_assert_eq!(parse_duration(&show_duration(duration)), Some(duration));
            prop_assert_eq!(parse_size(&show_size(bytes)), Some(bytes));
            let document = format!("text = {}", toml_text(&text));
            let table: toml::Table = document.parse().expect("a string is valid TOML");
            prop_assert_eq!(table["text"].as_str(), Some(text.as_str()));
        }

        #[test]
        fn any_text_is_a_value_or_not_but_never_a_panic(text: String) {
            let _ = parse_duration(&text);
            let _ = parse_size(&text);
            let _ = quoted(&text);
        }
    }
}
