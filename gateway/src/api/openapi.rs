//! The OpenAPI document, made from the table of paths. It is served, and kept in `docs/openapi.json`.

use serde_json::{Map, Value, json};
use sluice_protocol::limits;

use crate::api::failure::CODES;
use crate::api::field::{Count, Field, Kind, MINUTES_MAX, Need, OBJECT_FIELDS_MAX};
use crate::api::path::{Answer, AnswerKind, Group, Path, Presence};
use crate::api::{body, paths, signature};

/// What user and room ids may have in the narrower profile, and rooms always.
const ID_PATTERN: &str = r"^[A-Za-z0-9!#$%&()+\-:;<=.>?@\[\]^_{}|~]+$";

/// What group ids may have.
const GROUP_PATTERN: &str = "^[A-Za-z0-9_-]+$";

/// The document as text of JSON, indented, with a line end.
#[must_use]
pub fn document() -> String {
    let served: Map<String, Value> = paths::all()
        .map(|path| (format!("{}.json", path.path), json!({ "post": operation(path) })))
        .collect();
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Sluice server API",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "How an app's server steers rooms, groups and users, and sends messages",
            "description": "Every path takes a form or an object of JSON with the same names, and may be called without `.json` too. \
                            Fields that are not known and empty values are passed over. Lists repeat the name in a form, and are arrays in JSON. \
                            Every answer has a `code`; those that are not 200 have an `errorMessage`.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "The gateway that serves this document" }],
        "security": [security("Sha1"), security("Hmac")],
        "paths": served,
        "components": {
            "securitySchemes": security_schemes(),
            "schemas": { "Error": error_schema() },
            "responses": error_responses(),
        },
    });
    let mut text = serde_json::to_string_pretty(&document).expect("a value can be written");
    text.push('\n');
    text
}

/// The headers of one kind of signature: all of them are needed.
fn security(kind: &str) -> Value {
    let headers = ["AppKey", "Nonce", "Timestamp"].map(str::to_owned);
    let own = [format!("{kind}Signature")];
    let method = (kind == "Hmac").then(|| "SignatureMethod".to_owned());
    let needed = headers.into_iter().chain(own).chain(method);
    Value::Object(needed.map(|header| (header, json!([]))).collect())
}

fn security_schemes() -> Value {
    let header = |name: &str, description: &str| json!({ "type": "apiKey", "in": "header", "name": name, "description": description });
    json!({
        "AppKey": header("App-Key", "The app's key. Each of these headers may also begin with `RC-`."),
        "Nonce": header("Nonce", "Any text of up to 64 bytes; for Hmac 8 to 64, and each is good once."),
        "Timestamp": header("Timestamp", "The time in seconds or milliseconds since 1970; for Hmac within five minutes of ours."),
        "Sha1Signature": header("Signature", "SHA-1 over secret, nonce and timestamp, in hexadecimal digits."),
        "HmacSignature": header(
            "Signature",
            "HMAC-SHA256 with the secret over method, path, timestamp, nonce and the SHA-256 of the body in hexadecimal digits, \
             with a line feed between each, in hexadecimal digits. The header `Key-Id` may name the key.",
        ),
        "SignatureMethod": header("Signature-Method", &format!("`{}`", signature::HMAC)),
    })
}

fn operation(path: &Path) -> Value {
    let fields = path.fields;
    let needed = fields.iter().any(|field| field.need == Need::Required);
    let mut responses = Map::from_iter([("200".to_owned(), success(path))]);
    for (status, _) in statuses() {
        if status != 200 {
            let reference = format!("#/components/responses/Status{status}");
            responses.insert(status.to_string(), json!({ "$ref": reference }));
        }
    }
    let mut operation = json!({
        "operationId": path.path.trim_start_matches('/').replace('/', "_"),
        "summary": path.summary,
        "tags": [path.scope.name()],
        "responses": responses,
    });
    if !fields.is_empty() {
        operation["requestBody"] = json!({
            "required": needed,
            "content": {
                "application/x-www-form-urlencoded": { "schema": body_schema(fields) },
                "application/json": { "schema": body_schema(fields) },
            },
        });
    }
    operation
}

fn body_schema(fields: &[Field]) -> Value {
    let properties: Map<String, Value> = fields
        .iter()
        .map(|field| (field.name.to_owned(), field_schema(field)))
        .collect();
    let required: Vec<&str> = fields
        .iter()
        .filter(|field| field.need == Need::Required)
        .map(|field| field.name)
        .collect();
    let mut schema = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    schema
}

fn field_schema(field: &Field) -> Value {
    let one = match field.kind {
        Kind::Text { bytes_max } => json!({ "type": "string", "minLength": 1, "maxLength": bytes_max }),
        Kind::User => json!({
            "type": "string", "minLength": 1, "maxLength": limits::USER_ID_BYTES_ZIM, "pattern": ID_PATTERN,
            "description": "Apps with the id profile `wide` may have up to 64 characters of any script.",
        }),
        Kind::Room => {
            json!({ "type": "string", "minLength": 1, "maxLength": limits::ROOM_ID_BYTES, "pattern": ID_PATTERN })
        }
        Kind::Minutes => json!({ "type": "integer", "minimum": 1, "maximum": MINUTES_MAX }),
        Kind::Number { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Kind::Flag => json!({ "enum": [true, false, 1, 0, "true", "false", "1", "0"] }),
        Kind::Object { bytes_max } => json!({
            "description": "An object of JSON, as text or as it is.",
            "anyOf": [
                { "type": "string", "maxLength": bytes_max, "contentMediaType": "application/json" },
                { "type": "object" },
            ],
        }),
        Kind::Array { bytes_max } => json!({
            "description": "A list of texts of JSON, as text or as it is.",
            "anyOf": [
                { "type": "string", "maxLength": bytes_max, "contentMediaType": "application/json" },
                { "type": "array", "maxItems": body::PAIRS_MAX, "items": { "type": "string", "maxLength": bytes_max } },
            ],
        }),
        Kind::Group => {
            json!({ "type": "string", "minLength": 1, "maxLength": limits::GROUP_ID_BYTES, "pattern": GROUP_PATTERN })
        }
        Kind::Target => json!({ "type": "string", "minLength": 1, "maxLength": limits::CONVERSATION_ID_BYTES }),
        Kind::Objects { bytes_max } => json!({
            "description": "A list of objects of JSON, as text or as it is.",
            "anyOf": [
                { "type": "string", "maxLength": bytes_max, "contentMediaType": "application/json" },
                { "type": "array", "maxItems": body::PAIRS_MAX, "items": { "type": "object", "maxProperties": OBJECT_FIELDS_MAX } },
            ],
        }),
        Kind::NamedRooms => named_schema(
            field,
            "Room ids",
            limits::ROOM_ID_BYTES,
            ID_PATTERN,
            limits::ROOM_NAME_BYTES,
        ),
        Kind::NamedGroups => named_schema(
            field,
            "Group ids",
            limits::GROUP_ID_BYTES,
            GROUP_PATTERN,
            limits::CONVERSATION_NAME_BYTES,
        ),
    };
    let mut schema = match field.count {
        Count::UpTo(max) if !field.kind.is_named() => {
            json!({ "type": "array", "minItems": usize::from(field.need == Need::Required), "maxItems": max, "items": one })
        }
        _ => one,
    };
    let more = schema.get("description").and_then(Value::as_str).map(str::to_owned);
    let aliases: Vec<String> = field.aliases.iter().map(|alias| format!("`{alias}`")).collect();
    let also = if aliases.is_empty() {
        String::new()
    } else {
        format!("Also called {}.", aliases.join(", "))
    };
    let parts = [field.meaning.to_owned(), more.unwrap_or_default(), also];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    schema["description"] = parts.join(" ").into();
    schema
}

/// Ids with a name each.
fn named_schema(field: &Field, what: &str, id_bytes: usize, id_pattern: &str, name_bytes: usize) -> Value {
    let max = if let Count::UpTo(max) = field.count { max } else { 1 };
    json!({
        "type": "object", "minProperties": usize::from(field.need == Need::Required), "maxProperties": max,
        "propertyNames": { "maxLength": id_bytes, "pattern": id_pattern },
        "additionalProperties": { "type": "string", "maxLength": name_bytes },
        "description": format!("{what} with a name each; in a form `{}[id]=name`.", field.name),
    })
}

fn success(path: &Path) -> Value {
    let mut schema = answer_schema(path.answers);
    // Lists of rooms that are kept alive are the one place where the vendor says that there was nothing to do.
    let nothing_to_do = CODES
        .iter()
        .filter(|known| known.status == 200 && path.group == Group::KeepAlive);
    let codes: Vec<i32> = std::iter::once(200)
        .chain(nothing_to_do.map(|known| known.code.0))
        .collect();
    schema["properties"]["code"] = json!({ "type": "integer", "enum": codes });
    schema["properties"]["errorMessage"] =
        json!({ "type": "string", "description": "Only with a code other than 200." });
    schema["required"] = json!(["code"]);
    json!({
        "description": "Done.",
        "headers": headers(),
        "content": { "application/json": { "schema": schema } },
    })
}

fn answer_schema(answers: &[Answer]) -> Value {
    let properties: Map<String, Value> = answers
        .iter()
        .map(|answer| {
            let mut schema = match answer.kind {
                AnswerKind::Text => json!({ "type": "string" }),
                AnswerKind::Number => json!({ "type": "integer" }),
                AnswerKind::Flag => json!({ "type": "boolean" }),
                AnswerKind::Texts => json!({ "type": "array", "items": { "type": "string" } }),
                AnswerKind::Object(fields) => answer_schema(fields),
                AnswerKind::Objects(fields) => json!({ "type": "array", "items": answer_schema(fields) }),
            };
            schema["description"] = answer.meaning.into();
            (answer.name.to_owned(), schema)
        })
        .collect();
    let always = answers.iter().filter(|answer| answer.presence == Presence::Always);
    let required: Vec<&str> = always.map(|answer| answer.name).collect();
    let mut schema = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    schema
}

/// Every status with the codes that travel with it.
fn statuses() -> Vec<(u16, Vec<&'static crate::api::failure::Explained>)> {
    let mut statuses: Vec<(u16, Vec<_>)> = Vec::new();
    for known in CODES {
        match statuses.iter_mut().find(|(status, _)| *status == known.status) {
            Some((_, codes)) => codes.push(known),
            None => statuses.push((known.status, vec![known])),
        }
    }
    statuses
}

fn error_schema() -> Value {
    json!({
        "type": "object",
        "required": ["code", "errorMessage", "url"],
        "properties": {
            "code": { "type": "integer" },
            "errorMessage": { "type": "string", "minLength": 1, "description": "For people." },
            "url": { "type": "string", "description": "The path that was called." },
        },
    })
}

fn error_responses() -> Value {
    let responses = statuses().into_iter().filter(|(status, _)| *status != 200);
    let responses = responses.map(|(status, codes)| {
        let meanings: Vec<String> = codes
            .iter()
            .map(|known| format!("{}: {}", known.code.0, known.meaning))
            .collect();
        let numbers: Vec<i32> = codes.iter().map(|known| known.code.0).collect();
        let response = json!({
            "description": format!("{}.", meanings.join("; ")),
            "headers": error_headers(status),
            "content": { "application/json": { "schema": {
                "allOf": [
                    { "$ref": "#/components/schemas/Error" },
                    { "properties": { "code": { "enum": numbers } } },
                ],
            } } },
        });
        (format!("Status{status}"), response)
    });
    Value::Object(responses.collect())
}

fn error_headers(status: u16) -> Value {
    let mut headers = headers();
    if status == 429 {
        headers["Retry-After"] = json!({
            "description": "How many seconds to wait.",
            "schema": { "type": "integer", "minimum": 1 },
        });
    }
    headers
}

fn headers() -> Value {
    json!({
        "X-Request-ID": {
            "description": "The one of the request, or a new one; it is in the audit log.",
            "schema": { "type": "string" },
        },
    })
}
