//! The target `config` for libFuzzer.
#![no_main]

#[path = "../targets/config.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|input: &str| target::run(input));
