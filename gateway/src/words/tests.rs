//! The filter by example, and against one that is too simple to be wrong.

mod against_a_model;

use super::*;

/// Words that are replaced by what stands beside them, and words that block.
fn words(replaced: &[(&str, &str)], blocked: &[&str]) -> Words {
    let replaced = replaced
        .iter()
        .map(|(word, by)| (word.to_string(), Some(by.to_string())));
    let blocked = blocked.iter().map(|word| (word.to_string(), None));
    Words::new(replaced.chain(blocked)).expect("within all limits")
}

fn blocked_by(word: &str) -> Verdict {
    Verdict::Blocked { word: word.into() }
}

fn replaced_by(text: &str) -> Verdict {
    Verdict::Replaced(text.to_owned())
}

fn refused(word: &str, replacement: Option<&str>) -> WordsError {
    let fine = ("word".to_owned(), None);
    let word = (word.to_owned(), replacement.map(str::to_owned));
    Words::new([fine, word]).expect_err("an error")
}

#[test]
fn without_words_every_text_is_clean() {
    let none = words(&[], &[]);
    assert!(none.is_empty());
    for text in ["", "bad", "敏感词"] {
        assert_eq!(none.check(text), Verdict::Clean);
    }
    assert!(!words(&[], &["bad"]).is_empty());
    assert!(!words(&[("bad", "***")], &[]).is_empty());
}

#[test]
fn a_text_is_blocked_by_a_word_anywhere_in_it() {
    let words = words(&[], &["敏感词", "Spam"]);
    assert_eq!(words.check("这里有敏感词。"), blocked_by("敏感词"));
    assert_eq!(words.check("这里有敏感。词"), Verdict::Clean);
    assert_eq!(words.check("antispamming"), blocked_by("Spam"));
    assert_eq!(words.check("买spam吧"), blocked_by("Spam"));
    assert_eq!(words.check(""), Verdict::Clean);
}

#[test]
fn only_the_word_is_replaced() {
    let words = words(&[("敏感词", "***"), ("bad", "good")], &[]);
    assert_eq!(words.check("这里有敏感词。ＯＫ"), replaced_by("这里有***。ＯＫ"));
    assert_eq!(words.check("Ａ Bad\tＤＡＹ"), replaced_by("Ａ good\tＤＡＹ"));
    assert_eq!(words.check("bad敏感词bad"), replaced_by("good***good"));
    assert_eq!(words.check("敏感bad"), replaced_by("敏感good"));
}

#[test]
fn width_case_and_what_nobody_sees_hide_no_word() {
    let words = words(&[("bad词", "*")], &[]);
    for hidden in [
        "ＢＡＤ词",
        "ｂａｄ词",
        "𝐛𝖆𝔡词",
        "ⓑⓐⓓ词",
        "bAd\u{200B}词",
        "b\u{200C}a\u{200D}d\u{FEFF}词",
        "b\u{AD}a\u{2060}d\u{FE0F}词",
        "b\u{202E}a\u{2066}d\u{E0101}词",
        "b\u{3164}a\u{34F}d词",
    ] {
        assert_eq!(words.check(&format!("<{hidden}>")), replaced_by("<*>"), "{hidden:?}");
    }
}

#[test]
fn a_word_may_be_listed_in_any_form() {
    let text = "<bad>";
    for listed in ["BAD", "ｂａｄ", "b\u{200B}ad\u{200B}"] {
        assert_eq!(
            words(&[(listed, "*")], &[]).check(text),
            replaced_by("<*>"),
            "{listed:?}"
        );
        assert_eq!(words(&[], &[listed]).check(text), blocked_by(listed));
    }
}

#[test]
fn half_width_kana_and_letters_of_korean_hide_no_word() {
    let words = words(&[("ガラス", "*"), ("바보", "#")], &[]);
    assert_eq!(words.check("<ｶﾞﾗｽ>"), replaced_by("<*>"));
    assert_eq!(words.check("<\u{1107}\u{1161}\u{1107}\u{1169}>"), replaced_by("<#>"));
    // Another syllable that begins alike, and a letter behind that is part of none.
    assert_eq!(words.check("바볼"), Verdict::Clean);
    assert_eq!(words.check("바보ㅋㅋ"), replaced_by("#ㅋㅋ"));
    assert_eq!(words.check("바보ㅠㅠ"), replaced_by("#ㅠㅠ"));
}

#[test]
fn what_nobody_sees_stays_where_it_is_around_a_word() {
    let words = words(&[("bad", "*")], &[]);
    assert_eq!(
        words.check("\u{202E}b\u{200B}ad\u{202C}!"),
        replaced_by("\u{202E}*\u{202C}!")
    );
}

#[test]
fn marks_go_with_their_base() {
    let words = words(&[("x", "*"), ("é", "#")], &[]);
    assert_eq!(words.check("ax\u{301}\u{316}b"), replaced_by("a*b"));
    assert_eq!(words.check("e\u{301}\u{30A}b"), replaced_by("#b"));
    // Composed over the mark between.
    assert_eq!(words.check("e\u{316}\u{301}b"), replaced_by("#b"));
    assert_eq!(words.check("eb"), Verdict::Clean);
}

#[test]
fn a_character_that_stands_for_several_goes_as_a_whole() {
    let words = words(&[("会社", "*"), ("i", "-"), ("fix", "+"), ("ss", "$")], &[]);
    assert_eq!(words.check("<㍿>"), replaced_by("<*>"));
    assert_eq!(words.check("oﬁ"), replaced_by("o-"));
    assert_eq!(words.check("oﬁx"), replaced_by("o+"));
    assert_eq!(words.check("oﬃx"), replaced_by("o+"));
    assert_eq!(words.check("Maß"), replaced_by("Ma$"));
}

#[test]
fn words_that_share_a_character_take_it_once() {
    let words = words(&[("f", "F"), ("i", "I"), ("lx", "L")], &[]);
    assert_eq!(words.check("<ﬁ>"), replaced_by("<F>"));
    assert_eq!(words.check("<ﬀ>"), replaced_by("<F>"));
    // The l is gone, what else the second word has goes too.
    assert_eq!(words.check("<ﬂx>"), replaced_by("<FL>"));
}

#[test]
fn of_words_that_overlap_the_first_and_longest_goes() {
    let words = words(&[("ab", "1"), ("abcd", "2"), ("bcde", "3"), ("cd", "4")], &[]);
    assert_eq!(words.check("abcde"), replaced_by("2e"));
    assert_eq!(words.check("abce"), replaced_by("1ce"));
    assert_eq!(words.check("bcdecd"), replaced_by("34"));
}

#[test]
fn a_word_that_blocks_goes_before_any_that_is_replaced() {
    let words = words(&[("abc", "*"), ("same", "*")], &["b", "z", "SAME"]);
    assert_eq!(words.check("abc"), blocked_by("b"));
    assert_eq!(words.check("ac abc z"), blocked_by("b"));
    assert_eq!(words.check("ac z"), blocked_by("z"));
    assert_eq!(words.check("same"), blocked_by("SAME"));
}

#[test]
fn of_equal_words_the_first_counts() {
    assert_eq!(words(&[("bad", "1"), ("BAD", "2")], &[]).check("Bad"), replaced_by("1"));
    assert_eq!(words(&[], &["Bad", "BAD"]).check("bad"), blocked_by("Bad"));
}

#[test]
fn a_text_that_replacing_would_not_change_is_clean() {
    let words = words(&[("vip", "VIP")], &[]);
    assert_eq!(words.check("a vip"), replaced_by("a VIP"));
    assert_eq!(words.check("a VIP"), Verdict::Clean);
}

#[test]
fn a_replacement_may_be_empty_and_is_not_looked_at_again() {
    let words = words(&[("x", ""), ("ab", "xab")], &[]);
    assert_eq!(words.check("x"), replaced_by(""));
    assert_eq!(words.check("axb"), replaced_by("ab"));
    assert_eq!(words.check("ab"), replaced_by("xab"));
}

#[test]
fn no_text_grows_more_than_replacements_are_long() {
    let long = "*".repeat(REPLACEMENT_BYTES_MAX);
    // U+FDFA becomes 18 characters, four of them this one.
    let words = words(&[("\u{644}", &long), ("a", &long)], &[]);
    for text in ["a", "aaaa", "\u{FDFA}", "\u{FDFA}a\u{FDFA}"] {
        let Verdict::Replaced(replaced) = words.check(text) else {
            panic!("{text:?} has a word");
        };
        assert!(replaced.len() <= text.len() * REPLACEMENT_BYTES_MAX, "{text:?}");
        assert_eq!(replaced, long.repeat(text.chars().count()));
    }
}

#[test]
fn what_stands_for_something_else_is_not_seen_through() {
    let words = words(&[], &["bad", "敏感", "汉"]);
    for text in [
        "b a d",
        "b.a.d",
        "bаd",
        "b4d",
        "b\u{337}a\u{337}d",
        "min gan",
        "漢",
        "敏\u{8}感",
        "敏、感",
    ] {
        assert_eq!(words.check(text), Verdict::Clean, "{text:?}");
    }
}

#[test]
fn a_word_of_which_nothing_can_be_seen_is_refused() {
    for blank in ["", " ", "\u{3000}\t", "\u{200B}\u{FEFF}", "\u{3164}", "\u{FE0F} "] {
        assert!(
            matches!(refused(blank, None), WordsError::Blank { position: 1 }),
            "{blank:?}"
        );
    }
}

#[test]
fn a_word_over_its_limit_is_refused() {
    let longest = "a".repeat(WORD_BYTES_MAX);
    assert_eq!(words(&[], &[&longest]).check(&longest), blocked_by(&longest));
    assert!(matches!(
        refused(&"a".repeat(WORD_BYTES_MAX + 1), None),
        WordsError::WordTooLong { position: 1 }
    ));
    // 12 bytes as it is, 132 in its normal form.
    assert!(matches!(
        refused(&"\u{FDFA}".repeat(4), Some("*")),
        WordsError::WordTooLong { position: 1 }
    ));
}

#[test]
fn a_replacement_over_its_limit_is_refused() {
    let longest = "*".repeat(REPLACEMENT_BYTES_MAX);
    assert_eq!(words(&[("a", &longest)], &[]).check("a"), replaced_by(&longest));
    assert!(matches!(
        refused("a", Some(&"*".repeat(REPLACEMENT_BYTES_MAX + 1))),
        WordsError::ReplacementTooLong { position: 1 }
    ));
}

#[test]
fn an_error_says_which_word_it_is() {
    assert_eq!(refused("", None).to_string(), "nothing can be seen of word 1");
}

/// Half of them block, half are replaced.
fn many(count: usize) -> impl Iterator<Item = (String, Option<String>)> {
    (0..count).map(|number| (format!("敏感词{number}号"), (number % 2 == 0).then(|| "***".to_owned())))
}

#[test]
fn a_full_list_finds_each_of_its_words_in_a_long_text() {
    const TEXT_BYTES: usize = 32 * 1024;
    let words = Words::new(many(WORDS_MAX)).expect("just full");
    // Goes deep into the automata again and again without a match.
    let mut text = "敏感词123敏感词9999好".repeat(TEXT_BYTES / 30);
    assert_eq!(words.check(&text), Verdict::Clean);
    let clean = text.clone();
    text.push_str("敏感词９998号");
    assert_eq!(words.check(&text), replaced_by(&format!("{clean}***")));
    text.push_str("敏感\u{200B}词9999号");
    assert_eq!(words.check(&text), blocked_by("敏感词9999号"));
    for number in 0..WORDS_MAX {
        let word = format!("敏感词{number}号");
        let expected = if number % 2 == 0 {
            replaced_by("***")
        } else {
            blocked_by(&word)
        };
        assert_eq!(words.check(&word), expected);
    }
}

#[test]
fn a_list_over_its_limit_is_refused() {
    assert!(matches!(Words::new(many(WORDS_MAX + 1)), Err(WordsError::TooMany)));
}
