//! The generated types match the schema. Where they do not, this test writes them anew and fails once.

use std::fs;
use std::path::Path;

#[test]
fn the_generated_types_are_those_of_the_schema() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let descriptors = protox::compile(["sluice/v1/frame.proto"], [root.join("proto")]).expect("the schema compiles");

    let directory = tempfile_in_target();
    prost_build::Config::new()
        .bytes(["."])
        .out_dir(&directory)
        .compile_fds(descriptors)
        .expect("code can be generated");
    let fresh = fs::read_to_string(directory.join("sluice.v1.rs")).expect("one file for the package");

    let checked_in = root.join("src/generated/sluice.v1.rs");
    if fs::read_to_string(&checked_in).unwrap_or_default() != fresh {
        fs::write(&checked_in, fresh).expect("the source tree is writable");
        panic!(
            "{} was out of date and has been written anew: commit it",
            checked_in.display()
        );
    }
}

fn tempfile_in_target() -> std::path::PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("generated");
    fs::create_dir_all(&directory).expect("the target folder is writable");
    directory
}
