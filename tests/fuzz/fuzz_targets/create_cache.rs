//! The target `create_cache` for libFuzzer.
#![no_main]

#[path = "../targets/create_cache.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|input: &[u8]| target::run(input));
