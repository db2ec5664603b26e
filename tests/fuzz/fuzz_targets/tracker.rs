//! The target `tracker` for libFuzzer.
#![no_main]

#[path = "../targets/tracker.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|input: &[u8]| target::run(input));
