//! The table of `docs/metrics.md` is that of the code. Where it is not, this test writes it anew and fails once.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use sluice_gateway::metrics::{FAMILIES, Family, Kind, PROCESS_GAUGES, STORE_FIGURES, WORKER_GAUGES};

const BEGIN: &str = "<!-- table -->\n";
const END: &str = "<!-- /table -->";

#[test]
fn the_page_on_metrics_lists_the_metrics_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let page = fs::read_to_string(&path).expect("docs/metrics.md");
    let (before, rest) = page
        .split_once(BEGIN)
        .expect("the page has the mark where the table begins");
    let (_, after) = rest
        .split_once(END)
        .expect("the page has the mark where the table ends");
    let fresh = format!("{before}{BEGIN}\n{}\n{END}{after}", tables());
    if fresh != page {
        fs::write(&path, fresh).expect("the source tree is writable");
        panic!(
            "{} was out of date and has been written anew: commit it",
            path.display()
        );
    }
}

#[test]
fn the_prose_of_the_page_names_only_metrics_that_exist() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let page = fs::read_to_string(&path).expect("docs/metrics.md");
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let unknown: Vec<&str> = page
        .split(|c| !is_part(c))
        .filter(|word| word.starts_with("sluice_") || word.starts_with("process_"))
        .filter(|word| !exists(word))
        .collect();
    assert_eq!(unknown, Vec::<&str>::new());
}

fn exists(name: &str) -> bool {
    let gauges = PROCESS_GAUGES.iter().chain(WORKER_GAUGES);
    gauges.into_iter().any(|(known, _)| *known == name)
        || STORE_FIGURES.iter().any(|(known, _, _)| *known == name)
        || FAMILIES.iter().any(|family| {
            let histogram = matches!(family.kind, Kind::Histogram(_));
            let rest = name.strip_prefix(family.name);
            rest == Some("") || (histogram && matches!(rest, Some("_bucket" | "_sum" | "_count")))
        })
}

fn tables() -> String {
    let mut text = String::from("| metric | type | labels | meaning |\n|---|---|---|---|\n");
    let mut line = |line: String| writeln!(text, "{line}").expect("a String takes everything");
    for family in FAMILIES {
        line(row(family.name, kind(family.kind), &labels(family), family.help));
    }
    for (name, help) in WORKER_GAUGES {
        line(row(name, "gauge", "`worker`: its number, from 0", help));
    }
    for (name, of, help) in STORE_FIGURES {
        line(row(name, kind(*of), "–", help));
    }
    for (name, help) in PROCESS_GAUGES {
        line(row(name, "gauge", process_labels(name), help));
    }
    line("\n| histogram | buckets up to |\n|---|---|".to_owned());
    for family in FAMILIES {
        if let Kind::Histogram(bounds) = family.kind {
            let bounds: Vec<String> = bounds.iter().map(f64::to_string).collect();
            line(format!("| `{}` | {}, +Inf |", family.name, bounds.join(", ")));
        }
    }
    text
}

fn row(name: &str, kind: &str, labels: &str, help: &str) -> String {
    format!("| `{name}` | {kind} | {labels} | {help} |")
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram(_) => "histogram",
    }
}

fn labels(family: &Family) -> String {
    let labels: Vec<String> = family
        .labels
        .iter()
        .map(|label| {
            let values: Vec<String> = label.values.iter().map(|value| format!("`{value}`")).collect();
            format!("`{}`: {}", label.name, values.join(", "))
        })
        .collect();
    if labels.is_empty() {
        "–".to_owned()
    } else {
        labels.join("<br>")
    }
}

/// The one label of these is not in their table: its value is known at build time only.
fn process_labels(name: &str) -> &'static str {
    if name == "sluice_build_info" {
        "`version`"
    } else {
        "–"
    }
}
