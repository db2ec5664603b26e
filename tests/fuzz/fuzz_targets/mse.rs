//! The target `mse` for libFuzzer.
#![no_main]

#[path = "../targets/mse.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|input: &[u8]| target::run(input));
