//! The target `pex` for libFuzzer.
#![no_main]

#[path = "../targets/pex.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|input: &[u8]| target::run(input));
