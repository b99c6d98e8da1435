//! Sensitive words of an app: finds them in a text, so that the text is refused, or replaces them.
//!
//! Start with [`Words`]. A text is compared in its normal form ([`normal`]), where full width, case, ligatures and what
//! nobody sees make no difference; what is replaced is cut out of the text as it was written. A check takes time by the
//! length of the text, however many words there are. Nothing changes once it is built: a new list is a new [`Words`].
//! What becomes of a message is in [`in_message`], the same for rooms and conversations.
//!
//! Words are found wherever their characters stand side by side, also inside longer words: Chinese has no spaces to go
//! by, so "ass" is found in "class". What is not seen through: spelling by sound (pinyin), characters of other scripts
//! that look alike (Cyrillic "а" for "a"), traditional for simplified characters, digits for letters, spaces,
//! punctuation and control characters between the letters, and marks put on top of them ("b̷a̷d̷" is not "bad").

pub(crate) mod in_message;
mod normal;
#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind, BuildError, MatchKind};
use smol_str::SmolStr;
use unicode_normalization::char::is_combining_mark;

/// Words of one app. The automata take 1 MiB when each has three Chinese characters, and 15 MiB when all are as long as
/// they may be and none begins like another; building those takes 160 ms and 80 MiB for as long.
pub(crate) const WORDS_MAX: usize = 10_000;

/// Bytes of a word, as it is written and in its normal form: 42 Chinese characters, more than any phrase worth listing.
/// The normal form counts too because one character may become 18 (U+FDFA), and the automaton grows by that.
pub(crate) const WORD_BYTES_MAX: usize = 128;

/// Bytes of what is put in the place of a word: as many asterisks as the longest word has bytes. No byte of a text is
/// replaced twice, so this is also how many times longer a text may become.
pub(crate) const REPLACEMENT_BYTES_MAX: usize = 128;

/// The words of one app, ready to look for. Swapped whole when the list changes.
pub(crate) struct Words {
    blocked: Listed,
    replaced: Listed,
}

/// What became of a text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing to object to, or nothing that replacing would change.
    Clean,
    /// The text must not be passed on, for this word, as it was listed.
    Blocked { word: SmolStr },
    /// What to pass on instead. May be up to [`REPLACEMENT_BYTES_MAX`] times longer, or empty: it is for the caller to
    /// check it against the limits of a text. Not looked at again: a replacement may itself contain a word, or make one
    /// with what stands beside it.
    Replaced(String),
}

/// Why a list of words cannot be used. Positions count from 0.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WordsError {
    #[error("there are more than {WORDS_MAX} words")]
    TooMany,
    /// It would be found everywhere, or in every text with a space.
    #[error("nothing can be seen of word {position}")]
    Blank { position: usize },
    #[error("word {position} has more than {WORD_BYTES_MAX} bytes, as it is or with its characters written out")]
    WordTooLong { position: usize },
    #[error("the replacement of word {position} has more than {REPLACEMENT_BYTES_MAX} bytes")]
    ReplacementTooLong { position: usize },
    #[error("the words do not fit in an automaton: {0}")]
    Automaton(#[from] BuildError),
}

/// Words with the same consequence. Those that block have an automaton of their own: in a common one, which finds no
/// matches that overlap, they would go unseen inside of others.
struct Listed {
    automaton: AhoCorasick,
    /// By number of the pattern: the word as it was listed, or what comes in its place.
    texts: Vec<SmolStr>,
}

/// Where a cluster is in the normal form, and where it is in the text.
struct Place {
    normal_end: usize,
    original: Range<usize>,
}

/// A word in its normal form: two are the same word where this is the same.
pub(crate) fn form_of(word: &str) -> String {
    normal::form(word)
}

/// Whether a word is made of letters and digits, of any script: with the marks that belong to them, which are characters of their own in
/// Hindi or Thai, and the joiners that some are written with.
pub(crate) fn is_of_letters_and_digits(word: &str) -> bool {
    let joins = |character| matches!(character, '\u{200c}' | '\u{200d}');
    let belongs = |character| is_combining_mark(character) || joins(character);
    word.starts_with(char::is_alphanumeric)
        && word
            .chars()
            .all(|character| character.is_alphanumeric() || belongs(character))
}

impl Words {
    /// `words`: each with what to put in its place, or `None` for one that a text must not contain. Of words that are
    /// the same in their normal form, one that blocks goes before one that is replaced, and then the first. A long list
    /// takes too long for a thread that serves connections ([`WORDS_MAX`]).
    ///
    /// # Errors
    /// When the list or something on it is over its limit, or a word has nothing to be seen.
    pub(crate) fn new(words: impl IntoIterator<Item = (String, Option<String>)>) -> Result<Self, WordsError> {
        let mut blocked = Vec::new();
        let mut replaced = Vec::new();
        for (position, (word, replacement)) in words.into_iter().enumerate() {
            if position == WORDS_MAX {
                return Err(WordsError::TooMany);
            }
            let form = form_of_word(&word, position)?;
            match replacement {
                None => blocked.push((form, SmolStr::from(word))),
                Some(replacement) if replacement.len() > REPLACEMENT_BYTES_MAX => {
                    return Err(WordsError::ReplacementTooLong { position });
                }
                Some(replacement) => replaced.push((form, SmolStr::from(replacement))),
            }
        }
        Ok(Self {
            blocked: Listed::new(blocked)?,
            replaced: Listed::new(replaced)?,
        })
    }

    /// Whether there is nothing to look for, so that every text is clean.
    pub(crate) fn is_empty(&self) -> bool {
        self.blocked.texts.is_empty() && self.replaced.texts.is_empty()
    }

    /// Looks for all words at once. One word that blocks decides, wherever it is, also inside of one that would be
    /// replaced. Of words that overlap, the one that begins first goes first, and of those the longest.
    pub(crate) fn check(&self, text: &str) -> Verdict {
        if self.is_empty() {
            return Verdict::Clean;
        }
        let normal = normal::form(text);
        if let Some(word) = self.blocked.first_in(&normal) {
            return Verdict::Blocked { word: word.clone() };
        }
        // Where everything came from is worked out only for the few texts that need it.
        if self.replaced.first_in(&normal).is_none() {
            return Verdict::Clean;
        }
        let replaced = self.replaced.replace_in(text);
        if replaced == text {
            return Verdict::Clean;
        }
        Verdict::Replaced(replaced)
    }
}

impl Default for Words {
    /// No words, so that every text is clean.
    fn default() -> Self {
        Self::new([]).expect("no words are within all limits")
    }
}

/// How many there are: the words themselves had better not be in a log, nor had ten thousand of anything.
impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Words")
            .field("blocked", &self.blocked.texts.len())
            .field("replaced", &self.replaced.texts.len())
            .finish()
    }
}

/// The normal form of a word, if it may be listed.
fn form_of_word(word: &str, position: usize) -> Result<String, WordsError> {
    // Before anything is done with it, however long it is.
    if word.len() > WORD_BYTES_MAX {
        return Err(WordsError::WordTooLong { position });
    }
    let form = normal::form(word);
    if form.len() > WORD_BYTES_MAX {
        return Err(WordsError::WordTooLong { position });
    }
    if form.trim().is_empty() {
        return Err(WordsError::Blank { position });
    }
    Ok(form)
}

impl Listed {
    fn new(words: Vec<(String, SmolStr)>) -> Result<Self, BuildError> {
        let (forms, texts): (Vec<String>, Vec<SmolStr>) = words.into_iter().unzip();
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            // Left to itself the crate makes a DFA of short lists, which takes a KiB for each byte of the words.
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(forms)?;
        Ok(Self { automaton, texts })
    }

    /// The text that goes with the first match, if there is one.
    fn first_in(&self, normal: &str) -> Option<&SmolStr> {
        if self.texts.is_empty() {
            return None;
        }
        let found = self.automaton.find(normal)?;
        Some(&self.texts[found.pattern()])
    }

    /// `text` with each match replaced. A cluster that is matched in part goes as a whole; one that has gone already is
    /// not replaced once more for another match in it.
    fn replace_in(&self, text: &str) -> String {
        let mut normal = String::with_capacity(text.len());
        let mut places = Vec::new();
        normal::for_each_cluster(text, |original, form| {
            normal.push_str(form);
            places.push(Place {
                normal_end: normal.len(),
                original,
            });
        });
        let mut places = places.into_iter().peekable();
        let mut replaced = String::with_capacity(text.len());
        // Up to where `text` is in `replaced`, as it is or replaced.
        let mut done = 0;
        for found in self.automaton.find_iter(&normal) {
            // Matches come in order and do not overlap, so each place is passed once.
            while places.next_if(|place| place.normal_end <= found.start()).is_some() {}
            let first = places.peek().map(|place| place.original.start);
            while places.next_if(|place| place.normal_end < found.end()).is_some() {}
            let last = places.peek().map(|place| place.original.end);
            let (start, end) = first.zip(last).expect("the places cover the normal form");
            if end == done {
                continue;
            }
            if start > done {
                replaced.push_str(&text[done..start]);
            }
            replaced.push_str(&self.texts[found.pattern()]);
            done = end;
        }
        replaced.push_str(&text[done..]);
        replaced
    }
}
