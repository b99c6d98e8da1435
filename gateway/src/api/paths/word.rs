//! Sensitive words of an app: those that no text may have, and those that are replaced.

use serde_json::json;

use crate::api::call::{Answered, Call, answer, done};
use crate::api::failure::{Code, Failure};
use crate::api::field::{Field, Kind};
use crate::api::path::{Answer, AnswerKind, Effect, Group, Path};
use crate::config::ApiScope;
use crate::policy::{ListError, WORD_LIST};
use crate::store::Entry;
use crate::words;

/// Longest word and replacement, in characters, as the vendor has it.
const WORD_CHARACTERS: usize = 32;

/// The same in bytes: a character takes four at most.
const WORD_BYTES: usize = 4 * WORD_CHARACTERS;

/// Words that one call removes, as the vendor has it. They are counted as they are sent.
const WORDS_PER_CALL: usize = 50;

/// What `/sensitiveword/list` asks for.
const REPLACED: i64 = 0;
const FORBIDDEN: i64 = 1;
const ALL: i64 = 2;

const WORD: Field = Field::required(
    "word",
    Kind::Text { bytes_max: WORD_BYTES },
    "The word: at most 32 letters and digits of any script, with the marks that belong to them.",
);

const LISTED: &[Answer] = &[
    Answer::new(
        "word",
        AnswerKind::Text,
        "The word, in its normal form: in lower case, of half width.",
    ),
    Answer::new(
        "replaceWord",
        AnswerKind::Text,
        "What takes its place; empty where it is forbidden.",
    ),
    Answer::new("type", AnswerKind::Text, "`0`: replaced, `1`: forbidden."),
];

pub(super) const PATHS: &[Path] = &[
    Path {
        path: "/sensitiveword/add",
        group: Group::Word,
        scope: ApiScope::Word,
        effect: Effect::Changes,
        summary: "Forbids a word in texts, or has it replaced. At once, and in the place of what was said of it before.",
        fields: &[
            WORD,
            Field::optional(
                "replaceWord",
                Kind::Text { bytes_max: WORD_BYTES },
                "What takes its place, at most 32 characters. Where it is missing or empty the word is forbidden.",
            ),
        ],
        answers: &[],
        run: |call| Box::pin(add(call)),
    },
    Path {
        path: "/sensitiveword/delete",
        group: Group::Word,
        scope: ApiScope::Word,
        effect: Effect::Changes,
        summary: "Allows a word again. One that is not on the list is passed over.",
        fields: &[WORD],
        answers: &[],
        run: |call| Box::pin(remove(call, "word")),
    },
    Path {
        path: "/sensitiveword/batch/delete",
        group: Group::Word,
        scope: ApiScope::Word,
        effect: Effect::Changes,
        summary: "Allows words again. Those that are not on the list are passed over.",
        fields: &[Field::required("words", Kind::Text { bytes_max: WORD_BYTES }, "The words.").many(WORDS_PER_CALL)],
        answers: &[],
        run: |call| Box::pin(remove(call, "words")),
    },
    Path {
        path: "/sensitiveword/list",
        group: Group::Word,
        scope: ApiScope::Word,
        effect: Effect::Asks,
        summary: "Lists the words.",
        fields: &[Field::optional(
            "type",
            Kind::Number {
                min: REPLACED,
                max: ALL,
            },
            "0: those that are replaced, 1: those that are forbidden, which is the default, 2: all.",
        )],
        answers: &[Answer::new("words", AnswerKind::Objects(LISTED), "The words.")],
        run: |call| Box::pin(async move { call.at_length(|| list(&call)).await? }),
    },
];

async fn add(call: Call) -> Answered {
    let word = call.required_text("word")?;
    let replacement = call.text("replaceWord").unwrap_or_default();
    if word.chars().count() > WORD_CHARACTERS || !words::is_of_letters_and_digits(&word) {
        return Err(Failure::parameter("word: expected at most 32 letters and digits"));
    }
    if replacement.chars().count() > WORD_CHARACTERS {
        return Err(Failure::parameter("replaceWord: expected at most 32 characters"));
    }
    let entry = Entry {
        until_ms: None,
        since_ms: call.now.unix_ms,
        text: replacement,
    };
    let entries = [(words::form_of(&word), entry)];
    let kept = call.keep(
        |keep| match call.policies().enlist(call.app, &WORD_LIST, &entries, call.now, keep) {
            Err(ListError::Full { max }) => Err(Failure::new(
                Code::TOO_MANY_WORDS,
                format!("there are {max} words, and no more may be"),
            )),
            other => other.map_err(Failure::from),
        },
    );
    kept.await?;
    done()
}

async fn remove(call: Call, field: &'static str) -> Answered {
    let words: Vec<String> = call.texts(field).iter().map(|word| words::form_of(word)).collect();
    call.keep(|keep| call.policies().strike(call.app, &WORD_LIST, &words, call.now, keep))
        .await?;
    done()
}

fn list(call: &Call) -> Answered {
    let wanted = call.number("type").unwrap_or(FORBIDDEN);
    let kind = |entry: &Entry| if entry.text.is_empty() { FORBIDDEN } else { REPLACED };
    let listed = call.policies().listed(call.app, &WORD_LIST, call.now);
    let words: Vec<_> = listed
        .iter()
        .filter(|(_, entry)| wanted == ALL || kind(entry) == wanted)
        .map(|(word, entry)| json!({ "word": word, "replaceWord": entry.text, "type": kind(entry).to_string() }))
        .collect();
    answer(json!({ "words": words }))
}
