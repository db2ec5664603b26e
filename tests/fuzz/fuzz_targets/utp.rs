//! The target `utp` for libFuzzer.
#![no_main]

#[path = "../targets/utp.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|input: &[u8]| target::run(input));
