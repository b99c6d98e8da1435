#![no_main]

#[path = "../checks/client_frame.rs"]
mod client_frame;

libfuzzer_sys::fuzz_target!(|input: &[u8]| client_frame::check(input));
