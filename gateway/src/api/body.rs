//! Bodies of calls: forms, as the vendor's libraries send them, and objects of JSON with the same names.

use serde_json::Value;

use crate::api::failure::{Code, Failure};
use crate::api::field::{Body, Given};

/// Names and values of one body. The longest call has four lists for 1000 users.
pub(super) const PAIRS_MAX: usize = 8192;

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    UrlEncoded,
    Json,
}

impl Form {
    /// By the header `Content-Type`; without one a body is taken for a form.
    ///
    /// # Errors
    /// When it is something else.
    pub(super) fn of(content_type: Option<&str>) -> Result<Self, Failure> {
        let kind = content_type.map(|kind| kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
        match kind.as_deref() {
            None | Some("" | "application/x-www-form-urlencoded") => Ok(Self::UrlEncoded),
            Some("application/json") => Ok(Self::Json),
            Some(_) => Err(Failure::parameter(
                "Content-Type: expected application/x-www-form-urlencoded or application/json",
            )),
        }
    }
}

/// Takes a body apart.
///
/// # Errors
/// When it is not written as its form asks, or has too many values.
pub(super) fn parse(form: Form, bytes: &[u8]) -> Result<Body, Failure> {
    match form {
        Form::UrlEncoded => parse_form(bytes),
        Form::Json => parse_json(bytes),
    }
}

fn parse_form(bytes: &[u8]) -> Result<Body, Failure> {
    let mut body = Body::new();
    for pair in bytes.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        if body.len() == PAIRS_MAX {
            return Err(too_many());
        }
        let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        let name = decode(&pair[..at])?;
        let value = decode(pair.get(at + 1..).unwrap_or_default())?;
        body.push((name, Given::Text(value)));
    }
    Ok(body)
}

/// Percent signs and plus signs undone.
fn decode(text: &[u8]) -> Result<String, Failure> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, behind @ ..] = rest {
        rest = behind;
        match byte {
            b'+' => decoded.push(b' '),
            b'%' => {
                let digits = behind.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
                let digits = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
                let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
                decoded.push(byte.ok_or_else(|| Failure::parameter("the body has a percent sign without two digits"))?);
                rest = &behind[2..];
            }
            byte => decoded.push(*byte),
        }
    }
    String::from_utf8(decoded).map_err(|_| Failure::parameter("the body is not UTF-8"))
}

fn parse_json(bytes: &[u8]) -> Result<Body, Failure> {
    if bytes.is_empty() {
        return Ok(Body::new());
    }
    let value: Value =
        serde_json::from_slice(bytes).map_err(|error| Failure::parameter(format!("the body is not JSON: {error}")))?;
    let Value::Object(object) = value else {
        return Err(Failure::parameter("the body is JSON, but no object"));
    };
    let values: usize = object.values().map(|value| value.as_array().map_or(1, Vec::len)).sum();
    if values > PAIRS_MAX {
        return Err(too_many());
    }
    Ok(object
        .into_iter()
        .map(|(name, value)| (name, Given::Json(value)))
        .collect())
}

fn too_many() -> Failure {
    Failure::new(Code::TOO_LONG, format!("the body has more than {PAIRS_MAX} values"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn form(text: &str) -> Vec<(String, String)> {
        let body = parse(Form::UrlEncoded, text.as_bytes()).expect("a form");
        let pair = |(name, value)| match value {
            Given::Text(text) => (name, text),
            Given::Json(value) => panic!("{value}"),
        };
        body.into_iter().map(pair).collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn forms_are_read_as_the_vendors_libraries_write_them() {
        assert_eq!(form(""), pairs(&[]));
        assert_eq!(
            form("userId=a&userId=b&minute=undefined"),
            pairs(&[("userId", "a"), ("userId", "b"), ("minute", "undefined")])
        );
        assert_eq!(
            form("chatroom%5BMNiuhfd91k%5D=%E5%A4%A7%E8%9E%8D%E4%BA%91"),
            pairs(&[("chatroom[MNiuhfd91k]", "大融云")])
        );
        assert_eq!(
            form("a+b=c%2Bd+e&&x&y=&=z"),
            pairs(&[("a b", "c+d e"), ("x", ""), ("y", ""), ("", "z")])
        );
        assert_eq!(form("a=b=c"), pairs(&[("a", "b=c")]));
    }

    #[test]
    fn forms_that_cannot_be_read_are_refused() {
        for wrong in ["a=%", "a=%4", "a=%zz", "a=%+1", "a=%ff", "%=b"] {
            let failure = parse(Form::UrlEncoded, wrong.as_bytes()).expect_err(wrong);
            assert_eq!(failure.code, Code::PARAMETER, "{wrong}");
        }
    }

    #[test]
    fn a_body_has_so_many_values_whatever_its_form() {
        let most = vec!["a=b"; PAIRS_MAX].join("&");
        assert_eq!(form(&most).len(), PAIRS_MAX);
        let failure = parse(Form::UrlEncoded, format!("{most}&a=b").as_bytes()).expect_err("one too many");
        assert_eq!(failure.code, Code::TOO_LONG);

        let of = |count: usize| json!({ "a": vec!["b"; count - 1], "c": "d" }).to_string();
        assert!(parse(Form::Json, of(PAIRS_MAX).as_bytes()).is_ok());
        let failure = parse(Form::Json, of(PAIRS_MAX + 1).as_bytes()).expect_err("one too many");
        assert_eq!(failure.code, Code::TOO_LONG);
    }

    #[test]
    fn a_body_of_json_is_an_object() {
        let body = parse(Form::Json, br#"{"userId":["a","b"],"minute":10}"#).expect("an object");
        let expected = [("minute", json!(10)), ("userId", json!(["a", "b"]))];
        assert_eq!(
            body,
            expected
                .map(|(name, value)| (name.to_owned(), Given::Json(value)))
                .to_vec()
        );
        assert_eq!(parse(Form::Json, b""), Ok(Body::new()));
        let deep = "[".repeat(100_000);
        for wrong in ["[]", "1", "\"a\"", "null", "{", "{}{}", "\u{feff}{}", &deep] {
            let failure = parse(Form::Json, wrong.as_bytes()).expect_err(wrong);
            assert_eq!(failure.code, Code::PARAMETER);
        }
    }

    #[test]
    fn the_form_is_told_by_the_type_of_the_content() {
        assert_eq!(Form::of(None), Ok(Form::UrlEncoded));
        let utf8 = "application/x-www-form-urlencoded; charset=UTF-8";
        assert_eq!(Form::of(Some(utf8)), Ok(Form::UrlEncoded));
        assert_eq!(Form::of(Some("Application/JSON;charset=utf-8")), Ok(Form::Json));
        for wrong in [
            "text/xml",
            "multipart/form-data; boundary=x",
            "application/jsonx",
            "json",
        ] {
            assert!(Form::of(Some(wrong)).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_body_or_not_but_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(Form::UrlEncoded, &bytes);
            let _ = parse(Form::Json, &bytes);
        }

        #[test]
        fn what_is_written_as_a_form_is_read_again(given in prop::collection::vec((any::<String>(), any::<String>()), 0..20)) {
            let write = |text: &str| -> String { text.bytes().map(|byte| format!("%{byte:02x}")).collect() };
            let text: Vec<String> = given.iter().map(|(name, value)| format!("{}={}", write(name), write(value))).collect();
            prop_assert_eq!(form(&text.join("&")), given);
        }
    }
}
