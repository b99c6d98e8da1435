//! Random words and texts of small alphabets, so that they meet often.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;

/// A plain letter and the ways to write it.
const LETTERS: [(char, &[&str]); 4] = [
    ('a', &["a", "A", "ａ", "Ａ", "ⓐ", "ª", "𝐀"]),
    ('b', &["b", "B", "ｂ", "ᵇ"]),
    ('敏', &["敏", "\u{FA41}"]),
    ('ガ', &["ガ", "カ\u{3099}", "ｶﾞ", "ｶ\u{200B}ﾞ"]),
];

/// What may stand before a letter unseen.
const GAPS: [&str; 6] = ["", "", "", "\u{200B}", "\u{FEFF}\u{AD}", "\u{202E}"];

#[derive(Debug, Clone)]
struct Written {
    gap: &'static str,
    letter: &'static str,
    plain: char,
}

fn written() -> impl Strategy<Value = Written> {
    select(&LETTERS[..]).prop_flat_map(|(plain, letters)| {
        (select(&GAPS[..]), select(letters)).prop_map(move |(gap, letter)| Written { gap, letter, plain })
    })
}

fn plain_word() -> impl Strategy<Value = String> {
    let letters = LETTERS.map(|(plain, _)| plain);
    prop::collection::vec(select(letters.to_vec()), 1..5).prop_map(String::from_iter)
}

/// Few that block, else nothing would be replaced.
fn consequence() -> impl Strategy<Value = Option<String>> {
    select(vec![
        None,
        Some(""),
        Some("*"),
        Some("a"),
        Some("好的"),
        Some("*"),
        Some("##"),
        Some("x"),
    ])
    .prop_map(|replacement| replacement.map(str::to_owned))
}

type List = [(String, Option<String>)];

/// Of the words for which `wanted` holds, the longest that `plain` begins with, and of equal ones the first.
fn longest<'l>(
    list: &'l List,
    plain: &str,
    wanted: fn(&Option<String>) -> bool,
) -> Option<&'l (String, Option<String>)> {
    let mut best: Option<&(String, Option<String>)> = None;
    for entry in list {
        let better = best.is_none_or(|best| entry.0.len() > best.0.len());
        if wanted(&entry.1) && plain.starts_with(&entry.0) && better {
            best = Some(entry);
        }
    }
    best
}

/// Tries every word at every place. Knows nothing of normal forms: it is told what each letter is.
fn model(list: &List, text: &[Written]) -> Verdict {
    let plain_from = |at: usize| String::from_iter(text[at..].iter().map(|written| written.plain));
    for at in 0..text.len() {
        if let Some((word, _)) = longest(list, &plain_from(at), Option::is_none) {
            return blocked_by(word);
        }
    }
    let mut result = String::new();
    let mut at = 0;
    while at < text.len() {
        result.push_str(text[at].gap);
        match longest(list, &plain_from(at), Option::is_some) {
            Some((word, replacement)) => {
                result.push_str(replacement.as_deref().expect("asked for"));
                at += word.chars().count();
            }
            None => {
                result.push_str(text[at].letter);
                at += 1;
            }
        }
    }
    if result == as_text(text) {
        return Verdict::Clean;
    }
    Verdict::Replaced(result)
}

fn as_text(text: &[Written]) -> String {
    text.iter().flat_map(|written| [written.gap, written.letter]).collect()
}

/// Characters that join, expand, vanish or move, with some that do nothing of the kind.
fn tricky_text(length_max: usize) -> impl Strategy<Value = String> {
    const TRICKY: [char; 26] = [
        'a', 'f', 'i', 'I', 'ﬁ', 'ß', 's', 'e', 'é', '\u{301}', '\u{316}', '\u{345}', '\u{338}', '\u{200B}',
        '\u{FE0F}', '㍿', '社', '\u{1100}', '\u{1161}', '\u{11A8}', '가', 'ㅏ', 'ㄱ', '\u{9C7}', '\u{9BE}', ' ',
    ];
    prop::collection::vec(select(&TRICKY[..]), 0..length_max).prop_map(String::from_iter)
}

/// All replaced by an asterisk, which no tricky text has.
fn tricky_list() -> impl Strategy<Value = Vec<String>> {
    let word = tricky_text(4).prop_filter("something can be seen", |word| !normal::form(word).trim().is_empty());
    prop::collection::vec(word, 1..6)
}

/// Whether `replaced` is `text` with parts of it, none empty, made asterisks.
fn is_cut_from(text: &str, replaced: &str) -> bool {
    let mut kept = replaced.split('*');
    let first = kept.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut kept: Vec<&str> = kept.collect();
    let Some(last) = kept.pop() else { return rest.is_empty() };
    for part in kept {
        let Some(skipped) = rest.chars().next() else {
            return false;
        };
        let behind = &rest[skipped.len_utf8()..];
        let Some(at) = behind.find(part) else { return false };
        rest = &behind[at + part.len()..];
    }
    rest.len() > last.len() && rest.ends_with(last)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_filter_does_what_trying_every_word_at_every_place_does(
        list in prop::collection::vec((plain_word(), consequence()), 0..8),
        text in prop::collection::vec(written(), 0..24),
    ) {
        let words = Words::new(list.clone()).expect("within all limits");
        prop_assert_eq!(words.check(&as_text(&text)), model(&list, &text));
    }

    #[test]
    fn a_text_is_clean_just_when_its_form_contains_no_word_and_nothing_is_left_of_those_it_contains(
        list in tricky_list(),
        text in tricky_text(16),
    ) {
        let replaced = list.iter().map(|word| (word.clone(), Some("*".to_owned())));
        let words = Words::new(replaced).expect("within all limits");
        let contains = |text: &str| {
            let form = normal::form(text);
            list.iter().any(|word| form.contains(&normal::form(word)))
        };
        match words.check(&text) {
            Verdict::Clean => prop_assert!(!contains(&text)),
            Verdict::Replaced(replaced) => {
                prop_assert!(contains(&text));
                prop_assert!(!contains(&replaced), "{:?}", replaced);
                prop_assert!(is_cut_from(&text, &replaced), "{:?}", replaced);
                prop_assert_eq!(words.check(&replaced), Verdict::Clean);
            }
            Verdict::Blocked { word } => prop_assert!(false, "{:?} does not block", word),
        }
    }

    #[test]
    fn a_text_is_blocked_just_when_its_form_contains_a_word(list in tricky_list(), text in tricky_text(16)) {
        let words = Words::new(list.iter().map(|word| (word.clone(), None))).expect("within all limits");
        let form = normal::form(&text);
        match words.check(&text) {
            Verdict::Clean => prop_assert!(!list.iter().any(|word| form.contains(&normal::form(word)))),
            Verdict::Blocked { word } => {
                prop_assert!(list.iter().any(|listed| *listed == word.as_str()));
                prop_assert!(form.contains(&normal::form(&word)));
            }
            Verdict::Replaced(replaced) => prop_assert!(false, "{:?} came of nothing", replaced),
        }
    }

    #[test]
    fn no_text_and_no_list_make_the_filter_panic(
        list in prop::collection::vec(any::<(String, Option<String>)>(), 0..4),
        text: String,
        part in 0_usize..8,
    ) {
        // Some of the text as a word, so that there is something to find.
        let part: String = text.chars().skip(part).take(2).collect();
        for list in [list, vec![(part.clone(), Some("*".to_owned()))], vec![(part, None)]] {
            if let Ok(words) = Words::new(list) {
                words.check(&text);
            }
        }
    }
}
