//! The TOML file: from text to entries, with the line of each.

use std::fs::File;
use std::io::Read as _;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::app::{self, App, AppOrigins};
use super::kind::{Written, quoted};
use super::layers::Entry;
use super::origin::{Origin, Problem};
use super::settings::{SETTINGS, Setting};
use super::suggestion::nearest;

/// Largest configuration file: thousands of apps. Keeps a mistaken `--config /dev/zero` from eating the memory.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// What a file says.
#[derive(Default)]
pub(super) struct Document {
    pub(super) entries: Vec<Entry>,
    pub(super) apps: Vec<(App, AppOrigins)>,
    pub(super) sense: Sense,
}

/// How much of a file can be made sense of.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sense {
    /// All; single values may still be wrong.
    #[default]
    Complete,
    /// Something is wrong with apps, so that what depends on all of them cannot be judged.
    WithoutApps,
    /// It cannot be read or is no TOML.
    None,
}

/// A text being read and where it lies.
pub(super) struct Place<'a> {
    path: &'a Path,
    /// Where relative paths in it start.
    pub(super) base: &'a Path,
    text: &'a str,
}

impl Place<'_> {
    /// The line on which `span` begins.
    pub(super) fn at(&self, span: &Range<usize>) -> Origin {
        let before = &self.text.as_bytes()[..span.start.min(self.text.len())];
        Origin::File {
            path: self.path.to_owned(),
            line: Some(before.iter().filter(|byte| **byte == b'\n').count() + 1),
        }
    }
}

/// Reads a text file of at most `bytes_max` bytes; the error says why not.
pub(super) fn read_text(path: &Path, bytes_max: u64) -> Result<String, String> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(bytes_max + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > bytes_max {
        return Err(format!("is larger than {bytes_max} bytes"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
            + 1;
        format!("line {line} is not UTF-8")
    })
}

/// Reads the file at `path`. What is wrong with it goes to `problems`; the rest of it is returned.
pub(super) fn read(path: &Path, problems: &mut Vec<Problem>) -> Document {
    match read_text(path, FILE_BYTES_MAX) {
        Ok(text) => parse(path, &text, problems),
        Err(reason) => {
            let origin = Origin::File {
                path: path.to_owned(),
                line: None,
            };
            problems.push(Problem::new(&origin, reason));
            Document {
                sense: Sense::None,
                ..Document::default()
            }
        }
    }
}

/// Reads `text` as if it were the content of `path`.
pub(super) fn parse(path: &Path, text: &str, problems: &mut Vec<Problem>) -> Document {
    let place = Place {
        path,
        base: path.parent().unwrap_or(Path::new("")),
        text,
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut document = Document::default();
    if !errors.is_empty() {
        // A file that does not parse says nothing reliable: what follows its errors would be noise.
        document.sense = Sense::None;
        problems.extend(errors.iter().map(|error| {
            let span = error.span().unwrap_or_default();
            Problem::new(
                &place.at(&span),
                format!("not valid TOML: {}", error.message().replace('\n', ", ")),
            )
        }));
        return document;
    }
    section("", table.get_ref(), &place, &mut document, problems);
    document
}

fn section(prefix: &str, table: &DeTable<'_>, place: &Place<'_>, document: &mut Document, problems: &mut Vec<Problem>) {
    for (key, value) in table {
        let origin = place.at(&key.span());
        // A quoted key may hold dots: it is no path, whatever it looks like.
        let plain = !key.get_ref().contains('.');
        let path = if plain {
            format!("{prefix}{}", key.get_ref())
        } else {
            format!("{prefix}\"{}\"", key.get_ref())
        };
        if plain && path == "apps" {
            let problems_before = problems.len();
            document.apps = app::read(value, &origin, place, problems);
            if problems.len() > problems_before {
                document.sense = Sense::WithoutApps;
            }
        } else if let Some(setting) = plain.then(|| SETTINGS.iter().position(|s| s.path == path)).flatten() {
            document.entries.push(Entry {
                setting,
                written: written(value.get_ref()),
                origin,
            });
        } else if plain
            && SETTINGS
                .iter()
                .any(|setting| setting.path.starts_with(&format!("{path}.")))
        {
            match value.get_ref() {
                DeValue::Table(inner) => section(&format!("{path}."), inner, place, document, problems),
                other => problems.push(Problem::new(
                    &origin,
                    format!(
                        "{path}: found a value of type {}, expected a section: [{path}]",
                        other.type_str()
                    ),
                )),
            }
        } else {
            let sections = SETTINGS
                .iter()
                .filter_map(|setting| Some(setting.path.rsplit_once('.')?.0));
            let known = SETTINGS
                .iter()
                .map(|setting| setting.path)
                .chain(sections)
                .chain(["apps"]);
            problems.push(unknown_key(&origin, &path, known));
        }
    }
}

fn unknown_key<'a>(origin: &Origin, path: &str, known: impl Iterator<Item = &'a str>) -> Problem {
    let hint = nearest(path, known).map_or_else(String::new, |path| format!("; did you mean {path}?"));
    Problem::new(origin, format!("unknown key {}{hint}", quoted(path)))
}

/// The keys of a table that were present, with the line of each; whether their values were good is another matter.
pub(super) type Present = Vec<(&'static str, Origin)>;

/// Fills `target` from a table whose keys are `settings`, defaults included. Keys in `nested` are somebody else's.
pub(super) fn fill<S>(
    settings: &'static [Setting<S>],
    nested: &[&str],
    target: &mut S,
    table: &DeTable<'_>,
    place: &Place<'_>,
    problems: &mut Vec<Problem>,
) -> Present {
    let mut present = Vec::new();
    let name = |setting: &Setting<S>| setting.path.rsplit('.').next().unwrap_or(setting.path);
    for (key, value) in table {
        let origin = place.at(&key.span());
        let key: &str = key.get_ref();
        if let Some(setting) = settings.iter().find(|setting| name(setting) == key) {
            if let Err(reason) = setting.kind.read(target, &written(value.get_ref()), place.base) {
                problems.push(Problem::new(&origin, format!("{}: {reason}", setting.path)));
            }
            present.push((setting.path, origin));
        } else if !nested.contains(&key) {
            let known = settings.iter().map(name).chain(nested.iter().copied());
            problems.push(unknown_key(&origin, key, known));
        }
    }
    present
}

fn written(value: &DeValue<'_>) -> Written {
    match value {
        DeValue::String(text) => Written::Text(text.to_string()),
        DeValue::Boolean(value) => Written::Boolean(*value),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(Written::Other("integer beyond 64 bits"), Written::Integer),
        DeValue::Array(items) => {
            let texts = items
                .iter()
                .map(|item: &Spanned<DeValue<'_>>| item.get_ref().as_str().map(str::to_owned));
            texts
                .collect::<Option<Vec<_>>>()
                .map_or(Written::Other("array"), Written::Texts)
        }
        other => Written::Other(other.type_str()),
    }
}
