//! Bodies of calls: forms, as the vendor's libraries send them, and objects of JSON with the same names.

use serde_json::Value;

use crate::api::failure::{Code, Failure};
use crate::api::field::{Body, Given};

/// Names and values of one body. The longest list of a call is 1000 users.
pub(super) const PAIRS_MAX: usize = 2048;

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
    Ok(object.into_iter().map(|(name, value)| (name, Given::Json(value))).collect())
}

fn too_many() -> Failure {
    Failure::new(Code::TOO_LONG, format!("the body has more than {PAIRS_MAX} values"))
}
