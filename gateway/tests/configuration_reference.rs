//! The tables of `docs/configuration.md` are those of the code. Where they are not, this test writes them anew and
//! fails once.

use std::fs;
use std::path::Path;

use sluice_gateway::config::{Config, Sources, app_reference, setting_reference};

#[test]
fn the_page_on_configuration_lists_the_settings_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let page = fs::read_to_string(&path).expect("docs/configuration.md");
    let fresh = with_table(&page, "settings", &setting_reference());
    let fresh = with_table(&fresh, "apps", &app_reference());
    if fresh != page {
        fs::write(&path, fresh).expect("the source tree is writable");
        panic!(
            "{} was out of date and has been written anew: commit it",
            path.display()
        );
    }
}

#[test]
fn the_file_to_start_from_lacks_nothing_but_the_files_it_names() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let page = fs::read_to_string(page).expect("docs/configuration.md");
    let (_, rest) = page.split_once("```toml\n").expect("the page has a file to start from");
    let (example, _) = rest.split_once("```").expect("which ends");
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("example.toml");
    fs::write(&path, example).expect("the target folder is writable");

    let sources = Sources {
        file: Some(path),
        ..Sources::default()
    };
    let problems = Config::load(&sources).expect_err("its secret is nowhere");
    for problem in problems.iter() {
        assert!(problem.message.contains("/etc/sluice/"), "{problem}");
        assert!(problem.message.contains(" cannot be read: "), "{problem}");
    }
}

/// `page` with `table` between the two marks of that name.
fn with_table(page: &str, name: &str, table: &str) -> String {
    let begin = format!("<!-- {name}: made from the code by a test, do not edit -->\n");
    let end = format!("<!-- end of {name} -->");
    let (before, rest) = page
        .split_once(&begin)
        .expect("the page has the mark where the table begins");
    let (_, after) = rest
        .split_once(&end)
        .expect("the page has the mark where the table ends");
    format!("{before}{begin}\n{table}{end}{after}")
}
