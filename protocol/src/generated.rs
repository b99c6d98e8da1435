//! The types that prost makes of `proto/`. `tests/generated_code.rs` keeps them up to date.
#![allow(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    reason = "the schema documents them; the code is the generator's"
)]

include!("generated/sluice.v1.rs");
