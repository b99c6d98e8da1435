//! What the schema must keep to, however it grows.

use std::path::Path;

/// Where the families of `Frame.body` lie.
const REPLY: i32 = 2;
const COMMANDS: std::ops::RangeInclusive<i32> = 16..=63;
const EVENTS: std::ops::RangeInclusive<i32> = 64..=127;

/// The fields of a message: name, number, type name (empty for scalars) and whether there may be many.
struct Field {
    name: String,
    number: i32,
    type_name: String,
    is_repeated: bool,
}

fn fields_of(message: &str) -> Vec<Field> {
    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let files = protox::compile(["sluice/v1/frame.proto"], [proto]).expect("the schema compiles");
    let message = message.strip_prefix(".sluice.v1.").unwrap_or(message);
    let Some(descriptor) = files
        .file
        .iter()
        .flat_map(|file| &file.message_type)
        .find(|found| found.name() == message)
    else {
        // An enumeration, which has no fields.
        return Vec::new();
    };
    descriptor
        .field
        .iter()
        .map(|field| Field {
            name: field.name().to_owned(),
            number: field.number(),
            type_name: field.type_name().to_owned(),
            is_repeated: field.label() as i32 == 3,
        })
        .collect()
}

#[test]
fn the_numbers_of_bodies_tell_their_families_apart() {
    let bodies: Vec<Field> = fields_of("Frame")
        .into_iter()
        .filter(|field| !field.type_name.is_empty())
        .collect();
    assert!(!bodies.is_empty());
    for Field { name, number, .. } in bodies {
        assert!(
            number == REPLY || COMMANDS.contains(&number) || EVENTS.contains(&number),
            "{name} = {number}"
        );
    }
}

/// An empty message in a list takes two bytes on the wire and dozens in memory: a gift to an attacker.
#[test]
fn no_command_holds_a_list_of_messages() {
    let mut open: Vec<String> = fields_of("Frame")
        .into_iter()
        .filter(|field| COMMANDS.contains(&field.number))
        .map(|field| field.type_name)
        .collect();
    assert!(!open.is_empty());
    let mut seen = open.clone();
    while let Some(message) = open.pop() {
        for field in fields_of(&message)
            .into_iter()
            .filter(|field| !field.type_name.is_empty())
        {
            let is_a_list_of_messages = field.is_repeated && !fields_of(&field.type_name).is_empty();
            assert!(!is_a_list_of_messages, "{message}.{}", field.name);
            if !seen.contains(&field.type_name) {
                seen.push(field.type_name.clone());
                open.push(field.type_name);
            }
        }
    }
}
