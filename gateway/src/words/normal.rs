//! The normal form of a text: what reads the same is the same.
//!
//! Each character is replaced by those it is a variant of (full width, ligatures, circled, superscript), its case is
//! folded, what nobody sees is removed (joiners, soft hyphens, controls of direction, selectors of variants), and what is
//! left is composed. Texts have the same form when they have the same NFKC_Casefold of Unicode, but for two things: the
//! "ı" of Turkish is an "i", and the iota below a Greek vowel stays a mark. The form of a form is the form itself.
//!
//! Accents are kept: "é" is the same in one character or two, but it is no "e".
//!
//! Composing looks at several characters, so a text is taken in *clusters*: as few characters as can be composed
//! without regard to the others. A base with the marks behind it is one, as are the letters of a Korean syllable.

#[cfg(test)]
mod tests;

use std::ops::Range;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{canonical_combining_class, compose, decompose_compatible};

/// The normal form of the whole of `text`.
pub(super) fn form(text: &str) -> String {
    let mut normal = String::with_capacity(text.len());
    for_each_cluster(text, |_, form| normal.push_str(form));
    normal
}

/// Calls `visit` for each cluster in order, with its bytes in `text` and its normal form, which is never empty. What
/// nobody sees is in the bytes of a cluster only when it stands inside of one.
pub(super) fn for_each_cluster(text: &str, mut visit: impl FnMut(Range<usize>, &str)) {
    let mut cluster = Cluster::default();
    let mut parts = Vec::new();
    for (start, character) in text.char_indices() {
        parts.clear();
        take_apart(character, &mut parts);
        let Some(first) = parts.first() else { continue };
        if !cluster.is_joined_by(*first) {
            cluster.finish(&mut visit);
            cluster.bytes.start = start;
        }
        cluster.bytes.end = start + character.len_utf8();
        for part in &parts {
            cluster.push(*part);
        }
    }
    cluster.finish(&mut visit);
}

/// The cluster that is being read.
#[derive(Default)]
struct Cluster {
    bytes: Range<usize>,
    /// Not yet composed.
    parts: String,
    /// The last base, composed with those before it. None once a mark has come: then no base composes with it any more.
    last_base: Option<char>,
    /// To compose into, so that it is allocated once for a text.
    composed: String,
}

impl Cluster {
    fn is_joined_by(&self, part: char) -> bool {
        let composes = |base| compose(base, part).is_some();
        !self.parts.is_empty() && (is_mark(part) || self.last_base.is_some_and(composes))
    }

    fn push(&mut self, part: char) {
        self.last_base = match self.last_base {
            _ if is_mark(part) => None,
            Some(base) => compose(base, part).or(Some(part)),
            None => Some(part),
        };
        self.parts.push(part);
    }

    fn finish(&mut self, visit: &mut impl FnMut(Range<usize>, &str)) {
        let mut parts = self.parts.chars();
        match (parts.next(), parts.next()) {
            (None, _) => return,
            // The usual case: a single part is composed already.
            (Some(_), None) => visit(self.bytes.clone(), &self.parts),
            (Some(_), Some(_)) => {
                self.composed.clear();
                self.composed.extend(self.parts.nfc());
                visit(self.bytes.clone(), &self.composed);
            }
        }
        self.parts.clear();
        self.last_base = None;
    }
}

/// Whether it belongs to the base before it.
fn is_mark(part: char) -> bool {
    !part.is_ascii() && canonical_combining_class(part) != 0
}

/// The parts of the normal form of `character` alone, not yet composed: none if nobody sees it.
fn take_apart(character: char, parts: &mut Vec<char>) {
    match character {
        _ if character.is_ascii() => parts.push(character.to_ascii_lowercase()),
        // Chinese characters and Korean syllables are most of what is not ASCII. They are their own form, and to look
        // that up takes many times as long.
        '\u{4E00}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7A3}' => parts.push(character),
        _ => decompose_compatible(character, |part| {
            // Among marks only the iota below has a case, and it becomes a letter by it. Marks come in any order, so
            // where that letter stands would depend on how they happen to be written.
            if is_mark(part) {
                parts.push(part);
                return;
            }
            for folded in fold_case(part) {
                decompose_compatible(folded, |part| {
                    if !is_ignorable(part) {
                        parts.push(part);
                    }
                });
            }
        }),
    }
}

/// One form for all cases of a letter, by Unicode's full mappings. Lower case alone would keep apart "ß" and "SS", and
/// the two small ones of Greek's sigma; upper case first would keep apart "ẞ" and "ß".
fn fold_case(part: char) -> impl Iterator<Item = char> {
    part.to_lowercase()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
}

/// What Unicode calls default ignorable: it is not shown, even where it is not supported. The ranges include what is
/// still to be assigned in them, so they hardly change with its versions.
fn is_ignorable(part: char) -> bool {
    matches!(part,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}' | '\u{180B}'..='\u{180F}'
        | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}'
        | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFF8}'
        | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}
