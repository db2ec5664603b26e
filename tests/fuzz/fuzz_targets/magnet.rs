//! The target `magnet` for libFuzzer.
#![no_main]

#[path = "../targets/magnet.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|input: &str| target::run(input));
