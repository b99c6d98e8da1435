//! A content with places for words.

use serde_json::{Map, Value};

use crate::api::failure::{Code, Failure};

/// See the module.
#[derive(Debug)]
pub(super) enum Template {
    /// Words go into the texts of an object of JSON: what they are cannot change what the object says besides.
    Object(Value),
    Text(String),
}

impl Template {
    pub(super) fn new(content: String) -> Self {
        match serde_json::from_str(&content) {
            Ok(object @ Value::Object(_)) => Self::Object(object),
            _ => Self::Text(content),
        }
    }

    /// The content with each key of `values` replaced by its value, wherever it stands.
    ///
    /// # Errors
    /// 1002 when a value is no text and no number, 1005 when it comes to more than `bytes_max`.
    pub(super) fn fill(&self, values: &Map<String, Value>, bytes_max: usize) -> Result<String, Failure> {
        let mut words = Vec::with_capacity(values.len());
        for (key, value) in values.iter().filter(|(key, _)| !key.is_empty()) {
            let word = match value {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                _ => return Err(Failure::parameter("values: expected objects of texts")),
            };
            words.push((key.as_str(), word));
        }
        // Where one key begins another, the longer one is meant.
        words.sort_by_key(|(key, _)| std::cmp::Reverse(key.len()));
        let mut left = bytes_max;
        match self {
            Self::Text(text) => replaced(text, &words, &mut left),
            Self::Object(object) => {
                let mut filled = object.clone();
                fill_texts(&mut filled, &words, &mut left)?;
                let text = filled.to_string();
                if text.len() > bytes_max {
                    return Err(too_long());
                }
                Ok(text)
            }
        }
    }
}

/// In all texts of a value. It is no deeper than what was parsed, which has a limit.
fn fill_texts(value: &mut Value, words: &[(&str, String)], left: &mut usize) -> Result<(), Failure> {
    match value {
        Value::String(text) => *text = replaced(text, words, left)?,
        Value::Array(items) => {
            for item in items {
                fill_texts(item, words, left)?;
            }
        }
        Value::Object(fields) => {
            for (_, field) in fields {
                fill_texts(field, words, left)?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// One pass: what was put in is not looked at again. `left` is what may still be written.
fn replaced(text: &str, words: &[(&str, String)], left: &mut usize) -> Result<String, Failure> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let found = words.iter().find(|(key, _)| rest.starts_with(key));
        let (taken, put) = match found {
            Some((key, word)) => (key.len(), word.as_str()),
            None => (character.len_utf8(), &rest[..character.len_utf8()]),
        };
        *left = left.checked_sub(put.len()).ok_or_else(too_long)?;
        filled.push_str(put);
        rest = &rest[taken..];
    }
    Ok(filled)
}

fn too_long() -> Failure {
    Failure::new(Code::TOO_LONG, "content: is too long with its words")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fill(content: &str, values: Value) -> Result<String, Failure> {
        let values = values.as_object().expect("an object").clone();
        Template::new(content.to_owned()).fill(&values, 60)
    }

    #[test]
    fn every_place_gets_the_word_of_its_key() {
        let score = json!({ "{name}": "小明", "{score}": 90 });
        assert_eq!(
            fill("{name}: {score}, {name}!", score).as_deref(),
            Ok("小明: 90, 小明!")
        );
        assert_eq!(fill("{name}", json!({})).as_deref(), Ok("{name}"));
        assert_eq!(
            fill("a", json!({ "": "b" })).as_deref(),
            Ok("a"),
            "an empty key is nowhere"
        );
        let nested = json!({ "{a}": "{b}", "{b}": "x" });
        assert_eq!(fill("{a}{b}", nested).as_deref(), Ok("{b}x"), "words are not looked at");
        let longer = json!({ "$a": "1", "$ab": "2" });
        assert_eq!(fill("$ab $a", longer).as_deref(), Ok("2 1"));
    }

    #[test]
    fn a_word_cannot_break_out_of_an_object() {
        let filled = fill(r#"{"content":"hi {name}","n":1}"#, json!({ "{name}": "\",\"n\":2,\"" })).expect("it fits");
        let filled: Value = serde_json::from_str(&filled).expect("JSON");
        assert_eq!(filled, json!({ "content": "hi \",\"n\":2,\"", "n": 1 }));
    }

    #[test]
    fn what_comes_to_too_much_is_refused_before_it_is_made() {
        let long = json!({ "a": "0123456789" });
        assert!(fill("aaaaaa", long.clone()).is_ok());
        let refused = fill("aaaaaab", long.clone()).expect_err("61 bytes");
        assert_eq!(refused.code, Code::TOO_LONG);
        let refused = fill(r#"{"a":"aaaaaa"}"#, long).expect_err("an object of more than 60 bytes");
        assert_eq!(refused.code, Code::TOO_LONG);
        let refused = fill("a", json!({ "a": [] })).expect_err("a list");
        assert_eq!(refused.code, Code::PARAMETER);
    }
}
