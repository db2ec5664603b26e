//! The target `web_seed` for libFuzzer.
#![no_main]

#[path = "../targets/web_seed.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|input: &[u8]| target::run(input));
