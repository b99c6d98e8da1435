use proptest::prelude::*;
use proptest::string::string_regex;

use super::*;

/// All but those of the planes that are empty, and for private use.
fn all_characters() -> impl Iterator<Item = char> {
    ('\0'..='\u{3FFFF}').chain('\u{E0000}'..='\u{E0FFF}')
}

/// The iota below a Greek vowel, which becomes a letter in upper case.
const IOTA_BELOW: char = '\u{345}';

/// The same by whole texts, one step after the other.
fn form_of_the_whole(text: &str) -> String {
    let seen = |part: &char| !is_ignorable(*part);
    let apart: String = text.chars().filter(seen).collect::<String>().nfkd().collect();
    let fold = |part: char| -> Vec<char> {
        match part {
            IOTA_BELOW => vec![part],
            _ => fold_case(part).collect(),
        }
    };
    let folded: String = apart.chars().filter(seen).flat_map(fold).collect();
    folded.nfkd().filter(seen).nfc().collect()
}

#[test]
fn what_reads_the_same_has_the_same_form() {
    for (one, other) in [
        ("ＡＢＣ１２３！", "abc123!"),
        ("ｶﾞﾗｽ", "ガラス"),
        ("ﬁﬃ", "fiffi"),
        ("①⑳", "120"),
        ("x²", "x2"),
        ("㍿", "株式会社"),
        ("㋿", "令和"),
        ("Straße", "STRASSE"),
        ("STRAẞE", "strasse"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ("İstanbul", "i\u{307}STANBUL"),
        ("ısı", "ISI"),
        ("e\u{301}", "É"),
        ("\u{1112}\u{1161}\u{11AB}", "한"),
        ("한", "하\u{11AB}"),
        ("\u{4F60}\u{200B}\u{597D}", "你好"),
        ("e\u{200D}\u{301}", "é"),
        ("\u{F900}", "豈"),
        ("a\u{A0}b\u{3000}c", "a b c"),
        ("❤\u{FE0F}", "❤"),
    ] {
        assert_eq!(form(one), form(other), "{one:?} and {other:?}");
    }
}

#[test]
fn what_reads_differently_has_another_form() {
    for (one, other) in [
        ("é", "e"),
        ("가", "각"),
        ("が", "か"),
        ("漢", "汉"),
        ("а", "a"),
        ("o", "0"),
        ("a b", "ab"),
        ("x\u{301}", "x"),
    ] {
        assert_ne!(form(one), form(other), "{one:?} and {other:?}");
    }
}

#[test]
fn every_character_that_takes_the_short_way_is_its_own_form() {
    for character in all_characters() {
        let mut parts = Vec::new();
        take_apart(character, &mut parts);
        if parts == [character] {
            assert_eq!(
                form_of_the_whole(character.encode_utf8(&mut [0; 4])),
                parts.iter().collect::<String>()
            );
        }
    }
}

#[test]
fn the_form_of_every_form_is_the_form_itself() {
    for character in all_characters() {
        let once = form(character.encode_utf8(&mut [0; 4]));
        assert_eq!(form(&once), once, "{character:?}");
    }
}

#[test]
fn all_cases_of_every_letter_have_one_form() {
    for character in all_characters() {
        let letter = character.to_string();
        if letter.nfkd().any(|part| part == IOTA_BELOW) {
            continue;
        }
        assert_eq!(form(&letter.to_lowercase()), form(&letter), "{character:?}");
        assert_eq!(form(&letter.to_uppercase()), form(&letter), "{character:?}");
    }
}

/// What `last_base` relies on when it forgets a base at the first mark.
#[test]
fn no_base_composes_with_a_base_before_it_that_has_marks() {
    for character in all_characters() {
        let parts: Vec<char> = character.encode_utf8(&mut [0; 4]).nfd().collect();
        let last_base = parts.iter().rposition(|part| !is_mark(*part)).unwrap_or_default();
        let recomposed: String = parts.iter().collect::<String>().nfc().collect();
        if recomposed.chars().eq([character]) {
            assert!(!parts[..last_base].iter().any(|part| is_mark(*part)), "{character:?}");
        }
    }
}

#[test]
fn a_cluster_is_as_few_characters_as_can_be_composed_alone() {
    let clusters = |text: &str| {
        let mut clusters = Vec::new();
        for_each_cluster(text, |bytes, form| {
            clusters.push((text[bytes].to_owned(), form.to_owned()))
        });
        clusters
    };
    let owned = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(text, form)| (text.to_string(), form.to_string()))
            .collect()
    };
    assert_eq!(clusters("Aﬁ"), owned(&[("A", "a"), ("ﬁ", "fi")]));
    assert_eq!(clusters("ｶﾞＡ"), owned(&[("ｶﾞ", "ガ"), ("Ａ", "a")]));
    assert_eq!(
        clusters("e\u{316}\u{301}x"),
        owned(&[("e\u{316}\u{301}", "é\u{316}"), ("x", "x")])
    );
    assert_eq!(
        clusters("\u{200B}\u{301}\u{200B}\u{302}\u{200B}a\u{200B}"),
        owned(&[("\u{301}\u{200B}\u{302}", "\u{301}\u{302}"), ("a", "a")])
    );
    assert_eq!(
        clusters("보ㅠㅠ"),
        owned(&[("보", "보"), ("ㅠ", "\u{1172}"), ("ㅠ", "\u{1172}")])
    );
    assert_eq!(
        clusters("\u{1112}\u{1161}\u{11AB}\u{11AB}"),
        owned(&[("\u{1112}\u{1161}\u{11AB}", "한"), ("\u{11AB}", "\u{11AB}")])
    );
    // A mark keeps apart what would be a syllable.
    assert_eq!(
        clusters("\u{1100}\u{301}\u{1161}"),
        owned(&[("\u{1100}\u{301}", "\u{1100}\u{301}"), ("\u{1161}", "\u{1161}")])
    );
    assert_eq!(clusters("\u{200B}\u{FEFF}"), owned(&[]));
}

/// Characters that compose, expand or vanish, often side by side, and any others.
fn text() -> impl Strategy<Value = String> {
    let joining = prop::sample::select(vec![
        'e',
        'ﬁ',
        '\u{301}',
        '\u{316}',
        '\u{345}',
        '\u{1100}',
        '\u{1161}',
        '\u{11A8}',
        '가',
        'ㅏ',
        'ㄳ',
        '\u{9C7}',
        '\u{9BE}',
        '\u{9D7}',
        '\u{DD9}',
        '\u{DCF}',
        '\u{DCA}',
        'ｶ',
        'ﾞ',
        'α',
        'ᾳ',
        'İ',
        'ẞ',
        '\u{200B}',
        '\u{34F}',
        '\u{338}',
        '=',
        '\u{FDFA}',
        '\u{1E0A}',
        '\u{323}',
        '\u{16D67}',
        '\u{16D63}',
    ]);
    let character = prop_oneof![4 => joining, 1 => any::<char>()];
    prop::collection::vec(character, 0..16).prop_map(String::from_iter)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn taking_a_text_in_clusters_gives_what_taking_it_whole_gives(text in text()) {
        prop_assert_eq!(form(&text), form_of_the_whole(&text));
    }

    #[test]
    fn clusters_come_in_order_on_borders_of_characters_and_leave_out_only_what_nobody_sees(text in text()) {
        let mut last = 0;
        let mut left_out = String::new();
        for_each_cluster(&text, |bytes, form| {
            assert!(last <= bytes.start && bytes.start < bytes.end && !form.is_empty());
            left_out.push_str(&text[last..bytes.start]);
            assert!(text.is_char_boundary(bytes.end));
            last = bytes.end;
        });
        left_out.push_str(&text[last..]);
        prop_assert!(left_out.chars().all(is_ignorable));
    }

    #[test]
    fn a_text_is_as_good_as_its_form_written_in_any_way_unicode_calls_the_same(text in text()) {
        let form_of = form(&text);
        prop_assert_eq!(form(&text.nfc().collect::<String>()), &*form_of);
        prop_assert_eq!(form(&text.nfd().collect::<String>()), &*form_of);
        prop_assert_eq!(form(&form_of), form_of);
    }

    #[test]
    fn what_unicode_calls_ignorable_is_what_is_left_out(
        ignorable in string_regex(r"\p{Default_Ignorable_Code_Point}").expect("a pattern"),
        other in string_regex(r"\P{Default_Ignorable_Code_Point}").expect("a pattern"),
    ) {
        prop_assert_eq!(form(&ignorable), "");
        prop_assert!(!form(&other).is_empty(), "{:?}", other);
    }
}
