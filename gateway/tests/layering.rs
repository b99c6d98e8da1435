//! Dependencies inside the gateway point one way: a stage knows the stages behind it and the leaves, never the ones
//! before it. Read from the sources, since the compiler does not mind.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// In the order in which a message passes them.
const STAGES: [&str; 11] = [
    "accept",
    "admission",
    "transport",
    "handshake",
    "session",
    "command",
    "conversation",
    "room",
    "fan_out",
    "outbox",
    "writer",
];

/// What any stage may use. They know each other, and no stage.
const LEAVES: [&str; 16] = [
    "class",
    "clock",
    "config",
    "frames",
    "identity",
    "message_id",
    "missed",
    "metrics",
    "policy",
    "push",
    "rate_limit",
    "refusal",
    "store",
    "timer_wheel",
    "turn",
    "words",
];

/// What joins the stages and may know all of them. Nobody but they know each other.
const SHELLS: [&str; 9] = [
    "api",
    "cli",
    "development",
    "http",
    "in_memory",
    "lib",
    "main",
    "server",
    "worker",
];

/// Which module of the crate's root each one names, with a place where it does.
type Imports = BTreeMap<(String, String), String>;

fn source_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the sources can be listed") {
        let path = entry.expect("the sources can be listed").path();
        if path.is_dir() {
            source_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The module of the crate's root that a file belongs to.
fn module_of(file: &Path) -> String {
    let first = file.components().next().expect("a file in src");
    let name = Path::new(first.as_os_str()).file_stem().expect("a name");
    name.to_str().expect("names are ASCII").to_owned()
}

/// The modules named behind each `crate::`, also in braces. Links in comments are none.
fn named_modules(source: &str) -> Vec<String> {
    let code: Vec<&str> = source
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect();
    let code = code.join("\n");
    let mut names = Vec::new();
    for (at, start) in code.match_indices("crate::") {
        if code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == '$') {
            continue;
        }
        let rest = &code[at + start.len()..];
        let paths = match rest.strip_prefix('{') {
            Some(group) => top_level_paths(group),
            None => vec![rest],
        };
        for path in paths {
            let path = path.trim_start();
            let end = path
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(path.len());
            names.push(path[..end].to_owned());
        }
    }
    names
}

/// The paths of a group behind its opening brace, those in inner groups not taken apart.
fn top_level_paths(group: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    let mut start = 0;
    let mut paths = Vec::new();
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                paths.push(&group[start..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                paths.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    paths.retain(|path| !path.trim().is_empty());
    paths
}

fn imports() -> Imports {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    source_files(&root, &mut files);
    let mut imports = Imports::new();
    for file in files {
        let inside = file.strip_prefix(&root).expect("found in it");
        let module = module_of(inside);
        let source = std::fs::read_to_string(&file).expect("sources can be read");
        for name in named_modules(&source) {
            // A name in capitals is an item of the root itself.
            if name != module && name.starts_with(char::is_lowercase) {
                let place = inside.display().to_string();
                imports.entry((module.clone(), name)).or_insert(place);
            }
        }
    }
    imports
}

fn stage(module: &str) -> Option<usize> {
    STAGES.iter().position(|stage| *stage == module)
}

/// Why `importer` must not know `imported`, if it must not.
fn objection(importer: &str, imported: &str) -> Option<&'static str> {
    if SHELLS.contains(&importer) {
        return None;
    }
    if SHELLS.contains(&imported) {
        return Some("only shells know shells");
    }
    match (stage(importer), stage(imported)) {
        (None, Some(_)) => Some("a leaf knows no stage"),
        (Some(importer), Some(imported)) if imported < importer => Some("a stage knows no earlier one"),
        _ => None,
    }
}

#[test]
fn no_stage_imports_an_earlier_one_and_no_leaf_imports_a_stage() {
    let objections: Vec<String> = imports()
        .iter()
        .filter_map(|((importer, imported), place)| {
            let why = objection(importer, imported)?;
            Some(format!("{place}: `{importer}` imports `{imported}`, but {why}"))
        })
        .collect();
    assert!(objections.is_empty(), "{}", objections.join("\n"));
}

#[test]
fn every_module_is_a_stage_a_leaf_or_a_shell() {
    let known: BTreeSet<&str> = STAGES.into_iter().chain(LEAVES).chain(SHELLS).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let modules: BTreeSet<String> = std::fs::read_dir(root)
        .expect("the sources can be listed")
        .map(|entry| module_of(Path::new(&entry.expect("the sources can be listed").file_name())))
        .collect();
    let modules: BTreeSet<&str> = modules.iter().map(String::as_str).collect();
    assert_eq!(modules, known);
}

#[test]
fn imports_are_found_in_every_form() {
    let source = "use crate::room::{Enter, Leave};\nuse crate::{clock::Now, outbox::{self, log::Log},\nwriter};\n\
                  // crate::server\n/// [`crate::http`]\nlet x = crate::worker::start(); mycrate::cli::f();";
    assert_eq!(named_modules(source), ["room", "clock", "outbox", "writer", "worker"]);
}

#[test]
fn an_import_against_the_order_would_be_noticed() {
    assert!(objection("room", "session").is_some());
    assert!(objection("outbox", "fan_out").is_some());
    assert!(objection("class", "room").is_some());
    assert!(objection("room", "worker").is_some());
    assert!(objection("config", "development").is_some());
    assert_eq!(objection("transport", "writer"), None);
    assert_eq!(objection("room", "clock"), None);
    assert_eq!(objection("worker", "room"), None);
}
