//! The target `lsd` for libFuzzer.
#![no_main]

#[path = "../targets/lsd.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|input: &[u8]| target::run(input));
