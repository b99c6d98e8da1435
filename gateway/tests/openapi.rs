//! `docs/openapi.json` is made from the table of paths. Where it is not what the code makes, this test writes it anew and fails once.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;
use sluice_gateway::openapi_document;

#[test]
fn the_document_of_the_server_api_is_what_the_code_makes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    let fresh = openapi_document();
    if fs::read_to_string(&path).ok().as_deref() != Some(&*fresh) {
        fs::write(&path, fresh).expect("the source tree is writable");
        panic!(
            "{} was out of date and has been written anew: commit it",
            path.display()
        );
    }
}

#[test]
fn every_reference_in_the_document_leads_somewhere() {
    let document: Value = serde_json::from_str(&openapi_document()).expect("JSON");
    let mut references = Vec::new();
    collect_references(&document, &mut references);
    assert!(!references.is_empty());
    for reference in references {
        let pointer = reference.strip_prefix('#').expect("within the document");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    let known = document["components"]["securitySchemes"].as_object().expect("schemes");
    for kind in document["security"].as_array().expect("kinds of signatures") {
        for scheme in kind.as_object().expect("headers").keys() {
            assert!(known.contains_key(scheme), "{scheme}");
        }
    }
}

#[test]
fn every_path_says_what_it_takes_and_every_way_it_may_be_answered() {
    let document: Value = serde_json::from_str(&openapi_document()).expect("JSON");
    let paths = document["paths"].as_object().expect("paths");
    assert!(paths.len() >= 5);
    let mut operations = BTreeSet::new();
    for (path, item) in paths {
        let operation = &item["post"];
        let id = operation["operationId"].as_str().expect("an id");
        assert!(operations.insert(id.to_owned()), "{id} is there twice");
        let responses = operation["responses"].as_object().expect("responses");
        for status in ["200", "400", "401", "403", "404", "429", "430", "500", "504"] {
            assert!(responses.contains_key(status), "{path} {status}");
        }
        for form in ["application/x-www-form-urlencoded", "application/json"] {
            let Some(body) = operation.get("requestBody") else {
                continue;
            };
            let schema = &body["content"][form]["schema"];
            for (name, field) in schema["properties"].as_object().expect("fields") {
                assert!(
                    field["description"].as_str().is_some_and(|text| !text.is_empty()),
                    "{path} {name}"
                );
                assert!(is_bounded(field), "{path} {name}: {field}");
            }
        }
    }
}

/// Whether nothing in a schema may be as long as one likes.
fn is_bounded(schema: &Value) -> bool {
    if let Some(choices) = schema["anyOf"].as_array() {
        return choices
            .iter()
            .all(|choice| choice["type"] == "object" || is_bounded(choice));
    }
    match schema["type"].as_str() {
        Some("string") => schema["maxLength"].is_u64(),
        Some("array") => schema["maxItems"].is_u64() && is_bounded(&schema["items"]),
        Some("integer") => schema["minimum"].is_i64() && schema["maximum"].is_i64(),
        Some("object") => schema["maxProperties"].is_u64(),
        _ => schema["enum"].is_array(),
    }
}

fn collect_references(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(reference)) = object.get("$ref") {
                references.push(reference.clone());
            }
            object.values().for_each(|value| collect_references(value, references));
        }
        Value::Array(items) => items.iter().for_each(|value| collect_references(value, references)),
        _ => {}
    }
}
