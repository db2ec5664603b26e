//! The target `extension` for libFuzzer.
#![no_main]

#[path = "../targets/extension.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|input: &[u8]| target::run(input));
