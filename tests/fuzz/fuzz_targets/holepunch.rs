//! The target `holepunch` for libFuzzer.
#![no_main]

#[path = "../targets/holepunch.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|input: &[u8]| target::run(input));
