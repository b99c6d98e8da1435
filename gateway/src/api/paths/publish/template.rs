//! A content with places for words.

use serde_json::{Map, Value};
use sluice_protocol::limits;

use crate::api::failure::{Code, Failure};
use crate::api::paths::message::TEXT;

/// Longest template, and longest content made of one: more than any message may have, as words may be shorter than their places, and an object of JSON is
/// longer than what it says.
const TEMPLATE_BYTES_MAX: usize = 2 * limits::TEXT_BYTES;

/// Comparisons of a key with a place that one call may take: a tenth of a second.
const COMPARISONS_MAX: usize = 20_000_000;

/// See the module.
#[derive(Debug)]
pub(super) enum Template {
    /// Words go into the texts of an object of JSON: what they are cannot change what the object says besides.
    Object(Value),
    Text(String),
}

/// What filling a template for all users of a call may still take.
#[derive(Debug)]
pub(super) struct Effort {
    comparisons: usize,
}

/// The words for one user.
struct Words<'a> {
    /// Where one key begins another, the longer one is first, and meant.
    by_key: Vec<(&'a str, String)>,
    /// Bytes that keys begin with.
    first: [bool; 256],
}

impl Default for Effort {
    fn default() -> Self {
        Self {
            comparisons: COMPARISONS_MAX,
        }
    }
}

impl Template {
    /// # Errors
    /// 1005 when it is too long.
    pub(super) fn new(object_name: &str, content: String) -> Result<Self, Failure> {
        let template = match serde_json::from_str(&content) {
            Ok(Value::Object(mut object)) => {
                // The vendor's texts have more fields, which nobody gets.
                if object_name == TEXT && object.get("content").is_some_and(Value::is_string) {
                    object.retain(|name, _| ["content", "extra"].contains(&name.as_str()));
                }
                Self::Object(Value::Object(object))
            }
            _ => Self::Text(content),
        };
        let bytes = match &template {
            Self::Object(object) => object.to_string().len(),
            Self::Text(text) => text.len(),
        };
        if bytes > TEMPLATE_BYTES_MAX {
            let message = format!("content: found {bytes} bytes, expected at most {TEMPLATE_BYTES_MAX}");
            return Err(Failure::new(Code::TOO_LONG, message));
        }
        Ok(template)
    }

    /// The content with each key of `values` replaced by its value, wherever it stands.
    ///
    /// # Errors
    /// 1002 when a value is no text and no number, 1005 when it comes to too much.
    pub(super) fn fill(&self, values: &Map<String, Value>, effort: &mut Effort) -> Result<String, Failure> {
        let words = Words::of(values)?;
        let mut left = TEMPLATE_BYTES_MAX;
        match self {
            Self::Text(text) => words.put_into(text, &mut left, effort),
            Self::Object(object) => {
                let mut filled = object.clone();
                words.put_into_texts(&mut filled, &mut left, effort)?;
                let text = filled.to_string();
                if text.len() > TEMPLATE_BYTES_MAX {
                    return Err(too_long());
                }
                Ok(text)
            }
        }
    }
}

impl<'a> Words<'a> {
    fn of(values: &'a Map<String, Value>) -> Result<Self, Failure> {
        let mut words = Self {
            by_key: Vec::with_capacity(values.len()),
            first: [false; 256],
        };
        for (key, value) in values {
            let word = match value {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                _ => return Err(Failure::parameter("values: expected objects of texts")),
            };
            // An empty key stands nowhere.
            if let Some(first) = key.bytes().next() {
                words.first[usize::from(first)] = true;
                words.by_key.push((key, word));
            }
        }
        words.by_key.sort_by_key(|(key, _)| std::cmp::Reverse(key.len()));
        Ok(words)
    }

    /// In all texts of a value. It is no deeper than what was parsed, which has a limit.
    fn put_into_texts(&self, value: &mut Value, left: &mut usize, effort: &mut Effort) -> Result<(), Failure> {
        match value {
            Value::String(text) => *text = self.put_into(text, left, effort)?,
            Value::Array(items) => {
                for item in items {
                    self.put_into_texts(item, left, effort)?;
                }
            }
            Value::Object(fields) => {
                for (_, field) in fields {
                    self.put_into_texts(field, left, effort)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// One pass: what was put in is not looked at again. `left` is what may still be written.
    fn put_into(&self, text: &str, left: &mut usize, effort: &mut Effort) -> Result<String, Failure> {
        let mut filled = String::with_capacity(text.len());
        let mut put = |piece: &str| -> Result<(), Failure> {
            *left = left.checked_sub(piece.len()).ok_or_else(too_long)?;
            filled.push_str(piece);
            Ok(())
        };
        let mut rest = text;
        // Where a key may begin, a character does.
        while let Some(at) = rest.bytes().position(|byte| self.first[usize::from(byte)]) {
            let (before, here) = rest.split_at(at);
            put(before)?;
            effort.compare(self.by_key.len())?;
            let found = self.by_key.iter().find(|(key, _)| here.starts_with(key));
            let taken = match found {
                Some((key, word)) => {
                    put(word)?;
                    key.len()
                }
                None => {
                    let character = here.chars().next().map_or(0, char::len_utf8);
                    put(&here[..character])?;
                    character
                }
            };
            rest = &here[taken..];
        }
        put(rest)?;
        Ok(filled)
    }
}

impl Effort {
    fn compare(&mut self, keys: usize) -> Result<(), Failure> {
        let left = self.comparisons.checked_sub(keys);
        self.comparisons = left.ok_or_else(|| {
            let message = "content: has too many places where words may stand, for so many users and words";
            Failure::new(Code::TOO_LONG, message)
        })?;
        Ok(())
    }
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
        Template::new("app:own", content.to_owned())?.fill(&values, &mut Effort::default())
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
        let word = "0".repeat(TEMPLATE_BYTES_MAX / 4);
        let long = json!({ "a": word });
        assert!(fill("aaaa", long.clone()).is_ok());
        let refused = fill("aaaab", long.clone()).expect_err("one byte more");
        assert_eq!(refused.code, Code::TOO_LONG);
        let refused = fill(r#"{"a":"aaaa"}"#, long).expect_err("the object counts too");
        assert_eq!(refused.code, Code::TOO_LONG);
        let refused = fill("a", json!({ "a": [] })).expect_err("a list");
        assert_eq!(refused.code, Code::PARAMETER);
    }

    #[test]
    fn a_template_is_not_longer_than_what_may_come_of_it_and_of_a_text_only_what_is_sent_counts() {
        let long = "x".repeat(TEMPLATE_BYTES_MAX + 1);
        let refused = fill(&long, json!({})).expect_err("it is too long");
        assert_eq!(refused.code, Code::TOO_LONG);
        let object = json!({ "content": "{n}", "extra": "{n}!", "more": long }).to_string();
        assert_eq!(
            fill(&object, json!({})).expect_err("all of it counts").code,
            Code::TOO_LONG
        );
        let values = json!({ "{n}": "Bob" });
        let text = Template::new(TEXT, object).expect("what nobody gets does not count");
        let filled = text.fill(values.as_object().expect("an object"), &mut Effort::default());
        assert_eq!(filled.as_deref(), Ok(r#"{"content":"Bob","extra":"Bob!"}"#));
    }

    #[test]
    fn looking_for_words_has_an_end() {
        let places = "{".repeat(TEMPLATE_BYTES_MAX);
        let template = Template::new("app:own", places).expect("it fits");
        let keys: Map<String, Value> = (0..64).map(|number| (format!("{{{number}}}"), "x".into())).collect();
        let mut effort = Effort::default();
        let users = (0..1000)
            .take_while(|_| template.fill(&keys, &mut effort).is_ok())
            .count();
        assert_eq!(users, COMPARISONS_MAX / (TEMPLATE_BYTES_MAX * keys.len()));
        let refused = template.fill(&keys, &mut effort).expect_err("no effort is left");
        assert_eq!(refused.code, Code::TOO_LONG);
        // Where no key can stand, there is nothing to compare.
        let plain = Template::new("app:own", "x".repeat(TEMPLATE_BYTES_MAX)).expect("it fits");
        assert!(plain.fill(&keys, &mut effort).is_ok());
    }
}
