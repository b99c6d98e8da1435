#![no_main]

#[path = "../checks/frame_decoder.rs"]
mod frame_decoder;

libfuzzer_sys::fuzz_target!(|input: &[u8]| frame_decoder::check(input));
