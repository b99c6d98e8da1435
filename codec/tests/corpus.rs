//! The inputs that the fuzzers start from, in `fuzz/corpus/`, and whatever they found there since: each must pass the
//! checks of its target. So a finding stays mended without a fuzzer at hand.
//!
//! The inputs in `corpus/seeds.rs` are written into the folder where they are missing; the test then fails once.

#[path = "../fuzz/checks/client_frame.rs"]
mod client_frame;
#[path = "../fuzz/checks/frame_decoder.rs"]
mod frame_decoder;
#[path = "corpus/seeds.rs"]
mod seeds;

use std::fs;
use std::path::PathBuf;

fn folder(target: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "fuzz/corpus", target].iter().collect()
}

fn assert_seeds_are_written(target: &str, seeds: Vec<(String, Vec<u8>)>) {
    let folder = folder(target);
    fs::create_dir_all(&folder).expect("the source tree is writable");
    let mut written = Vec::new();
    for (name, bytes) in seeds {
        let file = folder.join(name);
        if fs::read(&file).ok().as_ref() != Some(&bytes) {
            fs::write(&file, bytes).expect("the source tree is writable");
            written.push(file);
        }
    }
    assert!(
        written.is_empty(),
        "missing or out of date and written anew, commit them: {written:#?}"
    );
}

fn check_all(target: &str, check: fn(&[u8])) {
    let entries = fs::read_dir(folder(target)).expect("the corpus is in the repository");
    let mut checked = 0;
    for entry in entries {
        let file = entry.expect("a readable folder").path();
        let input = fs::read(&file).expect("a readable file");
        if std::panic::catch_unwind(|| check(&input)).is_err() {
            panic!("{} fails its check", file.display());
        }
        checked += 1;
    }
    assert!(checked > 0, "no corpus for {target}");
}

#[test]
fn every_input_of_the_frame_decoder_passes() {
    check_all("frame_decoder", frame_decoder::check);
}

#[test]
fn every_input_of_the_client_frame_passes() {
    check_all("client_frame", client_frame::check);
}

#[test]
fn the_seeds_of_the_frame_decoder_are_in_the_corpus() {
    assert_seeds_are_written("frame_decoder", seeds::frame_decoder());
}

#[test]
fn the_seeds_of_the_client_frame_are_in_the_corpus() {
    assert_seeds_are_written("client_frame", seeds::client_frame());
}
